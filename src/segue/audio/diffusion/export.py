"""A diffusion model as the graph of a bundle: ``transformer.onnx``."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segue.audio.condition import TextSettings, shares
from segue.audio.diffusion.original import OriginalTransformer
from segue.audio.diffusion.recipe import DiffusionModel
from segue.audio.diffusion.weights import TrainedDiffusion
from segue.core.seeds import generator
from segue.runtime.graph import Graph
from segue.training.graphs import Port, Storage, check_error, graph_error, write_graph

TRANSFORMER_NAME: Final = "transformer.onnx"

_CHECK_FRAMES = 96


def export_transformer(
    model: DiffusionModel, folder: Path | str, *, frames: int, storage: Storage = "float16"
) -> float:
    """Write the graph into a folder and check it against the model.

    Ours takes any number of frames; the original's as many as it was trained with.

    Args:
        model: left in evaluation mode on the CPU.
        folder: exists.
        frames: length of the training clips.
        storage: of the weights.

    Returns:
        Root mean square of the difference between graph and model, relative to the output's.

    Raises:
        BundleError: the graph differs from the model by more than rounding explains.
    """
    model = model.cpu().eval().float()
    path = Path(folder) / TRANSFORMER_NAME
    ports = _original_ports(model, frames) if is_original(model) else _ports(model)
    write_graph(model, path, inputs=ports, outputs=["output"], storage=storage)
    given = [port.example for port in ports]
    with torch.no_grad():
        wanted: Tensor = model(*given)
    error = graph_error(Graph(path), given, wanted)
    check_error("transformer", error, storage)
    return error


def is_original(model: DiffusionModel) -> bool:
    """Say whether a model is the source's, which sees neither labels nor what is known."""
    return isinstance(model, OriginalTransformer)


def diffusion_settings(trained: TrainedDiffusion) -> dict[str, Any]:
    """Return the parts of a bundle's config that come from a diffusion run."""
    recipe, dims = trained.recipe, getattr(trained.model.config, "text_dims", 0)
    text = TextSettings(encoder=trained.text, dims=dims) if trained.text else None
    return {
        "objective": recipe.task.objective,
        "schedule": recipe.task.schedule.model_dump(),
        "model": trained.model.config.model_dump() | {"frames": trained.frames},
        "labels": [] if is_original(trained.model) else trained.labels,
        **({} if text is None else {"text": text.model_dump()}),
        "sampling": recipe.sampling.model_dump(),
        "recipe": recipe.name,
    }


def _ports(model: DiffusionModel) -> list[Port]:
    """Return random input of our transformer, always the same."""
    config: Any = model.config
    rng = generator(0, "export")
    shape = (2, config.latent_channels, _CHECK_FRAMES * config.patch)
    latents, known = (rng.standard_normal(shape, np.float32) for _ in range(2))
    mask = (rng.random((2, 1, shape[2])) < 0.5).astype(np.float32)
    text = rng.standard_normal((2, config.text_dims), np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    long = {0: "batch", 2: "frames"}
    each = {0: "batch"}
    return [
        Port("latents", torch.from_numpy(latents), long),
        Port("known", torch.from_numpy(known * mask), long),
        Port("mask", torch.from_numpy(mask), long),
        Port("time", torch.tensor([0.3, 0.8]), each),
        Port("step", torch.tensor([0.0, 0.25]), each),
        Port("labels", torch.from_numpy(_shares(config.num_labels)), each),
        *([Port("text", torch.from_numpy(text), each)] if config.text_dims else []),
    ]


def _shares(num_labels: int) -> NDArray[np.float32]:
    """Return no label, and all of them. Shape ``2 labels``."""
    return np.stack([shares([], num_labels), shares(range(num_labels), num_labels)])


def _original_ports(model: DiffusionModel, frames: int) -> list[Port]:
    """Return random input of the source's transformer, always the same."""
    rng = generator(0, "export")
    latents = rng.standard_normal((2, model.config.latent_channels, frames), np.float32)
    return [
        Port("latents", torch.from_numpy(latents), {0: "batch"}),
        Port("time", torch.tensor([10.0, 400.0]), {0: "batch"}),
    ]
