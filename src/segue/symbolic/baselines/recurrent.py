"""A gated recurrent unit over prompt and answer, in NumPy.

``r = σ(x_r + h W_r + b_r)``, ``z = σ(x_z + h W_z + b_z)``, ``n = tanh(x_n + r (h W_n + b_n))``,
``h' = n + z (h - n)``, where ``x`` is a row of a table for each token (embedding and input weights in one).

Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014; the place of ``r`` is
PyTorch's (and cuDNN's).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError
from segue.runtime.backend import (
    Ids,
    Logits,
    check_candidates,
    check_room,
    check_tokens,
    checked_rows,
)
from segue.symbolic.baselines.histories import CONTEXT_LENGTH

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RecurrentWeights:
    """Weights of a one-layer GRU language model; gates in the order r, z, n.

    Attributes:
        inputs: input of the gates for every token. Shape ``vocab, 3 hidden``.
        recurrent: from the state to the gates. Shape ``hidden, 3 hidden``.
        recurrent_bias: of the same. Shape ``3 hidden``.
        head: from the state to the logits. Shape ``hidden vocab``.
        head_bias: of the same. Shape ``vocab``.
    """

    inputs: Floats
    recurrent: Floats
    recurrent_bias: Floats
    head: Floats
    head_bias: Floats

    def __post_init__(self) -> None:
        hidden, vocab = self.head.shape if self.head.ndim == 2 else (0, 0)
        wanted: dict[str, tuple[int, ...]] = {
            "inputs": (vocab, 3 * hidden),
            "recurrent": (hidden, 3 * hidden),
            "recurrent_bias": (3 * hidden,),
            "head_bias": (vocab,),
        }
        for name, shape in wanted.items():
            if not hidden or getattr(self, name).shape != shape:
                raise DataError(
                    f"The weights {name!r} of a recurrent baseline have the shape "
                    f"{getattr(self, name).shape} instead of {shape}. Fit it again."
                )

    def advance(self, ids: Ids, state: Floats) -> Floats:
        """Return the states after one more token each.

        Args:
            ids: Shape ``rows``.
            state: Shape ``rows hidden``.
        """
        width = state.shape[1]
        new = self.inputs[ids]
        old = state @ self.recurrent + self.recurrent_bias
        gates = 0.5 + 0.5 * np.tanh(0.5 * (new[:, : 2 * width] + old[:, : 2 * width]))
        proposal = np.tanh(new[:, 2 * width :] + gates[:, :width] * old[:, 2 * width :])
        return (proposal + gates[:, width:] * (state - proposal)).astype(np.float32)

    def states(self, ids: Ids) -> Floats:
        """Return the state after every token. Shape ``rows tokens hidden``."""
        rows, tokens = ids.shape
        state = np.zeros((rows, len(self.recurrent)), np.float32)
        found = np.empty((tokens, *state.shape), np.float32)
        for place in range(tokens):
            found[place] = state = self.advance(ids[:, place], state)
        return found.transpose(1, 0, 2)

    def read_out(self, states: Floats) -> Logits:
        """Return the logits of states. Shape ``... vocab``."""
        logits: Logits = states @ self.head + self.head_bias
        return logits


class Recurrent:
    """A recurrent network as a `segue.runtime.backend.Decoder`; musical times are not read.

    Args:
        weights: learnt.

    Attributes:
        vocab_size: number of tokens.
        context_length: most tokens; there is no limit but memory.
    """

    def __init__(self, weights: RecurrentWeights) -> None:
        self.weights = weights
        self.vocab_size = len(weights.head_bias)
        self.context_length = CONTEXT_LENGTH

    def logits(self, ids: Ids, times: Ids) -> Logits:
        """Return the logits after every token. Shape ``batch tokens vocab``.

        Raises:
            SettingError: another shape, or a token outside the vocabulary.
        """
        check_tokens(self, ids, times, shape=(-1, -1))
        return self.weights.read_out(self.weights.states(ids))

    def tail(self, ids: Ids, first: int) -> Logits:
        """Return the logits after token `first` and every later one of one sequence."""
        return self.weights.read_out(self.weights.states(ids[None])[0, first:])

    def start(self, ids: Ids, times: Ids, *, num_candidates: int = 1) -> "RecurrentSession":
        """Read a prefix once, for `num_candidates` continuations.

        Raises:
            SettingError: no tokens, no candidates, or a token outside the vocabulary.
        """
        check_tokens(self, ids, times, shape=(-1,))
        check_candidates(num_candidates)
        return RecurrentSession(self, ids, num_candidates)


class RecurrentSession:
    """A generation by a recurrent network: one state for every candidate.

    Attributes:
        logits: for the next token. Shape ``candidates vocab``.
    """

    def __init__(self, decoder: Recurrent, ids: Ids, num_candidates: int) -> None:
        self._decoder = decoder
        self._used = len(ids)
        last = decoder.weights.states(ids[None])[:, -1]
        self._state = np.repeat(last, num_candidates, axis=0)
        self.logits = decoder.weights.read_out(self._state)

    def step(self, ids: Ids, times: Ids) -> Logits:
        """Give every candidate its next token and return the logits of the one after.

        Raises:
            SettingError: the context is full, or the shapes do not fit.
        """
        check_tokens(self._decoder, ids, times, shape=(len(self._state),))
        check_room(self._decoder, self._used + 1)
        self._used += 1
        self._state = self._decoder.weights.advance(ids, self._state)
        self.logits = self._decoder.weights.read_out(self._state)
        return self.logits

    def keep(self, rows: Sequence[int] | NDArray[np.intp]) -> None:
        """Go on with these candidates only, in this order.

        Raises:
            SettingError: a row is not a present candidate.
        """
        chosen = checked_rows(rows, len(self._state))
        self._state, self.logits = self._state[chosen], self.logits[chosen]
