"""Baselines as the evaluation meets them: a name, probabilities of an answer, notes for a hole."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segue.runtime.backend import Decoder, Logits
from segue.symbolic.baselines.copying import Copyist
from segue.symbolic.baselines.markov import MarkovChain
from segue.symbolic.generate import generate
from segue.symbolic.grammar import Grammar, HoleSpec
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole, hole_spec
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.stream import Ids, Stream, parse
from segue.symbolic.vocabulary import Vocabulary

Notes = NDArray[np.void]
Fill = Callable[[Vocabulary, Stream], Notes]
"""Gives the notes of a hole from the prompt alone, bars counted from the hole's first."""

FILL_SAMPLING = SamplingSettings(temperature=0.9, top_p=0.95)
"""How baselines draw tokens unless they are told otherwise: as the shipped model does."""
MOST_TOKENS = 2048
"""Longest answer of a baseline; what runs into it is led to the end by the grammar."""


class Baseline(Protocol):
    """What a model is compared with."""

    @property
    def name(self) -> str:
        """The name that tables show."""
        ...

    @property
    def scores(self) -> bool:
        """Whether it gives probabilities."""
        ...

    @property
    def fills(self) -> bool:
        """Whether it writes notes."""
        ...

    def log_probs(self, context: Stream, answer: Stream) -> NDArray[np.float64] | None:
        """Return the natural log-probability of every token behind SEP, None without a likelihood.

        Args:
            context: prompt from BOS to SEP.
            answer: from SEP to EOS.

        Returns:
            Shape ``answer - 1``.
        """
        ...

    def fill(
        self,
        grid: Grid,
        hole: Hole,
        removed: NDArray[np.bool_],
        context: Stream,
        *,
        rng: np.random.Generator,
        settings: SamplingSettings = FILL_SAMPLING,
    ) -> Notes | None:
        """Return notes for a hole, in bars of the grid, sorted; None from one that does not play.

        Args:
            grid: the piece, the hole's notes included.
            hole: the hole, in bars of the grid.
            removed: which notes belong to the hole; only the human original and its shuffled copy
                look at them. Shape ``notes``.
            context: prompt from BOS to SEP, of the grid or of a window of it.
            rng: source of randomness.
            settings: how tokens are drawn, by those who draw any; its seed is not used.
        """
        ...


class ScoringDecoder(Decoder, Protocol):
    """A decoder that can leave out the logits of the prompt."""

    def tail(self, ids: Ids, first: int) -> Logits:
        """Return the logits after token `first` and every later one of one sequence."""
        ...


@dataclass(frozen=True, eq=False)
class DecoderBaseline:
    """A language model that is not ours.

    Attributes:
        name: as tables show it.
        decoder: gives the logits.
        grammar: of its tokens.
    """

    name: str
    decoder: ScoringDecoder
    grammar: Grammar
    scores: bool = True
    fills: bool = True

    def log_probs(self, context: Stream, answer: Stream) -> NDArray[np.float64]:
        """Return the natural log-probability of every token behind SEP. Shape ``answer - 1``."""
        ids = np.concatenate([context.ids, answer.ids[1:]])
        logits = self.decoder.tail(ids[:-1], len(context.ids) - 1).astype(np.float64)
        highest = logits.max(axis=-1)
        chosen: NDArray[np.float64] = logits[np.arange(len(logits)), answer.ids[1:]]
        return chosen - highest - np.log(np.exp(logits - highest[:, None]).sum(axis=-1))

    def fill(
        self,
        grid: Grid,
        hole: Hole,
        removed: NDArray[np.bool_],
        context: Stream,
        *,
        rng: np.random.Generator,
        settings: SamplingSettings = FILL_SAMPLING,
    ) -> Notes:
        """Write the hole token by token, held by the grammar."""
        vocabulary = self.grammar.vocabulary
        spec = _spec(vocabulary, grid, hole, context)
        drawn = settings.model_copy(update={"seed": int(rng.integers(2**31))})
        candidates = generate(
            self.decoder, self.grammar, context, spec, settings=drawn, max_tokens=MOST_TOKENS
        )
        notes = parse(vocabulary, candidates[0].ids).notes
        return _placed(grid, hole, removed, notes)


@dataclass(frozen=True, eq=False)
class ChainBaseline(DecoderBaseline):
    """A Markov chain; its likelihood needs no distributions over the whole vocabulary.

    Attributes:
        chain: the counts.
    """

    chain: MarkovChain | None = None

    def log_probs(self, context: Stream, answer: Stream) -> NDArray[np.float64]:
        """Return the natural log-probability of every token behind SEP. Shape ``answer - 1``."""
        if self.chain is None:
            return super().log_probs(context, answer)
        return self.chain.log_probs(answer.ids)


