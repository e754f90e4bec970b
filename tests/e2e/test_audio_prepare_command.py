"""`segue audio prepare` as a person calls it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.corpora import corpus
from tests.soundfonts import soundfont_bytes
from tests.sounds import music, save, tone

from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [
        f"{label}/{number}.{kind}"
        for label in "ab"
        for number, kind in enumerate(["flac", "ogg", "wav"])
    ]
    return music(tmp_path / "music", names, seconds=1.2)


def test_sound_in_clips_out(run_segue: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "a" / "broken.mp3").write_bytes(bytes(3000))
    save(folder / "b" / "short.wav", tone(0.1))
    options = [
        "--seconds",
        "1",
        "--rate",
        "8000",
        "--workers",
        "1",
        "--set",
        "max_left_out_share=0.5",
    ]
    result = run_segue("audio", "prepare", folder, "-o", "out", *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "out\n"
    assert "labels: a, b\n" in result.stderr
    assert "left out: 1 cannot be read\n" in result.stderr
    assert "left out: 1 too short\n" in result.stderr
    assert "Note:" not in result.stderr  # what the MP3 decoder says is nobody's business
    counts = [len(Clips(tmp_path / "out", split)) for split in ("train", "valid", "test")]
    assert sum(counts) == 6
    clips = Clips(tmp_path / "out")
    assert clips.rate_hz == 8000
    assert clips.recordings[0].num_samples == 9600
    again = run_segue("audio", "prepare", folder, "-o", "out", *options, "--json")
    assert json.loads(again.stdout) == clips.info


def test_midi_beside_sound(run_segue: Run, folder: Path, tmp_path: Path) -> None:
    scores = corpus(tmp_path / "scores", 3)
    font = tmp_path / "sine.sf2"
    font.write_bytes(soundfont_bytes())
    result = run_segue(
        "audio", "prepare", folder, "--from-midi", scores, "--soundfont", font, "--excerpt-seconds", "2",
        "--seconds", "2", "-o", "out", "--workers", "0", "--set", "split={valid_share: 0, test_share: 0}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    clips = Clips(tmp_path / "out")
    rendered = [
        index for index, row in enumerate(clips.recordings) if row.name.startswith("scores/")
    ]
    assert len(rendered) == 3
    assert all(np.abs(clips.read(index, 0, 16_000)).max() > 0.01 for index in rendered)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing", "-o", "out"], "missing is not a folder"),
        (["-o", "out"], "There is nothing to prepare"),
        (["music", "-o", "out", "--rate", "1", "--channels", "3"], "2 settings are wrong"),
        (["music", "-o", "out", "--set", "rate=1"], "did you mean rate_hz"),
        (["music", "-o", "music"], "music is not empty"),
        (["music", "-o", "out", "--soundfont", "a.sf2"], "--from-midi"),
        (["--from-midi", "music", "-o", "out"], "no music in music"),
        (["--from-midi", "music", "--soundfont", "a.sf2", "-o", "out"], "a.sf2"),
        (["music", "-o", "music/a/0.flac"], "Cannot write"),
    ],
)
def test_mistakes(
    run_segue: Run, folder: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run_segue("audio", "prepare", *words, "--workers", "0")
    assert result.returncode == 2, result.stderr
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


LIMITED = """
import resource, sys
from segue.cli.main import main
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_full_disk_keeps_what_is_done(folder: Path, tmp_path: Path) -> None:
    settings = PrepareSettings(segment_seconds=1, min_seconds=0.5)
    words = [
        "audio",
        "prepare",
        str(folder),
        "-o",
        str(tmp_path / "out"),
        "--seconds",
        "1",
        "--workers",
        "0",
    ]
    command = [sys.executable, "-c", LIMITED, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 2, result.stderr
    assert "File too large. What is finished is kept" in " ".join(result.stderr.split())
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert len((tmp_path / "out" / "journal.jsonl").read_text().splitlines()) > 2
    prepare([folder], tmp_path / "out", settings, workers=0)
    prepare([folder], tmp_path / "whole", settings, workers=0)
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
