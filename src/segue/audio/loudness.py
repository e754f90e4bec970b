"""How loud a recording is, and how much of it is silence: measured in one pass, in blocks.

Loudness follows Recommendation ITU-R BS.1770-5: K-weighting, blocks of 400 ms every 100 ms, gates at
-70 LUFS and at 10 LU below the mean of what passes. Departures: a recording shorter than 400 ms is
one block, ungated above -70; channels all count alike, which for mono and stereo is the standard.
The two filters are run as one convolution with their common impulse response, cut where it has
fallen below 1e-12, so that no sample-by-sample loop is needed.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

SILENCE_DBFS = -60.0
"""A window whose mean square lies below this level is silent."""
WINDOW_SECONDS = 0.1
CLIPPED = 0.999
"""A sample from this share of full scale on counts as clipped."""

_HOPS_PER_BLOCK = 4
_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_LUFS = -0.691
_RESPONSE_SECONDS = 0.12
"""The high-pass falls as exp(-240 t): to 3e-13 of its size after this time."""
_FFT_RESPONSES = 8


class Measures(NamedTuple):
    """What was measured.

    Attributes:
        num_samples: length.
        loudness_lufs: integrated loudness; minus infinity where nothing passes the gates.
        peak: largest amplitude, 1 is full scale.
        peak_dbfs: the same in decibels; minus infinity for digital silence.
        silent_share: share of the windows of 100 ms below -60 dBFS; 1 for no samples at all.
        clipped_share: share of the samples at full scale.
    """

    num_samples: int
    loudness_lufs: float
    peak: float
    peak_dbfs: float
    silent_share: float
    clipped_share: float


class SignalMeter:
    """Measures a recording that comes in blocks; memory grows by 24 bytes for each 100 ms.

    Args:
        rate_hz: rate of the samples.
        channels: number of channels.

    Example:
        >>> meter = SignalMeter(16_000, 1)
        >>> meter.add(np.zeros((1, 16_000), np.float32))
        >>> meter.result().silent_share
        1.0
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._rate_hz = rate_hz
        self._weighting = _Weighting(rate_hz, channels)
        self._plain, self._weighted = _HopPowers(rate_hz), _HopPowers(rate_hz)
        self._channels = channels
        self._num_samples = 0
        self._peak = 0.0
        self._clipped = 0

    def add(self, block: Audio) -> None:
        """Take the next block. Shape ``channels samples``."""
        if not block.shape[1]:
            return
        size = np.abs(block)
        self._peak = max(self._peak, float(size.max()))
        self._clipped += int((size >= CLIPPED).sum())
        self._num_samples += block.shape[1]
        self._plain.add(np.square(block, dtype=np.float64).mean(axis=0))
        self._weighted.add(np.square(self._weighting.apply(block)).sum(axis=0))

    def result(self, gain: float = 1.0) -> Measures:
        """Return what was measured of all blocks together.

        Args:
            gain: factor that the recording is multiplied with afterwards; clipped samples stay those
                of the recording as it came.
        """
        peak = self._peak * gain
        powers = self._plain.means() * gain**2
        silent = powers < 10 ** (SILENCE_DBFS / 10)
        total = self._num_samples * self._channels
        return Measures(
            num_samples=self._num_samples,
            loudness_lufs=self._loudness(gain),
            peak=peak,
            peak_dbfs=20 * math.log10(peak) if peak else -math.inf,
            silent_share=float(silent.mean()) if len(silent) else 1.0,
            clipped_share=self._clipped / total if total else 0.0,
        )

    def _loudness(self, gain: float) -> float:
        """Gate the powers of the blocks and return their mean in LUFS."""
        sums, counts = self._weighted.sums(), self._weighted.counts()
        whole = len(sums) - (len(counts) > 0 and counts[-1] < self._weighted.hop_samples)
        if whole >= _HOPS_PER_BLOCK:
            kernel = np.ones(_HOPS_PER_BLOCK)
            powers = np.convolve(sums[:whole], kernel, "valid")
            powers = powers / np.convolve(counts[:whole], kernel, "valid")
        else:
            powers = np.array([sums.sum() / counts.sum()] if len(sums) else [])
        powers = powers * gain**2
        passed = powers[powers > _power(_GATE_LUFS)]
        if not len(passed):
            return -math.inf
        relative = _power(_lufs(float(passed.mean())) + _RELATIVE_GATE_LU)
        return _lufs(float(passed[passed > relative].mean()))


def measure(audio: Audio, rate_hz: int) -> Measures:
    """Measure a recording. Shape ``channels samples``."""
    meter = SignalMeter(rate_hz, audio.shape[0])
    block = 10 * rate_hz
    for start in range(0, audio.shape[1], block):
        meter.add(audio[:, start : start + block])
    return meter.result()


def loudness_lufs(audio: Audio, rate_hz: int) -> float:
    """Return the integrated loudness by ITU-R BS.1770; minus infinity for silence.

    Args:
        audio: shape ``channels samples``.
        rate_hz: rate of the samples.
    """
    return measure(audio, rate_hz).loudness_lufs


