"""What is not a number reaches neither the weights, nor their average, nor a checkpoint."""

from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.training.callbacks import Metrics, NanGuard
from segue.training.data import StepData
from segue.training.run import RunFolder, run_training
from segue.training.table import read_rows
from segue.training.trainer import TrainerSettings, make_trainer

BAD = 6


class Lines(NamedTuple):
    x: NDArray[np.float32]


class Source:
    """One number and whether it is the bad batch."""

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Lines:
        return Lines(np.array([[1.0, float(step == BAD)]], np.float32))


class Task(lightning.LightningModule):
    """A line fitted to 3, with a batch whose loss, gradient or step is not a number."""

    def __init__(self, kind: str, *, by_hand: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model, self.kind = torch.nn.Linear(1, 1), kind
        self.automatic_optimization = not by_hand
        self.breaks = False

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> dict[str, Any]:
        loss = (self.model(batch["x"][:, :1]) - 3).square().mean()
        if batch["x"][0, 1]:
            self.breaks = self.kind == "step"
            if self.kind == "loss":
                loss = loss * float("nan")
            elif self.kind == "gradient":
                loss = loss + (self.model.weight * 0).abs().sqrt().sum()
        if not self.automatic_optimization:
            optimiser: Any = self.optimizers()
            optimiser.zero_grad()
            self.manual_backward(loss)
            optimiser.step()
        return {
            "loss": loss.detach() if not self.automatic_optimization else loss,
            "tokens": 1,
            "metrics": {"loss": (loss.detach(), torch.ones(()))},
        }

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimiser = torch.optim.AdamW(self.parameters(), lr=1e-2)
        optimiser.register_step_post_hook(lambda *_: self.break_weights())
        return optimiser

    def break_weights(self) -> None:
        if self.breaks:
            self.model.weight.data.fill_(float("inf"))
        self.breaks = False

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["model_config"] = {}


def trained(folder: Path, task: Task, **changes: Any) -> dict[str, Any]:
    values = {"max_steps": 12, "accelerator": "cpu", "ema_decay": 0.9, "save_every": 1}
    values |= {"row_every": 1, "validation_batches": 0, "threads": 1}
    settings = TrainerSettings.model_validate(values | changes)
    run_training(task, StepData(Source()), settings, RunFolder(folder), seed=0, monitor="val_loss")
    found: dict[str, Any] = torch.load(RunFolder(folder).last, weights_only=True)
    return found


def is_finite(checkpoint: dict[str, Any]) -> bool:
    states = [checkpoint["state_dict"], checkpoint["current_model_state"]]
    return all(bool(value.isfinite().all()) for state in states for value in state.values())


@pytest.mark.parametrize("kind", ["loss", "gradient", "step"])
@pytest.mark.parametrize(("accumulate", "by_hand"), [(1, False), (2, False), (1, True)])
def test_a_bad_batch_is_left_out(tmp_path: Path, kind: str, accumulate: int, by_hand: bool) -> None:
    task = Task(kind, by_hand=by_hand)
    checkpoint = trained(tmp_path, task, accumulate=accumulate, nan_restores=1)
    assert checkpoint["global_step"] == 12
    assert is_finite(checkpoint)
    rows = read_rows(tmp_path / "metrics.csv")
    assert sum("restored" in row for row in rows) == 1
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.parametrize("kind", ["loss", "gradient", "step"])
def test_without_restores_the_run_stops_before_its_weights_are_broken(
    tmp_path: Path, kind: str
) -> None:
    with pytest.raises(SettingError, match="loss or a weight is no longer a finite"):
        trained(tmp_path, Task(kind))
    checkpoint = torch.load(RunFolder(tmp_path).last, weights_only=True)
    assert checkpoint["global_step"] == BAD
    assert is_finite(checkpoint)


def test_a_state_is_kept_where_a_step_is_whole_and_its_weights_are_numbers(tmp_path: Path) -> None:
    task, guard = Task("none"), NanGuard(1, every=2)
    trainer = make_trainer(
        TrainerSettings(max_steps=4, accelerator="cpu", accumulate=3, validation_batches=0),
        tmp_path,
        [],
    )
    trainer.strategy.optimizers = [task.configure_optimizers()]

    def kept_after(batches: int) -> float:
        guard.on_train_batch_end(trainer, task, {"loss": torch.ones(())}, None, batches - 1)
        assert guard.good is not None
        return float(guard.good["weights"]["model.weight"])

    guard.on_train_start(trainer, task)
    weight = task.model.weight.data
    weights = {}
    for batches in range(1, 13):
        weight.fill_(batches if batches < 12 else float("nan"))
        weights[batches] = kept_after(batches)
    assert [weights[n] for n in (6, 7, 11, 12)] == [6] * 4
    assert len({weights[n] for n in range(1, 6)}) == 1
    assert weights[5] not in range(1, 6)


@pytest.mark.parametrize("batch", [6, 7])
def test_a_run_that_is_out_of_time_ends_with_a_whole_step(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1000))
    monkeypatch.setattr(Metrics, "elapsed", lambda _: 1e9 * (next(calls) >= batch - 1))
    checkpoint = trained(
        tmp_path, Task("none"), accumulate=3, max_minutes=1, save_every=250, max_steps=100
    )
    assert 0 < checkpoint["global_step"] < 100
