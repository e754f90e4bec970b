"""The original LDMG's losses, as pure functions.

Reconstruction is the multi-resolution STFT loss of Yamamoto et al. (2020) with the A-weighting of Wright
and Välimäki (2020), in the settings that the original took over from auraloss 0.4; a parity test holds
ours to it. The game is played with hinges, and features of the discriminator are matched. What latents cost
is `segue.audio.autoencoder.losses.rate_nats`, which is the original's too.

Shapes: ``batch``, ``channels``, ``samples``, ``rows`` (batch times channels), ``bins``, ``frames``.
"""

import functools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from segue.errors import DataError

RESOLUTIONS: Final = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""Transform, hop and window of each resolution, in samples."""

SHORTEST_SAMPLES: Final = 1025
"""The largest transform mirrors half its length at both ends, which shorter audio cannot give."""

_TAPS = 101
_LEAST_POWER = 1e-8
_POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
_GAIN_AT_1KHZ_DB = 1.9997
_DESIGN_POINTS = 512
_NODES = 8
"""Points at which a band's error is taken; its integral is exact to rounding from 4 on."""


def analog_a_weighting(frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the magnitude of the A-weighting curve of IEC 61672, 1 at 1 kHz.

    Example:
        >>> float(analog_a_weighting(np.array([1000.0]))[0].round(3))
        1.0
    """
    square = np.square(frequency_hz)
    low, second, third, high = np.square(_POLES_HZ)
    gain = 10 ** (_GAIN_AT_1KHZ_DB / 20) * high
    both = (square + low) * (square + high)
    single = np.sqrt((square + second) * (square + third))
    curve: npt.NDArray[np.float64] = gain * np.square(square) / (both * single)
    return curve


@functools.cache
def a_weighting_taps(rate_hz: int) -> tuple[float, ...]:
    """Design the symmetric filter of 101 taps that weighs a signal before the STFT loss.

    The analog curve goes through the bilinear transform without pre-warping, so at 16 kHz the highest
    octave is damped far more than the curve says: the original's choice. Its values at 512 frequencies
    are fitted by least squares over every second interval between them, which is how the original's
    library reads them.

    Args:
        rate_hz: sampling rate.
    """
    ratio = np.arange(_DESIGN_POINTS) / _DESIGN_POINTS
    warped_hz = rate_hz / math.pi * np.tan(ratio * math.pi / 2)
    wanted = analog_a_weighting(warped_hz)
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    inside = (points + 1) / 2
    first, last = ratio[::2, None], ratio[1::2, None]
    places = (first + (last - first) * inside).ravel()
    values = (wanted[::2, None] + (wanted[1::2] - wanted[::2])[:, None] * inside).ravel()
    root = np.sqrt(np.tile(weights, len(first)))
    cosines = np.cos(math.pi * places[:, None] * np.arange(_TAPS // 2 + 1))
    fit = np.linalg.lstsq(root[:, None] * cosines, root * values)[0]
    side = fit[1:] / 2
    return tuple(np.concatenate([side[::-1], fit[:1], side]).tolist())


def a_weighted(
    audio: Float[Tensor, "batch channels samples"], *, rate_hz: int
) -> Float[Tensor, "batch channels samples"]:
    """Filter audio with `a_weighting_taps`, zeros around it."""
    taps = torch.tensor(a_weighting_taps(rate_hz), dtype=audio.dtype, device=audio.device)
    single = audio.flatten(0, 1).unsqueeze(1)
    filtered = functional.conv1d(single, taps.view(1, 1, -1), padding=_TAPS // 2)
    return filtered.view_as(audio)


def stft_magnitudes(
    audio: Float[Tensor, "batch channels samples"], *, resolution: tuple[int, int, int]
) -> Float[Tensor, "rows bins frames"]:
    """Return the magnitudes of a short-time Fourier transform, at least 1e-4.

    Args:
        audio: rows are batch times channels.
        resolution: transform, hop and Hann window in samples.
    """
    size, hop, window = resolution
    spectrum = torch.stft(
        audio.flatten(0, 1),
        size,
        hop,
        window,
        torch.hann_window(window, dtype=audio.dtype, device=audio.device),
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return power.clamp(min=_LEAST_POWER).sqrt()


def multi_resolution_stft(
    estimate: Float[Tensor, "batch channels samples"],
    target: Float[Tensor, "batch channels samples"],
    *,
    rate_hz: int | None,
) -> Float[Tensor, ""]:
    """Return spectral convergence plus the L1 distance of log magnitudes, mean over `RESOLUTIONS`.

    Spectral convergence is a ratio of norms over the whole batch, as in the original: loud clips
    count for more than quiet ones.

    Args:
        estimate: what the decoder gave.
        target: what it should have given.
        rate_hz: sampling rate for the A-weighting; None leaves the weighting out.

    Raises:
        DataError: the audio is shorter than half the largest transform.
    """
    if target.shape[-1] < SHORTEST_SAMPLES:
        raise DataError(
            f"The STFT loss needs clips of {SHORTEST_SAMPLES} samples or more, these have "
            f"{target.shape[-1]}. Train on longer clips."
        )
    if rate_hz is not None:
        estimate, target = (a_weighted(audio, rate_hz=rate_hz) for audio in (estimate, target))
    total = torch.zeros((), dtype=target.dtype, device=target.device)
    for resolution in RESOLUTIONS:
        found = stft_magnitudes(estimate, resolution=resolution)
        wanted = stft_magnitudes(target, resolution=resolution)
        convergence = torch.linalg.vector_norm(wanted - found) / torch.linalg.vector_norm(wanted)
        total = total + convergence + functional.l1_loss(found.log(), wanted.log())
    return total / len(RESOLUTIONS)


def generator_hinge(fake_logits: Float[Tensor, "batch 1 patches"]) -> Float[Tensor, ""]:
    """Return what the decoder pays for being found out: the mean of relu(1 - logits).

    Today's practice is minus the mean of the logits, which goes on pulling above 1.
    """
    return functional.relu(1 - fake_logits).mean()


def discriminator_hinge(
    real_logits: Float[Tensor, "batch 1 patches"], fake_logits: Float[Tensor, "batch 1 patches"]
) -> Float[Tensor, ""]:
    """Return half the sum of both hinges."""
    real, fake = functional.relu(1 - real_logits), functional.relu(1 + fake_logits)
    return 0.5 * (real.mean() + fake.mean())


def feature_matching(real_layers: Sequence[Tensor], fake_layers: Sequence[Tensor]) -> Tensor:
    """Return the sum over layers of the mean absolute difference."""
    pairs = zip(real_layers, fake_layers, strict=True)
    return torch.stack([functional.l1_loss(fake, real) for real, fake in pairs]).sum()
