"""The original's diffusion transformer: size, its oddities and their fixes, its objective."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from segue.audio.data.latent_batches import UNKNOWN
from segue.audio.diffusion.original import (
    OriginalTransformer,
    OriginalTransformerConfig,
    modulate,
    time_sinusoids,
)
from segue.audio.diffusion.schedules import DiscreteSchedule, ScheduleSettings, make_schedule
from segue.audio.diffusion.task import DiffusionTask, TaskSettings
from segue.errors import SettingError
from segue.training.optim import OptimSettings

TINY = OriginalTransformerConfig(
    latent_channels=4, width=16, depth=2, heads=2, kernel_size=3, max_frames=20
)


def seeded(**changes: object) -> OriginalTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return OriginalTransformer(TINY.model_copy(update=changes)).eval()


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def powers(**settings: float) -> Tensor:
    schedule = make_schedule(ScheduleSettings(schedule="ddpm", **settings))
    assert isinstance(schedule, DiscreteSchedule)
    return torch.from_numpy(schedule.alpha_bars)


def test_the_originals_number_of_weights_and_where_they_are():
    with torch.device("meta"):
        model = OriginalTransformer(OriginalTransformerConfig())
    layers = [*(block.feed_forward for block in model.blocks), model.final]
    assert size(model) == 22_688_672
    assert sum(map(size, layers)) / size(model) == pytest.approx(0.82, abs=0.005)
    assert (len(model.blocks), model.config.width, model.config.heads) == (8, 192, 8)


def test_time_features_are_cosines_then_sines():
    features = time_sinusoids(torch.tensor([0.0, 3.0]), 8)
    assert features[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    rates = [10_000 ** (-k / 4) for k in range(4)]
    expected = [math.cos(3 * r) for r in rates] + [math.sin(3 * r) for r in rates]
    assert features[1].tolist() == pytest.approx(expected, abs=1e-6)


def test_time_may_be_a_whole_number_or_not():
    model, latents = seeded(), torch.randn(2, 4, 6)
    steps = torch.tensor([3, 400])
    assert torch.equal(model(latents, steps), model(latents, steps.float()))
    assert not torch.allclose(model(latents, steps), model(latents, steps + 50))


def test_fixed_positions_end_and_any_goes_on():
    fixed, free = seeded(), OriginalTransformer(TINY.model_copy(update={"positions": "any"}))
    free.load_state_dict(fixed.state_dict())
    latents, step = torch.randn(1, 4, 20), torch.tensor([7.0])
    assert torch.equal(free(latents, step), fixed(latents, step))
    longer = torch.randn(1, 4, 33)
    with pytest.raises(SettingError, match="end after 20 frames, 33 were given"):
        fixed(longer, step)
    assert free(longer, step).shape == longer.shape


@pytest.mark.parametrize(("placement", "share"), [("inside_gate", 1.0), ("outside_gate", 0.0)])
def test_where_the_residual_of_attention_is(placement: str, share: float):
    block = seeded(attention_residual=placement).blocks[0]
    nn.init.zeros_(block.attention.out.weight)
    nn.init.zeros_(block.feed_forward.down.weight)
    nn.init.zeros_(block.feed_forward.down.bias)
    hidden, condition = torch.randn(1, 5, 16), torch.randn(1, 16)
    shift, scale, gate, *_ = block.modulation(condition)
    expected = hidden + share * gate * modulate(hidden, shift, scale)
    assert torch.allclose(block(hidden, condition, None), expected, atol=1e-6)


def test_the_last_layer_replaces_the_stream_or_adds_to_it():
    outputs = []
    for final_residual in (False, True):
        model = seeded(final_residual=final_residual)
        nn.init.zeros_(model.final.down.weight)
        nn.init.zeros_(model.final.down.bias)
        nn.init.zeros_(model.last.bias)
        outputs.append(model(torch.randn(1, 4, 6), torch.tensor([3.0])).abs().max())
    assert outputs[0] == 0
    assert outputs[1] > 0.01


def test_zero_init_makes_blocks_the_identity():
    hidden, condition = torch.randn(1, 5, 16), torch.randn(1, 16)
    plain, fixed = seeded(), seeded(zero_init=True)
    assert torch.equal(fixed.blocks[0](hidden, condition, None), hidden)
    assert not torch.allclose(plain.blocks[0](hidden, condition, None), hidden)
    assert fixed(torch.randn(1, 4, 6), torch.tensor([3.0])).abs().max() == 0


def test_every_fourth_block_reads_the_text():
    model = seeded(cross_attention=True, depth=6)
    reads = [block.cross_attention is not None for block in model.blocks]
    assert reads == [True, False, False, False, True, False]
    latents, step = torch.randn(1, 4, 6), torch.tensor([3.0])
    one, other = (
        model(latents, step, torch.randn(1, 3, 16)),
        model(latents, step, torch.randn(1, 9, 16)),
    )
    assert one.shape == latents.shape
    assert not torch.allclose(one, other)


def test_the_last_third_of_the_modulation_is_the_texts():
    model = seeded(cross_attention=True)
    linear = model.blocks[0].modulation.linear
    linear.weight.data[8 * 16 :] = 0
    linear.bias.data[8 * 16 :] = 0
    latents, step = torch.randn(1, 4, 6), torch.tensor([3.0])
    with torch.no_grad():
        one, other = (model(latents, step, torch.randn(1, 3, 16)) for _ in range(2))
    assert torch.equal(one, other)


def test_text_and_model_must_fit():
    latents, step, text = torch.randn(1, 4, 6), torch.tensor([3.0]), torch.randn(1, 3, 16)
    with pytest.raises(SettingError, match="A text was given"):
        seeded()(latents, step, text)
    with pytest.raises(SettingError, match="none to a model with it"):
        seeded(cross_attention=True)(latents, step)


def test_the_originals_steps_leave_a_signal_at_the_end():
    last = float(powers()[-1])
    assert 10 * math.log10(last / (1 - last)) == pytest.approx(-21.9, abs=0.05)
    last = float(powers(first_beta=2e-4, last_beta=0.04)[-1])
    assert 10 * math.log10(last / (1 - last)) < -40


def noise_loss(model: OriginalTransformer, latents: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
    """Ho et al. (2020), algorithm 1, with the original's 500 steps, from its formula."""
    betas = torch.linspace(1e-4, 0.02, 500, dtype=torch.float64)
    share = torch.cumprod(1 - betas, 0)[steps].float().view(-1, 1, 1)
    noisy = share.sqrt() * latents + (1 - share).sqrt() * noise
    return (model(noisy, steps) - noise).square().mean()


