"""What the diffusion task asks, scores and reports."""

from types import SimpleNamespace

import pytest
import torch
from tests.toy_diffusion import CHANNELS, toy_latents, toy_recipe

from segue.audio.data.latent_batches import KNOWN, PADDING, UNKNOWN, LatentBatches
from segue.audio.diffusion.fit import make_batches
from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.diffusion.recipe import make_model
from segue.audio.diffusion.task import DiffusionTask
from segue.errors import SettingError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> LatentBatches:
    return make_batches(toy_recipe(), toy_latents(tmp_path_factory.mktemp("task")))


def _task(**changes) -> DiffusionTask:
    recipe = toy_recipe(**changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make_model(recipe.model, latent_channels=CHANNELS, num_labels=2)
    task = DiffusionTask(model, recipe.task, recipe.optim, max_steps=100)
    task._trainer = SimpleNamespace(world_size=1, global_step=0)
    return task


def _original(**changes) -> DiffusionTask:
    model = {"kind": "original", "latent_channels": CHANNELS, "width": 16, "depth": 1, "heads": 2}
    nothing = dict.fromkeys(("extend", "lead_in", "inpaint", "spans"), 0)
    schedule = {"schedule": "ddpm", "num_steps": 500}
    return _task(model=model, batches__masks=nothing, task__schedule=schedule, **changes)


def _batch(source: LatentBatches, step: int = 0) -> dict[str, torch.Tensor]:
    return {n: torch.from_numpy(a) for n, a in source.batch(step)._asdict().items()}


# Questions ------------------------------------------------------------------------------------


def test_flow_mixes_in_a_line_and_asks_for_its_direction(source: LatentBatches):
    batch = _batch(source)
    question = _task().question(batch)
    time = question.time.view(-1, 1, 1)
    torch.testing.assert_close(
        question.latents, (1 - time) * batch["latents"] + time * batch["noise"]
    )
    # Along the line the velocity leads to both ends.
    torch.testing.assert_close(question.latents - time * question.target, batch["latents"])
    torch.testing.assert_close(question.latents + (1 - time) * question.target, batch["noise"])
    assert (question.step == 0).all()


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.8, 0.5)])
def test_times_are_logit_normal(mean: float, deviation: float):
    task = _task(task__time_mean=mean, task__time_deviation=deviation)
    times = task.times((torch.arange(4000) + 0.5) / 4000)
    assert ((times > 0) & (times < 1)).all()
    logits = torch.logit(times.double())
    assert float(logits.mean()) == pytest.approx(mean, abs=0.01)
    assert float(logits.std()) == pytest.approx(deviation, rel=0.01)
    assert torch.isfinite(task.times(torch.tensor([0.0, 1.0]))).all()


def test_times_can_be_uniform():
    uniform = torch.rand(10)
    assert torch.equal(_task(task__time_shape="uniform").times(uniform), uniform)
    with pytest.raises(SettingError):
        toy_recipe(task__time_shape="cosine")


def test_labels_are_hidden_as_often_as_asked(source: LatentBatches):
    hidden = {}
    for share in (0.0, 0.3, 1.0):
        task = _task(task__label_dropout=share)
        labels = torch.cat([task.question(_batch(source, step)).told.labels for step in range(80)])
        hidden[share] = float((labels.sum(dim=1) == 0).float().mean())
    assert (hidden[0.0], hidden[1.0]) == (0, 1)
    assert hidden[0.3] == pytest.approx(0.3, abs=0.06)


