"""How much of a recording survives a codec: four measures, the deck's baseline, a table.

None of the measures hears. They are read together, and beside codecs that everyone knows.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.filterbank import mel_filters, short_time_spectrum
from segue.audio.spectrum import Spectrum
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.core.statistics import Interval, bootstrap
from segue.errors import DataError, SettingError

Audio = NDArray[np.float32]
Codec = Callable[[Audio], Audio]
"""decode(encode(audio)), shape ``channels samples`` both ways."""

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""Transform, hop and window of the multi-resolution distance, in samples, as auraloss has them."""

MEL_SCALES = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
"""Window in samples and number of mel bands, as the Descript audio codec trains with."""

_SMALLEST_POWER = 1e-8
_SMALLEST_MEL = 1e-5
_LSD_TRANSFORM, _LSD_HOP = 2048, 512
_FLOOR_DBFS = -80.0


def multi_resolution_stft(reference: Audio, estimate: Audio) -> float:
    """Spectral convergence plus log-magnitude distance, mean over three resolutions.

    At each resolution ``|Y - X| / |Y|`` (Frobenius norms of magnitudes) plus the mean of
    ``|ln X - ln Y|``; the numbers are those of auraloss's `MultiResolutionSTFTLoss` at its defaults.

    Args:
        reference: shape ``channels samples``.
        estimate: the same shape.

    Source: Yamamoto, Song and Kim, *Parallel WaveGAN*, 2020.
    """
    values = []
    for sizes in RESOLUTIONS:
        real, made = (_magnitudes(audio, *sizes) for audio in (reference, estimate))
        convergence = np.linalg.norm(real - made) / np.linalg.norm(real)
        values.append(convergence + np.abs(np.log(made) - np.log(real)).mean())
    return float(np.mean(values))


