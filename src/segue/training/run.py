"""The folder of a run: what was asked for, what happened, and where to go on.

::

    recipe.yaml          every setting, resolved; a run goes on only with the same ones
    run.json             versions and hardware, one entry for every start
    metrics.csv          see `segue.training.callbacks.Metrics`
    loss.png             the same as a picture
    checkpoints/last.ckpt, best.ckpt
"""

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from segue.core.config import StrictModel, dump_yaml, load
from segue.core.files import atomic_path, write_bytes, write_text
from segue.core.progress import Progress, silent
from segue.errors import SettingError
from segue.plots.curves import loss_curve
from segue.training.arithmetic import bfloat16_is_slow
from segue.training.callbacks import (
    Checkpoints,
    Metrics,
    NanGuard,
    Report,
    StepProgress,
    StepSeeds,
    TimeLimit,
    WeightAverage,
)
from segue.training.data import StepData
from segue.training.table import read_rows
from segue.training.trainer import TrainerSettings, make_trainer, quiet_engine

_WHERE = ("accelerator", "devices", "nodes", "strategy", "threads", "workers")
_WHEN = ("save_every", "max_minutes")
_WORDS = ("summary", "hardware", "duration", "expected")
_FREE = {*(f"trainer.{name}" for name in _WHERE + _WHEN), *_WORDS}
"""Settings that may differ when a run goes on: they do not change what is computed."""

_ELSEWHERE = ("prepare.", "sampling.")
"""Sections of a recipe that training does not read: what was prepared is compared by its hash."""

_PACKAGES = ("segue", "torch", "lightning", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """Paths inside the folder of a run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The settings of the run."""
        return self.path / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        """The table of losses."""
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """Checkpoint to resume from."""
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        """Weights of the best validation."""
        return self.checkpoints / "best.ckpt"

    def begin(
        self, settings: StrictModel, *, resume: bool, inputs: Mapping[str, str] | None = None
    ) -> None:
        """Write the settings, or check that they are those of the run that is going on.

        Args:
            settings: the recipe.
            resume: whether a run that is there may go on.
            inputs: what the run reads, as name → SHA-256, such as the prepared data's list.

        Raises:
            SettingError: the folder holds a run with other settings or inputs, or one that must
                not go on.
        """
        inputs = dict(inputs or {})
        if self.last.exists() and not resume:
            raise SettingError(
                f"{self.path} holds a run already. Name another folder, or go on with that run."
            )
        if self.last.exists():
            self._check_same(settings)
            self._check_inputs(inputs)
        if is_first_process():
            write_text(self.recipe, dump_yaml(settings))
            self._note_start(inputs)

    def keep(self, file: Path) -> None:
        """Copy a file that belongs to the weights, such as a tokenizer, into the folder."""
        if is_first_process():
            write_bytes(self.path / file.name, file.read_bytes())

    def last_validation(self) -> dict[str, float]:
        """Return the numbers of the newest validation, by name; empty before the first."""
        rows = [row for row in read_rows(self.metrics) if row["split"] == "val"]
        return {n: float(v) for n, v in rows[-1].items() if n != "split"} if rows else {}

    def draw_loss(self, name: str, *, title: str) -> None:
        """Draw a column of the table as ``loss.png``; nothing where no row has it yet."""
        rows = [
            {"step": row["step"], "split": row["split"], "name": name, "value": row[name]}
            for row in read_rows(self.metrics)
            if name in row
        ]
        if not rows:
            return
        figure = loss_curve(rows, name=name, title=title)
        with atomic_path(self.path / "loss.png") as temporary:
            figure.savefig(temporary, format="png")

    def _check_same(self, settings: StrictModel) -> None:
        """Compare with the stored settings, those apart that only say where to compute."""
        # Through the class, so that settings that are newer than the run have their defaults.
        before = _flat(load(type(settings), self.recipe).model_dump(mode="json"))
        now = _flat(settings.model_dump(mode="json"))
        changed = [
            f"{name}: {before.get(name)!r} before, {now.get(name)!r} now"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
            and name not in _FREE
            and not name.startswith(_ELSEWHERE)
        ]
        if changed:
            raise SettingError(
                f"The run in {self.path} was started with other settings ({'; '.join(changed)}). "
                "Go on with the same ones, or start a new run from its weights in another folder."
            )

    def _check_inputs(self, inputs: Mapping[str, str]) -> None:
        """Compare what the run reads with what it read at its last start."""
        before = [start["inputs"] for start in self.starts() if "inputs" in start]
        if before and before[-1] != inputs:
            both = before[-1].keys() | inputs.keys()
            names = sorted(n for n in both if before[-1].get(n) != inputs.get(n))
            raise SettingError(
                f"The run in {self.path} was started with other inputs ({', '.join(names)}), so it "
                "cannot go on as it was. Give it the same ones, or start a run in another folder."
            )

    def starts(self) -> list[dict[str, Any]]:
        """Return the entries of ``run.json``: inputs, versions and hardware of every start."""
        path = self.path / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    def _note_start(self, inputs: Mapping[str, str]) -> None:
        """Add this start to ``run.json``."""
        starts = self.starts()
        starts.append(
            {
                "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "inputs": dict(inputs),
                "python": platform.python_version(),
                "machine": f"{platform.system()} {platform.machine()}",
                "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
                "threads": torch.get_num_threads(),
                "bfloat16_in_software": bfloat16_is_slow(),
                "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
            }
        )
        write_text(self.path / "run.json", json.dumps(starts, indent=1) + "\n")


def is_first_process() -> bool:
    """Say whether this is the only process of the run, or the first of several.

    Reads what Lightning, torchrun and SLURM set in the environment before any of them is set up.
    """
    ranks = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in ranks)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as ``a.b.c`` → value."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + str(name)] = value
    return flat


