"""What can be evaluated, behind one interface: models, baselines, the source deck's own system.

A system gives the probability of a region's original notes, writes notes into the region, or both.
All of them see the same prompt, cut from the same piece; nothing of the region is in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any as Baseline
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segue.core.seeds import generator, integer
from segue.symbolic.evaluate.part_costs import PartCosts
from segue.symbolic.evaluate.regions import Region, drops_future, takes
from segue.symbolic.generate import Finished, generate_events
from segue.symbolic.grid import Grid
from segue.symbolic.loaded import MidiModel
from segue.symbolic.prompt import (
    Hole,
    Sight,
    answer_stream,
    hole_spec,
    in_sight,
    prompt_around,
)
from segue.symbolic.stream import Stream, parse
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType, Vocabulary

Notes = NDArray[np.void]
Floats = NDArray[np.float64]

KINDS = ("onset", "instrument", "pitch", "velocity", "duration")
"""Parts of a note's description; bar lines and the end of the answer count as onset."""

_KIND_OF = {
    TokenType.BAR: 0,
    TokenType.POSITION: 0,
    TokenType.EOS: 0,
    TokenType.TIME_SIG: 0,
    TokenType.PROGRAM: 1,
    TokenType.PITCH: 2,
    TokenType.PITCH_DRUM: 2,
    TokenType.VELOCITY: 3,
    TokenType.DURATION: 4,
}


@dataclass(frozen=True, eq=False)
class Surprise:
    """What the original notes of a region cost a system.

    Attributes:
        nats: by kind, see `KINDS`.
        tokens: counted base tokens by kind; merged ones count as what they stand for.
        num_notes: notes of the region.
    """

    nats: Floats
    tokens: NDArray[np.int64]
    num_notes: int

    def __add__(self, other: "Surprise") -> "Surprise":
        return Surprise(
            self.nats + other.nats, self.tokens + other.tokens, self.num_notes + other.num_notes
        )


class System(Protocol):
    """What is evaluated."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def surprise(self, grid: Grid, region: Region, sight: Sight = "all") -> Surprise | None:
        """Return the cost of the region's original notes; None where the system has none."""
        ...

    def fill(
        self, grid: Grid, region: Region, *, num_samples: int, seed: int
    ) -> list[Notes] | None:
        """Return notes for the region, as often as asked; None where the system writes nothing.

        Bars are counted in the piece.
        """
        ...


@dataclass(frozen=True, eq=False)
class PromptSettings:
    """How the prompt of a region is cut.

    Attributes:
        tokenizer: of the model that is evaluated, the baselines' too.
        length: tokens that the bars of the prompt may take.
    """

    tokenizer: Tokenizer
    length: int

    @property
    def vocabulary(self) -> Vocabulary:
        """Base tokens."""
        return self.tokenizer.vocabulary

    def prompt(
        self, grid: Grid, hole: Hole, kept: NDArray[np.bool_], sight: Sight
    ) -> tuple[Stream, int]:
        """Return the prompt of a hole in base tokens, and the bars of the piece before it."""
        visible = in_sight(hole, grid.notes, kept, sight)
        return prompt_around(
            self.vocabulary,
            grid,
            hole,
            visible,
            budget=self.length,
            past=sight != "none",
            future=sight in {"past_future", "all"},
        )


def cut(grid: Grid, region: Region) -> Grid:
    """Return what of a piece there is for a region: all of it, or what ends with the region."""
    return grid.window(0, region.span.end_bar) if drops_future(region.task) else grid


def surprise_of(
    vocabulary: Vocabulary, answer: NDArray[np.int64], log_probs: Floats, num_notes: int
) -> Surprise:
    """Sum the log-probabilities of an answer's tokens behind SEP, by kind.

    Not counted is what the prompt states: the first bar line and the time signatures.

    Args:
        vocabulary: of base tokens.
        answer: base tokens, SEP first. Shape ``tokens``.
        log_probs: natural, of every token but the first. Shape ``tokens - 1``.
        num_notes: notes of the answer.
    """
    types = vocabulary.types[answer[1:]]
    counted = types != TokenType.TIME_SIG
    counted[0] = False
    kinds = np.array([_KIND_OF.get(TokenType(kind), 0) for kind in types])[counted]
    return Surprise(
        -np.bincount(kinds, log_probs[counted], minlength=len(KINDS)).astype(np.float64),
        np.bincount(kinds, minlength=len(KINDS)),
        num_notes,
    )


