"""How close generated clips are to real ones, with everything that makes the number readable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.distances import Floor, KernelComparison, kernel_floor
from segue.audio.evaluate.embedding import EmbeddedClips, Embedding, embed_clips
from segue.audio.evaluate.musicnn import MusicnnEmbedding
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.core.statistics import Interval

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class KernelReport:
    """A kernel audio distance and what to hold it against.

    Attributes:
        embedding: name of the embedding.
        distance: of the generated clips, x 1000, with a 95 % interval over recordings.
        floor: real against real.
        ceiling: of the reference clips after the codec; a generator cannot be expected to be closer.
        num_generated: clips.
        num_reference: clips.
        num_silent: generated clips without any loudness.
        bandwidth: of the kernel; the reference's own.
    """

    embedding: str
    distance: Interval
    floor: Floor
    ceiling: Interval | None
    num_generated: int
    num_reference: int
    num_silent: int
    bandwidth: float

    def __str__(self) -> str:
        ceiling = f", codec alone {self.ceiling}" if self.ceiling else ""
        return (
            f"KAD x1000 ({self.embedding}) {self.distance} over {self.num_generated} generated "
            f"({self.num_silent} silent) and {self.num_reference} real clips; real against real "
            f"{self.floor.mean:.2f}, 97.5 % below {self.floor.high:.2f}{ceiling}"
        )


class Judge:
    """Compares any number of collections with one reference, which is embedded once.

    Args:
        reference: real clips, each of shape ``channels samples``.
        rate_hz: sample rate of all clips.
        groups: recording that each reference clip comes from; each its own by default.
        embedding: musicnn's penultimate layer by default.
        seed: of bootstraps and splits.
        progress: who listens.

    Raises:
        MissingExtraError: the default embedding's weights are not there.

    Example:
        >>> judge = Judge(real, rate_hz=16_000)  # doctest: +SKIP
        >>> print(judge.report(generated))  # doctest: +SKIP
    """

    def __init__(
        self,
        reference: Sequence[Audio],
        *,
        rate_hz: int = 16_000,
        groups: Sequence[str] | None = None,
        embedding: Embedding | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> None:
        self.embedding: Embedding = embedding or MusicnnEmbedding()
        self.rate_hz, self.seed, self.progress = rate_hz, seed, progress
        self._groups = [f"real-{i}" for i in range(len(reference))] if groups is None else groups
        self._clips = reference
        self.real = self.embed(reference, groups=self._groups)
        self.comparison = KernelComparison(self.real)
        self.floor = kernel_floor(self.real, generator(seed, "floor"))

    def embed(
        self, clips: Sequence[Audio], *, groups: Sequence[str] | None = None
    ) -> EmbeddedClips:
        """Embed clips at the judge's sample rate, loudness made equal."""
        return embed_clips(
            self.embedding, clips, rate_hz=self.rate_hz, groups=groups, progress=self.progress
        )

    def distance(
        self, clips: Sequence[Audio] | EmbeddedClips, *, groups: Sequence[str] | None = None
    ) -> Interval:
        """Return the kernel distance x 1000 of clips from the reference.

        Args:
            clips: audio, or what `embed` made of it.
            groups: recording of each clip, named as in the reference where it is the same one.
        """
        points = clips if isinstance(clips, EmbeddedClips) else self.embed(clips, groups=groups)
        return self.comparison.interval(points, generator(self.seed, "bootstrap"))

    def ceiling(self, codec: Callable[[Audio], Audio]) -> Interval:
        """Return the distance of the reference's clips after a codec."""
        return self.distance([codec(clip) for clip in self._clips], groups=self._groups)

    def report(
        self, generated: Sequence[Audio] | EmbeddedClips, *, ceiling: Interval | None = None
    ) -> KernelReport:
        """Compare generated clips with the reference."""
        made = generated if isinstance(generated, EmbeddedClips) else self.embed(generated)
        return KernelReport(
            embedding=self.embedding.name,
            distance=self.distance(made),
            floor=self.floor,
            ceiling=ceiling,
            num_generated=made.num_clips,
            num_reference=self.real.num_clips,
            num_silent=made.num_silent,
            bandwidth=self.comparison.bandwidth,
        )


def kernel_distance_of(
    generated: Sequence[Audio],
    reference: Sequence[Audio],
    *,
    rate_hz: int = 16_000,
    groups: Sequence[str] | None = None,
    codec: Callable[[Audio], Audio] | None = None,
    embedding: Embedding | None = None,
    seed: int = 0,
) -> KernelReport:
    """Compare generated with real clips once; a `Judge` is for more than one comparison.

    Args:
        generated: clips, each of shape ``channels samples`` or ``samples``.
        reference: real clips that no training saw, as long as the generated ones.
        rate_hz: sample rate of all.
        groups: recording of each reference clip.
        codec: decode(encode(clip)), for the ceiling.
        embedding: musicnn's penultimate layer by default.
        seed: of bootstraps and splits.

    Raises:
        MissingExtraError: the default embedding's weights are not there.
        DataError: there are fewer than 4 real recordings or 2 generated clips, or a clip is empty.
    """
    judge = Judge(reference, rate_hz=rate_hz, groups=groups, embedding=embedding, seed=seed)
    return judge.report(generated, ceiling=judge.ceiling(codec) if codec else None)
