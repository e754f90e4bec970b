"""Distances of several collections from one reference: what opens an evaluation.

Every number stands beside what it must be read with: intervals over recordings, the number of
clips, and real against real. The kernel distance has no bias, so that its floor compares directly.
The Fréchet distance is larger the fewer the clips: its floor is measured with a stated number of
recordings on each side, and every collection once more with as many clips as these have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.distances import (
    Extrapolation,
    Floor,
    KernelComparison,
    frechet_distance,
    frechet_infinity,
    frechet_interval,
    kernel_floor,
)
from segue.audio.evaluate.embedding import TARGET_LUFS, EmbeddedClips, Embedding, embed_clips
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.core.statistics import Interval
from segue.errors import DataError

Audio = NDArray[np.float32]

_TOLERANCE = 0.05
"""Clips have not quite the same number of points, and recordings not the same number of clips."""


@dataclass(frozen=True)
class Collection:
    """Clips of one origin.

    Attributes:
        clips: each of shape ``channels samples``.
        groups: recording of each clip, named as in the reference where it is the same recording (a
            reconstruction of it); each clip its own, and none of the reference's, by default.
    """

    clips: Sequence[Audio]
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class DistanceRow:
    """One collection against the reference.

    Attributes:
        name: of the collection.
        num_clips: clips.
        num_recordings: recordings that they come from, what intervals draw.
        num_silent: clips without loudness.
        kernel: kernel audio distance x 1000.
        frechet: Fréchet audio distance with all clips.
        frechet_infinity: the same extrapolated to infinitely many clips; do not trust it where its
            `r2` is below 0.9. None for recordings of the reference itself (a reconstruction), whose
            choices differ from the whole as the reference's own do.
        frechet_at_floor: mean of the Fréchet distance with as many clips on each side as the
            recordings of `DistanceTable.frechet_floor` have; this compares with that floor. None
            with fewer.
    """

    name: str
    num_clips: int
    num_recordings: int
    num_silent: int
    kernel: Interval
    frechet: Interval
    frechet_infinity: Extrapolation | None
    frechet_at_floor: float | None


@dataclass(frozen=True)
class DistanceTable:
    """Distances in one embedding.

    Attributes:
        embedding: its name.
        lufs: loudness that all clips were brought to; None where they were left alone.
        num_reference_clips, num_reference_recordings: of the reference.
        bandwidth: of the kernel, the median distance in the reference.
        kernel_floor: kernel distance of real from real.
        frechet_floor: Fréchet distance of real from real, `num_recordings` on each side.
        infinity_floor: mean extrapolated Fréchet distance of one half of the reference from the other;
            None with fewer than 8 recordings.
        rows: the collections, as given.
    """

    embedding: str
    lufs: float | None
    num_reference_clips: int
    num_reference_recordings: int
    bandwidth: float
    kernel_floor: Floor
    frechet_floor: Floor
    infinity_floor: float | None
    rows: tuple[DistanceRow, ...]

    def row(self, name: str) -> DistanceRow:
        """Return the row of a collection.

        Raises:
            DataError: there is none of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise DataError(f"The table has no row {name!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def distances_table(
    collections: Mapping[str, Collection | EmbeddedClips],
    reference: Collection | EmbeddedClips,
    embedding: Embedding,
    *,
    rate_hz: int = 16_000,
    lufs: float | None = TARGET_LUFS,
    num_recordings: int | None = None,
    num_draws: int = 100,
    num_splits: int = 20,
    seed: int = 0,
    progress: Progress = silent,
) -> DistanceTable:
    """Compare collections with real music.

    Args:
        collections: by name, for example the prior's baseline, the model, the reconstruction, Opus
            and the originals; audio, or what `embed_collection` made of it.
        reference: real music that no training saw, 4 recordings or more.
        embedding: what makes points of audio; see `segue.audio.evaluate.embeddings`.
        rate_hz: sample rate of all clips.
        lufs: the one loudness of everything; None leaves levels alone.
        num_recordings: recordings on each side of the Fréchet floor; half of the reference, or so
            many as have the clips of the smallest collection where that is fewer, by default.
        num_draws: of halves, for intervals of the Fréchet distance (the costly part).
        num_splits: random halves for the floors.
        seed: of everything random.
        progress: who listens.

    Raises:
        DataError: fewer than 4 recordings anywhere, a clip that is empty or not finite.
        SettingError: groups and clips differ in number.
    """

    def embedded(prefix: str, given: Collection | EmbeddedClips) -> EmbeddedClips:
        if isinstance(given, EmbeddedClips):
            return given
        return embed_collection(
            embedding, given, rate_hz=rate_hz, prefix=prefix, lufs=lufs, progress=progress
        )

    real = embedded("real-", reference)
    sides = {name: embedded(f"{name}-", given) for name, given in collections.items()}
    size = num_recordings or _floor_size(real, list(sides.values()))
    comparison = KernelComparison(real)
    rows = []
    with progress("distances", total=len(sides) + 1) as advance:
        floor = frechet_floor(real, generator(seed, "floor"), size=size, num_splits=num_splits)
        infinity = _infinity_floor(real, generator(seed, "infinity"), max(3, num_splits // 4))
        kernel = kernel_floor(real, generator(seed, "kernel"))
        advance()
        for name, side in sides.items():
            rows.append(_row(name, side, comparison, size, num_draws, num_splits, seed))
            advance()
    return DistanceTable(
        embedding=embedding.name,
        lufs=lufs,
        num_reference_clips=real.num_clips,
        num_reference_recordings=len(real.names),
        bandwidth=comparison.bandwidth,
        kernel_floor=kernel,
        frechet_floor=floor,
        infinity_floor=infinity,
        rows=tuple(rows),
    )


def embed_collection(
    embedding: Embedding,
    collection: Collection,
    *,
    rate_hz: int = 16_000,
    prefix: str = "clip-",
    lufs: float | None = TARGET_LUFS,
    progress: Progress = silent,
) -> EmbeddedClips:
    """Embed a collection once, for several measures.

    Args:
        embedding: what makes points of audio.
        collection: clips.
        rate_hz: their sample rate.
        prefix: clips without groups become recordings of this name and a number.
        lufs: the one loudness; None leaves levels alone.
        progress: who listens.

    Raises:
        DataError: a clip is empty or not finite.
        SettingError: groups and clips differ in number, or there is no clip.
    """
    groups = collection.groups or [f"{prefix}{index}" for index in range(len(collection.clips))]
    return embed_clips(
        embedding, collection.clips, rate_hz=rate_hz, groups=groups, lufs=lufs, progress=progress
    )


def frechet_floor(
    reference: EmbeddedClips,
    rng: np.random.Generator,
    *,
    size: int | None = None,
    num_splits: int = 20,
) -> Floor:
    """Compare random choices of the reference's recordings, no recording on both sides.

    Args:
        reference: the real collection, 4 recordings or more.
        rng: of the choices.
        size: recordings on each side; half by default, which is the most there can be.
        num_splits: choices.

    Raises:
        DataError: there are not twice `size` recordings, or `size` is below 2.
    """
    names = np.array(reference.names)
    count = len(names) // 2 if size is None else size
    if not 2 <= count <= len(names) // 2:
        raise DataError(
            f"A floor of {count} recordings against {count} cannot be had of {len(names)} recordings."
        )
    values = []
    for _ in range(num_splits):
        drawn = rng.permutation(names)
        one, two = reference.of(drawn[:count]), reference.of(drawn[count : 2 * count])
        values.append(frechet_distance(one.vectors, two.vectors))
    return Floor(float(np.mean(values)), float(np.quantile(values, 0.975)), count)


def _infinity_floor(real: EmbeddedClips, rng: np.random.Generator, num_splits: int) -> float | None:
    """Return the mean extrapolated distance of one half from the other."""
    names, values = np.array(real.names), []
    if len(names) < 8:
        return None
    for _ in range(num_splits):
        drawn = rng.permutation(names)
        one, two = real.of(drawn[: len(names) // 2]), real.of(drawn[len(names) // 2 :])
        values.append(frechet_infinity(one, two, rng).value)
    return float(np.mean(values))


def _floor_size(real: EmbeddedClips, sides: Sequence[EmbeddedClips]) -> int:
    """Return half of the recordings, or fewer where a side has not as many clips as they have."""
    points = len(real.vectors) / len(real.names)
    fewest = min([len(real.vectors), *(len(side.vectors) for side in sides)])
    return min(len(real.names) // 2, max(2, int(fewest / points + _TOLERANCE)))


def _row(
    name: str,
    side: EmbeddedClips,
    comparison: KernelComparison,
    size: int,
    num_draws: int,
    num_splits: int,
    seed: int,
) -> DistanceRow:
    """Measure one collection."""
    real = comparison.reference
    rng = generator(seed, "row", name)
    paired = set(side.names) <= set(real.names)
    at_floor = None
    needed = (1 - _TOLERANCE) * size * len(real.vectors) / len(real.names)
    if len(real.names) >= size and len(side.vectors) >= needed:
        at_floor = float(np.mean([_matched(real, side, size, rng) for _ in range(num_splits)]))
    return DistanceRow(
        name=name,
        num_clips=side.num_clips,
        num_recordings=len(side.names),
        num_silent=side.num_silent,
        kernel=comparison.interval(side, rng),
        frechet=frechet_interval(real, side, rng, num_draws=num_draws),
        frechet_infinity=None if paired else frechet_infinity(real, side, rng),
        frechet_at_floor=at_floor,
    )


def _matched(
    real: EmbeddedClips, side: EmbeddedClips, size: int, rng: np.random.Generator
) -> float:
    """Return the Fréchet distance of random recordings of both sides; never the same one on both.

    Of the other side so many recordings are taken as have the points of the real ones: one clip each
    of what was written from nothing, and perhaps two of a real recording, would not be equal numbers.
    """
    one = rng.permutation(np.array(real.names))[:size]
    first = real.of(one)
    points = dict(zip(*np.unique(side.groups, return_counts=True), strict=True))
    left = [name for name in side.names if name not in set(one.tolist())]
    if sum(points[name] for name in left) < (1 - _TOLERANCE) * len(first.vectors):
        left = side.names
    order = rng.permutation(np.array(left))
    reached = np.cumsum([points[name] for name in order])
    count = int(np.abs(reached - len(first.vectors)).argmin()) + 1
    return frechet_distance(first.vectors, side.of(order[:count]).vectors)
