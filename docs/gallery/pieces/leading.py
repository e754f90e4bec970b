"""Voices below a given tune: the smoothest way through the chords that keeps the old rules.

A search over all placings of every chord (Viterbi's algorithm): short steps, no voices crossing, no
parallel fifths or octaves, root and third in every chord, leading tones neither doubled nor lost.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise, product

import numpy as np
from gallery.pieces.writing import Chord, Line
from numpy.typing import NDArray

MOST_PLACINGS = 240
_PARALLEL, _MISSING, _DOUBLED = 60.0, 22.0, 25.0

Placings = NDArray[np.int64]


def lead(
    chords: Sequence[Chord], tune: Line, ranges: Sequence[tuple[int, int]]
) -> list[tuple[int, ...]]:
    """Return the pitches of the voices below the tune for every chord, from top to bottom.

    Args:
        chords: one after another.
        tune: the voice above; what of it sounds with a chord is kept clear of.
        ranges: lowest and highest pitch of each voice, from top to bottom; the last one has the bass.
    """
    above = [sounding(tune, chord) for chord in chords]
    options = [_placings(chord, high, ranges) for chord, high in zip(chords, above, strict=True)]
    costs = [
        _own_cost(rows, chord, high, ranges)
        for rows, chord, high in zip(options, chords, above, strict=True)
    ]
    for number, (rows, cost) in enumerate(zip(options, costs, strict=True)):
        best = np.argsort(cost, kind="stable")[:MOST_PLACINGS]
        options[number], costs[number] = rows[best], cost[best]
    total, came_from = costs[0], []
    for number, (old, new) in enumerate(pairwise(range(len(chords)))):
        step = _step_cost(options[old], options[new], (above[old][-1], above[new][0]))
        reach = total[:, None] + step
        came_from.append(reach.argmin(axis=0))
        total = reach.min(axis=0) + costs[number + 1]
    at = int(total.argmin())
    path = [at]
    for back in reversed(came_from):
        at = int(back[at])
        path.append(at)
    chosen = zip(options, reversed(path), strict=True)
    return [tuple(int(pitch) for pitch in rows[place]) for rows, place in chosen]


def sounding(tune: Line, chord: Chord) -> list[int]:
    """Return the pitches of a tune that sound with a chord, the last one before it where none does."""
    end = chord.onset + chord.length
    here = [p for p, onset, length in tune if onset < end and onset + length > chord.onset]
    return here or [next((p for p, onset, _ in reversed(tune) if onset <= chord.onset), tune[0][0])]


def _placings(chord: Chord, tune: list[int], ranges: Sequence[tuple[int, int]]) -> Placings:
    """Return all placings of a chord below the tune, none crossing another. Shape ``placings voices``."""
    voices = [
        [p for p in range(low, high + 1) if p % 12 in chord.tones and p <= min(tune)]
        for low, high in ranges[:-1]
    ]
    low, high = ranges[-1]
    basses = [p for p in range(low, high + 1) if p % 12 == chord.bass]
    rows = [
        row
        for row in product(*voices, basses)
        if all(a > b for a, b in pairwise(row)) and all(a - b <= 12 for a, b in pairwise(row[:-1]))
    ]
    assert rows, f"no placing of {chord.name} at {chord.onset} below {tune}"
    return np.array(rows, np.int64)


def _own_cost(
    rows: Placings, chord: Chord, tune: list[int], ranges: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return what speaks against each placing by itself. Shape ``placings``."""
    heard = np.tile(sorted({pitch % 12 for pitch in tune}), (len(rows), 1))
    classes = np.concatenate([rows % 12, heard], axis=1)
    cost = np.zeros(len(rows))
    for place, tone in enumerate(chord.tones):
        count = (classes == tone).sum(axis=1)
        cost += (_MISSING, _MISSING, 3.0, 12.0, 4.0)[place] * (count == 0)
        cost += (3.0, 9.0, 5.0, _DOUBLED, _DOUBLED)[place] * (count > 1 + (place == 0))
        if place == 1 and len(chord.tones) > 3:
            cost += _DOUBLED * (count > 1)
    centres = np.array([(low + high) / 2 for low, high in ranges])
    cost += np.abs(rows - centres) @ np.full(len(ranges), 0.22)
    cost += 0.5 * np.maximum(0, tune[0] - rows[:, 0] - 10)
    return cost


def _step_cost(old: Placings, new: Placings, tune: tuple[int, int]) -> NDArray[np.float64]:
    """Return what speaks against each step from one placing to the next. Shape ``old new``."""
    move = new[None] - old[:, None]
    cost = np.abs(move[..., :-1]).sum(-1) + 0.4 * np.abs(move[..., -1])
    cost += 5.0 * (np.abs(move[..., :-1]) > 5).sum(-1) + 6.0 * (np.abs(move[..., -1]) > 8)
    before = np.concatenate([np.full((len(old), 1), tune[0]), old], axis=1)[:, None]
    after = np.concatenate([np.full((len(new), 1), tune[1]), new], axis=1)[None]
    for high, low in combinations(range(old.shape[1] + 1), 2):
        was, now = (x[..., high] - x[..., low] for x in (before, after))
        both = (before[..., high] != after[..., high]) & (before[..., low] != after[..., low])
        cost += _PARALLEL * (both & (was % 12 == now % 12) & np.isin(now % 12, (0, 7)))
    return cost
