"""Muon beside AdamW: which weights it takes, what it does to them, and that a run goes on exactly."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from segue.audio.diffusion.transformer import LatentTransformer, TransformerConfig
from segue.errors import SettingError
from segue.symbolic.model.gpt import GPT, GPTConfig
from segue.training.optim import Joined, OptimSettings, make_optimizer, scheduled

MUON = OptimSettings(method="muon", learning_rate=0.01, warmup_steps=2, schedule="cosine")


def tiny() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=20, num_layers=2, num_heads=2, width=16))


def batches() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    while True:
        yield torch.randint(0, 20, (4, 12), generator=generator)


def train(model: GPT, optimizer: torch.optim.Optimizer, ids: Tensor) -> float:
    logits = model(ids[:, :-1], torch.zeros_like(ids[:, :-1]))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def names(model: nn.Module, groups: list[dict[str, object]]) -> set[str]:
    by_id = {id(parameter): name for name, parameter in model.named_parameters()}
    return {by_id[id(p)] for group in groups for p in group["params"]}


def test_muon_takes_the_matrices_inside_and_adamw_the_rest():
    model = tiny()
    optimizer = make_optimizer(model, MUON)
    assert isinstance(optimizer, Joined)
    muon, adamw = (names(model, part.param_groups) for part in optimizer.parts)
    assert len(muon) == 2 * 4
    assert all(name.startswith("blocks.") and name.endswith(".weight") for name in muon)
    assert not any("norm" in name for name in muon)
    assert "embedding.weight" in adamw
    assert muon | adamw == {name for name, _ in model.named_parameters()}
    assert not muon & adamw


def test_of_the_diffusion_transformer_muon_takes_attention_and_feed_forward():
    config = TransformerConfig(latent_channels=4, width=32, depth=1, heads=2, num_labels=3)
    model = LatentTransformer(config)
    optimizer = make_optimizer(model, MUON)
    assert isinstance(optimizer, Joined)
    assert names(model, optimizer.parts[0].param_groups) == {
        f"blocks.0.{name}.weight"
        for name in ("attention.qkv", "attention.out", "feed_forward.up", "feed_forward.down")
    }


def test_a_step_is_orthogonal_and_as_large_as_one_of_adamw():
    model = tiny()
    settings = MUON.model_copy(update={"weight_decay": 0.0})
    optimizer = make_optimizer(model, settings)
    weight = model.blocks[0].feed_forward.up.weight
    before = weight.detach().clone()
    train(model, optimizer, next(batches()))
    change = before - weight.detach()
    # Liu et al. (2025): 0.2 * sqrt(longer side) times the orthogonal matrix, in five rough iterations.
    wanted = 0.01 * 0.2 * max(weight.shape) ** 0.5
    sizes = torch.linalg.svdvals(change)
    assert sizes.min() > 0.4 * wanted
    assert sizes.max() < 1.3 * wanted


def test_the_schedule_moves_both_parts():
    found = scheduled(tiny(), MUON, max_steps=10)
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(10):
        rates.append({group["lr"] for part in optimizer.parts for group in part.param_groups})
        optimizer.step()
        schedule.step()
    assert all(len(rate) == 1 for rate in rates)
    assert len({rate.pop() for rate in rates}) > 5


def test_a_run_that_was_saved_goes_on_to_the_last_bit():
    model, source = tiny(), batches()
    optimizer = make_optimizer(model, MUON)
    for _ in range(3):
        train(model, optimizer, next(source))
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    rest = [next(source) for _ in range(3)]
    whole = [train(model, optimizer, ids) for ids in rest]

    again = tiny()
    again.load_state_dict(saved[0])
    restored = make_optimizer(again, MUON)
    restored.load_state_dict(saved[1])
    for group in restored.param_groups:
        group["lr"] = optimizer.param_groups[0]["lr"]
    assert [train(again, restored, ids) for ids in rest] == whole


def test_groups_stay_shared_after_loading():
    optimizer = make_optimizer(tiny(), MUON)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    optimizer.param_groups[0]["lr"] = 7.0
    assert optimizer.parts[0].param_groups[0]["lr"] == 7.0


def test_it_learns_faster_than_standing_still():
    model, ids = tiny(), next(batches())
    optimizer = make_optimizer(model, MUON)
    first = train(model, optimizer, ids)
    for _ in range(30):
        last = train(model, optimizer, ids)
    assert last < 0.5 * first


def test_state_of_another_optimiser_is_refused():
    plain = make_optimizer(tiny(), OptimSettings())
    with pytest.raises(SettingError, match=r"optim\.method"):
        make_optimizer(tiny(), MUON).load_state_dict(plain.state_dict())


def test_a_model_without_blocks_is_refused():
    with pytest.raises(SettingError, match="blocks"):
        make_optimizer(nn.Linear(4, 4), MUON)
