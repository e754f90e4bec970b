"""The jobs of `pool.run_jobs`, on the machines of a Dask cluster instead of the cores of this one.

The cluster must be one that you trust: Dask sends functions and arguments between its processes as
pickles, and whoever reaches its scheduler can run anything on its machines. Folders that jobs name must
be on storage that all machines see under the same path.
"""

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from segue import __version__
from segue.core.pool import Runner
from segue.errors import DataError, MissingExtraError, SettingError

Job = TypeVar("Job")
Result = TypeVar("Result")

_JOBS_AHEAD = 2
_PATIENCE_S = 60.0
_TRIES = 3


@contextlib.contextmanager
def connect(address: str, *, patience_s: float = _PATIENCE_S) -> Iterator[Runner]:
    """Give what runs jobs on a cluster; the block's end leaves the cluster as it is.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        patience_s: seconds to wait for the scheduler, and for its first worker.

    Raises:
        MissingExtraError: Dask is not installed.
        SettingError: no scheduler answers there, or it has no workers.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "Work on a cluster needs Dask. Install it with `pip install segue[cluster]`, here and on "
            "every machine of the cluster."
        ) from error
    try:
        client = _client(address, patience_s)
    except (OSError, ValueError, TypeError) as error:
        raise SettingError(
            f"No Dask scheduler answers at {address} ({error}). Start one with `dask scheduler` and "
            "give the address that it prints, such as tcp://10.0.0.1:8786."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=patience_s)
        except TimeoutError as error:
            raise SettingError(
                f"The scheduler at {address} has no workers. Start some with `dask worker {address}`."
            ) from error
        yield functools.partial(run_jobs_on, client)


def _client(address: str, patience_s: float) -> Any:
    """Connect to a scheduler.

    On a machine that is busy elsewhere, the thread that the client talks through may take longer to begin
    than the client waits for it, which Dask shows as a failed assertion; then another one is tried.

    Raises:
        OSError: nobody answers there.
        ValueError: no such kind of address.
    """
    from distributed import Client
    from distributed.comm.addressing import parse_address
    from distributed.comm.registry import get_backend

    scheme, _ = parse_address(address)
    get_backend(scheme)
    for _ in range(_TRIES):
        with contextlib.suppress(AssertionError):
            return Client(  # type: ignore[no-untyped-call]
                address, timeout=patience_s, set_as_default=False
            )
    raise OSError("the client's own thread did not begin in time: this machine is too busy")


def run_jobs_on(
    client: Any,
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    on_crash: Callable[[Job], Result] | None = None,
) -> Iterator[Result]:
    """Give the result of every job, in order, as `pool.run_jobs` does.

    Workers may come, go and die meanwhile. A job whose worker dies is given to another by the scheduler
    (as often as its ``allowed-failures`` says, 3 by default); then it is tried once more alone.

    Args:
        client: a `distributed.Client`, connected to the scheduler.
        function: at the top level of a module that is installed on every machine.
        jobs: arguments; taken up only as fast as they are worked off. A job must bear being run twice.
        on_crash: gives, in this process, the result of a job that took its workers down alone too.

    Raises:
        DataError: a job took its workers down and there is no `on_crash`, or a machine has another
            version of Segue.
    """
    from distributed import KilledWorker

    call = functools.partial(_call, function, __version__)
    waiting: deque[tuple[Job, Any]] = deque()

    def first() -> Result:
        job, future = waiting.popleft()
        result: Result
        try:
            result = future.result()
            return result
        except KilledWorker:
            for _, other in waiting:
                other.exception()
        try:
            result = client.submit(call, job, pure=False).result()
            return result
        except KilledWorker as error:
            if on_crash is None:
                raise DataError(
                    f"A job took its workers down ({error}). What is finished is kept: look at the "
                    "logs of the workers, and run the same command again."
                ) from error
        return on_crash(job)

    try:
        for job in jobs:
            waiting.append((job, client.submit(call, job, pure=False)))
            if len(waiting) > _JOBS_AHEAD * sum(client.nthreads().values()):
                yield first()
        while waiting:
            yield first()
    finally:
        client.cancel([future for _, future in waiting])


def _call(function: Callable[[Job], Result], version: str, job: Job) -> Result:
    """Run a job, where this machine has the version of Segue that is asked for."""
    if version != __version__:
        raise DataError(
            f"A worker has Segue {__version__}, this command is version {version}. Install the same "
            "version on every machine."
        )
    return function(job)
