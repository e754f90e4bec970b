"""Only the first of several processes encodes; the others wait for what it writes."""

import threading
from pathlib import Path

from segue.cli import audio_train


def test_the_others_wait_for_the_first(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(audio_train, "_POLL_S", 0.01)
    written = tmp_path / "latents.json"
    timer = threading.Timer(0.1, written.write_text, ["{}"])
    timer.start()
    audio_train._wait_for(written)
    assert written.is_file()
    timer.join()