class LossPicture(Callback):
    """Draw the loss after every validation and at the end."""

    def __init__(self, folder: RunFolder, name: str, title: str) -> None:
        self.folder = folder
        self.name = name
        self.title = title

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Draw what there is so far."""
        if trainer.is_global_zero:
            self.folder.draw_loss(self.name, title=self.title)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Draw the whole run."""
        if trainer.is_global_zero:
            self.folder.draw_loss(self.name, title=self.title)


def run_training(
    task: lightning.LightningModule,
    data: StepData,
    settings: TrainerSettings,
    folder: RunFolder,
    *,
    seed: int,
    monitor: str,
    title: str = "",
    report: Report | None = None,
    progress: Progress = silent,
) -> lightning.Trainer:
    """Train until the last step, from the folder's last checkpoint on where there is one.

    Args:
        task: see `segue.training`.
        data: training and validation batches.
        settings: see `TrainerSettings`.
        folder: where everything is written.
        seed: seeds what is random inside the model; batches have their own.
        monitor: validation metric that tells the best weights, lower is better; it is also drawn.
        title: set above the picture.
        report: called with every row of the table.
        progress: told after every step.

    Returns:
        The trainer, its ``global_step`` at the end.
    """
    metrics = Metrics(folder.metrics, every=settings.row_every, report=report)
    callbacks: list[Callback] = [StepSeeds(seed), NanGuard(settings.nan_restores)]
    if settings.ema_decay is not None:
        callbacks.append(WeightAverage(settings.ema_decay))
    callbacks.append(metrics)
    if settings.max_minutes is not None:
        callbacks.append(TimeLimit(metrics, settings.max_minutes))
    callbacks.append(Checkpoints(folder.checkpoints, every=settings.save_every, monitor=monitor))
    callbacks.append(LossPicture(folder, monitor.removeprefix("val_"), title))
    with quiet_engine(settings.threads), progress("training", total=settings.max_steps) as advance:
        callbacks.append(StepProgress(advance))
        takes_turns = not task.automatic_optimization
        trainer = make_trainer(settings, folder.path, callbacks, takes_turns=takes_turns)
        last = folder.last if folder.last.exists() else None
        with torch.random.fork_rng():
            trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)
    return trainer
