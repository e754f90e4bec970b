"""The bar that fits best: where else in view does it sound around a bar as it does around the hole?

For every bar of the hole the piece in view is laid over itself so that another bar comes to lie on it. How
much of the two agrees, in that bar (the other instruments) and in its neighbours, is the score; what
the hole's instruments play in the best bar is played in the hole.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.grid import Grid, empty_notes
from segue.symbolic.prompt import Hole
from segue.symbolic.vocabulary import Vocabulary

_WEIGHTS = {-2: 1.0, -1: 2.0, 0: 4.0, 1: 2.0, 2: 1.0}
"""Weight of the agreement in bars before, at and behind the one to be filled."""


class _Sound(NamedTuple):
    """A note as it is compared. ``owner`` is the program."""

    owner: int
    position: int
    pitch: int


_Bar = frozenset[_Sound]


@dataclass(frozen=True, eq=False)
class _Overlay:
    """The piece in view, ready to be laid over itself."""

    bars: list[_Bar]
    hole: Hole

    @classmethod
    def of(cls, grid: Grid, hole: Hole) -> "_Overlay":
        sounds: list[list[_Sound]] = [[] for _ in range(grid.num_bars)]
        columns = (grid.notes[name].tolist() for name in ("bar", "program", "position", "pitch"))
        for bar, program, position, pitch in zip(*columns, strict=True):
            sounds[bar].append(_Sound(program, position, pitch))
        return cls([frozenset(bar) for bar in sounds], hole)

    def is_open(self, bar: int) -> bool:
        """Return whether a bar belongs to the hole."""
        return self.hole.first_bar <= bar < self.hole.end_bar

    def agreement(self, bar: int, other: int) -> float:
        """Return how much the surroundings of two bars agree, 0 to the sum of the weights."""
        total = 0.0
        for offset, weight in _WEIGHTS.items():
            here, there = bar + offset, other + offset
            if 0 <= here < len(self.bars) and 0 <= there < len(self.bars):
                total += weight * self._similarity(here, there)
        return total

    def _similarity(self, here: int, there: int) -> float:
        """Return the mean agreement of notes and of rhythms, of what is known of both bars."""
        first, second = self.bars[here], self.bars[there]
        for bar in (here, there):
            if self.is_open(bar):
                first, second = self._known(first, bar), self._known(second, bar)
        rhythms = [frozenset((s.owner, s.position) for s in sounds) for sounds in (first, second)]
        return 0.5 * _overlap(first, second) + 0.5 * _overlap(*rhythms)

    def _known(self, sounds: _Bar, bar: int) -> _Bar:
        """Return the notes that would be known if they stood in a bar of the hole."""
        low = self.hole.first_position if bar == self.hole.first_bar else 0
        last, high = bar == self.hole.end_bar - 1, self.hole.last_position
        asked = self.hole.programs
        return frozenset(
            sound
            for sound in sounds
            if sound.owner not in asked
            or sound.position < low
            or (last and high is not None and sound.position >= high)
        )


def _overlap(first: frozenset[tuple[int, ...]], second: frozenset[tuple[int, ...]]) -> float:
    """Return the share of two sets that is in both (Dice's coefficient); 1 where both are empty."""
    size = len(first) + len(second)
    return 2 * len(first & second) / size if size else 1.0


def matching_bars(grid: Grid, hole: Hole) -> list[int | None]:
    """Return the best-matching bar of every bar of the hole; None where nothing is in view.

    Bars of the same time signature are preferred; of equally good ones the nearest is taken.

    Args:
        grid: what is in view, the hole's notes taken out.
        hole: the hole, in bars of the grid.
    """
    overlay = _Overlay.of(grid, hole)
    free = [bar for bar in range(grid.num_bars) if not overlay.is_open(bar)]
    found: list[int | None] = []
    for bar in range(hole.first_bar, hole.end_bar):
        fitting = [b for b in free if grid.signatures[b] == grid.signatures[bar]] or free
        scores = [(overlay.agreement(bar, other), -abs(other - bar)) for other in fitting]
        found.append(fitting[scores.index(max(scores))] if fitting else None)
    return found


def matched_notes(vocabulary: Vocabulary, grid: Grid, hole: Hole) -> NDArray[np.void]:
    """Return what the hole's instruments play in the best-matching bars, put into the hole.

    Args:
        vocabulary: gives the length of bars.
        grid: what is in view, the hole's notes taken out.
        hole: the hole, in bars of the grid.
    """
    parts = [empty_notes()]
    for bar, other in enumerate(matching_bars(grid, hole), hole.first_bar):
        if other is not None:
            part = grid.notes[grid.notes["bar"] == other].copy()
            part["bar"] = bar
            parts.append(part)
    return fitting_notes(vocabulary, grid, hole, np.concatenate(parts))


def fitting_notes(
    vocabulary: Vocabulary, grid: Grid, hole: Hole, notes: NDArray[np.void]
) -> NDArray[np.void]:
    """Return the notes that belong into the hole: inside it, of its instruments, none twice.

    Args:
        vocabulary: gives the length of bars.
        grid: what is in view.
        hole: the hole, in bars of the grid.
        notes: in bars of the grid.
    """
    fits = hole.contains(notes) & np.isin(notes["program"], hole.programs)
    notes = notes[fits]
    lengths = vocabulary.bar_positions[grid.signatures[notes["bar"]]]
    notes = notes[notes["position"] < lengths]
    keys = ["bar", "position", "program", "pitch"]
    seen = {tuple(row) for row in grid.notes[keys].tolist()}
    kept = []
    for row in notes[keys].tolist():
        kept.append(row not in seen)
        seen.add(row)
    return notes[np.array(kept, bool)]
