"""The decoder-only transformer of MidiGPT.

Two families share the code. ``positions="learned", norm="layer"`` is GPT-2 as minGPT builds it (Radford
et al., 2019; pre-norm, tanh-GELU, learned positions, untied head without bias). ``positions="rotary",
norm="rms"`` is ours: RMS norm (Zhang and Sennrich, 2019) and rotary positions (Su et al., 2021) in two
halves. Half of every head turns with the index of the token, the other half with the musical time the
token speaks of, so that notes that sound together, or one bar apart, are at a fixed angle wherever they
stand in the prompt.

Shapes: ``batch``, ``tokens``, ``width``, ``heads``, ``dim`` (channels of one head), ``vocab``.
"""

import math
from typing import Literal, Self

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from segue.core.config import StrictModel
from segue.symbolic.model.attention import attend

_SHORTEST_WAVE_QUARTERS = 0.5
_LONGEST_WAVE_QUARTERS = 256.0
_INDEX_BASE = 10_000.0


class GPTConfig(StrictModel):
    """Everything that fixes the architecture and the shapes of its weights."""

    vocab_size: int = Field(gt=0, description="number of tokens, merged ones included")
    num_layers: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    width: int = Field(gt=0, description="channels of the residual stream")
    context_length: int = Field(default=1024, gt=0, description="longest sequence, in tokens")
    positions: Literal["learned", "rotary"] = "rotary"
    norm: Literal["layer", "rms"] = "rms"
    tied_head: bool = True
    bias: bool = False
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    mlp_ratio: float = Field(default=4.0, gt=0.0)
    units_per_quarter: int = Field(default=48, gt=0, description="time units in a quarter note")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} is not a multiple of num_heads {self.num_heads}")
        if self.positions == "rotary" and (self.width // self.num_heads) % 4:
            raise ValueError("rotary positions need a head of 4, 8, 12, ... channels")
        return self

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.width // self.num_heads


_DECK_SIZES = {
    "gpt-nano": (3, 3, 48),
    "gpt-micro": (4, 4, 128),
    "gpt-mini": (6, 6, 192),
    "gopher-44m": (8, 16, 512),
    "openai-gpt": (12, 12, 768),
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}
"""Layers, heads and width of minGPT's presets, which the source deck chooses from."""

PRESETS = tuple(_DECK_SIZES)
"""Names that `preset` knows."""


def preset(name: str, *, vocab_size: int) -> GPTConfig:
    """Return one of the source deck's configurations: block 1024, dropout 0.1, learned positions.

    Raises:
        KeyError: there is no such preset; `PRESETS` lists them.
    """
    layers, heads, width = _DECK_SIZES[name]
    return GPTConfig(
        vocab_size=vocab_size,
        num_layers=layers,
        num_heads=heads,
        width=width,
        context_length=1024,
        positions="learned",
        norm="layer",
        tied_head=False,
        bias=True,
        dropout=0.1,
    )


Rotation = tuple[Float[Tensor, "batch 1 tokens pairs"], Float[Tensor, "batch 1 tokens pairs"]]


class Rotary(nn.Module):
    """Angles of the two-part rotary position."""

    index_frequencies: Tensor
    time_frequencies: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        pairs = config.head_dim // 4
        steps = torch.arange(pairs, dtype=torch.float32) / pairs
        waves = _SHORTEST_WAVE_QUARTERS * (_LONGEST_WAVE_QUARTERS / _SHORTEST_WAVE_QUARTERS) ** (
            torch.arange(pairs, dtype=torch.float32) / max(pairs - 1, 1)
        )
        per_unit = 2 * math.pi / waves / config.units_per_quarter
        self.register_buffer("index_frequencies", _INDEX_BASE**-steps, persistent=False)
        self.register_buffer("time_frequencies", per_unit, persistent=False)

    def forward(
        self, positions: Int[Tensor, "*batch tokens"], times: Int[Tensor, "batch tokens"]
    ) -> Rotation:
        """Return cosine and sine for every token.

        Args:
            positions: index of every token in its sequence; without batch it serves all rows.
            times: musical time of every token, in time units.
        """
        index_angles = positions.float().unsqueeze(-1) * self.index_frequencies
        time_angles = times.float().unsqueeze(-1) * self.time_frequencies
        angles = torch.cat([index_angles.expand_as(time_angles), time_angles], dim=-1).unsqueeze(1)
        return angles.cos(), angles.sin()


def rotate(
    heads: Float[Tensor, "batch heads tokens dim"], rotation: Rotation
) -> Float[Tensor, "batch heads tokens dim"]:
    """Turn channel pairs (first half with second half) by the given angles."""
    cosine, sine = rotation
    cosine, sine = cosine.to(heads.dtype), sine.to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.bias)
        self.out = nn.Linear(config.width, config.width, bias=config.bias)
        self.dropout = config.dropout

    def project(
        self, hidden: Float[Tensor, "batch tokens width"], rotation: Rotation | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each ``batch heads tokens dim``, positions applied."""
        batch, tokens, _ = hidden.shape
        qkv = self.qkv(hidden).view(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv[0], qkv[1], qkv[2]
        if rotation is not None:
            queries, keys = rotate(queries, rotation), rotate(keys, rotation)
        return queries, keys, values

    def merge(
        self, attended: Float[Tensor, "batch heads tokens dim"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Join the heads and project back into the residual stream."""
        batch, _, tokens, _ = attended.shape
        joined: Tensor = self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))
        return joined

    def forward(
        self, hidden: Float[Tensor, "batch tokens width"], rotation: Rotation | None
    ) -> Float[Tensor, "batch tokens width"]:
        """Attend to this and all earlier tokens."""
        queries, keys, values = self.project(hidden, rotation)
        return self.merge(attend(queries, keys, values, dropout=self.dropout * self.training))


