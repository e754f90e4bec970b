"""Read a trained diffusion model back: from a run folder, a checkpoint or a bundle."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter
from torch import Tensor

from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.diffusion.recipe import DiffusionModel, DiffusionRecipe
from segue.audio.diffusion.transformer import LatentTransformer, TransformerConfig
from segue.audio.latents import BUNDLE_KIND, LatentSpec
from segue.core.config import load
from segue.errors import BundleError, DataError, SettingError
from segue.runtime.bundle import Bundle
from segue.training.run import RunFolder
from segue.training.tensors import find_bundle, read_checkpoint, read_tensors

LATENTS_FILE = "latents.json"
"""Kept in every run folder: scale of the latents, labels, and the autoencoder's hash."""

TRANSFORMER_PREFIX = "transformer"
"""Of the names of its weights in the ``model.safetensors`` of a bundle."""

_LABEL_ROWS = "conditioning.label.weight"
_TEXT_MAP = "conditioning.text.weight"
_Config = TransformerConfig | OriginalTransformerConfig


class TrainedDiffusion(NamedTuple):
    """A trained model and what belongs to it.

    Attributes:
        model: in evaluation mode; the average of the weights where the run kept one.
        recipe: what it was trained with.
        spec: rate and scale of the latents as the model sees them (mean 0 and deviation 1 where
            the recipe did not normalise).
        labels: names, in the order of the network's input.
        text: the encoder of the texts that the model knows; None where it knows none.
        autoencoder: name and hash of the autoencoder whose latents it makes.
        frames: length in frames that was trained most.
    """

    model: DiffusionModel
    recipe: DiffusionRecipe
    spec: LatentSpec
    labels: list[str]
    text: str | None
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
    weights = _from_checkpoint(_choose(folder, recipe, checkpoint))
    model = _build(weights.config)
    model.load_state_dict(weights.state)
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
        model.eval(),
        recipe,
        spec,
        list(info["labels"]),
        weights.text if _text_dims(weights.config) else None,
        info["autoencoder"],
        frames,
    )


class Weights(NamedTuple):
    """A model without its code.

    Attributes:
        config: the architecture.
        state: the weights, float32.
        labels: names, in the order of the network's input. None where they are not known.
        text: the encoder of texts. None where it is not known, or there is none.
    """

    config: _Config
    state: dict[str, Tensor]
    labels: list[str] | None
    text: str | None


def read_weights(source: Path | str) -> Weights:
    """Read the weights of a run folder, a checkpoint, or a bundle with ``model.safetensors``.

    Raises:
        DataError: there is no checkpoint, or it is damaged or another model's.
        BundleError: the bundle is damaged, of another kind, or holds graphs only.
    """
    if (bundle := find_bundle(source, kind=BUNDLE_KIND)) is not None:
        return _from_bundle(bundle)
    path = Path(source)
    if path.is_file():
        return _from_checkpoint(path)
    folder = RunFolder(path)
    if not folder.recipe.is_file() or not (path / LATENTS_FILE).is_file():
        raise DataError(
            f"There is no trained diffusion model in {source}. Name the folder that segue audio "
            "train-diffusion wrote, or a bundle."
        )
    return _from_checkpoint(_choose(folder, load(DiffusionRecipe, folder.recipe), None))


def load_into(
    model: DiffusionModel, source: Path | str, *, labels: Sequence[str], text: str | None = None
) -> None:
    """Put trained weights into a model of the same architecture.

    A label that both know by name keeps what was learnt for it, whatever its number; a new one
    begins as music without a label. A model that is to learn texts, and one whose texts another
    encoder reads, begins as one that heeds none; a model without texts forgets them.

    Args:
        model: takes the weights.
        source: run folder, checkpoint or bundle.
        labels: of the model.
        text: encoder of the model's texts.

    Raises:
        SettingError: the architectures differ; the message names how.
        DataError: there are no such weights.
        BundleError: a bundle has none.
    """
    weights = read_weights(source)
    wanted, given = model.config.model_dump(), weights.config.model_dump()
    known = weights.labels
    if known is not None and _LABEL_ROWS in weights.state:
        given["num_labels"] = wanted.get("num_labels")
        rows = [0, *(known.index(name) + 1 if name in known else 0 for name in labels)]
        weights.state[_LABEL_ROWS] = weights.state[_LABEL_ROWS][rows]
    given |= _fit_text(model, weights, text)
    differing = [
        f"{name}: {given.get(name)} there, {wanted.get(name)} in the recipe"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name)
    ]
    if differing:
        raise SettingError(
            f"The weights of {source} do not fit the recipe ({'; '.join(differing)}). Choose the "
            "recipe they were trained with, and latents of the same autoencoder."
        )
    model.load_state_dict(weights.state)


def _text_dims(config: Any) -> int:
    """Return the dimensions of the texts that a model knows, 0 where it knows none."""
    return int(getattr(config, "text_dims", 0))


def _fit_text(model: DiffusionModel, weights: Weights, text: str | None) -> dict[str, int]:
    """Bring the map of texts to the model's; return what that makes of the settings."""
    wanted = _text_dims(model.config)
    if isinstance(weights.config, OriginalTransformerConfig) or not isinstance(
        model, LatentTransformer
    ):
        return {}
    other = text is not None and weights.text is not None and text != weights.text
    if not wanted:
        weights.state.pop(_TEXT_MAP, None)
    elif other or not _text_dims(weights.config):
        weights.state[_TEXT_MAP] = torch.zeros(model.config.width, wanted)
    else:
        return {}
    return {"text_dims": wanted}


def _from_checkpoint(path: Path) -> Weights:
    """Read a checkpoint, and the labels in the run folder that it lies in.

    Raises:
        DataError: it is damaged, or of another model.
    """
    stated, state = read_checkpoint(path, of="a diffusion model")
    try:
        config = TypeAdapter[_Config](_Config).validate_python(stated)
    except ValueError as error:
        raise DataError(f"{path} is the checkpoint of another model ({error}).") from error
    run = RunFolder(path.parent.parent)
    beside = run.path / LATENTS_FILE
    labels = json.loads(beside.read_text("utf-8"))["labels"] if beside.is_file() else None
    recipe = load(DiffusionRecipe, run.recipe) if beside.is_file() else None
    text = recipe.text.encoder if recipe and recipe.text else None
    return Weights(config, state, labels, text)


def _from_bundle(bundle: Bundle) -> Weights:
    """Read the transformer of a bundle.

    Raises:
        BundleError: it is damaged, or holds graphs only.
    """
    state = read_tensors(bundle, TRANSFORMER_PREFIX)
    stated = {name: value for name, value in bundle.config["model"].items() if name != "frames"}
    try:
        config = TypeAdapter[_Config](_Config).validate_python(stated)
        _build(config).load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise BundleError(
            f"The transformer of the bundle {bundle.name} ({bundle.folder}) does not fit its "
            f"config.json: {error}. Copy or export the bundle again."
        ) from error
    text = bundle.config.get("text", {}).get("encoder")
    return Weights(config, state, list(bundle.config.get("labels", [])), text)


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
