"""Train MidiGPT: from a recipe and a prepared folder to a run folder."""

from pathlib import Path

import numpy as np
import torch

from segue.core.files import sha256_of
from segue.core.progress import Progress, silent
from segue.errors import SettingError
from segue.symbolic.data.windows import InfillBatches, NextTokenBatches, Prepared
from segue.symbolic.model.gpt import GPT
from segue.symbolic.model.recipe import MidiRecipe
from segue.symbolic.model.task import MidiGPTTask
from segue.symbolic.model.weights import Weights, load_into, read_weights, same_tokens
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType
from segue.training.callbacks import Report
from segue.training.data import BatchSource
from segue.training.result import FitResult, fit_recipe
from segue.training.run import RunFolder

_VALIDATION_SEED = 4_711
"""Draws the validation batches, the same ones in every run."""


def fit(
    recipe: MidiRecipe,
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
        data: a folder that `prepare` wrote.
        run_folder: where checkpoints, metrics and pictures go. If it holds a run of the same
            settings, that run goes on and its loss trace is the one it would have had.
        resume: False refuses to go on with a run.
        init_from: weights to start from (fine-tuning): a run folder, a checkpoint, a bundle's
            folder or the name of a shipped bundle. Read at the first start only.
        report: called with (step, steps in all, row) for every row of ``metrics.csv``.
        progress: told after every step.

    Raises:
        SettingError: the run folder holds another run, or the weights do not fit the recipe.
        DataError: the prepared folder is none.
    """
    folder = RunFolder(Path(run_folder))
    train = Prepared(Path(data), "train")
    tokenizer = train.tokenizer
    task = _make_task(recipe, tokenizer)
    if init_from is not None and not folder.last.exists():
        _start_from(task.model, read_weights(init_from), Path(data))
    inputs = {name: sha256_of(Path(data) / name) for name in ("dataset.json", "tokenizer.json")}
    folder.begin(recipe, resume=resume, inputs=inputs)
    folder.keep(Path(data) / "tokenizer.json")
    return fit_recipe(
        task,
        recipe,
        folder,
        train=make_batches(recipe, train),
        validation=_validation(recipe, Path(data)),
        monitor=task.monitor,
        report=report,
        progress=progress,
    )


def make_batches(
    recipe: MidiRecipe, prepared: Prepared, *, validation: bool = False
) -> BatchSource:
    """Return the batches of a recipe's objective.

    Args:
        recipe: gives objective and settings.
        prepared: the pieces.
        validation: fixed batches without augmentation.
    """
    seed = _VALIDATION_SEED if validation else recipe.seed
    if recipe.task.objective == "infill":
        return InfillBatches(prepared, recipe.windows, seed=seed, augment=not validation)
    length = recipe.model.to_config(vocab_size=1, units_per_quarter=1).context_length
    return NextTokenBatches(
        prepared, context_length=length, batch_size=recipe.batch_size, seed=seed
    )


def _validation(recipe: MidiRecipe, data: Path) -> BatchSource | None:
    if not recipe.trainer.validation_batches:
        return None
    return make_batches(recipe, Prepared(data, "valid"), validation=True)


def notes_per_token(tokenizer: Tokenizer) -> list[int]:
    """Return how many notes each token stands for: its number of pitches. Length ``vocab``."""
    vocabulary = tokenizer.vocabulary
    is_note = np.isin(vocabulary.types, [TokenType.PITCH, TokenType.PITCH_DRUM])
    if tokenizer.merges is None:
        return [int(flag) for flag in is_note]
    return [
        int(is_note[tokenizer.to_base(np.array([token]))].sum()) for token in range(tokenizer.size)
    ]


def _start_from(model: GPT, weights: Weights, data: Path) -> None:
    """Put trained weights into a new model, after a check that its tokens mean the same.

    Raises:
        SettingError: the folder was prepared with another tokenizer, or the model is another.
    """
    if weights.tokenizer and not same_tokens(data / "tokenizer.json", weights.tokenizer):
        raise SettingError(
            f"{data} was prepared with another tokenizer than that of {weights.origin}. "
            f"Prepare it again with --tokenizer {weights.tokenizer}."
        )
    load_into(model, weights)


def _make_task(recipe: MidiRecipe, tokenizer: Tokenizer) -> MidiGPTTask:
    notes = notes_per_token(tokenizer)
    config = recipe.model.to_config(
        vocab_size=len(notes), units_per_quarter=tokenizer.vocabulary.units_per_quarter
    )
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = GPT(config)
    return MidiGPTTask(
        model, recipe.task, recipe.optim, max_steps=recipe.trainer.max_steps, notes_per_token=notes
    )
