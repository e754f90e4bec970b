"""A Dask cluster on the loopback device that is gone afterwards, with every process of it."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psutil


@contextlib.contextmanager
def cluster_of(workers: int) -> Iterator[Any]:
    """Give a client of a scheduler in this process and some worker processes.

    A job whose worker dies is not tried again by the scheduler, so that it dies twice at most.
    """
    import dask
    from distributed import Client, LocalCluster

    before = set(psutil.Process().children(recursive=True))
    options = {
        "distributed.scheduler.allowed-failures": 0,
        # What a busy machine is late with must not count as dead.
        "distributed.comm.timeouts.connect": "60s",
        "distributed.deploy.lost-worker-timeout": "300s",
    }
    with (
        dask.config.set(options),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
    until = time.monotonic() + 20
    while left := _running(before):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def _running(before: set[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that were started and still run, but for Python's own helper."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            helper = any("resource_tracker" in word for word in process.cmdline())
            ended = process.status() == psutil.STATUS_ZOMBIE
            if process not in before and not helper and not ended:
                found.append(process)
    return found
