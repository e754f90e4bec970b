"""A web server on this machine that gives files, cuts connections and lies when told to."""

import contextlib
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Loopback:
    """What the server gives, how it misbehaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    # Bytes after which the connection is cut, one per request; whole answers afterwards.
    cuts: list[int] = field(default_factory=list)
    # HTTP status per request before files are given.
    statuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    tells_length: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    num_sent: int = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server_loopback: Loopback

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._answer(self.server_loopback)

    def _answer(self, loopback: Loopback) -> None:
        wanted = self.headers.get("Range")
        loopback.asked.append((self.path, wanted))
        if loopback.statuses:
            self._empty(loopback.statuses.pop(0))
            return
        if self.path in loopback.redirects:
            self._empty(302, {"Location": loopback.redirects[self.path]})
            return
        if self.path not in loopback.files:
            self._empty(404)
            return
        content = loopback.files[self.path]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and loopback.ranges else 0
        if start >= len(content) > 0:
            self._empty(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        self.send_response(206 if start else 200)
        headers = {"Content-Type": "application/zip"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if loopback.tells_length:
            headers["Content-Length"] = str(len(content) - start)
        for name, value in (headers | loopback.headers).items():
            self.send_header(name, value)
        self.end_headers()
        body = content[start:]
        if loopback.cuts:
            body = body[: loopback.cuts.pop(0)]
        loopback.num_sent += len(body)
        self.wfile.write(body)

    def _empty(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve() -> Iterator[Loopback]:
    """Run the server while the block runs."""
    loopback = Loopback()
    handler = type("Handler", (_Handler,), {"server_loopback": loopback})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        loopback.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield loopback
        finally:
            server.shutdown()
            thread.join()


def digest(content: bytes, algorithm: str = "sha256") -> str:
    """The hash of some bytes as a corpus states it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def tar_of(
    files: Mapping[str, bytes], mode: str = "w:gz", *, special: tarfile.TarInfo | None = None
) -> bytes:
    """A tar archive of some files; `special` is a member of its own at the end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as pack:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            pack.addfile(member, io.BytesIO(content))
        if special is not None:
            pack.addfile(special)
    return buffer.getvalue()


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of some files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as pack:
        for name, content in members.items():
            pack.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()
