"""How much is taken in: sizes of bodies, slow ones, many at once; where limits come from."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from tests.studio_served import Served, add_traps, kind, port_of, served, spoken

from segue.errors import SettingError
from segue.studio import server as server_module
from segue.studio.limits import Limits, check_at_most, limits_from
from segue.studio.problems import TooLarge


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(midi_bytes=1000, json_bytes=500, request_seconds=0.5)
    with served(tmp_path_factory.mktemp("limited"), limits=limits) as running:
        add_traps(running)
        yield running


def test_the_page_of_the_docs_lists_every_limit() -> None:
    page = Path(__file__).parents[3] / "docs" / "howto" / "studio.md"
    rows = dict(
        line.strip("| ").split(" | ")[:2]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and line.count("|") == 4
    )
    told = {name.strip("`"): default.replace(",", "") for name, default in rows.items()}
    assert told == {
        name: f"{value:g}" if value < 1000 else f"{value:.0f}" for name, value in Limits()
    }


def test_a_body_that_says_it_is_too_large_is_refused_unread(studio: Served) -> None:
    own = f"127.0.0.1:{port_of(studio)}"
    head = f"POST /api/trap/read HTTP/1.1\r\nHost: {own}\r\nContent-Length: 99999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(studio)), timeout=5) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(65536)


@pytest.mark.parametrize("route", ["read", "swallow"])
def test_a_body_that_grows_too_large_is_refused_while_it_comes(studio: Served, route: str) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            sent.append(1)
            yield b"x" * 100

    sent: list[int] = []
    answer = httpx.post(f"{studio.url}/api/trap/{route}", content=parts())
    assert (answer.status_code, kind(answer)) == (413, "too_large")
    assert "500 bytes" in answer.json()["error"]["message"]


def test_a_body_at_the_limit_is_taken(studio: Served) -> None:
    assert httpx.post(f"{studio.url}/api/trap/read", content=b"x" * 500).json() == 500


@pytest.mark.parametrize("length", ["-1", "1e3", "+5", "\u0665"])
def test_odd_lengths_are_refused(studio: Served, length: str) -> None:
    own = f"127.0.0.1:{port_of(studio)}"
    head = f"POST /api/trap/read HTTP/1.1\r\nHost: {own}\r\nContent-Length: {length}\r\n"
    found = spoken(studio, f"{head}Connection: close\r\n\r\n".encode())
    assert found.split(b" ")[1] in (b"400", b"413")


def test_a_body_that_comes_too_slowly_is_given_up(studio: Served) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x"
            time.sleep(0.05)

    began = time.monotonic()
    answer = httpx.post(f"{studio.url}/api/trap/read", content=parts())
    assert (answer.status_code, kind(answer)) == (503, "busy")
    assert time.monotonic() - began < 5


def test_deeply_nested_settings_are_refused(studio: Served) -> None:
    app: Any = studio.server.config.app

    @app.post("/api/trap/settings")
    async def settings(given: dict[str, Any]) -> int:
        return len(given)

    limited = studio.studio.limits.json_bytes
    for body in (b"[" * limited, b"{", b"\xff\xfe", b"null", b"3", b'{"a": ' * 80):
        answer = httpx.post(f"{studio.url}/api/trap/settings", content=body)
        assert answer.status_code in (400, 422)
        assert kind(answer) in ("setting", "data")


def test_too_many_requests_at_once_are_refused(tmp_path: Path) -> None:
    with served(tmp_path, limits=Limits(requests=1)) as studio:
        app: Any = studio.server.config.app
        inside, leave = threading.Event(), threading.Event()

        @app.get("/api/trap/slow")
        def slow() -> int:
            inside.set()
            leave.wait(10)
            return 1

        first = threading.Thread(target=httpx.get, args=(f"{studio.url}/api/trap/slow",))
        first.start()
        assert inside.wait(5)
        answer = httpx.get(f"{studio.url}/api/jobs")
        leave.set()
        first.join()
        assert (answer.status_code, kind(answer)) == (503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(f"{studio.url}/api/jobs").status_code == 200


def test_too_much_that_comes_in_at_once_is_refused(tmp_path: Path) -> None:
    def slowly() -> Iterator[bytes]:
        yield b"x"
        begun.set()
        leave.wait(10)

    begun, leave = threading.Event(), threading.Event()
    limits = Limits(json_bytes=1000, incoming_bytes=1500)
    with served(tmp_path, limits=limits) as studio:
        add_traps(studio)
        url = f"{studio.url}/api/trap/read"
        found: list[int] = []
        first = threading.Thread(
            target=lambda: found.append(httpx.post(url, content=slowly(), timeout=20).json())
        )
        first.start()
        assert begun.wait(5)
        time.sleep(0.1)
        assert httpx.post(url, content=b"x" * 400).json() == 400
        assert httpx.get(f"{studio.url}/api/jobs").status_code == 200
        refused = httpx.post(url, content=b"x" * 600)
        leave.set()
        first.join()
        assert (refused.status_code, kind(refused)) == (503, "busy")
        assert found == [1]
        assert httpx.post(url, content=b"x" * 600).json() == 600


def asking(studio: Served, request: str) -> socket.socket:
    """Ask, and take nothing of the answer."""
    connection = socket.create_connection(("127.0.0.1", port_of(studio)), timeout=5)
    host = f"Host: 127.0.0.1:{port_of(studio)}"
    connection.sendall(f"{request} HTTP/1.1\r\n{host}\r\n\r\n".encode())
    return connection


def test_large_answers_that_nobody_takes_do_not_fill_the_memory(tmp_path: Path) -> None:
    size = 12_000_000
    with served(tmp_path, limits=Limits(outgoing_bytes=size // 2)) as studio:
        app: Any = studio.server.config.app

        @app.get("/api/trap/large")
        async def large() -> Response:
            return Response(b"x" * size)

        slow = asking(studio, "GET /api/trap/large")
        slow.recv(1)
        refused = httpx.get(f"{studio.url}/api/trap/large")
        assert (refused.status_code, kind(refused)) == (503, "busy")
        assert httpx.get(f"{studio.url}/api/jobs").status_code == 200
        slow.close()
        deadline = time.monotonic() + 5
        while (answer := httpx.get(f"{studio.url}/api/trap/large")).status_code == 503:
            assert time.monotonic() < deadline
        assert answer.content == b"x" * size


def test_a_connection_without_a_request_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LOOK_SECONDS", 0.3)
    with served(tmp_path) as studio, httpx.Client(base_url=studio.url) as client:
        app: Any = studio.server.config.app

        @app.get("/api/trap/slow")
        def slow() -> int:
            time.sleep(1.5)
            return 1

        with (
            socket.create_connection(("127.0.0.1", port_of(studio)), timeout=5) as silent,
            socket.create_connection(("127.0.0.1", port_of(studio)), timeout=5) as halting,
        ):
            halting.sendall(b"GET /api/jobs HT")
            assert client.get("/api/trap/slow").json() == 1
            for connection in (silent, halting):
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
            assert client.get("/api/jobs").status_code == 200


def test_no_more_connections_are_open_than_allowed(tmp_path: Path) -> None:
    with served(tmp_path, limits=Limits(connections=2)) as studio:
        kept = [asking(studio, "GET /api/jobs") for _ in range(2)]
        assert all(connection.recv(9) == b"HTTP/1.1 " for connection in kept)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{studio.url}/api/jobs")
        kept.pop().close()
        time.sleep(0.2)
        assert httpx.get(f"{studio.url}/api/jobs").status_code == 200
        kept.pop().close()


def test_limits_come_from_the_environment_and_from_options() -> None:
    environment = {"SEGUE_STUDIO_BARS": "12", "SEGUE_STUDIO_AUDIO_BYTES": "7", "OTHER": "x"}
    limits = limits_from(["bars=16"], environment=environment)
    assert (limits.bars, limits.audio_bytes, limits.midi_bytes) == (16, 7, Limits().midi_bytes)
    for wrong in ("bras=3", "bars=0", "bars=many"):
        with pytest.raises(SettingError, match="bars"):
            limits_from([wrong], environment={})


def test_what_is_above_a_limit_is_refused() -> None:
    assert check_at_most(8, 8, "bars") == 8
    with pytest.raises(TooLarge, match=r"9 bars in one job .* at most 8"):
        check_at_most(9, 8, "bars in one job")
