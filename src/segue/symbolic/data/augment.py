"""Variations of a piece that leave the music good: other keys, other orders of the instruments.

Pure functions on `Grid`, applied on the fly while training; nothing is stored.
"""

import numpy as np

from segue.symbolic.grid import Grid
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary


def transposition_range(grid: Grid, vocabulary: Vocabulary) -> tuple[int, int]:
    """Return the lowest and highest transposition, in semitones, that keeps every note in range.

    Both are 0 where there is nothing to transpose; (0, 0) lies always between them, since a grid
    only holds pitches of the vocabulary.
    """
    pitches = grid.notes["pitch"][grid.notes["program"] != DRUM_PROGRAM]
    if not len(pitches):
        return 0, 0
    low, high = vocabulary.pitch_range
    return min(0, low - int(pitches.min())), max(0, high - int(pitches.max()))


def transpose(grid: Grid, semitones: int, vocabulary: Vocabulary) -> Grid:
    """Return the piece in another key; drums stay as they are.

    Args:
        grid: the piece, or a part of it.
        semitones: upwards; less is done where notes would leave the range.
        vocabulary: gives the range of pitches.
    """
    low, high = transposition_range(grid, vocabulary)
    shift = min(max(semitones, low), high)
    if not shift:
        return grid
    notes = grid.notes.copy()
    notes["pitch"][notes["program"] != DRUM_PROGRAM] += shift
    return grid.with_notes(notes)


def reorder_tracks(grid: Grid, rng: np.random.Generator) -> Grid:
    """Return the piece with its instruments in an order drawn at random.

    The order decides which instrument's notes come first at an onset; nothing else changes.
    """
    programs, inverse = np.unique(grid.notes["program"], return_inverse=True)
    if len(programs) < 2:
        return grid
    notes = grid.notes.copy()
    notes["track"] = rng.permutation(len(programs))[inverse]
    return Grid.build(grid.signatures, notes, grid.tempos)


def add_drums(grid: Grid, drums: Grid, first_bar: int = 0) -> Grid:
    """Return the piece with the drums of another one, repeated as often as the piece is longer.

    Bars go to bars of the same time signature; those of another one stay without drums. The piece
    keeps its own tempo.

    Args:
        grid: a piece.
        drums: another; of its notes only drums are taken, of its bars those with the time signature
            that most of the piece's bars have.
        first_bar: which of these the piece's first such bar gets.

    Returns:
        The piece itself where the drums have no bar of its time signature, or nothing to play.
    """
    signature = int(np.bincount(grid.signatures).argmax())
    places = np.flatnonzero(grid.signatures == signature)
    sources = np.flatnonzero(drums.signatures == signature)
    beats = drums.notes[drums.notes["program"] == DRUM_PROGRAM]
    if not len(sources) or not np.isin(beats["bar"], sources).any():
        return grid
    taken = sources[(first_bar + np.arange(len(places))) % len(sources)]
    parts = []
    for place, source in zip(places.tolist(), taken.tolist(), strict=True):
        part = beats[slice(*np.searchsorted(beats["bar"], (source, source + 1)))].copy()
        part["bar"] = place
        parts.append(part)
    new = np.concatenate(parts)
    new["track"], new["source"] = int(grid.notes["track"].max(initial=-1)) + 1, -1
    return Grid.build(grid.signatures, np.concatenate([grid.notes, new]), grid.tempos)


def is_flat(grid: Grid) -> bool:
    """Return whether all notes are as loud as each other: written by a program, not played."""
    return len(np.unique(grid.notes["velocity"])) <= 1
