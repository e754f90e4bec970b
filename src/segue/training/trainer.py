"""One place that turns settings into a Lightning trainer."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy, Strategy
from pydantic import BeforeValidator, Field
from typing_extensions import override

from segue.core.config import StrictModel
from segue.core.files import atomic_path
from segue.errors import SettingError
from segue.training.arithmetic import bfloat16_is_slow
from segue.training.sharding import ShardedStrategy

Precision = Literal["32", "bf16-mixed"]
"""32-bit numbers throughout, or matrix products in bfloat16."""


class TrainerSettings(StrictModel):
    """How long, on what and how exactly to train. A step is one optimiser step."""

    max_steps: int = Field(gt=0, description="optimiser steps of the whole run")
    max_minutes: float | None = Field(
        default=None, gt=0, description="stop after this much training time, resumes added up"
    )
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(default=1, gt=0, description="processes on this machine")
    nodes: int = Field(default=1, gt=0, description="machines")
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    precision: Annotated[
        Precision, BeforeValidator(lambda given: "32" if given == 32 else given)
    ] = Field(
        default="32",
        description="of matrix products; a processor without bfloat16 takes 32 for bf16-mixed",
    )
    threads: int | None = Field(
        default=None, gt=0, description="CPU threads of one process; None leaves PyTorch's choice"
    )
    workers: int = Field(default=0, ge=0, description="processes that make batches ahead")
    clip_norm: float | None = Field(default=1.0, gt=0, description="largest gradient norm")
    accumulate: int = Field(default=1, gt=0, description="batches in one optimiser step")
    validate_every: int = Field(default=500, gt=0, description="steps between validations")
    validation_batches: int = Field(default=20, ge=0)
    row_every: int = Field(default=50, gt=0, description="steps in one row of metrics.csv")
    save_every: int = Field(default=250, gt=0, description="steps between checkpoints")
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="decay of the averaged weights; None for no average"
    )
    deterministic: bool = False
    nan_restores: int = Field(
        default=0,
        ge=0,
        description="times that a loss that is not a number puts the last good state back; then stop",
    )


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or absent, and that are read without running any code of theirs."""

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any | None = None
    ) -> None:
        """Write beside the target, flush to disk, then rename."""
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)

    @override
    def load_checkpoint(
        self,
        path: Path | str,
        map_location: Any = "cpu",
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        """Read tensors and plain values only, whatever the caller asked for."""
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return loaded


def accelerator(settings: TrainerSettings) -> Literal["cpu", "gpu"]:
    """Return what to train on; ``auto`` is an NVIDIA or AMD GPU where there is one."""
    if settings.accelerator == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    return settings.accelerator


def precision(settings: TrainerSettings) -> Precision:
    """Return what is computed with: the setting, or ``32`` where bfloat16 would be computed in software."""
    if settings.precision == "bf16-mixed" and accelerator(settings) == "cpu" and bfloat16_is_slow():
        return "32"
    return settings.precision


def _strategy(settings: TrainerSettings, *, takes_turns: bool) -> Strategy | str:
    """Choose the strategy; one process needs none. Networks that take turns leave gradients out."""
    processes = settings.devices * settings.nodes
    if settings.strategy == "fsdp":
        return ShardedStrategy(processes)
    if processes > 1 or settings.strategy == "ddp":
        backend = "gloo" if accelerator(settings) == "cpu" else None
        return DDPStrategy(
            process_group_backend=backend,
            gradient_as_bucket_view=True,
            find_unused_parameters=takes_turns,
        )
    return "auto"


def make_trainer(
    settings: TrainerSettings,
    run_folder: Path,
    callbacks: Sequence[Callback],
    *,
    takes_turns: bool = False,
) -> lightning.Trainer:
    """Return a trainer that writes nowhere but into the run folder.

    Args:
        settings: see `TrainerSettings`.
        run_folder: where Lightning may write.
        callbacks: what happens around steps; checkpoints and metrics are callbacks of ours.
        takes_turns: the task steps several optimisers by itself and clips their gradients.

    Raises:
        SettingError: settings that exclude each other.
    """
    if settings.strategy == "fsdp" and settings.ema_decay is not None:
        raise SettingError(
            "An average of the weights (trainer.ema_decay) cannot be kept where fsdp splits them. "
            "Set trainer.ema_decay=null, or use trainer.strategy=ddp."
        )
    if takes_turns and (settings.accumulate > 1 or settings.strategy == "fsdp"):
        raise SettingError(
            "Networks that are trained in turns cannot add up batches (trainer.accumulate) or be split "
            "by fsdp. Set trainer.accumulate=1 and trainer.strategy=auto or ddp."
        )
    return lightning.Trainer(
        accelerator=accelerator(settings),
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=_strategy(settings, takes_turns=takes_turns),
        precision=precision(settings),
        max_steps=settings.max_steps,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=None if takes_turns else settings.clip_norm,
        val_check_interval=settings.validate_every * settings.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic=settings.deterministic,
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO()],
        default_root_dir=run_folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextlib.contextmanager
def quiet_engine(threads: int | None = None) -> Iterator[None]:
    """Silence Lightning's advice, set the number of CPU threads, and put both back afterwards."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    before = torch.get_num_threads()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        if threads is not None:
            torch.set_num_threads(threads)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(lightning|torch)\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        torch.set_num_threads(before)
