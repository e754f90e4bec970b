"""Labels, texts and guidance: exact where they must be, and heeded where they were learnt."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests import toy_text
from tests.tiny_audio import Samples, config
from tests.toy_diffusion import toy_recipe
from torch.nn import functional

from segue.audio.condition import NOTHING, Condition
from segue.audio.data.latent_batches import UNKNOWN
from segue.audio.diffusion.conditioning import Conditioning, sinusoids
from segue.audio.diffusion.recipe import make_model
from segue.audio.diffusion.task import DiffusionTask
from segue.audio.loaded import AudioModel, read_parts
from segue.audio.windows import Drawer

WIDTH, LABELS, DIMS = 16, 3, toy_text.DIMS
FRAMES, CHANNELS = 4, 2


@pytest.fixture
def conditioning() -> Conditioning:
    torch.manual_seed(0)
    made = Conditioning(WIDTH, num_labels=LABELS, text_dims=DIMS)
    for parameter in made.parameters():
        parameter.data.normal_()
    return made


def _vectors(made: Conditioning, labels: torch.Tensor, text: torch.Tensor | None) -> torch.Tensor:
    """What the conditioning gives before its last SiLU, time and step apart."""
    told: list[torch.Tensor] = []
    rows = len(labels)
    time = torch.full((rows,), 0.5)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        whole = functional.silu
        patch.setattr(functional, "silu", lambda x, **_: told.append(x) or whole(x))
        made(time, torch.zeros(rows), labels, text)
        return told[-1] - made.time(sinusoids(time, made.features))


def test_a_label_is_its_row_none_the_first_and_several_their_mean(conditioning: Conditioning):
    labels = torch.tensor([[0, 0, 0], [0, 1, 0], [0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    table = conditioning.label.weight.detach()
    wanted = torch.stack([table[0], table[2], (table[1] + table[3]) / 2, table[1:].mean(dim=0)])
    torch.testing.assert_close(_vectors(conditioning, labels, None), wanted)
    assert torch.equal(conditioning._mean(labels[:2]), table[[0, 2]])


def test_one_label_is_exact_in_bfloat16_too(conditioning: Conditioning):
    with torch.autocast("cpu", torch.bfloat16):
        found = conditioning._mean(torch.eye(LABELS))
    assert torch.equal(found, conditioning.label.weight[1:])


def test_texts_are_added_and_none_adds_nothing(conditioning: Conditioning):
    labels, text = torch.eye(LABELS), torch.randn(LABELS, DIMS)
    without = _vectors(conditioning, labels, None)
    added = _vectors(conditioning, labels, text) - without
    torch.testing.assert_close(added, text @ conditioning.text.weight.T, atol=1e-5, rtol=1e-4)
    assert torch.equal(_vectors(conditioning, labels, 0 * text), without)


def test_texts_begin_without_effect_and_learn():
    made = Conditioning(WIDTH, num_labels=LABELS, text_dims=DIMS)
    made.initialise()
    text = torch.randn(LABELS, DIMS)
    assert torch.equal(
        _vectors(made, torch.eye(LABELS), text), _vectors(made, torch.eye(LABELS), None)
    )
    made(torch.rand(LABELS), torch.rand(LABELS), torch.eye(LABELS), text).sum().backward()
    assert made.text.weight.grad.abs().max() > 0


# Learning ---------------------------------------------------------------------------------------

TEXTS = ("high and bright", "low and dark")


def _batch(rng: np.random.Generator, vectors: np.ndarray, rows: int = 96) -> dict[str, Any]:
    """Channel 0 is 1 or -1 as the label says, channel 1 as the text says."""
    sides = rng.integers(0, 2, (2, rows))
    means = np.stack([1.0 - 2 * sides[0], 1.0 - 2 * sides[1]], axis=1)[:, :, None]
    shape = (rows, CHANNELS, FRAMES)
    arrays = {
        "latents": means + 0.2 * rng.standard_normal(shape),
        "noise": rng.standard_normal(shape),
        "labels": np.eye(2)[sides[0]],
        "text": vectors[sides[1]],
        "draws": rng.random((rows, 5)),
    }
    batch = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    return batch | {"kinds": torch.full((rows, FRAMES), UNKNOWN, dtype=torch.int8)}


@pytest.fixture(scope="module")
def learnt() -> AudioModel:
    """A model of the two channels, as a bundle."""
    recipe = toy_recipe(task__label_dropout=0.2)
    torch.manual_seed(0)
    network = make_model(recipe.model, latent_channels=CHANNELS, num_labels=2, text_dims=DIMS)
    task = DiffusionTask(network, recipe.task, recipe.optim, max_steps=1)
    task._trainer = SimpleNamespace(world_size=1, global_step=0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    rng, vectors = np.random.default_rng(0), toy_text.ToyTexts().encode(TEXTS)
    steps = 250
    for done in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - 0.95 * done / steps)
        loss = task.training_step(_batch(rng, vectors), 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return _opened(network.eval())


class _Torch:
    """A network of PyTorch where a graph is expected."""

    inputs = ("latents", "known", "mask", "time", "step", "labels", "text")
    outputs = ("output",)

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def __call__(self, feeds: Any) -> dict[str, np.ndarray]:
        with torch.no_grad():
            given = [torch.from_numpy(feeds[name]) for name in self.inputs]
            return {"output": self.network(*given).numpy()}


def _opened(network: torch.nn.Module) -> AudioModel:
    settings = config(
        front="waveform", labels=["up", "down"], text={"encoder": "toy", "dims": DIMS}
    )
    settings["codec"] |= {"hop_samples": CHANNELS, "latent_channels": CHANNELS}
    settings["codec"] |= {"mean": [0.0] * CHANNELS, "deviation": [1.0] * CHANNELS}
    return AudioModel.of(
        read_parts(settings, where="a test"),
        encoder=Samples(CHANNELS, decodes=False),
        decoder=Samples(CHANNELS, decodes=True),
        transformer=_Torch(network),
    )


def _means(
    model: AudioModel,
    condition: Condition = NOTHING,
    negative: Condition = NOTHING,
    *,
    guidance: float = 1.0,
) -> tuple[float, float]:
    """Return the means of both channels over some draws."""
    settings = model.settings(sampler="euler", steps=6, guidance=guidance)
    told, away = model.told(condition), model.told(negative)
    nothing = np.zeros((CHANNELS, FRAMES), np.float32)
    drawn = [
        Drawer(model, settings, told, away, seed).draw(
            nothing, np.zeros(FRAMES, bool), start_frame=0
        )
        for seed in range(12)
    ]
    first, second = np.mean(drawn, axis=(0, 2))
    return float(first), float(second)


def test_what_is_asked_is_reached_and_the_negative_is_left(
    learnt: AudioModel, monkeypatch: pytest.MonkeyPatch
):
    toy_text.install(monkeypatch, toy_text.ToyTexts())
    up, bright = Condition(("up",)), Condition(text=TEXTS[0])
    first, second = _means(learnt, up, guidance=1.5)
    assert first == pytest.approx(1, abs=0.3)
    assert abs(second) < 0.6
    first, second = _means(learnt, bright, guidance=1.5)
    assert abs(first) < 0.6
    assert second == pytest.approx(1, abs=0.3)
    first, second = _means(learnt, Condition(("down",), TEXTS[0]), guidance=1.5)
    assert (first, second) == pytest.approx((-1, 1), abs=0.3)
    # Away from what is not wanted, though nothing is asked for.
    plain = _means(learnt)
    for negative, channel in ((up, 0), (bright, 1)):
        left = _means(learnt, negative=negative, guidance=2.0)
        assert left[channel] < min(plain[channel] - 0.4, -0.5)
        assert abs(left[1 - channel] - plain[1 - channel]) < 0.5


def test_two_labels_are_between_them(learnt: AudioModel):
    both = _means(learnt, Condition(("up", "down")))
    assert abs(both[0]) < 0.6


def test_guidance_1_is_no_guidance(learnt: AudioModel):
    up = Condition(("up",))
    plain = _means(learnt, up, guidance=1.0)
    assert plain == _means(learnt, up, Condition(("down",)), guidance=1.0)
    assert _means(learnt, guidance=3.0) == _means(learnt, guidance=1.0)
