"""The original's networks as ONNX graphs: any batch, and any length where positions allow it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue.audio.autoencoder.original import OriginalAutoencoder, OriginalAutoencoderConfig
from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.original_attention import Positions
from segue.runtime.graph import Graph
from segue.training.graphs import Port, write_graph

SETTINGS: list[Positions] = ["ten_seconds", "any"]
FRAMES, HOP = 10, 8


def autoencoder(positions: Positions) -> OriginalAutoencoder:
    torch.manual_seed(2)
    config = OriginalAutoencoderConfig(
        first_width=4,
        width=16,
        latent_channels=4,
        num_heads=2,
        hop_samples=HOP,
        positions=positions,
        max_seconds=FRAMES * HOP / 16_000,
    )
    return OriginalAutoencoder(config).eval()


def transformer(positions: Positions) -> OriginalTransformer:
    torch.manual_seed(2)
    config = OriginalTransformerConfig(
        latent_channels=4, width=16, depth=1, heads=2, max_frames=FRAMES, positions=positions
    )
    return OriginalTransformer(config).eval()


def check(
    module: nn.Module,
    path: Path,
    inputs: dict[str, Tensor],
    others: Sequence[Sequence[Tensor]],
    *,
    outputs: Sequence[str],
    free: bool,
) -> None:
    """Write a graph, the first input's last axis free or not, and compare it with the module."""
    length = {2: "length"} if free else {}
    ports = [
        Port(name, example, {0: "batch"} | (length if example.ndim == 3 else {}))
        for name, example in inputs.items()
    ]
    write_graph(module, path, inputs=ports, outputs=outputs, storage="float32")
    graph = Graph(path)
    for given in (list(inputs.values()), *others):
        found = graph({name: value.numpy() for name, value in zip(inputs, given, strict=True)})
        with torch.no_grad():
            wanted = module(*given)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for name, value in zip(outputs, wanted, strict=True):
            assert found[name].shape == value.shape
            assert np.abs(found[name] - value.numpy()).max() < 1e-4


def sizes(positions: Positions) -> list[tuple[int, int]]:
    """Batch and frames to compare on."""
    return [(1, FRAMES), (3, FRAMES)] + ([(1, 1), (2, 37)] if positions == "any" else [])


@pytest.mark.parametrize("positions", SETTINGS)
def test_encoder(positions: Positions, tmp_path: Path):
    check(
        autoencoder(positions).encoder,
        tmp_path / "encoder.onnx",
        {"audio": torch.randn(2, 1, HOP * FRAMES)},
        [[torch.randn(batch, 1, HOP * frames)] for batch, frames in sizes(positions)],
        outputs=["mean", "log_variance"],
        free=positions == "any",
    )


@pytest.mark.parametrize("positions", SETTINGS)
def test_decoder(positions: Positions, tmp_path: Path):
    check(
        autoencoder(positions).decoder,
        tmp_path / "decoder.onnx",
        {"latents": torch.randn(2, 4, FRAMES)},
        [[torch.randn(batch, 4, frames)] for batch, frames in sizes(positions)],
        outputs=["audio"],
        free=positions == "any",
    )


@pytest.mark.parametrize("positions", SETTINGS)
def test_transformer(positions: Positions, tmp_path: Path):
    check(
        transformer(positions),
        tmp_path / "transformer.onnx",
        {"latents": torch.randn(2, 4, FRAMES), "time": torch.tensor([3.0, 499.0])},
        [[torch.randn(b, 4, f), torch.linspace(0, 499, b)] for b, f in sizes(positions)],
        outputs=["output"],
        free=positions == "any",
    )
