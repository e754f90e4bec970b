"""Can the model learn anything at all: fresh weights, the run's optimiser, one batch over and over."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.audio.data.batches import ClipBatch
from segue.audio.data.latent_batches import UNKNOWN, LatentBatch
from segue.core.findings import Finding, judged
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.errors import SettingError
from segue.training.table import read_rows

if TYPE_CHECKING:
    import lightning

    from segue.audio.autoencoder.recipe import AutoencoderRecipe
    from segue.audio.diffusion.recipe import DiffusionRecipe

STEPS: Final = 60
MINUTES: Final = 1.5
FALL: Final = 0.2
"""The loss must fall by this share of its beginning."""

_BROKEN_FALL = 0.05
_ENOUGH = 0.5
_LEAST_STEPS = 8
_WARMUP = 5
_NEVER = 1_000_000_000
_MOST_SAMPLES = 24_576
_NAME = "one-batch overfit"
_CURE = (
    "The model or the optimiser cannot learn: raise optim.learning_rate, or compare model and "
    "optim with those of a recipe that is known to work."
)


class Losses(NamedTuple):
    """How an overfit went.

    Attributes:
        first, last: the loss at the beginning and in the end.
        steps: taken.
    """

    first: float
    last: float
    steps: int


class Again:
    """A `segue.training.data.BatchSource` that gives one batch for ever."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Any:
        """Return the batch."""
        return self._batch


def latent_batch(rows: Sequence[NDArray[np.float32]], config: Any, *, seed: int = 0) -> LatentBatch:
    """Make a batch of whole rows, nothing in them known, told nothing.

    Args:
        rows: normalised, each ``[channels, frames]``, of one length.
        config: of the model; gives the number of labels and the dimensions of texts.
        seed: of the noise.
    """
    rng = generator(seed, "doctor", "batch")
    latents = np.stack(rows).astype(np.float32)
    count, _, frames = latents.shape
    draws = rng.random((count, 5)).astype(np.float32)
    draws[:, 0] = (np.arange(count) + 0.5) / count
    return LatentBatch(
        latents,
        rng.standard_normal(latents.shape, np.float32),
        np.full((count, frames), UNKNOWN, np.int8),
        np.zeros((count, getattr(config, "num_labels", 0)), np.float32),
        np.zeros((count, getattr(config, "text_dims", 0)), np.float32),
        draws,
    )


def clip_batch(clips: Sequence[NDArray[np.float32]], hop_samples: int) -> ClipBatch:
    """Make a batch of the beginnings of clips, each ``[channels, samples]``."""
    length = min(_MOST_SAMPLES, *(clip.shape[1] for clip in clips))
    length -= length % hop_samples
    audio = np.stack([clip[:, :length] for clip in clips]).astype(np.float32)
    return ClipBatch(audio, np.zeros(len(clips), np.int64))


