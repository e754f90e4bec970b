"""The contract between the two stages of LDMG: what latents are, and who makes audio of them.

Latents are float32 ``[channels, frames]`` (batched ``[batch, channels, frames]``). What diffusion sees is
normalised, ``(z - mean) / deviation`` per channel, so that noise of deviation 1 is on the same scale
as the music; what a decoder sees is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.units import samples_to_seconds, seconds_to_samples

Array = NDArray[np.float32]

BUNDLE_KIND: Final = "ldmg"
"""Kind of the bundles that hold both stages."""


@dataclass(frozen=True, eq=False)
class LatentSpec:
    """Rate and scale of latents.

    Attributes:
        rate_hz: sample rate of the audio.
        hop_samples: samples that one latent frame stands for.
        mean: of every latent channel over the music it was measured on. Shape ``channels``.
        deviation: likewise, above 0. Shape ``channels``.
    """

    rate_hz: int
    hop_samples: int
    mean: Array
    deviation: Array

    @classmethod
    def create(
        cls, *, rate_hz: int, hop_samples: int, mean: Sequence[float], deviation: Sequence[float]
    ) -> Self:
        """Return a spec after a check of its numbers.

        Raises:
            SettingError: a rate or hop below 1, lengths that differ, a deviation that is not a
                positive number.
        """
        means, deviations = np.asarray(mean, np.float32), np.asarray(deviation, np.float32)
        if rate_hz < 1 or hop_samples < 1:
            raise SettingError(
                f"Latents need a rate and a hop of at least 1, but rate_hz {rate_hz} and hop_samples "
                f"{hop_samples} were given."
            )
        if means.ndim != 1 or not means.size or means.shape != deviations.shape:
            raise SettingError(
                f"Latents need one mean and one deviation per channel, but {means.size} means and "
                f"{deviations.size} deviations were given."
            )
        if not (
            np.isfinite(means).all() and np.isfinite(deviations).all() and deviations.min() > 0
        ):
            raise SettingError(
                "The means of latents must be finite and their deviations above 0; those given are "
                "not. Encode the music again."
            )
        return cls(rate_hz, hop_samples, means, deviations)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the spec of a mapping with ``rate_hz``, ``hop_samples``, ``mean``, ``deviation``.

        Raises:
            SettingError: see `create`.
        """
        names = ("rate_hz", "hop_samples", "mean", "deviation")
        return cls.create(**{name: config[name] for name in names})

    def to_config(self) -> dict[str, Any]:
        """Return the spec as plain values, what `from_config` reads."""
        return {
            "rate_hz": self.rate_hz,
            "hop_samples": self.hop_samples,
            "mean": [float(value) for value in self.mean],
            "deviation": [float(value) for value in self.deviation],
        }

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return len(self.mean)

    @property
    def frame_rate_hz(self) -> float:
        """Latent frames in a second."""
        return self.rate_hz / self.hop_samples

    def normalise(self, latents: Array) -> Array:
        """Return latents as diffusion sees them. Shape ``... channels frames``, as given."""
        scaled: Array = (latents - self.mean[:, None]) / self.deviation[:, None]
        return scaled

    def denormalise(self, latents: Array) -> Array:
        """Return latents as a decoder sees them. Shape ``... channels frames``, as given."""
        scaled: Array = latents * self.deviation[:, None] + self.mean[:, None]
        return scaled

    def samples_to_frames(self, num_samples: int) -> int:
        """Return how many frames cover a number of samples (the last may be filled up)."""
        return -(-num_samples // self.hop_samples)

    def frames_to_samples(self, num_frames: int) -> int:
        """Return how many samples a number of frames is decoded to."""
        return num_frames * self.hop_samples

    def seconds_to_frames(self, time_s: float) -> int:
        """Return how many frames cover a duration (the last may reach beyond it)."""
        return self.samples_to_frames(seconds_to_samples(time_s, rate_hz=self.rate_hz))

    def frames_to_seconds(self, num_frames: int) -> float:
        """Return the duration of a number of frames."""
        return samples_to_seconds(self.frames_to_samples(num_frames), rate_hz=self.rate_hz)


class LatentCodec(Protocol):
    """Turns audio into latents and back; diffusion knows no more about an autoencoder than this."""

    @property
    def spec(self) -> LatentSpec:
        """Rate and scale of the latents."""
        ...

    def encode(self, audio: Array) -> Array:
        """Return the normalised latents of audio.

        Args:
            audio: ``channels samples``, in -1..1; filled up with silence to a whole frame.

        Returns:
            Shape ``latent_channels frames``, with ``spec.samples_to_frames(samples)`` frames.
        """
        ...

    def decode(self, latents: Array) -> Array:
        """Return the audio of normalised latents.

        Args:
            latents: ``latent_channels frames``.

        Returns:
            Shape ``channels samples``, with ``spec.frames_to_samples(frames)`` samples.
        """
        ...
