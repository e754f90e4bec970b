"""Numbers and names that were counted: quantiles, ranks, shares as text."""

import math
from collections.abc import Mapping
from typing import TypeVar

from segue.errors import DataError

Number = TypeVar("Number", int, float)


def quantile(counts: Mapping[str, int], share: float) -> float:
    """Return the smallest number that at least this share of all lies at or below.

    Args:
        counts: how often each number occurs, numbers written as words.
        share: from 0 to 1; 0.5 gives the lower median.

    Raises:
        DataError: nothing was counted.
    """
    ordered = sorted((float(key), count) for key, count in counts.items())
    total = sum(count for _, count in ordered)
    if not total:
        raise DataError("Nothing was counted, so there is no quantile.")
    reached = 0
    for value, count in ordered:
        reached += count
        if reached >= share * total:
            return value
    return ordered[-1][0]


def ranked(counts: Mapping[str, Number]) -> list[tuple[str, Number]]:
    """Return the most frequent first; equal ones by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def percent(part: float, whole: float) -> str:
    """Return a share as text, "12.5 %"; a dash where there is no whole."""
    if not whole:
        return "–"
    return "<0.1 %" if 0 < part / whole < 0.0005 else f"{100 * part / whole:.1f} %"


def nice_width(wanted: float, *, whole: bool) -> float:
    """Return the next of 1, 2, 5, 10, 20, ... (or their tenths and hundredths) above a width.

    Args:
        wanted: the width that would be needed.
        whole: give no width below 1.
    """
    exponent = math.floor(math.log10(wanted)) if wanted > 0 else 0
    widths = [factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)]
    chosen = next(width for width in widths if width >= wanted)
    return max(1.0, chosen) if whole else chosen
