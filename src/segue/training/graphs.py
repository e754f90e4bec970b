"""From a PyTorch module to an ONNX file with small weights that needs nothing beside it."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from segue.errors import BundleError, SettingError
from segue.runtime.graph import Graph

Storage = Literal["float32", "float16", "int8"]
"""How weights are kept in the file; whoever opens it computes in float32."""

_SMALL = 256
"""Tensors with fewer numbers stay float32: biases, norms, constants of the graph."""

_LARGEST_HALF = 65_504.0

TOLERANCE: Final[dict[str, float]] = {"float32": 2e-4, "float16": 0.02, "int8": 0.2}
"""How far a graph may be from the model: root mean square of the difference over that of the output."""


@dataclass(frozen=True)
class Port:
    """An input of a graph.

    Attributes:
        name: as the graph calls it.
        example: a tensor to trace with; its first axis is the batch, of at least 2.
        free: names of the axes that may have any length, by axis.
    """

    name: str
    example: Tensor
    free: dict[int, str]


def write_graph(
    module: nn.Module,
    path: Path | str,
    *,
    inputs: Sequence[Port],
    outputs: Sequence[str],
    storage: Storage = "float16",
) -> None:
    """Write a module as one ONNX file.

    Args:
        module: in evaluation mode, on the CPU, its parameters float32.
        path: the file.
        inputs: in the order of the module's arguments.
        outputs: names of what it returns.
        storage: of the weights.

    Raises:
        SettingError: the storage is unknown.
        BundleError: the weights hold infinite values, or values that `storage` cannot hold.
    """
    if storage not in get_args(Storage):
        raise SettingError(f"storage is {storage!r}; it can be {', '.join(get_args(Storage))}.")
    names = {name for port in inputs for name in port.free.values()}
    dims = {name: torch.export.Dim(name, min=1, max=1 << 20) for name in sorted(names)}
    shapes = tuple({axis: dims[name] for axis, name in port.free.items()} for port in inputs)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            tuple(port.example for port in inputs),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=[port.name for port in inputs],
            output_names=list(outputs),
            verbose=False,
        )
    if program is None:
        raise BundleError("PyTorch wrote no graph. Update torch and onnxscript.")
    model = store_small(program.model_proto, storage)
    onnx.checker.check_model(model)
    Path(path).write_bytes(model.SerializeToString())


def store_small(model: onnx.ModelProto, storage: Storage) -> onnx.ModelProto:
    """Return the graph with its weights stored in fewer bits, turned to float32 on loading.

    ``int8`` keeps matrices as whole numbers with one scale for every output channel, whichever axis
    leaves the smaller error, and all else as float16. ONNX Runtime computes both once, when the graph
    is opened, so that running costs what it did.

    Args:
        model: with float32 weights, none of them in other files; left unchanged.
        storage: what to keep.

    Raises:
        BundleError: a weight is infinite or too large.
    """
    small = onnx.ModelProto()
    small.CopyFrom(model)
    for value in small.metadata_props:
        value.Clear()
    graph = small.graph
    if storage != "float32":
        kept, nodes = [], []
        matrices = _matrices(graph)
        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype != np.float32 or array.size < _SMALL:
                kept.append(tensor)
                continue
            as_int8 = storage == "int8" and tensor.name in matrices
            made = _int8(tensor.name, array) if as_int8 else _half(tensor.name, array)
            kept += made[0]
            nodes += made[1]
        present = list(graph.node)
        del graph.initializer[:], graph.node[:]
        graph.initializer.extend(kept)
        graph.node.extend([*nodes, *present])
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.value_info[:]
    return small


def graph_error(graph: Graph, given: list[Tensor], wanted: Tensor) -> float:
    """Return the relative root mean square difference of a graph's first output.

    Args:
        graph: the graph.
        given: its inputs, in order.
        wanted: what the model gives for them.
    """
    feeds = {name: value.numpy() for name, value in zip(graph.inputs, given, strict=True)}
    found = graph(feeds)[graph.outputs[0]]
    expected = wanted.detach().numpy()
    difference = float(np.sqrt(np.mean(np.square(found - expected))))
    return difference / max(1e-12, float(np.sqrt(np.mean(np.square(expected)))))


def check_error(name: str, error: float, storage: Storage) -> None:
    """Raise BundleError where a graph is too far from its model."""
    if not error <= TOLERANCE[storage]:
        raise BundleError(
            f"The exported {name} differs from the model by {error:.2g} of its output; "
            f"{TOLERANCE[storage]:g} is allowed with {storage} weights. Store more bits, or export an "
            "earlier checkpoint."
        )


def _matrices(graph: Any) -> set[str]:
    """Return the names of the weights that a matrix product or a convolution reads."""
    return {
        name
        for node in graph.node
        if node.op_type in {"MatMul", "Gemm", "Conv", "ConvTranspose"}
        for name in node.input
    }


Stored = tuple[list[onnx.TensorProto], list[onnx.NodeProto]]


def _half(name: str, array: NDArray[np.float32]) -> Stored:
    """Return a tensor as float16 and the node that makes it float32 again."""
    if not np.abs(array).max() <= _LARGEST_HALF:
        raise BundleError(
            f"The weight {name} holds values that float16 cannot: the largest is "
            f"{np.abs(array).max():.3g}. Export an earlier checkpoint, or store float32."
        )
    tensor = numpy_helper.from_array(array.astype(np.float16), f"{name}.half")
    cast = helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
    return [tensor], [cast]


def _int8(name: str, array: NDArray[np.float32]) -> Stored:
    """Return a tensor as int8 with scales, and the nodes that make it float32 again."""
    if array.ndim < 2 or not np.isfinite(array).all():
        return _half(name, array)
    codes, scales = min(
        (_codes(array, axis) for axis in {0, array.ndim - 1 if array.ndim == 2 else 1}),
        key=lambda found: float(np.square(found[0] * found[1] - array).sum()),
    )
    tensors = [
        numpy_helper.from_array(codes, f"{name}.codes"),
        numpy_helper.from_array(scales, f"{name}.scales"),
    ]
    wide = f"{name}.wide"
    nodes = [
        helper.make_node("Cast", [tensors[0].name], [wide], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [wide, tensors[1].name], [name]),
    ]
    return tensors, nodes


def _codes(array: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return whole numbers and a scale for every index of an axis."""
    others = tuple(index for index in range(array.ndim) if index != axis)
    largest = np.abs(array).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(array / scales).astype(np.int8), scales


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about itself off the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
