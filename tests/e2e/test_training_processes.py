"""Training in real processes: two share the global batch, one is killed with SIGKILL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.toy_training import trace


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with one run a subfolder."""
    folder = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.e2e.training_processes", str(folder)],
        cwd=repository,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_run_that_was_killed_ends_with_the_identical_trace(runs: Path):
    assert trace(runs / "killed") == trace(runs / "one")
    assert len(trace(runs / "one")) == 14


@pytest.mark.parametrize("kind", ["", "-average"])
def test_two_processes_give_the_trace_of_one(runs: Path, kind: str):
    one, two = trace(runs / f"one{kind}"), trace(runs / f"two{kind}")
    assert [row.keys() for row in one] == [row.keys() for row in two]
    exact = ("step", "split", "tokens", "learning_rate")
    for first, second in zip(one, two, strict=True):
        assert [first.get(n) for n in exact] == [second.get(n) for n in exact]
        for name in first.keys() - set(exact):
            # The same sums in another order: float32 rounds at 6e-8, a dozen steps of AdamW
            # (whose first steps divide small gradients by themselves) let that grow.
            assert second[name] == pytest.approx(first[name], rel=2e-6)
