"""Sliced Wasserstein distance between two sets of latents: what the second stage makes of the first's.

Frames are points, channels their coordinates. Along one direction the (first) Wasserstein distance
between two sets of points is the area between their quantile functions, exact for sets of any two
sizes; the sliced distance is its mean over random directions (Rabin, Peyré, Delon and Bernot,
*Wasserstein Barycenter and Its Application to Texture Mixing*, 2011; Bonneel et al., 2015).

*Weakness:* it sees which latents occur, never in what order, and it sees them along lines: of many
channels a line shows a sum, which is nearly normal whatever the channels are. A small value is no
sign of music: look at what normal noise has.

Two halves of real music are never at distance 0 either, the less so the fewer clips: that floor is
given beside every value, and the value at the floor's size with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.distances import Floor
from segue.audio.latents import LatentSpec
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.core.statistics import Interval
from segue.errors import DataError, SettingError

Floats = NDArray[np.floating]

NUM_DIRECTIONS = 128
MOST_FRAMES = 100_000
"""Of more frames a random choice is taken on each side."""

_TAIL = 0.025
_GRID = 256


@dataclass(frozen=True)
class SlicedReport:
    """A sliced Wasserstein distance and what to hold it against.

    Attributes:
        distance: of the other latents from the reference, with a 95 % interval over clips of both.
        floor: between random halves of the reference.
        at_floor: mean distance between as many clips of each side as a half of the floor has, however
            many a recording gives; this, not `distance`, compares with the floor.
        num_directions: random directions.
        num_clips, num_reference: clips of the two sides (recordings where groups were given).
    """

    distance: Interval
    floor: Floor
    at_floor: float
    num_directions: int
    num_clips: int
    num_reference: int


def directions(channels: int, count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Return random unit vectors, evenly spread. Shape ``count channels``.

    Raises:
        SettingError: a number below 1.
    """
    if channels < 1 or count < 1:
        raise SettingError(f"{count} directions in {channels} channels are not possible.")
    drawn = generator(seed, "directions").standard_normal((count, channels))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def sliced_wasserstein(
    first: Floats,
    second: Floats,
    *,
    num_directions: int = NUM_DIRECTIONS,
    seed: int = 0,
) -> float:
    """Return the sliced Wasserstein distance between two sets of points.

    The same seed takes the same directions, so that it is symmetric; in one dimension it is the plain
    distance.

    Args:
        first: shape ``points dims``.
        second: the same dims, any number of points.
        num_directions: how many directions.
        seed: of the directions.

    Raises:
        DataError: a set is empty or not finite, or the dimensions differ.
        SettingError: `num_directions` is below 1.
    """
    _check(first, second)
    axes = directions(first.shape[1], num_directions, seed=seed)
    sides = [np.sort(points @ axes.T, axis=0) for points in (first, second)]
    return _distance(sides[0], sides[1])


def sliced_report(
    reference: Sequence[Floats],
    other: Sequence[Floats],
    *,
    spec: LatentSpec | None = None,
    reference_groups: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    num_directions: int = NUM_DIRECTIONS,
    num_draws: int = 100,
    seed: int = 0,
    progress: Progress = silent,
) -> SlicedReport:
    """Compare the latents of clips with those of real ones.

    The interval comes from random halves of both sides, laid about the value (see
    `segue.audio.evaluate.distances.frechet_interval`: resampling with repetition would only grow a
    distance that cannot be below zero).

    Args:
        reference: latents of real clips, each ``channels frames``.
        other: latents of the clips to judge.
        spec: given latents are as a decoder sees them and are normalised by it; without it they are
            taken as normalised.
        reference_groups: recording of each clip of the reference; each its own by default.
        groups: the same of the other clips.
        num_directions: how many directions.
        num_draws: of halves, for the interval and for the floor.
        seed: of the directions and of the draws.
        progress: who listens.

    Raises:
        DataError: fewer than 4 clips on a side, channels that differ, or values that are not finite.
        SettingError: groups and clips differ in number, or a number is below 1.
    """
    if num_draws < 1:
        raise SettingError(f"An interval needs 1 draw or more; {num_draws} were asked for.")
    real = _cloud(reference, reference_groups, spec, generator(seed, "frames", "reference"))
    made = _cloud(other, groups, spec, generator(seed, "frames", "other"))
    _check(real.frames, made.frames)
    axes = directions(real.frames.shape[1], num_directions, seed=seed)
    with progress("latent distances", total=2) as advance:
        projected = [side.frames @ axes.T.astype(np.float32) for side in (real, made)]
        value = _distance(*(np.sort(points, axis=0) for points in projected))
        advance()
        drawer = _Draws(projected, [real.clips, made.clips], [real.sizes, made.sizes])
        spread, floor, matched, size = drawer.run(generator(seed, "halves"), num_draws)
        advance()
    low, high = np.quantile(np.maximum(spread - spread.mean() + value, 0), [_TAIL, 1 - _TAIL])
    return SlicedReport(
        distance=Interval(value, float(low), float(high), made.num_clips),
        floor=Floor(float(floor.mean()), float(np.quantile(floor, 1 - _TAIL)), size),
        at_floor=float(matched.mean()),
        num_directions=num_directions,
        num_clips=made.num_clips,
        num_reference=real.num_clips,
    )


@dataclass(frozen=True)
class _Cloud:
    """Frames ``frames channels``, the number of the recording of each, and the clips of recordings."""

    frames: NDArray[np.float32]
    clips: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def num_clips(self) -> int:
        return int(self.clips.max()) + 1


