"""How far decoded sound is from real sound, and what the latents cost."""

import functools
import math

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from segue.audio.autoencoder.network import LOG_FLOOR
from segue.audio.autoencoder.settings import Posterior
from segue.core.config import StrictModel

_FLOOR = 1e-5
"""Mel magnitudes below this (-100 dB) are as good as silence."""


class SpectralLossSettings(StrictModel):
    """The reconstruction loss: mel spectra at several resolutions, and complex spectra."""

    windows: tuple[int, ...] = Field(
        default=(2048, 1024, 512, 256, 128), description="window lengths in samples"
    )
    mel_bands: tuple[int, ...] = Field(
        default=(160, 80, 40, 20, 10), description="bands for each window"
    )
    log_weight: float = Field(default=1.0, ge=0, description="of the log mel distance")
    linear_weight: float = Field(default=1.0, ge=0, description="of the mel distance itself")
    complex_weight: float = Field(
        default=1.0, ge=0, description="of the distance of compressed complex spectra"
    )
    complex_windows: tuple[int, ...] = Field(default=(2048, 512), description="in samples")


def mel_filters(
    num_bands: int, *, window_samples: int, rate_hz: int
) -> Float[Tensor, "bins bands"]:
    """Return triangular filters, equally spaced on the mel scale and each of sum 1.

    The scale is ``2595 log10(1 + f / 700)`` (O'Shaughnessy, 1987). Bands narrower than a bin of the
    transform take the nearest bin.
    """
    top = 2595 * math.log10(1 + rate_hz / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, num_bands + 2) / 2595) - 1)
    bins = torch.linspace(0, rate_hz / 2, window_samples // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    filters = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    filters = filters.clamp_min(0)
    nearest = (bins - middle).abs().argmin(dim=0)
    empty = filters.sum(dim=0) == 0
    filters[nearest[empty], torch.nonzero(empty)[:, 0]] = 1
    return filters / filters.sum(dim=0)


class SpectralLoss(nn.Module):
    """Distance of two sounds by their spectra; see `SpectralLossSettings`.

    Multi-scale mel as in Kumar et al. (2023), section 3.4, with means in place of sums; the complex
    part keeps phases in place where they can be heard.

    Args:
        settings: resolutions and weights.
        rate_hz: of the sound.
    """

    def __init__(self, settings: SpectralLossSettings, *, rate_hz: int) -> None:
        super().__init__()
        self.settings = settings
        self.rate_hz = rate_hz
        for window, bands in zip(settings.windows, settings.mel_bands, strict=True):
            filters = mel_filters(bands, window_samples=window, rate_hz=rate_hz)
            self.register_buffer(f"filters_{window}", filters, persistent=False)
        for window in {*settings.windows, *settings.complex_windows}:
            self.register_buffer(f"hann_{window}", torch.hann_window(window), persistent=False)

    def forward(
        self,
        decoded: Float[Tensor, "batch channels samples"],
        real: Float[Tensor, "batch channels samples"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the weighted parts, ``mel`` and ``complex``.

        Both are means over clips, so that processes may share a batch.
        """
        settings = self.settings
        with torch.autocast(real.device.type, enabled=False):
            pair = torch.cat([decoded.float(), real.float()]).flatten(0, 1)
            spectra = functools.lru_cache(None)(functools.partial(self._spectrum, pair))
            mel = [self._mel(spectra(window), window) for window in settings.windows]
            parts = {"mel": torch.stack(mel).mean()}
            if settings.complex_weight:
                far = [_complex_distance(spectra(window)) for window in settings.complex_windows]
                parts["complex"] = settings.complex_weight * torch.stack(far).mean()
            return parts

    def _spectrum(
        self, audio: Float[Tensor, "sounds samples"], window: int
    ) -> Float[Tensor, "sounds frames bins 2"]:
        frames = audio.unfold(-1, window, window // 4) * self.get_buffer(f"hann_{window}")
        scale = 2 / window
        return torch.view_as_real(torch.fft.rfft(frames, dim=-1)) * scale

    def _mel(self, spectra: Float[Tensor, "sounds frames bins 2"], window: int) -> Tensor:
        """Return the weighted distance of mel spectra and their logarithms."""
        magnitude = spectra.square().sum(-1).clamp_min(1e-12).sqrt()
        bands = magnitude @ self.get_buffer(f"filters_{window}")
        decoded, real = bands.chunk(2)
        logs = (decoded.clamp_min(_FLOOR).log10() - real.clamp_min(_FLOOR).log10()).abs().mean()
        far = (decoded - real).abs().mean(dim=(1, 2))
        linear = (far / real.mean(dim=(1, 2)).clamp_min(_FLOOR)).mean()
        return self.settings.log_weight * logs + self.settings.linear_weight * linear


def _complex_distance(spectra: Float[Tensor, "sounds frames bins 2"]) -> Float[Tensor, ""]:
    """Return the distance of spectra with square-root magnitudes, relative to the real clip's size."""
    power = spectra.square().sum(-1, keepdim=True).clamp_min(1e-12)
    decoded, real = (spectra * power**-0.25).chunk(2)
    size = real.abs().mean(dim=(1, 2, 3)).clamp_min(1e-3)
    return ((decoded - real).abs().mean(dim=(1, 2, 3)) / size).mean()


class MagnitudeLossSettings(StrictModel):
    """The reconstruction loss of magnitudes whose phases are found afterwards."""

    likelihood_weight: float = Field(
        default=1.0, ge=0, description="of the logarithms' normal likelihood, in nats"
    )
    log_weight: float = Field(
        default=0.0, ge=0, description="of the logarithms' distance, in nats; for no texture"
    )
    root_weight: float = Field(
        default=1.0, ge=0, description="of square roots, where loud bins count more"
    )


def magnitude_loss(
    decoded: Float[Tensor, "batch 2 bins frames"],
    real: Float[Tensor, "batch bins frames"],
    settings: MagnitudeLossSettings,
) -> dict[str, Float[Tensor, ""]]:
    """Return the weighted parts, means over clips.

    ``likelihood`` is the negative logarithm of the normal density of the real logarithm, without its
    constant; ``log`` the distance of logarithms; ``root`` that of square roots, relative to the size of
    the real clip's.

    Args:
        decoded: magnitudes, and the deviations of their logarithms.
        real: magnitudes.
        settings: the weights.
    """
    magnitudes, spread = decoded.unbind(dim=1)
    far = (magnitudes + LOG_FLOOR).log() - (real + LOG_FLOOR).log()
    parts = {}
    if settings.likelihood_weight:
        deviation = spread.clamp_min(0.02)
        nats = 0.5 * (far / deviation).square().clamp_max(200.0) + deviation.log()
        parts["likelihood"] = settings.likelihood_weight * nats.mean()
    if settings.log_weight:
        parts["log"] = settings.log_weight * far.abs().mean()
    if settings.root_weight:
        roots = ((magnitudes + LOG_FLOOR).sqrt() - (real + LOG_FLOOR).sqrt()).abs().mean(dim=(1, 2))
        size = (real + LOG_FLOOR).sqrt().mean(dim=(1, 2))
        parts["root"] = settings.root_weight * (roots / size).mean()
    return parts


def rate_nats(posterior: Posterior) -> Float[Tensor, "batch frames"]:
    """Return the KL divergence from the standard normal of every frame, summed over channels."""
    mean, log_variance = posterior
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


def draw(
    posterior: Posterior, noise: Float[Tensor, "batch latent frames"]
) -> Float[Tensor, "batch latent frames"]:
    """Draw latents: mean plus deviation times standard normal noise."""
    return posterior.mean + (0.5 * posterior.log_variance).exp() * noise
