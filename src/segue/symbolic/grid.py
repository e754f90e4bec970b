"""A piece on the token grid: bars, notes and tempo changes as arrays.

This is what the codec makes of a score, what the infilling prompt is cut from, and what generated
tokens become before they are written back into a file. All indices are those of the vocabulary.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.vocabulary import Vocabulary

NOTE_FIELDS = np.dtype(
    [
        ("bar", np.int32),
        ("position", np.int32),
        ("track", np.int32),
        ("program", np.int32),
        ("pitch", np.int32),
        ("velocity", np.int32),
        ("duration", np.int32),
        ("source", np.int32),
    ]
)
"""One note on the grid.

``bar`` and ``position`` say where it starts; ``track`` orders the instruments within an onset (equal
programs have equal ``track``); ``program`` is the program *number* (-1 drums), ``pitch`` the MIDI pitch,
``velocity`` and ``duration`` are *indices* into the vocabulary; ``source`` is the note's index in
whatever it came from, or -1.
"""

TEMPO_FIELDS = np.dtype([("bar", np.int32), ("position", np.int32), ("tempo", np.int32)])
"""One tempo change on the grid; ``tempo`` is an index into the vocabulary."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Bars, notes and tempo changes of a piece, or of a window of it.

    Attributes:
        signatures: time-signature index of every bar. Shape ``bars``.
        notes: structured array of `NOTE_FIELDS`, sorted by bar, position, track, pitch.
        tempos: structured array of `TEMPO_FIELDS`, sorted by bar and position.
    """

    signatures: NDArray[np.int32]
    notes: NDArray[np.void]
    tempos: NDArray[np.void]

    @classmethod
    def build(
        cls, signatures: NDArray[np.int32], notes: NDArray[np.void], tempos: NDArray[np.void]
    ) -> Self:
        """Make a grid of unsorted notes and tempo changes."""
        keys = ("pitch", "track", "position", "bar")
        order = np.lexsort([notes[key] for key in keys])
        tempo_order = np.lexsort((tempos["position"], tempos["bar"]))
        return cls(np.asarray(signatures, np.int32), notes[order], tempos[tempo_order])

    @property
    def num_bars(self) -> int:
        """Number of bars."""
        return len(self.signatures)

    def bar_starts(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """Return the start of every bar, and the end of the last, in time units. Shape ``bars + 1``."""
        lengths = (vocabulary.bar_positions * vocabulary.units_per_position)[self.signatures]
        return np.concatenate([[0], np.cumsum(lengths)])

    def window(self, first: int, last: int) -> Self:
        """Return bars `first` to `last` (exclusive) with their notes, bars counted from zero."""
        notes = self.notes[slice(*np.searchsorted(self.notes["bar"], (first, last)))].copy()
        tempos = self.tempos[slice(*np.searchsorted(self.tempos["bar"], (first, last)))].copy()
        notes["bar"] -= first
        tempos["bar"] -= first
        return type(self)(self.signatures[first:last], notes, tempos)

    def with_notes(self, notes: NDArray[np.void]) -> Self:
        """Return the same bars and tempos with other notes (already sorted)."""
        return replace(self, notes=notes)


def empty_notes(count: int = 0) -> NDArray[np.void]:
    """Return `count` zeroed notes."""
    return np.zeros(count, NOTE_FIELDS)


def empty_tempos(count: int = 0) -> NDArray[np.void]:
    """Return `count` zeroed tempo changes."""
    return np.zeros(count, TEMPO_FIELDS)
