"""The optimiser that every task shares: AdamW, its learning rate over the steps, and what decays."""

import math
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import Field
from torch import nn

from segue.core.config import StrictModel


class OptimSettings(StrictModel):
    """AdamW (Loshchilov and Hutter, 2019) and its learning rate over the steps."""

    learning_rate: float = Field(default=1e-3, gt=0, description="the largest value")
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.1, ge=0, description="on linear weights only")
    schedule: Literal["constant", "cosine", "trapezoid"] = "cosine"
    warmup_steps: int = Field(default=200, ge=0, description="linear rise from near 0")
    final_fraction: float = Field(
        default=0.1, ge=0, le=1, description="last learning rate / largest; constant ignores it"
    )
    cooldown_share: float = Field(
        default=0.2, gt=0, le=1, description="part of the steps in which a trapezoid falls"
    )


def learning_rate_factor(settings: OptimSettings, step: int, max_steps: int) -> float:
    """Return the learning rate at a step as a fraction of the largest.

    Args:
        settings: shape of the schedule.
        step: optimiser steps taken so far, from 0.
        max_steps: steps of the whole run, where cosine and trapezoid end.
    """
    if step < settings.warmup_steps:
        return (step + 1) / (settings.warmup_steps + 1)
    if settings.schedule == "constant":
        return 1.0
    final = settings.final_fraction
    if settings.schedule == "cosine":
        done = (step - settings.warmup_steps) / max(1, max_steps - settings.warmup_steps)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    left = (max_steps - step) / max(1.0, settings.cooldown_share * max_steps)
    return final + (1 - final) * max(0.0, min(1.0, left))


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the parameters into those that decay and those that do not.

    minGPT's rule: only the weights of linear layers decay; embeddings, norms and biases do not. A
    head that shares its weights with the embedding counts as an embedding.
    """
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    linear = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    decaying = linear - embedded
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in decaying], "weight_decay": 0.0},
    ]


def adamw(model: nn.Module, settings: OptimSettings, *, max_steps: int) -> OptimizerLRScheduler:
    """Return AdamW with two decay groups and its schedule, stepped once a step.

    Args:
        model: on the device that it is trained on.
        settings: see `OptimSettings`.
        max_steps: steps of the whole run, where the schedule ends.
    """
    groups = decay_groups(model, settings.weight_decay)
    fused = next(model.parameters()).device.type == "cuda"
    optimizer = torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=settings.betas, fused=fused
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(settings, step, max_steps)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
