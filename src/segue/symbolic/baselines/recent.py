"""Logistic regression and a small multi-layer perceptron over the last tokens, in NumPy.

What they read: the last few tokens of the answer, where in the bar it stands, how many bars are left, and
which instruments are asked for. Both begin with a sum of table rows, one row for each of these; the
regression takes the sum for the logits, the perceptron puts it through one hidden layer.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError
from segue.runtime.backend import Logits
from segue.symbolic.baselines.histories import HistoryDecoder, answer_starts
from segue.symbolic.baselines.reading import asked_programs
from segue.symbolic.stream import Ids
from segue.symbolic.vocabulary import TokenType, Vocabulary

MOST_BARS_LEFT = 16
"""Longer holes look like one of this many bars."""

Floats = NDArray[np.float32]


class Recent(NamedTuple):
    """What is known before each of some tokens of one sequence.

    Attributes:
        tokens: the last tokens since SEP, the newest last, PAD where there are not enough. Shape
            ``places, tokens``.
        position: 0 at the start of a bar, else 1 + the grid position reached. Shape ``places``.
        bars_left: 0 within the prompt, else 1 + the bars not begun yet. Shape ``places``.
        asked: whether each instrument is asked for, by index; none within the prompt. Shape
            ``places, programs``.
    """

    tokens: Ids
    position: Ids
    bars_left: Ids
    asked: NDArray[np.float32]


def recent(vocabulary: Vocabulary, ids: Ids, *, first: int, num_tokens: int) -> Recent:
    """Return what is known after token `first` of a sequence and every later one.

    Args:
        vocabulary: of the tokens.
        ids: prompt and answer, or a part of it from its beginning on. Shape ``tokens``.
        first: place in it.
        num_tokens: how many of the last tokens are looked at.
    """
    ids = np.asarray(ids, np.int64)
    kinds = vocabulary.types[ids]
    starts = answer_starts(vocabulary, ids)
    places = np.arange(first, len(ids))
    back = places[:, None] - np.arange(num_tokens - 1, -1, -1)
    there = back >= starts[first:, None]
    tokens = np.where(there, ids[np.maximum(back, 0)], vocabulary.first(TokenType.PAD))
    marks = np.isin(kinds, (TokenType.POSITION, TokenType.BAR, TokenType.SEP))
    last = np.maximum.accumulate(np.where(marks, np.arange(len(ids)), 0))
    values = vocabulary.index[ids[last]].astype(np.int64)
    reached = np.where(kinds[last] == TokenType.POSITION, values + 1, 0)
    bars_left, asked = _asked(vocabulary, ids, kinds, starts)
    open_ = (bars_left[first:] > 0)[:, None]
    return Recent(tokens, reached[first:], bars_left[first:], (asked * open_).astype(np.float32))


def _asked(
    vocabulary: Vocabulary, ids: Ids, kinds: NDArray[np.int8], starts: Ids
) -> tuple[Ids, NDArray[np.bool_]]:
    """Return bars left after every token, and which instruments the prompt asks for."""
    asked = np.zeros(len(vocabulary.programs), bool)
    marks = np.flatnonzero(kinds == TokenType.HOLE)
    answering = kinds[starts] == TokenType.SEP
    if len(marks) < 2 or not answering.any():
        return np.zeros(len(ids), np.int64), asked
    asked[vocabulary.index[asked_programs(vocabulary, ids)]] = True
    bars = np.cumsum(kinds == TokenType.BAR)
    num_bars = int(bars[marks[1]] - bars[marks[0]]) + 1
    left = num_bars - (bars - bars[starts])
    return np.where(answering, 1 + np.clip(left, 0, MOST_BARS_LEFT), 0), asked


@dataclass(frozen=True, eq=False)
class RecentWeights:
    """Weights of a regression or a perceptron over the last tokens.

    Attributes:
        tokens: a row for every place and token. Shape ``places vocab width``.
        position: a row for every place in the bar. Shape ``positions + 1, width``.
        bars_left: a row for every number of bars. Shape ``MOST_BARS_LEFT + 2, width``.
        asked: a row for every instrument. Shape ``programs width``.
        bias: added to the sum. Shape ``width``.
        head: of the perceptron: from the hidden layer to the logits. Shape ``width vocab``.
        head_bias: of the perceptron. Shape ``vocab``.
    """

    tokens: Floats
    position: Floats
    bars_left: Floats
    asked: Floats
    bias: Floats
    head: Floats | None = None
    head_bias: Floats | None = None

    def check(self, vocabulary: Vocabulary) -> None:
        """Raise DataError unless the shapes fit each other and the vocabulary."""
        places, _, width = self.tokens.shape if self.tokens.ndim == 3 else (0, 0, 0)
        wanted: dict[str, tuple[int, ...]] = {
            "tokens": (places, vocabulary.size, width),
            "position": (vocabulary.counts[TokenType.POSITION] + 1, width),
            "bars_left": (MOST_BARS_LEFT + 2, width),
            "asked": (len(vocabulary.programs), width),
            "bias": (width,),
        }
        if self.head is not None:
            wanted |= {"head": (width, vocabulary.size), "head_bias": (vocabulary.size,)}
        else:
            wanted["bias"] = (vocabulary.size,)
        for name, shape in wanted.items():
            given = getattr(self, name)
            if given is None or given.shape != shape or not places:
                raise DataError(
                    f"The weights {name!r} of a baseline have the shape "
                    f"{None if given is None else given.shape} instead of {shape}. Fit it again."
                )


class RecentTokens(HistoryDecoder):
    """A regression or a perceptron as a model.

    Args:
        vocabulary: of the tokens.
        weights: learnt.

    Raises:
        DataError: the weights do not fit the vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary, weights: RecentWeights) -> None:
        super().__init__(vocabulary)
        weights.check(vocabulary)
        self.weights = weights

    def tail(self, ids: Ids, first: int) -> Logits:
        """Return the logits after token `first` and every later one."""
        weights = self.weights
        num_tokens = len(weights.tokens)
        known = recent(self.vocabulary, ids, first=first, num_tokens=num_tokens)
        total = weights.bias + weights.position[known.position] + weights.bars_left[known.bars_left]
        total += known.asked @ weights.asked
        for place in range(num_tokens):
            total += weights.tokens[place, known.tokens[:, place]]
        if weights.head is None or weights.head_bias is None:
            return total
        hidden: Logits = np.maximum(total, 0) @ weights.head + weights.head_bias
        return hidden
