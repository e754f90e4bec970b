"""The original LDMG's variational autoencoder and discriminator, layer by layer.

Waveform in, waveform out: six convolutions of stride 2 take 16 kHz down to 250 frames of 32 channels a
second, transposed convolutions lead back. Nothing is improved here; what the original does wrong is named
in ``docs/explanation/ldmg-original.md``, and the one error that keeps it from reading more than ten
seconds is a setting, ``positions``.

Shapes: ``batch``, ``channels`` (of audio), ``samples``, ``latent`` (channels of the latents), ``frames``
(of the latents), ``width`` (channels inside).
"""

import itertools
import math
from typing import Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.autoencoder.settings import Posterior
from segue.audio.original_attention import Attention, Positions, SinusoidalPositions
from segue.core.config import StrictModel

_CHANNELS_PER_GROUP = 4
_LEAKY_SLOPE = 0.2
_GROUPED_LAYERS = (4, 16, 16, 16)
"""Groups of the discriminator's four strided convolutions."""


class OriginalAutoencoderConfig(StrictModel):
    """The architecture; the defaults are the original's own numbers."""

    kind: Literal["original"] = "original"
    rate_hz: int = Field(default=16_000, gt=0)
    channels: int = Field(default=1, gt=0, description="of the audio")
    hop_samples: int = Field(default=64, gt=1, description="samples per latent frame, 2 ** stages")
    latent_channels: int = Field(default=32, gt=0)
    first_width: int = Field(default=16, gt=0, description="channels after the first convolution")
    width: int = Field(default=128, gt=0, description="channels that doubling ends at")
    kernel_size: int = Field(default=7, gt=0)
    num_heads: int = Field(default=4, gt=0)
    positions: Positions = Field(
        default="ten_seconds", description="any: the same numbers, computed for any length"
    )
    max_seconds: float = Field(default=10.0, gt=0, description="what the fixed table holds")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hop_samples & (self.hop_samples - 1):
            raise ValueError(f"hop_samples {self.hop_samples} is not a power of 2")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is not odd")
        if self.encoder_widths[-1] % (2 * self.num_heads):
            raise ValueError(
                f"{self.encoder_widths[-1]} channels do not split over num_heads {self.num_heads} "
                "in pairs"
            )
        if any(width % _CHANNELS_PER_GROUP for width in (*self.encoder_widths, self.width)):
            raise ValueError("first_width and width must be multiples of 4")
        return self

    @property
    def stages(self) -> int:
        """Number of halvings of the rate."""
        return self.hop_samples.bit_length() - 1

    @property
    def encoder_widths(self) -> tuple[int, ...]:
        """Channels after the first convolution and after every stage of the encoder."""
        return tuple(
            min(self.first_width * 2**stage, self.width) for stage in range(self.stages + 1)
        )

    @property
    def max_frames(self) -> int:
        """Latent frames that the fixed table of positions holds."""
        return math.floor(self.max_seconds * self.rate_hz / self.hop_samples)


class ResidualAttention(nn.Module):
    """Positions are added for attention only; the residual goes around both."""

    def __init__(self, width: int, config: OriginalAutoencoderConfig) -> None:
        super().__init__()
        self.positions = SinusoidalPositions(
            width, max_frames=config.max_frames, positions=config.positions
        )
        self.attention = Attention(width, heads=config.num_heads)

    def forward(
        self, hidden: Float[Tensor, "batch width frames"]
    ) -> Float[Tensor, "batch width frames"]:
        """Add what attention finds to every frame."""
        frames = hidden.transpose(1, 2)
        attended = self.attention(frames + self.positions(frames))
        return hidden + attended.transpose(1, 2)


