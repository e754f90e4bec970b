"""Training of diffusion through the engine: going on, averages, weights for another run."""

import shutil
from pathlib import Path

import pytest
import torch
from tests.toy_diffusion import CHANNELS, LABELS, toy_encode, toy_fit, toy_latents, toy_recipe
from tests.toy_training import trace

from segue.audio.diffusion.fit import fit
from segue.audio.diffusion.weights import load_diffusion, read_checkpoint
from segue.errors import DataError, SettingError
from segue.training.run import RunFolder


class _StoppedError(Exception):
    """Ends a training in the middle."""


def _stop(step: int, total: int, row: object) -> None:
    if step == 8:
        raise _StoppedError


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_latents(tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def run(latents: Path) -> Path:
    """A finished run that keeps an average."""
    folder = latents.parent / "run"
    toy_fit(latents, folder, trainer__ema_decay=0.5)
    return folder


@pytest.mark.slow
def test_the_loss_falls(latents: Path, tmp_path: Path):
    settings = {"max_steps": 150, "validate_every": 75, "row_every": 25}
    toy_fit(latents, tmp_path, **{f"trainer__{name}": value for name, value in settings.items()})
    losses = {
        split: [row["loss"] for row in trace(tmp_path) if row["split"] == split]
        for split in ("train", "val")
    }
    assert losses["train"][-1] < 0.85 * losses["train"][0]
    assert losses["val"][-1] < 1.5
    assert (tmp_path / "loss.png").is_file()


def test_a_run_that_is_taken_up_again_has_the_same_trace(latents: Path, run: Path, tmp_path: Path):
    with pytest.raises(_StoppedError):
        toy_fit(latents, tmp_path, report=_stop, trainer__ema_decay=0.5)
    toy_fit(latents, tmp_path, trainer__ema_decay=0.5)
    assert trace(tmp_path) == trace(run)
    one, other = (torch.load(RunFolder(f).last, weights_only=True) for f in (run, tmp_path))
    for name, values in one["state_dict"].items():
        assert torch.equal(values, other["state_dict"][name])


def test_the_average_is_what_is_read(run: Path, latents: Path):
    averaged = load_diffusion(run, checkpoint="last")
    checkpoint = torch.load(RunFolder(run).last, weights_only=True)
    found = averaged.model.state_dict()
    training = checkpoint["current_model_state"]
    moved = 0
    for name, values in checkpoint["state_dict"].items():
        assert torch.equal(found[name.removeprefix("model.")], values)
        moved += not torch.equal(values, training[name])
    assert moved > 10
    assert averaged.labels == LABELS
    assert (averaged.spec.channels, averaged.frames) == (CHANNELS, 24)
    assert averaged.autoencoder["name"] == "toy"
    assert not averaged.model.training


def test_latents_that_were_not_normalised_need_no_raising(latents: Path, tmp_path: Path):
    toy_fit(latents, tmp_path, trainer__max_steps=2, batches__normalise=False)
    spec = load_diffusion(tmp_path).spec
    assert (spec.mean == 0).all()
    assert (spec.deviation == 1).all()


def test_another_run_can_begin_with_the_weights(run: Path, latents: Path, tmp_path: Path):
    recipe = toy_recipe(trainer__max_steps=1, optim__learning_rate=1e-9, task__shortcut__share=0.5)
    fit(recipe, latents, tmp_path / "few", init_from=run)
    before, _ = read_checkpoint(RunFolder(run).best)
    after, _ = read_checkpoint(RunFolder(tmp_path / "few").last)
    for name, values in before.items():
        torch.testing.assert_close(after[name], values, atol=1e-6, rtol=1e-5)
    # Which weights are best at long steps is not what the validation loss tells.
    shutil.rmtree(tmp_path / "few" / "checkpoints")
    with pytest.raises(DataError, match="no checkpoint yet"):
        load_diffusion(tmp_path / "few")


def test_weights_of_another_architecture_are_refused(run: Path, latents: Path, tmp_path: Path):
    with pytest.raises(SettingError, match="depth: 2 there, 1 in the recipe"):
        fit(toy_recipe(model__depth=1), latents, tmp_path, init_from=run)


def test_a_run_does_not_go_on_with_other_latents(latents: Path, run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    toy_encode(latents.parent / "prepared", tmp_path / "other", target_lufs=-30.0)
    with pytest.raises(SettingError, match=r"other inputs \(latents.json\)"):
        toy_fit(tmp_path / "other", tmp_path / "run", trainer__ema_decay=0.5)


def test_what_is_no_run_is_told(tmp_path: Path, run: Path):
    with pytest.raises(DataError, match="not the folder of a diffusion run"):
        load_diffusion(tmp_path)
    broken = shutil.copytree(run, tmp_path / "broken")
    for path in (broken / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="is damaged"):
        load_diffusion(broken)