def silent_share(audio: Audio, rate_hz: int) -> float:
    """Return the share of windows of 100 ms below -60 dBFS; 1 for no samples at all.

    Args:
        audio: shape ``channels samples``.
        rate_hz: rate of the samples.
    """
    powers = _HopPowers(rate_hz)
    powers.add(np.square(audio, dtype=np.float64).mean(axis=0))
    means = powers.means()
    return float((means < 10 ** (SILENCE_DBFS / 10)).mean()) if len(means) else 1.0


def _lufs(power: float) -> float:
    return _OFFSET_LUFS + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return 10 ** ((lufs - _OFFSET_LUFS) / 10)


class _HopPowers:
    """Sums of consecutive hops of 100 ms of a stream of powers."""

    def __init__(self, rate_hz: int) -> None:
        self.hop_samples = max(1, round(WINDOW_SECONDS * rate_hz))
        self._done: list[NDArray[np.float64]] = []
        self._part, self._part_samples = 0.0, 0

    def add(self, powers: NDArray[np.float64]) -> None:
        """Take the next powers. Shape ``samples``."""
        missing = self.hop_samples - self._part_samples
        if len(powers) < missing:
            self._part += float(powers.sum())
            self._part_samples += len(powers)
            return
        self._done.append(np.array([self._part + powers[:missing].sum()]))
        rest = powers[missing:]
        whole = len(rest) - len(rest) % self.hop_samples
        self._done.append(rest[:whole].reshape(-1, self.hop_samples).sum(axis=1))
        self._part = float(rest[whole:].sum())
        self._part_samples = len(rest) - whole

    def sums(self) -> NDArray[np.float64]:
        """Return the sum of every hop; the last may be shorter than the others."""
        tail = [np.array([self._part])] if self._part_samples else []
        return np.concatenate([*self._done, *tail]) if self._done or tail else np.zeros(0)

    def counts(self) -> NDArray[np.float64]:
        """Return the number of samples of every hop."""
        whole = sum(len(part) for part in self._done)
        tail = [self._part_samples] if self._part_samples else []
        return np.array([self.hop_samples] * whole + tail, dtype=np.float64)

    def means(self) -> NDArray[np.float64]:
        """Return the mean power of every hop."""
        return self.sums() / self.counts()


class _Weighting:
    """K-weighting of a stream."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        response = _impulse_response(rate_hz)
        self._keep = len(response) - 1
        self._size = _FFT_RESPONSES * (self._keep + 1)
        self._spectrum = np.fft.rfft(response, self._size)
        self._past = np.zeros((channels, self._keep))

    def apply(self, block: Audio) -> NDArray[np.float64]:
        """Return the next block, weighted (overlap-save). Shape ``channels samples``."""
        joined = np.concatenate([self._past, block], axis=1)
        step = self._size - self._keep
        parts = []
        for start in range(0, block.shape[1], step):
            spectrum = np.fft.rfft(joined[:, start : start + self._size], self._size)
            part = np.fft.irfft(spectrum * self._spectrum, self._size)[:, self._keep :]
            parts.append(part[:, : block.shape[1] - start])
        self._past = joined[:, block.shape[1] :]
        return np.concatenate(parts, axis=1)


@functools.lru_cache(maxsize=16)
def _impulse_response(rate_hz: int) -> NDArray[np.float64]:
    """Return the impulse response of both K-weighting filters in a row."""
    size = 1 << math.ceil(math.log2(_RESPONSE_SECONDS * rate_hz))
    unit = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    powers = np.stack([np.ones_like(unit), unit, unit**2])
    gain = np.ones(len(unit), complex)
    for above, below in (_shelf(rate_hz), _high_pass(rate_hz)):
        gain *= (np.array(above) @ powers) / (np.array(below) @ powers)
    return np.fft.irfft(gain, size)


Coefficients = tuple[tuple[float, float, float], tuple[float, float, float]]


def _shelf(rate_hz: int) -> Coefficients:
    """Return the filter of the head (BS.1770 table 1), for any rate.

    The standard gives numbers for 48 kHz; these are the analogue prototype's that yields them through
    the bilinear transform.
    """
    gain_db, quality, centre_hz = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    tangent = math.tan(math.pi * min(centre_hz / rate_hz, 0.49))
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    scale = 1 + tangent / quality + tangent**2
    above = (
        (high + band * tangent / quality + tangent**2) / scale,
        2 * (tangent**2 - high) / scale,
        (high - band * tangent / quality + tangent**2) / scale,
    )
    below = (1.0, 2 * (tangent**2 - 1) / scale, (1 - tangent / quality + tangent**2) / scale)
    return above, below


def _high_pass(rate_hz: int) -> Coefficients:
    """Return the high-pass (BS.1770 table 2), for any rate."""
    quality, corner_hz = 0.5003270373238773, 38.13547087602444
    tangent = math.tan(math.pi * corner_hz / rate_hz)
    scale = 1 + tangent / quality + tangent**2
    below = (1.0, 2 * (tangent**2 - 1) / scale, (1 - tangent / quality + tangent**2) / scale)
    return (1.0, -2.0, 1.0), below
