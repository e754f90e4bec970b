"""Few-step models by self-consistency: one long step is to land where two short ones do.

Shortcut models (Frans et al., 2024, 2410.12557): a flow model that is also told the size of the
coming step. For a share of every batch the target is not the velocity of the data but what the model
itself, asked twice with half the step, would do; so it learns steps of 1/64, 1/32, ... and in
the end one step from noise to data. It starts from the weights of a trained flow model, and goes on
learning the velocity with the rest of the batch.

Departures from the paper: time runs from 0 (data) to 1 (noise) as everywhere here; the targets come from
the weights in training, not from their average.
"""

import math
from collections.abc import Callable
from typing import Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from segue.audio.diffusion.conditioning import Told
from segue.core.config import StrictModel

Velocity = Callable[[Tensor, Tensor, Tensor, Told], Tensor]
"""``(latents, time, step, told) -> velocity``, what is known already filled in."""


class ShortcutSettings(StrictModel):
    """How much of a batch learns long steps, and which."""

    share: float = Field(
        default=0.0, ge=0, lt=1, description="of a batch's rows; 0 trains a plain flow model"
    )
    finest_steps: int = Field(
        default=32, ge=2, description="steps of the finest sampling that is learnt, a power of 2"
    )
    guidance: float = Field(
        default=1.0,
        ge=0,
        description="exaggeration of what is asked that long steps learn; 1: none",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.finest_steps & (self.finest_steps - 1):
            raise ValueError(f"finest_steps is {self.finest_steps}; it must be a power of 2")
        return self


def draw_steps(
    uniform_time: Float[Tensor, " batch"],
    uniform_size: Float[Tensor, " batch"],
    settings: ShortcutSettings,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Return times and sizes of steps: 1, 1/2, 1/4, ..., each from a multiple of itself.

    Args:
        uniform_time: in 0..1; decides the time.
        uniform_size: in 0..1; decides the size, all sizes alike.
        settings: the finest size.
    """
    levels = int(math.log2(settings.finest_steps)) + 1
    level = (uniform_size * levels).floor().clamp(0, levels - 1)
    count = torch.exp2(level)
    time = ((uniform_time * count).floor() + 1).clamp(max=count) / count
    return time, 1 / count


@torch.no_grad()
def shortcut_target(
    velocity: Velocity,
    latents: Float[Tensor, "batch channels frames"],
    time: Float[Tensor, " batch"],
    size: Float[Tensor, " batch"],
    told: Told,
    settings: ShortcutSettings,
) -> Float[Tensor, "batch channels frames"]:
    """Return the mean velocity of two steps of half the size.

    Args:
        velocity: the model.
        latents: at `time`.
        time: where the long step begins.
        size: of the long step.
        told: what the rows are asked for.
        settings: at the finest size the halves are steps along the velocity itself.
    """
    half = size / 2
    finest = size * settings.finest_steps <= 1
    sizes = torch.where(finest, torch.zeros_like(half), half)

    def asked(latents: Tensor, time: Tensor) -> Tensor:
        found = velocity(latents, time, sizes, told)
        if settings.guidance == 1:
            return found
        plain = velocity(latents, time, sizes, told.nothing())
        guided = plain + settings.guidance * (found - plain)
        # Only the finest level is guided; the coarser ones learn it from there.
        return torch.where(finest[:, None, None], guided, found)

    first = asked(latents, time)
    second = asked(latents - half[:, None, None] * first, time - half)
    return (first + second) / 2
