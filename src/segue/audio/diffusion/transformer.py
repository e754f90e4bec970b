"""The diffusion transformer of LDMG: noisy latents in, velocity (or noise) out, at any length.

A pre-norm transformer over latent frames (DiT, Peebles and Xie, 2023) with rotary positions (Su et al.,
2021), RMS-normalised queries and keys (Dehghani et al., 2023), SwiGLU (Shazeer, 2020) and
zero-initialised adaptive norms. The modulation of all blocks is one linear layer, to which each
block adds a table and a low-rank part of its own (adaLN-single, Chen et al., 2023, with what was
saved there spent on rank): most of a DiT's parameters would otherwise go into modulation.

Frames that are known are shown clean, with a mask that says so: the model is told what to continue or to
join, whatever noise the sampler keeps there. There are no absolute positions, so that a model serves
every duration.

Shapes: ``batch``, ``channels`` (of the latents), ``frames``, ``tokens`` (frames / patch), ``width``,
``heads``, ``dim`` (channels of one head).
"""

import math
from typing import Literal, Self

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.diffusion.conditioning import Conditioning
from segue.core.config import StrictModel

_ROTARY_BASE = 10_000.0
_EPSILON = 1e-6
_INNER_MULTIPLE = 32

Rotation = tuple[Float[Tensor, "tokens pairs"], Float[Tensor, "tokens pairs"]]


class TransformerSettings(StrictModel):
    """The architecture, what the latents fix apart."""

    kind: Literal["transformer"] = "transformer"
    width: int = Field(default=320, gt=0, description="channels of the residual stream")
    depth: int = Field(default=8, gt=0, description="blocks")
    heads: int = Field(default=5, gt=0)
    mlp_ratio: float = Field(default=2.5, gt=0, description="inner width of SwiGLU / width")
    modulation_rank: int = Field(default=16, ge=0, description="of each block's own modulation")
    patch: int = Field(default=1, gt=0, description="frames of one token; lengths are multiples")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                f"width {self.width} does not give {self.heads} heads of an even number of channels"
            )
        return self

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.width // self.heads

    @property
    def inner(self) -> int:
        """Inner width of the feed-forward layers, a multiple of 32."""
        return max(1, round(self.mlp_ratio * self.width / _INNER_MULTIPLE)) * _INNER_MULTIPLE


class TransformerConfig(TransformerSettings):
    """Everything that fixes the architecture and the shapes of its weights."""

    latent_channels: int = Field(gt=0)
    num_labels: int = Field(default=0, ge=0, description="labels that it knows")
    text_dims: int = Field(default=0, ge=0, description="of the vectors of texts; 0: no text")


def rotation(tokens: int, dim: int, device: torch.device) -> Rotation:
    """Return cosine and sine of every position and channel pair."""
    pairs = torch.arange(dim // 2, dtype=torch.float32, device=device)
    frequencies = torch.exp(-math.log(_ROTARY_BASE) * pairs / (dim // 2))
    angles = torch.arange(tokens, device=device).float().unsqueeze(-1) * frequencies
    return angles.cos(), angles.sin()


def rotate(
    heads: Float[Tensor, "batch heads tokens dim"], turn: Rotation
) -> Float[Tensor, "batch heads tokens dim"]:
    """Turn channel pairs (first half with second half) by the angles of their positions."""
    cosine, sine = turn[0].to(heads.dtype), turn[1].to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def rms(hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Return vectors of root mean square 1, computed in float32."""
    hidden = hidden.float()
    return hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + _EPSILON)


def attend(
    queries: Float[Tensor, "batch heads tokens dim"],
    keys: Float[Tensor, "batch heads tokens dim"],
    values: Float[Tensor, "batch heads tokens dim"],
    valid: Bool[Tensor, "batch 1 1 tokens"] | None,
) -> Float[Tensor, "batch heads tokens dim"]:
    """Return softmax attention.

    PyTorch's fused kernel, except where it is slow: its backward pass takes three times as long as
    that of its parts in bfloat16 on a CPU.
    """
    if queries.device.type != "cpu" or queries.dtype != torch.bfloat16:
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=valid)
    scores = (queries / math.sqrt(queries.shape[-1])) @ keys.transpose(-1, -2)
    if valid is not None:
        scores = scores.masked_fill(~valid, -math.inf)
    return functional.softmax(scores, dim=-1, dtype=scores.dtype) @ values


def modulated(
    hidden: Float[Tensor, "batch tokens width"],
    shift: Float[Tensor, "batch 1 width"],
    scale: Float[Tensor, "batch 1 width"],
) -> Float[Tensor, "batch tokens width"]:
    """Return normalised vectors, scaled and shifted."""
    return torch.addcmul(shift, rms(hidden), 1 + scale)


class Attention(nn.Module):
    """Multi-head self-attention over all tokens, in both directions."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.query_scale = nn.Parameter(torch.ones(config.head_dim))
        self.key_scale = nn.Parameter(torch.ones(config.head_dim))
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self,
        hidden: Float[Tensor, "batch tokens width"],
        turn: Rotation,
        valid: Bool[Tensor, "batch 1 1 tokens"] | None,
    ) -> Float[Tensor, "batch tokens width"]:
        """Attend to every token that is not padding."""
        batch, tokens, _ = hidden.shape
        qkv = self.qkv(hidden).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        queries = rotate(rms(qkv[0]).to(qkv.dtype) * self.query_scale.to(qkv.dtype), turn)
        keys = rotate(rms(qkv[1]).to(qkv.dtype) * self.key_scale.to(qkv.dtype), turn)
        attended = attend(queries, keys, qkv[2], valid)
        joined: Tensor = self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))
        return joined


class FeedForward(nn.Module):
    """SwiGLU: one half of the inner channels gates the other."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, 2 * config.inner, bias=False)
        self.down = nn.Linear(config.inner, config.width, bias=False)

    def forward(
        self, hidden: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Apply the layer to every token."""
        gate, value = self.up(hidden).chunk(2, dim=-1)
        result: Tensor = self.down(functional.silu(gate) * value)
        return result


class Modulation(nn.Module):
    """A block's own part of the modulation: a table and a low-rank map of the conditioning."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(6 * config.width))
        rank = config.modulation_rank
        self.down = nn.Linear(config.width, rank, bias=False) if rank else None
        self.up = nn.Linear(rank, 6 * config.width, bias=False) if rank else None

    def forward(
        self,
        shared: Float[Tensor, "batch six_widths"],
        condition: Float[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch 1 width"], ...]:
        """Return shift, scale and gate of the attention, then those of the feed-forward layer."""
        own = shared + self.table
        if self.down is not None and self.up is not None:
            own = own + self.up(self.down(condition))
        return own.float().unsqueeze(1).chunk(6, dim=-1)


class Block(nn.Module):
    """Attention and feed-forward layer, each scaled, shifted and gated by the conditioning."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.modulation = Modulation(config)
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)

    @property
    def inner_layers(self) -> tuple[nn.Linear, ...]:
        """The linear layers between tokens, for an optimiser that treats matrices in its own way."""
        attention, feed_forward = self.attention, self.feed_forward
        return attention.qkv, attention.out, feed_forward.up, feed_forward.down

    def forward(
        self,
        hidden: Float[Tensor, "batch tokens width"],
        shared: Float[Tensor, "batch six_widths"],
        condition: Float[Tensor, "batch width"],
        turn: Rotation,
        valid: Bool[Tensor, "batch 1 1 tokens"] | None,
    ) -> Float[Tensor, "batch tokens width"]:
        """Apply the block; the residual stream stays float32."""
        shift, scale, gate, shift_2, scale_2, gate_2 = self.modulation(shared, condition)
        attended = self.attention(modulated(hidden, shift, scale), turn, valid)
        hidden = torch.addcmul(hidden, gate, attended.float())
        result = self.feed_forward(modulated(hidden, shift_2, scale_2))
        return torch.addcmul(hidden, gate_2, result.float())


