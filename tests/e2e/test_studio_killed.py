"""A studio that is killed in the middle of a job, or whose disk is full, is whole afterwards."""

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.studio_served import ended, events_of, served, studio_process

from segue.studio import store as store_module
from segue.symbolic.demo_piece import demo_piece

pytestmark = pytest.mark.slow


def upload(client: httpx.Client, name: str = "mine.mid") -> httpx.Response:
    return client.post("/api/midi/pieces", params={"name": name}, content=demo_piece("trio"))


def ask(client: httpx.Client, piece: str, **more: Any) -> dict[str, Any]:
    settings = {"piece": piece, "bars": "3", "tracks": [0], "candidates": 1, "seed": 1, **more}
    return client.post("/api/midi/inpaint", json=settings).raise_for_status().json()


def test_killed_in_the_middle_and_started_again(tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    with studio_process(folder) as (url, process), httpx.Client(base_url=url, timeout=60) as client:
        piece = upload(client).json()["id"]
        done = ended(client, ask(client, piece)["id"])
        long = client.post("/api/midi/outpaint", json={"piece": piece, "bars": 64, "candidates": 8})
        waiting = ask(client, piece)
        names = [name for _, name, _ in events_of(url, long.json()["id"], most=4)]
        assert "begin" in names or "notes" in names
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    half = folder / "staging" / "0123456789abcdef"
    half.mkdir(exist_ok=True)
    (half / "piece.mid").write_bytes(b"half")
    made = done["result"]["candidates"][0]["piece"]
    damaged = folder / "items" / "fedcba9876543210"
    shutil.copytree(folder / "items" / made, damaged)
    (damaged / "item.json").write_bytes(b"\0" * 100)

    with studio_process(folder) as (url, _), httpx.Client(base_url=url, timeout=60) as client:
        for job in (long.json()["id"], waiting["id"]):
            found = client.get(f"/api/jobs/{job}").json()
            assert (found["state"], found["error"]["kind"]) == ("interrupted", "internal")
            assert events_of(url, job)[-1][1:] == ("end", {"state": "interrupted"})
        assert client.get(f"/api/jobs/{done['id']}").json() == done
        assert {item["id"] for item in client.get("/api/shelf").json()} == {piece, made}
        assert client.get(f"/api/midi/pieces/{piece}/file").content == demo_piece("trio")
        assert client.get(f"/api/midi/pieces/{made}").status_code == 200
        assert client.get("/api/midi/pieces/fedcba9876543210").status_code == 404
        again = ended(client, ask(client, piece)["id"])
        assert again["state"] == "done"
        files = [
            client.get(f"/api/midi/pieces/{job['result']['candidates'][0]['piece']}/file").content
            for job in (done, again)
        ]
        assert files[0] == files[1]
        assert not half.exists()


def test_a_full_disk_is_said_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    flush = store_module._flush
    with served(tmp_path) as studio, httpx.Client(base_url=studio.url, timeout=60) as client:
        piece = upload(client).json()["id"]
        monkeypatch.setattr(store_module, "_flush", full)
        refused = upload(client)
        failed = ended(client, ask(client, piece)["id"])
        monkeypatch.setattr(store_module, "_flush", flush)
        assert (refused.status_code, refused.json()["error"]["kind"]) == (413, "too_large")
        assert (failed["state"], failed["error"]["kind"]) == ("failed", "too_large")
        for told in (refused.json()["error"], failed["error"]):
            assert "is full" in told["message"]
            assert str(tmp_path) not in told["message"]
        assert [item["id"] for item in client.get("/api/shelf").json()] == [piece]
        assert ended(client, ask(client, piece)["id"])["state"] == "done"


def test_files_that_went_missing_are_said_not_suffered(tmp_path: Path) -> None:
    with served(tmp_path) as studio, httpx.Client(base_url=studio.url, timeout=60) as client:
        whole, emptied, gone = (upload(client).json()["id"] for _ in range(3))
    for path in (tmp_path / "items" / emptied).iterdir():
        if path.name != "item.json":
            path.write_bytes(b"\0")
    for path in (tmp_path / "items" / gone).iterdir():
        if path.name != "item.json":
            path.unlink()
    with served(tmp_path) as studio, httpx.Client(base_url=studio.url, timeout=60) as client:
        assert len(client.get("/api/shelf").json()) == 3
        assert client.get(f"/api/midi/pieces/{whole}").status_code == 200
        for item, status in ((emptied, 400), (gone, 404)):
            for path in ("", "/sound", "/picture"):
                answer = client.get(f"/api/midi/pieces/{item}{path}")
                assert answer.status_code == status
                assert str(tmp_path) not in answer.text
            assert client.delete(f"/api/shelf/{item}").status_code == 204
