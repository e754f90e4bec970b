"""Read the tensors of a TensorFlow checkpoint (format V2) without TensorFlow, and without pickle.

Such a checkpoint is an ``.index`` file, a LevelDB table of names and places, and ``.data`` files of
raw little-endian numbers. Only what a table of names needs is implemented; anything unexpected is
an error. Sources: the LevelDB table format ("doc/table_format.md" there) and TensorFlow's
``tensor_bundle.proto``.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.errors import BundleError

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
}
"""Numbers of TensorFlow's ``DataType`` → what they are here."""

Tensors = dict[str, NDArray[Any]]


def read_tensors(index: bytes, data: bytes) -> Tensors:
    """Return all tensors of a checkpoint of one shard.

    Args:
        index: content of the ``.index`` file.
        data: content of the ``.data-00000-of-00001`` file.

    Raises:
        BundleError: the files are not such a checkpoint, or are damaged.
    """
    try:
        entries = list(_table(index))
        return {
            name.decode(): _tensor(dict(_fields(entry)), data) for name, entry in entries if name
        }
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise BundleError(
            f"A file that should be a TensorFlow checkpoint cannot be read as one ({error}). "
            "Fetch it again."
        ) from error


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the keys and values of a LevelDB table in order."""
    footer = content[-_FOOTER_BYTES:]
    if int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ValueError("the table has no footer")
    _, _, position = _handle(footer, 0)
    start, size, _ = _handle(footer, position)
    for _, handle in _block(content, start, size):
        block_start, block_size, _ = _handle(handle, 0)
        yield from _block(content, block_start, block_size)


def _block(content: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Give the keys and values of one block; keys leave out what they share with the last one."""
    if content[start + size] != 0:
        raise ValueError("the table is compressed")
    block = content[start : start + size]
    num_restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * num_restarts
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + length]
        position += length


def _handle(content: bytes, position: int) -> tuple[int, int, int]:
    """Read where a block is: its start, its size, and the position after the handle."""
    start, position = _varint(content, position)
    size, position = _varint(content, position)
    return start, size, position


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Read a number of 7-bit groups, lowest first; returns it and the position after it."""
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Give the fields of a protocol buffer message: pairs of (number, integer or bytes)."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield number, value
        elif kind == 2:
            length, position = _varint(message, position)
            yield number, message[position : position + length]
            position += length
        elif kind == 5:
            yield number, message[position : position + 4]
            position += 4
        else:
            raise ValueError(f"field {number} has the unknown kind {kind}")


def _tensor(entry: dict[int, Any], data: bytes) -> NDArray[Any]:
    """Cut one tensor out of the data: fields 1 type, 2 shape, 3 shard, 4 offset, 5 size in bytes."""
    dtype = _DTYPES[entry[1]]
    dims = [
        dict(_fields(dim)).get(1, 0) for number, dim in _fields(entry.get(2, b"")) if number == 2
    ]
    offset, size = entry.get(4, 0), entry.get(5, 0)
    if entry.get(3, 0) or offset + size > len(data) or size != dtype.itemsize * math.prod(dims):
        raise ValueError("a tensor lies outside the data")
    return np.frombuffer(data, dtype, math.prod(dims), offset).reshape(dims)
