"""What players who only copy would play: the bars before the hole, or the token just read.

Copies become probabilities through a *trust*: the share of copies that were right in training, by type
of token; an n-gram model has the rest of the probability.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.baselines.markov import MarkovChain
from segue.symbolic.stream import Ids, Stream
from segue.symbolic.vocabulary import TokenType, Vocabulary

_PITCHES = (TokenType.PITCH, TokenType.PITCH_DRUM)


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
