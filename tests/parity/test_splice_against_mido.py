"""Splices seen through mido: every event outside the region comes back as it was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.midi_files import song
from tests.splice_check import check_splice, random_notes

from segue.core.region import Region
from segue.errors import SegueError
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.splice import replace_notes


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
    folders: dict[Path, list[Path]] = {}
    for path in sorted(music_dir.rglob("*.mid")):
        folders.setdefault(path.parent, []).append(path)
    chosen: list[Path] = []
    for inside in folders.values():
        picks = rng.choice(len(inside), min(count, len(inside)), replace=False)
        chosen += [inside[index] for index in picks]
    return chosen


def splice_files(paths: list[Path], rng: np.random.Generator) -> tuple[int, dict[Path, str]]:
    """One random splice of every file: how many files held, and what went wrong with the others."""
    failures = {}
    for path in paths:
        try:
            splice_and_check(Piece.open(path), rng)
        except (SegueError, AssertionError) as error:
            failures[path] = f"{type(error).__name__}: {error}"
    return len(paths) - len(failures), failures


@pytest.mark.slow
def test_real_music(music_dir: Path, rng: np.random.Generator) -> None:
    num_held, failures = splice_files(sample(music_dir, rng, 3), rng)
    assert failures == {}
    assert num_held


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_much_real_music(
    music_dir: Path,
    rng: np.random.Generator,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    num_held, failures = splice_files(sample(music_dir, rng, 45), rng)
    record_testsuite_property("files_held", num_held)
    assert failures == {}
    assert num_held
