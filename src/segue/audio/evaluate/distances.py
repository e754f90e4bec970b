"""Distances between two collections of embedded clips, with intervals over recordings.

The kernel distance is the one to choose by: it has no bias at any number of clips, so that a floor
of real against real is zero. The Fréchet distance is biased upwards with few clips; it is here
because papers print it, together with its extrapolation to infinitely many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.embedding import EmbeddedClips
from segue.core.statistics import Interval
from segue.errors import DataError, SettingError

Floats = NDArray[np.float64]

SCALE = 1000.0
"""The kernel distance is small; it is printed times this, as in the paper (its toolkit: 100)."""

_LEVEL = 0.95
_MAX_PAIRS = 4_000_000


@dataclass(frozen=True)
class Extrapolation:
    """A Fréchet distance at infinitely many points.

    Attributes:
        value: where the line through the distances at 1 / points meets 0.
        r2: share of the distances' variance that the line explains; below 0.9, do not trust it.
        largest: number of points of the largest sample.
    """

    value: float
    r2: float
    largest: int


# Kernel distance --------------------------------------------------------------------------------


def median_distance(points: Floats, *, seed: int = 0) -> float:
    """Return the median Euclidean distance between two points, the kernel's bandwidth.

    Of very many points a random choice is taken, so that it costs no more than 4 million pairs.

    Args:
        points: shape ``points dims``.
        seed: of that choice.

    Raises:
        DataError: there are fewer than two points, or half of them are the same.
    """
    most = int(np.sqrt(2 * _MAX_PAIRS))
    if len(points) > most:
        points = points[np.random.default_rng(seed).choice(len(points), most, replace=False)]
    distances = _squared_distances(points, points)[np.triu_indices(len(points), 1)]
    median = float(np.median(np.sqrt(distances))) if len(distances) else 0.0
    if not median > 0:
        raise DataError(
            f"{len(points)} reference points are too few or too alike for a kernel bandwidth; "
            "give more music that differs."
        )
    return median


class KernelComparison:
    """Squared maximum mean discrepancy between a reference and other collections.

    The kernel is Gaussian with the reference's median distance as bandwidth. The estimate is the
    unbiased one over *recordings*: pairs of windows of one recording are left out, inside a
    collection as between the two (a codec's output and its input are one recording). With every
    window a recording of its own it is the kernel audio distance of the paper.

    Source: Chung et al., *KAD: No More FAD!*, 2025; Gretton et al., *A Kernel Two-Sample Test*,
    2012, equation 3.

    Args:
        reference: the real collection.
        bandwidth: of the kernel; the median distance between the reference's points by default.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def clips(shift):
        ...     return EmbeddedClips(rng.normal(shift, 1, (200, 4)), np.arange(200).astype(str), 200)
        >>> comparison = KernelComparison(clips(0))
        >>> comparison.distance(EmbeddedClips(rng.normal(2, 1, (9, 4)), np.array(list("abcdefghi")), 9)) > 100
        True
    """

    def __init__(self, reference: EmbeddedClips, *, bandwidth: float | None = None) -> None:
        self.reference = reference
        self.bandwidth = bandwidth or median_distance(reference.vectors)
        self._within = self._sums(reference, reference)
        if len(reference.names) < 2:
            raise DataError("A kernel distance needs at least two recordings of reference.")

    def distance(self, other: EmbeddedClips) -> float:
        """Return the distance x 1000; around 0, also below, for the same distribution."""
        parts = self._parts(other)
        ones = np.ones(len(self.reference.names)), np.ones(len(other.names))
        return float(_discrepancy(parts, *ones))

    def interval(
        self, other: EmbeddedClips, rng: np.random.Generator, *, num_draws: int = 1000
    ) -> Interval:
        """Return the distance with a 95 % bootstrap interval over recordings of both sides."""
        parts = self._parts(other)
        draws = [_discrepancy(parts, *pair) for pair in self._weights(other, rng, num_draws)]
        return _interval(self.distance(other), draws, len(other.names))

    def difference(
        self,
        first: EmbeddedClips,
        second: EmbeddedClips,
        rng: np.random.Generator,
        *,
        num_draws: int = 1000,
    ) -> Interval:
        """Return distance(first) - distance(second) with its interval: which of two is closer.

        Both are compared with the same draw of the reference, and recordings of the same name are
        drawn together, so what they share does not widen the interval.
        """
        names = sorted({*first.names, *second.names})
        places = [np.searchsorted(names, side.names) for side in (first, second)]
        parts = [self._parts(side) for side in (first, second)]
        draws = []
        for _ in range(num_draws):
            real = _multinomial(len(self.reference.names), rng)
            made = _multinomial(len(names), rng)
            one, two = (
                _discrepancy(part, real, made[place])
                for part, place in zip(parts, places, strict=True)
            )
            draws.append(one - two)
        mean = self.distance(first) - self.distance(second)
        return _interval(mean, draws, len(names))

    def between(self, first: Floats, second: Floats) -> float:
        """Return the distance between two weighted choices of the reference's own recordings.

        Args:
            first: weight of each recording, in the order of ``reference.names``.
            second: the same for the other side.
        """
        pairs = self._within
        return _discrepancy(_Parts(pairs, pairs, pairs), first, second)

    def _parts(self, other: EmbeddedClips) -> "_Parts":
        """Sum the kernel over the windows of each pair of recordings."""
        if len(other.names) < 2:
            raise DataError("A kernel distance needs at least two recordings on each side.")
        return _Parts(self._within, self._sums(other, other), self._sums(self.reference, other))

    def _sums(self, first: EmbeddedClips, second: EmbeddedClips) -> "_Pairs":
        """Kernel sums and numbers of pairs by recording; nothing where the recording is one."""
        kernel = _squared_distances(first.vectors, second.vectors)
        kernel *= -0.5 / self.bandwidth**2
        np.exp(kernel, out=kernel)
        rows, columns = _membership(first), _membership(second)
        counts = np.outer(rows.sum(axis=1), columns.sum(axis=1))
        differ = np.array(first.names)[:, None] != np.array(second.names)[None]
        return _Pairs(rows @ kernel @ columns.T * differ, counts * differ)

    def _weights(
        self, other: EmbeddedClips, rng: np.random.Generator, num_draws: int
    ) -> list[tuple[Floats, Floats]]:
        """How often each recording of both sides is drawn; the same name is drawn together."""
        names = sorted({*self.reference.names, *other.names})
        left, right = (np.searchsorted(names, side.names) for side in (self.reference, other))
        shared = len(names) < len(left) + len(right)
        if shared:
            draws = [_multinomial(len(names), rng) for _ in range(num_draws)]
            return [(draw[left], draw[right]) for draw in draws]
        return [
            (_multinomial(len(left), rng), _multinomial(len(right), rng)) for _ in range(num_draws)
        ]


@dataclass(frozen=True)
class _Pairs:
    """Kernel sums and numbers of window pairs. Shapes ``recordings recordings``."""

    sums: Floats
    counts: Floats

    def mean(self, rows: Floats, columns: Floats) -> float:
        """Return the mean kernel over all pairs, recordings weighted."""
        pairs = rows @ self.counts @ columns
        return float(rows @ self.sums @ columns / pairs) if pairs > 0 else np.nan


@dataclass(frozen=True)
class _Parts:
    """The three terms of the discrepancy."""

    real: _Pairs
    made: _Pairs
    cross: _Pairs


def _discrepancy(parts: _Parts, real: Floats, made: Floats) -> float:
    """Return the scaled discrepancy with recordings weighted."""
    within = parts.real.mean(real, real) + parts.made.mean(made, made)
    return SCALE * (within - 2 * parts.cross.mean(real, made))


def _multinomial(size: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `size` things is drawn in `size` draws."""
    return np.bincount(rng.integers(size, size=size), minlength=size).astype(np.float64)


def _interval(mean: float, draws: list[float], num_units: int) -> Interval:
    """Make an interval of bootstrap draws; a draw without two recordings says nothing."""
    tail = (1 - _LEVEL) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Interval(mean=mean, low=float(low), high=float(high), num_units=num_units)


def _membership(clips: EmbeddedClips) -> Floats:
    """Return 1 where a window is of a recording. Shape ``recordings windows``."""
    return (np.array(clips.names)[:, None] == clips.groups[None]).astype(np.float64)


def _squared_distances(first: Floats, second: Floats) -> Floats:
    """Squared Euclidean distances. Shape ``first second``."""
    centre = first.mean(axis=0)
    one, two = first - centre, second - centre
    norms = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None]
    return np.maximum(norms - 2 * one @ two.T, 0)


