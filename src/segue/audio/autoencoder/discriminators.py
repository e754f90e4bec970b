"""Networks that tell real sound from decoded sound, by spectra at several scales and by periods."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from segue.audio.autoencoder.network import LOG_FLOOR
from segue.core.config import StrictModel


class Judgement(NamedTuple):
    """What one discriminator says of a batch.

    Attributes:
        scores: high for real; one for every patch, any shape after ``batch``.
        features: outputs of its layers, to be matched.
    """

    scores: Float[Tensor, "batch ..."]
    features: list[Tensor]


class DiscriminatorSettings(StrictModel):
    """Which discriminators there are. Empty lists leave a kind out."""

    windows: tuple[int, ...] = Field(
        default=(2048, 1024, 512), description="window lengths of the spectral ones, in samples"
    )
    spectral_width: int = Field(default=16, gt=0)
    periods: tuple[int, ...] = Field(default=(2, 3, 5, 7, 11), description="in samples")
    period_width: int = Field(default=16, gt=0, description="of the first layer; doubles twice")


class _ImageDiscriminator(nn.Module):
    """Convolutions over frames and bins; the bins are halved three times."""

    def __init__(self, parts: int, width: int) -> None:
        super().__init__()
        ins = (parts, width, width, width)
        strides = ((1, 1), (1, 2), (1, 2), (1, 2))
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(i, width, (3, 9), stride=stride, padding=(1, 4)))
            for i, stride in zip(ins, strides, strict=True)
        )
        self.layers.append(weight_norm(nn.Conv2d(width, width, (3, 3), padding=(1, 1))))
        self.out = weight_norm(nn.Conv2d(width, 1, (3, 3), padding=(1, 1)))

    def judge(self, image: Float[Tensor, "batch parts frames bins"]) -> Judgement:
        """Judge."""
        values, features = image, []
        for layer in self.layers:
            values = functional.leaky_relu(layer(values), 0.2)
            features.append(values)
        return Judgement(self.out(values).float(), features)


class SpectralDiscriminator(_ImageDiscriminator):
    """Judge the complex spectrum at one resolution (Défossez et al., "EnCodec", 2022).

    Args:
        window_samples: of the transform; the hop is a quarter.
        width: channels of every layer.
        channels: of the sound.
    """

    window: Tensor

    def __init__(self, window_samples: int, *, width: int, channels: int) -> None:
        super().__init__(2 * channels, width)
        self.window_samples = window_samples
        self.register_buffer("window", torch.hann_window(window_samples), persistent=False)

    def forward(self, audio: Float[Tensor, "batch channels samples"]) -> Judgement:
        """Judge."""
        with torch.autocast(audio.device.type, enabled=False):
            frames = audio.float().unfold(-1, self.window_samples, self.window_samples // 4)
            values = torch.fft.rfft(frames * self.window, dim=-1, norm="ortho")
            image = torch.cat([values.real, values.imag], dim=1)
        return self.judge(image)


class MagnitudeDiscriminator(_ImageDiscriminator):
    """Judge logarithms of magnitudes.

    Args:
        width: channels of every layer.
        channels: of the sound.
    """

    def __init__(self, *, width: int, channels: int) -> None:
        super().__init__(channels, width)
        self.channels = channels

    def forward(self, magnitudes: Float[Tensor, "batch bins frames"]) -> Judgement:
        """Judge the magnitudes of all channels, one after another along the bins."""
        batch, _, num_frames = magnitudes.shape
        logs = (magnitudes + LOG_FLOOR).log().view(batch, self.channels, -1, num_frames)
        return self.judge(0.5 * logs.transpose(2, 3) + 1)


class PeriodDiscriminator(nn.Module):
    """Judge every p-th sample side by side (Kong et al., "HiFi-GAN", 2020).

    Args:
        period: samples of one row.
        width: channels of the first layer.
        channels: of the sound.
    """

    def __init__(self, period: int, *, width: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = (channels, width, 2 * width, 4 * width, 4 * width)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(i, o, (5, 1), stride=(3, 1), padding=(2, 0)))
            for i, o in itertools.pairwise(widths)
        )
        self.out = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Float[Tensor, "batch channels samples"]) -> Judgement:
        """Judge."""
        batch, channels, num_samples = audio.shape
        rows = num_samples // self.period
        values = audio[..., : rows * self.period].reshape(batch, channels, rows, self.period)
        features = []
        for layer in self.layers:
            values = functional.leaky_relu(layer(values), 0.2)
            features.append(values)
        return Judgement(self.out(values).float(), features)


class Discriminators(nn.Module):
    """All of them.

    Args:
        settings: which.
        channels: of the sound.
        of_magnitudes: they see magnitudes and not sound; there is one only.
    """

    def __init__(
        self, settings: DiscriminatorSettings, *, channels: int, of_magnitudes: bool = False
    ) -> None:
        super().__init__()
        if of_magnitudes:
            only = MagnitudeDiscriminator(width=settings.spectral_width, channels=channels)
            self.parts = nn.ModuleList([only])
            return
        spectral = [
            SpectralDiscriminator(window, width=settings.spectral_width, channels=channels)
            for window in settings.windows
        ]
        periodic = [
            PeriodDiscriminator(period, width=settings.period_width, channels=channels)
            for period in settings.periods
        ]
        self.parts = nn.ModuleList([*spectral, *periodic])

    def forward(self, values: Tensor) -> list[Judgement]:
        """Return one judgement of each, of sound or of magnitudes."""
        return [part(values) for part in self.parts]


def adversarial_loss(judgements: Sequence[Judgement]) -> Float[Tensor, ""]:
    """Return what the autoencoder pays for being found out: the mean of ``-score`` (hinge GAN)."""
    return torch.stack([-judgement.scores.mean() for judgement in judgements]).mean()


def discriminator_loss(
    real: Sequence[Judgement], decoded: Sequence[Judgement]
) -> Float[Tensor, ""]:
    """Return the hinge loss: real scores below 1 and decoded scores above -1 cost."""
    losses = [
        functional.relu(1 - r.scores).mean() + functional.relu(1 + d.scores).mean()
        for r, d in zip(real, decoded, strict=True)
    ]
    return torch.stack(losses).mean()


def feature_loss(real: Sequence[Judgement], decoded: Sequence[Judgement]) -> Float[Tensor, ""]:
    """Return the mean distance of the layers' outputs, relative to their size for the real clip."""
    losses = [
        _relative_distance(r.float().detach().flatten(1), d.float().flatten(1))
        for one, other in zip(real, decoded, strict=True)
        for r, d in zip(one.features, other.features, strict=True)
    ]
    return torch.stack(losses).mean()


def _relative_distance(
    real: Float[Tensor, "batch values"], decoded: Float[Tensor, "batch values"]
) -> Float[Tensor, ""]:
    size = real.abs().mean(dim=1).clamp_min(1e-4)
    return ((real - decoded).abs().mean(dim=1) / size).mean()
