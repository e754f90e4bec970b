"""Processors without bfloat16: what is computed with there, and that Muon's steps stay Muon's."""

import copy

import pytest
import torch
from torch import Tensor, nn

from segue.symbolic.model.gpt import GPT, GPTConfig
from segue.training import arithmetic, optim, trainer
from segue.training.muon import SinglePrecisionMuon, nearest_orthogonal
from segue.training.optim import OptimSettings, make_optimizer
from segue.training.trainer import TrainerSettings, precision


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "bfloat16_is_slow", lambda: True)
    monkeypatch.setattr(optim, "bfloat16_is_slow", lambda: True)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "bfloat16_is_slow", lambda: False)
    monkeypatch.setattr(optim, "bfloat16_is_slow", lambda: False)


@pytest.mark.parametrize(("times", "expected"), [(0.5, False), (2.5, False), (60.0, True)])
def test_slow_is_what_takes_more_than_three_times_as_long(
    monkeypatch: pytest.MonkeyPatch, times: float, expected: bool
):
    taken = {torch.float32: 1e-3, torch.bfloat16: times * 1e-3}
    monkeypatch.setattr(arithmetic, "_seconds", taken.__getitem__)
    arithmetic.bfloat16_is_slow.cache_clear()
    assert arithmetic.bfloat16_is_slow() is expected
    arithmetic.bfloat16_is_slow.cache_clear()


def test_the_measurement_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    arithmetic.bfloat16_is_slow.cache_clear()
    assert arithmetic.bfloat16_is_slow() in (True, False)
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("slow")
def test_a_processor_without_bfloat16_computes_with_32_bits():
    assert (
        precision(TrainerSettings(max_steps=1, precision="bf16-mixed", accelerator="cpu")) == "32"
    )
    assert precision(TrainerSettings(max_steps=1, accelerator="cpu")) == "32"


@pytest.mark.usefixtures("slow")
def test_a_gpu_keeps_bfloat16_whatever_the_processor():
    settings = TrainerSettings(max_steps=1, precision="bf16-mixed", accelerator="gpu")
    assert precision(settings) == "bf16-mixed"


@pytest.mark.usefixtures("fast")
def test_a_processor_with_bfloat16_keeps_it():
    settings = TrainerSettings(max_steps=1, precision="bf16-mixed", accelerator="cpu")
    assert precision(settings) == "bf16-mixed"


@pytest.mark.parametrize("given", [32, "32"])
def test_precision_may_be_given_as_a_number(given: object):
    assert TrainerSettings.model_validate({"max_steps": 1, "precision": given}).precision == "32"


@pytest.mark.parametrize("given", [16, True, None, "16"])
def test_other_precisions_are_refused(given: object):
    with pytest.raises(Exception, match="precision"):
        TrainerSettings.model_validate({"max_steps": 1, "precision": given})


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (16, 16)])
def test_the_iteration_keeps_directions_and_evens_out_sizes(shape: tuple[int, int]):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = nearest_orthogonal(matrix, (3.4445, -4.775, 2.0315), 5, 1e-7)
    left, before, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ result @ right.T
    assert before.max() / before.min() > 1.5 * inside.diagonal().max() / inside.diagonal().min()
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-4, rtol=0)
    assert float(inside.diagonal().min()) > 0.6
    assert float(inside.diagonal().max()) < 1.3


def steps(optimizer_of: type[torch.optim.Muon], starts: list[Tensor]) -> list[Tensor]:
    weights = [nn.Parameter(start.clone()) for start in starts]
    optimizer = optimizer_of(weights, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    generator = torch.Generator().manual_seed(5)
    for _ in range(6):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    return [weight.detach() for weight in weights]


def test_steps_are_those_of_pytorch_but_for_its_rounding():
    generator = torch.Generator().manual_seed(3)
    starts = [torch.randn(shape, generator=generator) for shape in ((12, 40), (40, 12), (20, 20))]
    for start, ours, theirs in zip(
        starts, steps(SinglePrecisionMuon, starts), steps(torch.optim.Muon, starts), strict=True
    ):
        moved = (theirs - start).norm()
        assert (ours - theirs).norm() < 0.03 * moved


def test_weights_without_gradients_stay():
    used, unused = nn.Parameter(torch.ones(4, 6)), nn.Parameter(torch.ones(4, 6))
    optimizer = SinglePrecisionMuon([used, unused], lr=0.1, adjust_lr_fn="match_rms_adamw")
    used.grad = torch.randn(4, 6)
    assert optimizer.step(lambda: 7.0) == 7.0
    assert not torch.equal(used, torch.ones(4, 6))
    assert torch.equal(unused, torch.ones(4, 6))


def muon_of(model: nn.Module) -> torch.optim.Optimizer:
    settings = OptimSettings(method="muon")
    return make_optimizer(model, settings).parts[0]


def test_which_muon_is_taken_and_that_its_state_fits_the_other(monkeypatch: pytest.MonkeyPatch):
    model = GPT(GPTConfig(vocab_size=20, num_layers=1, num_heads=2, width=16))
    monkeypatch.setattr(optim, "bfloat16_is_slow", lambda: True)
    slow = muon_of(model)
    monkeypatch.setattr(optim, "bfloat16_is_slow", lambda: False)
    fast = muon_of(model)
    assert type(slow) is SinglePrecisionMuon
    assert type(fast) is torch.optim.Muon
    for weights in (p for group in slow.param_groups for p in group["params"]):
        weights.grad = torch.ones_like(weights)
    slow.step()
    fast.load_state_dict(copy.deepcopy(slow.state_dict()))
    fast.step()
    assert slow.state_dict()["param_groups"] == fast.state_dict()["param_groups"]
