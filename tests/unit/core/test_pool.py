"""Jobs come back in order, are taken up as needed, and survive the death of a worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from segue.core.pool import run_jobs
from segue.errors import DataError


def double(number: int) -> int:
    return 2 * number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def die_once(path: str) -> str:
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def test_no_workers_means_here() -> None:
    assert list(run_jobs(double, range(5), workers=0)) == [0, 2, 4, 6, 8]


def test_jobs_are_taken_up_as_needed() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = run_jobs(double, jobs(), workers=1)
    assert [next(results) for _ in range(3)] == [2, 4, 6]
    results.close()  # type: ignore[attr-defined]
    assert taken < 10


def test_a_crash_costs_one_job() -> None:
    results = run_jobs(die_at_three, range(8), workers=1, on_crash=lambda job: -job)
    assert list(results) == [0, 2, 4, -3, 8, 10, 12, 14]


def test_a_crash_without_a_plan_is_said() -> None:
    with pytest.raises(DataError, match="fewer workers"):
        list(run_jobs(die_at_three, [3], workers=1))


def test_a_job_that_crashed_is_tried_again(tmp_path: Path) -> None:
    paths = [str(tmp_path / "mark")]
    assert list(run_jobs(die_once, paths, workers=1)) == paths


PARENT = """
import sys, time
from segue.core.pool import run_jobs
if __name__ == "__main__":
    for _ in run_jobs(time.sleep, [0, 60, 60], workers=1):
        print("ready", flush=True)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        workers = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    until = time.monotonic() + 20
    while any(_runs(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers
    assert not [worker for worker in workers if _runs(worker)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
