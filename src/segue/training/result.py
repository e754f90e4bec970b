"""A recipe's training from the first step or the last checkpoint to its end, and how that ended."""

from dataclasses import dataclass
from typing import Protocol

import lightning

from segue.core.progress import Progress, silent
from segue.training.callbacks import Report
from segue.training.data import BatchSource, StepData
from segue.training.run import RunFolder, run_training
from segue.training.trainer import TrainerSettings


class Recipe(Protocol):
    """What every recipe has."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def seed(self) -> int:
        """Of what is random."""
        ...

    @property
    def trainer(self) -> TrainerSettings:
        """How long, where and how often."""
        ...


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Attributes:
        folder: the run folder.
        steps: optimiser steps taken.
        finished: whether the recipe's last step was reached.
        validation: the last validation metrics, by name.
    """

    folder: RunFolder
    steps: int
    finished: bool
    validation: dict[str, float]


def fit_recipe(
    task: lightning.LightningModule,
    recipe: Recipe,
    folder: RunFolder,
    *,
    train: BatchSource,
    validation: BatchSource | None,
    monitor: str,
    report: Report | None = None,
    progress: Progress = silent,
) -> FitResult:
    """Train a task on the batches of a recipe, in a folder whose run has begun.

    Args:
        task: see `segue.training`.
        recipe: gives name, seed and engine.
        folder: see `RunFolder.begin`.
        train: source of training batches.
        validation: source of validation batches; not asked where the recipe wants none.
        monitor: validation metric that tells the best weights, lower is better.
        report: called with (step, steps in all, row) for every row of ``metrics.csv``.
        progress: told after every step.
    """
    settings = recipe.trainer
    batches = StepData(
        train,
        validation,
        validation_batches=settings.validation_batches,
        workers=settings.workers,
    )
    trainer = run_training(
        task,
        batches,
        settings,
        folder,
        seed=recipe.seed,
        monitor=monitor,
        title=recipe.name,
        report=report,
        progress=progress,
    )
    finished = trainer.global_step >= settings.max_steps
    return FitResult(folder, trainer.global_step, finished, folder.last_validation())
