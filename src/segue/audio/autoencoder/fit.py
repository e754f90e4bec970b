"""Train an autoencoder: from a recipe and a prepared folder to a run folder, and back from there."""

from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from segue.audio.autoencoder.recipe import AutoencoderRecipe, ModelSettings, make_model
from segue.audio.autoencoder.task import Autoencoder, AutoencoderTask
from segue.audio.data.batches import ClipBatches
from segue.audio.data.clips import Clips
from segue.audio.latents import BUNDLE_KIND
from segue.core.files import sha256_of
from segue.core.progress import Progress, silent
from segue.errors import BundleError, DataError, SettingError
from segue.runtime.bundle import Bundle
from segue.training.callbacks import Report
from segue.training.data import BatchSource
from segue.training.result import FitResult, fit_recipe
from segue.training.run import RunFolder
from segue.training.tensors import find_bundle, read_checkpoint, read_tensors

_VALIDATION_SEED = 4_711
"""Draws the validation clips, the same ones in every run."""

AUTOENCODER_PREFIX = "autoencoder"
"""Of the names of its weights in the ``model.safetensors`` of a bundle."""

_MAY_DIFFER = {"texture", "phase_iterations"}
"""Settings that weights can be taken across: an addition, and a number of the decoding."""

_MISFITS = (KeyError, RuntimeError, ValueError, TypeError)
"""What PyTorch and pydantic raise where weights and architecture do not belong together."""


def fit(
    recipe: AutoencoderRecipe,
    data: Path | str,
    run_folder: Path | str,
    *,
    resume: bool = True,
    init_from: Path | str | None = None,
    report: Report | None = None,
    progress: Progress = silent,
) -> FitResult:
    """Train, or go on with a run that was interrupted.

    Args:
        recipe: every setting.
        data: a folder that ``segue audio prepare`` wrote.
        run_folder: where checkpoints, metrics and pictures go. If it holds a run of the same
            settings, that run goes on and its loss trace is the one it would have had.
        resume: False refuses to go on with a run.
        init_from: run folder, checkpoint or bundle to take the first weights from; read at the
            first start.
        report: called with (step, steps in all, row) for every row of ``metrics.csv``.
        progress: told after every step.

    Raises:
        SettingError: the run folder holds another run, or the recipe does not fit the sound.
        DataError: the prepared folder is none.
    """
    data, folder = Path(data), RunFolder(Path(run_folder))
    train = Clips(data, "train")
    _check_sound(recipe, train)
    task = _make_task(recipe)
    if init_from is not None and not folder.last.exists():
        _start_from(task.model, load_autoencoder(init_from))
    folder.begin(recipe, resume=resume, inputs={"dataset.json": sha256_of(data / "dataset.json")})
    return fit_recipe(
        task,
        recipe,
        folder,
        train=ClipBatches(train, recipe.clips, seed=recipe.seed),
        validation=_validation(recipe, data),
        monitor=task.monitor,
        report=report,
        progress=progress,
    )


def load_autoencoder(source: Path | str) -> Autoencoder:
    """Return a trained autoencoder; of a run its last weights, averaged where the run averages.

    Args:
        source: a run folder, a checkpoint of one, or a bundle with ``model.safetensors``.

    Raises:
        DataError: there is no checkpoint, or it is not an autoencoder's.
        BundleError: the bundle is damaged, of another kind, or holds graphs only.
    """
    if (bundle := find_bundle(source, kind=BUNDLE_KIND)) is not None:
        return _from_bundle(bundle)
    path = Path(source)
    run = RunFolder(path)
    if not path.is_file() and not run.last.is_file():
        raise DataError(
            f"There is no trained autoencoder in {source}. Name the folder that segue audio "
            "train-autoencoder wrote, after its first checkpoint, or a bundle."
        )
    path = path if path.is_file() else run.last
    config, weights = read_checkpoint(path, of="an autoencoder")
    try:
        return _build(config, weights)
    except _MISFITS as error:
        raise DataError(
            f"{path} is not the checkpoint of an autoencoder, or it is damaged: {error}"
        ) from error


def _from_bundle(bundle: Bundle) -> Autoencoder:
    """Return the autoencoder of a bundle.

    Raises:
        BundleError: it is damaged, or holds graphs only.
    """
    weights = read_tensors(bundle, AUTOENCODER_PREFIX)
    try:
        return _build(bundle.config["autoencoder"], weights)
    except _MISFITS as error:
        raise BundleError(
            f"The autoencoder of the bundle {bundle.name} ({bundle.folder}) does not fit its "
            f"config.json: {error}. Copy or export the bundle again."
        ) from error


def _build(config: Any, weights: dict[str, Tensor]) -> Autoencoder:
    """Return an autoencoder, ready for inference."""
    with torch.random.fork_rng(devices=[]):
        model = make_model(TypeAdapter[Any](ModelSettings).validate_python(config))
    model.load_state_dict(weights)
    return model.eval()


def _start_from(model: Autoencoder, other: Autoencoder) -> None:
    """Take the weights of another autoencoder; only a texture that it had not may stay new.

    Raises:
        SettingError: the architectures differ; the message names how.
    """
    wanted, given = model.config.model_dump(), other.config.model_dump()
    differing = [
        f"{name}: {given.get(name)} there, {wanted.get(name)} in the recipe"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name) and name not in _MAY_DIFFER
    ]
    if not differing and not model.load_state_dict(other.state_dict(), strict=False)[1]:
        return
    reason = "; ".join(differing) or "texture: True there, False in the recipe"
    raise SettingError(
        f"The weights do not fit the recipe's model ({reason}). Choose the recipe that they were "
        "trained with."
    )


def _check_sound(recipe: AutoencoderRecipe, clips: Clips) -> None:
    """Refuse a recipe for another kind of sound than the prepared one.

    Raises:
        SettingError: rate or channels differ, or a clip is not a whole number of latent frames.
    """
    model = recipe.model
    if (model.rate_hz, model.channels) != (clips.rate_hz, clips.channels):
        raise SettingError(
            f"The recipe {recipe.name} is for {model.rate_hz} Hz and {model.channels} channel(s), the "
            f"prepared folder holds {clips.rate_hz} Hz and {clips.channels}. Prepare it again with "
            f"--rate {model.rate_hz} --channels {model.channels}, or choose another recipe."
        )
    if recipe.clips.clip_samples % model.hop_samples:
        raise SettingError(
            f"clips.clip_samples is {recipe.clips.clip_samples}, not a multiple of the "
            f"{model.hop_samples} samples of a latent frame."
        )


def _validation(recipe: AutoencoderRecipe, data: Path) -> BatchSource | None:
    if not recipe.trainer.validation_batches:
        return None
    settings = recipe.clips.model_copy(update={"gain_db": 0.0})
    return ClipBatches(Clips(data, "valid"), settings, seed=_VALIDATION_SEED)


def _make_task(recipe: AutoencoderRecipe) -> AutoencoderTask:
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return AutoencoderTask(
            make_model(recipe.model),
            recipe.objective,
            recipe.bottleneck,
            recipe.optim,
            max_steps=recipe.trainer.max_steps,
            seed=recipe.seed,
        )
