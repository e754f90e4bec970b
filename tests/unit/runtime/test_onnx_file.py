"""Weights read without the `onnx` package are those that it reads."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segue.errors import BundleError
from segue.runtime.bundle import Bundle
from segue.runtime.onnx_file import read_weight

ARRAYS = {
    "half": np.linspace(-1, 1, 6).astype(np.float16).reshape(2, 3),
    "single": np.arange(300, dtype=np.float32).reshape(3, 4, 25),
    "bytes": np.arange(256, dtype=np.uint8),
    "wide": np.array([-(2**40), 7], np.int64),
    "scalar": np.array(2.5, np.float32),
    "nothing": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    constants = [numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [out], constants)
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("name", ARRAYS)
def test_every_type_and_shape(saved: Path, name: str) -> None:
    found = read_weight(saved, name)
    assert found.dtype == ARRAYS[name].dtype
    assert found.shape == ARRAYS[name].shape
    np.testing.assert_array_equal(found, ARRAYS[name])


def test_all_weights_of_the_bundled_model() -> None:
    path = Bundle.open("midigpt-small").path("model.int8.onnx")
    for tensor in onnx.load(str(path)).graph.initializer:
        expected = numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(read_weight(path, tensor.name), expected)


def test_what_is_not_there_is_said(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no constant 'lost'"):
        read_weight(saved, "lost")
    with pytest.raises(BundleError, match="Cannot read"):
        read_weight(tmp_path / "none.onnx", "half")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_is_said(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError):
        read_weight(saved, "nothing")


def test_noise_is_said(tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    for seed in range(50):
        path.write_bytes(np.random.default_rng(seed).bytes(200))
        with pytest.raises(BundleError):
            read_weight(path, "half")
