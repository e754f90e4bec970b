"""Connections: none is held by who sends no request, or takes no answer."""

import asyncio
import socket
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

LOOK_SECONDS: Final = 15.0
"""A connection without a request is closed when it is seen so twice, this long apart."""

STUCK_SECONDS: Final = 120
"""So long an answer waits for who does not take it."""


class Connection(H11Protocol):
    """One connection; uvicorn alone waits for ever for the head of a request, and for readers.

    Attributes:
        most: connections that are open at once; one more is closed at once.
    """

    most: int = 1_000_000
    _looking: asyncio.TimerHandle | None = None
    _seen: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        _give_up_after(transport.get_extra_info("socket"), STUCK_SECONDS)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """End watching."""
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close the connection where nothing was asked since the last look."""
        cycle: RequestResponseCycle | None = self.cycle
        waits = cycle is None or cycle.response_complete
        last, self._seen = self._seen, (cycle,) if waits else None
        if waits and last == self._seen and not self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        self._looking = self.loop.call_later(LOOK_SECONDS, self._look)


def _give_up_after(connection: Any, seconds: int) -> None:
    """Let the system close a connection whose other end does not take what was sent."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
