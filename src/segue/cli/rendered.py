"""Sound rendered from scores as a source for the audio generator.

The two generators do not know of each other; this is where they meet. (Recipes know both as well, but
bring PyTorch along, which no process that plays notes should load.)
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from segue.audio.data.scan import Header, Material
from segue.audio.data.words import Words, unique
from segue.audio.signal import Audio, mix, resample_blocks
from segue.core.files import sha256_of
from segue.core.seeds import generator
from segue.errors import DataError
from segue.symbolic.describe import captions_of_score, describe
from segue.symbolic.render import played_notes
from segue.symbolic.score import Piece
from segue.symbolic.soundfont import SoundFont, default_soundfont
from segue.symbolic.synthesis import PlayedNotes, in_a_room, synthesize

SUFFIXES = (".mid", ".midi", ".kar")
"""Endings of MIDI files."""

RENDER_HZ = 44_100
"""Rate at which notes are played; the SoundFont's own as a rule."""
TAIL_SECONDS = 2.0
MAX_SECONDS = 3600.0
ROOM_SHARE = 0.5

_BYTES_PER_SECOND = 200


def midi_material(
    soundfont: Path | None = None, *, excerpt_seconds: float = 60.0, seed: int = 0
) -> Material:
    """Return MIDI files as a kind of files that become sound, for `segue.audio.data.prepare`.

    Of each file one excerpt is played that begins with a note; where it lies, and whether it sounds dry
    or in a small hall, is drawn from the seed and the contents of the file.

    Args:
        soundfont: what plays; the one that comes with the installation where None.
        excerpt_seconds: length of the excerpt; 0 plays the whole file (up to an hour).
        seed: draws the excerpts.

    Raises:
        DataError: the SoundFont cannot be read.
    """
    path = default_soundfont() if soundfont is None else soundfont
    SoundFont(path)
    name = f"MIDI files {sha256_of(path)} {excerpt_seconds:g} {seed}"
    opener = _Renderer(path, excerpt_seconds, seed)
    return Material(name, SUFFIXES, opener, partial(_read_header, excerpt_seconds, seed))


def _read_header(excerpt_seconds: float, seed: int, path: Path) -> Header:
    """Guess the length from the size of the file, and describe the excerpt; a score names no artist."""
    try:
        seconds = path.stat().st_size / _BYTES_PER_SECOND
    except OSError:
        return Header("", 0.0)
    with contextlib.suppress(DataError):
        return Header("", seconds, words_of_score(path, excerpt_seconds=excerpt_seconds, seed=seed))
    return Header("", seconds)


def words_of_score(path: Path, *, excerpt_seconds: float, seed: int) -> Words:
    """Return labels and captions of the excerpt of a MIDI file that `midi_material` plays.

    Args:
        path: the MIDI file.
        excerpt_seconds: as there.
        seed: as there.

    Raises:
        DataError: it cannot be read.
    """
    piece = Piece.open(path)
    notes = played_notes(piece)
    if not len(notes):
        return Words()
    start, end = _excerpt(notes, excerpt_seconds, _draws(path, seed))
    return words_of_excerpt(piece, start, end, seed=seed, name=sha256_of(path))


def words_of_excerpt(piece: Piece, start_s: float, end_s: float, *, seed: int, name: str) -> Words:
    """Return labels and captions of a part of a piece.

    Args:
        piece: the piece.
        start_s: where the part begins.
        end_s: where it ends.
        seed: draws the wordings of captions, together with the name.
        name: anything that tells this piece from others.

    Raises:
        DataError: it has an unreadable tempo.
    """
    found = describe(piece, start_s, end_s)
    if found is None:
        return Words()
    return Words(unique(found.labels), unique(captions_of_score(found, seed=seed, name=name)))


def _draws(path: Path, seed: int) -> np.random.Generator:
    """Return what is drawn from for a MIDI file: first where the excerpt lies, then the room."""
    return generator(seed, "rendered", sha256_of(path))


@dataclass(frozen=True)
class _Renderer:
    """Plays an excerpt of a MIDI file."""

    soundfont: Path
    excerpt_seconds: float
    seed: int

    @contextlib.contextmanager
    def __call__(self, path: Path, rate_hz: int, channels: int) -> Iterator[Iterator[Audio]]:
        """Open a MIDI file as sound.

        Raises:
            DataError: it cannot be read, has no notes, or none that the SoundFont can play.
        """
        notes = played_notes(Piece.open(path))
        if not len(notes):
            raise DataError(f"{path} has no notes.")
        rng = _draws(path, self.seed)
        start, end = _excerpt(notes, self.excerpt_seconds, rng)
        sounding = (notes.onset_s < end) & (notes.onset_s + notes.duration_s > start)
        blocks = synthesize(
            notes.shifted(-start).select(sounding),
            _soundfont(self.soundfont),
            rate_hz=RENDER_HZ,
            duration_s=end - start,
        )
        if rng.random() < ROOM_SHARE:
            blocks = in_a_room(blocks, rate_hz=RENDER_HZ)
        mixed = (mix(block, channels) for block in blocks)
        resampled = resample_blocks(mixed, RENDER_HZ, rate_hz, channels)
        yield (np.ascontiguousarray(block.T) for block in resampled)


def _excerpt(
    notes: PlayedNotes, excerpt_seconds: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Draw both ends of what is played, in seconds; it begins with a note."""
    music_end = float((notes.onset_s + notes.duration_s).max())
    length = excerpt_seconds or MAX_SECONDS
    onsets = np.unique(notes.onset_s)
    latest = max(float(onsets[0]), music_end + TAIL_SECONDS - length)
    onsets = onsets[onsets <= latest]
    place = rng.uniform(onsets[0], latest)
    start = float(onsets[min(int(np.searchsorted(onsets, place)), len(onsets) - 1)])
    return start, min(start + length, music_end + TAIL_SECONDS)


@lru_cache(maxsize=1)
def _soundfont(path: Path) -> SoundFont:
    """Open a SoundFont once in each process."""
    return SoundFont(path)
