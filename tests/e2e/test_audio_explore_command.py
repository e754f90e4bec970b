"""`segue audio explore` as a person calls it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.sounds import music

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_folder_becomes_a_page(run_segue: Run, tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a/1.ogg", "b/2.mp3", "b/3.flac"], seconds=1.2)
    (folder / "b" / "broken.mp3").write_bytes(bytes(3000))
    (folder / "b" / "text.wav").write_text("not sound")
    result = run_segue("audio", "explore", folder, "-o", "out", "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "out/index.html\n"
    assert "3 of 5 files, 0.00 hours\n" in result.stderr
    assert "left out: 2 cannot be read\n" in result.stderr
    assert "Note:" not in result.stderr  # what the MP3 decoder says is nobody's business
    assert "http://" not in (tmp_path / "out" / "index.html").read_text("utf-8")
    options = ["--workers", "0", "--limit", "2", "--json"]
    again = run_segue("audio", "explore", folder, "-o", "out", *options)
    shown = json.loads(again.stdout)
    assert shown == json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert (shown["files"], shown["counts"]["kind"]) == (2, {"MP3": 1, "Ogg Vorbis": 1})
