"""Batches as a pure function of the step, so that a resumed run sees exactly what it would have seen."""

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


class NamedArrays(Protocol):
    """A named tuple of arrays."""

    def _asdict(self) -> dict[str, Any]: ...


class BatchSource(Protocol):
    """Anything that makes the batch of a step out of nothing but the step's number.

    ``batch(step, rank, world_size)`` gives rows ``rank::world_size`` of the step's global batch,
    so that the global batch does not depend on the number of processes.
    """

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> NamedArrays:
        """Return the arrays of one step for one process, as a named tuple."""
        ...


class _Steps(Dataset[dict[str, Tensor]]):
    """Map-style view of a `BatchSource`: the index is the step."""

    def __init__(self, source: BatchSource, rank: int, world_size: int) -> None:
        self.source = source
        self.rank = rank
        self.world_size = world_size

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        batch = self.source.batch(step, rank=self.rank, world_size=self.world_size)
        arrays = batch._asdict()
        return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}


class _From(Sampler[int]):
    """Steps from `first`, up to `stop` or without end; no length, so Lightning sees no epochs."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.first)


class StepData(lightning.LightningDataModule):
    """Training from the step where the run stands, validation on the same batches every time.

    Args:
        train: source of training batches.
        validation: source of validation batches, or None for no validation.
        validation_batches: number of validation batches, steps 0, 1, ... of `validation`.
        workers: processes that make batches ahead; 0 makes them in the training process.
    """

    def __init__(
        self,
        train: BatchSource,
        validation: BatchSource | None = None,
        *,
        validation_batches: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.train = train
        self.validation = validation
        self.validation_batches = validation_batches
        self.workers = workers

    def _loader(self, source: BatchSource, steps: Any) -> DataLoader[dict[str, Tensor]]:
        trainer = self.trainer
        assert trainer is not None
        return DataLoader(
            _Steps(source, trainer.global_rank, trainer.world_size),
            batch_size=None,
            sampler=steps,
            num_workers=self.workers,
            persistent_workers=False,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches from the trainer's present step on; one optimiser step may take several."""
        assert self.trainer is not None
        first = self.trainer.global_step * self.trainer.accumulate_grad_batches
        return self._loader(self.train, _From(first))

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]] | list[Any]:
        """Batches 0, 1, ... of the validation source."""
        if self.validation is None or not self.validation_batches:
            return []
        return self._loader(self.validation, range(self.validation_batches))
