"""Phases for magnitudes that have none: the fast algorithm of Griffin and Lim, in blocks. Texture.

Overlapping frames tell each other's phases: of all phases, look for those with which the frames agree
on the sound where they overlap. Griffin and Lim (1984) go back and forth between frames and sound;
Perraudin, Balazs and Søndergaard ("A fast Griffin-Lim algorithm", 2013) add a momentum.

Frames are taken in blocks that see a little of the future, and the last frames of a block are given
to the next one as they are, so that the sound goes on without a seam, in constant memory. Blocks lie
at fixed places: what is given does not depend on how the magnitudes came.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.spectrum import Complex, Spectrum
from segue.core.seeds import generator

Magnitudes = NDArray[np.float32]

BLOCK_FRAMES: Final = 256
"""Frames that are finished together."""

AHEAD_FRAMES: Final = 16
"""Frames after a block that its phases are made to agree with."""

PAST_FRAMES: Final = 8
"""Finished frames before a block that its phases must agree with."""

_MOMENTUM: Final = 0.99
_FLOOR: Final = 1e-7


class Texture:
    """Draw magnitudes from what a decoder knows of them, the same ones at every run."""

    def __init__(self) -> None:
        self._random = generator(0, "texture")

    def draw(self, magnitudes: Magnitudes, spread: Magnitudes) -> Magnitudes:
        """Return magnitudes whose logarithms are normal around those given.

        Frames are drawn one after another, so that it does not matter in which blocks they come.

        Args:
            magnitudes: ``[rows, frames]``.
            spread: deviation of their natural logarithms, of the same shape.
        """
        noise = self._random.standard_normal(magnitudes.shape[::-1], np.float32).T
        return np.asarray(magnitudes * np.exp(spread * noise), np.float32)


class PhaseFinder:
    """Give frames their phases as the magnitudes come.

    Args:
        spectrum: the transform that the magnitudes are of.
        iterations: how often to go back and forth; 32 leaves about -22 dB of disagreement.
        num_channels: of the sound.
    """

    def __init__(self, spectrum: Spectrum, *, iterations: int, num_channels: int) -> None:
        self.spectrum = spectrum
        self.iterations = iterations
        empty = (num_channels, spectrum.num_bins, 0)
        self.waiting: Magnitudes = np.zeros(empty, np.float32)
        self.past: Complex = np.zeros(empty, np.complex64)
        self._random = generator(0, "phases")
        self.num_blocks = 0

    def push(self, magnitudes: Magnitudes) -> Complex:
        """Take more frames and return those that are finished.

        Args:
            magnitudes: ``[channels, bins, frames]``, any number of frames.

        Returns:
            ``[channels, bins, finished frames]``.
        """
        self.waiting = np.concatenate([self.waiting, magnitudes], axis=-1)
        done = [self.past[..., :0]]
        while self.waiting.shape[-1] >= BLOCK_FRAMES + AHEAD_FRAMES:
            done.append(self._block(BLOCK_FRAMES))
        return np.concatenate(done, axis=-1)

    def finish(self) -> Complex:
        """Return the frames that are left."""
        left = self.waiting.shape[-1]
        return self._block(left) if left else self.past[..., :0]

    def _block(self, size: int) -> Complex:
        """Find the phases of the next `size` frames."""
        ahead = self.waiting[..., : size + AHEAD_FRAMES]
        fixed = self.past.shape[-1]
        magnitudes = np.concatenate([np.abs(self.past), ahead], axis=-1)
        found = self._agree(magnitudes, self._first_guess(ahead))[..., fixed : fixed + size]
        self.waiting = self.waiting[..., size:]
        self.past = np.concatenate([self.past, found], axis=-1)[..., -PAST_FRAMES:]
        self.num_blocks += 1
        return found

    def _first_guess(self, ahead: Magnitudes) -> Complex:
        """Let every bin turn at its own frequency, from the last finished frame or from anywhere."""
        num_frames = ahead.shape[-1]
        start = (
            np.angle(self.past[..., -1:])
            if self.past.shape[-1]
            else self._random.uniform(-np.pi, np.pi, (*ahead.shape[:-1], 1)).astype(np.float32)
        )
        turn = 2 * np.pi * self.spectrum.hop_samples / self.spectrum.window_samples
        turns = turn * np.arange(self.spectrum.num_bins)[:, None] * np.arange(1, num_frames + 1)
        guess = ahead * np.exp(1j * (start + turns))
        return np.concatenate([self.past, guess.astype(np.complex64)], axis=-1)

    def _agree(self, magnitudes: Magnitudes, guess: Complex) -> Complex:
        """Go back and forth; the frames of the past stay as they are."""
        fixed = self.past.shape[-1]
        before, found = None, guess
        for _ in range(self.iterations):
            agreed = self._through_sound(found)
            pushed = agreed if before is None else agreed + _MOMENTUM * (agreed - before)
            before = agreed
            turned = magnitudes * pushed / np.maximum(np.abs(pushed), _FLOOR)
            found = turned.astype(np.complex64)
            found[..., :fixed] = self.past
        return found

    def _through_sound(self, frames: Complex) -> Complex:
        """Return the spectrum of the sound of frames."""
        window, hop = self.spectrum.window, self.spectrum.hop_samples
        laps = self.spectrum.window_samples // hop
        waves = np.fft.irfft(frames.transpose(0, 2, 1), n=window.size, axis=-1) * window
        channels, num_frames, _ = waves.shape
        parts = waves.reshape(channels, num_frames, laps, hop)
        weights = (window**2).reshape(laps, hop)
        sound = np.zeros((channels, num_frames + laps - 1, hop), np.float32)
        weight = np.zeros((num_frames + laps - 1, hop), np.float32)
        for lap in range(laps):
            sound[:, lap : lap + num_frames] += parts[:, :, lap]
            weight[lap : lap + num_frames] += weights[lap]
        sound /= np.maximum(weight, _FLOOR)
        return self.spectrum.analyse_inside(sound.reshape(channels, -1))
