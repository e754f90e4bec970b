"""How different the clips of a collection are from each other, beside how different real ones are.

Two measures over one point for each recording (the mean of its windows): the mean distance between
two recordings, and the Vendi score, the effective number of different recordings (Friedman and
Dieng, *The Vendi Score*, 2023). Both are given as a ratio to real music of as many recordings: noise
is most diverse, so that more than 1 is no better than 1.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.distances import median_distance
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.core.seeds import generator
from segue.core.statistics import Interval
from segue.errors import DataError, SettingError

Floats = NDArray[np.float64]

_TAIL = 0.025


@dataclass(frozen=True)
class Diversity:
    """Diversity of generated beside real recordings.

    Attributes:
        distance_ratio: mean distance between two generated recordings over that of real ones, with a
            95 % interval over recordings of both; around 1 for real music.
        distance: mean distance between two generated recordings.
        real_distance: the same of real ones.
        vendi_ratio: Vendi score over that of as many real recordings, with its interval.
        vendi: effective number of different recordings among `num_compared` generated ones.
        real_vendi: the same of real ones.
        num_compared: recordings drawn on each side for the Vendi scores, which grow with them.
        num_generated, num_real: recordings.
    """

    distance_ratio: Interval
    distance: float
    real_distance: float
    vendi_ratio: Interval
    vendi: float
    real_vendi: float
    num_compared: int
    num_generated: int
    num_real: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def mean_distance(points: Floats) -> float:
    """Return the mean Euclidean distance between two different points.

    Args:
        points: shape ``points dims``, two or more.

    Raises:
        DataError: there are fewer than two points.
    """
    if len(points) < 2:
        raise DataError(f"{len(points)} points have no distance between two of them.")
    return float(_distances(points).sum() / (len(points) * (len(points) - 1)))


def vendi_score(points: Floats, *, bandwidth: float) -> float:
    """Return the effective number of different points, from 1 to as many as there are.

    The exponential of the entropy of the eigenvalues of ``K / n`` with the Gaussian kernel
    ``K = exp(-|x - y|^2 / (2 bandwidth^2))``.

    Args:
        points: shape ``points dims``.
        bandwidth: distance at which two points are much alike (0.61), above 0.

    Raises:
        DataError: there are no points.
        SettingError: the bandwidth is not above 0.
    """
    if not len(points):
        raise DataError("There are no points to count.")
    if not bandwidth > 0:
        raise SettingError(f"A bandwidth of {bandwidth} is not above 0.")
    return _vendi(np.exp(-0.5 * (_distances(points) / bandwidth) ** 2))


def diversity(
    generated: EmbeddedClips, real: EmbeddedClips, *, seed: int = 0, num_draws: int = 200
) -> Diversity:
    """Compare the diversity of generated clips with that of real ones.

    The bandwidth of the Vendi score is half the median distance between real recordings, so that two of
    them are usually 0.14 alike. Intervals come
    from random halves of the recordings of both sides, laid about the value: a recording that is
    drawn twice would have no distance from itself.

    Args:
        generated: embedded clips, 4 recordings or more.
        real: real clips in the same embedding, 4 recordings or more.
        seed: of the draws.
        num_draws: how many.

    Raises:
        DataError: fewer than 4 recordings on a side, or the real ones are all alike.
        SettingError: `num_draws` is below 1.
    """
    made, true = recording_points(generated), recording_points(real)
    if min(len(made), len(true)) < 4 or num_draws < 1:
        raise DataError(
            f"Diversity needs 4 recordings on each side and a draw; {len(made)} generated, "
            f"{len(true)} real and {num_draws} draws were given."
        )
    width = median_distance(true, seed=seed) / 2
    distances = [_distances(points) for points in (made, true)]
    kernels = [np.exp(-0.5 * (table / width) ** 2) for table in distances]
    rng = generator(seed, "diversity")
    size = min(len(made), len(true))
    means = [table.sum() / (len(table) * (len(table) - 1)) for table in distances]
    scores = [_mean_vendi(kernel, size, rng) for kernel in kernels]
    spread = []
    for _ in range(num_draws):
        kept = [rng.permutation(len(table))[: len(table) // 2] for table in distances]
        halves = [_mean(t[np.ix_(k, k)]) for t, k in zip(distances, kept, strict=True)]
        few = [kernel[np.ix_(k, k)] for kernel, k in zip(kernels, _equal(kept), strict=True)]
        spread.append((halves[0] / halves[1], _vendi(few[0]) / _vendi(few[1])))
    found = np.array(spread)
    return Diversity(
        distance_ratio=_about(means[0] / means[1], found[:, 0], len(made)),
        distance=float(means[0]),
        real_distance=float(means[1]),
        vendi_ratio=_about(scores[0] / scores[1], found[:, 1], len(made)),
        vendi=scores[0],
        real_vendi=scores[1],
        num_compared=size,
        num_generated=len(made),
        num_real=len(true),
    )


def recording_points(clips: EmbeddedClips) -> Floats:
    """Return the mean of the windows of each recording. Shape ``recordings dims``."""
    _, members, counts = np.unique(clips.groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), clips.vectors.shape[1]))
    np.add.at(sums, members, clips.vectors)
    means: Floats = sums / counts[:, None]
    return means


def _distances(points: Floats) -> Floats:
    """Distances between all points, 0 on the diagonal. Shape ``points points``."""
    centred = points - points.mean(axis=0)
    norms = (centred**2).sum(axis=1)
    squares = norms[:, None] + norms[None] - 2 * centred @ centred.T
    np.fill_diagonal(squares, 0)
    table: Floats = np.sqrt(np.maximum(squares, 0))
    return table


def _mean(table: Floats) -> float:
    """Return the mean of a table of distances without its diagonal."""
    return float(table.sum() / (len(table) * (len(table) - 1)))


def _vendi(kernel: Floats) -> float:
    """Return the Vendi score of a kernel with ones on its diagonal."""
    values = np.linalg.eigvalsh(kernel / len(kernel))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def _mean_vendi(kernel: Floats, size: int, rng: np.random.Generator, draws: int = 20) -> float:
    """Return the mean Vendi score of random choices of `size` points; exact where that is all."""
    if size == len(kernel):
        return _vendi(kernel)
    picks = [rng.permutation(len(kernel))[:size] for _ in range(draws)]
    return float(np.mean([_vendi(kernel[np.ix_(pick, pick)]) for pick in picks]))


def _equal(picks: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Cut random choices to the length of the shortest."""
    size = min(map(len, picks))
    return [pick[:size] for pick in picks]


def _about(value: float, draws: Floats, num_units: int) -> Interval:
    """Lay the spread of draws about a value."""
    low, high = np.quantile(draws - draws.mean() + value, [_TAIL, 1 - _TAIL])
    return Interval(float(value), float(low), float(high), num_units)
