"""The optimiser that every task shares: AdamW or Muon, its learning rate over the steps, what decays."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import Field
from torch import nn

from segue.core.config import StrictModel
from segue.errors import SettingError
from segue.training.arithmetic import bfloat16_is_slow
from segue.training.muon import SinglePrecisionMuon


class OptimSettings(StrictModel):
    """The optimiser and its learning rate over the steps.

    ``adamw`` is Loshchilov and Hutter's (2019). ``muon`` (Jordan et al., 2024) turns the step of every
    matrix inside the model into the nearest orthogonal one; embeddings, the head, norms and biases
    keep AdamW. Its steps have the size that AdamW's would have (Liu et al., 2025), so that one learning
    rate serves both.
    """

    method: Literal["adamw", "muon"] = "adamw"
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


class Joined(torch.optim.Optimizer):
    """Several optimisers that look like one; each keeps its own parameters.

    Args:
        parts: share no parameters.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = tuple(parts)
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        # Schedules write into these dictionaries, and the parts have to see it.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step with every part; the closure is called once."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for part in self.parts:
            part.step()
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of every part back.

        Raises:
            SettingError: the state is that of another optimiser.
        """
        states = state_dict.get("parts", [])
        if len(states) != len(self.parts):
            raise SettingError(
                "The checkpoint was made with another optimiser. Give optim.method as it was."
            )
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
        self._share_groups()


def make_optimizer(model: nn.Module, settings: OptimSettings) -> torch.optim.Optimizer:
    """Return the optimiser of the settings, at its largest learning rate.

    Muon takes the linear layers that the model's ``blocks`` name in ``inner_layers``.

    Raises:
        SettingError: Muon was asked for and the model has no such blocks.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    groups = decay_groups(model, decay)
    device = next(model.parameters()).device.type
    fused = device == "cuda"
    if settings.method == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=settings.betas, fused=fused)
    layers = [layer for block in getattr(model, "blocks", ()) for layer in block.inner_layers]
    if not layers:
        raise SettingError("This model has no blocks for Muon. Set optim.method to adamw.")
    matrices = [layer.weight for layer in layers]
    chosen = {id(p) for p in matrices}
    rest = [
        {**group, "params": [p for p in group["params"] if id(p) not in chosen]} for group in groups
    ]
    muon = SinglePrecisionMuon if device == "cpu" and bfloat16_is_slow() else torch.optim.Muon
    return Joined(
        [
            muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=rate, betas=settings.betas, fused=fused),
        ]
    )


def scheduled(model: nn.Module, settings: OptimSettings, *, max_steps: int) -> OptimizerLRScheduler:
    """Return the optimiser with two decay groups and its schedule, stepped once a step.

    Args:
        model: on the device that it is trained on.
        settings: see `OptimSettings`.
        max_steps: steps of the whole run, where the schedule ends.
    """
    optimizer = make_optimizer(model, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(settings, step, max_steps)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
