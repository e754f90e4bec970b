"""Loss, decay groups and schedule of MidiGPT."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.toy_training import VOCAB, ToySource, toy_config, toy_task
from torch import nn

from segue.symbolic.model.gpt import GPT, PRESETS, preset
from segue.symbolic.model.task import MidiGPTTask, TaskSettings, rows_by_length
from segue.training.optim import OptimSettings, decay_groups, learning_rate_factor


def _batch(step: int = 0) -> dict[str, torch.Tensor]:
    return {n: torch.from_numpy(a) for n, a in ToySource().batch(step)._asdict().items()}


def _alone(task: MidiGPTTask) -> MidiGPTTask:
    """Give the task what it asks of a trainer when it is the only process."""
    task._trainer = SimpleNamespace(world_size=1, global_step=0)
    return task


# Schedule and groups --------------------------------------------------------------------------


def test_cosine_rises_and_falls_to_the_stated_end():
    settings = OptimSettings(schedule="cosine", warmup_steps=4, final_fraction=0.1)
    factors = [learning_rate_factor(settings, step, 104) for step in range(105)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[54] == pytest.approx(0.55)
    assert factors[104] == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(factors[4:]))


def test_trapezoid_falls_in_its_last_part_only():
    settings = OptimSettings(
        schedule="trapezoid", warmup_steps=0, cooldown_share=0.25, final_fraction=0.0
    )
    factors = [learning_rate_factor(settings, step, 100) for step in (0, 74, 75, 88, 100)]
    assert factors == pytest.approx([1, 1, 1, 12 / 25, 0])


def test_constant_without_warmup_never_changes():
    settings = OptimSettings(schedule="constant", warmup_steps=0)
    assert {learning_rate_factor(settings, step, 50_000) for step in (0, 1, 49_999)} == {1.0}


@pytest.mark.parametrize("tied", [True, False])
def test_only_linear_weights_decay(tied: bool):
    model = GPT(toy_config(positions="learned", norm="layer", bias=True, tied_head=tied))
    decaying, others = decay_groups(model, 0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(parameter)] for parameter in decaying["params"]}
    layers = ("attention.qkv", "attention.out", "feed_forward.up", "feed_forward.down")
    wanted = {f"blocks.{block}.{layer}.weight" for block in range(2) for layer in layers}
    assert found == wanted | (set() if tied else {"head.weight"})
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert len(found) + len(others["params"]) == len(list(model.parameters()))


# Loss -----------------------------------------------------------------------------------------


def test_loss_is_the_weighted_mean_of_hole_and_context():
    task = _alone(toy_task(max_steps=10))
    task.task = TaskSettings(context_weight_start=0.25, context_weight_end=0.25)
    batch = _batch()
    result = task.training_step(batch, 0)
    logits = task.model(batch["ids"][:, :-1], batch["times"][:, :-1])
    logs = logits.detach().log_softmax(-1)
    total, weights = 0.0, 0.0
    for row, column in np.ndindex(logs.shape[:2]):
        weight = {0: 0.0, 1: 0.25, 2: 1.0}[int(batch["kinds"][row, column + 1])]
        total -= weight * float(logs[row, column, batch["ids"][row, column + 1]])
        weights += weight
    assert result["loss"].item() == pytest.approx(total / weights, rel=1e-5)
    assert result["tokens"] == int((batch["kinds"][:, 1:] > 0).sum())


def test_padding_changes_nothing():
    task = _alone(toy_task(max_steps=10))
    batch = _batch()
    other = batch | {"ids": torch.where(batch["kinds"] == 0, 7, batch["ids"])}
    assert not torch.equal(batch["ids"], other["ids"])
    first, second = (task.training_step(b, 0)["loss"] for b in (batch, other))
    assert torch.equal(first, second)


def test_rows_that_go_in_groups_cost_what_they_cost_together():
    task = _alone(toy_task(max_steps=10))
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(0, task.config.vocab_size, (9, 700), generator=generator)
    lengths = torch.tensor([700, 30, 400, 399, 2, 690, 64, 65, 350])
    kinds = (torch.arange(700) < lengths[:, None]).long()
    batch = {"ids": ids, "times": torch.arange(700).expand(9, -1), "kinds": kinds}
    found = task.nats(batch)
    whole = task._nats(batch["ids"], batch["times"])
    assert found.shape == whole.shape
    assert len(rows_by_length(lengths.tolist())) > 1
    real = kinds[:, 1:] > 0
    torch.testing.assert_close(found[real], whole[real], rtol=1e-4, atol=1e-5)


def test_every_row_is_in_one_group_beside_its_like():
    lengths = [5, 900, 1024, 30, 600, 2000, 500]
    groups = rows_by_length(lengths)
    assert groups == [[5], [2], [1, 4], [6, 3, 0]]
    assert rows_by_length([]) == []


def test_weight_of_the_context_goes_linearly():
    task = toy_task(max_steps=10)
    task.task = TaskSettings(context_weight_start=1.0, context_weight_end=0.2)
    assert [task.context_weight(s) for s in (0, 5, 10, 20)] == pytest.approx([1, 0.6, 0.2, 0.2])


def test_bits_per_note_of_a_model_that_knows_nothing():
    task = _alone(toy_task(max_steps=10))
    for parameter in task.model.parameters():
        nn.init.zeros_(parameter)
    task.notes_per_token = torch.tensor([1] * 10 + [0] * 10)
    logged = {}
    task.log = lambda name, value: logged.update({name: value})
    task.on_validation_epoch_start()
    batch = _batch()
    task.validation_step(batch, 0)
    task.on_validation_epoch_end()
    answer = batch["ids"][batch["kinds"] == 2]
    expected = len(answer) * math.log2(VOCAB) / int((answer < 10).sum())
    assert logged["val_bits_per_note"] == pytest.approx(expected, rel=1e-6)
    assert logged["val_hole_nats"] == pytest.approx(math.log(VOCAB), rel=1e-6)


def test_loss_falls_on_what_can_be_learnt():
    task = _alone(toy_task(max_steps=150))
    optimizer = torch.optim.AdamW(decay_groups(task.model, 0.0), lr=1e-2)
    losses = []
    for _ in range(150):
        loss = task.training_step(_batch(0), 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(VOCAB), abs=0.25)
    assert losses[-1] < 0.5


# Sizes ----------------------------------------------------------------------------------------


def _closed_form(layers: int, width: int, vocab: int, context: int) -> int:
    """Parameters of GPT-2 with an untied head without bias."""
    attention = width * 3 * width + 3 * width + width * width + width
    feed_forward = width * 4 * width + 4 * width + 4 * width * width + width
    block = attention + feed_forward + 4 * width
    return 2 * vocab * width + context * width + layers * block + 2 * width


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_parameters_of_gpt2(name: str):
    config = preset(name, vocab_size=5000)
    with torch.device("meta"):
        model = GPT(config)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == _closed_form(config.num_layers, config.width, 5000, 1024)


def test_known_sizes():
    sizes = {"gpt-nano": (3, 48), "gpt-micro": (4, 128), "gpt2": (12, 768), "gpt2-xl": (48, 1600)}
    found = {n: preset(n, vocab_size=1) for n in sizes}
    assert {n: (c.num_layers, c.width) for n, c in found.items()} == sizes
    # GPT-2 as published, head shared: 124,439,808 parameters with its own vocabulary.
    assert _closed_form(12, 768, 50257, 1024) - 50257 * 768 == 124_439_808
