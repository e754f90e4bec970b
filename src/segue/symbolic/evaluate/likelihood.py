"""Bits per note of the masked region: the model and its baselines on the same held-out holes.

Counted are the tokens of the answer that somebody has to decide: everything behind SEP but the first bar
line and the time signatures, which the hole states. Bits per note divide by the notes of the answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.core.seeds import generator
from segue.errors import DataError
from segue.runtime.backend import Decoder
from segue.symbolic.baselines import MarkovChain, RepeatBars
from segue.symbolic.data.windows import InfillBatches, Prepared, WindowSettings
from segue.symbolic.prompt import HOLE
from segue.symbolic.stream import Ids, Stream
from segue.symbolic.vocabulary import TokenType, Vocabulary

_MOST_DRAWS = 50


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One held-out hole.

    Attributes:
        context: prompt from BOS to SEP.
        answer: the original notes, from SEP to EOS.
        counted: which tokens behind SEP are counted. Shape ``answer - 1``.
        num_notes: notes of the answer.
        piece: number of the piece it comes from.
    """

    context: Stream
    answer: Stream
    counted: NDArray[np.bool_]
    num_notes: int
    piece: int


def held_out(
    prepared: Prepared, settings: WindowSettings, *, length: int, count: int, seed: int
) -> Iterator[HeldOut]:
    """Yield `count` holes with at least one note, drawn from a split, one piece after another.

    Args:
        prepared: the split to draw from.
        settings: kinds of holes.
        length: longest example in tokens.
        count: number of holes.
        seed: fixes the holes.

    Raises:
        DataError: hardly any hole qualifies.
    """
    batches = InfillBatches(prepared, settings, seed=seed, augment=False)
    vocabulary = batches.vocabulary
    found = attempt = 0
    while found < count:
        if attempt > _MOST_DRAWS * (found + 10):
            raise DataError(
                f"Hardly a hole of the split {prepared.split!r} in {prepared.folder} fits into "
                f"{length} tokens and has notes: {found} of {attempt} did. Allow longer examples."
            )
        rng = generator(seed, "held-out", attempt)
        attempt += 1
        piece = int(rng.integers(len(prepared.lengths)))
        stream, kinds = batches.example(rng, length, piece=piece)
        example = _split(vocabulary, stream, kinds, piece)
        if example is not None:
            found += 1
            yield example


def _split(
    vocabulary: Vocabulary, stream: Stream, kinds: NDArray[np.int8], piece: int
) -> HeldOut | None:
    """Cut an example at SEP; None where it is cut off or has no notes."""
    at = int(np.argmax(kinds == HOLE))
    answer = Stream(stream.ids[at - 1 :], stream.times[at - 1 :])
    token_types = vocabulary.types[answer.ids]
    pitches = (token_types == TokenType.PITCH) | (token_types == TokenType.PITCH_DRUM)
    if not pitches.any() or token_types[-1] != TokenType.EOS:
        return None
    counted = token_types[1:] != TokenType.TIME_SIG
    counted[0] = False
    context = Stream(stream.ids[:at], stream.times[:at])
    return HeldOut(context, answer, counted, int(pitches.sum()), piece)


Scorer = Callable[[HeldOut], NDArray[np.float64]]
"""Gives the natural log-probability of every token behind SEP. Shape ``answer - 1``."""


def model_scorer(decoder: Decoder) -> Scorer:
    """Return a scorer that asks a model."""

    def score(example: HeldOut) -> NDArray[np.float64]:
        ids = np.concatenate([example.context.ids, example.answer.ids[1:]])
        times = np.concatenate([example.context.times, example.answer.times[1:]])
        logits = decoder.logits(ids[None], times[None])[0, len(example.context.ids) - 1 : -1]
        return _log_softmax_at(logits, example.answer.ids[1:])

    return score


def _log_softmax_at(logits: NDArray[np.float32], ids: Ids) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    chosen: NDArray[np.float64] = shifted[np.arange(len(ids)), ids]
    return chosen - np.log(np.exp(shifted).sum(axis=-1))


def baseline_scorers(
    prepared: Prepared,
    settings: WindowSettings,
    *,
    length: int,
    count: int,
    seed: int,
    orders: tuple[int, ...] = (1, 2, 3),
) -> dict[str, Scorer]:
    """Return the baselines, fitted on holes of the training split.

    Args:
        prepared: the training split.
        settings: kinds of holes.
        length: longest example in tokens.
        count: number of holes to learn from.
        seed: fixes these holes.
        orders: orders of the Markov chains.
    """
    vocabulary = prepared.tokenizer.vocabulary
    examples = list(held_out(prepared, settings, length=length, count=count, seed=seed))
    answers = [example.answer.ids for example in examples]
    unigram = MarkovChain.fit(answers, order=0, vocab_size=vocabulary.size)
    pairs = ((example.context, example.answer.ids) for example in examples)
    repeat = RepeatBars.fit(vocabulary, pairs, unigram)
    scorers: dict[str, Scorer] = {
        "repeat the previous bars": lambda e: repeat.log_probs(e.context, e.answer.ids)
    }
    for order in orders:
        chain = MarkovChain.fit(answers, order=order, vocab_size=vocabulary.size)
        scorers[f"Markov chain, order {order}"] = _markov_scorer(chain)
    return scorers


def _markov_scorer(chain: MarkovChain) -> Scorer:
    return lambda example: chain.log_probs(example.answer.ids)


@dataclass(frozen=True)
class Likelihood:
    """Mean likelihood over held-out holes, with bootstrap intervals over pieces.

    Attributes:
        bits_per_note: bits per note of the masked region.
        bits_per_note_interval: 95 % interval, low and high.
        nats_per_token: nats per counted token.
        num_holes: number of holes.
        num_notes: notes of all holes.
    """

    bits_per_note: float
    bits_per_note_interval: tuple[float, float]
    nats_per_token: float
    num_holes: int
    num_notes: int


def evaluate(
    scorers: dict[str, Scorer], examples: list[HeldOut], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Likelihood]:
    """Return the likelihood of every scorer on the same holes.

    Args:
        scorers: by name.
        examples: the holes.
        seed: of the bootstrap.
        resamples: of the bootstrap.
    """
    notes = np.array([example.num_notes for example in examples], float)
    tokens = np.array([example.counted.sum() for example in examples], float)
    _, pieces = np.unique([example.piece for example in examples], return_inverse=True)
    weights = _resampled(generator(seed, "bootstrap"), pieces, resamples)
    results = {}
    for name, scorer in scorers.items():
        nats = np.array([-scorer(example)[example.counted].sum() for example in examples])
        bits = (weights @ nats) / np.maximum(weights @ notes, 1) / np.log(2)
        low, high = np.percentile(bits, (2.5, 97.5))
        results[name] = Likelihood(
            bits_per_note=float(nats.sum() / notes.sum() / np.log(2)),
            bits_per_note_interval=(float(low), float(high)),
            nats_per_token=float(nats.sum() / tokens.sum()),
            num_holes=len(examples),
            num_notes=int(notes.sum()),
        )
    return results


def _resampled(rng: np.random.Generator, pieces: Ids, resamples: int) -> NDArray[np.float64]:
    """Return how often every example counts when pieces are drawn with replacement."""
    number = int(pieces.max()) + 1
    drawn = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    return drawn[:, pieces].astype(float)