@dataclass(frozen=True, eq=False)
class ModelSystem:
    """An infilling model.

    Attributes:
        name: in tables.
        model: the model.
        settings: how prompts are cut.
        sight: what it may see at most; a left-to-right model sees the past.
    """

    name: str
    model: MidiModel
    settings: PromptSettings
    sight: Sight = "all"

    def surprise(self, grid: Grid, region: Region, sight: Sight = "all") -> Surprise | None:
        """Return the cost of the original notes."""
        sight = self.sight if sight == "all" else sight
        grid = cut(grid, region)
        total = None
        for number, hole in enumerate(region.holes):
            kept = ~region.removed(grid.notes, number)
            context, first = self.settings.prompt(grid, hole, kept, sight)
            part = self._surprise(grid, hole, context, first)
            total = part if total is None else total + part
        return total

    def _surprise(self, grid: Grid, hole: Hole, context: Stream, first: int) -> Surprise:
        vocabulary, tokenizer = self.model.vocabulary, self.model.tokenizer
        inside = takes(hole, grid.notes)
        answer = shifted(answer_stream(vocabulary, grid, hole, inside), vocabulary, grid, first)
        context, answer = tokenizer.encode_stream(context), tokenizer.encode_stream(answer)
        ids = np.concatenate([context.ids, answer.ids])
        times = np.concatenate([context.times, answer.times])
        logits = self.model.decoder.logits(ids[None], times[None])[0, len(context.ids) - 1 : -1]
        base, log_probs = self._costs.split(logits, answer.ids)
        parts = np.concatenate([context.ids[-1:], base])
        return surprise_of(vocabulary, parts, log_probs, int(inside.sum()))

    @cached_property
    def _costs(self) -> PartCosts:
        return PartCosts(self.model.tokenizer)

    def fill(
        self, grid: Grid, region: Region, *, num_samples: int, seed: int
    ) -> list[Notes] | None:
        """Write notes with the bundle's own sampling settings."""
        grid = cut(grid, region)
        if len(region.holes) == 1:
            kept = ~region.removed(grid.notes)
            written = self._write(grid, region.holes[0], kept, num_samples, (seed, region.name))
            return [placed(notes, grid, region.holes[0].first_bar) for notes in written]
        names = [(seed, region.name, number) for number in range(num_samples)]
        return [self._one_after_another(grid, region, each) for each in names]

    def _one_after_another(self, grid: Grid, region: Region, names: Sequence[int | str]) -> Notes:
        written: list[Notes] = []
        outside = grid.notes[~region.removed(grid.notes)]
        for number, hole in enumerate(region.holes):
            now = Grid.build(grid.signatures, np.concatenate([outside, *written]), grid.tempos)
            everything = np.ones(len(now.notes), bool)
            (notes,) = self._write(now, hole, everything, 1, (*names, number))
            written.append(placed(notes, grid, hole.first_bar))
        return np.concatenate(written)

    def _write(
        self,
        grid: Grid,
        hole: Hole,
        kept: NDArray[np.bool_],
        num_samples: int,
        names: Sequence[int | str],
    ) -> list[Notes]:
        """Return samples of a hole, bars counted from its first."""
        model, vocabulary = self.model, self.model.vocabulary
        context, first = self.settings.prompt(grid, hole, kept, self.sight)
        context = model.tokenizer.encode_stream(context)
        spec = hole_spec(vocabulary, grid.window(first, grid.num_bars), hole.shifted(-first))
        seed = integer(int(names[0]), "fill", *names[1:])
        settings = model.defaults.model_copy(update={"seed": seed})
        events = generate_events(
            model.decoder,
            model.grammar,
            context,
            spec,
            settings=settings,
            num_candidates=num_samples,
        )
        finished = [event.candidate for event in events if isinstance(event, Finished)]
        finished.sort(key=lambda candidate: candidate.number)
        return [parse(vocabulary, candidate.ids).notes for candidate in finished]


