"""Read the tensors of a PyTorch checkpoint of the old kind (before 1.6), without running anything in it.

Such a file is four pickles (magic number, version, system, contents), the list of storages, and their
raw numbers. `torch.load` with ``weights_only`` refuses some of these files, for an instruction that
its safe reader lacks. The pickles are read here as the list of instructions that they are: values are
put together, no class is looked up and no function called. Anything unexpected is an error.

Source: `pickletools` of the standard library, which describes every instruction.
"""

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.errors import BundleError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_MARK: Final = object()

_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
}
_TENSOR = "torch._utils _rebuild_tensor_v2"
_DICT = "collections OrderedDict"
_GLOBALS: Final = {*_DTYPES, _TENSOR, _DICT}
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS: Final = {
    "BININT", "BININT1", "BININT2", "INT", "LONG1", "BINFLOAT",
    "SHORT_BINSTRING", "BINSTRING", "BINUNICODE",
}  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    """Raw numbers in the file, by the name that the list of storages uses."""

    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(content: bytes) -> dict[str, Any]:
    """Return what was saved, tensors as arrays that cannot be written to.

    Args:
        content: the whole file.

    Raises:
        BundleError: the file is not such a checkpoint, or is damaged.
    """
    try:
        stream = io.BytesIO(content)
        head = [_Machine().run(stream) for _ in range(3)]
        if head[:2] != [_MAGIC, _VERSION] or not head[2]["little_endian"]:
            raise ValueError("it begins differently")
        saved = _Machine().run(stream)
        keys = _Machine().run(stream)
        places = _places(content, stream.tell(), keys, _storages(saved))
        found = _filled(saved, content, places)
        checkpoint: dict[str, Any] = dict(found)
    except (IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BundleError(
            f"A file that should be a PyTorch checkpoint cannot be read as one ({error}). "
            "Fetch it again."
        ) from error
    return checkpoint


class _Machine:
    """Carries out the few instructions that such a pickle needs."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "MARK": lambda _: self.stack.append(_MARK),
            "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_LIST": lambda _: self.stack.append([]),
            "EMPTY_TUPLE": lambda _: self.stack.append(()),
            "TUPLE": lambda _: self.stack.append(tuple(self._marked())),
            "TUPLE1": lambda _: self.stack.append(self._last(1)),
            "TUPLE2": lambda _: self.stack.append(self._last(2)),
            "TUPLE3": lambda _: self.stack.append(self._last(3)),
            "APPEND": lambda _: self._append(list(self._last(1))),
            "APPENDS": lambda _: self._append(self._marked()),
            "SETITEM": lambda _: self._set(list(self._last(2))),
            "SETITEMS": lambda _: self._set(self._marked()),
            "GLOBAL": self._name,
            "BINPERSID": lambda _: self._persist(),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._forget(),
            **dict.fromkeys(("BINPUT", "LONG_BINPUT"), self._put),
            **dict.fromkeys(("BINGET", "LONG_BINGET"), self._get),
            **dict.fromkeys(_NUMBERS, self.stack.append),
        }

    def run(self, stream: io.BytesIO) -> Any:
        """Read one pickle from a stream and return its value."""
        for code, argument, _ in pickletools.genops(stream):
            if code.name == "STOP":
                return self.stack.pop()
            if code.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[code.name])
            elif code.name in self.steps:
                self.steps[code.name](argument)
            else:
                raise ValueError(f"the instruction {code.name} is not known")
        raise ValueError("it ends too early")

    def _last(self, count: int) -> tuple[Any, ...]:
        """Take the uppermost values."""
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def _marked(self) -> list[Any]:
        """Take what lies above the last mark."""
        place = max(i for i, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _forget(self) -> None:
        """Leave out what is set on an ordered dictionary besides its entries."""
        self._last(1)

    def _append(self, values: list[Any]) -> None:
        self.stack[-1].extend(values)

    def _set(self, values: list[Any]) -> None:
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def _put(self, number: Any) -> None:
        self.memo[number] = self.stack[-1]

    def _get(self, number: Any) -> None:
        self.stack.append(self.memo[number])

    def _name(self, name: Any) -> None:
        if name not in _GLOBALS:
            raise ValueError(f"it names {name!r}")
        self.stack.append(name)

    def _persist(self) -> None:
        """Make a storage of ("storage", type, key, device, size, view)."""
        kind, dtype, key, _, size, view = self._last(1)[0]
        if kind != "storage" or view is not None:
            raise ValueError("a storage is of an unknown kind")
        self.stack.append(_Storage(key, _DTYPES[dtype], size))

    def _reduce(self) -> None:
        """Put a tensor or an ordered dictionary together."""
        name, arguments = self._last(2)
        if name == _TENSOR:
            self.stack.append(_Tensor(*arguments[:4]))
        elif name == _DICT:
            self.stack.append(dict(*arguments))
        else:
            raise ValueError(f"{name!r} cannot be made")


def _storages(value: Any) -> dict[str, _Storage]:
    """Collect the storages of everything that was saved."""
    if isinstance(value, _Tensor):
        return {value.storage.key: value.storage}
    inside = value.values() if isinstance(value, dict) else value
    found: dict[str, _Storage] = {}
    if isinstance(value, dict | list | tuple):
        for part in inside:
            found |= _storages(part)
    return found


def _places(
    content: bytes, start: int, keys: list[str], storages: dict[str, _Storage]
) -> dict[str, int]:
    """Return where the numbers of each storage begin: each behind a count of eight bytes."""
    places = {}
    for key in keys:
        size = int.from_bytes(content[start : start + 8], "little")
        if size != storages[key].size:
            raise ValueError("a storage has another size than stated")
        places[key] = start + 8
        start += 8 + size * storages[key].dtype.itemsize
    if start != len(content):
        raise ValueError("it ends at another place than stated")
    return places


def _filled(value: Any, content: bytes, places: dict[str, int]) -> Any:
    """Put arrays in the place of tensors."""
    if isinstance(value, _Tensor):
        return _array(value, content, places[value.storage.key])
    if isinstance(value, dict):
        return {key: _filled(part, content, places) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_filled(part, content, places) for part in value)
    return value


def _array(tensor: _Tensor, content: bytes, place: int) -> NDArray[Any]:
    """Return one tensor, after a look that it lies within its storage."""
    storage = tensor.storage
    numbers = np.frombuffer(content, storage.dtype, storage.size, place)
    pairs = list(zip(tensor.shape, tensor.strides, strict=True))
    if min([tensor.offset, *tensor.shape, *tensor.strides]) < 0:
        raise ValueError("a tensor has a size below 0")
    last = tensor.offset + sum((size - 1) * stride for size, stride in pairs)
    if 0 not in tensor.shape and last >= storage.size:
        raise ValueError("a tensor reaches beyond its storage")
    size = storage.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        tensor.shape,
        [stride * size for stride in tensor.strides],
        writeable=False,
    )
