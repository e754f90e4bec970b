"""Jobs on a Dask cluster: in order, taken up as needed, whatever happens to the workers."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dask_cluster import cluster_of

from segue.core import cluster
from segue.core.cluster import connect, run_jobs_on
from segue.errors import DataError, MissingExtraError, SettingError

distributed = pytest.importorskip("distributed")


def double(number: int) -> int:
    return 2 * number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise DataError("Three is no number.")
    return 2 * number


def wait_for(job: tuple[str, str]) -> int:
    """Say which process works, then wait for a file."""
    number, folder = job
    Path(folder, f"{number}-{os.getpid()}").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.02)
    return int(number)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster_of(2) as client:
        yield client


def test_results_come_in_order(client: Any) -> None:
    assert list(run_jobs_on(client, double, range(50))) == list(range(0, 100, 2))


def test_jobs_are_taken_up_as_needed(client: Any) -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = run_jobs_on(client, double, jobs())
    assert [next(results) for _ in range(3)] == [2, 4, 6]
    results.close()  # type: ignore[attr-defined]
    assert taken < 10


def test_an_error_in_a_job_is_passed_on(client: Any) -> None:
    with pytest.raises(DataError, match="Three is no number"):
        list(run_jobs_on(client, fail_at_three, range(6)))


def test_a_job_that_kills_its_worker_twice_is_left_out(client: Any) -> None:
    results = run_jobs_on(client, die_at_three, range(8), on_crash=lambda job: -job)
    assert list(results) == [0, 2, 4, -3, 8, 10, 12, 14]


def test_a_crash_without_a_plan_is_said(client: Any) -> None:
    with pytest.raises(DataError, match="took its workers down"):
        list(run_jobs_on(client, die_at_three, [3]))


def test_a_killed_worker_costs_nothing(client: Any, tmp_path: Path) -> None:
    jobs = [(str(number), str(tmp_path)) for number in range(6)]
    found: list[int] = []
    results = run_jobs_on(client, wait_for, jobs)
    thread = threading.Thread(target=lambda: found.extend(results))
    thread.start()
    until = time.monotonic() + 60
    while not (begun := sorted(path.name for path in tmp_path.iterdir())):
        assert time.monotonic() < until
        time.sleep(0.02)
    number, _, process = begun[0].partition("-")
    os.kill(int(process), signal.SIGKILL)
    (tmp_path / "go").touch()
    thread.join(60)
    assert found == list(range(6))
    assert len(list(tmp_path.glob(f"{number}-*"))) == 2


def test_another_version_on_a_worker_is_refused(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(DataError, match=r"version 0\.0\.1"):
        list(run_jobs_on(client, double, [1]))


def test_a_connection_leaves_the_cluster_running(client: Any) -> None:
    address = client.scheduler.address
    for _ in range(2):
        with connect(address) as jobs:
            assert list(jobs(double, [4])) == [8]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "no address", "ftp://x"])
def test_where_no_scheduler_is(address: str) -> None:
    with pytest.raises(SettingError, match="dask scheduler"), connect(address, patience_s=0.5):
        pass


def test_a_client_whose_thread_begins_too_late_is_made_again(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = distributed.Client, [AssertionError, AssertionError]

    def late(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*args, **options)

    monkeypatch.setattr(distributed, "Client", late)
    with connect(client.scheduler.address) as jobs:
        assert list(jobs(double, [4])) == [8]
    failures += [AssertionError] * 3
    with pytest.raises(SettingError, match="too busy"), connect(client.scheduler.address):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"segue\[cluster\]"), connect("tcp://x:1"):
        pass
