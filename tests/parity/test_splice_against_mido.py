"""Splices seen through mido: every event outside the region comes back as it was."""

from pathlib import Path

import numpy as np
import pytest
from tests.midi_files import song
from tests.splice_check import check_splice, random_notes

from segue.core.region import Region
from segue.errors import SegueError
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.splice import replace_notes

FILES_PER_FOLDER = 4


def random_region(piece: Piece, rng: np.random.Generator) -> ResolvedRegion:
    """Some tracks, some bars or beats or seconds."""
    tracks = tuple(
        int(t) for t in rng.choice(len(piece.tracks), rng.integers(1, 4)) if rng.random() < 0.9
    )
    unit = str(rng.choice(["bars", "beats", "seconds"]))
    if unit == "seconds":
        start = rng.random() * 0.9 * piece.length_seconds
        end = start + (piece.length_seconds - start) * (0.05 + 0.9 * rng.random())
        return piece.resolve(Region(tracks or None, start, end, "seconds"))
    count = piece.bars.num_bars if unit == "bars" else piece.bars.num_beats
    first = int(rng.integers(1, count + 1))
    last = min(count, first + int(rng.integers(0, 8)))
    return piece.resolve(Region(tracks or None, first, last, "bars" if unit == "bars" else "beats"))


def splice_and_check(piece: Piece, rng: np.random.Generator) -> int:
    """One random splice of a piece, checked; how many new notes are in it."""
    region = random_region(piece, rng)
    new_notes = random_notes(piece, region, rng, int(rng.integers(0, 60)))
    return check_splice(piece, region, replace_notes(piece, region, new_notes))


def test_composed_piece(rng: np.random.Generator) -> None:
    piece = Piece.from_bytes(song())
    assert sum(splice_and_check(piece, rng) for _ in range(40)) > 300


def sample(music_dir: Path, rng: np.random.Generator, count: int) -> list[Path]:
    """Some files of every folder that holds MIDI files."""
    files = sorted(path for path in music_dir.rglob("*.mid") if path.is_file())
    folders: dict[Path, list[Path]] = {}
    for path in files:
        parts = path.relative_to(music_dir).parts
        folders.setdefault(Path(*parts[: min(3, len(parts) - 1)]), []).append(path)
    chosen: list[Path] = []
    for _, inside in sorted(folders.items()):
        picks = rng.choice(len(inside), min(count, len(inside)), replace=False)
        chosen += [inside[index] for index in picks]
    return chosen


@pytest.mark.slow
def test_real_music(music_dir: Path, rng: np.random.Generator) -> None:
    num_new = num_files = 0
    for path in sample(music_dir, rng, FILES_PER_FOLDER):
        try:
            piece = Piece.open(path)
            num_bars = piece.bars.num_bars
        except SegueError:
            continue
        assert num_bars
        num_new += splice_and_check(piece, rng)
        num_files += 1
    assert num_files
    assert num_new
