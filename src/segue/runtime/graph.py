"""An ONNX graph as a function of named arrays."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from segue.errors import BundleError, SettingError

MOST_THREADS: Final = 8
"""More threads than this gain nothing on networks of this size."""

LIMIT_THREADS: Final = 256
"""More are taken for a slip of the pen."""

_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

Arrays = Mapping[str, NDArray[Any]]


class Runner(Protocol):
    """What runs a network: ONNX Runtime, or anything that a test puts in its place."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that it takes."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the arrays that it gives."""

    def __call__(self, feeds: Arrays) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name."""


class Graph:
    """An ONNX file, optimised when it is opened; weights stored small become float32 then.

    Attributes:
        inputs: names of the arrays that it takes.
        outputs: names of those that it gives.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None) -> None:
        """Open a graph.

        Args:
            path: a file ending in ``.onnx``.
            threads: within an operator; None is one for each processor, eight at most.

        Raises:
            BundleError: the file is missing, damaged or too new.
            SettingError: `threads` is not from 1 to 256.
        """
        self.path = Path(path)
        self._session = _open(self.path, _threads(threads))
        self.inputs = tuple(node.name for node in self._session.get_inputs())
        self.outputs = tuple(node.name for node in self._session.get_outputs())

    def __call__(self, feeds: Arrays) -> dict[str, NDArray[np.float32]]:
        """Run the graph.

        Args:
            feeds: the inputs by name; what the graph does not know is left out.

        Returns:
            The outputs by name.

        Raises:
            BundleError: an input is missing, or the arrays do not fit the graph.
        """
        try:
            known = {name: np.ascontiguousarray(feeds[name]) for name in self.inputs}
            return dict(zip(self.outputs, self._session.run(None, known), strict=True))
        except (KeyError, ValueError, *_ERRORS) as error:
            reason = str(error).splitlines()[0][:200]
            raise BundleError(
                f"The model {self.path} does not take what it was given ({reason}). "
                "Its config and its graphs do not belong together: export the bundle again."
            ) from error


def _threads(threads: int | None) -> int:
    """Return how many threads to use."""
    if threads is None:
        return max(1, min(MOST_THREADS, _processors()))
    return checked_threads(threads)


def checked_threads(threads: int) -> int:
    """Return a number of threads that a process can have.

    Raises:
        SettingError: it is below 1, or so large that the system would end the process.
    """
    if not 1 <= threads <= LIMIT_THREADS:
        raise SettingError(f"threads is {threads}; give a whole number from 1 to {LIMIT_THREADS}.")
    return threads


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open a session; memory is given back after every run rather than kept for the next."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _ERRORS as error:
        reason = str(error).splitlines()[0][:200]
        raise BundleError(
            f"The model {path} cannot be opened: it is missing, damaged, or needs a newer "
            f"onnxruntime than {onnxruntime.__version__} ({reason}). Check it with segue models "
            "verify, or update onnxruntime."
        ) from error
