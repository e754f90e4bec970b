"""Means with honest intervals: the unit that is drawn again is the piece, never the token."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segue.errors import DataError, SettingError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with a bootstrap confidence interval.

    Attributes:
        mean: the estimate over all units.
        low: lower end of the interval.
        high: upper end of the interval.
        num_units: how many units (pieces) it rests on.
    """

    mean: float
    low: float
    high: float
    num_units: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of zero."""
        return self.low > 0 or self.high < 0


def bootstrap(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    num_draws: int = 2000,
) -> Interval:
    """Estimate a (weighted) mean over units with a percentile bootstrap interval.

    The estimate is ``sum(weights * values) / sum(weights)``; units are drawn with replacement and
    bring their weight along, so bits per note over pieces of different length is a ratio estimate.

    Args:
        values: one number per unit. Shape ``units``.
        rng: the random stream of the draws.
        weights: weight of each unit, for example its number of notes. Shape ``units``.
        level: coverage of the interval, between 0 and 1.
        num_draws: number of bootstrap samples.

    Raises:
        DataError: there are no units, shapes differ, or a value is not finite.
        SettingError: `level` or `num_draws` is out of range.

    Source: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
    """
    data, weight = _checked(values, weights)
    if not 0 < level < 1 or num_draws < 1:
        raise SettingError(
            f"A bootstrap needs 0 < level < 1 and num_draws of 1 or more; "
            f"level {level} and num_draws {num_draws} were given."
        )
    draws = _drawn_means(data, weight, rng, num_draws)
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    mean = float(data @ weight / weight.sum())
    return Interval(mean=mean, low=float(low), high=float(high), num_units=len(data))


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    *,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    num_draws: int = 2000,
) -> Interval:
    """Estimate the mean of ``first - second`` over units that both were measured on.

    Arguments, and what is raised, are those of `bootstrap`; the two lists must be in the same order
    of units.

    Raises:
        DataError: the two differ in shape, besides what `bootstrap` raises.
    """
    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if left.shape != right.shape:
        raise DataError(
            f"A paired comparison needs the same units on both sides; "
            f"{left.shape} and {right.shape} values were given."
        )
    return bootstrap(left - right, rng, weights=weights, level=level, num_draws=num_draws)


def _checked(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return values and weights as arrays that can be averaged."""
    data = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(data) if weights is None else np.asarray(weights, dtype=np.float64)
    if data.ndim != 1 or data.shape != weight.shape or not len(data):
        raise DataError(
            f"A mean needs one list of values and as many weights; "
            f"shapes {data.shape} and {weight.shape} were given."
        )
    if not (np.isfinite(data).all() and np.isfinite(weight).all()):
        raise DataError("A mean was asked for over values of which some are not finite.")
    if (weight < 0).any() or not weight.sum() > 0:
        raise DataError("A weighted mean needs weights of 0 or above that are not all 0.")
    return data, weight


def _drawn_means(data: Floats, weight: Floats, rng: np.random.Generator, num_draws: int) -> Floats:
    """Return the mean of each bootstrap sample, in blocks so that memory stays bounded."""
    means: list[Floats] = []
    block = max(1, 4_000_000 // len(data))
    for start in range(0, num_draws, block):
        count = min(block, num_draws - start)
        picks = rng.integers(len(data), size=(count, len(data)))
        sums = weight[picks].sum(axis=1)
        # A sample may hold only units of weight 0; it says nothing about the mean.
        kept = sums > 0
        products = (data * weight)[picks[kept]].sum(axis=1)
        means.append(products / sums[kept])
    return np.concatenate(means)
