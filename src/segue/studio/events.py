"""The events of a job: kept for replay within a bound, and sent as server-sent events."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

DROPPED_FIRST: Final = ("notes", "progress")
"""Events that a full log forgets, oldest first: they are for watching, the result holds all."""

HEARTBEAT_SECONDS: Final = 15.0
"""A stream with nothing to say sends a comment this often, so that proxies keep it open."""

RETRY_MILLISECONDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        number: counts up from 1 within its job.
        name: such as ``notes``.
        data: JSON.
    """

    number: int
    name: str
    data: str

    def encoded(self) -> bytes:
        """Return the event as it stands in a stream."""
        return f"id: {self.number}\nevent: {self.name}\ndata: {self.data}\n\n".encode()


class EventLog:
    """What one job has told so far; written by its worker, read by any number of streams.

    A stream reads from the log at its own pace and keeps nothing, so that memory does not grow
    with listeners. Beyond `limit_bytes` the oldest of `DROPPED_FIRST` are forgotten.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        """Begin empty."""
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._last = 0
        self._bytes = 0
        self._closed = False
        self._wakers: set[Callable[[], None]] = set()

    @property
    def size_bytes(self) -> int:
        """Size of what is kept."""
        return self._bytes

    @property
    def last_number(self) -> int:
        """Number of the newest event; 0 where there is none."""
        return self._last

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed

    def tell(self, name: str, data: Mapping[str, Any]) -> None:
        """Add an event; a new ``progress`` right after another takes its place."""
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        with self._lock:
            if self._closed:
                return
            self._last += 1
            if self._events and name == "progress" == self._events[-1].name:
                self._bytes -= len(self._events.pop().data)
            self._events.append(Event(self._last, name, text))
            self._bytes += len(text)
            self._forget()
            wakers = tuple(self._wakers)
        for wake in wakers:
            wake()

    def close(self) -> None:
        """Let every stream end after the last event."""
        with self._lock:
            self._closed = True
            wakers = tuple(self._wakers)
        for wake in wakers:
            wake()

    def after(self, number: int) -> tuple[list[Event], bool]:
        """Return the events with a higher number, and whether nothing more will come."""
        with self._lock:
            first = len(self._events)
            while first and self._events[first - 1].number > number:
                first -= 1
            return self._events[first:], self._closed

    async def stream(self, number: int = 0) -> AsyncIterator[bytes]:
        """Give the events after `number` as bytes of a stream, until the log is closed."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the stream with it
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            self._wakers.add(wake)
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            while True:
                woken.clear()
                events, closed = self.after(number)
                for event in events:
                    number = event.number
                    yield event.encoded()
                if closed:
                    return
                if not events and not await _happened(woken):
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._wakers.discard(wake)

    def _forget(self) -> None:
        """Drop the oldest events that may go until the rest fits; the lock is held."""
        if self._bytes <= self._limit_bytes:
            return
        kept: list[Event] = []
        for event in self._events:
            if self._bytes > self._limit_bytes * 3 // 4 and event.name in DROPPED_FIRST:
                self._bytes -= len(event.data)
            else:
                kept.append(event)
        self._events = kept


async def _happened(woken: asyncio.Event) -> bool:
    """Wait for something new; say whether it came before a heartbeat is due."""
    try:
        await asyncio.wait_for(woken.wait(), HEARTBEAT_SECONDS)
    except TimeoutError:
        return False
    return True
