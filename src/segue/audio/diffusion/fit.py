"""Train a diffusion model: from a recipe and a folder of latents to a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from segue.audio.data.cache import read_recordings, recordings_path
from segue.audio.data.latent_batches import LatentBatches
from segue.audio.data.latent_cache import Latents
from segue.audio.diffusion.recipe import DiffusionRecipe, make_model
from segue.audio.diffusion.task import DiffusionTask
from segue.audio.diffusion.weights import LATENTS_FILE, load_into
from segue.audio.text import missing_for
from segue.core.files import sha256_of
from segue.core.progress import Progress, silent
from segue.errors import MissingExtraError, SettingError
from segue.training.callbacks import Report
from segue.training.data import BatchSource
from segue.training.result import FitResult, fit_recipe
from segue.training.run import RunFolder

if TYPE_CHECKING:
    from segue.audio.text import TextEncoder

_VALIDATION_SEED = 4_711
"""Draws the validation batches, the same ones in every run."""


def fit(
    recipe: DiffusionRecipe,
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
        data: a folder of latents, see `segue.audio.data.latent_cache.encode_folder`.
        run_folder: where checkpoints, metrics and pictures go. If it holds a run of the same
            settings, that run goes on and its loss trace is the one it would have had.
        resume: False refuses to go on with a run.
        init_from: run folder, checkpoint or bundle to take the first weights from, for fine-tuning
            and for long steps (``task.shortcut``); the averaged weights where that run kept an
            average. Labels are matched by name, and what they learnt of texts is kept where the
            text encoder is the same. Read at the first start only.
        report: called with (step, steps in all, row) for every row of ``metrics.csv``.
        progress: told after every step.

    Raises:
        SettingError: the run folder holds another run, or the weights do not fit the recipe.
        DataError: the folder of latents is none.
    """
    data, folder = Path(data), RunFolder(Path(run_folder))
    train = make_batches(recipe, data)
    task = _make_task(recipe, train)
    if init_from is not None and not folder.last.exists():
        text = recipe.text.encoder if recipe.text is not None else None
        load_into(task.model, init_from, labels=train.latents.labels, text=text)
    folder.begin(recipe, resume=resume, inputs=_inputs(data, folder))
    folder.keep(data / LATENTS_FILE)
    return fit_recipe(
        task,
        recipe,
        folder,
        train=train,
        validation=_validation(recipe, data),
        monitor=task.monitor,
        report=report,
        progress=progress,
    )


def _inputs(data: Path, folder: RunFolder) -> dict[str, str]:
    """Return the hashes of what fixes a training: the latents' scale and labels, and who has which.

    A run of an older version, which noted the first alone, is still compared by that.
    """
    noted = [start["inputs"] for start in folder.starts() if "inputs" in start]
    older = folder.last.exists() and noted and noted[-1].keys() == {LATENTS_FILE}
    lists = [] if older else sorted(data.glob("recordings.*.csv"))
    return {path.name: sha256_of(path) for path in (data / LATENTS_FILE, *lists)}


def make_batches(
    recipe: DiffusionRecipe, data: Path | str, *, validation: bool = False
) -> LatentBatches:
    """Return the batches of a recipe.

    Args:
        recipe: gives the settings and the seed.
        data: a folder of latents.
        validation: the same batches in every run, from the split ``valid``.

    Raises:
        DataError: the folder is none of latents, or lacks the split.
        SettingError: the text encoder is unknown, or of other dimensions.
        MissingExtraError: the text encoder is not installed.
    """
    split = "valid" if validation else "train"
    # Processes share the pages of a mapped file, but each would have its own copy in memory.
    in_memory = recipe.batches.in_memory and not recipe.trainer.workers
    latents = Latents(Path(data), split, in_memory=in_memory)
    seed = _VALIDATION_SEED if validation else recipe.seed
    return LatentBatches(latents, recipe.batches, seed=seed, encoder=_encoder(recipe, Path(data)))


def knows_text(recipe: DiffusionRecipe, data: Path | str) -> bool:
    """Say whether a model learns texts: the recipe asks for it, and a training recording has some.

    Raises:
        DataError: the folder is none of latents.
    """
    return recipe.text is not None and any(
        recording.captions for recording in Latents(Path(data), "train").recordings
    )


def check_text_encoder(recipe: DiffusionRecipe, prepared: Path) -> None:
    """Say before hours of encoding that captions cannot be learnt here.

    Args:
        recipe: what is to be trained.
        prepared: a folder that `segue audio prepare` wrote; any other passes.

    Raises:
        MissingExtraError: recordings have captions, and what reads them is not installed.
    """
    table = recordings_path(prepared, "train")
    needs = missing_for(recipe.text.encoder) if recipe.text is not None else ""
    if not needs or not table.is_file():
        return
    if any(recording.captions for recording in read_recordings(table)):
        raise MissingExtraError(
            f"The recordings of {prepared} have captions (names of folders are made into some), and learning them "
            f"needs a text encoder that is not installed. Install it with `pip install '{needs}'`, or "
            "train on labels alone with `--set text=null`."
        )


def _encoder(recipe: DiffusionRecipe, data: Path) -> "TextEncoder | None":
    """Return what makes vectors of captions; None where the model learns no text."""
    if recipe.text is None or not knows_text(recipe, data):
        return None
    from segue.audio.text import open_text_encoder

    encoder = open_text_encoder(recipe.text.encoder)
    if encoder.dims != recipe.text.dims:
        raise SettingError(
            f"The text encoder {encoder.name} makes vectors of {encoder.dims} numbers, but text.dims "
            f"is {recipe.text.dims}. Set it to {encoder.dims}."
        )
    return encoder


def _validation(recipe: DiffusionRecipe, data: Path) -> BatchSource | None:
    if not recipe.trainer.validation_batches:
        return None
    return make_batches(recipe, data, validation=True)


def _make_task(recipe: DiffusionRecipe, train: LatentBatches) -> DiffusionTask:
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = make_model(
            recipe.model,
            latent_channels=train.latents.spec.channels,
            num_labels=len(train.latents.labels),
            text_dims=train.text_dims,
        )
    return DiffusionTask(model, recipe.task, recipe.optim, max_steps=recipe.trainer.max_steps)
