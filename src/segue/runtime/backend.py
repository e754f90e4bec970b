"""What a model must be able to do to generate tokens, whatever runs it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class Session(Protocol):
    """A generation under way: one evaluated prefix, and candidates that go on from it.

    Attributes:
        logits: float32 [num_candidates, vocab], for the next token; equal rows after the start.
    """

    logits: Logits

    def step(self, ids: Ids, times: Ids) -> Logits:
        """Give every candidate its next token and return the logits of the one after.

        Args:
            ids: int64 [num_candidates].
            times: int64 [num_candidates], musical time of each token in vocabulary time units.

        Returns:
            float32 [num_candidates, vocab], also kept as :attr:`logits`.

        Raises:
            SettingError: the context is full, or the shapes do not fit.
        """
        ...

    def keep(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> None:
        """Go on with these candidates only, in this order; the others are dropped.

        Args:
            rows: indices into the present candidates; a boolean mask is not accepted.
        """
        ...


class Decoder(Protocol):
    """A language model over tokens with musical times.

    Attributes:
        vocab_size: number of tokens it knows.
        context_length: most tokens that a prefix and its continuation may have together.
    """

    vocab_size: int
    context_length: int

    def logits(self, ids: Ids, times: Ids) -> Logits:
        """Return the logits after every token, as in training.

        Args:
            ids: int64 [batch, tokens].
            times: int64 [batch, tokens].

        Returns:
            float32 [batch, tokens, vocab].
        """
        ...

    def start(self, ids: Ids, times: Ids, *, num_candidates: int = 1) -> Session:
        """Evaluate a prefix once and share it between `num_candidates` continuations.

        Args:
            ids: int64 [tokens], at least one.
            times: int64 [tokens].
            num_candidates: continuations that will be stepped together.
        """
        ...
