"""What the diffusion model learns: rectified flow, or the noise of DDPM, with a few-step part."""

from typing import Any, NamedTuple, Self

import lightning
import torch
from jaxtyping import Bool, Float, Int
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import Field, model_validator
from torch import Tensor, nn

from segue.audio.data.latent_batches import (
    KNOWN,
    LABEL,
    PADDING,
    SHORTCUT,
    SIZE,
    TEXT,
    TIME,
    UNKNOWN,
)
from segue.audio.diffusion.conditioning import Told
from segue.audio.diffusion.distil import ShortcutSettings, draw_steps, shortcut_target
from segue.audio.diffusion.original import OriginalBlock, OriginalTransformer
from segue.audio.diffusion.schedules import DiscreteSchedule, ScheduleSettings, make_schedule
from segue.audio.diffusion.transformer import Block, LatentTransformer
from segue.core.config import StrictModel
from segue.training.optim import OptimSettings, scheduled
from segue.training.sharding import shard

TIME_QUARTERS = ("t0_25", "t25_50", "t50_75", "t75_100")
"""Names of the quarters of time by which the validation loss is told apart, in percent."""

_LEAST_TAIL = 1e-5


class TaskSettings(StrictModel):
    """The objective."""

    schedule: ScheduleSettings = Field(
        default=ScheduleSettings(), description="flow learns velocities, the others noise"
    )
    time_shape: str = Field(
        default="logit-normal",
        pattern="^(logit-normal|uniform)$",
        description="how times are spread in training (Esser et al., 2024)",
    )
    time_mean: float = Field(default=0.0, description="of the logit; above 0: more noise")
    time_deviation: float = Field(default=1.0, gt=0, description="of the logit")
    label_dropout: float = Field(
        default=0.1, ge=0, le=1, description="share of rows that are told nothing, for guidance"
    )
    text_dropout: float = Field(
        default=0.3, ge=0, le=1, description="of the others: share whose text is hidden"
    )
    text_only: float = Field(
        default=0.2, ge=0, le=1, description="of the others: share with a text, labels hidden"
    )
    shortcut: ShortcutSettings = ShortcutSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.text_dropout + self.text_only > 1:
            raise ValueError("text_dropout and text_only are shares of the same rows: at most 1")
        return self

    @property
    def objective(self) -> str:
        """What is predicted: ``flow`` is the velocity, ``ddpm`` the noise."""
        return "flow" if self.schedule.schedule == "flow" else "ddpm"


class Question(NamedTuple):
    """What the model is asked, and what it should answer.

    Attributes:
        latents: noisy. Shape ``batch channels frames``.
        target: the right answer. Shape ``batch channels frames``.
        time: 0 to 1. Shape ``batch``.
        step: 0, or the size of a long step. Shape ``batch``.
        told: what the rows are asked for.
    """

    latents: Float[Tensor, "batch channels frames"]
    target: Float[Tensor, "batch channels frames"]
    time: Float[Tensor, " batch"]
    step: Float[Tensor, " batch"]
    told: Told


