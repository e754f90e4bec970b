"""Find the MIDI files of a folder and say for each what is in it, or why it is left out."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field
from symusic import Score
from symusic.core import ScoreTick

from segue.core.config import StrictModel
from segue.core.progress import Progress, silent, track
from segue.errors import DataError
from segue.symbolic.data.duplicates import Hashes, Notes, note_hash, sketch

SUFFIXES = (".mid", ".midi", ".kar")
"""Endings of MIDI files, compared without regard to case."""

CRASHED = "takes the MIDI parser down"
"""Reason given to a file that ends the process that reads it."""

_GRID_PER_QUARTER = 24
_GRID_TOLERANCE = 0.1


class ScanSettings(StrictModel):
    """Which files are music one can learn from."""

    min_notes: int = Field(default=32, ge=1)
    """Fewest notes of a piece."""
    max_notes: int = Field(default=100_000, ge=1)
    """Most notes of a piece."""
    max_kilobytes: int = Field(default=8192, ge=1)
    """Largest file, in units of 1024 bytes; larger ones are not even opened."""
    max_quarters: int = Field(default=20_000, ge=1)
    """Longest piece, in quarter notes."""
    min_pitches: int = Field(default=3, ge=1)
    """Fewest different pitches (or drums) of a piece."""
    max_off_grid_share: float = Field(default=1, ge=0, le=1)
    """Largest share of onsets off the grid of 24 steps a quarter; 1 keeps performances."""


@dataclass(frozen=True)
class Source:
    """A file that was found.

    Attributes:
        folder: number of the folder it was found in.
        path: below that folder, with forward slashes.
        size: bytes.
        modified_ns: time of the last change, in nanoseconds.
    """

    folder: int
    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, eq=False)
class Scanned:
    """What a file holds.

    Attributes:
        sha256: of the file; empty where it was not read.
        reason: why it is left out, or None.
        notes, tracks: number of notes, and of tracks that have any.
        quarters: length in quarter notes.
        off_grid: share of onsets off the grid.
        note_hash: see `duplicates.note_hash`.
        sketch: see `duplicates.sketch`.
    """

    sha256: str = ""
    reason: str | None = None
    notes: int = 0
    tracks: int = 0
    quarters: float = 0.0
    off_grid: float = 0.0
    note_hash: str = ""
    sketch: Hashes | None = None


def find_files(
    folders: Sequence[Path], *, limit: int | None = None, progress: Progress = silent
) -> list[Source]:
    """List the MIDI files below folders, sorted by path within each, links followed once.

    Args:
        folders: where to look.
        limit: keep the first so many.
        progress: who listens.

    Raises:
        DataError: a folder does not exist or cannot be listed, or there is no MIDI file at all.
    """
    found: list[Source] = []
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder. Name a folder that holds MIDI files.")
        files = track(_walk(folder), "looking for files", progress=progress)
        paths = sorted(path.relative_to(folder).as_posix() for path in files)
        for path in paths:
            state = (folder / path).stat()
            found.append(Source(number, path, state.st_size, state.st_mtime_ns))
            if len(found) == limit:
                return found
    if not found:
        names = ", ".join(str(folder) for folder in folders)
        raise DataError(
            f"There is no MIDI file ({', '.join(SUFFIXES)}) in {names}. Name a folder that has some."
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Give the MIDI files below a folder; a folder that links lead to twice is seen once."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in files:
            path = Path(place, name)
            if name.lower().endswith(SUFFIXES) and path.is_file():
                yield path


def _refuse(error: OSError) -> None:
    raise DataError(
        f"The folder {error.filename} cannot be listed: {error.strerror}. Make it readable, or move "
        "it out of the corpus."
    ) from error


def scan_file(path: Path, settings: ScanSettings, *, sketch_size: int) -> Scanned:
    """Read a file; never raises for what is in it, but gives the reason to leave it out."""
    try:
        if path.stat().st_size > 1024 * settings.max_kilobytes:
            return Scanned(reason="file too large")
        content = path.read_bytes()
    except OSError as error:
        return Scanned(reason=f"cannot be read ({error.strerror or error})")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        notes = notes_of(content)
    except (RuntimeError, ValueError, OverflowError, DataError):
        return Scanned(sha256, "not a MIDI file, or damaged")
    if notes.ticks_per_quarter <= 0:
        return Scanned(sha256, "no ticks in a quarter note")
    return _describe(sha256, notes, settings, sketch_size)


def notes_of(content: bytes) -> Notes:
    """Return the notes of a MIDI file.

    Raises:
        RuntimeError: it is not a MIDI file, or it is damaged.
        DataError: its times are not ticks.
    """
    score = Score.from_midi(content)
    if not isinstance(score, ScoreTick):
        raise DataError("The times of the file are not ticks.")
    tables = [track.notes.numpy() for track in score.tracks]
    counts = [len(table["time"]) for table in tables]
    empty = np.zeros(0, np.int64)
    return Notes(
        np.concatenate([empty, *(table["time"] for table in tables)]).astype(np.int64),
        np.concatenate([empty, *(table["pitch"] for table in tables)]).astype(np.int64),
        np.repeat(np.arange(len(counts)), counts),
        np.repeat(np.array([track.is_drum for track in score.tracks], np.bool_), counts),
        int(score.ticks_per_quarter),
    )


def _describe(sha256: str, notes: Notes, settings: ScanSettings, sketch_size: int) -> Scanned:
    """Measure a readable piece and judge it."""
    num_notes = len(notes.onsets)
    if not num_notes:
        return Scanned(sha256, "no notes")
    quarters = float(notes.onsets.max()) / notes.ticks_per_quarter
    steps = notes.onsets * (_GRID_PER_QUARTER / notes.ticks_per_quarter)
    off_grid = float((np.abs(steps - np.rint(steps)) > _GRID_TOLERANCE).mean())
    tracks = len(np.unique(notes.tracks))
    reason = None
    if num_notes < settings.min_notes:
        reason = f"fewer than {settings.min_notes} notes"
    elif num_notes > settings.max_notes:
        reason = f"more than {settings.max_notes} notes"
    elif notes.onsets.min() < 0 or quarters > settings.max_quarters:
        reason = f"longer than {settings.max_quarters} quarter notes"
    elif len(np.unique(notes.pitches)) < settings.min_pitches:
        reason = f"fewer than {settings.min_pitches} pitches"
    elif off_grid > settings.max_off_grid_share:
        reason = "off the grid"
    if reason:
        return Scanned(sha256, reason, num_notes, tracks, quarters, off_grid)
    hashes = (note_hash(notes), sketch(notes, sketch_size))
    return Scanned(sha256, None, num_notes, tracks, quarters, off_grid, *hashes)
