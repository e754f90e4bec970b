"""Read a trained diffusion model back: from a run folder or a checkpoint."""

import json
from pathlib import Path
from pickle import UnpicklingError  # the type of an error only; nothing is unpickled
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter
from torch import Tensor

from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.diffusion.recipe import DiffusionModel, DiffusionRecipe
from segue.audio.diffusion.transformer import LatentTransformer, TransformerConfig
from segue.audio.latents import LatentSpec
from segue.core.config import load
from segue.errors import DataError, SettingError
from segue.training.run import RunFolder

LATENTS_FILE = "latents.json"
"""Kept in every run folder: scale of the latents, labels, and the autoencoder's hash."""

_PREFIX = "model."
_UNREADABLE = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError, UnpicklingError,
)  # fmt: skip
_Config = TransformerConfig | OriginalTransformerConfig


class TrainedDiffusion(NamedTuple):
    """A trained model and what belongs to it.

    Attributes:
        model: in evaluation mode; the average of the weights where the run kept one.
        recipe: what it was trained with.
        spec: rate and scale of the latents as the model sees them (mean 0 and deviation 1 where
            the recipe did not normalise).
        labels: names; label number = index + 1.
        autoencoder: name and hash of the autoencoder whose latents it makes.
        frames: length in frames that was trained most.
    """

    model: DiffusionModel
    recipe: DiffusionRecipe
    spec: LatentSpec
    labels: list[str]
    autoencoder: dict[str, Any]
    frames: int


def load_diffusion(run: Path | str, *, checkpoint: str | None = None) -> TrainedDiffusion:
    """Return the model of a run.

    Args:
        run: the run folder.
        checkpoint: ``best`` or ``last``; None takes the best one where there is one, and the last
            of a run that learns long steps, whose validation loss does not tell which is best.

    Raises:
        DataError: there is no checkpoint, or it is damaged or another model's.
    """
    folder = RunFolder(Path(run))
    if not folder.recipe.is_file() or not (folder.path / LATENTS_FILE).is_file():
        raise DataError(
            f"{run} is not the folder of a diffusion run. Name the folder that "
            "`segue audio train-diffusion` wrote."
        )
    recipe = load(DiffusionRecipe, folder.recipe)
    info = json.loads((folder.path / LATENTS_FILE).read_text("utf-8"))
    state, config = read_checkpoint(_choose(folder, recipe, checkpoint))
    model = _build(config)
    model.load_state_dict(state)
    spec = LatentSpec.from_config(info)
    if not recipe.batches.normalise:
        spec = LatentSpec.create(
            rate_hz=spec.rate_hz,
            hop_samples=spec.hop_samples,
            mean=[0.0] * spec.channels,
            deviation=[1.0] * spec.channels,
        )
    lengths = recipe.batches.lengths
    frames = max(lengths, key=lambda length: (lengths[length], length))
    return TrainedDiffusion(
        model.eval(), recipe, spec, list(info["labels"]), info["autoencoder"], frames
    )


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], _Config]:
    """Return weights (float32) and architecture of a checkpoint; nothing in it is executed.

    Raises:
        DataError: it is damaged, or of another model.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        config = TypeAdapter[_Config](_Config).validate_python(content["model_config"])
        state = {
            name.removeprefix(_PREFIX): tensor.float()
            for name, tensor in content["state_dict"].items()
            if name.startswith(_PREFIX)
        }
    except _UNREADABLE as error:
        raise DataError(
            f"{path} is not the checkpoint of a diffusion model, or is damaged "
            f"({type(error).__name__})."
        ) from error
    return state, config


def load_into(model: DiffusionModel, source: Path | str) -> None:
    """Put the weights of a run folder or checkpoint into a model of the same architecture.

    Raises:
        SettingError: the architectures differ; the message names how.
        DataError: there are no such weights.
    """
    path = Path(source)
    if path.is_dir():
        folder = RunFolder(path)
        path = _choose(folder, load(DiffusionRecipe, folder.recipe), None)
    state, config = read_checkpoint(path)
    wanted, given = model.config.model_dump(), config.model_dump()
    differing = [
        f"{name}: {given.get(name)} there, {wanted.get(name)} in the recipe"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name)
    ]
    if differing:
        raise SettingError(
            f"The weights of {source} do not fit the recipe ({'; '.join(differing)}). Choose the "
            "recipe they were trained with, and latents of the same autoencoder and labels."
        )
    model.load_state_dict(state)


def _build(config: _Config) -> DiffusionModel:
    """Return a model whose random weights are about to be replaced."""
    with torch.random.fork_rng(devices=[]):
        if isinstance(config, OriginalTransformerConfig):
            return OriginalTransformer(config)
        return LatentTransformer(config)


def _choose(folder: RunFolder, recipe: DiffusionRecipe, checkpoint: str | None) -> Path:
    """Return the checkpoint to read."""
    if checkpoint is None:
        best = folder.best.is_file() and not recipe.task.shortcut.share
        checkpoint = "best" if best else "last"
    path = folder.best if checkpoint == "best" else folder.last
    if not path.is_file():
        raise DataError(f"The run in {folder.path} has no checkpoint yet. Let it train for longer.")
    return path
