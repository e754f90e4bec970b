"""Decoders that look at the tokens so far and carry no state between steps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segue.runtime.backend import (
    Ids,
    Logits,
    check_candidates,
    check_room,
    check_tokens,
    checked_rows,
)
from segue.symbolic.vocabulary import TokenType, Vocabulary

CONTEXT_LENGTH = 1 << 20
"""Most tokens of baselines that have no limit of their own."""


class HistoryDecoder(ABC):
    """A `segue.runtime.backend.Decoder` whose logits are a function of the tokens before.

    Attributes:
        vocabulary: of the tokens.
        vocab_size: number of tokens.
        context_length: most tokens; there is no limit but memory.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.vocab_size = vocabulary.size
        self.context_length = CONTEXT_LENGTH

    @abstractmethod
    def tail(self, ids: Ids, first: int) -> Logits:
        """Return the logits after token `first` and every later one.

        Args:
            ids: one sequence. Shape ``tokens``.
            first: place in it.

        Returns:
            Shape ``tokens - first, vocab``.
        """

    def logits(self, ids: Ids, times: Ids) -> Logits:
        """Return the logits after every token. Shape ``batch tokens vocab``.

        Raises:
            SettingError: another shape, or a token outside the vocabulary.
        """
        check_tokens(self, ids, times, shape=(-1, -1))
        return np.stack([self.tail(row, 0) for row in ids])

    def start(self, ids: Ids, times: Ids, *, num_candidates: int = 1) -> "HistorySession":
        """Begin `num_candidates` continuations of a prefix.

        Raises:
            SettingError: no tokens, no candidates, or a token outside the vocabulary.
        """
        check_tokens(self, ids, times, shape=(-1,))
        check_candidates(num_candidates)
        return HistorySession(self, ids, num_candidates)


class HistorySession:
    """A generation by a `HistoryDecoder`.

    Attributes:
        logits: for the next token. Shape ``candidates vocab``.
    """

    def __init__(self, decoder: HistoryDecoder, ids: Ids, num_candidates: int) -> None:
        self._decoder = decoder
        self._ids = np.repeat(np.asarray(ids, np.int64)[None], num_candidates, axis=0)
        self.logits = np.repeat(decoder.tail(ids, len(ids) - 1), num_candidates, axis=0)

    def step(self, ids: Ids, times: Ids) -> Logits:
        """Give every candidate its next token and return the logits of the one after.

        Raises:
            SettingError: the context is full, or the shapes do not fit.
        """
        check_tokens(self._decoder, ids, times, shape=(len(self._ids),))
        check_room(self._decoder, self._ids.shape[1] + 1)
        self._ids = np.concatenate([self._ids, ids[:, None]], axis=1)
        last = self._ids.shape[1] - 1
        self.logits = np.concatenate([self._decoder.tail(row, last) for row in self._ids])
        return self.logits

    def keep(self, rows: Sequence[int] | NDArray[np.intp]) -> None:
        """Go on with these candidates only, in this order.

        Raises:
            SettingError: a row is not a present candidate.
        """
        chosen = checked_rows(rows, len(self._ids))
        self._ids, self.logits = self._ids[chosen], self.logits[chosen]


def answer_starts(vocabulary: Vocabulary, ids: Ids) -> Ids:
    """Return, for every token, the place of the last SEP at or before it, 0 where there is none.

    What stands before SEP is the end of the prompt; it says nothing about how the hole begins.
    """
    places = np.arange(len(ids))
    return np.maximum.accumulate(np.where(ids == vocabulary.first(TokenType.SEP), places, 0))