def diffusion_task(recipe: "DiffusionRecipe", config: Any) -> "lightning.LightningModule":
    """Return the task of a diffusion recipe with fresh weights, every row trained on velocities."""
    import torch

    from segue.audio.diffusion.recipe import make_model
    from segue.audio.diffusion.task import DiffusionTask

    settings = recipe.task.model_copy(
        update={"shortcut": recipe.task.shortcut.model_copy(update={"share": 0.0})}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = make_model(
            recipe.model,
            latent_channels=config.latent_channels,
            num_labels=getattr(config, "num_labels", 0),
            text_dims=getattr(config, "text_dims", 0),
        )
    return DiffusionTask(model, settings, _steady(recipe.optim), max_steps=STEPS)


def autoencoder_task(recipe: "AutoencoderRecipe") -> "lightning.LightningModule":
    """Return the task of an autoencoder recipe with fresh weights, without its discriminator."""
    import torch

    from segue.audio.autoencoder.recipe import make_model
    from segue.audio.autoencoder.task import AutoencoderTask

    optim = recipe.optim.model_copy(
        update={
            "autoencoder": _steady(recipe.optim.autoencoder),
            "freeze_encoder_from_step": None,
        }
    )
    objective = recipe.objective.model_copy(update={"adversarial_from_step": _NEVER})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = make_model(recipe.model)
        return AutoencoderTask(
            model, objective, recipe.bottleneck, optim, max_steps=STEPS, seed=recipe.seed
        )


def _steady(optim: Any) -> Any:
    """Return an optimiser that is soon at its full learning rate, and stays there."""
    warmup = min(optim.warmup_steps, _WARMUP)
    return optim.model_copy(update={"schedule": "constant", "warmup_steps": warmup})


def overfit(
    task: "lightning.LightningModule",
    batch: Any,
    trainer: Any,
    *,
    steps: int = STEPS,
    minutes: float = MINUTES,
    progress: Progress = silent,
) -> Losses:
    """Train a fresh task on one batch, with the engine of every training, until half the loss is gone.

    Args:
        task: from `diffusion_task` or `autoencoder_task`.
        batch: what is shown at every step.
        trainer: `segue.training.trainer.TrainerSettings` of the recipe.
        steps: most steps.
        minutes: most time.
        progress: told of every step.

    Raises:
        SettingError: the loss became no number.
    """
    import torch
    from lightning.pytorch.callbacks import LambdaCallback

    from segue.training.callbacks import Metrics, NanGuard, StepProgress, StepSeeds, TimeLimit
    from segue.training.data import StepData
    from segue.training.trainer import make_trainer, quiet_engine

    changes = {"max_steps": steps, "devices": 1, "nodes": 1, "strategy": "auto", "precision": "32"}
    changes |= {"accelerator": "cpu", "accumulate": 1, "ema_decay": None, "workers": 0}
    settings = trainer.model_copy(update=changes)
    with (
        tempfile.TemporaryDirectory() as folder,
        quiet_engine(settings.threads),
        progress("one batch", total=steps) as advance,
        torch.random.fork_rng(devices=[]),
    ):
        metrics = Metrics(Path(folder) / "metrics.csv", every=1)

        def stop(engine: Any, *_: Any) -> None:
            losses = [float(row["loss"]) for row in metrics.table.rows]
            engine.should_stop |= _fall(losses[0], float(np.median(losses[-3:]))) > _ENOUGH

        enough = LambdaCallback(on_train_batch_end=stop)
        callbacks = [StepSeeds(0), NanGuard(0), metrics, TimeLimit(metrics, minutes), enough]
        engine = make_trainer(
            settings,
            Path(folder),
            [*callbacks, StepProgress(advance)],
            takes_turns=not task.automatic_optimization,
        )
        engine.fit(task, datamodule=StepData(Again(batch)))
        values = [float(row["loss"]) for row in read_rows(metrics.table.path)]
    return Losses(values[0], float(np.median(values[-3:])), len(values))


def check_overfit(
    task: "lightning.LightningModule",
    batch: Any,
    trainer: Any,
    *,
    steps: int = STEPS,
    minutes: float = MINUTES,
    progress: Progress = silent,
) -> Finding:
    """Judge whether the loss of one batch falls; arguments as for `overfit`."""
    try:
        losses = overfit(task, batch, trainer, steps=steps, minutes=minutes, progress=progress)
    except SettingError as error:
        advice = "Lower optim.learning_rate; set trainer.precision=32 and trainer.clip_norm=1."
        return Finding(_NAME, "broken", str(error), advice)
    fall = _fall(losses.first, losses.last)
    detail = (
        f"the loss goes from {losses.first:.4g} to {losses.last:.4g} in {losses.steps} steps of one "
        f"batch; a fall by {100 * FALL:.0f} % is wanted"
    )
    if losses.steps < min(_LEAST_STEPS, steps) and fall < FALL:
        return Finding(_NAME, "not checked", f"{detail}: too slow here for more steps")
    state = judged(fall, suspicious=FALL, broken=_BROKEN_FALL)
    return Finding(_NAME, state, detail, "" if state == "ok" else _CURE)


def _fall(first: float, last: float) -> float:
    """Return by which share of its beginning a loss fell."""
    return (first - last) / max(abs(first), 1e-9)
