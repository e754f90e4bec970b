"""Baselines fitted on a few composed pieces, in seconds."""

from pathlib import Path

from tests.prepared import prepared_folder, saved_tokenizer

from segue.symbolic.data.windows import WindowSettings
from segue.symbolic.model.baselines import BaselineSettings, LearntSettings, fit_baselines
from segue.training.optim import OptimSettings
from segue.training.trainer import TrainerSettings


def small_settings(*, steps: int = 30) -> BaselineSettings:
    """Small nets, few holes."""
    trainer = TrainerSettings(
        max_steps=steps, accelerator="cpu", threads=1, validate_every=steps, validation_batches=2
    )
    optim = OptimSettings(learning_rate=2e-2, warmup_steps=3, weight_decay=0.0)
    quick = optim.model_copy(update={"learning_rate": 0.15})
    shared = {"optim": optim, "trainer": trainer, "tokens_per_batch": 1024}
    return BaselineSettings(
        windows=WindowSettings(lengths={256: 1.0}),
        examples=40,
        length=512,
        logistic=LearntSettings(
            net="recent", num_tokens=2, hidden=None, **(shared | {"optim": quick})
        ),
        mlp=LearntSettings(net="recent", num_tokens=6, embedding=16, hidden=48, **shared),
        gru=LearntSettings(net="recurrent", embedding=32, hidden=64, context_weight=0.3, **shared),
    )


def composed_data(folder: Path) -> Path:
    """A prepared folder of composed pieces."""
    folder.mkdir(parents=True, exist_ok=True)
    return prepared_folder(folder / "prepared", saved_tokenizer(folder))


def fitted_folder(folder: Path) -> tuple[Path, Path]:
    """A prepared folder and the baselines fitted on it."""
    prepared = composed_data(folder)
    return prepared, fit_baselines(prepared, folder / "baselines", small_settings(), seed=3)
