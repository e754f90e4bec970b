"""Short-time spectra and mel filters in NumPy, as librosa defines them."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError, SettingError

Floats = NDArray[np.floating]

_LINEAR_HZ = 200 / 3
_BREAK_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: Floats | float) -> Floats:
    """Frequency in hertz → mel on Slaney's scale: linear to 1 kHz, logarithmic above.

    Source: Slaney, *Auditory Toolbox*, 1998; the scale that librosa uses unless told otherwise.
    """
    values = np.asarray(hz, dtype=np.float64)
    upper = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(values, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(values < _BREAK_HZ, values / _LINEAR_HZ, upper)


def mel_to_hz(mel: Floats | float) -> Floats:
    """Mel on Slaney's scale → frequency in hertz; the inverse of `hz_to_mel`."""
    values = np.asarray(mel, dtype=np.float64)
    split = _BREAK_HZ / _LINEAR_HZ
    upper = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(values, split) - split))
    return np.where(values < split, values * _LINEAR_HZ, upper)


def mel_filters(
    rate_hz: int, window_samples: int, num_mels: int, *, low_hz: float = 0, high_hz: float = 0
) -> NDArray[np.float64]:
    """Triangular mel filters, each of unit area over frequency (Slaney's normalisation).

    Args:
        rate_hz: sample rate.
        window_samples: length of the Fourier transform.
        num_mels: number of filters.
        low_hz: where the first filter begins.
        high_hz: where the last one ends; 0 for half the sample rate.

    Returns:
        Weights on the bins of a *power* or magnitude spectrum. Shape ``mels bins``.

    Raises:
        SettingError: the range is empty or reaches above half the sample rate.
    """
    high = high_hz or rate_hz / 2
    if not 0 <= low_hz < high <= rate_hz / 2 or num_mels < 1:
        raise SettingError(
            f"{num_mels} mel filters from {low_hz:g} to {high:g} Hz do not fit a sample rate of "
            f"{rate_hz} Hz; give 1 or more inside 0 to {rate_hz / 2:g} Hz."
        )
    edges = mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high), num_mels + 2))[:, None]
    bins = np.linspace(0, rate_hz / 2, window_samples // 2 + 1)[None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (edges[2:] - edges[:-2]))


def short_time_spectrum(
    signal: Floats,
    transform_samples: int,
    hop_samples: int,
    *,
    window_samples: int | None = None,
    edges: Literal["constant", "reflect"] = "constant",
) -> NDArray[np.complexfloating]:
    """Hann-windowed Fourier transforms, centred: frame k is about sample ``k * hop_samples``.

    Args:
        signal: one channel. Shape ``samples``.
        transform_samples: length of the transform.
        hop_samples: distance of the frames.
        window_samples: length of the window, in the middle of the transform; as long by default.
        edges: what stands before and after the signal, half a transform of it: zeros (librosa) or
            the mirrored signal (PyTorch, auraloss).

    Returns:
        Spectra without any scaling. Shape ``frames bins``, ``1 + samples // hop_samples`` frames.

    Raises:
        DataError: the signal is not one channel, or too short to be mirrored.
    """
    half = transform_samples // 2
    if signal.ndim != 1 or len(signal) < (half + 1 if edges == "reflect" else 1):
        raise DataError(
            f"A spectrum of {transform_samples} samples cannot be taken of an array of shape "
            f"{signal.shape}; give one channel of more than {half} samples."
        )
    window = hann(window_samples or transform_samples)
    before = (transform_samples - len(window)) // 2
    window = np.pad(window, (before, transform_samples - len(window) - before))
    padded = np.pad(signal, half, mode=edges)
    frames = np.lib.stride_tricks.sliding_window_view(padded, transform_samples)[::hop_samples]
    return np.fft.rfft(frames * window.astype(signal.dtype), axis=-1)


def hann(window_samples: int) -> NDArray[np.float64]:
    """Periodic Hann window. Shape ``samples``."""
    phase = 2 * np.pi * np.arange(window_samples) / window_samples
    return 0.5 - 0.5 * np.cos(phase)