def test_rows_learn_labels_text_both_and_neither(source: LatentBatches):
    rows = 20_000
    draws = torch.rand(rows, 5, generator=torch.Generator().manual_seed(0))
    batch = {"labels": torch.eye(2)[torch.arange(rows) % 2], "text": torch.ones(rows, 3)}
    batch |= {"draws": draws}
    batch["text"][: rows // 2] = 0
    task = _task(task__label_dropout=0.1, task__text_dropout=0.3, task__text_only=0.2)
    labels, text = (values.any(dim=1) for values in task.told(batch))

    def share(first: bool, second: bool, half: slice) -> float:
        return float(((labels == first) & (text == second))[half].float().mean())

    for half, wanted in (
        (slice(rows // 2), {(True, False): 0.9, (False, False): 0.1}),
        (
            slice(rows // 2, None),
            {
                (True, True): 0.9 * 0.5,
                (True, False): 0.9 * 0.3,
                (False, True): 0.9 * 0.2,
                (False, False): 0.1,
            },
        ),
    ):
        for kind, expected in wanted.items():
            assert share(*kind, half) == pytest.approx(expected, abs=0.012)
    with pytest.raises(SettingError, match="at most 1"):
        toy_recipe(task__text_dropout=0.9, task__text_only=0.2)


def test_ddpm_asks_for_the_noise_at_whole_steps(source: LatentBatches):
    batch, task = _batch(source), _original()
    question = task.question(batch)
    assert task.task.objective == "ddpm"
    index = question.time * 500 - 1
    torch.testing.assert_close(index, index.round())
    assert ((index >= 0) & (index <= 499)).all()
    betas = torch.linspace(1e-4, 0.02, 500, dtype=torch.float64)
    power = (1 - betas).cumprod(0)[index.round().long()].float().view(-1, 1, 1)
    wanted = power.sqrt() * batch["latents"] + (1 - power).sqrt() * batch["noise"]
    torch.testing.assert_close(question.latents, wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(question.target, batch["noise"])


def test_the_original_is_told_the_number_of_the_step(source: LatentBatches):
    task, told = _original(), []
    assert isinstance(task.model, OriginalTransformer)
    task.model.register_forward_pre_hook(lambda module, args: told.append(args))
    question = task.question(_batch(source))
    task.answer(question, _batch(source))
    latents, time = told[0]
    assert torch.equal(latents, question.latents)
    assert torch.equal(time, (question.time * 500).round() - 1)


# Loss -----------------------------------------------------------------------------------------


def test_only_unknown_frames_count(source: LatentBatches):
    batch, task = _batch(source), _task()
    question = task.question(batch)
    task.answer = lambda question, batch: answer
    answer = question.target.clone()
    answer += 7 * (batch["kinds"] != UNKNOWN).unsqueeze(1)
    errors, frames = task.errors(question, batch)
    assert (errors == 0).all()
    assert torch.equal(frames, (batch["kinds"] == UNKNOWN).sum(dim=1))
    answer += 2
    assert float(task.training_step(batch, 0)["loss"].detach()) == pytest.approx(4, rel=1e-4)


def test_padding_is_told_to_the_model_and_known_latents_are_given(source: LatentBatches):
    batch, task, told = _batch(source), _task(), []
    batch["kinds"][0, -3:], batch["kinds"][1, :4] = PADDING, KNOWN
    task.model.register_forward_pre_hook(
        lambda module, args, named: told.append((*args, named["valid"])), with_kwargs=True
    )
    task.answer(task.question(batch), batch)
    _, known, mask, *_, valid = told[0]
    assert torch.equal(mask[:, 0] == 1, batch["kinds"] == KNOWN)
    assert torch.equal(known, batch["latents"] * mask)
    assert torch.equal(valid, batch["kinds"] != PADDING)
    batch["kinds"][:] = UNKNOWN
    task.answer(task.question(batch), batch)
    assert told[1][-1] is None


def test_a_new_models_loss_is_the_power_of_the_target(source: LatentBatches):
    batch = _batch(source)
    result = _task().training_step(batch, 0)
    unknown = batch["kinds"] == UNKNOWN
    squares = (batch["noise"] - batch["latents"]).square().mean(dim=1)
    assert float(result["loss"].detach()) == pytest.approx(float(squares[unknown].mean()), rel=1e-5)
    assert result["tokens"] == int(unknown.sum())
    total, count = result["metrics"]["loss"]
    assert float(total / count) == pytest.approx(float(result["loss"].detach()), rel=1e-6)


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_one_batch_can_be_learnt_by_heart(source: LatentBatches, kind: str):
    task = _task() if kind == "ours" else _original()
    batch = _batch(source)
    if kind == "original":
        batch["kinds"][:] = UNKNOWN
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=5e-3)
    losses = []
    for _ in range(150):
        loss = task.training_step(batch, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


# Validation -----------------------------------------------------------------------------------


def test_validation_is_told_apart_by_quarters_of_time(source: LatentBatches):
    task, logged = _task(), {}
    task.log = logged.__setitem__
    task.answer = lambda question, batch: question.target + question.time.view(-1, 1, 1)
    task.on_validation_epoch_start()
    for step in range(20):
        task.validation_step(_batch(source, step), step)
    task.on_validation_epoch_end()
    quarters = [logged[f"val_loss_{q}"] for q in ("t0_25", "t25_50", "t50_75", "t75_100")]
    bounds = [0, 0.25, 0.5, 0.75, 1]
    for value, low, high in zip(quarters, bounds[:-1], bounds[1:], strict=True):
        assert low**2 < value < high**2
    assert min(quarters) < logged[task.monitor] < max(quarters)
    assert "val_shortcut_loss" not in logged


# Recipes --------------------------------------------------------------------------------------


def test_the_original_takes_no_masks_and_no_flow():
    original = {"kind": "original", "latent_channels": CHANNELS}
    with pytest.raises(SettingError, match="original predicts noise"):
        toy_recipe(model=original)
    with pytest.raises(SettingError, match="sees no mask"):
        toy_recipe(model=original, task__schedule__schedule="ddpm")


def test_the_original_is_refused_other_latents():
    with pytest.raises(SettingError, match=r"latent_channels is 32.*have 5"):
        make_model(OriginalTransformerConfig(), latent_channels=5, num_labels=0)


def test_long_steps_need_a_flow():
    with pytest.raises(SettingError, match="flow"):
        toy_recipe(task__schedule__schedule="ddpm", task__shortcut__share=0.3)


def test_noise_cannot_be_predicted_where_there_is_nothing_else():
    with pytest.raises(SettingError, match="ddpm-zero-snr"):
        toy_recipe(task__schedule__schedule="ddpm-zero-snr")


def test_rows_must_be_whole_tokens():
    with pytest.raises(SettingError, match=r"\[15\], not a multiple of model.patch 2"):
        toy_recipe(model__patch=2, batches__lengths={15: 1.0, 16: 1.0})
