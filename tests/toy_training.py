"""A model, data and settings small enough to train in a test."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from segue.core.config import StrictModel
from segue.symbolic.model.gpt import GPT, GPTConfig
from segue.symbolic.model.task import MidiGPTTask, TaskSettings
from segue.training.callbacks import Report
from segue.training.data import StepData
from segue.training.optim import OptimSettings
from segue.training.run import RunFolder, run_training
from segue.training.table import Row, read_rows
from segue.training.trainer import TrainerSettings

VOCAB = 20
TIME_COLUMNS = {"seconds", "tokens_per_second"}


class ToyBatch(NamedTuple):
    ids: NDArray[np.int64]
    times: NDArray[np.int64]
    kinds: NDArray[np.int8]


class ToySource:
    """Rows in which every token stands twice: half of each row can be learnt."""

    def __init__(self, *, rows: int = 8, tokens: int = 32) -> None:
        self.rows = rows
        self.tokens = tokens

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> ToyBatch:
        rng = np.random.default_rng([1, step])
        ids = rng.integers(0, VOCAB, (self.rows, self.tokens))
        ids[:, 1::2] = ids[:, ::2]
        kinds = np.ones(ids.shape, np.int8)
        kinds[:, self.tokens // 2 :] = 2
        # Rows of different length, so that processes have different numbers of tokens.
        for row in range(self.rows):
            kinds[row, self.tokens - row :] = 0
        own = slice(rank, None, world_size)
        return ToyBatch(ids[own], np.cumsum(ids, axis=1)[own], kinds[own])


def toy_config(**changes: Any) -> GPTConfig:
    sizes = {"vocab_size": VOCAB, "num_layers": 2, "num_heads": 2, "width": 16}
    return GPTConfig.model_validate(sizes | {"context_length": 32} | changes)


def toy_task(*, max_steps: int, dropout: float = 0.0) -> MidiGPTTask:
    torch.manual_seed(0)
    return MidiGPTTask(
        GPT(toy_config(dropout=dropout)),
        TaskSettings(),
        OptimSettings(warmup_steps=3),
        max_steps=max_steps,
        notes_per_token=[1] * VOCAB,
    )


class ToyRecipe(StrictModel):
    name: str = "toy"
    trainer: TrainerSettings


def toy_settings(**changes: Any) -> TrainerSettings:
    values = {
        "max_steps": 12,
        "accelerator": "cpu",
        "threads": 1,
        "validate_every": 5,
        "validation_batches": 2,
        "row_every": 1,
        "save_every": 3,
    }
    return TrainerSettings.model_validate(values | changes)


def toy_run(
    folder: Path,
    settings: TrainerSettings,
    *,
    dropout: float = 0.0,
    report: Report | None = None,
) -> MidiGPTTask:
    task = toy_task(max_steps=settings.max_steps, dropout=dropout)
    run = RunFolder(folder)
    run.begin(ToyRecipe(trainer=settings), resume=True)
    data = StepData(ToySource(), ToySource(), validation_batches=settings.validation_batches)
    run_training(task, data, settings, run, seed=3, monitor=task.monitor, report=report)
    return task


def trace(folder: Path) -> list[Row]:
    """The rows of a run without the columns that measure time."""
    rows = read_rows(folder / "metrics.csv")
    return [{n: v for n, v in row.items() if n not in TIME_COLUMNS} for row in rows]
