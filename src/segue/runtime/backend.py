"""What a model must be able to do to generate tokens, whatever runs it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from segue.errors import SettingError

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


def check_tokens(decoder: Decoder, ids: Ids, times: Ids, *, shape: tuple[int, ...]) -> None:
    """Refuse tokens that a decoder cannot take.

    Args:
        decoder: knows its vocabulary.
        ids: int64.
        times: int64.
        shape: the shape that both must have; -1 stands for any length of at least one.

    Raises:
        SettingError: another shape, or a token outside the vocabulary.
    """
    fits = len(shape) == ids.ndim and all(
        given == wanted or (wanted == -1 and given > 0)
        for given, wanted in zip(ids.shape, shape, strict=True)
    )
    if not fits or ids.shape != times.shape:
        raise SettingError(
            f"The decoder needs ids and times of the shape {shape} (-1: any length but zero); "
            f"given {ids.shape} and {times.shape}."
        )
    lowest, highest = int(ids.min()), int(ids.max())
    if lowest < 0 or highest >= decoder.vocab_size:
        raise SettingError(
            f"Token {lowest if lowest < 0 else highest} is outside the model's vocabulary of "
            f"{decoder.vocab_size}. Use the tokenizer of the model's bundle."
        )


def check_room(decoder: Decoder, num_tokens: int) -> None:
    """Raise SettingError if `num_tokens` do not fit into the decoder's context."""
    if num_tokens > decoder.context_length:
        raise SettingError(
            f"{num_tokens} tokens do not fit into the model's context of {decoder.context_length}. "
            "Give a shorter context or ask for fewer bars."
        )


def check_candidates(num_candidates: int) -> None:
    """Raise SettingError unless there is at least one candidate."""
    if num_candidates < 1:
        raise SettingError(f"num_candidates is {num_candidates}; give at least 1.")


def checked_rows(
    rows: Sequence[int] | npt.NDArray[np.intp], num_candidates: int
) -> npt.NDArray[np.intp]:
    """Return the rows to keep as an array.

    Raises:
        SettingError: there are none, or one is not a present candidate.
    """
    chosen = np.asarray(rows, np.intp)
    if chosen.ndim != 1 or not chosen.size or chosen.min() < 0 or chosen.max() >= num_candidates:
        raise SettingError(
            f"keep needs a list of at least one row out of {num_candidates} candidates, counted "
            f"from 0; given {chosen.tolist()}."
        )
    return chosen
