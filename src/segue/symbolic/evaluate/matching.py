"""How many notes, or onsets, of two passages can be matched one to one.

Onsets are compared in steps of 1/1920 of a quarter note, so that times that come from different
grids are equal where the music is. Drums are no pitches: they match drums only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.evaluate.passage import Passage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIXTEENTH_QUARTERS = 0.25
"""A sixteenth note in quarter notes."""

_STEPS_PER_QUARTER = 1920


class Scores(NamedTuple):
    """Precision, recall and their harmonic mean, all 0 to 1."""

    precision: float
    recall: float
    f1: float


def note_scores(
    generated: Passage,
    original: Passage,
    *,
    tolerance_quarters: float = 0.0,
    program: bool = True,
) -> Scores:
    """Return precision, recall and F1 of notes, matched one to one as often as possible.

    Args:
        generated: the notes written.
        original: the notes that were there.
        tolerance_quarters: how far apart the onsets of a match may lie, this distance included.
        program: whether the programs must agree besides the pitches.

    Returns:
        Two empty passages score 1; where one is empty all three are 0.

    Source: Raffel et al., "mir_eval", 2014 (transcription without offsets), with musical for
    physical time; with exact onsets the "Note F1" and "Note-i F1" of Ou et al., "Unifying Symbolic
    Music Arrangement", 2025.
    """
    keys = [_note_keys(passage, program=program) for passage in (generated, original)]
    times = [steps(passage.onsets) for passage in (generated, original)]
    return _scores(times, keys, tolerance_quarters)


def onset_scores(
    generated: Passage, original: Passage, *, tolerance_quarters: float = 0.0
) -> Scores:
    """Return precision, recall and F1 of the moments at which anything begins.

    Several notes at one moment count once. Arguments and empty passages are those of `note_scores`.
    """
    times = [np.unique(steps(passage.onsets)) for passage in (generated, original)]
    return _scores(times, [np.zeros(len(t), np.int64) for t in times], tolerance_quarters)


def steps(onsets: Floats) -> Ints:
    """Return onsets in whole steps of 1/1920 of a quarter note. Shape ``notes``."""
    return np.rint(onsets * _STEPS_PER_QUARTER).astype(np.int64)


def _note_keys(passage: Passage, *, program: bool) -> Ints:
    """Return a number that is equal where notes may match but for their onsets. Shape ``notes``."""
    kind = passage.programs + 1 if program else np.where(passage.is_drum, 0, 1)
    return kind * 128 + passage.pitches


def _scores(times: Sequence[Ints], keys: Sequence[Ints], tolerance_quarters: float) -> Scores:
    written, wanted = len(times[0]), len(times[1])
    if not written or not wanted:
        value = float(written == wanted)
        return Scores(value, value, value)
    tolerance = round(tolerance_quarters * _STEPS_PER_QUARTER)
    matches = _matches(times, keys, tolerance) if tolerance else _equal(times, keys)
    precision, recall = matches / written, matches / wanted
    return Scores(precision, recall, 2 * matches / (written + wanted))


def _equal(times: Sequence[Ints], keys: Sequence[Ints]) -> int:
    """Return the size of the intersection of two multisets of (time, key)."""
    left, right = (np.sort((time << 16) | key) for time, key in zip(times, keys, strict=True))
    # The first of several equal ones meets the first on the other side, the second the second.
    rank = np.arange(len(left)) - np.searchsorted(left, left)
    place = np.searchsorted(right, left) + rank
    return int((right[np.minimum(place, len(right) - 1)] == left)[place < len(right)].sum())


def _matches(times: Sequence[Ints], keys: Sequence[Ints], tolerance: int) -> int:
    """Return how many pairs can be matched: first come, first served, which is best on a line."""
    sides = [
        sorted(zip(key.tolist(), time.tolist(), strict=True))
        for time, key in zip(times, keys, strict=True)
    ]
    left, right = sides
    i = j = found = 0
    while i < len(left) and j < len(right):
        (key, time), (other_key, other_time) = left[i], right[j]
        if key == other_key and abs(time - other_time) <= tolerance:
            i, j, found = i + 1, j + 1, found + 1
        elif (key, time) < (other_key, other_time):
            i += 1
        else:
            j += 1
    return found
