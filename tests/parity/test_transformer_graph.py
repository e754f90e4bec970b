"""The diffusion transformer in PyTorch and as a graph in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from segue.audio.diffusion.transformer import LatentTransformer, TransformerConfig
from segue.training.graphs import Port, write_graph

CHANNELS, LABELS, DIMS = 3, 2, 5
FREE = {"latents": {0: "batch", 2: "frames"}, "time": {0: "batch"}}


def _inputs(batch: int, frames: int, labels: int, dims: int) -> dict[str, torch.Tensor]:
    mask = (torch.arange(frames) % 5 == 0).float().expand(batch, 1, frames).contiguous()
    return {
        "latents": torch.randn(batch, CHANNELS, frames),
        "known": torch.randn(batch, CHANNELS, frames) * mask,
        "mask": mask,
        "time": torch.rand(batch),
        "step": torch.rand(batch),
        "labels": torch.eye(1 + labels)[torch.arange(batch) % (1 + labels), 1:],
    } | ({"text": torch.randn(batch, dims)} if dims else {})


@pytest.mark.parametrize(
    ("patch", "labels", "dims"), [(1, LABELS, 0), (2, LABELS, DIMS), (1, 0, DIMS)]
)
def test_graph_is_the_model_at_any_batch_and_length(
    tmp_path: Path, patch: int, labels: int, dims: int
):
    torch.manual_seed(0)
    config = TransformerConfig(
        latent_channels=CHANNELS,
        num_labels=labels,
        text_dims=dims,
        width=32,
        depth=2,
        heads=2,
        patch=patch,
    )
    model = LatentTransformer(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    ports = [
        Port(name, value, FREE["latents" if value.ndim == 3 else "time"])
        for name, value in _inputs(2, 12, labels, dims).items()
    ]
    path = tmp_path / "transformer.onnx"
    write_graph(model, path, inputs=ports, outputs=["output"], storage="float32")
    session = onnxruntime.InferenceSession(path)
    for batch, frames in ((1, 2), (1, 26), (3, 12), (2, 626)):
        given = _inputs(batch, frames, labels, dims)
        with torch.no_grad():
            wanted = model(**given).numpy()
        found = session.run(["output"], {name: value.numpy() for name, value in given.items()})[0]
        np.testing.assert_allclose(found, wanted, atol=2e-5, rtol=1e-4)
