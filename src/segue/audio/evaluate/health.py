"""What is wrong with clips on the face of it: silence, loudness, clipping, offset, missing treble.

No distance in an embedding is needed to see these, and some embeddings do not see them: levels are
made equal before embedding, and silence is music to some networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.loudness import measure
from segue.core.progress import Progress, silent, track
from segue.core.seeds import generator
from segue.core.statistics import Interval, bootstrap
from segue.errors import DataError, SettingError

Audio = NDArray[np.float32]

HIGH_HZ = 4_000.0
"""Power above this is what a halved sample rate of 16 kHz would lose."""

SILENT_LUFS = -60.0
MOSTLY_SILENT = 0.9
"""A clip is silent when its loudness or its share of silent windows passes these."""

CLIPPED_SHARE = 1e-4
"""A clip counts as clipped when more of its samples than this lie at full scale."""

OFFSET = 0.01
"""A clip has an offset when its mean passes this share of full scale."""


@dataclass(frozen=True)
class ClipHealth:
    """What was measured on one clip.

    Attributes:
        seconds: length.
        loudness_lufs: integrated loudness (BS.1770), minus infinity for silence.
        peak: largest amplitude, 1 is full scale.
        silent_share: share of windows of 100 ms below -60 dBFS.
        clipped_share: share of samples at full scale.
        offset: largest absolute mean of a channel.
        high_share: share of the power above 4 kHz; 0 for silence.
        bandwidth_hz: frequency below which 99 % of the power lies; 0 for silence.
    """

    seconds: float
    loudness_lufs: float
    peak: float
    silent_share: float
    clipped_share: float
    offset: float
    high_share: float
    bandwidth_hz: float

    @property
    def is_silent(self) -> bool:
        """Whether there is (almost) nothing to hear."""
        return self.loudness_lufs < SILENT_LUFS or self.silent_share > MOSTLY_SILENT

    @property
    def is_clipped(self) -> bool:
        """Whether samples at full scale are more than a few."""
        return self.clipped_share > CLIPPED_SHARE

    @property
    def has_offset(self) -> bool:
        """Whether the mean is away from zero."""
        return self.offset > OFFSET


@dataclass(frozen=True)
class CollectionHealth:
    """What was measured on a collection; intervals are over recordings.

    Attributes:
        num_clips: clips.
        silent_rate: share of silent clips.
        clipped_rate: share of clipped clips.
        offset_rate: share of clips with an offset.
        peak: mean largest amplitude.
        high_share: mean share of power above 4 kHz, of the clips that are not silent.
        bandwidth_hz: mean frequency below which 99 % of the power lies, likewise.
        loudness_lufs: mean loudness of the clips that are not silent; None if all are.
        loudness_quantiles: 5, 25, 50, 75 and 95 % of it; empty if all are silent.
    """

    num_clips: int
    silent_rate: Interval
    clipped_rate: Interval
    offset_rate: Interval
    peak: Interval
    high_share: Interval | None
    bandwidth_hz: Interval | None
    loudness_lufs: Interval | None
    loudness_quantiles: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def clip_health(audio: Audio, rate_hz: int) -> ClipHealth:
    """Measure one clip.

    Args:
        audio: shape ``channels samples``.
        rate_hz: its sample rate.

    Raises:
        DataError: the clip is empty or not finite.
    """
    if audio.ndim != 2 or not audio.size or not np.isfinite(audio).all():
        raise DataError(
            f"A clip must be finite audio of shape [channels, samples]; {audio.shape} was given."
        )
    found = measure(audio, rate_hz)
    high, bandwidth = _treble(audio, rate_hz)
    return ClipHealth(
        seconds=audio.shape[1] / rate_hz,
        loudness_lufs=found.loudness_lufs,
        peak=found.peak,
        silent_share=found.silent_share,
        clipped_share=found.clipped_share,
        offset=float(np.abs(audio.mean(axis=1, dtype=np.float64)).max()),
        high_share=high,
        bandwidth_hz=bandwidth,
    )


def collection_health(
    clips: Sequence[Audio],
    *,
    rate_hz: int,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> CollectionHealth:
    """Measure a collection as it is, before any loudness is made equal.

    Args:
        clips: each of shape ``channels samples``.
        rate_hz: sample rate of all.
        groups: recording of each clip; intervals draw recordings. Each its own by default.
        seed: of the bootstrap.
        progress: who listens.

    Raises:
        SettingError: there is no clip, or groups and clips differ in number.
        DataError: a clip is empty or not finite.
    """
    names = [str(index) for index in range(len(clips))] if groups is None else list(groups)
    if not clips or len(names) != len(clips):
        raise SettingError(f"{len(clips)} clips and {len(names)} groups were given.")
    found = [clip_health(clip, rate_hz) for clip in track(clips, "measuring", progress=progress)]
    members = np.array(names)
    heard = np.array([not clip.is_silent for clip in found])

    def over_all(value: Callable[[ClipHealth], float]) -> Interval:
        return _interval([value(clip) for clip in found], members, seed)

    def over_heard(value: Callable[[ClipHealth], float]) -> Interval | None:
        kept = [value(clip) for clip, ok in zip(found, heard, strict=True) if ok]
        return _interval(kept, members[heard], seed) if kept else None

    levels = [clip.loudness_lufs for clip in found if not clip.is_silent]
    quantiles = np.quantile(levels, [0.05, 0.25, 0.5, 0.75, 0.95]) if levels else np.zeros(0)
    return CollectionHealth(
        num_clips=len(found),
        silent_rate=over_all(lambda clip: clip.is_silent),
        clipped_rate=over_all(lambda clip: clip.is_clipped),
        offset_rate=over_all(lambda clip: clip.has_offset),
        peak=over_all(lambda clip: clip.peak),
        high_share=over_heard(lambda clip: clip.high_share),
        bandwidth_hz=over_heard(lambda clip: clip.bandwidth_hz),
        loudness_lufs=over_heard(lambda clip: clip.loudness_lufs),
        loudness_quantiles=tuple(float(value) for value in quantiles),
    )


def _interval(values: Sequence[float], groups: NDArray[np.str_], seed: int) -> Interval:
    """Average over clips with recordings drawn: the clips of each weigh as many as they are."""
    _, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.bincount(members, weights=np.asarray(values, float)) / counts
    return bootstrap(means, generator(seed, "health"), weights=counts)


def _treble(audio: Audio, rate_hz: int) -> tuple[float, float]:
    """Return the share of power above 4 kHz and the frequency below which 99 % of it lies."""
    centred = audio - audio.mean(axis=1, keepdims=True)
    power = (np.abs(np.fft.rfft(centred)) ** 2).sum(axis=0)
    total = float(power.sum())
    if not total > 0:
        return 0.0, 0.0
    hertz = np.arange(len(power)) * rate_hz / audio.shape[1]
    reached = np.searchsorted(np.cumsum(power), 0.99 * total)
    return float(power[hertz > HIGH_HZ].sum() / total), float(hertz[min(reached, len(hertz) - 1)])
