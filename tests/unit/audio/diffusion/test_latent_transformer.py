"""The diffusion transformer: length-free, what it looks at, and how it starts."""

import pytest
import torch
from torch import Tensor

from segue.audio.diffusion.conditioning import Conditioning
from segue.audio.diffusion.transformer import (
    LatentTransformer,
    TransformerConfig,
    attend,
    rotate,
    rotation,
)

CHANNELS, LABELS, DIMS = 3, 2, 6


def model(**changes) -> LatentTransformer:
    """A tiny transformer whose output is far from 0."""
    sizes = {"width": 32, "depth": 2, "heads": 2}
    sizes |= {"latent_channels": CHANNELS, "num_labels": LABELS, "text_dims": DIMS}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = LatentTransformer(TransformerConfig.model_validate(sizes | changes)).eval()
        for parameter in made.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return made


def inputs(batch: int = 2, frames: int = 12, seed: int = 1) -> dict[str, Tensor]:
    """Random inputs; the first frames are known."""
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, CHANNELS, frames, generator=draw)
    mask = torch.zeros(batch, 1, frames)
    mask[:, :, : frames // 3] = 1
    return {
        "latents": latents,
        "known": torch.randn(latents.shape, generator=draw) * mask,
        "mask": mask,
        "time": torch.rand(batch, generator=draw),
        "step": torch.rand(batch, generator=draw),
        "labels": torch.eye(LABELS + 1)[(torch.arange(batch) + seed) % (LABELS + 1), 1:],
        "text": torch.randn(batch, DIMS, generator=draw),
    }


@torch.no_grad()
def test_a_new_model_answers_0():
    sizes = {"latent_channels": CHANNELS, "num_labels": LABELS, "text_dims": DIMS}
    fresh = LatentTransformer(TransformerConfig(width=32, heads=2, **sizes))
    assert (fresh(**inputs(batch=1)) == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 2, 12, 700])
def test_every_length_is_taken(frames: int):
    assert model()(**inputs(frames=frames)).shape == (2, CHANNELS, frames)


@torch.no_grad()
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_padding_changes_nothing(patch: int):
    given = inputs(frames=12)
    wanted = model(patch=patch)(**given)
    longer = {
        name: torch.cat([values, torch.randn(2, values.shape[1], 6)], dim=2)
        if values.ndim == 3
        else values
        for name, values in given.items()
    }
    valid = torch.arange(18).expand(2, 18) < 12
    found = model(patch=patch)(**longer, valid=valid)[:, :, :12]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(model(patch=patch)(**longer)[:, :, :12], wanted, atol=1e-3)


@torch.no_grad()
def test_rows_do_not_see_each_other():
    given = inputs(batch=3)
    together = model()(**given)
    for row in range(3):
        alone = model()(**{name: values[row : row + 1] for name, values in given.items()})
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_only_noise_of_unknown_frames_and_music_of_known_ones_is_seen():
    given = inputs()
    wanted = model()(**given)
    hidden = given["mask"].bool()
    noise = torch.where(hidden, torch.randn(given["latents"].shape), given["latents"])
    music = torch.where(hidden, given["known"], torch.randn(given["known"].shape))
    torch.testing.assert_close(
        model()(**(given | {"latents": noise, "known": music})), wanted, atol=1e-5, rtol=1e-4
    )
    changed = model()(**(given | {"known": given["known"] + given["mask"]}))
    assert (changed - wanted)[:, :, 8:].abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("name", ["latents", "mask", "time", "step", "labels", "text"])
def test_everything_that_is_told_matters(name: str):
    given = inputs()
    other = inputs(seed=2)
    if name == "mask":
        given["known"], other[name] = given["latents"] * 0, 1 - given["mask"]
    difference = model()(**(given | {name: other[name]})) - model()(**given)
    assert difference.abs().max() > 1e-3


@torch.no_grad()
def test_places_are_relative():
    """Turning by positions 5, 6, ... gives the same attention as by 0, 1, ...: no place is special."""
    draw = torch.Generator().manual_seed(3)
    queries, keys, values = (torch.randn(1, 2, 8, 16, generator=draw) for _ in range(3))
    turns = [rotation(8, 16, torch.device("cpu"))]
    turns.append(tuple(part[5:] for part in rotation(13, 16, torch.device("cpu"))))
    here, there = (attend(rotate(queries, t), rotate(keys, t), values, None) for t in turns)
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-4)
    unturned = attend(queries, keys, values, None)
    assert (here - unturned).abs().max() > 1e-2


@torch.no_grad()
def test_attention_in_parts_is_the_fused_one():
    draw = torch.Generator().manual_seed(3)
    parts = [torch.randn(2, 2, 8, 16, generator=draw) for _ in range(3)]
    valid = torch.arange(8).expand(2, 1, 1, 8) < torch.tensor([8, 5]).view(2, 1, 1, 1)
    for mask in (None, valid):
        exact = attend(*parts, mask)
        rounded = attend(*(part.bfloat16() for part in parts), mask)
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded.float(), exact, atol=0.03, rtol=0.03)


def test_autocast_gives_float32_and_gradients_for_every_weight():
    made = model()
    with torch.autocast("cpu", torch.bfloat16):
        answer = made(**inputs())
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer, made(**inputs()), atol=0.2, rtol=0.2)
    answer.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in made.parameters())


def test_a_step_of_0_adds_nothing_and_teaches_nothing():
    conditioning = Conditioning(16, num_labels=2)
    for parameter in conditioning.parameters():
        parameter.data.normal_()
    time, labels = torch.tensor([0.2, 0.9]), torch.eye(2)
    before = conditioning(time, torch.zeros(2), labels)
    before.sum().backward()
    assert (conditioning.step.weight.grad == 0).all()
    conditioning.step_out.weight.data.normal_()
    assert torch.equal(conditioning(time, torch.zeros(2), labels), before)
    assert not torch.equal(conditioning(time, torch.full((2,), 0.1), labels), before)


def test_the_shared_modulation_is_most_of_the_modulation():
    """What adaLN-single saves: all modulation together is well below a third of the parameters."""
    made = LatentTransformer(TransformerConfig(latent_channels=32, num_labels=8))
    modulation = sum(
        p.numel() for name, p in made.named_parameters() if "modulation" in name.split(".")
    )
    total = sum(p.numel() for p in made.parameters())
    assert total / 1e6 == pytest.approx(10.9, abs=0.1)
    assert modulation / total < 0.15


def test_heads_of_an_odd_size_are_refused():
    for heads in (3, 32):
        with pytest.raises(ValueError, match="heads of an even number"):
            TransformerConfig(latent_channels=3, width=32, heads=heads)
