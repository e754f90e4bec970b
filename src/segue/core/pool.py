"""Many independent jobs on all cores: results in order, few in memory, crashes survived."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

from segue.errors import DataError

Job = TypeVar("Job")
Result = TypeVar("Result")

_JOBS_AHEAD = 2


class Runner(Protocol):
    """Runs jobs somewhere: `run_jobs` with its workers given, or `cluster.run_jobs_on`."""

    def __call__(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        *,
        on_crash: Callable[[Job], Result] | None = None,
    ) -> Iterator[Result]:
        """Give the result of every job, in order."""


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    on_crash: Callable[[Job], Result] | None = None,
) -> Iterator[Result]:
    """Give the result of every job, in order.

    A job that takes its process down (a fault in a parser, the system's memory limit) is tried once
    more alone; jobs that merely ran beside it are repeated and lose nothing.

    Args:
        function: at the top level of a module, so that a fresh process finds it.
        jobs: arguments; taken up only as fast as they are worked off.
        workers: processes; 0 works in this one.
        on_crash: gives the result of a job that took its process down twice.

    Raises:
        DataError: a job took its process down twice and there is no `on_crash`.
    """
    if workers == 0:
        yield from map(function, jobs)
        return
    queue = iter(jobs)
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    while True:
        pool = _start(workers)
        try:
            yield from _work(pool, function, queue, waiting, _JOBS_AHEAD * workers)
            return
        except BrokenProcessPool:
            broken = list(waiting)
            waiting.clear()
        finally:
            pool.shutdown(cancel_futures=True)
        for job, future in broken:
            finished = future.done() and not future.cancelled() and future.exception() is None
            yield future.result() if finished else _alone(function, job, on_crash)


def _work(
    pool: ProcessPoolExecutor,
    function: Callable[[Job], Result],
    queue: Iterator[Job],
    waiting: deque[tuple[Job, Future[Result]]],
    ahead: int,
) -> Iterator[Result]:
    """Keep the pool busy; whatever is unfinished when it breaks stays in `waiting`."""
    for job in queue:
        waiting.append((job, Future()))  # stands for the job where the pool is broken already
        waiting[-1] = (job, pool.submit(function, job))
        if len(waiting) > ahead:
            yield _first(waiting)
    while waiting:
        yield _first(waiting)


def _first(waiting: deque[tuple[Job, Future[Result]]]) -> Result:
    """Take the oldest result out; a broken pool leaves its job in the queue."""
    result = waiting[0][1].result()
    waiting.popleft()
    return result


def _alone(
    function: Callable[[Job], Result], job: Job, on_crash: Callable[[Job], Result] | None
) -> Result:
    """Run a job in a process of its own."""
    with _start(1) as pool:
        try:
            return pool.submit(function, job).result()
        except BrokenProcessPool as error:
            if on_crash is None:
                raise DataError(
                    "A worker process died, most likely for want of memory. What is finished is "
                    "kept: run the same command again, with fewer workers."
                ) from error
    return on_crash(job)


def _start(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Make a worker end when the process that started it is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
