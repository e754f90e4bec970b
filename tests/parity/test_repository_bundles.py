"""The weights kept in the repository are those that ship: same card, same model, same answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segue.audio.autoencoder.export import codec_settings
from segue.audio.autoencoder.fit import load_autoencoder
from segue.audio.diffusion.transformer import LatentTransformer
from segue.audio.diffusion.weights import load_into, read_weights
from segue.runtime.bundle import Bundle, list_bundles
from segue.runtime.graph import Graph
from segue.symbolic.loaded import MidiModel
from segue.symbolic.model.weights import read_weights as read_symbolic

ROOT = Path(__file__).parents[2] / "bundles"
SHIPPED = [bundle.folder.name for bundle in list_bundles()]

pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="only the repository has bundles/")


def _relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.square(found - wanted).mean() / np.square(wanted).mean()))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_is_there_to_be_trained_further(name: str):
    kept, shipped = Bundle.open(ROOT / name), Bundle.open(name)
    assert {"config.json", "README.md", "model.safetensors"} <= set(kept.verify())
    assert kept.path("README.md").read_bytes() == shipped.path("README.md").read_bytes()
    without = [{k: v for k, v in b.config.items() if k != "export"} for b in (kept, shipped)]
    assert without[0] == without[1]


@pytest.mark.skipif("ldmg-small" not in SHIPPED, reason="needs the shipped bundle")
def test_ldmg_answers_as_its_graphs():
    kept, shipped = ROOT / "ldmg-small", Bundle.open("ldmg-small")
    rng = np.random.default_rng(0)
    graphs = {n: Graph(shipped.path(f"{n}.onnx"), threads=1) for n in ("encoder", "decoder")}
    autoencoder = load_autoencoder(kept)
    config = shipped.config["codec"]
    means = {name: config[name] for name in ("mean", "deviation")}
    assert codec_settings(autoencoder, **means).items() <= config.items()
    sound = 0.1 * rng.standard_normal((1, 1, 40 * config["hop_samples"])).astype(np.float32)
    with torch.inference_mode():
        spectrum = autoencoder.fourier.analyse(torch.from_numpy(sound))
        mean = autoencoder.encode(torch.from_numpy(sound)).mean
        magnitude = autoencoder.decoder(mean)[0].numpy()
    found = graphs["encoder"]({"spectrum": spectrum.numpy()})["mean"]
    assert _relative(found, mean.numpy()) < 0.05
    found = graphs["decoder"]({"latents": mean.numpy()})["magnitude"]
    assert _relative(found, magnitude) < 0.05


@pytest.mark.skipif("ldmg-small" not in SHIPPED, reason="needs the shipped bundle")
def test_the_transformer_of_ldmg_answers_as_its_graph():
    kept, shipped = ROOT / "ldmg-small", Bundle.open("ldmg-small")
    weights = read_weights(kept)
    model = LatentTransformer(weights.config).eval()
    labels = shipped.config["labels"]
    assert weights.labels == labels
    load_into(model, kept, labels=labels)
    rng = np.random.default_rng(0)
    latents, known = rng.standard_normal((2, 1, weights.config.latent_channels, 60), np.float32)
    mask = (rng.random((1, 1, 60)) < 0.5).astype(np.float32)
    feeds = {
        "latents": latents,
        "known": known * mask,
        "mask": mask,
        "time": np.array([0.6], np.float32),
        "step": np.array([0], np.float32),
        "labels": np.eye(len(labels), dtype=np.float32)[2:3],
    }
    if weights.config.text_dims:
        text = rng.standard_normal((1, weights.config.text_dims), np.float32)
        feeds["text"] = text / np.linalg.norm(text)
    with torch.inference_mode():
        wanted = model(*map(torch.from_numpy, feeds.values())).numpy()
    found = Graph(shipped.path("transformer.onnx"), threads=1)(feeds)["output"]
    assert _relative(found, wanted) < 0.05


@pytest.mark.skipif("midigpt-small" not in SHIPPED, reason="needs the shipped bundle")
def test_midigpt_answers_as_its_graph():
    model = read_symbolic(ROOT / "midigpt-small").build()
    rng = np.random.default_rng(0)
    ids = rng.integers(0, model.config.vocab_size, (1, 100))
    times = np.cumsum(rng.integers(0, 13, ids.shape), axis=1)
    with torch.inference_mode():
        wanted = model(torch.from_numpy(ids), torch.from_numpy(times)).numpy()
    found = MidiModel.open("midigpt-small").decoder.logits(ids, times)
    logs = [x - np.log(np.exp(x).sum(axis=-1, keepdims=True)) for x in (wanted, found)]
    nats = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=-1).mean()
    assert 0 <= nats < 0.05
