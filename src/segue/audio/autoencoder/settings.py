"""What an autoencoder is: its settings, and what every kind of it can do."""

from typing import Literal, NamedTuple, Protocol, Self

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from segue.audio.spectrum import Spectrum
from segue.core.config import StrictModel
from segue.errors import SettingError


class Posterior(NamedTuple):
    """A normal distribution over the latents of every frame.

    Attributes:
        mean: ``[batch, latent, frames]``.
        log_variance: of the same shape.
    """

    mean: Float[Tensor, "batch latent frames"]
    log_variance: Float[Tensor, "batch latent frames"]


class AutoencoderShape(Protocol):
    """What the second stage and the export need to know of any autoencoder's settings."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    @property
    def channels(self) -> int:
        """Channels of the sound."""
        ...

    @property
    def hop_samples(self) -> int:
        """Samples of one latent frame."""
        ...

    @property
    def latent_channels(self) -> int:
        """Numbers in one latent frame."""
        ...


class AutoencoderConfig(StrictModel):
    """The architecture of our autoencoder, see `segue.audio.autoencoder.network`."""

    kind: Literal["spectral"] = "spectral"
    rate_hz: int = Field(default=16_000, ge=8_000, le=48_000, description="samples per second")
    channels: int = Field(default=1, ge=1, le=2)
    window_samples: int = Field(default=1024, gt=0, description="of the Fourier transform")
    stft_hop_samples: int = Field(default=256, gt=0, description="samples from frame to frame")
    compression: float = Field(
        default=0.5, gt=0, le=1, description="exponent of the magnitudes that the encoder sees"
    )
    frames_per_latent: int = Field(default=2, gt=0, description="spectral frames of one latent")
    latent_channels: int = Field(default=64, gt=0)
    kernel: int = Field(default=7, gt=0, description="frames that a block sees, odd")
    mlp_ratio: float = Field(default=3.0, gt=0)
    encoder_width: int = Field(default=192, gt=0)
    encoder_depth: int = Field(default=6, ge=0, description="blocks at the spectral frame rate")
    decoder_width: int = Field(default=320, gt=0)
    decoder_depth: int = Field(default=6, ge=0, description="blocks at the spectral frame rate")
    latent_depth: int = Field(
        default=2, ge=0, description="blocks at the latent rate, in encoder and decoder each"
    )
    sees: Literal["magnitude", "complex"] = Field(
        default="magnitude", description="whether phases go into the encoder"
    )
    head: Literal["magnitude", "istft", "resize", "transposed"] = Field(
        default="magnitude",
        description="what turns the decoder's frames into sound: magnitudes whose phases are found "
        "afterwards, magnitudes and phases, or convolutions that raise the rate",
    )
    texture: bool = Field(
        default=True,
        description="the head ``magnitude`` also gives how far magnitudes spread, and they are drawn",
    )
    phase_iterations: int = Field(
        default=32, ge=0, description="of the search for phases after the head ``magnitude``"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            _ = self.spectrum
        except SettingError as error:
            raise ValueError(str(error)) from error
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}; it must be odd, to have a middle")
        if self.head in ("resize", "transposed") and self.stft_hop_samples % 16:
            raise ValueError(
                "heads that raise the rate need stft_hop_samples to be a multiple of 16"
            )
        return self

    @property
    def spectrum(self) -> Spectrum:
        """The Fourier transform in front of the encoder and behind the decoder."""
        return Spectrum(self.window_samples, self.stft_hop_samples, self.compression)

    @property
    def hop_samples(self) -> int:
        """Samples of one latent frame."""
        return self.stft_hop_samples * self.frames_per_latent

    @property
    def context_frames(self) -> int:
        """Latent frames on either side of a chunk that the decoder or the encoder may look at."""
        reach = self.kernel // 2
        depth = max(self.encoder_depth, self.decoder_depth)
        spectral = reach * depth + 2
        return reach * self.latent_depth + 2 + -(-spectral // self.frames_per_latent)
