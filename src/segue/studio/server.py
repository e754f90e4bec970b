"""The server: one process, one port, one folder; ends its streams and jobs when it is stopped."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from segue.errors import DataError, SettingError
from segue.studio.app import Studio, StudioSettings, create_app

DEFAULT_PORT: Final = 8765
NEXT_PORTS: Final = 20
"""So many ports are tried where the first is taken."""

WARMING_SECONDS: Final = 2.0
"""At the end the warm-up of a model is waited for so long."""

LOCK_NAME: Final = "studio.lock"

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


class Server(uvicorn.Server):
    """A server that ends the event streams before it waits for its connections to close.

    What makes music is loaded after the start, so that the page comes at once.
    """

    def __init__(self, settings: StudioSettings, *, ready: Callable[[], None]) -> None:
        """Prepare to serve.

        Args:
            settings: of the studio.
            ready: called once when the first request can be answered.
        """
        self.app = create_app(settings, late=True)
        self._ready = ready
        most = {"most": settings.limits.connections}
        super().__init__(
            uvicorn.Config(
                self.app,
                log_level="warning",
                access_log=False,
                server_header=False,
                date_header=False,
                ws="none",
                loop="asyncio",
                http=type("LimitedConnection", (Connection,), most),
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
                forwarded_allow_ips="127.0.0.1,::1",
            )
        )

    @property
    def studio(self) -> Studio:
        """What is served; its models come a little after the start."""
        studio: Studio = self.app.state.studio
        return studio

    def check(self) -> None:
        """Raise what kept the studio from working.

        Raises:
            SegueError: a bundle that was named is damaged, for instance.
        """
        if self.app.state.failure is not None:
            raise self.app.state.failure

    def has_ended(self) -> bool:
        """Say whether nothing runs in the background any more; waits a little for it."""
        warming: threading.Thread | None = getattr(self.app.state, "warming", None)
        if warming is not None:
            warming.join(WARMING_SECONDS)
        return self.studio.jobs.has_ended() and not (warming and warming.is_alive())

    async def on_tick(self, counter: int) -> bool:
        """Say whether to stop, ten times a second."""
        return await super().on_tick(counter) or self.app.state.failure is not None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End jobs and streams, then the connections."""
        self.studio.jobs.stop(timeout_seconds=0.0)
        await super().shutdown(sockets)


def bind(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: an address or a name of this computer.
        port: exactly this one; 0 is any free one; None the usual one or the next that is free.

    Raises:
        SettingError: the address is not of this computer, or no port is free.
    """
    ports = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + NEXT_PORTS)
    reason = ""
    for candidate in ports:
        try:
            return _listening(host, candidate)
        except OSError as error:
            reason = error.strerror or str(error)
    wanted = f"port {port}" if port is not None else f"ports {ports[0]} to {ports[-1]}"
    raise SettingError(
        f"Cannot listen on {host}, {wanted}: {reason}. Name a free port with --port, or an "
        "address of this computer with --host."
    )


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # elsewhere it lets two servers share
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def locked(folder: Path, address: str) -> Iterator[None]:
    """Hold a folder, so that no second studio works in it.

    Args:
        folder: made where missing.
        address: where this studio answers, for the message to a second one.

    Raises:
        SettingError: another studio holds it.
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / LOCK_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"Cannot write {folder}: {error.strerror or error}. Name another with --folder."
        ) from error
    with stream:
        if not _try_lock(stream):
            stream.seek(0)
            raise SettingError(
                f"A studio is running with the folder {folder} already, at "
                f"{stream.read(200).strip() or 'an unknown address'}. Open that one, stop it, or "
                "name another folder with --folder."
            )
        stream.truncate(0)
        stream.write(address)
        stream.flush()
        yield


def _give_up_after(connection: Any, seconds: int) -> None:
    """Let the system close a connection whose other end does not take what was sent."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def _try_lock(stream: IO[str]) -> bool:
    """Lock an open file for this process as long as it lives; say whether that went well."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
