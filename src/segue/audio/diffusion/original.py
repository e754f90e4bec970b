"""The original LDMG's diffusion transformer and its training objective.

A transformer after Peebles and Xie (DiT, 2023) over latents at 250 frames a second, whose feed-forward
layers are convolutions of kernel 7, which hold 82 % of its 22.7 million weights. It predicts the noise of
one of 500 steps (Ho et al., 2020). What the original does otherwise than its sources is a setting here;
the defaults are the original's. The objective is `segue.audio.diffusion.task`, with ``schedule: ddpm``.

Shapes: ``batch``, ``latent`` (channels), ``frames``, ``width``, ``tokens`` (of a text).
"""

import math
from typing import Literal, Self

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.original_attention import Attention, Positions, SinusoidalPositions
from segue.core.config import StrictModel
from segue.errors import SettingError

_LONGEST_PERIOD = 10_000.0
_BLOCKS_PER_CROSS_ATTENTION = 4


class OriginalTransformerConfig(StrictModel):
    """The architecture; the defaults are the original's own numbers, errors included."""

    kind: Literal["original"] = "original"
    latent_channels: int = Field(default=32, gt=0)
    width: int = Field(default=192, gt=0)
    depth: int = Field(default=8, gt=0, description="number of blocks")
    heads: int = Field(default=8, gt=0)
    mlp_ratio: int = Field(default=4, gt=0)
    kernel_size: int = Field(default=7, gt=0)
    time_features: int = Field(default=256, gt=0, description="sinusoids of the step's number")
    max_frames: int = Field(default=2500, gt=0, description="what the fixed positions hold")
    positions: Positions = Field(
        default="ten_seconds", description="any: the same numbers, computed for any length"
    )
    zero_init: bool = Field(
        default=False, description="blocks start as the identity, as in DiT; the original's do not"
    )
    attention_residual: Literal["inside_gate", "outside_gate"] = Field(
        default="inside_gate",
        description="the original adds attention's input to its output, then gates the sum",
    )
    final_residual: bool = Field(
        default=False, description="whether the last layer adds to the stream or replaces it"
    )
    cross_attention: bool = Field(
        default=False, description="every fourth block reads a text; never ran in the original"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} is odd, or no multiple of heads {self.heads}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is not odd")
        if self.time_features % 2:
            raise ValueError(f"time_features {self.time_features} is not even")
        return self


