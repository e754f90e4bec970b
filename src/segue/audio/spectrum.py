"""Short-time spectra in numpy, whole or block by block: what stands between sound and network.

Frames do not overlap the edges of the signal by halves, as in "centred" transforms: frame ``k`` is
centred on samples ``k * hop`` to ``(k + 1) * hop``, so that N hops of sound are exactly N frames, and
any run of frames can be computed from the samples around it alone. The signal counts as silent
beyond its ends.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError

Audio = NDArray[np.float32]
Complex = NDArray[np.complex64]

_FLOOR = 1e-7
"""Magnitudes below this are silence; keeps the power of zero finite."""


@dataclass(frozen=True)
class Spectrum:
    """A windowed Fourier transform and its inverse.

    Attributes:
        window_samples: length of the Hann window and of the transform, even.
        hop_samples: samples from frame to frame; divides `window_samples` at least four times, so
            that the squared windows add up to a constant.
        compression: exponent of the compressed magnitude, 1 leaves it as it is.

    Raises:
        SettingError: the sizes do not fit each other.
    """

    window_samples: int = 1024
    hop_samples: int = 256
    compression: float = 0.3

    def __post_init__(self) -> None:
        """Check the sizes."""
        window, hop = self.window_samples, self.hop_samples
        if hop < 1 or window % hop or window // hop < 4 or (window - hop) % 2:
            raise SettingError(
                f"A window of {window} samples and a hop of {hop}: the hop must divide the window "
                "at least four times, and their difference must be even."
            )

    @property
    def num_bins(self) -> int:
        """Frequencies of a frame, from 0 to half the sample rate."""
        return self.window_samples // 2 + 1

    @property
    def margin_samples(self) -> int:
        """Samples before a frame's own hop, and after it, that its window reaches."""
        return (self.window_samples - self.hop_samples) // 2

    @cached_property
    def window(self) -> Audio:
        """Periodic Hann window, shape ``[window_samples]``."""
        phase = 2 * np.pi * np.arange(self.window_samples) / self.window_samples
        return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)

    def analyse(self, audio: Audio) -> Complex:
        """Return the spectrum of a whole signal.

        Args:
            audio: ``[channels, samples]``; a last hop that is not whole is filled with silence.

        Returns:
            ``[channels, bins, frames]``.
        """
        num_frames = -(-audio.shape[-1] // self.hop_samples)
        filled = num_frames * self.hop_samples - audio.shape[-1]
        edges = ((0, 0), (self.margin_samples, self.margin_samples + filled))
        return self.analyse_inside(np.pad(audio, edges))

    def analyse_inside(self, audio: Audio) -> Complex:
        """Return the spectrum of the frames whose window lies wholly inside the samples given.

        Args:
            audio: ``[channels, samples]`` with the margin on both sides.

        Returns:
            ``[channels, bins, frames]``.
        """
        windows = np.lib.stride_tricks.sliding_window_view(audio, self.window_samples, axis=-1)
        frames = windows[:, :: self.hop_samples] * self.window
        return np.fft.rfft(frames, axis=-1).astype(np.complex64).transpose(0, 2, 1)

    def synthesise(self, spectrum: Complex) -> Audio:
        """Return the signal of a whole spectrum, the inverse of `analyse`.

        Args:
            spectrum: ``[channels, bins, frames]``.

        Returns:
            ``[channels, frames * hop_samples]``.
        """
        adder = OverlapAdd(self, spectrum.shape[0])
        return np.concatenate([adder.push(spectrum), adder.finish()], axis=-1)

    def compress(self, spectrum: Complex) -> NDArray[np.float32]:
        """Return real and imaginary parts of ``|X|^compression e^(i phase)``.

        Args:
            spectrum: ``[channels, bins, frames]``.

        Returns:
            ``[channels * 2 * bins, frames]``: for every channel the real parts, then the imaginary.
        """
        magnitude = np.maximum(np.abs(spectrum), _FLOOR)
        scaled = spectrum * magnitude ** (self.compression - 1)
        return to_rows(scaled.astype(np.complex64))


class OverlapAdd:
    """Add windows up to a signal as the frames come, in constant memory.

    What `push` has given never changes any more, so that the blocks are those of the whole signal.
    """

    def __init__(self, spectrum: Spectrum, num_channels: int) -> None:
        self.spectrum = spectrum
        empty = np.zeros((num_channels, spectrum.window_samples), np.float32)
        self.sum, self.weight = empty, np.zeros(spectrum.window_samples, np.float32)
        self.skip = spectrum.margin_samples

    def push(self, frames: Complex) -> Audio:
        """Take ``[channels, bins, frames]`` and return the samples that are complete by now."""
        spectrum, hop = self.spectrum, self.spectrum.hop_samples
        num_frames = frames.shape[-1]
        done = num_frames * hop
        waves = np.fft.irfft(frames.transpose(0, 2, 1), n=spectrum.window_samples, axis=-1)
        waves = (waves * spectrum.window).astype(np.float32)
        total = np.pad(self.sum, ((0, 0), (0, done)))
        weight = np.pad(self.weight, (0, done))
        for frame in range(num_frames):
            place = slice(frame * hop, frame * hop + spectrum.window_samples)
            total[:, place] += waves[:, frame]
            weight[place] += spectrum.window**2
        self.sum, self.weight = total[:, done:], weight[done:]
        return self._give(total[:, :done], weight[:done])

    def finish(self) -> Audio:
        """Return the samples after the last push, up to the end of the last frame's hop."""
        spectrum = self.spectrum
        left = spectrum.margin_samples
        return self._give(self.sum[:, :left], self.weight[:left])

    def _give(self, total: Audio, weight: Audio) -> Audio:
        """Divide by the windows' squares and leave out the margin before the first frame's hop."""
        skipped = min(self.skip, total.shape[-1])
        self.skip -= skipped
        scaled = total[:, skipped:] / np.maximum(weight[skipped:], _FLOOR)
        return scaled.astype(np.float32)


def to_rows(spectrum: Complex) -> NDArray[np.float32]:
    """Turn ``[channels, bins, frames]`` into ``[channels * 2 * bins, frames]``, real parts first."""
    parts = np.stack([spectrum.real, spectrum.imag], axis=1)
    return np.ascontiguousarray(parts.reshape(-1, spectrum.shape[-1]), dtype=np.float32)


def from_rows(rows: NDArray[np.float32], *, num_channels: int) -> Complex:
    """Turn what `to_rows` gives back into ``[channels, bins, frames]``."""
    parts = rows.reshape(num_channels, 2, -1, rows.shape[-1])
    return np.asarray(parts[:, 0] + 1j * parts[:, 1], dtype=np.complex64)
