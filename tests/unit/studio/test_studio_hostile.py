"""Every operation of the interface, with nonsense for everything it takes: refused, never failed."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.studio_served import Served, served

from segue.studio.limits import Limits

ID = "0123456789abcdef"
IDS = (ID, "...", "%2e%2e%2fitem.json", "x" * 300, "%00", "\u00e9", "a%0d%0aSet-Cookie:%20x=1")
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e308, "", "-", "9-1", "1-999999999", "0-0", "nan", "\0", "\ud800", "x" * 5000,
    "../../etc/passwd", "/etc/passwd", [], [[]], [-1], [10**30], ["../x"], {}, {"a": {}}, "5/0", "4/4",
)  # fmt: skip
TEXTS = (
    "", "-1", "nan", "inf", "-inf", "1e308", "x" * 5000, "../../etc/passwd", "%00", "0,-1", "1,,2", "\u0661",
)  # fmt: skip


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("hostile"), limits=Limits(waiting_jobs=1)) as running:
        yield running


@pytest.fixture(scope="module")
def client(studio: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=studio.url, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    return client.get("/api/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def check(answer: httpx.Response, folder: Path, *, may_succeed: bool = False) -> None:
    """Fail where an answer is a failure, or tells of the server."""
    told = (answer.request.method, str(answer.request.url)[:200], answer.request.content[:200])
    assert answer.status_code < 500 or answer.status_code == 503, (told, answer.text[:500])
    assert may_succeed or answer.status_code >= 400, told
    assert "x" not in answer.cookies
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"kind", "message"}
        assert str(folder) not in error["message"]
        assert "Traceback" not in error["message"]


def filled(path: str, value: str) -> str:
    for name in ("job_id", "item", "name"):
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path
    return path


def test_nonsense_ids(studio: Served, client: httpx.Client, document: dict[str, Any]) -> None:
    for method, path, _ in operations(document):
        for value in IDS if "{" in path else ():
            answer = client.request(method, filled(path, value))
            check(answer, studio.studio.settings.folder)


def test_nonsense_parameters(
    studio: Served, client: httpx.Client, document: dict[str, Any]
) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            for text in TEXTS if parameter["in"] == "query" else ():
                answer = client.request(
                    method, filled(path, ID), params={parameter["name"]: text}, content=b"x"
                )
                check(answer, studio.studio.settings.folder, may_succeed=path.endswith("/demo"))


def test_nonsense_settings(studio: Served, client: httpx.Client, document: dict[str, Any]) -> None:
    piece = client.post("/api/midi/pieces/demo").json()["id"]
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        form = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        needed = {"piece": piece, "recording": ID, "bars": "1"}
        base = {name: value for name, value in needed.items() if name in form["properties"]}
        for name, value in itertools.product(form["properties"], VALUES):
            body = json.dumps({**base, name: value})
            answer = client.request(method, path, content=body)
            check(answer, studio.studio.settings.folder, may_succeed=True)
            if answer.status_code == 202:
                client.delete(f"/api/jobs/{answer.json()['id']}")


def test_nonsense_bodies(studio: Served, client: httpx.Client, document: dict[str, Any]) -> None:
    bodies = (
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"a":' * 5000,
        b"MThd",
        b"RIFF",
    )
    for method, path, _ in operations(document):
        for body in bodies if method == "post" and "{" not in path else ():
            answer = client.request(method, path, content=body)
            check(answer, studio.studio.settings.folder, may_succeed=path.endswith("/demo"))
    kept = client.get("/api/shelf").json()
    assert [item for item in kept if item["kind"] == "recording"] == []