class DiffusionTask(lightning.LightningModule):
    """Training of a diffusion model on `segue.audio.data.latent_batches.LatentBatch`.

    Args:
        model: ours or the original's, also what is exported in the end.
        task: the objective.
        optim: the optimiser.
        max_steps: steps of the whole run, for the schedule of the learning rate.
    """

    alpha_bars: Tensor

    def __init__(
        self,
        model: LatentTransformer | OriginalTransformer,
        task: TaskSettings,
        optim: OptimSettings,
        *,
        max_steps: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.optim = optim
        self.max_steps = max_steps
        schedule = make_schedule(task.schedule)
        powers = schedule.alpha_bars if isinstance(schedule, DiscreteSchedule) else [0.0]
        alpha_bars = torch.as_tensor(powers, dtype=torch.float32)
        self.register_buffer("alpha_bars", alpha_bars, persistent=False)
        self.sums = torch.zeros(2, len(TIME_QUARTERS) + 1, dtype=torch.float64)

    @property
    def monitor(self) -> str:
        """The validation metric that says which weights are best."""
        return "val_loss"

    def times(self, uniform: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Return times of training out of uniform numbers in 0..1."""
        if self.task.objective == "ddpm":
            count = len(self.alpha_bars)
            return ((uniform * count).floor() + 1).clamp(max=count) / count
        if self.task.time_shape == "uniform":
            return uniform
        normal = torch.special.ndtri(uniform.double().clamp(_LEAST_TAIL, 1 - _LEAST_TAIL))
        return torch.sigmoid(self.task.time_mean + self.task.time_deviation * normal).float()

    def question(self, batch: dict[str, Tensor], *, shortcut: bool = True) -> Question:
        """Return what the model is asked about a batch.

        Args:
            batch: a `LatentBatch`.
            shortcut: whether some rows ask for long steps; without, all ask for the velocity.
        """
        clean, noise, draws = batch["latents"], batch["noise"], batch["draws"]
        told = self.told(batch)
        time = self.times(draws[:, TIME])
        if self.task.objective == "ddpm":
            power = self.alpha_bars[self._index(time)].view(-1, 1, 1)
            noisy = power.sqrt() * clean + (1 - power).sqrt() * noise
            return Question(noisy, noise, time, torch.zeros_like(time), told)
        long = draws[:, SHORTCUT] < self.task.shortcut.share
        step = torch.zeros_like(time)
        if shortcut and self.task.shortcut.share:
            times, sizes = draw_steps(draws[:, TIME], draws[:, SIZE], self.task.shortcut)
            time, step = torch.where(long, times, time), torch.where(long, sizes, step)
        noisy = torch.lerp(clean, noise, time.view(-1, 1, 1))
        asked = Question(noisy, noise - clean, time, step, told)
        return self._with_shortcuts(asked, batch) if shortcut else asked

    def told(self, batch: dict[str, Tensor]) -> Told:
        """Return what a batch's rows are told of their labels and texts.

        Some rows are told nothing; of the others some are not told their text, and of those that
        have a text some are not told their labels. So one model answers to labels, to text, to
        both and to neither, which guidance needs.
        """
        labels, text, draws = batch["labels"], batch["text"], batch["draws"]
        anything = draws[:, LABEL] >= self.task.label_dropout
        has_text = (text != 0).any(dim=1)
        with_text = anything & (draws[:, TEXT] >= self.task.text_dropout)
        text_only = has_text & (draws[:, TEXT] >= 1 - self.task.text_only)
        with_labels = anything & ~text_only
        return Told(labels * with_labels.unsqueeze(1), text * with_text.unsqueeze(1))

    def _with_shortcuts(self, asked: Question, batch: dict[str, Tensor]) -> Question:
        """Replace the targets of the rows that ask for long steps."""
        rows = torch.nonzero(asked.step > 0).squeeze(1)
        if not len(rows):
            return asked
        part = {name: values[rows] for name, values in batch.items()}

        def velocity(latents: Tensor, time: Tensor, step: Tensor, told: Told) -> Tensor:
            return self.answer(Question(latents, latents, time, step, told), part)

        target = asked.target.clone()
        target[rows] = shortcut_target(
            velocity,
            asked.latents[rows],
            asked.time[rows],
            asked.step[rows],
            asked.told.rows(rows),
            self.task.shortcut,
        )
        return asked._replace(target=target)

    def answer(
        self, question: Question, batch: dict[str, Tensor]
    ) -> Float[Tensor, "batch channels frames"]:
        """Return the model's answer, in float32."""
        if isinstance(self.model, OriginalTransformer):
            index = self._index(question.time)
            return self.model(question.latents, index.float()).float()
        kinds = batch["kinds"]
        mask = (kinds == KNOWN).unsqueeze(1).float()
        padded = kinds == PADDING
        valid = ~padded if bool(padded.any()) else None
        answer: Tensor = self.model(
            question.latents,
            batch["latents"] * mask,
            mask,
            question.time,
            question.step,
            *question.told,
            valid=valid,
        )
        return answer

    def errors(
        self, question: Question, batch: dict[str, Tensor]
    ) -> tuple[Float[Tensor, " batch"], Int[Tensor, " batch"]]:
        """Return the squared error of each row, summed over its unknown frames, and their number.

        Over the channels of a frame it is the mean.
        """
        unknown = batch["kinds"] == UNKNOWN
        answer = self.answer(question, batch)
        squares = (answer - question.target).square().mean(dim=1)
        return (squares * unknown).sum(dim=1), unknown.sum(dim=1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        """Return the loss of a batch and what was measured."""
        question = self.question(batch)
        errors, frames = self.errors(question, batch)
        long = question.step > 0
        local = torch.stack([_total(errors, ~long), _total(errors, long)])
        counts = torch.stack([_total(frames, ~long), _total(frames, long)]).double()
        counts = self._over_processes(counts)
        normaliser = counts.sum().clamp(min=1)
        # Gradients are averaged over processes, so each scales its share of the global sum up.
        share = local.sum() * (self.trainer.world_size / normaliser)
        sums = self._over_processes(local.detach().double())
        metrics = {"loss": (sums[0], counts[0])}
        if self.task.shortcut.share:
            metrics["shortcut_loss"] = (sums[1], counts[1])
        return {"loss": share, "tokens": int(counts.sum()), "metrics": metrics}

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self.sums = torch.zeros_like(self.sums, device=self.device)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums: those of the velocity by quarters of time, those of long steps."""
        plain = self.question(batch, shortcut=False)
        errors, frames = self.errors(plain, batch)
        last = len(TIME_QUARTERS) - 1
        place = (plain.time * len(TIME_QUARTERS)).ceil().long().sub(1).clamp(0, last)
        self.sums.index_add_(1, place, torch.stack([errors, frames]).double())
        if self.task.shortcut.share:
            question = self.question(batch)
            errors, frames = self.errors(question, batch)
            long = question.step > 0
            self.sums[:, -1] += torch.stack([_total(errors, long), _total(frames, long)]).double()

    def on_validation_epoch_end(self) -> None:
        """Log the loss, and the loss of every quarter of time."""
        sums, counts = self._over_processes(self.sums).tolist()
        if total := sum(counts[:-1]):
            self.log("val_loss", sum(sums[:-1]) / total)
        for name, value, count in zip(TIME_QUARTERS, sums, counts, strict=False):
            if count:
                self.log(f"val_loss_{name}", value / count)
        if counts[-1]:
            self.log("val_shortcut_loss", sums[-1] / counts[-1])

    def configure_model(self) -> None:
        """Split the model over the processes where the run asks for fsdp."""
        unit: type[nn.Module] = Block
        if isinstance(self.model, OriginalTransformer):
            unit = OriginalBlock
        shard(self, self.model, unit)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser with two decay groups, and the schedule, stepped once a step."""
        return scheduled(self.model, self.optim, max_steps=self.max_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the architecture beside the weights."""
        checkpoint["model_config"] = self.model.config.model_dump()

    def _index(self, time: Float[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Return the step of a discrete schedule, 0 the least noisy."""
        count = len(self.alpha_bars)
        return (time * count).round().long().sub(1).clamp(0, count - 1)

    def _over_processes(self, values: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.trainer.world_size == 1:
            return values
        total: Tensor = self.trainer.strategy.reduce(values, reduce_op="sum")
        return total


def _total(values: Tensor, rows: Bool[Tensor, " batch"]) -> Tensor:
    """Return the sum over some rows."""
    return torch.where(rows, values, torch.zeros_like(values)).sum()
