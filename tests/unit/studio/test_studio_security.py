"""Who is let in and what goes out: names, origins, the token, sizes, headers, messages, files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from tests.studio_served import Served, add_traps, kind, port_of, served, spoken
from typer.testing import CliRunner

from segue.cli import main as cli
from segue.cli import studio as command
from segue.errors import SettingError
from segue.studio import pages
from segue.studio.api_page import described
from segue.studio.context import StudioSettings
from segue.studio.limits import Limits
from segue.studio.problems import INTERNAL_MESSAGE, Forbidden, describe, without_paths
from segue.studio.security import HEADERS, POLICY, Doors, check_names, is_loopback
from segue.studio.server import bind

TOKEN = "a-token-of-enough-length"
OWN = "127.0.0.1:8765"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("open"),
        limits=Limits(midi_bytes=1000, json_bytes=500, request_seconds=0.5),
    ) as running:
        add_traps(running)
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("guarded"), token=TOKEN) as running:
        yield running


# Names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "known"),
    [
        (OWN, True), ("localhost:8765", True), ("LOCALHOST:8765", True), ("[::1]:8765", True),
        ("127.0.0.1", False), ("127.0.0.1:80", False), ("localhost", False),
        ("evil.example:8765", False), ("127.0.0.1.evil.example:8765", False),
        ("localhost.evil.example:8765", False), ("evil.example", False), ("", False),
        (":8765", False), ("127.0.0.1:8765:8765", False), ("user@127.0.0.1:8765", False),
        ("0.0.0.0:8765", False), ("127.0.0.1:8765 ", False), ("192.168.1.5:8765", False),
    ],
)  # fmt: skip
def test_a_studio_on_loopback_knows_its_own_names_only(host: str, known: bool) -> None:
    assert Doors("127.0.0.1", 8765).knows(host) is known


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.168.1.5:8765", True), ("[fe80::1]:8765", True), (OWN, True),
        ("evil.example:8765", False), ("192.168.1.5:80", False),
    ],
)  # fmt: skip
def test_a_studio_on_every_address_knows_addresses_but_no_names(host: str, known: bool) -> None:
    assert Doors("0.0.0.0", 8765).knows(host) is known


def test_further_names_are_known_with_and_without_a_port() -> None:
    doors = Doors("127.0.0.1", 8765, ("studio.example", "other.example:8443"))
    known = ["studio.example", "Studio.Example:443", "other.example:8443"]
    assert all(map(doors.knows, known))
    unknown = ["xstudio.example", "studio.example.evil", "other.example", "other.example:1"]
    assert not any(map(doors.knows, unknown))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.x"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def refused(headers: dict[str, str], *, method: str = "GET", path: str = "/api/jobs") -> bool:
    try:
        check_names(
            Headers({"host": OWN, **headers}), Doors("127.0.0.1", 8765), method=method, path=path
        )
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:8766", "",
     "http://localhost:8765", "file://", "http://127.0.0.1:8765.evil.example",
     "http://[", "ftp://127.0.0.1:8765", "http://127.0.0.1:8765@evil.example"],
)  # fmt: skip
def test_other_origins_are_refused(origin: str) -> None:
    assert refused({"origin": origin}, method="POST")
    assert refused({"origin": origin})


def test_the_own_origin_is_let_in() -> None:
    for scheme in ("http", "https"):
        assert not refused({"origin": f"{scheme}://{OWN}"}, method="POST")
    assert not refused({})


def test_other_sites_reach_the_first_page_by_a_link_only() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    document = {**link, "sec-fetch-dest": "document"}
    assert not refused(document, path="/")
    assert refused(document, path="/api/jobs")
    assert refused(document, path="/", method="POST")
    assert refused({**link, "sec-fetch-dest": "iframe"}, path="/")
    assert refused({**document, "sec-fetch-site": "same-site"})
    assert refused({"sec-fetch-site": "cross-site"}, path="/static/app.js")
    for site in ("same-origin", "none"):
        assert not refused({"sec-fetch-site": site}, method="DELETE")


def test_a_name_that_leads_here_is_refused_on_every_path(studio: Served) -> None:
    for path in ("/", "/api/jobs", "/static/app.js", "/nothing", "/api/openapi.json"):
        answer = httpx.get(studio.url + path, headers={"host": "evil.example"})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_two_host_headers_are_refused(studio: Served) -> None:
    own = f"127.0.0.1:{port_of(studio)}"
    found = spoken(
        studio,
        f"GET / HTTP/1.1\r\nHost: {own}\r\nHost: {own}\r\nConnection: close\r\n\r\n".encode(),
    )
    assert found.split(b" ")[1] in (b"400", b"403")


def test_two_host_headers_are_refused_whatever_the_server_makes_of_them() -> None:
    raw = [(b"host", OWN.encode()), (b"host", OWN.encode())]
    with pytest.raises(Forbidden):
        check_names(Headers(raw=raw), Doors("127.0.0.1", 8765), method="GET", path="/")


def test_a_websocket_is_refused(studio: Served) -> None:
    answer = httpx.get(
        f"{studio.url}/api/jobs",
        headers={
            "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "origin": "http://evil.example",
        },
    )  # fmt: skip
    assert answer.status_code == 403


# The token --------------------------------------------------------------------------------------


def test_without_the_token_nothing_is_given(guarded: Served) -> None:
    for path in ("/", "/api/jobs", "/static/app.js", "/api", "/api/openapi.json", "/nothing"):
        for headers in (
            {}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN},
            {"authorization": f"Basic {TOKEN}"}, {"cookie": f"segue-studio-1={TOKEN}"},
            {"cookie": f"segue-studio-{port_of(guarded)}={TOKEN}"},
            {"authorization": "Bearer \u00e9".encode("latin-1")},
        ):  # fmt: skip
            answer = httpx.get(guarded.url + path, headers=headers)
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["content-security-policy"] == POLICY
            assert TOKEN not in answer.text
    assert httpx.get(f"{guarded.url}/api/jobs?token={TOKEN}").status_code == 401


def test_the_token_opens_as_bearer_and_as_cookie(guarded: Served) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{guarded.url}/api/jobs", headers=bearer).json() == []
    with httpx.Client() as browser:
        entrance = browser.get(f"{guarded.url}/?token={TOKEN}")
        assert (entrance.status_code, entrance.headers["location"]) == (303, "/")
        cookie = entrance.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert browser.get(f"{guarded.url}/api/jobs").json() == []
        assert browser.get(guarded.url).status_code == 200


def test_who_comes_by_a_link_enters_by_a_page_of_the_studio(guarded: Served) -> None:
    link = {
        "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document",
    }  # fmt: skip
    answer = httpx.get(f"{guarded.url}/?token={TOKEN}", headers=link)
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert TOKEN not in answer.text
    assert "set-cookie" in answer.headers


def test_a_wrong_token_at_the_entrance_is_refused(guarded: Served) -> None:
    for token in ("", "wrong", TOKEN[:-1], TOKEN + "x", "%00", "\u00e9"):
        answer = httpx.get(f"{guarded.url}/", params={"token": token})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


def test_the_cookie_is_kept_to_encrypted_ways_where_there_is_one(guarded: Served) -> None:
    answer = httpx.get(f"{guarded.url}/?token={TOKEN}", headers={"x-forwarded-proto": "https"})
    assert "; secure" in answer.headers["set-cookie"].lower()


def test_short_tokens_are_refused() -> None:
    for token in ("short", "has a space in it and more", "\u00e9" * 20):
        result = CliRunner().invoke(cli.app, ["studio", "--token", token])
        assert isinstance(result.exception, SettingError)
    with pytest.raises(ValueError, match="token"):
        StudioSettings(folder=Path("x"), token="short")


def test_serving_others_makes_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: list[StudioSettings] = []
    monkeypatch.setattr(
        command,
        "_serve",
        lambda settings, listener, **_: (listener.close(), found.append(settings)),
    )
    for host in ("127.0.0.1", "0.0.0.0", "0.0.0.0"):
        arguments = ["studio", "--host", host, "--port", "0", "--folder", str(tmp_path)]
        result = CliRunner().invoke(cli.app, arguments)
        assert result.exit_code == 0, result
    own, first, second = (settings.token for settings in found)
    assert own is None
    assert first is not None
    assert second is not None
    assert first != second
    assert len(first) >= 32


def test_a_further_name_means_others_and_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: list[StudioSettings] = []
    monkeypatch.setattr(
        command,
        "_serve",
        lambda settings, listener, **_: (listener.close(), found.append(settings)),
    )
    arguments = ["studio", "--port", "0", "--folder", str(tmp_path), "--allow-host", "A.example"]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    given = {"SEGUE_STUDIO_TOKEN": TOKEN}
    assert CliRunner().invoke(cli.app, arguments, env=given).exit_code == 0
    assert found[0].allow_hosts == ("a.example",)
    assert found[0].token is not None
    assert found[1].token == TOKEN


def test_behind_a_proxy_the_further_name_is_the_own_one(tmp_path: Path) -> None:
    with served(tmp_path, allow_hosts=("studio.example",), token=TOKEN) as running:
        headers = {
            "host": "studio.example", "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7",
            "authorization": f"Bearer {TOKEN}", "sec-fetch-site": "same-origin",
        }  # fmt: skip
        own = {**headers, "origin": "https://studio.example"}
        assert httpx.get(f"{running.url}/api/jobs", headers=own).status_code == 200
        other = {**headers, "origin": "https://other.example"}
        assert httpx.get(f"{running.url}/api/jobs", headers=other).status_code == 403


# What goes out ----------------------------------------------------------------------------------


def test_every_answer_has_the_headers(studio: Served) -> None:
    answers = [
        httpx.get(studio.url),
        httpx.get(f"{studio.url}/static/app.js"),
        httpx.get(f"{studio.url}/nothing"),
        httpx.post(studio.url),
        httpx.get(f"{studio.url}/api"),
        httpx.get(f"{studio.url}/api/trap/bug"),
        httpx.get(studio.url, headers={"host": "evil"}),
        httpx.post(f"{studio.url}/api/trap/read", content=b"x" * 600),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 405, 200, 500, 403, 413]
    for answer in answers:
        for name, value in HEADERS.items():
            if name != "cache-control":
                assert answer.headers[name] == value
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_errors_have_one_form_and_tell_no_paths(
    studio: Served, caplog: pytest.LogCaptureFixture
) -> None:
    bug = httpx.get(f"{studio.url}/api/trap/bug")
    assert bug.json() == {"error": {"kind": "internal", "message": INTERNAL_MESSAGE}}
    assert "ZeroDivisionError" in caplog.text
    bundle = httpx.get(f"{studio.url}/api/trap/bundle").json()["error"]
    assert bundle["kind"] == "data"
    assert "/srv" not in bundle["message"]
    for answer in (httpx.get(f"{studio.url}/nothing"), httpx.put(f"{studio.url}/api/jobs")):
        assert set(answer.json()["error"]) == {"kind", "message"}


def test_paths_are_cut_down_to_their_last_part(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with spaces"
    told = describe(
        SettingError(f"Cannot write {folder}/items/x.mid: no. See /var/lib/y."), folders=[folder]
    )
    assert told == {"kind": "setting", "message": "Cannot write x.mid: no. See y."}
    assert without_paths("C:\\Users\\me\\x.wav is bad") == "x.wav is bad"
    for plain in ("4/4 or 6/8", "bars 1-2 and/or 3", "http://example.org/a/b", "a / b / c"):
        assert without_paths(plain) == plain


def test_no_path_of_the_server_is_readable(studio: Served) -> None:
    own = f"127.0.0.1:{port_of(studio)}"
    for path in (
        "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/../../etc/passwd",
        "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/..\\app.py", "//etc/passwd",
        "/static/%00", "/static/", "/static/.", "/static/app.py", "/static/index.html%00.js",
        "/api/reports/..%2f..%2fsecret", "/api/models/..%2f..%2fsecret", "/api/jobs/..%2fx/events",
        "/api/midi/pieces/..%2f..%2fx/file", "/api/audio/recordings/..%2f..%2fx/file",
    ):  # fmt: skip
        request = f"GET {path} HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"
        found = spoken(studio, request.encode())
        assert found.split(b" ")[1] in (b"400", b"404", b"422"), path
        assert b"root:" not in found
        assert b"import" not in found


def test_files_of_the_page_have_types_and_are_asked_for_again(studio: Served) -> None:
    for name, kind_ in (("", "text/html"), ("static/app.js", "text/javascript"),
                        ("static/studio.css", "text/css"), ("favicon.ico", "image/svg+xml")):  # fmt: skip
        first = httpx.get(f"{studio.url}/{name}")
        assert first.headers["content-type"].startswith(kind_)
        assert first.headers["cache-control"] == "no-cache"
        etag = first.headers["etag"]
        again = httpx.get(f"{studio.url}/{name}", headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")


def test_only_files_of_the_folder_with_known_types_are_given(
    studio: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "a.py").write_text("1")
    (tmp_path / ".hidden.js").write_text("1")
    (tmp_path / "folder.js").mkdir()
    statuses = [
        httpx.get(f"{studio.url}/static/{name}").status_code
        for name in ("a.js", "a.py", ".hidden.js", "folder.js")
    ]
    assert statuses == [200, 404, 404, 404]
    (tmp_path / "a.js").write_text("22")
    assert httpx.get(f"{studio.url}/static/a.js").text == "22"


def test_the_head_of_an_answer_is_that_of_the_answer(studio: Served) -> None:
    with httpx.Client(base_url=studio.url, timeout=60) as client:
        for path in ("/", "/static/studio.css", "/api", "/api/info", "/api/openapi.json"):
            head, whole = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers == whole.headers
        assert client.head("/api/jobs/0123456789abcdef").status_code == 404
        assert client.head("/api/jobs/0123456789abcdef/events").status_code == 405
        assert client.head("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_the_description_is_offline_and_complete(studio: Served) -> None:
    document = httpx.get(f"{studio.url}/api/openapi.json").json()
    page = httpx.get(f"{studio.url}/api").text
    assert "http://" not in page
    assert "https://" not in page
    for path, operations in document["paths"].items():
        assert path in page
        for name, operation in operations.items() if "/trap/" not in path else ():
            assert operation["summary"]
            assert operation["description"]
            answers = operation["responses"]
            assert answers["default"]["content"]["application/json"]["schema"]["$ref"]
            good = next(
                answers[status] for status in ("200", "201", "202", "204") if status in answers
            )
            assert "204" in answers or good["content"], (name, path)
            for parameter in operation.get("parameters", []):
                assert parameter["schema"]
    for gone in ("/docs", "/redoc", "/openapi.json"):
        assert httpx.get(studio.url + gone).status_code == 404


def test_the_description_escapes_what_it_shows() -> None:
    evil = "<script>x</script>"
    item = {"summary": evil, "parameters": [{"name": evil, "schema": {"default": evil}}]}
    document = {
        "info": {"title": evil, "description": evil},
        "paths": {evil: {"get": item}},
        "components": {"schemas": {evil: {"description": evil, "properties": {evil: {}}}}},
    }
    assert "<script>x" not in described(document)


# The door ---------------------------------------------------------------------------------------


def test_a_taken_port_leads_to_the_next_unless_it_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("segue.studio.server.DEFAULT_PORT", port)
        with bind("127.0.0.1", None) as listener:
            assert port < listener.getsockname()[1] < port + 20
        with pytest.raises(SettingError, match=f"port {port}"):
            bind("127.0.0.1", port)


def test_an_address_of_another_computer_is_refused() -> None:
    with pytest.raises(SettingError, match="--host"):
        bind("192.0.2.1", 0)
    with pytest.raises(SettingError, match="--host"):
        bind("no-such-name.invalid", 0)


def test_the_studio_is_on_loopback_by_default(tmp_path: Path) -> None:
    assert StudioSettings(folder=tmp_path).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8765/"), ("0.0.0.0", "http://127.0.0.1:8765/"),
        ("::", "http://[::1]:8765/"), ("localhost", "http://localhost:8765/"),
    ],
)  # fmt: skip
def test_the_address_to_open(tmp_path: Path, host: str, address: str) -> None:
    assert command.address_of(StudioSettings(folder=tmp_path, host=host)) == address


def test_answers_about_values_name_them(studio: Served) -> None:
    app: Any = studio.server.config.app

    @app.get("/api/trap/number")
    def number(bars: int) -> int:
        return bars

    answer = httpx.get(f"{studio.url}/api/trap/number?bars=many")
    assert (answer.status_code, kind(answer)) == (422, "setting")
    assert "bars" in json.loads(answer.text)["error"]["message"]