class LatentTransformer(nn.Module):
    """Predicts the velocity (or the noise) of latents, given what of them is known."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.latent_channels * config.patch
        self.enter = nn.Linear(channels + config.patch, config.width)
        self.conditioning = Conditioning(
            config.width, num_labels=config.num_labels, text_dims=config.text_dims
        )
        self.modulation = nn.Linear(config.width, 6 * config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_modulation = nn.Linear(config.width, 2 * config.width)
        self.leave = nn.Linear(config.width, channels)
        self._initialise()

    def _initialise(self) -> None:
        """Draw the weights; every block starts as the identity, and the output as 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.conditioning.initialise()
        for layer in (self.modulation, self.final_modulation, self.leave):
            nn.init.zeros_(layer.weight)
        for module in self.modules():
            if isinstance(module, Modulation) and module.up is not None:
                nn.init.zeros_(module.up.weight)

    def forward(
        self,
        latents: Float[Tensor, "batch channels frames"],
        known: Float[Tensor, "batch channels frames"],
        mask: Float[Tensor, "batch 1 frames"],
        time: Float[Tensor, " batch"],
        step: Float[Tensor, " batch"],
        labels: Float[Tensor, "batch labels"],
        text: Float[Tensor, "batch dims"] | None = None,
        *,
        valid: Bool[Tensor, "batch frames"] | None = None,
    ) -> Float[Tensor, "batch channels frames"]:
        """Return the prediction for every frame; that of known frames has no meaning.

        Args:
            latents: normalised, as noisy as `time` says; not looked at where frames are known.
            known: normalised latents where they are known; not looked at elsewhere.
            mask: 1 where frames are known, else 0.
            time: 0 (data) to 1 (noise).
            step: how far a few-step sampler is about to go; 0 asks for the velocity itself.
            labels: shares of the labels, of sum 1, or all 0 for none.
            text: vectors of length 1, or all 0 for none.
            valid: False where frames are padding; None where none are.
        """
        seen = torch.cat([latents + mask * (known - latents), mask], dim=1)
        hidden = self.enter(self._to_tokens(seen)).float()
        condition = self.conditioning(time, step, labels, text)
        shared = self.modulation(condition)
        turn = rotation(hidden.shape[1], self.config.head_dim, hidden.device)
        keys = None if valid is None else valid[:, None, None, :: self.config.patch]
        for block in self.blocks:
            hidden = block(hidden, shared, condition, turn, keys)
        shift, scale = self.final_modulation(condition).float().unsqueeze(1).chunk(2, dim=-1)
        return self._to_frames(self.leave(modulated(hidden, shift, scale))).float()

    def _to_tokens(
        self, latents: Float[Tensor, "batch channels frames"]
    ) -> Float[Tensor, "batch tokens patch_channels"]:
        """Join the frames of a patch into one token."""
        return latents.transpose(1, 2).reshape(
            latents.shape[0], -1, latents.shape[1] * self.config.patch
        )

    def _to_frames(
        self, tokens: Float[Tensor, "batch tokens patch_channels"]
    ) -> Float[Tensor, "batch channels frames"]:
        """Undo `_to_tokens`."""
        frames = tokens.reshape(tokens.shape[0], -1, self.config.latent_channels)
        return frames.transpose(1, 2)
