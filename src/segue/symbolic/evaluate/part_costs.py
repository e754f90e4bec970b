"""What the base tokens cost that a model's merged tokens stand for.

A merged token states several things at once: that a bar begins, its meter, where the first note is and
who plays it. Some of it the prompt has stated already, and each belongs to another kind of cost. A token's
probability is therefore taken apart by the chain rule: a part costs what the tokens that go on with it
have of the probability of those that agree so far. Models with and without merged tokens are then
counted alike, part by part, and nothing of what a merged token says is left out.
"""

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.stream import Ids
from segue.symbolic.tokenizer import Tokenizer

Floats = NDArray[np.float64]
_SMALLEST = np.finfo(np.float64).tiny


class PartCosts:
    """Log-probabilities of the base tokens behind the tokens of one tokenizer.

    Args:
        tokenizer: with or without merges.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        merges = tokenizer.merges
        spelt = [
            (token,) if merges is None else tuple(merges.expand(token).tolist())
            for token in range(tokenizer.size)
        ]
        order = sorted(range(len(spelt)), key=spelt.__getitem__)
        places: dict[tuple[int, ...], list[int]] = {}
        for place, token in enumerate(order):
            for count in range(1, len(spelt[token]) + 1):
                span = places.setdefault(spelt[token][:count], [place, place])
                span[1] = place + 1
        self._spelt = spelt
        self._order = np.array(order)
        self._places = [
            [places[parts[:count]] for count in range(1, len(parts) + 1)] for parts in spelt
        ]

    def split(self, logits: NDArray[np.floating], ids: Ids) -> tuple[Ids, Floats]:
        """Return the base tokens of a stream and the natural log-probability of each.

        That a token ends where others go on says something of what follows, and is paid there; so is
        the mark before a bar, which stands for nothing. The sum is that of the tokens.

        Args:
            logits: of what comes at each token's place. Shape ``tokens vocab``.
            ids: the tokens. Shape ``tokens``.
        """
        parts: list[int] = []
        found: list[float] = []
        due = 0.0
        for row, token in zip(logits, ids.tolist(), strict=True):
            steps, ending = self._taken_apart(row, token)
            parts += self._spelt[token]
            if steps:
                steps[0] += due
                due = 0.0
            found += steps
            due += ending
        if found:
            found[-1] += due
        return np.array(parts, np.int64), np.array(found)

    def _taken_apart(self, row: NDArray[np.floating], token: int) -> tuple[list[float], float]:
        """Return the log-probability of each part of a token, and of its ending behind the last."""
        highest = float(row.max())
        chances = np.exp(row[self._order].astype(np.float64) - highest)
        sums = [float(chances.sum())]
        sums += [max(float(chances[a:b].sum()), _SMALLEST) for a, b in self._places[token]]
        logs = np.log(sums)
        return np.diff(logs).tolist(), float(row[token]) - highest - float(logs[-1])
