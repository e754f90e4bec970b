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
