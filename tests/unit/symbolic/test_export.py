"""Export: the bundle says what the model says, and what does not fit is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.generation import REMI_OPTIONS, vocabulary
from tests.tiny_models import tiny_model, tokens

from segue.errors import BundleError, SettingError
from segue.runtime.bundle import Bundle
from segue.runtime.onnx_backend import OnnxDecoder
from segue.runtime.torch_backend import TorchDecoder
from segue.symbolic.model.export import PARTS, export_bundle, export_graph
from segue.symbolic.model.gpt import GPT
from segue.symbolic.model.onnx_graph import BLOCK_SIZE, quantize
from segue.symbolic.model.weights import read_weights

EXTRAS = {"scores": {"bits_per_note": 5.0}, "sampling": {"temperature": 0.9}}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``tokenizer.json`` as MidiTok writes it, without merges."""
    miditok = pytest.importorskip("miditok")
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    miditok.REMI(miditok.TokenizerConfig(**REMI_OPTIONS)).save(path)
    return path


@pytest.fixture(scope="module")
def model() -> GPT:
    """Rotary positions and a tied head, as the shipped model."""
    return tiny_model("rotary", vocab_size=vocabulary().size)


@pytest.fixture(scope="module")
def bundle(model: GPT, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with every part."""
    bundle, parity = export_bundle(
        model,
        tokenizer,
        tmp_path_factory.mktemp("bundles") / "tiny",
        name="tiny",
        objective="infill",
        extras=EXTRAS,
        card="# Tiny\n",
        parts=PARTS,
    )
    assert parity.float_error < 1e-5
    assert parity.int8_nats is not None
    assert 0 < parity.int8_nats < 0.01
    return bundle


def test_the_bundle_is_complete(bundle: Bundle, model: GPT, tokenizer: Path) -> None:
    assert set(bundle.verify()) == {
        "README.md",
        "config.json",
        "model.int8.onnx",
        "model.onnx",
        "model.safetensors",
        "tokenizer.json",
    }
    assert bundle.require(kind="midigpt", objective="infill").name == "tiny"
    assert bundle.config["model"] == model.config.model_dump()
    assert bundle.config["scores"] == EXTRAS["scores"]
    assert bundle.config["licence"] == "CC-BY-4.0"
    assert bundle.path("README.md").read_text() == "# Tiny\n"
    assert bundle.path("tokenizer.json").read_bytes() == tokenizer.read_bytes()


def test_the_bundle_is_small(bundle: Bundle, model: GPT) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    assert bundle.path("model.safetensors").stat().st_size < 2.1 * count + 10_000
    assert (
        bundle.path("model.int8.onnx").stat().st_size
        < 0.6 * bundle.path("model.onnx").stat().st_size
    )


def test_a_bundle_is_decoded_by_its_int8_graph(bundle: Bundle) -> None:
    ids, times = tokens((1, 20))
    wanted = OnnxDecoder(bundle.path("model.int8.onnx")).logits(ids, times)
    np.testing.assert_array_equal(OnnxDecoder(bundle).logits(ids, times), wanted)
    np.testing.assert_array_equal(OnnxDecoder(bundle.folder).logits(ids, times), wanted)


def test_weights_come_back_from_the_bundle(bundle: Bundle, model: GPT) -> None:
    ids, times = tokens((1, 20))
    read = TorchDecoder(read_weights(bundle.folder).build())
    wanted = TorchDecoder(model).logits(ids, times)
    np.testing.assert_allclose(read.logits(ids, times), wanted, atol=0.05)


def test_only_the_parts_asked_for(model: GPT, tokenizer: Path, tmp_path: Path) -> None:
    bundle, parity = export_bundle(
        model, tokenizer, tmp_path / "b", name="b", objective="infill", parts=("safetensors",)
    )
    assert set(bundle.manifest) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert parity.int8_nats is None


def test_a_bundle_exports_again(bundle: Bundle, tmp_path: Path) -> None:
    again, parity = export_bundle(
        bundle.folder, None, tmp_path / "again", name="again", objective="infill"
    )
    assert again.name == "again"
    assert parity.float_error < 1e-5


def test_the_model_handed_in_is_left_as_it_was(tokenizer: Path, tmp_path: Path) -> None:
    model = tiny_model("learned", vocab_size=vocabulary().size).train()
    export_bundle(model, tokenizer, tmp_path / "b", name="b", objective="next_token")
    assert model.training


def test_refusals(model: GPT, tokenizer: Path, tmp_path: Path) -> None:
    options = {"name": "b", "objective": "infill"}
    target = tmp_path / "b"
    with pytest.raises(SettingError, match="choose from int8, float, safetensors"):
        export_bundle(model, tokenizer, target, **options, parts=("int4",))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"no tokenizer\.json beside it"):
        export_bundle(model, None, target, **options)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=f"has {vocabulary().size} tokens, the model 50"):
        export_bundle(tiny_model("rotary"), tokenizer, target, **options)  # type: ignore[arg-type]
    assert not target.exists()


def test_a_graph_that_differs_is_not_written(tokenizer: Path, tmp_path: Path) -> None:
    broken = tiny_model("rotary", vocab_size=vocabulary().size)
    with torch.no_grad():
        broken.final_norm.weight.fill_(float("nan"))  # type: ignore[union-attr,operator]
    with pytest.raises(BundleError, match="differs from the model"):
        export_bundle(broken, tokenizer, tmp_path / "b", name="b", objective="infill")
    assert not (tmp_path / "b").exists()


def test_quantize_rounds_to_the_nearest_step(rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((5, BLOCK_SIZE + 3)).astype(np.float32)
    matrix[2] = 0
    integers, scales = quantize(matrix)
    assert integers.shape == (5, 2, BLOCK_SIZE)
    assert scales.shape == (5, 2)
    restored = (integers.astype(np.float32) - 128) * scales[..., None]
    restored = restored.reshape(5, -1)
    half_steps = np.repeat(scales, BLOCK_SIZE, axis=1) / 2
    padded = np.pad(matrix, ((0, 0), (0, BLOCK_SIZE - 3)))
    assert (np.abs(restored - padded) <= half_steps + 1e-6).all()
    assert not restored[:, BLOCK_SIZE + 3 :].any()


def test_graphs_hold_no_traces_of_the_machine(model: GPT, tmp_path: Path) -> None:
    export_graph(model, tmp_path / "a.onnx", int8=True)
    export_graph(model, tmp_path / "b.onnx", int8=True)
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert str(tmp_path).encode() not in content
