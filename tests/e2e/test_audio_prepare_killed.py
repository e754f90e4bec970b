"""Decoding killed by the system at any moment goes on, and ends with the same bytes."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.sounds import music

from segue.audio.data.prepare import PrepareSettings, prepare

SETTINGS = {"min_seconds": 0.5, "split": {"valid_share": 0.3, "test_share": 0.0}}

PROGRAM = """
import contextlib, os, signal, sys
from segue.audio.data import cache
from segue.audio.data.prepare import PrepareSettings, prepare

if __name__ == "__main__":
    moment, count = sys.argv[3], int(sys.argv[4])
    calls = 0
    real = getattr(cache, moment)

    def die(*arguments):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(cache, moment, die)
    settings = PrepareSettings.model_validate({settings!r})
    prepare([sys.argv[1]], sys.argv[2], settings, workers=int(sys.argv[5]))
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "count", "workers"),
    [("_line", 1, 0), ("_line", 7, 0), ("_write_rows", 2, 0), ("_line", 5, 1)],
)
def test_a_killed_preparation_goes_on(
    tmp_path: Path, moment: str, count: int, workers: int
) -> None:
    names = [f"{label}/{album}/x.flac" for label in "ab" for album in range(6)]
    folder = music(tmp_path / "music", names)
    script, target = tmp_path / "program.py", tmp_path / "out"
    script.write_text(PROGRAM.replace("{settings!r}", repr(SETTINGS)))
    words = [sys.executable, script, folder, target, moment, str(count), str(workers)]
    assert subprocess.run(words, timeout=100, check=False).returncode == -9
    assert not (target / "dataset.json").exists()
    settings = PrepareSettings.model_validate(SETTINGS)
    prepare([folder], target, settings, workers=0)
    prepare([folder], tmp_path / "whole", settings, workers=0)
    assert contents(target) == contents(tmp_path / "whole")
