"""What happens around the steps: seeds, metrics, checkpoints, and stopping before damage."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor
from torch.distributed.tensor import DTensor

from segue.core.progress import Advance
from segue.errors import SettingError
from segue.training.table import MetricsTable

Report = Callable[[int, int, Mapping[str, float]], None]
"""Called with (steps done, steps in all, the newest row) as training goes on."""


class StepSeeds(Callback):
    """Seed PyTorch before every step from (seed, step, process), so dropout survives a resume."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Seed the generators of the CPU and of every GPU."""
        mixed = (self.seed * 1_000_003 + batch_idx) * 65_537 + trainer.global_rank
        torch.manual_seed(mixed % 2**63)


class NanGuard(Callback):
    """Put the last good state back when a loss or the weights are not numbers; else stop.

    The state is kept in memory. A step is taken first and judged afterwards, by its loss and by the
    weights that it leaves, which a gradient that is not a number breaks; a broken step is undone
    before the callbacks that follow see it. So this one comes before averages and checkpoints.

    Args:
        restores: how often in one run the state may be put back; 0 stops at once.
        every: steps between two copies of the state.
    """

    def __init__(self, restores: int = 0, *, every: int = 50) -> None:
        self.left = restores
        self.every = every
        self.good: dict[str, Any] | None = None

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Keep the state that training begins with."""
        if self.left:
            self._keep(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Check the loss of this batch and, where a step was taken, the weights.

        Raises:
            SettingError: one is infinite or not a number, and nothing is left to try.
        """
        steps, inside = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        finite = torch.isfinite(outputs["loss"].detach())
        if not inside:
            finite = finite & torch.isfinite(_weight_norm(trainer))
        # A GPU is waited for here, once.
        broken = not finite
        if trainer.strategy.reduce_boolean_decision(broken, all=False):
            if self.good is None or not self.left:
                raise SettingError(
                    f"Training stopped at step {trainer.global_step}: the loss or a weight is no "
                    "longer a finite number. The last checkpoint is from before that. Lower the "
                    "learning rate, lengthen the warm-up, or train with precision 32, and start again."
                )
            self.left -= 1
            outputs["metrics"] = {"restored": (torch.ones(()), torch.ones(()))}
            self._put_back(trainer, pl_module)
        elif self.left and not inside and steps % self.every == 0:
            self._keep(trainer, pl_module)

    def _keep(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Copy weights and optimisers."""
        optimisers = [optimiser.state_dict() for optimiser in trainer.optimizers]
        self.good = copy.deepcopy({"weights": module.state_dict(), "optimisers": optimisers})

    def _put_back(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Load the copies; learning rates are those of the step that is reached, not of the copy.

        The gradients that batches have added up so far may be broken too, and are dropped.
        """
        good = copy.deepcopy(self.good)
        assert good is not None
        module.load_state_dict(good["weights"])
        for optimiser, state in zip(trainer.optimizers, good["optimisers"], strict=True):
            rates = [group["lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(state)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate
            optimiser.zero_grad()


def _weight_norm(trainer: lightning.Trainer) -> Tensor:
    """Return the norm of all weights in training, shards counted together."""
    groups = [group for optimiser in trainer.optimizers for group in optimiser.param_groups]
    weights = [weight.detach() for group in groups for weight in group["params"]]
    norm = torch.nn.utils.get_total_norm(weights)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


class Metrics(Callback):
    """Write one row of ``metrics.csv`` every N steps and one after every validation.

    A training row holds the mean over its steps. The sums of an unfinished row travel in the
    checkpoint, and rows later than the checkpoint are dropped on resuming, so that the table of an
    interrupted run is the table of an uninterrupted one, time columns apart.

    Columns: ``step``, ``split`` (train or val), ``seconds`` (training time so far, resumes added
    up), ``tokens`` (seen so far), ``tokens_per_second`` (over this row), ``learning_rate``, ``loss``
    and what the task measures.
    """

    def __init__(self, table_path: Path, *, every: int, report: Report | None = None) -> None:
        self.table = MetricsTable(table_path)
        self.every = every
        self.report = report
        self.sums: dict[str, float] = {}
        self.counts: dict[str, float] = {}
        self.pending: list[dict[str, tuple[Tensor, Tensor]]] = []
        self.tokens = 0
        self.row_tokens = 0
        self.seconds = 0.0
        self.row_seconds = 0.0
        self.clock = time.monotonic()
        self.paused = True
        self.learning_rate = 0.0

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Note the learning rate of the step that begins; go on with the clock."""
        if self.paused:
            self.clock, self.paused = time.monotonic(), False
        self.learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of the unfinished row and the totals."""
        self._settle()
        self._tick()
        return {
            "sums": dict(self.sums),
            "counts": dict(self.counts),
            "tokens": self.tokens,
            "row_tokens": self.row_tokens,
            "seconds": self.seconds,
            "row_seconds": self.row_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the checkpoint was."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Forget rows that are later than the checkpoint."""
        if trainer.is_global_zero:
            self.table.keep_until(trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the step to the row, and write the row when it is full."""
        self.pending.append(outputs["metrics"])
        self.tokens += int(outputs["tokens"])
        self.row_tokens += int(outputs["tokens"])
        if (batch_idx + 1) % (self.every * trainer.accumulate_grad_batches):
            return
        self._settle()
        self._tick()
        row = {
            "step": trainer.global_step,
            "split": "train",
            "seconds": round(self.seconds, 3),
            "tokens": self.tokens,
            "tokens_per_second": round(self.row_tokens / max(self.row_seconds, 1e-9), 1),
            "learning_rate": self.learning_rate,
        }
        row |= {n: self.sums[n] / self.counts[n] for n in self.sums if self.counts[n]}
        self.sums, self.counts, self.row_tokens, self.row_seconds = {}, {}, 0, 0.0
        self._write(trainer, row)

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the row of a validation; its time does not count as training time."""
        values = {
            name.removeprefix("val_"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val_")
        }
        row = {"step": trainer.global_step, "split": "val", "seconds": round(self.seconds, 3)}
        self._write(trainer, row | {"tokens": self.tokens} | values)

    def on_validation_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Stop the clock."""
        self._tick()
        self.paused = True

    def elapsed(self) -> float:
        """Return the seconds of training so far."""
        return self.seconds + (0.0 if self.paused else time.monotonic() - self.clock)

    def _tick(self) -> None:
        if self.paused:
            return
        now = time.monotonic()
        self.seconds += now - self.clock
        self.row_seconds += now - self.clock
        self.clock = now

    def _settle(self) -> None:
        """Add the waiting steps to the sums; on a GPU this is where the values are fetched."""
        for metrics in self.pending:
            for name, (total, count) in metrics.items():
                self.sums[name] = self.sums.get(name, 0.0) + float(total)
                self.counts[name] = self.counts.get(name, 0.0) + float(count)
        self.pending = []

    def _write(self, trainer: lightning.Trainer, row: dict[str, Any]) -> None:
        if not trainer.is_global_zero:
            return
        self.table.append(row)
        if self.report is not None:
            numbers = {n: v for n, v in row.items() if isinstance(v, int | float)}
            self.report(trainer.global_step, trainer.max_steps, numbers)


class Checkpoints(Callback):
    """Keep ``last.ckpt`` to resume from and ``best.ckpt`` with the weights of the best validation.

    Args:
        folder: where the two files go.
        every: steps between writings of ``last.ckpt``.
        monitor: validation metric, lower is better.
    """

    def __init__(self, folder: Path, *, every: int, monitor: str) -> None:
        self.folder = folder
        self.every = every
        self.monitor = monitor
        self.best = math.inf
        self.due = False

    @property
    def last_path(self) -> Path:
        """The file to resume from."""
        return self.folder / "last.ckpt"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation score."""
        return self.folder / "best.ckpt"

    def state_dict(self) -> dict[str, Any]:
        """Return the best score so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best score so far."""
        self.best = state_dict["best"]

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when it is time; where a validation is about to run, wait for its result."""
        steps, left = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        if left:
            return
        ending = trainer.should_stop or trainer.global_step >= trainer.max_steps
        self.due = self.due or ending or steps % self.every == 0
        if self.due and not self._validation_follows(trainer, batch_idx):
            self._save(trainer)

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Save the weights if they are the best so far, and what was put off for this."""
        score = trainer.callback_metrics.get(self.monitor)
        if score is not None and float(score) < self.best:
            self.best = float(score)
            trainer.save_checkpoint(self.best_path, weights_only=True)
        if self.due:
            self._save(trainer)

    def _validation_follows(self, trainer: lightning.Trainer, batch_idx: int) -> bool:
        """Say whether Lightning runs a validation right after this batch."""
        interval = trainer.val_check_batch
        if interval is None or not sum(trainer.num_val_batches or [0]):
            return False
        return (batch_idx + 1) % int(interval) == 0

    def _save(self, trainer: lightning.Trainer) -> None:
        self.due = False
        trainer.save_checkpoint(self.last_path)


class StepProgress(Callback):
    """Pass every finished step on to whoever shows progress."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.shown = 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Tell how many steps were done since the last time; a resume tells all before it."""
        if trainer.is_global_zero and trainer.global_step > self.shown:
            self.advance(trainer.global_step - self.shown)
            self.shown = trainer.global_step


class TimeLimit(Callback):
    """End the run once it has trained for so many minutes, resumes added up."""

    def __init__(self, metrics: Metrics, minutes: float) -> None:
        self.metrics = metrics
        self.minutes = minutes

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Ask Lightning to stop where a step is whole; all processes stop at the same one."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        over = self.metrics.elapsed() >= 60 * self.minutes
        if trainer.strategy.reduce_boolean_decision(over, all=False):
            trainer.should_stop = True


class WeightAverage(WeightAveraging):
    """Exponential moving average of the weights.

    Validation sees the average, and a checkpoint's ``state_dict`` holds it; the weights that training
    goes on with are beside it. After training the module keeps its own weights.
    """

    def __init__(self, decay: float) -> None:
        def averaged(average: Tensor, current: Tensor, _: Tensor | int) -> Tensor:
            """Go part of the way; weights that stay as they are are their own average, exactly."""
            return average + (1 - decay) * (current - average)

        super().__init__(use_buffers=False, avg_fn=averaged)

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Let a part that stays as it is from this step on be its average, now and for good.

        A task says which by ``settling(step)``: the name of a submodule, or an empty text.
        """
        settling = getattr(pl_module, "settling", None)
        name = settling(trainer.global_step) if settling is not None else ""
        if name and self._average_model is not None:
            average = self._average_model.module.get_submodule(name)
            pl_module.get_submodule(name).load_state_dict(average.state_dict())

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Leave the module as it is, unlike Lightning's own; whoever exports reads a checkpoint."""