def test_the_tasks_objective_is_the_originals():
    model = seeded()
    settings = TaskSettings(schedule=ScheduleSettings(schedule="ddpm"), label_dropout=1.0)
    task = DiffusionTask(model, settings, OptimSettings(), max_steps=9)
    uniform = torch.tensor([0.0, 0.0021, 0.5, 0.9999])
    latents, noise = torch.randn(4, 4, 6), torch.randn(4, 4, 6)
    batch = {
        "latents": latents,
        "noise": noise,
        "draws": torch.stack([uniform, *[torch.rand(4)] * 4], dim=1),
        "labels": torch.zeros(4, 0),
        "text": torch.zeros(4, 0),
        "kinds": torch.full((4, 6), UNKNOWN),
    }
    errors, frames = task.errors(task.question(batch), batch)
    expected = noise_loss(model, latents, torch.tensor([0, 1, 250, 499]), noise)
    assert torch.allclose(errors.sum() / frames.sum(), expected, rtol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"zero_init": True, "attention_residual": "outside_gate"}])
def test_the_loss_falls_and_gradients_reach_every_weight(changes: dict[str, object]):
    torch.manual_seed(1)
    model = seeded(**changes).train()
    frames = torch.arange(16)
    latents = torch.stack([torch.sin(frames * 0.3 * k) for k in range(1, 5)]).expand(8, 4, 16)
    optim = torch.optim.Adam(model.parameters(), 3e-3)
    steps, noise = torch.arange(8) * 60, torch.randn(8, 4, 16)
    losses = []
    for _ in range(30):
        losses.append(noise_loss(model, latents, steps, noise))
        optim.zero_grad()
        losses[-1].backward()
        optim.step()
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    "setting", [{"width": 30, "heads": 8}, {"kernel_size": 4}, {"time_features": 33}]
)
def test_sizes_that_cannot_be_built_are_refused(setting: dict[str, int]):
    with pytest.raises(ValidationError):
        OriginalTransformerConfig(**setting)
