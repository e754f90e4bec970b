"""Jobs: work that takes a while, done in turn, told of by events, cancelled when asked to."""

import collections
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from segue.core.files import write_text
from segue.core.progress import Advance
from segue.errors import DataError
from segue.studio.events import Event, EventLog
from segue.studio.limits import Limits
from segue.studio.problems import Busy, NotFound, describe, logger
from segue.studio.store import new_id, now

Lane = Literal["midi", "audio"]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

LANES: Final[tuple[Lane, ...]] = ("midi", "audio")
FINISHED: Final = ("done", "failed", "cancelled", "interrupted")
PROGRESS_SECONDS: Final = 0.1
"""Progress is told at most this often."""

_ID = re.compile(r"[0-9a-f]{16}")
_RECORDED: Final = (
    "id", "kind", "lane", "state", "settings", "created", "started", "finished", "error",
    "result", "last_event",
)  # fmt: skip
_INTERRUPTED: Final = {
    "kind": "internal",
    "message": "The studio was stopped before this was done. Start it again to have it.",
}


class Cancelled(Exception):  # noqa: N818 - it is no error
    """The job was asked to stop; raised inside its work, and let through by it."""


@dataclass(eq=False)
class Job:
    """One job; what changes is changed by `Jobs` alone, under its lock.

    Attributes:
        id: 16 hexadecimal digits.
        kind: such as ``midi.inpaint``.
        lane: which worker does it.
        settings: as asked for.
        client: whose turn it takes.
        state: where it stands.
        position: jobs before it in its lane; None when it does not wait.
        progress: share that is done, 0 to 1; None where that is unknown.
        created: ISO 8601, as are the other times.
        started: None while it waits.
        finished: None until it has ended.
        error: ``{"kind", "message"}`` where it failed.
        result: what its work returned.
        last_event: number of the last event that it told.
        log: its events; None where they are no longer kept.
    """

    id: str
    kind: str
    lane: str
    settings: dict[str, Any]
    client: str = ""
    state: str = "queued"
    position: int | None = None
    progress: float | None = None
    created: str = field(default_factory=now)
    started: str | None = None
    finished: str | None = None
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    last_event: int = 0
    log: EventLog | None = None
    work: "Work | None" = None
    stop: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> dict[str, Any]:
        """Return what is told about the job over HTTP."""
        names = (
            "id", "kind", "state", "position", "settings", "progress", "created", "started",
            "finished", "error", "result",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def record(self) -> dict[str, Any]:
        """Return what is kept on disk."""
        return {name: getattr(self, name) for name in _RECORDED}

    def replay(self, number: int) -> list[Event]:
        """Return the last events once more, made from the record, with numbers above `number`."""
        told: list[tuple[str, dict[str, Any]]] = [
            ("state", {"state": self.state, "position": None})
        ]
        told += [("result", self.result)] if self.result is not None else []
        told += [("error", self.error)] if self.error is not None else []
        told.append(("end", {"state": self.state}))
        first = max(number, self.last_event - len(told)) + 1
        return [
            Event(first + index, name, json.dumps(data)) for index, (name, data) in enumerate(told)
        ]


class Handle:
    """What a job's work gets: it tells events and learns that it should stop.

    Attributes:
        job_id: of the job.
    """

    def __init__(self, job: Job, log: EventLog) -> None:
        """Stand for a job that runs."""
        self.job_id = job.id
        self._job, self._log = job, log

    def check(self) -> None:
        """Raise `Cancelled` where the job was asked to stop."""
        if self._job.stop.is_set():
            raise Cancelled

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Send an event to whoever follows the job.

        Args:
            event: its name.
            data: JSON values.

        Raises:
            Cancelled: the job was asked to stop.
        """
        self.check()
        self._log.tell(event, data)

    @contextlib.contextmanager
    def progress(self, label: str, *, total: float | None = None) -> Iterator[Advance]:
        """Tell how far the work is; a `segue.core.progress.Progress`.

        Args:
            label: what is being done; not sent.
            total: how much there will be in all.
        """
        del label
        done, told = 0.0, 0.0

        def advance(count: float = 1) -> None:
            nonlocal done, told
            self.check()
            done += count
            if time.monotonic() - told >= PROGRESS_SECONDS or done == total:
                told = time.monotonic()
                self._job.progress = min(done / total, 1.0) if total else None
                self._log.tell("progress", {"done": done, "total": total})

        self.check()
        yield advance


Work = Callable[[Handle], dict[str, Any]]


class Queue:
    """Jobs that wait in one lane; clients take turns, so that nobody's heap holds up the others."""

    def __init__(self) -> None:
        """Begin empty."""
        self._turns: collections.OrderedDict[str, collections.deque[Job]] = (
            collections.OrderedDict()
        )

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))

    def num_of(self, client: str) -> int:
        """Return how many jobs of a client wait."""
        return len(self._turns.get(client, ()))

    def put(self, job: Job) -> None:
        """Add a job behind those of its client; a new client comes last in turn."""
        self._turns.setdefault(job.client, collections.deque()).append(job)

    def pop(self) -> Job:
        """Take the next job; its client goes to the end of the row."""
        client, waiting = self._turns.popitem(last=False)
        job = waiting.popleft()
        if waiting:
            self._turns[client] = waiting
        return job

    def remove(self, job: Job) -> None:
        """Take a job out of the row."""
        waiting = self._turns[job.client]
        waiting.remove(job)
        if not waiting:
            del self._turns[job.client]

    def in_order(self) -> list[Job]:
        """Return the jobs in the order in which they will be taken."""
        rows = [list(waiting) for waiting in self._turns.values()]
        longest = max(map(len, rows), default=0)
        return [row[turn] for turn in range(longest) for row in rows if turn < len(row)]


