"""Weights stored in fewer bits, turned to float32 when the graph is opened."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tests.tiny_audio import FRAMES, LABELS, LATENTS, decoder, transformer

from segue.errors import BundleError
from segue.runtime.graph import Graph
from segue.training.graphs import _codes, store_small

FEEDS = {
    "latents": np.random.default_rng(0).standard_normal((1, LATENTS, FRAMES), np.float32),
    "known": np.zeros((1, LATENTS, FRAMES), np.float32),
    "mask": np.zeros((1, 1, FRAMES), np.float32),
    "time": np.full(1, 0.5, np.float32),
    "step": np.zeros(1, np.float32),
    "labels": np.full((1, len(LABELS)), 1 / len(LABELS), np.float32),
}


def error(model: onnx.ModelProto, small: onnx.ModelProto, folder: Path) -> float:
    found = []
    for name, graph in (("a.onnx", model), ("b.onnx", small)):
        (folder / name).write_bytes(graph.SerializeToString())
        found.append(next(iter(Graph(folder / name, threads=1)(FEEDS).values())))
    return float(np.sqrt(np.mean((found[0] - found[1]) ** 2) / np.mean(found[0] ** 2)))


@pytest.mark.parametrize(
    ("storage", "share", "tolerance"),
    [("float32", 1.02, 0), ("float16", 0.55, 2e-3), ("int8", 0.32, 2e-2)],
)
@pytest.mark.parametrize("made", [decoder, transformer])
def test_smaller_files_that_say_the_same(made, storage, share, tolerance, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(made())
    small = store_small(model, storage)
    onnx.checker.check_model(small)
    assert error(model, small, tmp_path) <= tolerance
    weights = [
        sum(len(tensor.raw_data) for tensor in graph.graph.initializer) for graph in (model, small)
    ]
    assert weights[1] <= share * weights[0] + 600


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_codes_are_the_nearest_and_use_their_range(axis: int) -> None:
    array = np.random.default_rng(0).standard_normal((5, 6, 7), np.float32)
    codes, scales = _codes(array, axis)
    assert scales.shape == tuple(
        size if place == axis else 1 for place, size in enumerate((5, 6, 7))
    )
    assert (np.abs(codes * scales - array) <= 0.501 * scales).all()
    others = tuple(place for place in range(3) if place != axis)
    assert (np.abs(codes).max(axis=others) == 127).all()
    assert not _codes(0 * array, axis)[0].any()


def test_nothing_lies_in_other_files() -> None:
    small = store_small(onnx.load_model_from_string(decoder()), "float16")
    assert all(tensor.data_location == TensorProto.DEFAULT for tensor in small.graph.initializer)


def test_the_model_that_was_given_stays() -> None:
    model = onnx.load_model_from_string(decoder())
    before = model.SerializeToString()
    store_small(model, "int8")
    assert model.SerializeToString() == before


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e6])
def test_weights_that_float16_cannot_hold_are_refused(value: float) -> None:
    model = onnx.load_model_from_string(decoder())
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    array = numpy_helper.to_array(tensor).copy()
    array.flat[0] = value
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    with pytest.raises(BundleError, match="float16"):
        store_small(model, "float16")
