"""A decoder on ONNX Runtime: no PyTorch, one graph for prompts and for single tokens.

The graph is described in `segue.symbolic.model.onnx_graph`. Here are its caches: the prefix is
evaluated once in pieces and shared by all candidates; what the candidates add lies in buffers
with room to spare, so that a step copies only the new token's keys and values.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from segue.errors import BundleError
from segue.runtime.backend import (
    Ids,
    Logits,
    check_candidates,
    check_room,
    check_tokens,
    checked_rows,
)
from segue.runtime.bundle import Bundle
from segue.runtime.graph import checked_threads

INT8_GRAPH: Final = "model.int8.onnx"
FLOAT_GRAPH: Final = "model.onnx"

_PREFILL_TOKENS = 256
_ROOM_TOKENS = 64
_HIDDEN = np.float32(-1e9)
_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

Cache = npt.NDArray[np.float32]


class OnnxDecoder:
    """A language model in ONNX Runtime; see :class:`segue.runtime.backend.Decoder`.

    Attributes:
        vocab_size: number of tokens it knows.
        context_length: most tokens that a prefix and its continuation may have together.
    """

    def __init__(self, source: Bundle | Path | str, *, threads: int | None = None) -> None:
        """Open a graph.

        Args:
            source: a bundle, its folder or name, or a file ending in ``.onnx``. Of a bundle with
                both graphs the int8 one is taken.
            threads: threads within an operator. None is 1 thread: decoding reads memory and gains
                little from more, and loses much beside a busy process.

        Raises:
            BundleError: there is no such bundle, or its graph is damaged or not one of ours.
            SettingError: `threads` is not from 1 to 256.
        """
        self._path = _graph_path(source)
        self._session = _open(self._path, 1 if threads is None else checked_threads(threads))
        shapes = {node.name: node.shape for node in self._session.get_inputs()}
        outputs = {node.name: node.shape for node in self._session.get_outputs()}
        properties = self._session.get_modelmeta().custom_metadata_map
        try:
            self.num_layers, self._heads, _, _, self._dim = map(_size, outputs["new_keys"])
            self.vocab_size = int(outputs["logits"][2])
            self.context_length = int(properties["context_length"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BundleError(
                f"{self._path} is an ONNX graph, but not one that segue exported. "
                "Give a bundle written by segue midi export."
            ) from error
        self._uses_times = "times" in shapes

    def logits(self, ids: Ids, times: Ids) -> Logits:
        """Return the logits after every token, as in training.

        Args:
            ids: int64 [batch, tokens].
            times: int64 [batch, tokens].

        Returns:
            float32 [batch, tokens, vocab].

        Raises:
            SettingError: the shapes differ, a token is unknown, or the context is too short.
        """
        ids, times = self._checked(ids, times, shape=(-1, -1))
        rows = [
            self._read(row, time, every_row=True)[0] for row, time in zip(ids, times, strict=True)
        ]
        return np.stack(rows)

    def start(self, ids: Ids, times: Ids, *, num_candidates: int = 1) -> "OnnxSession":
        """Evaluate a prefix once and share it between `num_candidates` continuations.

        Args:
            ids: int64 [tokens], at least one.
            times: int64 [tokens].
            num_candidates: continuations that will be stepped together.

        Raises:
            SettingError: as for :meth:`logits`, or `num_candidates` is below 1.
        """
        check_candidates(num_candidates)
        ids, times = self._checked(ids, times, shape=(-1,))
        logits, keys, values = self._read(ids, times, every_row=False)
        return OnnxSession(self, keys, values, np.repeat(logits, num_candidates, axis=0))

    def last_values(self, ids: Ids, times: Ids) -> npt.NDArray[np.float32]:
        """Return what the heads of the last layer hand on of every token.

        These are the layer's attention values: a linear image of the normalised hidden state that
        enters the last block, so of the token in its context up to there.

        Args:
            ids: int64 [tokens].
            times: int64 [tokens].

        Returns:
            float32 [tokens, heads * dim].

        Raises:
            SettingError: as for :meth:`logits`.
        """
        ids, times = self._checked(ids, times, shape=(-1,))
        values = self._read(ids, times, every_row=False)[2][-1, :, 0]
        return np.ascontiguousarray(values.transpose(1, 0, 2)).reshape(len(ids), -1)

    def _checked(self, ids: Ids, times: Ids, *, shape: tuple[int, ...]) -> tuple[Ids, Ids]:
        """Return both as int64 arrays of the given shape that the model can take."""
        ids, times = np.asarray(ids, np.int64), np.asarray(times, np.int64)
        check_tokens(self, ids, times, shape=shape)
        check_room(self, ids.shape[-1])
        return ids, times

    def _read(self, ids: Ids, times: Ids, *, every_row: bool) -> tuple[Logits, Cache, Cache]:
        """Read tokens in pieces; return logits and the layers' keys and values.

        Returns:
            logits [tokens or 1, vocab]; keys and values [layers, heads, 1, tokens, dim].
        """
        shape = (self.num_layers, self._heads, 1, len(ids), self._dim)
        keys, values = np.empty(shape, np.float32), np.empty(shape, np.float32)
        nothing = self.new_cache(1, 0)
        logits: list[Logits] = []
        for begin in range(0, len(ids), _PREFILL_TOKENS):
            end = min(begin + _PREFILL_TOKENS, len(ids))
            count = end - begin
            rows = np.arange(0 if every_row else count - 1, count, dtype=np.int64)
            feeds: dict[str, npt.NDArray[Any]] = {
                "ids": ids[None, begin:end],
                "positions": np.arange(begin, end, dtype=np.int64),
                "rows": rows,
                "bias": np.triu(np.full((count, count), _HIDDEN), 1),
                **self.cache_feeds("prefix", keys[:, :, :, :begin], values[:, :, :, :begin]),
                **self.cache_feeds("past", nothing, nothing),
            }
            if self._uses_times:
                feeds["times"] = times[None, begin:end]
            found, new_keys, new_values = self._session.run(
                ["logits", "new_keys", "new_values"], feeds
            )
            keys[:, :, :, begin:end], values[:, :, :, begin:end] = new_keys, new_values
            logits.append(found[0])
        return np.concatenate(logits) if every_row else logits[-1], keys, values

    def new_cache(self, batch: int, tokens: int) -> Cache:
        """Return an empty cache [layers, heads, batch, tokens, dim]."""
        return np.zeros((self.num_layers, self._heads, batch, tokens, self._dim), np.float32)

    def cache_feeds(self, part: str, keys: Cache, values: Cache) -> dict[str, Cache]:
        """Return the graph's inputs for one part of the cache, layer by layer."""
        feeds = {f"{part}_keys_{layer}": keys[layer] for layer in range(self.num_layers)}
        feeds |= {f"{part}_values_{layer}": values[layer] for layer in range(self.num_layers)}
        return feeds

    def bind(self, feeds: dict[str, npt.NDArray[Any]], outputs: dict[str, Cache]) -> Any:
        """Tie arrays to the graph's inputs and outputs; they are read and written in place."""
        binding = self._session.io_binding()
        for name, array in feeds.items():
            if name != "times" or self._uses_times:
                binding.bind_cpu_input(name, array)
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return binding

    def run(self, binding: Any) -> None:
        """Run the graph on bound arrays."""
        self._session.run_with_iobinding(binding)


class OnnxSession:
    """Candidates that go on from one prefix; see :class:`segue.runtime.backend.Session`.

    Attributes:
        logits: float32 [num_candidates, vocab], for the next token.
    """

    def __init__(self, decoder: OnnxDecoder, keys: Cache, values: Cache, logits: Logits) -> None:
        """Stand after a prefix whose caches are `keys` and `values`; see OnnxDecoder.start."""
        self.logits = logits
        self._decoder = decoder
        self._prefix = decoder.cache_feeds("prefix", keys, values)
        self._prefix_tokens = keys.shape[3]
        self._added = 0
        batch = len(logits)
        self._keys = decoder.new_cache(batch, _ROOM_TOKENS)
        self._values = decoder.new_cache(batch, _ROOM_TOKENS)
        self._bind()

    def step(self, ids: Ids, times: Ids) -> Logits:
        """Give every candidate its next token; see :meth:`segue.runtime.backend.Session.step`."""
        ids, times = np.asarray(ids, np.int64), np.asarray(times, np.int64)
        check_tokens(self._decoder, ids, times, shape=(len(self.logits),))
        index = self._prefix_tokens + self._added
        check_room(self._decoder, index + 1)
        if self._added == self._keys.shape[3]:
            self._grow()
        self._ids[:, 0], self._times[:, 0], self._positions[0] = ids, times, index
        self._decoder.run(self._binding)
        self._keys[:, :, :, self._added] = self._new_keys[:, :, :, 0]
        self._values[:, :, :, self._added] = self._new_values[:, :, :, 0]
        self._bias[0, self._added] = 0.0
        self._added += 1
        self.logits = self._found[:, 0].copy()
        return self.logits

    def keep(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> None:
        """Go on with these candidates only; see :meth:`segue.runtime.backend.Session.keep`."""
        chosen = checked_rows(rows, len(self.logits))
        self.logits = self.logits[chosen]
        self._keys = np.ascontiguousarray(self._keys[:, :, chosen])
        self._values = np.ascontiguousarray(self._values[:, :, chosen])
        self._bind()

    def _grow(self) -> None:
        """Make room for more tokens in the candidates' own caches."""
        room = ((0, 0), (0, 0), (0, 0), (0, _ROOM_TOKENS), (0, 0))
        self._keys, self._values = np.pad(self._keys, room), np.pad(self._values, room)
        self._bind()

    def _bind(self) -> None:
        """Tie the present buffers to the graph."""
        decoder, batch, room = self._decoder, len(self.logits), self._keys.shape[3]
        self._ids = np.zeros((batch, 1), np.int64)
        self._times = np.zeros((batch, 1), np.int64)
        self._positions = np.zeros(1, np.int64)
        self._bias = np.full((1, room + 1), _HIDDEN)
        self._bias[0, : self._added] = 0.0
        self._bias[0, room] = 0.0
        self._found = np.zeros((batch, 1, decoder.vocab_size), np.float32)
        self._new_keys, self._new_values = decoder.new_cache(batch, 1), decoder.new_cache(batch, 1)
        feeds: dict[str, npt.NDArray[Any]] = {
            "ids": self._ids,
            "times": self._times,
            "positions": self._positions,
            "rows": np.zeros(1, np.int64),
            "bias": self._bias,
            **self._prefix,
            **decoder.cache_feeds("past", self._keys, self._values),
        }
        outputs = {
            "logits": self._found,
            "new_keys": self._new_keys,
            "new_values": self._new_values,
        }
        self._binding = decoder.bind(feeds, outputs)
        self._bound = (feeds, outputs)


def _size(value: object) -> int:
    """Return a dimension as a number; -1 where the graph leaves it open."""
    return value if isinstance(value, int) else -1


def _graph_path(source: Bundle | Path | str) -> Path:
    """Return the ONNX file that a bundle, a folder, a name or a path stands for."""
    if not isinstance(source, Bundle):
        if Path(source).suffix == ".onnx":
            return Path(source)
        source = Bundle.open(source)
    return source.path(INT8_GRAPH if source.has(INT8_GRAPH) else FLOAT_GRAPH)


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open a session; the graphs are exported optimised, so nothing is optimised here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads == 1 or (os.cpu_count() or 1) <= threads:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        reason = str(error).splitlines()[0][:200]
        raise BundleError(
            f"The model {path} cannot be opened: it is missing, damaged, or needs a newer "
            f"onnxruntime than {onnxruntime.__version__} ({reason}). Check it with segue models "
            "verify, or update onnxruntime."
        ) from error
