"""Three hours of sound through the real commands: what is not needed is not read, memory stays small."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.tiny_audio import RATE_HZ, music, write_tiny_bundle

from segue.audio.loaded import DEFAULT_BUNDLE
from segue.runtime.bundle import list_bundles

pytestmark = pytest.mark.slow

SECONDS = 3 * 3600
MOST_BYTES = 100_000_000
"""What a command may need for three hours beyond what it needs for a second; as floats in memory they
are 345,600,000 bytes."""

_MEASURED = """
import resource, sys
from segue.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak * (1 if sys.platform == "darwin" else 1024), file=sys.stderr)
    raise
"""


class Peak:
    """Runs commands in processes of their own and knows the most memory that each needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: object) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, "audio", *map(str, words)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stderr.split()[-1])


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours, the same minute again and again; with a bundle and a short file beside it."""
    if sys.platform == "win32":
        pytest.skip("peaks of memory are read from POSIX")
    folder = tmp_path_factory.mktemp("long")
    write_tiny_bundle(folder / "bundle")
    minute = np.round(32767 * np.clip(music(60)[0], -1, 1)).astype("<i2")
    with soundfile.SoundFile(folder / "long.wav", "w", RATE_HZ, 1, "PCM_16") as file:
        for _ in range(SECONDS // 60):
            file.write(minute)
    soundfile.write(folder / "short.wav", minute[: 20 * RATE_HZ], RATE_HZ, "PCM_16")
    yield folder
    for path in folder.rglob("*.wav"):
        path.unlink()


def test_a_hole_in_three_hours(long: Path, tmp_path: Path) -> None:
    words = ("-m", long / "bundle", "--steps", "1", "--threads", "1", "--json")
    peak = Peak(tmp_path)
    least = peak("inpaint", long / "short.wav", "-s", "10-12", "-o", "short.wav", *words)
    most = peak("inpaint", long / "long.wav", "-s", "9000.5-9003", "-o", "out.wav", *words)
    assert most - least < MOST_BYTES
    start, stop = round(9000.5 * RATE_HZ), 9003 * RATE_HZ
    with (
        soundfile.SoundFile(long / "long.wav") as old,
        soundfile.SoundFile(tmp_path / "out.wav") as new,
    ):
        assert new.frames == old.frames == SECONDS * RATE_HZ
        at = 0
        for before, after in zip(
            old.blocks(1 << 20, dtype="int16"), new.blocks(1 << 20, dtype="int16"), strict=True
        ):
            differs = np.flatnonzero(before != after) + at
            assert ((differs >= start) & (differs < stop)).all()
            at += len(before)
    (tmp_path / "out.wav").unlink()


@pytest.mark.parametrize("where", [[], ["--before"]])
def test_three_hours_go_on(long: Path, tmp_path: Path, where: list[str]) -> None:
    words = ("-m", long / "bundle", "--steps", "1", "--threads", "1", "-s", "3", *where)
    peak = Peak(tmp_path)
    least = peak("extend", long / "short.wav", "-o", "short.wav", *words)
    most = peak("extend", long / "long.wav", "-o", "out.wav", *words)
    assert most - least < MOST_BYTES
    assert soundfile.info(tmp_path / "out.wav").frames == (SECONDS + 3) * RATE_HZ
    (tmp_path / "out.wav").unlink()


def test_three_hours_are_prepared(long: Path, tmp_path: Path) -> None:
    peak = Peak(tmp_path)
    peaks = []
    for name in ("short", "long"):
        music_folder = tmp_path / name
        music_folder.mkdir()
        (music_folder / "a.wav").symlink_to(long / f"{name}.wav")
        share = ("--set", "split.valid_share=0", "--set", "split.test_share=0")
        words = ("-o", f"{name}-out", "--rate", RATE_HZ, "--workers", 0, *share)
        peaks.append(peak("prepare", music_folder, *words))
    assert peaks[1] - peaks[0] < MOST_BYTES
    told = json.loads((tmp_path / "long-out" / "dataset.json").read_text("utf-8"))
    assert told["splits"]["train"]["samples"] == SECONDS * RATE_HZ
    (tmp_path / "long-out" / "audio.train.i16").unlink()


@pytest.mark.soak
@pytest.mark.skipif(
    DEFAULT_BUNDLE not in [shipped.folder.name for shipped in list_bundles()],
    reason="needs the shipped bundle",
)
def test_three_hours_are_reconstructed(long: Path, tmp_path: Path, record_testsuite_property):
    peak = Peak(tmp_path)
    least = peak("reconstruct", long / "short.wav", "-o", "short.wav", "--threads", "1")
    most = peak("reconstruct", long / "long.wav", "-o", "out.wav", "--threads", "1")
    record_testsuite_property("three_hours_megabytes", round(most / 1e6))
    record_testsuite_property("twenty_seconds_megabytes", round(least / 1e6))
    assert soundfile.info(tmp_path / "out.wav").frames == SECONDS * 16_000
    assert most - least < 1.5 * MOST_BYTES
    (tmp_path / "out.wav").unlink()