def time_sinusoids(
    time: Float[Tensor, " batch"], num_features: int
) -> Float[Tensor, "batch features"]:
    """Return cosines, then sines, of the step's number at falling rates (Nichol et al., 2021)."""
    half = num_features // 2
    rates = torch.exp(torch.arange(half, device=time.device) * (-math.log(_LONGEST_PERIOD) / half))
    angles = time.unsqueeze(-1) * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ConvFeedForward(nn.Module):
    """Two convolutions along time with a GELU between them."""

    def __init__(self, config: OriginalTransformerConfig) -> None:
        super().__init__()
        inner, kernel = config.mlp_ratio * config.width, config.kernel_size
        self.up = nn.Conv1d(config.width, inner, kernel, padding=kernel // 2)
        self.down = nn.Conv1d(inner, config.width, kernel, padding=kernel // 2)

    def forward(
        self, hidden: Float[Tensor, "batch frames width"]
    ) -> Float[Tensor, "batch frames width"]:
        """Apply the layer."""
        inner = functional.gelu(self.up(hidden.transpose(1, 2)))
        result: Tensor = self.down(inner).transpose(1, 2)
        return result


class Modulation(nn.Module):
    """What the step's number does to a layer: SiLU, then one linear layer."""

    def __init__(self, width: int, *, parts: int, zero_init: bool) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(width, parts * width)
        if zero_init:
            for parameter in self.linear.parameters():
                nn.init.zeros_(parameter)

    def forward(self, condition: Float[Tensor, "batch width"]) -> tuple[Tensor, ...]:
        """Return the parts, each ``[batch, 1, width]``."""
        return self.linear(functional.silu(condition)).unsqueeze(1).chunk(self.parts, dim=-1)


def modulate(
    hidden: Float[Tensor, "batch frames width"],
    shift: Float[Tensor, "batch 1 width"],
    scale: Float[Tensor, "batch 1 width"],
) -> Float[Tensor, "batch frames width"]:
    """Normalise every frame, then scale by 1 + `scale` and shift."""
    return functional.layer_norm(hidden, hidden.shape[-1:]) * (1 + scale) + shift


class OriginalBlock(nn.Module):
    """Self-attention, cross-attention where there is one, convolutional feed-forward."""

    def __init__(self, config: OriginalTransformerConfig, *, reads_text: bool) -> None:
        super().__init__()
        self.residual_inside = config.attention_residual == "inside_gate"
        self.attention = Attention(config.width, heads=config.heads)
        self.cross_attention = Attention(config.width, heads=config.heads) if reads_text else None
        self.feed_forward = ConvFeedForward(config)
        # Nine parts in every block: a block without cross-attention computes three for nothing.
        self.modulation = Modulation(config.width, parts=9, zero_init=config.zero_init)

    def forward(
        self,
        hidden: Float[Tensor, "batch frames width"],
        condition: Float[Tensor, "batch width"],
        text: Float[Tensor, "batch tokens width"] | None,
    ) -> Float[Tensor, "batch frames width"]:
        """Add every layer's gated result to the stream."""
        parts = self.modulation(condition)
        hidden = hidden + self._attend(self.attention, hidden, parts[:3], None)
        if self.cross_attention is not None:
            hidden = hidden + self._attend(self.cross_attention, hidden, parts[6:], text)
        shift, scale, gate = parts[3:6]
        return hidden + gate * self.feed_forward(modulate(hidden, shift, scale))

    def _attend(
        self, attention: nn.Module, hidden: Tensor, parts: tuple[Tensor, ...], text: Tensor | None
    ) -> Tensor:
        """Return what one attention layer adds to the stream."""
        shift, scale, gate = parts
        modulated = modulate(hidden, shift, scale)
        attended: Tensor = attention(modulated, text)
        return gate * (modulated + attended if self.residual_inside else attended)


class OriginalTransformer(nn.Module):
    """Noisy latents and the number of the step to the noise in them.

    Example:
        >>> import torch
        >>> model = OriginalTransformer(OriginalTransformerConfig(width=16, depth=1, heads=2))
        >>> model(torch.zeros(1, 32, 100), torch.tensor([499.0])).shape
        torch.Size([1, 32, 100])
    """

    def __init__(self, config: OriginalTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, kernel = config.width, config.kernel_size
        self.first = nn.Conv1d(config.latent_channels, width, kernel, padding=kernel // 2)
        self.positions = SinusoidalPositions(
            width, max_frames=config.max_frames, positions=config.positions
        )
        self.time = nn.Sequential(
            nn.Linear(config.time_features, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(
            OriginalBlock(
                config,
                reads_text=config.cross_attention and index % _BLOCKS_PER_CROSS_ATTENTION == 0,
            )
            for index in range(config.depth)
        )
        self.final_modulation = Modulation(width, parts=2, zero_init=config.zero_init)
        self.final = ConvFeedForward(config)
        self.last = nn.Conv1d(width, config.latent_channels, kernel, padding=kernel // 2)
        if config.zero_init:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self,
        latents: Float[Tensor, "batch latent frames"],
        time: Float[Tensor, " batch"] | Int[Tensor, " batch"],
        text: Float[Tensor, "batch tokens width"] | None = None,
    ) -> Float[Tensor, "batch latent frames"]:
        """Return the predicted noise.

        Args:
            latents: noisy latents.
            time: number of the step, 0 (least noise) to 499.
            text: embedded text, for a model with ``cross_attention``.

        Raises:
            SettingError: more frames than fixed positions, or a text and a model that do not fit.
        """
        if self.config.cross_attention is not (text is not None):
            raise SettingError(
                "A text was given to a model without cross_attention, or none to a model with it."
            )
        condition = self.time(time_sinusoids(time.float(), self.config.time_features))
        hidden = self.first(latents).transpose(1, 2)
        hidden = hidden + self.positions(hidden)
        for block in self.blocks:
            hidden = block(hidden, condition, text)
        scale, shift = self.final_modulation(condition)
        changed = self.final(modulate(hidden, shift, scale))
        hidden = hidden + changed if self.config.final_residual else changed
        noise: Tensor = self.last(hidden.transpose(1, 2))
        return noise
