"""Weights that are split over processes (FSDP), with the checkpoints of a run that is not split."""

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer
from typing_extensions import override


class ShardedStrategy(ModelParallelStrategy):
    """FSDP (Zhao et al., 2023) in PyTorch's second version: each process keeps a share of all weights.

    Checkpoints are the very ones that a single process writes, so that a run may change its strategy
    when it goes on. A task has to call `shard` in its ``configure_model``.
    """

    def __init__(self, processes: int) -> None:
        super().__init__(
            data_parallel_size=processes, tensor_parallel_size=1, save_distributed_checkpoint=False
        )

    @override
    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Gather the whole state, numbered as the optimiser itself numbers its parameters."""
        bare = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        assert self.model is not None
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        named: dict[str, Any] = get_optimizer_state_dict(self.model, bare, options=options)
        if not named:
            return {}
        order = [name for group in named["param_groups"] for name in group["params"]]
        number = {name: index for index, name in enumerate(order)}
        return {
            "state": {number[name]: state for name, state in named["state"].items()},
            "param_groups": [
                group | {"params": [number[name] for name in group["params"]]}
                for group in named["param_groups"]
            ],
        }

    @override
    def load_checkpoint(
        self, checkpoint_path: Path | str, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, and give each process its share of weights and optimiser state."""
        path = self.broadcast(checkpoint_path)
        checkpoint = self.checkpoint_io.load_checkpoint(path, weights_only=True)
        assert self.model is not None
        options = StateDictOptions(full_state_dict=True)
        set_model_state_dict(self.model, checkpoint["state_dict"], options=options)
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            own = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
            named: dict[str, Any] = {
                "state": {own[index]: values for index, values in state["state"].items()},
                "param_groups": [
                    group | {"params": [own[index] for index in group["params"]]}
                    for group in state["param_groups"]
                ],
            }
            set_optimizer_state_dict(self.model, optimizer, named, options=options)
        return checkpoint


def shard(task: lightning.LightningModule, model: nn.Module, unit: type[nn.Module]) -> None:
    """Split a model over the processes if the run's strategy is fsdp; otherwise leave it.

    Args:
        task: the module in training; it knows the processes.
        model: the part of it to split, with everything that holds weights.
        unit: class of the parts that are gathered one at a time, such as a transformer block.
    """
    if task.device_mesh is None:
        return
    mesh = task.device_mesh["data_parallel"]
    for module in model.modules():
        if isinstance(module, unit):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