class _Draws:
    """Distances between random choices of clips.

    Distribution functions of single clips are kept on a grid, so that those of a choice are a matrix
    product; the area between two is then their distance (the grid costs less than a percent of the
    width of what is drawn).
    """

    def __init__(
        self,
        projected: list[NDArray[np.float32]],
        clips: list[NDArray[np.int64]],
        num_clips: list[NDArray[np.int64]],
    ) -> None:
        self._num_clips = num_clips
        low = np.minimum(projected[0].min(axis=0), projected[1].min(axis=0))
        high = np.maximum(projected[0].max(axis=0), projected[1].max(axis=0))
        self._steps = np.maximum(high - low, 1e-12) / _GRID
        self._counts = [
            self._histograms(points, owners, low)
            for points, owners in zip(projected, clips, strict=True)
        ]

    def _histograms(
        self, points: NDArray[np.float32], owners: NDArray[np.int64], low: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Count the points of each clip not above each step. Shape ``clips directions steps``."""
        num_clips, count = int(owners.max()) + 1, points.shape[1]
        found = np.empty((num_clips, count, _GRID), np.float32)
        for column in range(count):
            step = ((points[:, column] - low[column]) / self._steps[column]).astype(np.int64)
            place = owners * _GRID + np.minimum(step, _GRID - 1)
            flat = np.bincount(place, minlength=num_clips * _GRID)
            found[:, column] = flat.reshape(num_clips, _GRID).cumsum(axis=1)
        return found

    def run(
        self, rng: np.random.Generator, num_draws: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int]:
        """Return distances between halves of both sides, of real ones, and matched to these; their size."""
        sizes = [len(counts) for counts in self._counts]
        clips = [int(side.sum()) for side in self._num_clips]
        # Half of the made clips, as so many recordings of real ones.
        size = max(1, min(sizes[0] // 2, clips[1] // 2 * sizes[0] // clips[0]))
        found = []
        for _ in range(num_draws):
            real, made = (rng.permutation(count) for count in sizes)
            half = [
                self._function(0, real[: sizes[0] // 2]),
                self._function(1, made[: sizes[1] // 2]),
            ]
            first, second = (self._function(0, real[at : at + size]) for at in (0, size))
            found.append(
                (
                    self._area(*half),
                    self._area(first, second),
                    self._area(first, self._function(1, self._as_many(made, real[:size]))),
                )
            )
        spread, floor, matched = np.array(found).T
        return spread, floor, matched, size

    def _as_many(self, made: NDArray[np.int64], real: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return so many of the made ones as have the clips of these real ones."""
        reached = np.cumsum(self._num_clips[1][made])
        count = int(np.abs(reached - self._num_clips[0][real].sum()).argmin()) + 1
        return made[:count]

    def _function(self, side: int, clips: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the distribution functions of some clips. Shape ``directions steps``."""
        total = self._counts[side][clips].sum(axis=0)
        return np.asarray(total / total[:, -1:], np.float32)

    def _area(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """Return the area between distribution functions, mean over directions."""
        return float((np.abs(first - second).sum(axis=1) * self._steps).mean())


def _cloud(
    clips: Sequence[Floats],
    groups: Sequence[str] | None,
    spec: LatentSpec | None,
    rng: np.random.Generator,
) -> _Cloud:
    """Put the frames of clips together, normalised; a random choice of very many."""
    names = [str(index) for index in range(len(clips))] if groups is None else list(groups)
    if len(names) != len(clips):
        raise SettingError(f"{len(clips)} clips and {len(names)} groups were given.")
    if len(set(names)) < 4:
        raise DataError(f"A distance of latents needs 4 clips or more on each side; {len(clips)}.")
    if len({np.shape(clip)[0] for clip in clips}) > 1 or any(np.ndim(clip) != 2 for clip in clips):
        raise DataError("Latents must have the shape [channels, frames], all the same channels.")
    parts = [np.asarray(clip, np.float32) for clip in clips]
    if spec is not None:
        if spec.channels != parts[0].shape[0]:
            raise DataError(
                f"Latents of {parts[0].shape[0]} channels, but a spec of {spec.channels}."
            )
        parts = [spec.normalise(part) for part in parts]
    _, numbers = np.unique(names, return_inverse=True)
    sizes = np.bincount(numbers)
    frames = np.concatenate([part.T for part in parts])
    members = np.repeat(numbers, [part.shape[1] for part in parts])
    if len(frames) > MOST_FRAMES:
        kept = np.sort(rng.choice(len(frames), MOST_FRAMES, replace=False))
        frames, members = frames[kept], members[kept]
    return _Cloud(frames, members, sizes)


def _check(first: Floats, second: Floats) -> None:
    """Refuse what has no distance."""
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(
            f"A sliced distance needs two sets of points of one dimension; shapes {first.shape} and "
            f"{second.shape} were given."
        )
    if not len(first) or not len(second):
        raise DataError("A sliced distance needs at least one point on each side.")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("A sliced distance was asked for over values that are not finite.")


def _distance(first: Floats, second: Floats) -> float:
    """Return the distance of sorted projections. Shapes ``points directions``."""
    if len(first) == len(second):
        return float(np.abs(first - second).mean(dtype=np.float64))
    # Both quantile functions are constant between multiples of 1/n and 1/m; counted in 1/(nm).
    one, two = len(first), len(second)
    ends = np.union1d(np.arange(1, one + 1) * two, np.arange(1, two + 1) * one)
    starts = np.concatenate([[0], ends[:-1]])
    gaps = np.abs(first[starts // two] - second[starts // one])
    return float((((ends - starts) / (one * two)) @ gaps).mean())
