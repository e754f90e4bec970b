"""Passages that tests of the evaluation share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from segue.symbolic.evaluate.passage import Passage


def passage(
    onsets: ArrayLike,
    pitches: ArrayLike,
    programs: int | Sequence[int] = 0,
    *,
    durations: ArrayLike = 1.0,
    bars: int = 1,
) -> Passage:
    """A passage of so many bars of 4/4."""
    lines = 4.0 * np.arange(bars + 1)
    return Passage.from_notes(onsets, durations, pitches, programs=programs, bar_starts=lines)


TUNE = passage([0, 1, 2, 3], [60, 62, 64, 65])
NOTHING = passage([], [])
