"""How the studio starts and ends: at once, with one paragraph where it cannot, cleanly on Ctrl-C."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.studio_served import events_of, served, studio_process

from segue.errors import BundleError
from segue.studio import app as app_module
from segue.symbolic.demo_piece import demo_piece

pytestmark = pytest.mark.slow


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "segue", "studio", "--no-open", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def log_of(folder: Path) -> str:
    return (folder.parent / f"{folder.name}.log").read_text()


def seconds_to_first_page(folder: Path) -> float:
    began = time.monotonic()
    with studio_process(folder) as (url, _):
        assert "<html" in httpx.get(url).text
        return time.monotonic() - began


def test_the_first_page_comes_soon(tmp_path: Path) -> None:
    first = seconds_to_first_page(tmp_path / "first")
    assert first < 2.0 or seconds_to_first_page(tmp_path / "second") < 2.0


def test_help_loads_no_server() -> None:
    code = "import sys, segue.cli.main; print(sorted({'fastapi', 'uvicorn'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_in_the_middle_of_a_job(tmp_path: Path, sent: signal.Signals) -> None:
    folder = tmp_path / "studio"
    with studio_process(folder) as (url, process), httpx.Client(base_url=url, timeout=60) as client:
        piece = client.post("/api/midi/pieces?name=a.mid", content=demo_piece("trio")).json()["id"]
        ask = {"piece": piece, "bars": 64, "candidates": 8}
        job = client.post("/api/midi/outpaint", json=ask).json()["id"]
        heard: list[Any] = []
        follower = threading.Thread(target=lambda: heard.extend(events_of(url, job)))
        follower.start()
        events_of(url, job, most=3)
        began = time.monotonic()
        process.send_signal(sent)
        process.wait(30)
        follower.join(10)
        assert time.monotonic() - began < 15
    assert heard[-1][1:] == ("end", {"state": "interrupted"})
    assert process.returncode == (0 if sent == signal.SIGINT else -signal.SIGTERM)
    log = log_of(folder)
    assert "Traceback" not in log
    assert "terminate called" not in log
    with served(folder) as studio:
        assert httpx.get(f"{studio.url}/api/jobs/{job}").json()["state"] == "interrupted"


def test_it_ends_cleanly_while_models_are_opened(tmp_path: Path) -> None:
    for index, pause in enumerate((0.0, 0.5)):
        folder = tmp_path / str(index)
        with studio_process(folder) as (_, process):
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        assert "terminate called" not in log_of(folder)
        assert "Traceback" not in log_of(folder)


def test_a_second_studio_names_the_first(tmp_path: Path) -> None:
    with studio_process(tmp_path / "studio") as (url, _):
        result = run("--port", "0", "--folder", str(tmp_path / "studio"))
    assert result.returncode == 2
    assert url in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--bundle", "{folder}"), "bundle"),
        (("--report", "{folder}/none"), "no folder"),
        (("--limit", "bras=3"), "bars"),
        (("--folder", "{folder}/file"), "--folder"),
        (("--host", "192.0.2.1"), "--host"),
    ],
)
def test_what_it_cannot_start_with_is_said(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "file").write_text("")
    given = [argument.format(folder=tmp_path) for argument in arguments]
    folder = [] if "--folder" in given else ["--folder", str(tmp_path / "studio")]
    result = run("--port", "0", *folder, *given)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_the_page_does_not_wait_for_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, go_on = app_module._complete, threading.Event()

    def slowly(app: Any) -> None:
        assert go_on.wait(20)
        complete(app)

    monkeypatch.setattr(app_module, "_complete", slowly)
    with served(tmp_path) as studio:
        assert httpx.get(studio.url).status_code == 200
        found: list[int] = []
        path = f"{studio.url}/api/midi/pieces/{'0' * 16}"
        asking = threading.Thread(target=lambda: found.append(httpx.get(path).status_code))
        asking.start()
        asking.join(0.2)
        assert found == []
        go_on.set()
        asking.join(20)
        assert found == [404]


def test_a_failure_after_the_start_ends_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> None:
        raise BundleError("It is damaged.")

    monkeypatch.setattr(app_module, "_complete", broken)
    with served(tmp_path) as studio:
        studio.thread.join(20)
        assert not studio.thread.is_alive()
        with pytest.raises(BundleError, match="damaged"):
            studio.server.check()
