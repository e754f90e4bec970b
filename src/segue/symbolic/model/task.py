"""What MidiGPT learns: the loss, the optimiser, and what is measured on the way."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import lightning
import torch
from jaxtyping import Float, Int
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from segue.core.config import StrictModel
from segue.symbolic.model.gpt import GPT, Block, GPTConfig
from segue.training.optim import OptimSettings, scheduled
from segue.training.sharding import shard

HOLE_KIND, CONTEXT_KIND, PADDING_KIND = 2, 1, 0
"""Values of ``kinds``: a token of the answer, a token of the prompt; 0 is padding."""


_PAD_MULTIPLE = 64
_TOKENS_OF_A_GROUP = 1024
"""Enough for matrix products to be fast; small enough to stay near the processor."""


class TaskSettings(StrictModel):
    """The objective."""

    objective: Literal["infill", "next_token"] = "infill"
    context_weight_start: float = Field(
        default=1.0, ge=0, description="weight of a prompt token's loss at the first step"
    )
    context_weight_end: float = Field(
        default=0.3, ge=0, description="the same at the last step; linear between"
    )


class MidiGPTTask(lightning.LightningModule):
    """Next-token training of a `GPT`, with its own weight for the hole and for the prompt.

    Args:
        model: the model, also what is exported in the end.
        task: the objective.
        optim: the optimiser.
        max_steps: steps of the whole run, for the schedules.
        notes_per_token: notes that each token of the vocabulary stands for (1 for a pitch; more for
            some merged tokens), to give bits per note. Length ``vocab``.
    """

    notes_per_token: Tensor

    def __init__(
        self,
        model: GPT,
        task: TaskSettings,
        optim: OptimSettings,
        *,
        max_steps: int,
        notes_per_token: Sequence[int],
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.optim = optim
        self.max_steps = max_steps
        notes = torch.tensor(notes_per_token, dtype=torch.int64)
        self.register_buffer("notes_per_token", notes, persistent=False)
        self.validation_sums = torch.zeros(5, dtype=torch.float64)

    @property
    def config(self) -> GPTConfig:
        """The architecture."""
        return self.model.config

    @property
    def monitor(self) -> str:
        """The validation metric that says which weights are best."""
        return "val_hole_nats" if self.task.objective == "infill" else "val_context_nats"

    def context_weight(self, step: int) -> float:
        """Return the weight of a prompt token's loss at a step."""
        start, end = self.task.context_weight_start, self.task.context_weight_end
        return start + (end - start) * min(1.0, step / self.max_steps)

    def nats(self, batch: dict[str, Tensor]) -> Float[Tensor, "batch targets"]:
        """Return the negative log-likelihood of every token but the first; of padding, 0 or more.

        On a CPU rows of about the same length go through the model together, which spares most of
        the padding.
        """
        if batch["ids"].device.type != "cpu":
            return self._nats(batch["ids"], batch["times"])
        lengths = (batch["kinds"] != PADDING_KIND).sum(1)
        groups = rows_by_length(lengths.tolist())
        width = batch["ids"].shape[1]
        parts = []
        for rows in groups:
            longest = -(-int(lengths[rows].max()) // _PAD_MULTIPLE) * _PAD_MULTIPLE
            cut = slice(min(width, max(2, longest)))
            part = self._nats(batch["ids"][rows, cut], batch["times"][rows, cut])
            parts.append(functional.pad(part, (0, width - 1 - part.shape[1])))
        order = torch.tensor([row for rows in groups for row in rows])
        return torch.cat(parts)[order.argsort()]

    def _nats(
        self, ids: Int[Tensor, "batch tokens"], times: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch targets"]:
        logits = self.model(ids[:, :-1], times[:, :-1])
        flat = functional.cross_entropy(
            logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
        )
        return flat.view(ids.shape[0], -1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        """Return the loss of a batch and what was measured."""
        kinds = batch["kinds"][:, 1:]
        hole, context = kinds == HOLE_KIND, kinds == CONTEXT_KIND
        counts = self._over_processes(torch.stack([hole.sum(), context.sum()]).double())
        weight = self.context_weight(self.global_step)
        normaliser = float(counts[0] + weight * counts[1])
        nats = self.nats(batch)
        hole_sum, context_sum = (nats * hole).sum(), (nats * context).sum()
        # Gradients are averaged over processes, so each scales its share of the global sum up.
        share = (hole_sum + weight * context_sum) * (self.trainer.world_size / normaliser)
        sums = self._over_processes(torch.stack([hole_sum, context_sum]).detach().double())
        loss = (sums[0] + weight * sums[1]) / normaliser
        one = torch.ones(())
        return {
            "loss": share,
            "tokens": int(counts.sum()),
            "metrics": {
                "loss": (loss, one),
                "hole_nats": (sums[0], counts[0]),
                "context_nats": (sums[1], counts[1]),
            },
        }

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self.validation_sums = torch.zeros(5, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums: nats and tokens of the hole and the context, notes."""
        kinds = batch["kinds"][:, 1:]
        scored = HOLE_KIND if self.task.objective == "infill" else CONTEXT_KIND
        nats = self.nats(batch)
        notes = self.notes_per_token[batch["ids"][:, 1:]]
        sums = [(nats * (kinds == HOLE_KIND)).sum(), (kinds == HOLE_KIND).sum()]
        sums += [(nats * (kinds == CONTEXT_KIND)).sum(), (kinds == CONTEXT_KIND).sum()]
        sums += [(notes * (kinds == scored)).sum()]
        self.validation_sums += torch.stack([value.double() for value in sums])

    def on_validation_epoch_end(self) -> None:
        """Log nats per token of the hole and the context, and bits per note of what counts."""
        hole, holes, context, contexts, notes = self._over_processes(self.validation_sums).tolist()
        scored = hole if self.task.objective == "infill" else context
        if holes:
            self.log("val_hole_nats", hole / holes)
        if contexts:
            self.log("val_context_nats", context / contexts)
        if notes:
            self.log("val_bits_per_note", scored / math.log(2) / notes)

    def configure_model(self) -> None:
        """Split the model over the processes where the run asks for fsdp."""
        shard(self, self.model, Block)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser with two decay groups, and the schedule, stepped once a step."""
        return scheduled(self.model, self.optim, max_steps=self.max_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the architecture beside the weights."""
        checkpoint["model_config"] = self.config.model_dump()

    def _over_processes(self, values: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.trainer.world_size == 1:
            return values
        total: Tensor = self.trainer.strategy.reduce(values, reduce_op="sum")
        return total


def rows_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Put rows of about the same length together, longest first, at least 1,024 tokens to a group.

    Args:
        lengths: tokens of every row.
    """
    groups: list[list[int]] = []
    tokens = _TOKENS_OF_A_GROUP
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if tokens >= _TOKENS_OF_A_GROUP:
            groups.append([])
            tokens = 0
        groups[-1].append(row)
        tokens += lengths[row]
    return groups
