"""Tones that a decoder adds by itself: lines at multiples of the rate of its frames.

Layers that raise the sampling rate repeat their small differences with every frame they raise, which
is heard as a buzz at the frame rate and its multiples (Pons et al., "Upsampling artifacts in neural
audio synthesis", 2021). A hiss has no lines of its own, so any that stand out of a decoded hiss are the
decoder's.
"""

import numpy as np
from numpy.typing import NDArray

from segue.core.seeds import generator
from segue.errors import SettingError

_LINES = 64
_PERIODS = 16
"""Periods in one transform: lines of the tones are then that many bins apart."""


def hiss(num_samples: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Return pink noise of about -23 dBFS to be decoded, shape ``[1, samples]``."""
    rng = generator(seed, "hiss")
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.size), 20))
    noise = np.fft.irfft(spectrum, num_samples)
    return (0.07 * noise / noise.std())[None].astype(np.float32)


def tones_db(audio: NDArray[np.float32], *, period_samples: int) -> float:
    """Return how far lines at multiples of a rate stand out of what surrounds them.

    Args:
        audio: what a decoder made of a hiss, ``[channels, samples]``; at least 64 periods.
        period_samples: samples of one frame of the decoder.

    Returns:
        The largest of the first 64 lines in dB above the median between the lines, power averaged over
        the sound. About 1 for a hiss.

    Raises:
        SettingError: the sound is too short.
    """
    length = _PERIODS * period_samples
    rows = audio.shape[-1] // length
    if rows < 4:
        raise SettingError(
            f"{audio.shape[-1]} samples are too few to find tones every {period_samples}: "
            f"give {4 * length} at least."
        )
    frames = audio.mean(axis=0)[: rows * length].reshape(rows, length)
    # A tone that repeats with the frames has the same phase in every row; a hiss has not.
    spectra = np.fft.rfft(frames * np.hanning(length), axis=1)
    steady = np.abs(spectra.mean(axis=0)) ** 2 * rows
    lines = np.arange(1, _LINES + 1) * _PERIODS
    lines = lines[lines < steady.size - _PERIODS]
    between = np.array([np.median(steady[k - _PERIODS + 3 : k + _PERIODS - 2]) for k in lines])
    return float(np.max(10 * np.log10((steady[lines] + 1e-20) / (between + 1e-20))))
