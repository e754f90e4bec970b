"""Weights out of an ONNX file, without the `onnx` package.

ONNX Runtime runs graphs but does not give their constants back. An ONNX file is a protocol buffer
message, and of that format only three levels are needed: ModelProto.graph (field 7),
GraphProto.initializer (5), and the fields of TensorProto that hold a raw array.

Source: onnx.proto of the ONNX project; "Encoding", Protocol Buffers documentation.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.errors import BundleError

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_TYPES: Final = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def read_weight(path: Path | str, name: str) -> NDArray[Any]:
    """Return one constant of a graph that Segue exported, in the type in which it is stored.

    Args:
        path: a file ending in ``.onnx``.
        name: of the constant, such as ``embedding.weight``.

    Raises:
        BundleError: the file cannot be read, is damaged, or has no such constant.
    """
    try:
        content = memoryview(Path(path).read_bytes())
        for graph in _inside(content, _GRAPH):
            for tensor in _inside(graph, _INITIALIZER):
                if any(bytes(found).decode() == name for found in _inside(tensor, _NAME)):
                    return _array(tensor)
    except OSError as error:
        raise BundleError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (IndexError, KeyError, ValueError) as error:
        raise BundleError(
            f"{path} is damaged, or not an ONNX graph that segue exported ({error!r})."
        ) from error
    raise BundleError(f"{path} has no constant {name!r}; it is not a graph that segue exported.")


def _array(tensor: memoryview) -> NDArray[Any]:
    shape: list[int] = []
    kind, raw = 0, memoryview(b"")
    for field, wire, value in _fields(tensor):
        if field == _DIMS:
            shape += list(_varints(value)) if wire == _BYTES else [int(value)]
        elif field == _DATA_TYPE:
            kind = int(value)
        elif field == _RAW_DATA:
            raw = value
    return np.frombuffer(raw, np.dtype(_TYPES[kind])).reshape(shape)


def _inside(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Give the contents of every field of a number that holds bytes."""
    for field, wire, value in _fields(message):
        if field == wanted and wire == _BYTES:
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Give number, wire type and content of the fields of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED_32, _FIXED_64):
            size = 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(message):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, wire, message[at : at + size]
        at += size


def _varints(message: memoryview) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