@dataclass(frozen=True, eq=False)
class CopyBaseline:
    """A player who copies what is in view.

    Attributes:
        name: as tables show it.
        copyist: gives the probabilities.
        play: gives the notes.
    """

    name: str
    copyist: Copyist
    play: Fill
    scores: bool = True
    fills: bool = True

    def log_probs(self, context: Stream, answer: Stream) -> NDArray[np.float64]:
        """Return the natural log-probability of every token behind SEP. Shape ``answer - 1``."""
        return self.copyist.log_probs(context, answer.ids)

    def fill(
        self,
        grid: Grid,
        hole: Hole,
        removed: NDArray[np.bool_],
        context: Stream,
        *,
        rng: np.random.Generator,
        settings: SamplingSettings = FILL_SAMPLING,
    ) -> Notes:
        """Play the copied bars; nothing where none are in view."""
        return _placed(grid, hole, removed, self.play(self.copyist.vocabulary, context))


@dataclass(frozen=True)
class HumanOriginal:
    """What stood in the hole: the ceiling."""

    name: str = "human original"
    scores: bool = False
    fills: bool = True

    def log_probs(self, context: Stream, answer: Stream) -> None:
        """Return None: the original has no likelihood of its own."""

    def fill(
        self,
        grid: Grid,
        hole: Hole,
        removed: NDArray[np.bool_],
        context: Stream,
        *,
        rng: np.random.Generator,
        settings: SamplingSettings = FILL_SAMPLING,
    ) -> Notes:
        """Return the notes that were removed."""
        return grid.notes[removed].copy()


@dataclass(frozen=True)
class ShuffledOriginal:
    """The notes that stood in the hole, at each other's onsets and pitches: the floor.

    Onsets are dealt out anew over all notes of the hole, pitches among the notes of an instrument. What is
    counted without order (how many notes, which pitches, which onsets) stays that of the original.
    """

    name: str = "shuffled original"
    scores: bool = False
    fills: bool = True

    def log_probs(self, context: Stream, answer: Stream) -> None:
        """Return None: there is no likelihood."""

    def fill(
        self,
        grid: Grid,
        hole: Hole,
        removed: NDArray[np.bool_],
        context: Stream,
        *,
        rng: np.random.Generator,
        settings: SamplingSettings = FILL_SAMPLING,
    ) -> Notes:
        """Return the removed notes, shuffled; of two that fall together one is left out."""
        notes = grid.notes[removed].copy()
        onsets = rng.permutation(len(notes))
        notes["bar"], notes["position"] = notes["bar"][onsets], notes["position"][onsets]
        for program in np.unique(notes["program"]):
            mine = np.flatnonzero(notes["program"] == program)
            notes["pitch"][mine] = rng.permutation(notes["pitch"][mine])
        _, first = np.unique(notes[["bar", "position", "program", "pitch"]], return_index=True)
        notes["source"] = -1
        return _sorted(notes[first])


def _spec(vocabulary: Vocabulary, grid: Grid, hole: Hole, context: Stream) -> HoleSpec:
    """Return what the hole must be filled with, its clock that of the prompt."""
    spec = hole_spec(vocabulary, grid, hole)
    return HoleSpec(
        spec.signatures,
        spec.first_position,
        spec.last_position,
        spec.programs,
        start_time=int(context.times[-1]),
    )


def _placed(grid: Grid, hole: Hole, removed: NDArray[np.bool_], notes: Notes) -> Notes:
    """Return notes of the hole in bars of the grid, on the grid's tracks; none that are there already."""
    notes = notes.copy()
    notes["bar"] += hole.first_bar
    notes["source"] = -1
    ranks = dict(zip(grid.notes["program"].tolist(), grid.notes["track"].tolist(), strict=True))
    for program in hole.programs:
        ranks.setdefault(program, len(ranks))
    notes["track"] = [ranks[program] for program in notes["program"].tolist()]
    keys = ["bar", "position", "program", "pitch"]
    there = set(grid.notes[~removed][keys].tolist())
    free = [row not in there for row in notes[keys].tolist()]
    return _sorted(notes[np.array(free, bool)])


def _sorted(notes: Notes) -> Notes:
    order = np.lexsort([notes[key] for key in ("pitch", "track", "position", "bar")])
    return notes[order]
