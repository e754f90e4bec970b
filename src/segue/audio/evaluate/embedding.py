"""From clips to points: the interface of embeddings, and sets of embedded clips.

Distances between music collections are distances between clouds of such points. Every clip is
brought to one loudness first: embeddings of music react to level far more than to what a codec or a
model does wrong, and level is not what is to be judged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from segue.audio.loudness import loudness_lufs
from segue.audio.signal import resample
from segue.core.progress import Progress, silent, track
from segue.errors import DataError, SettingError

Audio = NDArray[np.float32]
Vectors = NDArray[np.float64]

TARGET_LUFS = -14.0
"""Loudness of everything that is embedded: about that of the records which taggers learned from."""


class Embedding(Protocol):
    """Turns audio into points, one or more per clip.

    Attributes:
        name: what tables call it.
        rate_hz: sample rate that it expects.
        dims: length of a point.
    """

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def rate_hz(self) -> int:
        """Sample rate that it expects."""

    @property
    def dims(self) -> int:
        """Length of a point."""

    def embed(self, audio: Audio) -> Vectors:
        """Embed one clip of mono audio at `rate_hz`. Shape ``samples`` → ``windows dims``."""


@dataclass(frozen=True)
class EmbeddedClips:
    """Points of a collection, and which recording each belongs to.

    Windows of one recording are alike, so they are not independent observations: groups are what
    bootstraps draw again, and pairs inside a group count as one recording compared with itself.

    Attributes:
        vectors: the points. Shape ``windows dims``.
        groups: name of the recording of each point. Shape ``windows``.
        num_clips: how many clips were embedded.
        num_silent: how many of those had no loudness (digital or near silence).
    """

    vectors: Vectors
    groups: NDArray[np.str_]
    num_clips: int
    num_silent: int = 0

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.groups) or not len(self.groups):
            raise DataError(
                f"Embedded clips need one group for each of one or more points; points of shape "
                f"{self.vectors.shape} and {len(self.groups)} groups were given."
            )
        if not np.isfinite(self.vectors).all():
            raise DataError("An embedding gave values that are not finite; look at its input.")

    @property
    def names(self) -> list[str]:
        """Names of the recordings, each once, sorted."""
        return [str(name) for name in np.unique(self.groups)]

    def of(self, names: Iterable[str]) -> Self:
        """Return the points of these recordings only."""
        kept = np.isin(self.groups, list(names))
        num_clips = round(self.num_clips * float(kept.mean()))
        return type(self)(self.vectors[kept], self.groups[kept], num_clips)


def embed_clips(
    embedding: Embedding,
    clips: Sequence[Audio],
    *,
    rate_hz: int,
    groups: Sequence[str] | None = None,
    lufs: float | None = TARGET_LUFS,
    progress: Progress = silent,
) -> EmbeddedClips:
    """Mix to mono, bring to one loudness, embed.

    Args:
        embedding: what makes points of audio.
        clips: audio, each of shape ``channels samples`` or ``samples``.
        rate_hz: its sample rate; where the embedding's is another, clips are resampled.
        groups: name of the recording that each clip comes from; every clip its own by default.
            Use the same names on both sides of a comparison where clips share a recording.
        lufs: the one loudness; None leaves levels alone (only to study their influence).
        progress: who listens.

    Raises:
        DataError: a clip is empty or not finite.
        SettingError: groups and clips differ in number, or there is no clip.
    """
    names = [f"clip-{index}" for index in range(len(clips))] if groups is None else list(groups)
    if len(names) != len(clips) or not clips:
        raise SettingError(
            f"{len(clips)} clips and {len(names)} groups were given; give one group per clip and "
            "at least one clip."
        )
    vectors: list[Vectors] = []
    num_silent = 0
    for clip in track(clips, "embedding", progress=progress):
        audio = resample(_mono(clip), rate_hz, embedding.rate_hz)
        if lufs is not None:
            audio, heard = normalised(audio, embedding.rate_hz, lufs)
            num_silent += not heard
        vectors.append(np.asarray(embedding.embed(audio[0]), dtype=np.float64))
    counts = [len(block) for block in vectors]
    return EmbeddedClips(np.concatenate(vectors), np.repeat(names, counts), len(clips), num_silent)


def normalised(audio: Audio, rate_hz: int, lufs: float) -> tuple[Audio, bool]:
    """Scale a clip to a loudness; silence is returned as it is.

    Args:
        audio: shape ``channels samples``.
        rate_hz: its sample rate.
        lufs: loudness afterwards.

    Returns:
        The clip, and whether it has a loudness at all.
    """
    level = loudness_lufs(audio, rate_hz)
    if not np.isfinite(level):
        return audio, False
    return (audio * np.float32(10 ** ((lufs - level) / 20))).astype(np.float32), True


def _mono(clip: Audio) -> Audio:
    """Average the channels of a clip, and look at it. Shape ``1 samples``."""
    audio = np.atleast_2d(np.asarray(clip, dtype=np.float32))
    if audio.ndim != 2 or not audio.size or not np.isfinite(audio).all():
        raise DataError(
            f"A clip must be finite audio of shape [channels, samples] with at least one sample; "
            f"shape {np.shape(clip)} was given."
        )
    return audio.mean(axis=0, keepdims=True)
