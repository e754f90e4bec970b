"""What both networks of the original LDMG share: its attention, and its fixed sinusoidal positions.

The original's position table holds exactly ten seconds, so its networks fail on anything longer although
all else in them is convolution. `Positions` ``"any"`` computes the same numbers for any length: equal
weights, equal output up to ten seconds, and what the source deck calls zero-shot reconstruction after.

Shapes: ``batch``, ``frames``, ``tokens``, ``width``.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from segue.errors import SettingError

Positions = Literal["ten_seconds", "any"]
"""``ten_seconds``: a table that ends where the original's ends; ``any``: the same for any length."""

_BASE = 10_000.0


def sinusoids(places: Int[Tensor, " frames"], width: int) -> Float[Tensor, "frames width"]:
    """Return sines and cosines of positions, by turns (Vaswani et al., 2017, section 3.5).

    Args:
        places: positions, whole numbers.
        width: channels, an even number.
    """
    steps = torch.arange(0, width, 2, device=places.device)
    angles = places.unsqueeze(-1) * torch.exp(steps * (-math.log(_BASE) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class SinusoidalPositions(nn.Module):
    """Fixed positions; nothing in here is learnt or saved.

    Args:
        width: channels, an even number.
        max_frames: length of the table, which ``positions="any"`` does not need.
        positions: see `Positions`.
    """

    table: Tensor | None

    def __init__(self, width: int, *, max_frames: int, positions: Positions) -> None:
        super().__init__()
        self.width = width
        fixed = positions == "ten_seconds"
        table = sinusoids(torch.arange(max_frames), width) if fixed else None
        self.register_buffer("table", table, persistent=False)

    def forward(self, hidden: Float[Tensor, "batch frames width"]) -> Float[Tensor, "frames width"]:
        """Return the positions of the frames of `hidden`.

        Raises:
            SettingError: there are more frames than the table has.
        """
        frames = hidden.shape[1]
        if self.table is None:
            places = torch.arange(frames, device=hidden.device)
            return sinusoids(places, self.width).to(hidden.dtype)
        if frames > self.table.shape[0]:
            raise SettingError(
                f"The original's positions end after {self.table.shape[0]} frames, {frames} were "
                "given. Build the network with positions=any; its weights fit unchanged."
            )
        return self.table[:frames].to(hidden.dtype)


class Attention(nn.Module):
    """Multi-head attention as PyTorch's ``MultiheadAttention`` draws and computes it, no mask.

    Args:
        width: channels of queries, keys, values and result.
        heads: number of heads; divides the width.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        queries: Float[Tensor, "batch frames width"],
        context: Float[Tensor, "batch tokens width"] | None = None,
    ) -> Float[Tensor, "batch frames width"]:
        """Attend from every frame to all of `context`; without it, to all frames."""
        if context is None:
            parts = self.qkv(queries).chunk(3, dim=-1)
        else:
            weights = self.qkv.weight.chunk(3)
            biases = self.qkv.bias.chunk(3)
            sources = (queries, context, context)
            parts = tuple(map(functional.linear, sources, weights, biases))
        split = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]
        attended = functional.scaled_dot_product_attention(*split)
        joined: Tensor = self.out(attended.transpose(1, 2).flatten(-2))
        return joined