def mel_distance(reference: Audio, estimate: Audio, rate_hz: int) -> float:
    """Sum over seven scales of the mean ``|log10 X - log10 Y|`` of mel magnitudes.

    Windows of 32 to 2048 samples, hops of a quarter, 5 to 320 bands from 0 to half the sample rate,
    magnitudes (not powers) not below 1e-5: the Descript audio codec's training loss. Its
    windows are samples, so values at another sample rate do not compare.

    Args:
        reference: shape ``channels samples``.
        estimate: the same shape.
        rate_hz: sample rate of both.

    Source: Kumar et al., *High-Fidelity Audio Compression with Improved RVQGAN*, 2023.
    """
    total = 0.0
    for window, num_mels in MEL_SCALES:
        filters = _mel_filters(rate_hz, window, num_mels)
        logs = []
        for audio in (reference, estimate):
            spectra = [
                short_time_spectrum(row, window, window // 4, edges="reflect") for row in audio
            ]
            mel = np.abs(np.stack(spectra)) @ filters
            logs.append(np.log10(np.maximum(mel, _SMALLEST_MEL)))
        total += float(np.abs(logs[0] - logs[1]).mean())
    return total


def log_spectral_distance(reference: Audio, estimate: Audio) -> float:
    """Mean over frames of the root mean square over bins of the difference in decibels.

    Transforms of 2048 samples every 512. Powers are relative to a full-scale sine, and none counts
    as lower than -80 dB: without such a limit the measure is ruled by bins that nobody hears.

    Args:
        reference: shape ``channels samples``.
        estimate: the same shape.

    Source: Gray and Markel, *Distance Measures for Speech Processing*, 1976; the deck's measure.
    """
    return _decibel_distance(*(_lsd_magnitudes(audio) for audio in (reference, estimate)))


def si_sdr(reference: Audio, estimate: Audio) -> float:
    """Scale-invariant signal-to-distortion ratio in decibels, mean over channels.

    It compares waveforms: sound that is equal to the ear but shifted in phase scores low.

    Args:
        reference: shape ``channels samples``.
        estimate: the same shape.

    Source: Le Roux et al., *SDR - half-baked or well done?*, 2019.
    """
    real, made = (
        np.asarray(audio, dtype=np.float64)
        - np.mean(audio, axis=-1, keepdims=True, dtype=np.float64)
        for audio in (reference, estimate)
    )
    scale = (real * made).sum(-1) / np.maximum((real**2).sum(-1), _SMALLEST_POWER)
    target = real * scale[:, None]
    ratio = (target**2).sum(-1) / np.maximum(((made - target) ** 2).sum(-1), _SMALLEST_POWER)
    return float(10 * np.log10(np.maximum(ratio, _SMALLEST_POWER)).mean())


MEASURES = ("stft", "mel", "log_spectral_db", "si_sdr_db")
"""Names of the measures in tables; the last is better when higher, the others when lower."""


def measures(reference: Audio, estimate: Audio, rate_hz: int) -> dict[str, float]:
    """Return all four measures by name.

    Args:
        reference: shape ``channels samples``.
        estimate: the same channels, at least as many samples; what is beyond is cut off.
        rate_hz: sample rate of both.

    Raises:
        DataError: shapes do not fit, the reference is silent, or a value is not finite.
    """
    reference = np.asarray(reference, dtype=np.float32)
    estimate = np.asarray(estimate, dtype=np.float32)
    fits = reference.ndim == estimate.ndim == 2 and len(reference) == len(estimate)
    if not fits or estimate.shape[1] < reference.shape[1]:
        raise DataError(
            f"A reconstruction of shape {estimate.shape} does not fit a recording of shape "
            f"{reference.shape}; both are [channels, samples], and it must not be shorter."
        )
    estimate = estimate[:, : reference.shape[1]]
    if not (np.isfinite(reference).all() and np.isfinite(estimate).all()):
        raise DataError("A recording or its reconstruction holds values that are not finite.")
    if not np.abs(reference).max(initial=0) > 10 ** (_FLOOR_DBFS / 20):
        raise DataError(
            "A silent recording cannot be used to measure a reconstruction; leave it out."
        )
    values = (
        multi_resolution_stft(reference, estimate),
        mel_distance(reference, estimate, rate_hz),
        log_spectral_distance(reference, estimate),
        si_sdr(reference, estimate),
    )
    return dict(zip(MEASURES, values, strict=True))


def _magnitudes(audio: Audio, transform: int, hop: int, window: int) -> NDArray[np.float32]:
    """Magnitudes, the smallest 1e-4. Shape ``channels frames bins``."""
    spectra = np.stack(
        [
            short_time_spectrum(row, transform, hop, window_samples=window, edges="reflect")
            for row in np.asarray(audio, dtype=np.float32)
        ]
    )
    power = spectra.real**2 + spectra.imag**2
    return np.sqrt(np.maximum(power, _SMALLEST_POWER)).astype(np.float32)


@functools.cache
def _mel_filters(rate_hz: int, window: int, num_mels: int) -> NDArray[np.float32]:
    """Return the filters of one scale, bins first."""
    return mel_filters(rate_hz, window, num_mels).T.astype(np.float32)


def _lsd_magnitudes(audio: Audio) -> NDArray[np.floating]:
    """Magnitudes relative to a full-scale sine. Shape ``channels frames bins``."""
    spectra = [short_time_spectrum(row, _LSD_TRANSFORM, _LSD_HOP) for row in audio]
    return np.abs(np.stack(spectra)) / (_LSD_TRANSFORM / 4)


def _decibel_distance(real: NDArray[np.floating], made: NDArray[np.floating]) -> float:
    """Return the log-spectral distance of magnitudes. Shape ``channels frames bins``."""
    least = 10 ** (_FLOOR_DBFS / 20)
    levels = [20 * np.log10(np.maximum(side, least)) for side in (real, made)]
    return float(np.sqrt(((levels[0] - levels[1]) ** 2).mean(axis=-1)).mean())


# The deck's baseline ----------------------------------------------------------------------------

Axes = Literal["both", "time", "frequency"]


def resampled_spectrum(
    magnitudes: NDArray[np.floating], axes: Axes = "both"
) -> NDArray[np.floating]:
    """Shrink a spectrogram to half and stretch it back, as one does with a picture.

    The deck says "50 % downsampling followed by 50 % upsampling of input spectrogram" and no more.
    Here both is linear interpolation with pixel centres at half steps (PyTorch's ``interpolate``
    with ``mode="bilinear"`` and no antialiasing, the plain way to write it), over both axes.

    Args:
        magnitudes: shape ``channels frames bins``.
        axes: which are halved.
    """
    changed = magnitudes
    for axis, name in ((1, "time"), (2, "frequency")):
        if axes in ("both", name):
            changed = _stretched(_halved(changed, axis), magnitudes.shape[axis], axis)
    return changed


def _halved(values: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
    """Average neighbours in pairs; the last one is left out of an odd number."""
    size = values.shape[axis] // 2
    if not size:
        return values
    first, second = (np.take(values, np.arange(start, 2 * size, 2), axis=axis) for start in (0, 1))
    return (first + second) / 2


def _stretched(values: NDArray[np.floating], size: int, axis: int) -> NDArray[np.floating]:
    """Interpolate linearly to `size` values; beyond the outermost centres they are held."""
    held = values.shape[axis]
    places = np.clip((np.arange(size) + 0.5) * held / size - 0.5, 0, held - 1)
    lower = np.floor(places).astype(int)
    upper = np.minimum(lower + 1, held - 1)
    share = (places - lower).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    share = share.astype(values.dtype)
    below, above = (np.take(values, index, axis=axis) for index in (lower, upper))
    return below * (1 - share) + above * share


def baseline_log_spectral_distance(audio: Audio, axes: Axes = "both") -> float:
    """Return the deck's number: the log-spectral distance of the resampled spectrogram itself."""
    magnitudes = _lsd_magnitudes(audio)
    return _decibel_distance(magnitudes, resampled_spectrum(magnitudes, axes))


def baseline_audio(audio: Audio, axes: Axes = "both") -> Audio:
    """Return sound for the deck's baseline: resampled magnitudes with the *original* phases.

    The deck compares spectrograms and never makes sound of the baseline; keeping the phases favours
    it. Windows of 2048 samples every 512.

    Args:
        audio: shape ``channels samples``.
        axes: which axes of the spectrogram are halved.

    Returns:
        The same shape.
    """
    transform = Spectrum(window_samples=_LSD_TRANSFORM, hop_samples=_LSD_HOP)
    spectrum = transform.analyse(np.asarray(audio, dtype=np.float32))
    old = np.abs(spectrum)
    new = resampled_spectrum(old.transpose(0, 2, 1), axes).transpose(0, 2, 1)
    changed = spectrum * (new / np.maximum(old, np.float32(1e-12)))
    return transform.synthesise(changed.astype(np.complex64))[:, : audio.shape[1]]


# Table ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One codec's reconstruction of all clips.

    Attributes:
        name: of the codec.
        measures: each measure with its interval over recordings.
        num_clips: clips that were measured.
        kbit_per_second: real rate of what was sent, where the codec tells it.
    """

    name: str
    measures: dict[str, Interval]
    num_clips: int
    kbit_per_second: float | None


def reconstruction_table(
    codecs: Mapping[str, Codec],
    clips: Sequence[Audio],
    *,
    rate_hz: int = 16_000,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Row]:
    """Measure codecs on the same clips.

    Args:
        codecs: by name; one that has an attribute ``kbit_per_second`` is asked for it afterwards.
        clips: recordings that no training saw, each of shape ``channels samples``; none silent.
        rate_hz: sample rate of all.
        groups: recording of each clip; intervals draw recordings. Every clip its own by default.
        seed: of the bootstrap.
        progress: who listens.

    Raises:
        SettingError: there is nothing to measure, or groups and clips differ in number.
        DataError: a clip is silent, or a codec gives something that does not fit.
    """
    names = [str(index) for index in range(len(clips))] if groups is None else list(groups)
    if not codecs or not clips or len(names) != len(clips):
        raise SettingError(
            f"{len(codecs)} codecs, {len(clips)} clips and {len(names)} groups were given; give at "
            "least one codec, one clip, and one group per clip."
        )
    rows = []
    with progress("reconstructing", total=len(codecs) * len(clips)) as advance:
        for name, codec in codecs.items():
            found: list[dict[str, float]] = []
            for clip in clips:
                found.append(measures(clip, codec(clip), rate_hz))
                advance()
            rows.append(_row(name, codec, found, names, seed))
    return rows


def _row(
    name: str, codec: Codec, found: list[dict[str, float]], groups: list[str], seed: int
) -> Row:
    """Average over the clips of each recording, then over recordings."""
    members = np.array(groups)
    intervals = {}
    for measure in MEASURES:
        values = np.array([clip[measure] for clip in found])
        means = [values[members == group].mean() for group in np.unique(members)]
        intervals[measure] = bootstrap(means, generator(seed, "reconstruction"))
    return Row(name, intervals, len(found), getattr(codec, "kbit_per_second", None))
