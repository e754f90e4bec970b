"""The tokenizer of a model in one object: vocabulary, merges, files to ids and back."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from segue.errors import DataError
from segue.symbolic import codec
from segue.symbolic.bpe import Merges
from segue.symbolic.stream import Ids, Stream
from segue.symbolic.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A ``tokenizer.json``, read without MidiTok and giving MidiTok's ids.

    Attributes:
        vocabulary: the base tokens.
        merges: merged tokens, None where the tokenizer was not trained.
    """

    vocabulary: Vocabulary
    merges: Merges | None

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """Read a ``tokenizer.json`` that MidiTok saved; a file is read once as long as it stays.

        Raises:
            BundleError: the file is missing, damaged, or not of a kind that the codec knows.
        """
        return cls(*_read(*_identity(Path(path))))

    @property
    def size(self) -> int:
        """Number of tokens, merged ones included."""
        return self.vocabulary.size if self.merges is None else self.merges.size

    def encode_file(self, path: Path | str) -> Ids:
        """Return the token ids of a MIDI file. Shape ``tokens``.

        Raises:
            DataError: the file cannot be read, or its times make no piece of music.
        """
        ids = codec.encode_file(self.vocabulary, path)
        return ids if self.merges is None else self.merges.encode(ids)

    def encode_stream(self, stream: Stream) -> Stream:
        """Return a stream of base tokens with the merges applied.

        A merged token has the time of its last base token.
        """
        return stream if self.merges is None else self.merges.encode_stream(stream)

    def to_base(self, ids: Ids) -> Ids:
        """Return the base tokens of a sequence of tokens.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        if self.merges is not None:
            return self.merges.decode(ids)
        ids = np.asarray(ids, np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.size:
            raise DataError(
                f"Token ids lie between {ids.min()} and {ids.max()}, the tokenizer has {self.size} "
                "tokens. They come from another tokenizer."
            )
        return ids


def _identity(path: Path) -> tuple[Path, int, int]:
    """Return what changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return path, 0, 0
    return path.resolve(), status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int, _bytes: int) -> tuple[Vocabulary, Merges | None]:
    vocabulary = Vocabulary.from_file(path)
    merges = Merges.from_file(path, vocabulary)
    return vocabulary, merges if len(merges) else None
