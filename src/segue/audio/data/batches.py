"""Training batches of clips, each a pure function of the seed and the step.

`ClipBatches` is a `segue.training.data.BatchSource`: the rows of a step are the same whenever they are
asked for and however many processes share them.
"""

import math
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.audio.data.clips import Clips
from segue.audio.loudness import silent_share
from segue.audio.signal import Audio
from segue.core.config import StrictModel
from segue.core.seeds import generator


class ClipSettings(StrictModel):
    """How clips are drawn and varied."""

    clip_samples: int = Field(default=24_576, ge=1)
    """Length of a clip."""
    batch_size: int = Field(default=16, ge=1)
    """Clips of a global batch."""
    target_lufs: float | None = Field(default=-20.0, le=0)
    """Recordings are brought to this loudness as a whole; null leaves them as they are."""
    max_boost_db: float = Field(default=30.0, ge=0)
    """A very quiet recording is raised by this much at most."""
    gain_db: float = Field(default=6.0, ge=0)
    """Every clip is then changed by up to this much, both ways."""
    balance: Literal["length", "label"] = "length"
    """Draw every second of music alike, or first a label and then its seconds."""
    max_silent_share: float = Field(default=0.5, ge=0, le=1)
    """Clips with more silence (windows of 100 ms below -60 dBFS) are drawn again."""
    redraws: int = Field(default=8, ge=0)
    """So many times at most; then the clip with the least silence stays."""


class ClipBatch(NamedTuple):
    """Rows of a batch.

    Attributes:
        audio: shape ``batch channels samples``, from -1 to 1.
        label: shape ``batch``; 0 for none, else the place in `Clips.labels` plus 1.
    """

    audio: NDArray[np.float32]
    label: NDArray[np.int64]


class ClipBatches:
    """Draws batches of clips.

    Args:
        clips: where they are drawn from.
        settings: how.
        seed: another seed draws other clips.
    """

    def __init__(self, clips: Clips, settings: ClipSettings, seed: int) -> None:
        self.clips, self.settings, self.seed = clips, settings, seed

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> ClipBatch:
        """Return rows ``rank::world_size`` of the batch of a step."""
        rows = [self._row(step, row) for row in range(rank, self.settings.batch_size, world_size)]
        audio = np.stack([clip for clip, _ in rows])
        return ClipBatch(audio, np.array([label for _, label in rows], np.int64))

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        """Chances of the recordings, summed up: the last is 1."""
        chances = self.clips.lengths.astype(np.float64)
        if self.settings.balance == "label":
            labels = self.clips.label_numbers
            totals = np.bincount(labels, chances)
            chances = chances / totals[labels]
        summed = np.cumsum(chances)
        return summed / summed[-1]

    def _row(self, step: int, row: int) -> tuple[Audio, int]:
        """Draw one clip and its label."""
        rng = generator(self.seed, "clips", step, row)
        best, chosen, least = None, 0, math.inf
        for _ in range(self.settings.redraws + 1):
            index, clip = self._draw(rng)
            share = silent_share(clip, self.clips.rate_hz)
            if share < least:
                best, chosen, least = clip, index, share
            if least <= self.settings.max_silent_share:
                break
        assert best is not None
        gain = self._gain(chosen, float(np.abs(best).max()), rng)
        return best * np.float32(gain), int(self.clips.label_numbers[chosen])

    def _draw(self, rng: np.random.Generator) -> tuple[int, Audio]:
        """Draw a recording and a place in it."""
        index = int(np.searchsorted(self._chances, rng.random(), side="right"))
        size = self.settings.clip_samples
        spare = max(0, int(self.clips.lengths[index]) - size)
        return index, self.clips.read(index, int(rng.integers(spare + 1)), size)

    def _gain(self, index: int, peak: float, rng: np.random.Generator) -> float:
        """Return the factor that a clip is multiplied with; it never goes beyond full scale."""
        settings = self.settings
        loudness = self.clips.recordings[index].loudness_lufs
        gain_db = 0.0
        if settings.target_lufs is not None and math.isfinite(loudness):
            gain_db = min(settings.target_lufs - loudness, settings.max_boost_db)
        gain_db += settings.gain_db * float(rng.uniform(-1, 1))
        gain = 10 ** (gain_db / 20)
        return float(min(gain, 1 / peak)) if peak > 0 else gain
