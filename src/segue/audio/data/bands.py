"""The long-term spectrum of a recording: its third-octave bands, and how high it truly reaches."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.signal import Audio

Floats = NDArray[np.float64]

BAND_CENTRES_HZ: Final = tuple(1000 * 2 ** (number / 3) for number in range(-16, 14))
"""Third octaves from 25 Hz to 20 kHz (IEC 61260-1, octave ratio 2)."""
BAND_NAMES: Final = (
    "25", "31.5", "40", "50", "63", "80", "100", "125", "160", "200", "250", "315", "400", "500", "630",
    "800", "1k", "1.25k", "1.6k", "2k", "2.5k", "3.15k", "4k", "5k", "6.3k", "8k", "10k", "12.5k", "16k",
    "20k",
)  # fmt: skip
LOWEST_DB: Final = -120.0
"""Bands weaker than this share of the whole are given as this."""

_WINDOW_SECONDS = 0.19
_SILENT_POWER = 1e-6
_SMOOTHING_HZ = 100.0
# What counts as sound: 11 dB above the noise of rounding to 16 bits, and at most 90 dB below the
# strongest part. What resampling, a codec or a filter leaves above its edge lies lower.
_ROUNDING_POWER = (2.0**-15) ** 2 / 12
_ABOVE_ROUNDING = 12.0
_BELOW_STRONGEST = 1e-9


class LongTermSpectrum:
    """Adds up the power spectrum of a recording that comes in blocks; silent windows do not count.

    Args:
        rate_hz: rate of the samples.

    Example:
        >>> spectrum = LongTermSpectrum(16_000)
        >>> time = np.arange(16_000) / 16_000
        >>> spectrum.add(np.sin(2 * np.pi * 1000 * time, dtype=np.float32)[None])
        >>> round(spectrum.bandwidth_hz(), -2)
        1000.0
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        size = 2 ** max(4, round(math.log2(_WINDOW_SECONDS * rate_hz)))
        self._window = np.hanning(size).astype(np.float32)
        self._sum = np.zeros(size // 2 + 1)
        self._count = 0
        self._rest: Audio | None = None

    def add(self, block: Audio) -> None:
        """Take the next block. Shape ``channels samples``."""
        joined = block if self._rest is None else np.concatenate([self._rest, block], axis=1)
        size = len(self._window)
        whole = joined.shape[1] // size
        self._add_windows(joined[:, : whole * size])
        self._rest = joined[:, whole * size :].copy()

    def _add_windows(self, audio: Audio) -> None:
        """Add windows side by side."""
        frames = audio.reshape(audio.shape[0], -1, len(self._window))
        loud = np.square(frames).mean(axis=(0, 2)) > _SILENT_POWER
        spectra = np.fft.rfft(frames[:, loud] * self._window, axis=2)
        self._sum += np.square(np.abs(spectra)).mean(axis=0).sum(axis=0)
        self._count += int(loud.sum())

    def density(self) -> Floats:
        """Return the mean power per hertz from 0 to half the rate; zeros where all was silent."""
        if not self._count and self._rest is not None:  # shorter than a window, or almost silent
            missing = len(self._window) - self._rest.shape[1]
            self._add_windows(np.pad(self._rest, ((0, 0), (0, missing))))
        scale = 2 / (self._rate_hz * float(np.square(self._window).sum()) * max(1, self._count))
        return self._sum * scale

    def bands_db(self) -> list[float | None]:
        """Return each third octave's share of the power in decibels; None above half the rate."""
        density = self.density()
        nyquist = self._rate_hz / 2
        step = nyquist / (len(density) - 1)
        edges = np.concatenate([[0], (np.arange(len(density)) + 0.5) * step])
        reached = np.concatenate([[0], np.cumsum(density) * step])
        total = float(reached[-1])
        found: list[float | None] = []
        for centre in BAND_CENTRES_HZ:
            if centre >= 0.95 * nyquist:
                found.append(None)
                continue
            low, high = np.interp([centre / 2 ** (1 / 6), centre * 2 ** (1 / 6)], edges, reached)
            share = (high - low) / total if total else 0.0
            level = 10 * math.log10(share) if share > 0 else LOWEST_DB
            found.append(round(max(LOWEST_DB, level), 1))
        return found

    def bandwidth_hz(self) -> float:
        """Return the highest frequency at which there is sound; 0 where there is none."""
        density = self.density()
        nyquist = self._rate_hz / 2
        step = nyquist / (len(density) - 1)
        width = max(1, round(_SMOOTHING_HZ / step))
        smooth = np.convolve(density, np.ones(width) / width, "same")
        noise = _ABOVE_ROUNDING * _ROUNDING_POWER / nyquist
        above = np.flatnonzero(smooth > max(noise, _BELOW_STRONGEST * float(smooth.max())))
        if not len(above):
            return 0.0
        highest = int(above[-1])
        if (
            highest < len(density) - 1
        ):  # the smoothing reaches half its width further than the sound
            highest -= width // 2
        return round(max(0, highest) * step, 1)
