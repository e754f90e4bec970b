"""The ONNX graph, written by hand, against the PyTorch model over the shapes a recipe may choose."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_models import tokens

from segue.runtime.onnx_backend import OnnxDecoder
from segue.symbolic.model.export import check_parity, export_graph
from segue.symbolic.model.gpt import GPT, GPTConfig, preset

CASES: dict[str, GPTConfig] = {
    "gpt-nano": preset("gpt-nano", vocab_size=30),
    "rotary with layer norm": GPTConfig(
        vocab_size=70, num_layers=2, num_heads=3, width=48, norm="layer", bias=True
    ),
    "rotary without bias, untied": GPTConfig(
        vocab_size=70, num_layers=1, num_heads=1, width=64, tied_head=False
    ),
    "learned with RMS norm": GPTConfig(
        vocab_size=33, num_layers=3, num_heads=2, width=36, positions="learned", bias=True
    ),
    "layer norm without bias": GPTConfig(
        vocab_size=20, num_layers=1, num_heads=4, width=64, positions="learned", norm="layer"
    ),
    "narrow feed-forward": GPTConfig(
        vocab_size=20, num_layers=2, num_heads=2, width=24, mlp_ratio=2.5, context_length=64
    ),
}


def random_model(config: GPTConfig) -> GPT:
    """A model whose every weight, norms and biases included, is random and not small."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = GPT(config).eval()
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_both_graphs_against_the_model(config: GPTConfig, tmp_path: Path) -> None:
    model = random_model(config)
    export_graph(model, tmp_path / "model.int8.onnx", int8=True)
    parity = check_parity(model, tmp_path)
    assert parity.float_error < 2e-5
    assert parity.int8_nats is not None
    assert 0 < parity.int8_nats < 0.02


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_times_matter_to_rotary_positions_only(factor: float, tmp_path: Path) -> None:
    ids, times = tokens((1, 30), vocab_size=20)
    changes: dict[str, Any] = {}
    for name in ("learned with RMS norm", "rotary without bias, untied"):
        path = tmp_path / f"{name}.onnx"
        export_graph(random_model(CASES[name]), path, int8=False)
        decoder = OnnxDecoder(path)
        moved = (factor * times).astype(np.int64)
        changes[name] = np.abs(decoder.logits(ids, times) - decoder.logits(ids, moved)).max()
    assert changes["learned with RMS norm"] == 0
    assert changes["rotary without bias, untied"] > 0.01


def test_shifting_all_times_changes_nothing(tmp_path: Path) -> None:
    export_graph(random_model(CASES["narrow feed-forward"]), tmp_path / "m.onnx", int8=False)
    decoder = OnnxDecoder(tmp_path / "m.onnx")
    ids, times = tokens((1, 30), vocab_size=20)
    moved = decoder.logits(ids, times + 192)
    np.testing.assert_allclose(moved, decoder.logits(ids, times), atol=1e-3)
