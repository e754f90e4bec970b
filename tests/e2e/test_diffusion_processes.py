"""Diffusion in real processes: two share the global batch, one is killed with SIGKILL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.toy_training import trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with one run a subfolder."""
    folder = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.e2e.diffusion_processes", str(folder)],
        cwd=repository,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_run_that_was_killed_ends_with_the_identical_trace(runs: Path):
    assert trace(runs / "killed") == trace(runs / "one")
    assert len(trace(runs / "one")) == 14


def test_two_processes_give_the_trace_of_one(runs: Path):
    alone, shared = trace(runs / "one"), trace(runs / "two")
    assert [row.keys() for row in alone] == [row.keys() for row in shared]
    exact = ("step", "split", "tokens", "learning_rate")
    for first, second in zip(alone, shared, strict=True):
        assert [first.get(n) for n in exact] == [second.get(n) for n in exact]
        for name in first.keys() - set(exact):
            # The same sums in another order, which weights then carry on.
            assert second[name] == pytest.approx(first[name], rel=2e-5)