@dataclass(frozen=True, eq=False)
class BaselineSystem:
    """A baseline, which reads the same prompts in base tokens.

    Attributes:
        name: in tables.
        baseline: the baseline.
        settings: how prompts are cut.
    """

    name: str
    baseline: Baseline
    settings: PromptSettings

    def surprise(self, grid: Grid, region: Region, sight: Sight = "all") -> Surprise | None:
        """Return the cost of the original notes."""
        grid = cut(grid, region)
        vocabulary = self.settings.vocabulary
        total = None
        for number, hole in enumerate(region.holes):
            kept = ~region.removed(grid.notes, number)
            context, first = self.settings.prompt(grid, hole, kept, sight)
            inside = takes(hole, grid.notes)
            body = shifted(answer_stream(vocabulary, grid, hole, inside), vocabulary, grid, first)
            answer = Stream(
                np.concatenate([context.ids[-1:], body.ids]),
                np.concatenate([context.times[-1:], body.times]),
            )
            log_probs = self.baseline.log_probs(context, answer)
            if log_probs is None:
                return None
            part = surprise_of(vocabulary, answer.ids, log_probs, int(inside.sum()))
            total = part if total is None else total + part
        return total

    def fill(
        self, grid: Grid, region: Region, *, num_samples: int, seed: int
    ) -> list[Notes] | None:
        """Write notes."""
        grid = cut(grid, region)
        samples = []
        for sample in range(num_samples):
            written = self._sample(grid, region, (seed, region.name, sample))
            if written is None:
                return None
            samples.append(written)
        return samples

    def _sample(self, grid: Grid, region: Region, names: Sequence[int | str]) -> Notes | None:
        outside = grid.notes[~region.removed(grid.notes)]
        written: list[Notes] = []
        for number, hole in enumerate(region.holes):
            original = grid.notes[takes(hole, grid.notes)]
            notes = np.concatenate([outside, *written, original])
            now = Grid.build(grid.signatures, notes, grid.tempos)
            removed = takes(hole, now.notes)
            context, _ = self.settings.prompt(now, hole, ~removed, "all")
            rng = generator(int(names[0]), "fill", *names[1:], number)
            drawn = self.baseline.fill(now, hole, removed, context, rng=rng)
            if drawn is None:
                return None
            written.append(drawn)
        return np.concatenate(written)


def shifted(stream: Stream, vocabulary: Vocabulary, grid: Grid, first: int) -> Stream:
    """Return an answer on the clock of a prompt that begins with bar `first` of the piece."""
    return Stream(stream.ids, stream.times - int(grid.bar_starts(vocabulary)[first]))


def placed(notes: Notes, grid: Grid, first_bar: int) -> Notes:
    """Return written notes in bars of the piece, with the tracks that their instruments have there."""
    notes = notes.copy()
    notes["bar"] += first_bar
    tracks = dict(zip(grid.notes["program"].tolist(), grid.notes["track"].tolist(), strict=True))
    notes["track"] = [tracks.get(program, 0) for program in notes["program"].tolist()]
    return notes


def log_softmax_at(logits: NDArray[np.float32], ids: NDArray[np.int64]) -> Floats:
    """Return the natural log-probability of each token. Shape ``tokens``."""
    shifted_logits = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    chosen: Floats = shifted_logits[np.arange(len(ids)), ids]
    return chosen - np.log(np.exp(shifted_logits).sum(axis=-1))


@dataclass(frozen=True)
class SystemSpec:
    """Where a system comes from, so that any process can open it.

    Attributes:
        kind: ``model`` or ``baseline``.
        name: in tables.
        source: name or folder of a bundle, or folder of fitted baselines.
        fingerprint: changes when the system does.
    """

    kind: str
    name: str
    source: str
    fingerprint: str = ""