class Jobs:
    """All jobs: those that wait, those that run, and the records of those that have ended."""

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        private: Iterable[Path] = (),
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        """Read the records in `folder`; what had not ended there was interrupted.

        Args:
            folder: one JSON file for each job.
            limits: how many may wait and how much is kept.
            private: folders whose names must not stand in messages.
            admit: raises where there is no place for results.
        """
        self._folder, self._limits, self._private = folder, limits, tuple(private)
        self._admit = admit
        self._changed = threading.Condition()
        self._queues: dict[str, Queue] = {lane: Queue() for lane in LANES}
        self._running: dict[str, Job] = {}
        self._seconds: dict[str, float] = dict.fromkeys(LANES, 5.0)
        self._writing = threading.Lock()
        self._stopped = False
        self._workers: list[threading.Thread] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._jobs = {job.id: job for job in sorted(self._read_all(), key=lambda job: job.created)}
        self._prune()

    def submit(
        self, *, kind: str, lane: Lane, settings: Mapping[str, Any], work: Work, client: str
    ) -> Job:
        """Put a job into the row and return it.

        Args:
            kind: such as ``midi.inpaint``.
            lane: which worker does it.
            settings: what was asked for, as JSON; kept with the job.
            work: runs in the worker's thread and returns the job's result.
            client: clients take turns.

        Raises:
            Busy: too many jobs wait already.
            TooLarge: there is no place for the result.
        """
        self._admit()
        log = EventLog(limit_bytes=self._limits.job_event_bytes)
        job = Job(new_id(), kind, lane, dict(settings), client, log=log, work=work)
        with self._changed:
            self._check_room(job)
            self._queues[lane].put(job)
            self._jobs[job.id] = job
            self._number()
            self._start_workers()
            self._changed.notify_all()
        self._write(job)
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFound: there is no such job, or its record is no longer kept.
        """
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFound("There is no job with this id. Its record may have gone.") from None

    def all(self) -> list[Job]:
        """Return all jobs, newest first."""
        with self._changed:
            return list(reversed(self._jobs.values()))

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; one that has ended stays as it is.

        Raises:
            NotFound: there is no such job.
        """
        with self._changed:
            job = self.get(job_id)
            job.stop.set()
            if job.state != "queued":
                return job
            self._queues[job.lane].remove(job)
            self._end(job, "cancelled")
            self._number()
        self._write(job)
        return job

    def stop(self, *, timeout_seconds: float = 3.0) -> None:
        """End everything: what waits or runs is marked as interrupted, every stream ends."""
        with self._changed:
            self._stopped = True
            unfinished = [job for job in self._jobs.values() if job.state not in FINISHED]
            for job in unfinished:
                job.stop.set()
                job.error = dict(_INTERRUPTED)
                self._end(job, "interrupted")
            self._queues = {lane: Queue() for lane in LANES}
            self._changed.notify_all()
        for job in unfinished:
            self._write(job)
        deadline = time.monotonic() + timeout_seconds
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def has_ended(self) -> bool:
        """Say whether no work runs any more; a model does not stop within one step."""
        return not any(worker.is_alive() for worker in self._workers)

    def _check_room(self, job: Job) -> None:
        """Refuse a job where too many wait."""
        waiting = sum(map(len, self._queues.values()))
        own = sum(queue.num_of(job.client) for queue in self._queues.values())
        before = len(self._queues[job.lane]) + 1
        retry = int(min(max(self._seconds[job.lane] * min(before, 4), 1), 60))
        if self._stopped:
            raise Busy("The studio is being stopped.", retry_after_seconds=30)
        if own >= self._limits.waiting_jobs_per_client:
            raise Busy(
                f"{own} of your jobs are waiting already. Ask again when one of them is done.",
                retry_after_seconds=retry,
            )
        if waiting >= self._limits.waiting_jobs:
            raise Busy(
                f"The studio is busy: {waiting} jobs are waiting. Ask again a little later.",
                retry_after_seconds=retry,
            )

    def _start_workers(self) -> None:
        """Start one thread for each lane, when the first job comes."""
        if not self._workers:
            self._workers = [
                threading.Thread(target=self._serve, args=(lane,), name=f"jobs-{lane}", daemon=True)
                for lane in LANES
            ]
            for worker in self._workers:
                worker.start()

    def _serve(self, lane: Lane) -> None:
        """Do the jobs of a lane, one after the other, until the studio stops."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or len(self._queues[lane]))
                if self._stopped:
                    return
                job = self._queues[lane].pop()
                self._begin(job)
                self._number()
            self._write(job)
            began = time.monotonic()
            self._run(job)
            took = time.monotonic() - began
            self._seconds[lane] += 0.3 * (took - self._seconds[lane])
            self._write(job)
            self._prune()

    def _begin(self, job: Job) -> None:
        """Mark a job as running; the lock is held."""
        job.state, job.position, job.started = "running", None, now()
        if job.log is not None:
            job.log.tell("state", {"state": "running", "position": None})

    def _run(self, job: Job) -> None:
        """Do the work of a job, whatever it raises."""
        assert job.log is not None
        assert job.work is not None
        try:
            result = job.work(Handle(job, job.log))
            json.dumps(result, allow_nan=False)
        except Cancelled:
            self._finish(job, "cancelled")
        except Exception as error:  # noqa: BLE001 - whatever happens, the worker goes on
            self._finish(job, "failed", error=describe(error, folders=self._private))
        else:
            self._finish(job, "done", result=result)

    def _finish(
        self,
        job: Job,
        state: State,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Mark a job as ended, unless the studio's stop did so before."""
        with self._changed:
            if job.state == "running":
                job.result, job.error = result, error
                job.progress = 1.0 if state == "done" else job.progress
                self._end(job, state)

    def _end(self, job: Job, state: State) -> None:
        """Set the last state and tell it; the lock is held."""
        job.state, job.position, job.finished, job.work = state, None, now(), None
        log = job.log
        if log is None:
            return
        if job.result is not None:
            log.tell("result", job.result)
        if job.error is not None:
            log.tell("error", job.error)
        log.tell("state", {"state": state, "position": None})
        log.tell("end", {"state": state})
        job.last_event = log.last_number
        log.close()

    def _number(self) -> None:
        """Tell every job that waits where it stands, if that has changed; the lock is held."""
        for queue in self._queues.values():
            for position, job in enumerate(queue.in_order()):
                if job.position != position and job.log is not None:
                    job.position = position
                    job.log.tell("state", {"state": "queued", "position": position})

    def _prune(self) -> None:
        """Forget the oldest ended jobs, and the events of more than memory should hold."""
        with self._changed:
            ended = [job for job in self._jobs.values() if job.state in FINISHED]
            old = ended[: max(0, len(ended) - self._limits.kept_jobs)]
            for job in old:
                del self._jobs[job.id]
            held = 0
            for job in reversed(ended):
                held += job.log.size_bytes if job.log is not None else 0
                if held > self._limits.event_bytes:
                    job.log = None
        for job in old:
            with contextlib.suppress(OSError):
                self._path(job.id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        """Return where the record of a job is."""
        return self._folder / f"{job_id}.json"

    def _write(self, job: Job) -> None:
        """Write the record of a job; one that cannot be written costs memory only."""
        try:
            with self._writing:  # so that an older state never comes after a newer one
                write_text(self._path(job.id), json.dumps(job.record()))
        except DataError as error:
            logger.warning("The record of the job %s was not written: %s", job.id, error)

    def _read_all(self) -> Iterator[Job]:
        """Read the records; what had not ended is interrupted, what is damaged is passed by."""
        for path in sorted(self._folder.iterdir()):
            if path.name.startswith("."):
                path.unlink(missing_ok=True)
                continue
            try:
                job = _read_record(path)
            except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
                logger.warning("The record %s is damaged and not shown: %s", path.name, error)
                continue
            if job.state not in FINISHED:
                job.state, job.finished, job.error = "interrupted", now(), dict(_INTERRUPTED)
                self._write(job)
            yield job


def _read_record(path: Path) -> Job:
    """Read and check a record.

    Raises:
        ValueError: it is not a record as `Jobs` writes one.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or set(record) != set(_RECORDED):
        raise ValueError("it is not a record of a job")
    texts = ("id", "kind", "lane", "state", "created")
    if not all(isinstance(record[name], str) for name in texts):
        raise ValueError("it is not as it should be")
    if not _ID.fullmatch(record["id"]) or path.stem != record["id"]:
        raise ValueError("it has the name of another job")
    if not (isinstance(record["settings"], dict) and isinstance(record["last_event"], int)):
        raise ValueError("its settings are not as they should be")  # noqa: TRY004 - a file's fault
    return Job(**record, progress=1.0 if record["state"] == "done" else None)