class FeedForward(nn.Module):
    """Two linear layers with a tanh-approximated GELU between them."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        inner = round(config.mlp_ratio * config.width)
        self.up = nn.Linear(config.width, inner, bias=config.bias)
        self.down = nn.Linear(inner, config.width, bias=config.bias)

    def forward(
        self, hidden: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Apply the layer to every token."""
        result: Tensor = self.down(functional.gelu(self.up(hidden), approximate="tanh"))
        return result


def _norm(config: GPTConfig) -> nn.Module:
    if config.norm == "rms":
        return nn.RMSNorm(config.width, eps=1e-6)
    return nn.LayerNorm(config.width, bias=config.bias)


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = _norm(config)
        self.attention = Attention(config)
        self.feed_forward_norm = _norm(config)
        self.feed_forward = FeedForward(config)
        self.residual_dropout = nn.Dropout(config.dropout)

    @property
    def inner_layers(self) -> tuple[nn.Linear, ...]:
        """The linear layers, for an optimiser that treats matrices in its own way."""
        attention, feed_forward = self.attention, self.feed_forward
        return attention.qkv, attention.out, feed_forward.up, feed_forward.down

    def forward(
        self, hidden: Float[Tensor, "batch tokens width"], rotation: Rotation | None
    ) -> Float[Tensor, "batch tokens width"]:
        """Add attention, then the feed-forward layer, to the residual stream."""
        attended = self.attention(self.attention_norm(hidden), rotation)
        hidden = hidden + self.residual_dropout(attended)
        transformed = self.feed_forward(self.feed_forward_norm(hidden))
        return hidden + self.residual_dropout(transformed)


class GPT(nn.Module):
    """Token ids and their musical times in, logits of the next token out."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        learned = config.positions == "learned"
        self.positions = nn.Embedding(config.context_length, config.width) if learned else None
        self.rotary = None if learned else Rotary(config)
        self.embedding_dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = _norm(config)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self._initialise()
        if config.tied_head:
            self.head.weight = self.embedding.weight

    def _initialise(self) -> None:
        """Draw weights as GPT-2 does: normal(0, 0.02), residual projections scaled by depth."""
        for name, parameter in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.num_layers))
            elif parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed(
        self,
        ids: Int[Tensor, "batch tokens"],
        times: Int[Tensor, "batch tokens"],
        positions: Int[Tensor, "*batch tokens"],
    ) -> tuple[Float[Tensor, "batch tokens width"], Rotation | None]:
        """Return the residual stream before the first block, and the rotation of every token."""
        hidden = self.embedding(ids)
        if self.positions is not None:
            return self.embedding_dropout(hidden + self.positions(positions)), None
        assert self.rotary is not None
        return self.embedding_dropout(hidden), self.rotary(positions, times)

    def forward(
        self, ids: Int[Tensor, "batch tokens"], times: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens vocab"]:
        """Return the logits of the token after each token.

        Args:
            ids: token ids.
            times: musical time of every token in time units; learned positions do not read it.
        """
        hidden, rotation = self.embed(ids, times, torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            hidden = block(hidden, rotation)
        logits: Tensor = self.head(self.final_norm(hidden))
        return logits
