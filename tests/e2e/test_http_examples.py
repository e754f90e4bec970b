"""Every example of docs/howto/http.md, run against a live studio as it stands."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.sounds import noise, save
from tests.studio_served import served

from segue.symbolic.demo_piece import demo_piece
from segue.symbolic.score import Piece

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "http.md"
TEXT = PAGE.read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8765"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The blocks of a language, in the order of the page."""
    return [match[2] for match in FENCE.finditer(TEXT) if match[1] == language]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "song.mid").write_bytes(demo_piece("trio"))
    save(tmp_path / "work" / "take.wav", np.stack([noise(3), noise(3, 1)], axis=1))
    with served(tmp_path / "studio") as running:
        yield running.url


def run(command: list[str], folder: Path) -> str:
    """Run a program in the folder with the files; return what it says."""
    ran = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_no_example_is_left_out() -> None:
    languages = [match[1] for match in FENCE.finditer(TEXT)]
    assert len(languages) == TEXT.count("\n```") / 2
    assert set(languages) == {"bash", "console", "python", "text"}
    assert (languages.count("bash"), languages.count("python")) == (6, 2)
    assert all(ADDRESS in text for text in blocks("python"))


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash") and shutil.which("python3")),
    reason="the examples need bash, curl and python3",
)
def test_the_examples_with_curl(studio: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    script = "".join(["set -euo pipefail\n", *blocks("bash")])
    told = run(["bash", "-c", script.replace(ADDRESS, studio)], folder)
    names = re.findall(r"^event: (\w+)$", told, re.MULTILINE)
    assert names[-1] == "end"
    assert {*names} - {"drop"} == {"begin", "end", "notes", "progress", "result", "state"}
    before, after = Piece.from_bytes(demo_piece("trio")), Piece.open(folder / "filled.mid")
    assert after.bars.num_bars == before.bars.num_bars
    assert (folder / "filled.png").read_bytes()[:4] == b"\x89PNG"
    assert soundfile.info(folder / "filled.flac").samplerate == 44_100
    assert soundfile.info(folder / "clip.wav").duration == 3.0
    with urllib.request.urlopen(f"{studio}/api/jobs") as answer:
        jobs = json.load(answer)
    kinds = {job["kind"] for job in jobs}
    assert kinds == {
        "midi.inpaint", "midi.outpaint", "midi.compose", "audio.generate", "audio.inpaint",
    }  # fmt: skip
    assert "failed" not in {job["state"] for job in jobs}


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_examples_with_python(studio: str, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "work"
    text = blocks("python")[number].replace(ADDRESS, studio)
    told = run([sys.executable, "-W", "error", "-c", text], folder)
    if number == 0:
        assert "24 bars" in told
        assert "more notes" in told
        assert Piece.open(folder / "filled.mid").bars.num_bars == 24
    else:
        assert "did you mean seconds?" in told
        assert "segue-generated-extended.wav 3.0 [[2.0, 3.0]]" in told
