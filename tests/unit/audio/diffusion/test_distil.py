"""Long steps: which are drawn, what they aim at, and that they are learnt."""

import numpy as np
import pytest
import torch
from tests.toy_diffusion import toy_recipe

from segue.audio.data.latent_batches import SHORTCUT, UNKNOWN
from segue.audio.diffusion.conditioning import Told
from segue.audio.diffusion.distil import ShortcutSettings, draw_steps, shortcut_target
from segue.audio.diffusion.recipe import make_model
from segue.audio.diffusion.task import DiffusionTask
from segue.errors import SettingError

FRAMES = 4
NOTHING = Told(torch.zeros(2, 0), torch.zeros(2, 0))


def test_steps_are_powers_of_two_from_multiples_of_themselves():
    uniform = torch.rand(2, 3000)
    time, size = draw_steps(*uniform, ShortcutSettings(share=0.5, finest_steps=8))
    sizes, counts = np.unique(size.numpy(), return_counts=True)
    assert sizes.tolist() == [1 / 8, 1 / 4, 1 / 2, 1]
    assert counts.min() > 600
    multiples = time / size
    assert torch.equal(multiples, multiples.round())
    assert float(time.min()) == 1 / 8
    assert float(time.max()) == 1
    for ends in (0.0, 1.0):
        time, size = draw_steps(*torch.full((2, 1), ends), ShortcutSettings(finest_steps=8))
        assert size <= time <= 1


def test_a_long_step_aims_at_where_two_short_ones_land():
    settings = ShortcutSettings(share=0.5, finest_steps=4)
    told = []

    def velocity(latents, time, step, asked):
        told.append((time, step))
        return latents.sin() + time.view(-1, 1, 1) + 3 * step.view(-1, 1, 1)

    latents = torch.randn(2, 3, 5)
    time, size = torch.tensor([0.5, 1.0]), torch.tensor([0.25, 1.0])
    target = shortcut_target(velocity, latents, time, size, NOTHING, settings)
    # The finest step's halves go along the velocity itself, others are told their size.
    half, step = torch.tensor([0.125, 0.5]), torch.tensor([0.0, 0.5])
    middle = latents - half.view(-1, 1, 1) * velocity(latents, time, step, NOTHING)
    end = middle - half.view(-1, 1, 1) * velocity(middle, time - half, step, NOTHING)
    torch.testing.assert_close(latents - size.view(-1, 1, 1) * target, end)
    assert torch.equal(told[0][1], step)


def test_only_the_finest_steps_are_guided():
    settings = ShortcutSettings(share=0.5, finest_steps=4, guidance=3.0)

    def velocity(latents, time, step, told):
        asked = told.labels.sum(dim=1) + told.text.sum(dim=1)
        return asked.view(-1, 1, 1).expand_as(latents)

    told, size = Told(torch.ones(2, 1), torch.ones(2, 1)), torch.tensor([0.25, 0.5])
    target = shortcut_target(velocity, torch.zeros(2, 1, 1), torch.ones(2), size, told, settings)
    assert target.flatten().tolist() == [6, 2]


def test_the_finest_step_is_a_power_of_two():
    with pytest.raises(SettingError, match="power of 2"):
        toy_recipe(task__shortcut__finest_steps=12)


# Learning -------------------------------------------------------------------------------------


def _batch(rng: np.random.Generator, rows: int = 64) -> dict[str, torch.Tensor]:
    """Music that is either 1 or -1 throughout: one step of a flow lands between the two."""
    side = rng.choice([-1.0, 1.0], (rows, 1, 1))
    latents = (side + 0.05 * rng.standard_normal((rows, 2, FRAMES))).astype(np.float32)
    draws = rng.random((rows, 5)).astype(np.float32)
    arrays = {
        "latents": latents,
        "noise": rng.standard_normal(latents.shape, np.float32),
        "kinds": np.full((rows, FRAMES), UNKNOWN, np.int8),
        "labels": np.zeros((rows, 0), np.float32),
        "text": np.zeros((rows, 0), np.float32),
        "draws": draws,
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _train(task: DiffusionTask, steps: int, learning_rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=learning_rate)
    for done in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - 0.9 * done / steps)
        loss = task.training_step(_batch(rng), 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()


def _task(model: torch.nn.Module, share: float) -> DiffusionTask:
    recipe = toy_recipe(task__shortcut={"share": share, "finest_steps": 8})
    task = DiffusionTask(model, recipe.task, recipe.optim, max_steps=1)
    task._trainer = type("Alone", (), {"world_size": 1, "global_step": 0})()
    return task


@torch.no_grad()
def _sample(model: torch.nn.Module, noise: torch.Tensor, steps: int, *, told: bool) -> torch.Tensor:
    nothing = torch.zeros_like(noise)
    labels = torch.zeros(len(noise), 0)
    for step in range(steps, 0, -1):
        time = torch.full((len(noise),), step / steps)
        size = torch.full((len(noise),), 1 / steps if told else 0.0)
        noise = noise - model(noise, nothing, nothing[:, :1], time, size, labels) / steps
    return noise


@pytest.mark.slow
def test_one_step_lands_where_a_flow_needs_many():
    torch.manual_seed(0)
    model = make_model(toy_recipe().model, latent_channels=2, num_labels=0)
    _train(_task(model, 0.0), 400, 5e-3, seed=1)
    noise = torch.randn(256, 2, FRAMES)
    many, one = (_sample(model, noise, steps, told=False) for steps in (32, 1))
    # The flow itself: many steps find the two sides, one step lands between them.
    assert many.mean((1, 2)).abs().median() == pytest.approx(1, abs=0.2)
    assert one.mean((1, 2)).abs().median() < 0.5
    _train(_task(model, 0.5), 500, 3e-3, seed=2)
    short = _sample(model, noise, 1, told=True)
    assert (short - many).square().mean() < 0.5 * (one - many).square().mean()
    assert short.mean((1, 2)).abs().median() > 0.7


def test_rows_learn_long_steps_as_often_as_asked():
    model = make_model(toy_recipe().model, latent_channels=2, num_labels=0)
    batch = _batch(np.random.default_rng(0), rows=400)
    question = _task(model, 0.3).question(batch)
    assert torch.equal(question.step > 0, batch["draws"][:, SHORTCUT] < 0.3)
    plain = question.step == 0
    torch.testing.assert_close(question.target[plain], (batch["noise"] - batch["latents"])[plain])
    result = _task(model, 0.3).training_step(batch, 0)
    frames = {name: int(count) for name, (_, count) in result["metrics"].items()}
    assert frames == {
        "loss": FRAMES * int(plain.sum()),
        "shortcut_loss": FRAMES * int((~plain).sum()),
    }
