"""Markov chains with backoff over the tokens of an answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError
from segue.runtime.backend import Logits
from segue.symbolic.baselines.histories import HistoryDecoder, answer_starts
from segue.symbolic.stream import Ids
from segue.symbolic.vocabulary import Vocabulary


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

    def lower(self, order: int) -> Self:
        """Return the chain of a lower order that the same counts make."""
        return type(self)(order, self.vocab_size, self.tables[: order + 1])

    def arrays(self) -> dict[str, Ids]:
        """Return the counts by name, for a file."""
        return {
            f"{name}{number}": getattr(table, name)
            for number, table in enumerate(self.tables)
            for name in ("grams", "counts")
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, vocab_size: int) -> Self:
        """Rebuild a chain from `arrays`.

        Raises:
            DataError: arrays are missing, or are no counts.
        """
        tables: list[_Table] = []
        while f"grams{len(tables)}" in arrays:
            grams, counts = (arrays.get(f"{name}{len(tables)}") for name in ("grams", "counts"))
            tables.append(_checked_table(grams, counts, vocab_size))
        if not tables:
            raise DataError("A Markov chain's file has no counts. Fit the baselines again.")
        return cls(len(tables) - 1, vocab_size, tuple(tables))

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
    return _table(grams, counts, vocab_size)


def _table(grams: Ids, counts: Ids, vocab_size: int) -> _Table:
    histories, starts, kinds = np.unique(grams // vocab_size, return_index=True, return_counts=True)
    totals = np.add.reduceat(counts, starts) if len(counts) else counts
    return _Table(grams, counts, histories, totals, kinds)


def _checked_table(grams: Any, counts: Any, vocab_size: int) -> _Table:
    whole = all(isinstance(a, np.ndarray) and a.dtype == np.int64 for a in (grams, counts))
    if not whole or grams.ndim != 1 or grams.shape != counts.shape:
        raise DataError("A Markov chain's file is damaged. Fit the baselines again.")
    if (np.diff(grams) <= 0).any() or (counts < 1).any() or (len(grams) and grams[0] < 0):
        raise DataError("A Markov chain's counts are damaged. Fit the baselines again.")
    return _table(grams, counts, vocab_size)


def _look_up(keys: Ids, values: Ids, wanted: Ids) -> Ids:
    """Return the value of every wanted key, 0 where it is missing."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


class MarkovDecoder(HistoryDecoder):
    """A `MarkovChain` as a model; the history begins at the last SEP.

    Args:
        vocabulary: of the tokens.
        chain: gives the probabilities.
    """

    def __init__(self, vocabulary: Vocabulary, chain: MarkovChain) -> None:
        super().__init__(vocabulary)
        self.chain = chain

    def tail(self, ids: Ids, first: int) -> Logits:
        """Return the logarithms of the probabilities after token `first` and every later one."""
        ids = np.asarray(ids, np.int64)
        known = np.arange(len(ids)) - answer_starts(self.vocabulary, ids) + 1
        probs = np.full((len(ids) - first, self.vocab_size), 1.0 / self.vocab_size)
        for length, table in enumerate(self.chain.tables):
            reached = np.flatnonzero(known[first:] >= length)
            ends = reached + first + 1
            histories = np.zeros(len(ends), np.int64)
            for offset in range(length, 0, -1):
                histories = histories * self.vocab_size + ids[ends - offset]
            _interpolate_rows(table, histories, probs, reached)
        return np.log(probs).astype(np.float32)


def _interpolate_rows(table: _Table, histories: Ids, probs: NDArray[np.float64], at: Ids) -> None:
    """Mix what followed each history into its row of the distributions of one order lower."""
    vocab_size = probs.shape[1]
    totals = _look_up(table.histories, table.totals, histories)
    kinds = _look_up(table.histories, table.kinds, histories)
    lows = np.searchsorted(table.grams, histories * vocab_size)
    for row, low, total, kind in zip(at, lows, totals, kinds, strict=True):
        if total:
            probs[row] *= kind / (total + kind)
            followers = table.grams[low : low + kind] % vocab_size
            probs[row, followers] += table.counts[low : low + kind] / (total + kind)
