"""A passage: the notes of a region, with the bars they stand in. What every metric takes.

Times are quarter notes from the region's first bar line, so that a passage of the original, one that a
model wrote and one that was read from a file are the same kind of thing.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segue.errors import DataError
from segue.symbolic.codec import grid_to_notes
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary

_DEFAULT_VELOCITY = 100
_BOUNDS = {"pitches": (0, 127), "programs": (DRUM_PROGRAM, 127), "velocities": (1, 127)}


@dataclass(frozen=True, eq=False)
class Passage:
    """The notes of a region; times in quarter notes from the region's first bar line.

    Make one with `from_notes`, which checks and sorts, or with `passage_of_grid`.

    Attributes:
        onsets: where notes begin, sorted. Shape ``notes``.
        durations: how long they last, not cut at the end of the region. Shape ``notes``.
        pitches: MIDI pitches, 0 to 127. Shape ``notes``.
        programs: programs, 0 to 127, and -1 for drums. Shape ``notes``.
        velocities: velocities, 1 to 127. Shape ``notes``.
        bar_starts: the bar lines, the last is the end of the region. Shape ``bars + 1``.
    """

    onsets: NDArray[np.float64]
    durations: NDArray[np.float64]
    pitches: NDArray[np.int64]
    programs: NDArray[np.int64]
    velocities: NDArray[np.int64]
    bar_starts: NDArray[np.float64]

    @classmethod
    def from_notes(
        cls,
        onsets: ArrayLike,
        durations: ArrayLike,
        pitches: ArrayLike,
        *,
        bar_starts: ArrayLike,
        programs: ArrayLike = 0,
        velocities: ArrayLike = _DEFAULT_VELOCITY,
    ) -> Self:
        """Check notes and put them in the order onset, program, pitch, duration.

        Args:
            onsets: quarter notes from the first bar line, within the region. Shape ``notes``.
            durations: quarter notes, above 0; one number stands for all notes.
            pitches: 0 to 127; one number stands for all notes.
            bar_starts: bar lines from 0 on, the last is the end. Shape ``bars + 1``.
            programs: -1 (drums) to 127; one number stands for all notes.
            velocities: 1 to 127; one number stands for all notes.

        Raises:
            DataError: shapes differ, a value is out of range or not a number, a note begins outside
                the region, or bar lines do not rise from 0.

        Example:
            >>> passage = Passage.from_notes([0, 1], 1, [60, 64], bar_starts=[0, 4])
            >>> len(passage), passage.num_bars
            (2, 1)
        """
        lines = np.asarray(bar_starts, np.float64)
        _check_bars(lines)
        starts = np.atleast_1d(np.asarray(onsets, np.float64))
        lengths = _column("durations", durations, starts).astype(np.float64)
        if not (np.isfinite(starts).all() and np.isfinite(lengths).all() and (lengths > 0).all()):
            raise DataError(
                "Every note of a passage needs a finite onset and a finite duration above 0."
            )
        if len(starts) and not (starts.min() >= 0 and starts.max() < lines[-1]):
            raise DataError(
                f"The notes of a passage begin within its bars, from 0 to before {lines[-1]:g} "
                f"quarter notes; they begin from {starts.min():g} to {starts.max():g}."
            )
        given = {"pitches": pitches, "programs": programs, "velocities": velocities}
        whole = {name: _integers(name, values, starts) for name, values in given.items()}
        order = np.lexsort((lengths, whole["pitches"], whole["programs"], starts))
        columns = {name: values[order] for name, values in whole.items()}
        return cls(starts[order], lengths[order], **columns, bar_starts=lines)

    def __len__(self) -> int:
        return len(self.onsets)

    @property
    def num_bars(self) -> int:
        """Number of bars."""
        return len(self.bar_starts) - 1

    @property
    def length_quarters(self) -> float:
        """Length of the region in quarter notes."""
        return float(self.bar_starts[-1])

    @cached_property
    def bars(self) -> NDArray[np.int64]:
        """Bar in which each note begins. Shape ``notes``."""
        return np.searchsorted(self.bar_starts, self.onsets, side="right") - 1

    @cached_property
    def is_drum(self) -> NDArray[np.bool_]:
        """Which notes are drums. Shape ``notes``."""
        return self.programs == DRUM_PROGRAM

    def select(self, which: NDArray[Any]) -> "Passage":
        """Return the same bars with some of the notes only.

        Args:
            which: a mask or rising indices. Shape ``notes``.
        """
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "bar_starts"}
        chosen = {name: values[which] for name, values in columns.items()}
        return Passage(**chosen, bar_starts=self.bar_starts)


def passage_of_grid(
    vocabulary: Vocabulary,
    grid: Grid,
    hole: Hole,
    notes_mask: NDArray[np.bool_] | None = None,
) -> Passage:
    """Return the notes of a grid that start inside a hole, from the hole's first bar line.

    Args:
        vocabulary: that of the grid.
        grid: the piece, or the piece with the hole filled.
        hole: bars and positions; its bars are those of the passage, cut ones whole.
        notes_mask: which notes may count; without it those of the hole's instruments. Notes outside
            the hole's span never count. Shape ``notes``.

    Raises:
        DataError: the hole reaches behind the end of the grid, or the mask has another shape.
    """
    if notes_mask is None:
        notes_mask = np.isin(grid.notes["program"], hole.programs)
    if len(notes_mask) != len(grid.notes):
        raise DataError(
            f"A mask of {len(notes_mask)} notes was given for a grid of {len(grid.notes)}."
        )
    inside = hole.contains(grid.notes) & notes_mask
    return passage_of_bars(
        vocabulary, grid.with_notes(grid.notes[inside]), hole.first_bar, hole.end_bar
    )


def passage_of_bars(
    vocabulary: Vocabulary, grid: Grid, first_bar: int = 0, end_bar: int | None = None
) -> Passage:
    """Return all notes of some bars of a grid, from the first of these bar lines.

    Args:
        vocabulary: that of the grid.
        grid: the piece.
        first_bar: first bar.
        end_bar: bar behind the last; None is the end of the grid.

    Raises:
        DataError: there are no such bars.
    """
    end_bar = grid.num_bars if end_bar is None else end_bar
    if not 0 <= first_bar < end_bar <= grid.num_bars:
        raise DataError(
            f"Bars {first_bar + 1} to {end_bar} were asked for; the piece has {grid.num_bars} bars."
        )
    window = grid.window(first_bar, end_bar)
    placed = grid_to_notes(vocabulary, window)
    quarter = vocabulary.units_per_quarter
    return Passage.from_notes(
        placed["onset"] / quarter,
        placed["duration"] / quarter,
        placed["pitch"],
        programs=placed["program"],
        velocities=np.maximum(placed["velocity"], 1),
        bar_starts=window.bar_starts(vocabulary) / quarter,
    )


def _check_bars(lines: NDArray[np.float64]) -> None:
    good = lines.ndim == 1 and len(lines) >= 2 and bool(np.isfinite(lines).all())
    if not good or lines[0] != 0 or not (np.diff(lines) > 0).all():
        raise DataError(
            f"The bar lines of a passage rise from 0 and end with the end of its last bar; "
            f"{lines.tolist()} was given."
        )


def _column(name: str, values: ArrayLike, onsets: NDArray[np.float64]) -> NDArray[Any]:
    """Return one value per note, or raise."""
    column = np.asarray(values)
    if column.ndim == 0:
        column = np.full(len(onsets), column)
    if onsets.ndim != 1 or column.shape != onsets.shape:
        raise DataError(
            f"A passage needs one value per note; there are onsets of shape {onsets.shape} and "
            f"{name} of shape {column.shape}."
        )
    return column


def _integers(name: str, values: ArrayLike, onsets: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return one whole number per note within the bounds of the field, or raise."""
    column = _column(name, values, onsets)
    low, high = _BOUNDS[name]
    whole = column.astype(np.int64) if np.isfinite(column).all() else np.full(len(column), low - 1)
    if not ((whole == column) & (whole >= low) & (whole <= high)).all():
        raise DataError(f"The {name} of a passage are whole numbers from {low} to {high}.")
    return whole
