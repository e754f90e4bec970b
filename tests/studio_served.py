"""A studio on a free port of this machine, in a thread of the test."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import Request

from segue.errors import BundleError
from segue.studio.context import Studio, StudioSettings
from segue.studio.server import Server, bind

DEADLINE_SECONDS = 60.0


@dataclass
class Served:
    """A studio that answers.

    Attributes:
        url: its address, without a slash at the end.
        studio: what it serves.
        server: to stop it.
        thread: that it runs in.
    """

    url: str
    studio: Studio
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        """Stop the server as Ctrl-C does, and wait for its end."""
        self.server.should_exit = True
        self.thread.join(DEADLINE_SECONDS)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Served]:
    """Serve a studio from `folder` while the block runs."""
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        made = StudioSettings(folder=folder, port=port, **{"warm_up": False, **settings})
        ready = threading.Event()
        server = Server(made, ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert ready.wait(DEADLINE_SECONDS)
        running = Served(f"http://127.0.0.1:{port}", server.studio, server, thread)
        try:
            yield running
        finally:
            running.stop()


def events_of(
    url: str, job: str, *, after: int | None = None, most: int = 10_000
) -> list[tuple[int, str, dict[str, Any]]]:
    """Follow a job over HTTP to its end, or to so many events: numbers, names and data."""
    headers = {} if after is None else {"last-event-id": str(after)}
    found: list[tuple[int, str, dict[str, Any]]] = []
    with httpx.stream(
        "GET",
        f"{url}/api/jobs/{job}/events",
        headers=headers,
        timeout=DEADLINE_SECONDS,
        verify=False,
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream") or (
            answer.status_code == 204
        )
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            fields |= {name: value} if name else {}
            if not line and "event" in fields:
                found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
                fields = {}
                if len(found) == most:
                    break
    return found


@contextlib.contextmanager
def studio_process(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `segue studio` in a process of its own; gives its address and the process."""
    command = [sys.executable, "-m", "segue", "studio", "--no-open", "--port", "0"]
    with (folder.parent / f"{folder.name}.log").open("a+") as log:
        process = subprocess.Popen(
            [*command, "--folder", str(folder), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            log.seek(0)
            assert address.startswith("http://"), log.read()
            yield address.rstrip("/"), process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(DEADLINE_SECONDS)
            process.stdout.close()


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    """Ask for a job until it has ended; return it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"/api/jobs/{job}").raise_for_status().json()
        if found["finished"] is not None:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"The job {job} has not ended.")


def add_traps(running: Served) -> None:
    """Add routes that misbehave."""
    app: Any = running.server.config.app

    @app.get("/api/trap/bug")
    def bug() -> None:
        raise ZeroDivisionError("in /srv/secret/place.py")

    @app.get("/api/trap/bundle")
    def bundle() -> None:
        raise BundleError("The bundle /srv/my models/small is damaged: x is missing.")

    @app.post("/api/trap/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/api/trap/swallow")
    async def swallow(request: Request) -> str:
        try:
            await request.body()
        except Exception:  # noqa: BLE001 - that is the mistake
            return "fine"
        return "read"


def port_of(running: Served) -> int:
    """Return the port of a studio."""
    return running.studio.settings.port


def kind(answer: httpx.Response) -> str:
    """Return which kind of error an answer is."""
    return str(answer.json()["error"]["kind"])


def spoken(running: Served, request: bytes, *, wait: float = 5.0) -> bytes:
    """Send bytes as they are and return everything that comes back."""
    with socket.create_connection(("127.0.0.1", port_of(running)), timeout=wait) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found
