"""Markov chains with backoff over the tokens of an answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.stream import Ids


@dataclass(frozen=True, eq=False)
class _Table:
    """Counts of n-grams of one length, sorted by code."""

    grams: Ids
    counts: Ids
    histories: Ids
    totals: Ids
    kinds: Ids


@dataclass(frozen=True, eq=False)
class MarkovChain:
    """An n-gram model of answers with Witten-Bell interpolation down to the uniform distribution.

    ``P(w | h) = (c(h w) + t(h) P(w | h')) / (c(h) + t(h))`` with ``t(h)`` the number of different
    tokens seen after ``h`` and ``h'`` the history one token shorter. Source: Witten and Bell, 1991;
    Chen and Goodman, "An Empirical Study of Smoothing Techniques", 1998, section 2.

    Attributes:
        order: number of tokens of history, 0 is the unigram model.
        vocab_size: number of tokens.
    """

    order: int
    vocab_size: int
    tables: tuple[_Table, ...]

    @classmethod
    def fit(cls, answers: Iterable[Ids], *, order: int, vocab_size: int) -> Self:
        """Count the n-grams of answers; each begins with the token that precedes the answer (SEP)."""
        collected = [np.asarray(answer, np.int64) for answer in answers]
        tables = []
        for length in range(1, order + 2):
            codes = np.concatenate([_codes(answer, length, vocab_size) for answer in collected])
            tables.append(_count(codes, vocab_size))
        return cls(order, vocab_size, tuple(tables))

    def log_probs(self, answer: Ids) -> NDArray[np.float64]:
        """Return the natural log-probability of every token but the first. Shape ``tokens - 1``."""
        answer = np.asarray(answer, np.int64)
        probs = np.full(len(answer) - 1, 1.0 / self.vocab_size)
        for length, table in enumerate(self.tables, 1):
            codes = _codes(answer, length, self.vocab_size)
            if length == 1:
                codes = codes[1:]
            reached = slice(max(length - 2, 0), None)
            probs[reached] = self._interpolate(table, codes, probs[reached])
        return np.log(probs)

    def _interpolate(
        self, table: _Table, codes: Ids, lower: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        counts = _look_up(table.grams, table.counts, codes)
        totals = _look_up(table.histories, table.totals, codes // self.vocab_size)
        kinds = _look_up(table.histories, table.kinds, codes // self.vocab_size)
        seen = totals > 0
        mixed = (counts + kinds * lower) / np.maximum(totals + kinds, 1)
        return np.where(seen, mixed, lower)


def _codes(answer: Ids, length: int, vocab_size: int) -> Ids:
    """Return every n-gram of the answer as one number, the last token least significant."""
    codes = np.zeros(max(len(answer) - length + 1, 0), np.int64)
    for offset in range(length):
        codes = codes * vocab_size + answer[offset : offset + len(codes)]
    return codes


def _count(codes: Ids, vocab_size: int) -> _Table:
    grams, counts = np.unique(codes, return_counts=True)
    histories, starts, kinds = np.unique(grams // vocab_size, return_index=True, return_counts=True)
    totals = np.add.reduceat(counts, starts) if len(counts) else counts
    return _Table(grams, counts, histories, totals, kinds)


def _look_up(keys: Ids, values: Ids, wanted: Ids) -> Ids:
    """Return the value of every wanted key, 0 where it is missing."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
