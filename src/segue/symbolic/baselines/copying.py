"""What players who only copy would play: the token just read, the bars before the hole, the bar that fits.

Copies become probabilities through a *trust*: the share of copies that were right in training, by type
of token; an n-gram model has the rest of the probability.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.runtime.backend import Logits
from segue.symbolic.baselines.histories import HistoryDecoder
from segue.symbolic.baselines.markov import MarkovChain
from segue.symbolic.baselines.matching import fitting_notes, matched_notes
from segue.symbolic.baselines.reading import asked_programs, read_prompt
from segue.symbolic.grid import empty_notes
from segue.symbolic.prompt import answer_stream
from segue.symbolic.stream import Ids, Stream, parse
from segue.symbolic.vocabulary import TokenType, Vocabulary

Expect = Callable[[Vocabulary, Stream, Ids], Ids]
"""Gives the token that a copying player expects at every place of an answer behind the first, or -1."""


@dataclass(frozen=True, eq=False)
class Copyist:
    """Expects copies, and believes them as far as they were right in training.

    The token that the copy has next gets the share of probability that such copies earned in
    training, by token type; the unigram model has the rest.

    Attributes:
        vocabulary: gives the token types.
        trust: share of the copied token, by type of the token copied. Shape ``token types``.
        unigram: the model of everything else.
        expect: what is copied; by default the bars of the same instruments just before the hole.
    """

    vocabulary: Vocabulary
    trust: NDArray[np.float64]
    unigram: MarkovChain
    expect: Expect

    @classmethod
    def fit(
        cls,
        vocabulary: Vocabulary,
        pairs: Iterable[tuple[Stream, Ids]],
        unigram: MarkovChain,
        *,
        expect: Expect | None = None,
    ) -> Self:
        """Measure how often copies are right.

        Args:
            vocabulary: of the tokens.
            pairs: context (BOS to SEP) and answer (from SEP on) of training examples.
            unigram: a `MarkovChain` of order 0.
            expect: what is copied; by default `copies`.
        """
        expect = expect or copies
        right = np.zeros(len(TokenType))
        tried = np.zeros(len(TokenType))
        for context, answer in pairs:
            copied = expect(vocabulary, context, answer)
            known = copied >= 0
            kinds = vocabulary.types[copied[known]]
            np.add.at(tried, kinds, 1)
            np.add.at(right, kinds, copied[known] == answer[1:][known])
        return cls(vocabulary, (right + 0.5) / (tried + 1.0), unigram, expect)

    def log_probs(self, context: Stream, answer: Ids) -> NDArray[np.float64]:
        """Return the natural log-probability of every token but the first. Shape ``tokens - 1``."""
        copied = self.expect(self.vocabulary, context, answer)
        trust = np.where(copied >= 0, self.trust[self.vocabulary.types[np.maximum(copied, 0)]], 0)
        hit = copied == answer[1:]
        return np.log(trust * hit + (1 - trust) * np.exp(self.unigram.log_probs(answer)))


RepeatBars = Copyist
"""The copyist of the bars before the hole, by its older name."""


def copies(vocabulary: Vocabulary, context: Stream, answer: Ids) -> Ids:
    """Return what a player expects who repeats the bars before the hole. Shape ``tokens - 1``."""
    num_bars = int(np.sum(vocabulary.types[answer] == TokenType.BAR))
    return follow(vocabulary, repeated_bars(vocabulary, context, num_bars), answer)


def matched_copies(vocabulary: Vocabulary, context: Stream, answer: Ids) -> Ids:
    """Return what a player expects who repeats the best-matching bars. Shape ``tokens - 1``."""
    return follow(vocabulary, matched_bars(vocabulary, context), answer)


def previous_tokens(vocabulary: Vocabulary, context: Stream, answer: Ids) -> Ids:  # noqa: ARG001
    """Return what a player expects who says every token again. Shape ``tokens - 1``.

    The source deck's "repeat the input": the model's input tokens are its prediction.
    """
    return answer[:-1]


def matched_bars(vocabulary: Vocabulary, context: Stream) -> list[Ids]:
    """Return the tokens of the best-matching bars, put into the hole; none where none is in view.

    Args:
        vocabulary: of the tokens.
        context: prompt from BOS to SEP.
    """
    grid, hole = read_prompt(vocabulary, context)
    if hole.num_bars == grid.num_bars:
        return []
    filled = grid.with_notes(matched_notes(vocabulary, grid, hole))
    ids = answer_stream(vocabulary, filled, hole, np.ones(len(filled.notes), bool)).ids
    return np.split(ids[:-1], np.flatnonzero(vocabulary.types[ids] == TokenType.BAR))[1:]


def matched_fill(vocabulary: Vocabulary, context: Stream) -> NDArray[np.void]:
    """Return the notes of the best-matching bars, in bars of the hole."""
    grid, hole = read_prompt(vocabulary, context)
    notes = matched_notes(vocabulary, grid, hole)
    notes["bar"] -= hole.first_bar
    return notes


def repeated_fill(vocabulary: Vocabulary, context: Stream) -> NDArray[np.void]:
    """Return the notes of the bars before the hole, in bars of the hole."""
    grid, hole = read_prompt(vocabulary, context)
    bars = repeated_bars(vocabulary, context, hole.num_bars)
    notes = parse(vocabulary, np.concatenate(bars)).notes.copy() if bars else empty_notes()
    notes["bar"] += hole.first_bar
    notes = fitting_notes(vocabulary, grid, hole, notes)
    notes["bar"] -= hole.first_bar
    return notes


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
    wanted = asked_programs(vocabulary, ids)
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


def follow(vocabulary: Vocabulary, bars: Sequence[Ids], answer: Ids) -> Ids:
    """Return the token that the copied bars have next at every place behind the first, or -1.

    The player follows the copied bar token by token, finds its place again at every Position and
    begins the next copied bar at every Bar.

    Args:
        vocabulary: of the tokens.
        bars: tokens of every bar of the hole as copied, or no bars at all.
        answer: tokens from SEP on.

    Returns:
        Shape ``tokens - 1``.
    """
    kinds = vocabulary.types[answer]
    expected = np.full(len(answer) - 1, -1, np.int64)
    if not bars:
        return expected
    bar_token, eos = vocabulary.first(TokenType.BAR), vocabulary.first(TokenType.EOS)
    current, place, number = np.array([bar_token]), 0, 0
    for at, (token, kind) in enumerate(zip(answer[1:].tolist(), kinds[1:].tolist(), strict=True)):
        closing = eos if number >= len(bars) else bar_token
        expected[at] = current[place] if place < len(current) else closing
        if kind == TokenType.BAR:
            current = bars[number] if number < len(bars) else bars[-1][:0]
            place, number = 1, number + 1
        elif kind == TokenType.POSITION:
            later = (vocabulary.types[current] == TokenType.POSITION) & (current >= token)
            place = int(np.argmax(later)) + 1 if later.any() else len(current)
        else:
            place += 1
    return expected


class RepeatToken(HistoryDecoder):
    """The source deck's "repeat the input" as a model: every token is expected once more.

    Args:
        copyist: one that expects `previous_tokens`.
    """

    def __init__(self, copyist: Copyist) -> None:
        super().__init__(copyist.vocabulary)
        self.trust = copyist.trust
        nothing = np.zeros(self.vocab_size, np.int64)
        each = np.stack([nothing, np.arange(self.vocab_size)], axis=1)
        self._unigram = np.exp([copyist.unigram.log_probs(pair)[0] for pair in each])

    def tail(self, ids: Ids, first: int) -> Logits:
        """Return the logarithms of the probabilities after token `first` and every later one."""
        said = np.asarray(ids[first:], np.int64)
        trust = self.trust[self.vocabulary.types[said]]
        probs = (1 - trust)[:, None] * self._unigram
        probs[np.arange(len(said)), said] += trust
        return np.log(probs).astype(np.float32)
