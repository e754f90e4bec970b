"""What a model must beat: Markov chains with backoff, and repeating the bars before the hole.

Both give a probability to every token of an answer, so that they are measured in the same unit as the
model. Both are the source deck's baselines.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.stream import Ids, Stream
from segue.symbolic.vocabulary import TokenType, Vocabulary

_PITCHES = (TokenType.PITCH, TokenType.PITCH_DRUM)


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


@dataclass(frozen=True, eq=False)
class RepeatBars:
    """Predicts the bars of the same instruments just before the hole (or behind it) once more.

    The token that stands at the same place in the repeated bars gets the share of probability that
    such copies earned in training, by token type; the unigram model has the rest.

    Attributes:
        vocabulary: gives the token types.
        trust: share of the copied token, by type of the token copied. Shape ``token types``.
        unigram: the model of everything else.
    """

    vocabulary: Vocabulary
    trust: NDArray[np.float64]
    unigram: MarkovChain

    @classmethod
    def fit(
        cls,
        vocabulary: Vocabulary,
        pairs: Iterable[tuple[Stream, Ids]],
        unigram: MarkovChain,
    ) -> Self:
        """Measure how often copies are right.

        Args:
            vocabulary: of the tokens.
            pairs: context (BOS to SEP) and answer (from SEP on) of training examples.
            unigram: a `MarkovChain` of order 0.
        """
        right = np.zeros(len(TokenType))
        tried = np.zeros(len(TokenType))
        for context, answer in pairs:
            copied = copies(vocabulary, context, answer)
            known = copied >= 0
            kinds = vocabulary.types[copied[known]]
            np.add.at(tried, kinds, 1)
            np.add.at(right, kinds, copied[known] == answer[1:][known])
        return cls(vocabulary, (right + 0.5) / (tried + 1.0), unigram)

    def log_probs(self, context: Stream, answer: Ids) -> NDArray[np.float64]:
        """Return the natural log-probability of every token but the first. Shape ``tokens - 1``."""
        copied = copies(self.vocabulary, context, answer)
        trust = np.where(copied >= 0, self.trust[self.vocabulary.types[np.maximum(copied, 0)]], 0)
        hit = copied == answer[1:]
        return np.log(trust * hit + (1 - trust) * np.exp(self.unigram.log_probs(answer)))


def repeated_bars(vocabulary: Vocabulary, context: Stream, num_bars: int) -> list[Ids]:
    """Return the tokens of the bars that a copying player would play in the hole.

    These are the bars right before the hole, of the instruments asked for; where there are not enough
    of them, they repeat; where there are none, the bars behind the hole serve.

    Args:
        vocabulary: of the tokens.
        context: prompt from BOS to SEP.
        num_bars: bars of the hole.
    """
    ids = context.ids
    kinds = vocabulary.types[ids]
    start, end = np.flatnonzero(kinds == TokenType.HOLE)
    bars = np.flatnonzero(kinds == TokenType.BAR)
    stop = start + 1
    while kinds[stop] == TokenType.PROGRAM and kinds[stop + 1] not in _PITCHES:
        stop += 1
    wanted = ids[start + 1 : stop]
    before = np.split(ids, bars)[1 : int(np.searchsorted(bars, start))]
    after = np.split(ids, bars)[1 + int(np.searchsorted(bars, end)) :]
    pool = before[-num_bars:] or after[:num_bars]
    if not pool:
        return []
    filtered = [_only(vocabulary, bar, wanted) for bar in pool]
    return [filtered[number % len(filtered)] for number in range(num_bars)]


def _only(vocabulary: Vocabulary, bar: Ids, wanted: Ids) -> Ids:
    """Return the tokens of a bar without tempos and other instruments' notes."""
    kinds = vocabulary.types[bar]
    notes = np.flatnonzero(kinds == TokenType.PROGRAM)
    size = 4 if vocabulary.has_velocities else 3
    kept: list[int] = [int(token) for token in bar[:2]]
    positions = np.flatnonzero(kinds == TokenType.POSITION)
    last = -1
    for at in notes[np.isin(bar[notes], wanted)].tolist():
        where = int(positions[np.searchsorted(positions, at) - 1])
        if where != last:
            kept.append(int(bar[where]))
            last = where
        kept += [int(token) for token in bar[at : at + size]]
    return np.array(kept, np.int64)


def copies(vocabulary: Vocabulary, context: Stream, answer: Ids) -> Ids:
    """Return the token that a copying player expects at every place behind the first, or -1.

    The player follows the copied bar token by token, finds its place again at every Position and
    begins the next copied bar at every Bar. Shape ``tokens - 1``.
    """
    kinds = vocabulary.types[answer]
    num_bars = int(np.sum(kinds == TokenType.BAR))
    bars = repeated_bars(vocabulary, context, num_bars)
    expected = np.full(len(answer) - 1, -1, np.int64)
    if not bars:
        return expected
    bar_token, eos = vocabulary.first(TokenType.BAR), vocabulary.first(TokenType.EOS)
    current, place, number = np.array([bar_token]), 0, 0
    for at, (token, kind) in enumerate(zip(answer[1:].tolist(), kinds[1:].tolist(), strict=True)):
        closing = eos if number >= num_bars else bar_token
        expected[at] = current[place] if place < len(current) else closing
        if kind == TokenType.BAR:
            current, place, number = bars[number], 1, number + 1
        elif kind == TokenType.POSITION:
            later = (vocabulary.types[current] == TokenType.POSITION) & (current >= token)
            place = int(np.argmax(later)) + 1 if later.any() else len(current)
        else:
            place += 1
    return expected
