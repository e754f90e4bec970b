"""What a picture of a recording shows: amplitudes and spectra, column by column, of any length."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.audio.sound import Sound

COLUMNS: Final = 1000
WINDOW_SAMPLES: Final = 1024

_MOST_WINDOWS = 8
_FLOOR = 1e-12

Values = NDArray[np.float32]


class Overview(NamedTuple):
    """A recording in columns.

    Attributes:
        low: smallest sample of each column. Shape ``columns``.
        high: largest sample of each column. Shape ``columns``.
        decibels: mean power spectrum of each column, 0 for a sine at full scale. Shape
            ``rows columns``.
    """

    low: Values
    high: Values
    decibels: Values


def overview(sound: Sound, *, columns: int = COLUMNS) -> Overview:
    """Look at a recording in bounded memory.

    Args:
        sound: at least one sample; its channels are looked at as their mean.
        columns: at most.
    """
    columns = min(columns, sound.num_samples)
    edges = np.linspace(0, sound.num_samples, columns + 1).astype(np.int64)
    low, high = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    spectra = np.zeros((WINDOW_SAMPLES // 2 + 1, columns), np.float32)
    for column, (start, stop) in enumerate(
        zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ):
        wave = sound.read(start, stop).mean(axis=0)
        low[column], high[column] = wave.min(), wave.max()
        spectra[:, column] = _power(sound, start, stop)
    return Overview(low, high, (10 * np.log10(spectra + _FLOOR)).astype(np.float32))


def _power(sound: Sound, start: int, stop: int) -> Values:
    """Return the mean power spectrum around a column, over a few windows at most."""
    count = max(1, min(_MOST_WINDOWS, (stop - start) // WINDOW_SAMPLES))
    window = np.hanning(WINDOW_SAMPLES)
    total = np.zeros(WINDOW_SAMPLES // 2 + 1)
    for centre in np.linspace(start, stop, 2 * count + 1)[1::2]:
        first = int(centre) - WINDOW_SAMPLES // 2
        low, high = max(0, first), min(sound.num_samples, first + WINDOW_SAMPLES)
        wave = np.zeros(WINDOW_SAMPLES)
        wave[low - first : high - first] = sound.read(low, high).mean(axis=0)
        total += np.abs(np.fft.rfft(wave * window) * 2 / window.sum()) ** 2
    return (total / count).astype(np.float32)
