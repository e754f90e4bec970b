import numpy as np
import pytest

from segue.audio.evaluate.tf_checkpoint import read_tensors
from segue.errors import BundleError


def varint(value):
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def entry(array, offset):
    kind = {np.dtype("<f4"): 1, np.dtype("<i8"): 9}[array.dtype]
    dims = b"".join(
        b"\x12" + varint(len(dim)) + dim for dim in (b"\x08" + varint(n) for n in array.shape)
    )
    shape = b"\x12" + varint(len(dims)) + dims
    place = b"\x20" + varint(offset) + b"\x28" + varint(array.nbytes)
    return b"\x08" + bytes([kind]) + shape + place + b"\x35" + b"\0\0\0\0"


def block(pairs):
    content, last = b"", b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        own = key[shared:]
        content += varint(shared) + varint(len(own)) + varint(len(value)) + own + value
        last = key
    return content + b"\0\0\0\0" + (1).to_bytes(4, "little")


def checkpoint(tensors):
    """A checkpoint as TensorFlow writes it: index and data."""
    data, pairs = b"", [(b"", b"\x08\x01")]
    for name in sorted(tensors):
        pairs.append((name.encode(), entry(tensors[name], len(data))))
        data += tensors[name].tobytes()
    content = block(pairs)
    first = content + b"\0" + b"\0\0\0\0"
    handle = varint(0) + varint(len(content))
    index = block([(b"z", handle)])
    footer = varint(0) + varint(0) + varint(len(first)) + varint(len(index))
    table = first + index + b"\0" + b"\0\0\0\0" + footer.ljust(40, b"\0")
    return table + (0xDB4775248B80FB57).to_bytes(8, "little"), data


TENSORS = {
    "conv/kernel": np.arange(600, dtype="<f4").reshape(5, 6, 20),
    "conv/bias": np.arange(3, dtype="<f4"),
    "step": np.array(7, dtype="<i8"),
}


def test_tensors_come_back_by_name_with_their_shapes():
    found = read_tensors(*checkpoint(TENSORS))
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)


@pytest.mark.parametrize("damage", ["no footer", "no data", "compressed", "empty"])
def test_a_damaged_checkpoint_is_an_error_that_says_so(damage):
    index, data = checkpoint(TENSORS)
    if damage == "no footer":
        index = index[:-8] + bytes(8)
    elif damage == "no data":
        data = data[:-1]
    elif damage == "compressed":
        end = index.index(b"\0\0\0\0" + (1).to_bytes(4, "little")) + 8
        index = index[:end] + b"\1" + index[end + 1 :]
    else:
        index = b""
    with pytest.raises(BundleError, match="checkpoint"):
        read_tensors(index, data)