# Fréchet distance -------------------------------------------------------------------------------


def frechet_distance(first: Floats, second: Floats) -> float:
    """Fréchet distance between Gaussians fitted to two clouds of points.

    ``|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)``. With ``S = A^T A`` the last trace is the
    sum of the singular values of ``A1 A2^T``: real and exact, without the square root of a matrix
    that turns complex for few points.

    Args:
        first: shape ``points dims``, two or more points.
        second: shape ``points dims``.

    Raises:
        DataError: there are fewer than two points, or the dimensions differ.

    Source: Dowson and Landau, 1982; Kilgour et al., *Fréchet Audio Distance*, 2019.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(
            f"A Fréchet distance needs two clouds of points of one dimension; shapes "
            f"{first.shape} and {second.shape} were given."
        )
    if min(len(first), len(second)) < 2:
        raise DataError("A Fréchet distance needs at least two points on each side.")
    one, two = _factor(first), _factor(second)
    trace = np.linalg.svd(one @ two.T, compute_uv=False).sum()
    shift = ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum()
    return float(shift + (one**2).sum() + (two**2).sum() - 2 * trace)


def _factor(points: Floats) -> Floats:
    """Return A with ``A^T A`` the (unbiased) covariance and no more rows than dimensions."""
    centred = (points - points.mean(axis=0)) / np.sqrt(len(points) - 1)
    if len(points) <= points.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


def frechet_infinity(
    reference: EmbeddedClips, other: EmbeddedClips, rng: np.random.Generator, *, steps: int = 15
) -> Extrapolation:
    """Extrapolate the Fréchet distance to infinitely many points of `other`.

    Samples of different size are drawn without replacement, whole recordings at a time, and a
    line is fitted to the distances against one over the number of points.

    Args:
        reference: the real collection.
        other: the collection to judge, 4 recordings or more.
        rng: the random stream of the samples.
        steps: number of sample sizes.

    Raises:
        DataError: there are fewer than 4 recordings.

    Source: Chong and Forsyth, 2020 (for pictures); Gui et al., *Adapting Frechet Audio Distance
    for Generative Music Evaluation*, 2024.
    """
    names = np.array(other.names)
    if len(names) < 4 or steps < 3:
        raise DataError(
            f"An extrapolation needs 4 recordings and 3 steps or more; {len(names)} and {steps} "
            "were given."
        )
    sizes = np.unique(np.linspace(max(2, len(names) // 3), len(names), steps).astype(int))
    inverse, values = [], []
    for size in sizes:
        points = other.of(rng.choice(names, size, replace=False)).vectors
        inverse.append(1 / len(points))
        values.append(frechet_distance(reference.vectors, points))
    slope, intercept = np.polyfit(inverse, values, 1)
    residual = np.array(values) - slope * np.array(inverse) - intercept
    spread = ((np.array(values) - np.mean(values)) ** 2).sum()
    r2 = 1 - (residual**2).sum() / spread if spread > 0 else 1.0
    return Extrapolation(float(intercept), float(r2), len(other.vectors))


def frechet_interval(
    reference: EmbeddedClips,
    other: EmbeddedClips,
    rng: np.random.Generator,
    *,
    num_draws: int = 100,
) -> Interval:
    """Return the Fréchet distance with a 95 % interval from halves of the recordings.

    A bootstrap repeats recordings and so shrinks covariances, which the biased Fréchet distance
    answers by growing: its interval would not hold the estimate. Instead half of the recordings
    of `other` are drawn without replacement; the spread of the distances about their mean, which is
    that of the whole for halves of a large collection, is laid about the estimate. Where `other` is
    made of the reference's own recordings (a reconstruction), both sides give the same half.

    Source: Politis, Romano and Wolf, *Subsampling*, 1999, chapter 2 (a delete-half jackknife).
    """
    value = frechet_distance(reference.vectors, other.vectors)
    names = np.array(other.names)
    if len(names) < 4:
        raise DataError("An interval of a Fréchet distance needs at least 4 recordings.")
    paired = set(names) <= set(reference.names)
    found = []
    for _ in range(num_draws):
        half = rng.choice(names, len(names) // 2, replace=False)
        real = reference.of(half) if paired else reference
        found.append(frechet_distance(real.vectors, other.of(half).vectors))
    shifted = np.maximum(np.array(found) - np.mean(found) + value, 0)
    return _interval(value, list(shifted), len(names))


# Floors -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Floor:
    """What real music scores against real music: values below `high` cannot be told from real.

    Attributes:
        mean: over random halves.
        high: 97.5 % quantile over random halves.
        num_recordings: recordings in each half.
    """

    mean: float
    high: float
    num_recordings: int


def kernel_floor(
    reference: EmbeddedClips, rng: np.random.Generator, *, num_splits: int = 50
) -> Floor:
    """Compare random halves of the reference's recordings with each other.

    Raises:
        DataError: there are fewer than 4 recordings.
        SettingError: `num_splits` is below 1.
    """
    names = np.array(reference.names)
    if len(names) < 4:
        raise DataError("A floor of real against real needs at least 4 recordings.")
    if num_splits < 1:
        raise SettingError(f"A floor needs 1 split or more; {num_splits} were asked for.")
    whole = KernelComparison(reference)
    half = len(names) // 2
    values = []
    for _ in range(num_splits):
        drawn = np.isin(whole.reference.names, rng.permutation(names)[:half])
        values.append(whole.between(drawn.astype(float), (~drawn).astype(float)))
    return Floor(float(np.mean(values)), float(np.quantile(values, 0.975)), half)
