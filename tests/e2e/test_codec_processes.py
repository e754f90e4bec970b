"""Two processes that share the batch train the autoencoder that one alone trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.codec_processes import KINDS
from tests.toy_training import trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with one run a subfolder."""
    folder = tmp_path_factory.mktemp("codec-runs")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.e2e.codec_processes", str(folder)],
        cwd=repository,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("kind", list(KINDS))
def test_two_processes_give_the_trace_of_one(runs: Path, kind: str):
    alone, shared = trace(runs / f"{kind}-one"), trace(runs / f"{kind}-two")
    assert [row.keys() for row in alone] == [row.keys() for row in shared]
    assert any(row.get("discriminator") for row in alone)
    for first, second in zip(alone, shared, strict=True):
        assert first["step"] == second["step"]
        if first["split"] == "val":
            continue
        assert first["tokens"] == second["tokens"]
        for name in first.keys() - {"step", "split", "tokens"}:
            # Sums in another order, through a dozen steps of two networks against each other.
            assert second[name] == pytest.approx(first[name], rel=2e-3, abs=2e-4), name
