"""From a file to the token ids of one tokenizer, in a worker process."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.core.files import sha256_of
from segue.symbolic.vocabulary import Vocabulary


class Encoded(NamedTuple):
    """The tokens of a piece.

    Attributes:
        ids: token ids. Shape ``tokens``.
        bars: number of bars.
    """

    ids: NDArray[np.int64]
    bars: int


class Encoder:
    """Encodes files with the tokenizer of a ``tokenizer.json``.

    Args:
        path: the ``tokenizer.json``.
    """

    def __init__(self, path: Path) -> None:
        from miditok import REMI

        self.sha256 = sha256_of(path)
        self.vocabulary = Vocabulary.from_file(path)
        self._remi = REMI(params=path)
        self.size = len(self._remi)
        self.dtype = np.dtype(np.uint16 if self.size <= 2**16 else np.uint32)

    def encode(self, path: Path) -> Encoded:
        """Return the tokens of a file."""
        ids = np.array(self._remi(path).ids, np.int64)
        return Encoded(ids, int((ids == self.vocabulary.id("Bar_None")).sum()))