class Downsample(nn.Module):
    """Convolution of stride 2, group norm, GELU, then a convolution of stride 1, GELU."""

    def __init__(self, width_in: int, width: int, *, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.strided = nn.Conv1d(width_in, width, kernel_size, stride=2, padding=padding)
        self.norm = nn.GroupNorm(width // _CHANNELS_PER_GROUP, width)
        self.conv = nn.Conv1d(width, width, kernel_size, padding=padding)

    def forward(
        self, hidden: Float[Tensor, "batch width_in samples"]
    ) -> Float[Tensor, "batch width halved"]:
        """Halve the rate; an odd length is rounded up."""
        hidden = functional.gelu(self.norm(self.strided(hidden)))
        return functional.gelu(self.conv(hidden))


class Upsample(nn.Module):
    """Transposed convolution of stride 2, GELU, residual convolution, group norm, GELU, convolution, GELU.

    The kernel of 7 is no multiple of the stride, which is what gives the original its tones.
    """

    def __init__(self, width: int, *, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.transposed = nn.ConvTranspose1d(
            width, width, kernel_size, stride=2, padding=padding, output_padding=1
        )
        self.residual = nn.Conv1d(width, width, kernel_size, padding=padding)
        self.norm = nn.GroupNorm(width // _CHANNELS_PER_GROUP, width)
        self.conv = nn.Conv1d(width, width, kernel_size, padding=padding)

    def forward(
        self, hidden: Float[Tensor, "batch width frames"]
    ) -> Float[Tensor, "batch width doubled"]:
        """Double the rate."""
        hidden = functional.gelu(self.transposed(hidden))
        hidden = functional.gelu(self.norm(self.residual(hidden) + hidden))
        return functional.gelu(self.conv(hidden))


class OriginalEncoder(nn.Module):
    """Waveform to the mean and logarithmic variance of its latents."""

    def __init__(self, config: OriginalAutoencoderConfig) -> None:
        super().__init__()
        kernel, widths = config.kernel_size, config.encoder_widths
        last = widths[-1]
        self.first = nn.Conv1d(config.channels, widths[0], kernel, padding=kernel // 2)
        self.stages = nn.Sequential(
            *(
                Downsample(before, after, kernel_size=kernel)
                for before, after in itertools.pairwise(widths)
            )
        )
        self.attention = ResidualAttention(last, config)
        self.mean = self._head(last, config)
        self.log_variance = self._head(last, config)

    @staticmethod
    def _head(width: int, config: OriginalAutoencoderConfig) -> nn.Sequential:
        kernel = config.kernel_size
        return nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=kernel // 2),
            nn.GELU(),
            nn.Conv1d(width, config.latent_channels, 1),
        )

    def forward(
        self, audio: Float[Tensor, "batch channels samples"]
    ) -> tuple[Float[Tensor, "batch latent frames"], Float[Tensor, "batch latent frames"]]:
        """Return mean and logarithmic variance; frames are samples / hop, rounded up."""
        hidden = self.stages(functional.gelu(self.first(audio)))
        hidden = self.attention(hidden)
        return self.mean(hidden), self.log_variance(hidden)


class OriginalDecoder(nn.Module):
    """Latents to a waveform, which nothing keeps inside -1..1."""

    def __init__(self, config: OriginalAutoencoderConfig) -> None:
        super().__init__()
        kernel, width = config.kernel_size, config.width
        self.first = nn.Conv1d(config.latent_channels, width, kernel, padding=kernel // 2)
        self.attention = ResidualAttention(width, config)
        self.stages = nn.Sequential(
            *(Upsample(width, kernel_size=kernel) for _ in range(config.stages))
        )
        self.last = nn.Conv1d(width, config.channels, 1)

    def forward(
        self, latents: Float[Tensor, "batch latent frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        """Return frames x hop samples."""
        hidden = self.attention(functional.gelu(self.first(latents)))
        audio: Tensor = self.last(self.stages(hidden))
        return audio


class OriginalAutoencoder(nn.Module):
    """The original's VAE behind the interface that every autoencoder of this package has.

    Example:
        >>> import torch
        >>> model = OriginalAutoencoder(OriginalAutoencoderConfig())
        >>> model.encode(torch.zeros(1, 1, 6400)).mean.shape
        torch.Size([1, 32, 100])
    """

    def __init__(self, config: OriginalAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = OriginalEncoder(config)
        self.decoder = OriginalDecoder(config)

    def encode(self, audio: Float[Tensor, "batch channels samples"]) -> Posterior:
        """Return the distribution of the latents.

        Raises:
            SettingError: the audio is longer than the fixed positions.
        """
        mean, log_variance = self.encoder(audio)
        return Posterior(mean, log_variance)

    def decode(
        self, latents: Float[Tensor, "batch latent frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        """Return the waveform, ``frames * hop_samples`` long.

        Raises:
            SettingError: there are more frames than fixed positions.
        """
        audio: Tensor = self.decoder(latents)
        return audio

    def for_any_length(self) -> "OriginalAutoencoder":
        """Return a copy with positions for any length, the source deck's zero-shot reconstruction.

        Up to ten seconds it gives what this one gives, bit for bit.
        """
        config = self.config.model_copy(update={"positions": "any"})
        with torch.random.fork_rng(devices=[]):
            copied = OriginalAutoencoder(config)
        copied.load_state_dict(self.state_dict())
        return copied.train(self.training).to(next(self.parameters()).device)


class PatchDiscriminator(nn.Module):
    """One discriminator on the waveform, at one scale, without any normalisation of its weights.

    Args:
        channels: of the audio.
        width: channels inside, a multiple of 16.
    """

    def __init__(self, channels: int = 1, *, width: int = 128) -> None:
        super().__init__()
        grouped = [
            nn.Conv1d(width, width, 41, stride=4, padding=20, groups=groups)
            for groups in _GROUPED_LAYERS
        ]
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(channels, width, 15, padding=7),
                *grouped,
                nn.Conv1d(width, width, 5, padding=2),
                nn.Conv1d(width, 1, 3, padding=1),
            ]
        )

    def forward(self, audio: Float[Tensor, "batch channels samples"]) -> list[Tensor]:
        """Return what every layer gives, leaky ReLUs counted as layers; the last is the logits.

        The logits are ``batch 1 patches``, one patch per 256 samples, rounded up.
        """
        layers: list[Tensor] = []
        hidden = audio
        for index, convolution in enumerate(self.convolutions):
            if index:
                hidden = functional.leaky_relu(hidden, _LEAKY_SLOPE)
                layers.append(hidden)
            hidden = convolution(hidden)
            layers.append(hidden)
        return layers
