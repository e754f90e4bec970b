"""What an autoencoder is trained for: our losses, and the original's, behind one interface."""

from typing import Literal, Protocol

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from segue.audio.autoencoder.discriminators import (
    Discriminators,
    DiscriminatorSettings,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from segue.audio.autoencoder.losses import (
    MagnitudeLossSettings,
    SpectralLoss,
    SpectralLossSettings,
    magnitude_loss,
)
from segue.audio.autoencoder.original import PatchDiscriminator
from segue.audio.autoencoder.original_losses import (
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    multi_resolution_stft,
)
from segue.core.config import StrictModel

Audio = Float[Tensor, "batch rows length"]
"""Sound, ``batch channels samples``; of the kind ``magnitude``, ``batch bins frames``."""
Scalar = Float[Tensor, ""]


class ObjectiveSettings(StrictModel):
    """Which losses, and what they weigh. A weight of 0 leaves a part out."""

    kind: Literal["magnitude", "spectral", "original"] = Field(
        default="magnitude",
        description="ours on magnitudes, ours on sound, or what the source deck has",
    )
    magnitude: MagnitudeLossSettings = Field(
        default=MagnitudeLossSettings(), description="our reconstruction loss of magnitudes"
    )
    spectral: SpectralLossSettings = Field(
        default=SpectralLossSettings(), description="our reconstruction loss of sound"
    )
    discriminators: DiscriminatorSettings = Field(
        default=DiscriminatorSettings(), description="our discriminators"
    )
    patch_width: int = Field(
        default=128, gt=0, description="channels of the original's discriminator, a multiple of 16"
    )
    adversarial_weight: float = Field(default=0.1, ge=0)
    feature_weight: float = Field(default=1.0, ge=0, description="of matched features")
    adversarial_from_step: int = Field(
        default=0, ge=0, description="first step with discriminators"
    )
    adversarial_ramp_steps: int = Field(
        default=0, ge=0, description="steps in which their weights grow from 0"
    )
    adversarial_length: int | None = Field(
        default=None,
        gt=0,
        description="discriminators see so many samples of a clip, or frames of magnitudes; None: all",
    )
    discriminator_pause: int = Field(
        default=0, ge=0, description="every n-th batch trains no discriminator; 0 for never"
    )

    @property
    def is_adversarial(self) -> bool:
        """Whether there is a discriminator at all."""
        return self.adversarial_weight > 0 or self.feature_weight > 0


class Objective(Protocol):
    """Losses of one kind."""

    discriminator: nn.Module | None

    def reconstruction(self, decoded: Audio, real: Audio) -> dict[str, Scalar]:
        """Return the parts of the reconstruction loss, weighted."""
        ...

    def fooling(self, decoded: Audio, real: Audio) -> tuple[Scalar, Scalar]:
        """Return what the autoencoder pays: being found out, and features that differ."""
        ...

    def telling(self, decoded: Audio, real: Audio) -> Scalar:
        """Return what the discriminator pays."""
        ...


class MagnitudeObjective(nn.Module):
    """Ours on magnitudes: ``batch 2 bins frames`` decoded (with spread), ``batch bins frames`` real."""

    def __init__(self, settings: ObjectiveSettings, *, rate_hz: int, channels: int) -> None:
        super().__init__()
        self.settings = settings.magnitude
        self.discriminator = (
            Discriminators(settings.discriminators, channels=channels, of_magnitudes=True)
            if settings.is_adversarial
            else None
        )

    def reconstruction(self, decoded: Tensor, real: Tensor) -> dict[str, Scalar]:
        """Return ``likelihood``, ``log`` and ``root``, those that count."""
        return magnitude_loss(decoded, real, self.settings)

    def fooling(self, decoded: Tensor, real: Tensor) -> tuple[Scalar, Scalar]:
        """Return the hinge loss of the generator and the distance of features."""
        assert self.discriminator is not None
        with torch.no_grad():
            of_real = self.discriminator(real)
        of_decoded = self.discriminator(self._drawn(decoded))
        return adversarial_loss(of_decoded), feature_loss(of_real, of_decoded)

    def telling(self, decoded: Tensor, real: Tensor) -> Scalar:
        """Return the hinge loss of the discriminator."""
        assert self.discriminator is not None
        judged = self.discriminator(self._drawn(decoded))
        return discriminator_loss(self.discriminator(real), judged)

    def _drawn(self, decoded: Tensor) -> Tensor:
        """Return magnitudes as a listener gets them; the texture is the same for every clip."""
        magnitudes, spread = decoded.unbind(dim=1)
        source = torch.Generator().manual_seed(magnitudes.shape[-1])
        noise = torch.randn(magnitudes.shape[1:], generator=source).to(magnitudes.device)
        return magnitudes * (spread * noise).exp()


class SpectralObjective(nn.Module):
    """Ours: mel and complex spectra, spectral and period discriminators."""

    def __init__(self, settings: ObjectiveSettings, *, rate_hz: int, channels: int) -> None:
        super().__init__()
        self.loss = SpectralLoss(settings.spectral, rate_hz=rate_hz)
        self.discriminator = (
            Discriminators(settings.discriminators, channels=channels)
            if settings.is_adversarial
            else None
        )

    def reconstruction(self, decoded: Audio, real: Audio) -> dict[str, Scalar]:
        """Return ``mel`` and ``complex``."""
        parts: dict[str, Scalar] = self.loss(decoded, real)
        return parts

    def fooling(self, decoded: Audio, real: Audio) -> tuple[Scalar, Scalar]:
        """Return the hinge loss of the generator and the distance of features."""
        assert self.discriminator is not None
        with torch.no_grad():
            of_real = self.discriminator(real)
        of_decoded = self.discriminator(decoded)
        return adversarial_loss(of_decoded), feature_loss(of_real, of_decoded)

    def telling(self, decoded: Audio, real: Audio) -> Scalar:
        """Return the hinge loss of the discriminators."""
        assert self.discriminator is not None
        return discriminator_loss(self.discriminator(real), self.discriminator(decoded))


class OriginalObjective(nn.Module):
    """The source deck's: A-weighted multi-resolution STFT and one discriminator on the waveform."""

    def __init__(self, settings: ObjectiveSettings, *, rate_hz: int, channels: int) -> None:
        super().__init__()
        self.rate_hz = rate_hz
        self.discriminator = (
            PatchDiscriminator(channels, width=settings.patch_width)
            if settings.is_adversarial
            else None
        )

    def reconstruction(self, decoded: Audio, real: Audio) -> dict[str, Scalar]:
        """Return ``stft``."""
        with torch.autocast(real.device.type, enabled=False):
            return {
                "stft": multi_resolution_stft(decoded.float(), real.float(), rate_hz=self.rate_hz)
            }

    def fooling(self, decoded: Audio, real: Audio) -> tuple[Scalar, Scalar]:
        """Return the hinge of the generator and the distance of features."""
        assert self.discriminator is not None
        layers = self.discriminator(decoded)
        return generator_hinge(layers[-1]), feature_matching(self.discriminator(real), layers)

    def telling(self, decoded: Audio, real: Audio) -> Scalar:
        """Return half the hinges of the discriminator."""
        assert self.discriminator is not None
        return discriminator_hinge(self.discriminator(real)[-1], self.discriminator(decoded)[-1])


_KINDS: dict[str, type[MagnitudeObjective | SpectralObjective | OriginalObjective]] = {
    "magnitude": MagnitudeObjective,
    "spectral": SpectralObjective,
    "original": OriginalObjective,
}


def make_objective(
    settings: ObjectiveSettings, *, rate_hz: int, channels: int
) -> MagnitudeObjective | SpectralObjective | OriginalObjective:
    """Return the objective of the settings for a kind of sound."""
    return _KINDS[settings.kind](settings, rate_hz=rate_hz, channels=channels)
