"""Tests on the ranks of paired differences, and the correction for testing several times."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segue.errors import DataError

MOST_EXACT = 200
"""So many differences at most get the exact distribution, more the normal approximation."""


@dataclass(frozen=True)
class SignedRank:
    """What Wilcoxon's test says.

    Attributes:
        statistic: sum of the ranks of the positive differences.
        p_value: chance, where neither side is better, of a sum as far from the middle, both sides.
        num_units: differences that are not zero; the test rests on these.
        exact: whether the p-value is exact.
    """

    statistic: float
    p_value: float
    num_units: int
    exact: bool


def signed_rank(differences: ArrayLike, *, most_exact: int = MOST_EXACT) -> SignedRank:
    """Test whether paired differences are symmetric about zero (Wilcoxon, two-sided).

    Zeros are left out. Equal sizes share their mean rank, and the distribution is that of these very
    ranks under all signs, so that it stays exact with ties, where printed tables are not. Without any
    difference that is not zero, the p-value is 1.

    Args:
        differences: one per unit. Shape ``units``.
        most_exact: more differences than this get the normal approximation with its correction for
            ties, without one for continuity.

    Raises:
        DataError: a difference is not finite, or they are not one list.

    Source: F. Wilcoxon, *Individual Comparisons by Ranking Methods*, Biometrics Bulletin 1 (1945);
    W. J. Conover, *Practical Nonparametric Statistics*, 1999, section 5.7.
    """
    data = np.asarray(differences, dtype=np.float64)
    if data.ndim != 1 or not np.isfinite(data).all():
        raise DataError(
            f"Differences must be one list of finite numbers; shape {data.shape} given."
        )
    data = data[data != 0]
    if not len(data):
        return SignedRank(0.0, 1.0, 0, exact=True)
    doubled = _doubled_ranks(np.abs(data))
    observed = int(doubled[data > 0].sum())
    exact = len(data) <= most_exact
    p_value = _exact(doubled, observed) if exact else _approximate(doubled, observed)
    return SignedRank(observed / 2, p_value, len(data), exact)


def _doubled_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return twice the rank of every size, a whole number; equal sizes share their mean rank."""
    _, groups, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_doubled: NDArray[np.int64] = (2 * last - counts + 1).astype(np.int64)
    return mean_doubled[groups]


def _exact(doubled: NDArray[np.int64], observed: int) -> float:
    """Return the two-sided chance over all signs: each rank is in the sum or not."""
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: len(chances) - rank]
        chances = (chances + moved) / 2
    tail = min(chances[: observed + 1].sum(), chances[observed:].sum())
    return float(min(1.0, 2 * tail))


def _approximate(doubled: NDArray[np.int64], observed: int) -> float:
    """Return the two-sided chance of the normal distribution with the variance of these ranks."""
    ranks = doubled / 2
    spread = math.sqrt(float((ranks**2).sum()) / 4)
    z = (observed / 2 - float(ranks.sum()) / 2) / spread
    return math.erfc(abs(z) / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for having tested several times, in the order given.

    Holds the chance of even one false finding, whatever the tests have in common.

    Args:
        p_values: from 0 to 1.

    Source: S. Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian Journal
    of Statistics 6 (1979).
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected
