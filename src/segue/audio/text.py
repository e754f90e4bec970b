"""Vectors of texts, for asking a model in words: an offline default, and any larger model by its name.

``wordllama`` is a table of word vectors that comes inside the wheel of that name (256 numbers for each
of 32,000 pieces of words; a text is their mean). Its files are read here with NumPy; its own loader,
which may ask a server, is not used. ``sentence-transformers:NAME`` and ``clap:NAME`` are the folder of a
model, or the name of one that was fetched before: nothing is downloaded here.
"""

import importlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segue.core.config import nearest
from segue.errors import BundleError, MissingExtraError, SettingError

DEFAULT_TEXT_ENCODER = "wordllama"

Array = NDArray[np.float32]

_TABLE = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TENSOR = "embedding.weight"
_TEXTS_AT_ONCE = 64


class TextEncoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: what `open_text_encoder` knows it by.
        dims: length of a vector.
    """

    name: str
    dims: int

    def encode(self, texts: Sequence[str]) -> Array:
        """Return a vector of length 1 for each text, of an empty one zeros. Shape ``texts dims``."""
        ...


@lru_cache(maxsize=4)
def open_text_encoder(name: str = DEFAULT_TEXT_ENCODER) -> TextEncoder:
    """Open a text encoder, once in each process.

    Args:
        name: ``wordllama``, ``sentence-transformers:NAME`` or ``clap:NAME``; NAME is a folder, or what
            the model is called where it was fetched from.

    Raises:
        SettingError: there is no encoder of that kind; the message names the nearest.
        MissingExtraError: its package or its weights are not installed.
        BundleError: its files are damaged.

    Example:
        >>> open_text_encoder().encode(["slow sad piano", ""]).shape  # doctest: +SKIP
        (2, 256)
    """
    kind, _, model = name.partition(":")
    if kind not in _OPENERS or (kind == DEFAULT_TEXT_ENCODER) == bool(model):
        known = [
            DEFAULT_TEXT_ENCODER,
            *(f"{other}:NAME" for other in _OPENERS if other != "wordllama"),
        ]
        guess = nearest(kind, list(_OPENERS))
        meant = f" Did you mean {next(k for k in known if k.startswith(guess))}?" if guess else ""
        raise SettingError(
            f"There is no text encoder {name!r}.{meant} There are {', '.join(known)}."
        )
    return _OPENERS[kind](model)


def missing_for(name: str) -> str:
    """Return what to install before texts can be read, nothing where all is there; quick to ask.

    Args:
        name: of an encoder, as `open_text_encoder` knows it.
    """
    kind, _, _ = name.partition(":")
    packages = {
        DEFAULT_TEXT_ENCODER: (("wordllama", "tokenizers"), "segue[text]"),
        "sentence-transformers": (("sentence_transformers",), "sentence-transformers"),
        "clap": (("transformers", "torch"), "transformers torch"),
    }
    modules, install = packages.get(kind, ((), ""))
    return install if any(find_spec(module) is None for module in modules) else ""


def to_length_one(vectors: NDArray[Any], texts: Sequence[str]) -> Array:
    """Return vectors with length 1, those of empty texts as zeros. Shape ``texts dims``."""
    rows = np.array(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    rows[[not text.strip() for text in texts]] = 0
    return rows


class WordVectors:
    """The mean of static vectors of the pieces of words, in lower case.

    Source: WordLlama 0.4.0 (D. L. Miller, MIT), the table ``l2_supercat`` of 256 dimensions.

    Args:
        table: a vector for each piece. Shape ``pieces dims``.
        tokenizer: splits texts, see the package ``tokenizers``.
    """

    name = DEFAULT_TEXT_ENCODER

    def __init__(self, table: NDArray[np.float16], tokenizer: Any) -> None:
        self._table, self._tokenizer = table, tokenizer
        self.dims = table.shape[1]

    def encode(self, texts: Sequence[str]) -> Array:
        """Return a vector of length 1 for each text, of an empty one zeros. Shape ``texts dims``."""
        lower = [text.strip().lower() for text in texts]
        pieces = self._tokenizer.encode_batch(lower, add_special_tokens=False)
        rows = np.zeros((len(lower), self.dims), np.float32)
        for row, found in zip(rows, pieces, strict=True):
            if found.ids:
                row[:] = self._table[found.ids].astype(np.float32).mean(axis=0)
        return to_length_one(rows, texts)


def _open_word_vectors(_: str) -> TextEncoder:
    spec = find_spec("wordllama")
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders or find_spec("tokenizers") is None:
        raise MissingExtraError(
            "Asking in words needs word vectors that are not installed here. Install them with "
            "`pip install 'segue[text]'`."
        )
    table, tokenizer = Path(folders[0]) / _TABLE, Path(folders[0]) / _TOKENIZER
    if not (table.is_file() and tokenizer.is_file()):
        raise BundleError(
            f"{folders[0]} lacks {_TABLE} or {_TOKENIZER}: this version of wordllama is not known. "
            "Install the one that is, with `pip install 'segue[text]'`."
        )
    pieces = importlib.import_module("tokenizers").Tokenizer.from_file(str(tokenizer))
    pieces.no_padding()
    pieces.no_truncation()
    return WordVectors(read_table(table), pieces)


def read_table(path: Path) -> NDArray[np.float16]:
    """Return the table of 16-bit vectors in a safetensors file. Shape ``pieces dims``.

    Source of the format: https://huggingface.co/docs/safetensors (8 bytes of length, a heading in
    JSON, the numbers).

    Raises:
        BundleError: there is no such table in it.
    """
    try:
        body = path.read_bytes()
        size = int.from_bytes(body[:8], "little")
        entry = json.loads(body[8 : 8 + size])[_TENSOR]
        first, last = (8 + size + offset for offset in entry["data_offsets"])
        if entry["dtype"] != "F16":
            raise ValueError(f"numbers of the kind {entry['dtype']}")
        return np.frombuffer(body[first:last], "<f2").reshape(entry["shape"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path} does not hold the word vectors it should ({error}). Install the package anew."
        ) from error


class _Sentences:
    """A model of the package sentence-transformers."""

    def __init__(self, model: Any, name: str) -> None:
        self._model, self.name = model, f"sentence-transformers:{name}"
        self.dims = self.encode(["music"]).shape[1]

    def encode(self, texts: Sequence[str]) -> Array:
        """Return a vector of length 1 for each text, of an empty one zeros. Shape ``texts dims``."""
        return to_length_one(
            self._model.encode(list(texts), show_progress_bar=False, convert_to_numpy=True), texts
        )


def _open_sentences(name: str) -> TextEncoder:
    package = _need("sentence_transformers", "sentence-transformers")
    model = _from_disk(
        lambda: package.SentenceTransformer(name, device="cpu", local_files_only=True), name
    )
    return _Sentences(model, name)


class _Clap:
    """The text half of a CLAP model, as the package transformers has it."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self._model, self._tokenizer, self.name = model.eval(), tokenizer, f"clap:{name}"
        self.dims = self.encode(["music"]).shape[1]

    def encode(self, texts: Sequence[str]) -> Array:
        """Return a vector of length 1 for each text, of an empty one zeros. Shape ``texts dims``."""
        rows = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            tokens = self._tokenizer(
                list(texts[start : start + _TEXTS_AT_ONCE]),
                padding=True,
                truncation=True,
                return_tensors="pt",
            )
            rows.append(self._model(**tokens).text_embeds.detach().numpy())
        found = np.concatenate(rows) if rows else np.zeros((0, self.dims))
        return to_length_one(found, texts)


def _open_clap(name: str) -> TextEncoder:
    _need("torch", "torch")
    package = _need("transformers", "transformers")
    model = _from_disk(
        lambda: package.ClapTextModelWithProjection.from_pretrained(name, local_files_only=True),
        name,
    )
    tokenizer = _from_disk(
        lambda: package.AutoTokenizer.from_pretrained(name, local_files_only=True), name
    )
    return _Clap(model, tokenizer, name)


def _need(module: str, package: str) -> Any:
    """Import an optional package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"This text encoder needs the package {package}, which is not installed. Run "
            f"`pip install {package}`, or take {DEFAULT_TEXT_ENCODER}, which comes with the extra text."
        ) from error


def _from_disk(open_it: Callable[[], Any], name: str) -> Any:
    """Open a model that lies on this machine.

    Raises:
        MissingExtraError: it does not.
    """
    try:
        return open_it()
    except (OSError, ValueError) as error:
        raise MissingExtraError(
            f"The text model {name} is not on this machine ({str(error).splitlines()[0]}). Fetch it "
            f"with `hf download {name}`, or give the folder it lies in."
        ) from error


_OPENERS: dict[str, Callable[[str], TextEncoder]] = {
    DEFAULT_TEXT_ENCODER: _open_word_vectors,
    "sentence-transformers": _open_sentences,
    "clap": _open_clap,
}
