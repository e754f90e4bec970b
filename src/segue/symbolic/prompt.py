"""The infilling prompt: what stands around the hole, what is asked for, and the answer.

One format serves inpainting, outpainting and composing::

    BOS  context: bars around the hole, the hole's notes taken out,
         `Hole_Start program...` and `Hole_End` where they were
    SEP  the hole bar by bar  EOS

A hole at the end of the context is a continuation, a hole without context a composition. The clock
(`Stream.times`) starts again at the hole's first bar behind SEP, so that the answer runs in step with
the other instruments of the same bars.

Source of the idea that a decoder-only model can fill a hole when the hole is moved to the end: Bavarian
et al., "Efficient Training of Language Models to Fill in the Middle", 2022; for music Thickstun et al.,
"Anticipatory Music Transformer", 2023.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.symbolic.grammar import HoleSpec
from segue.symbolic.grid import TEMPO_FIELDS, Grid
from segue.symbolic.stream import Ids, Mark, Stream, render
from segue.symbolic.vocabulary import TokenType, Vocabulary

PADDING, CONTEXT, HOLE, UNSCORED = 0, 1, 2, 3
"""What a token of a training example is; an unscored one is read, but not learnt to be written."""

Sight = Literal["none", "past", "past_future", "all"]
"""What of a piece may be seen: nothing; what starts before the hole; that and what starts behind it;
all of these and the other instruments' notes that start during the hole."""


@dataclass(frozen=True)
class Hole:
    """A region of a grid: instruments x time span.

    Attributes:
        first_bar: first bar of the hole.
        end_bar: bar behind the last one.
        programs: instruments asked for, in the order of the grid's tracks.
        first_position: onsets in the first bar are at this position or later.
        last_position: onsets in the last bar are before this position; None is the bar's end.
    """

    first_bar: int
    end_bar: int
    programs: tuple[int, ...]
    first_position: int = 0
    last_position: int | None = None

    def __post_init__(self) -> None:
        if self.first_bar < 0 or self.end_bar <= self.first_bar or not self.programs:
            raise SettingError(
                f"A hole needs a bar and an instrument at least; bars {self.first_bar} to "
                f"{self.end_bar} of instruments {self.programs} were given."
            )

    @property
    def num_bars(self) -> int:
        """Number of bars, cut ones included."""
        return self.end_bar - self.first_bar

    def contains(self, notes: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return which notes start inside the span, whatever their instrument. Shape ``notes``."""
        bars, positions = notes["bar"], notes["position"]
        inside = (bars >= self.first_bar) & (bars < self.end_bar)
        inside &= (bars > self.first_bar) | (positions >= self.first_position)
        if self.last_position is not None:
            inside &= (bars < self.end_bar - 1) | (positions < self.last_position)
        return inside

    def starts_before(self, notes: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return which notes start before the span. Shape ``notes``."""
        bars = notes["bar"]
        in_first = (bars == self.first_bar) & (notes["position"] < self.first_position)
        return (bars < self.first_bar) | in_first

    def shifted(self, bars: int) -> "Hole":
        """Return the same hole `bars` bars later."""
        return Hole(
            self.first_bar + bars,
            self.end_bar + bars,
            self.programs,
            self.first_position,
            self.last_position,
        )


def hole_spec(vocabulary: Vocabulary, grid: Grid, hole: Hole) -> HoleSpec:
    """Return what the grammar must know about the hole of a grid (times from the grid's start)."""
    last = int(vocabulary.bar_positions[grid.signatures[hole.end_bar - 1]])
    end = last if hole.last_position is None else min(hole.last_position, last)
    return HoleSpec(
        signatures=tuple(int(s) for s in grid.signatures[hole.first_bar : hole.end_bar]),
        first_position=hole.first_position,
        last_position=end,
        programs=hole.programs,
        start_time=int(grid.bar_starts(vocabulary)[hole.first_bar]),
    )


def view(grid: Grid, first: int, end: int) -> Grid:
    """Return bars `first` to `end` (exclusive) with the tempo in force stated at their start."""
    window = grid.window(first, end)
    before = grid.tempos[grid.tempos["bar"] < first]
    stated = len(window.tempos) and not window.tempos["bar"][0] and not window.tempos["position"][0]
    if stated or not len(before):
        return window
    in_force = np.zeros(1, TEMPO_FIELDS)
    in_force["tempo"] = before["tempo"][-1]
    return Grid(window.signatures, window.notes, np.concatenate([in_force, window.tempos]))


def context_stream(
    vocabulary: Vocabulary, grid: Grid, hole: Hole, removed: NDArray[np.bool_]
) -> Stream:
    """Return BOS, the context with the hole marked, and SEP.

    Args:
        vocabulary: must have the special tokens of the prompt.
        grid: the window that the model sees.
        hole: the hole, in bars of the window.
        removed: which notes of the grid belong to the hole. Shape ``notes``.
    """
    start = _tokens(vocabulary, "Hole_Start", hole.programs)
    at_bar_end = hole.last_position is None or hole.last_position >= int(
        vocabulary.bar_positions[grid.signatures[hole.end_bar - 1]]
    )
    end_position = None if at_bar_end else hole.last_position
    marks = (
        Mark(hole.first_bar, hole.first_position, start),
        Mark(hole.end_bar - 1, end_position, (vocabulary.id("Hole_End"),)),
    )
    body = render(vocabulary, grid.with_notes(grid.notes[~removed]), marks)
    hole_time = grid.bar_starts(vocabulary)[hole.first_bar]
    ids = np.concatenate(
        [[vocabulary.first(TokenType.BOS)], body.ids, [vocabulary.first(TokenType.SEP)]]
    )
    return Stream(ids, np.concatenate([[0], body.times, [hole_time]]))


def _tokens(vocabulary: Vocabulary, name: str, programs: tuple[int, ...]) -> tuple[int, ...]:
    first = vocabulary.first(TokenType.PROGRAM)
    return (vocabulary.id(name), *(first + vocabulary.program_index[p] for p in programs))


def answer_stream(
    vocabulary: Vocabulary, grid: Grid, hole: Hole, removed: NDArray[np.bool_]
) -> Stream:
    """Return the hole bar by bar and EOS: what the model is trained to write behind SEP.

    The instruments of an onset come in the order of `Hole.programs`.
    """
    cut = grid.with_notes(grid.notes[removed]).window(hole.first_bar, hole.end_bar)
    notes = cut.notes.copy()
    ranks = {program: rank for rank, program in enumerate(hole.programs)}
    notes["track"] = [ranks[int(program)] for program in notes["program"]]
    asked = Grid.build(cut.signatures, notes, cut.tempos[:0])
    body = render(vocabulary, asked)
    starts = grid.bar_starts(vocabulary)
    times = np.concatenate([body.times + starts[hole.first_bar], [starts[hole.end_bar]]])
    return Stream(np.concatenate([body.ids, [vocabulary.first(TokenType.EOS)]]), times)


def join(context: Stream, answer: Stream) -> tuple[Stream, NDArray[np.int8]]:
    """Return context and answer as one stream, with the kind of every token."""
    kinds = np.full(len(context.ids) + len(answer.ids), CONTEXT, np.int8)
    kinds[len(context.ids) :] = HOLE
    joined = Stream(
        np.concatenate([context.ids, answer.ids]), np.concatenate([context.times, answer.times])
    )
    return joined, kinds


def in_sight(
    hole: Hole, notes: NDArray[np.void], kept: NDArray[np.bool_], sight: Sight
) -> NDArray[np.bool_]:
    """Return which of the context notes may be seen. Shape ``notes``.

    Args:
        hole: the hole.
        notes: of the piece.
        kept: which of them are context, and not in the hole. Shape ``notes``.
        sight: how much of the context is seen.
    """
    if sight == "all":
        return kept
    if sight == "past":
        return kept & hole.starts_before(notes)
    if sight == "past_future":
        return kept & ~hole.contains(notes)
    return np.zeros_like(kept)


def prompt_around(
    vocabulary: Vocabulary,
    grid: Grid,
    hole: Hole,
    visible: NDArray[np.bool_],
    *,
    budget: int,
    past: bool = True,
    future: bool = True,
) -> tuple[Stream, int]:
    """Return the prompt of a hole and the number of bars of the piece that it leaves out before it.

    Args:
        vocabulary: must have the special tokens of the prompt.
        grid: the piece.
        hole: the hole, in bars of the piece.
        visible: which notes may be seen. Shape ``notes``.
        budget: tokens that the bars of the prompt may take.
        past: whether bars before the hole may be taken.
        future: whether bars behind the hole may be taken.
    """
    visible = thin(vocabulary, grid, hole, visible, budget)
    sizes = tokens_per_bar(vocabulary, grid, grid.notes[visible])
    first, end = choose_window(sizes, hole, budget, past=past, future=future)
    seen = view(grid.with_notes(grid.notes[visible]), first, end)
    nothing = np.zeros(len(seen.notes), bool)
    return context_stream(vocabulary, seen, hole.shifted(-first), nothing), first


def tokens_per_bar(vocabulary: Vocabulary, grid: Grid, notes: NDArray[np.void]) -> Ids:
    """Return how many context tokens each bar takes with the given notes. Shape ``bars``."""
    per_note = 4 if vocabulary.has_velocities else 3
    counts = np.full(grid.num_bars, 2, np.int64)
    counts += per_note * np.bincount(notes["bar"], minlength=grid.num_bars)
    counts += np.bincount(grid.tempos["bar"], minlength=grid.num_bars)
    longest = int(vocabulary.bar_positions.max()) + 1
    onsets = [source["bar"] * longest + source["position"] for source in (notes, grid.tempos)]
    onset_bars = np.unique(np.concatenate(onsets)) // longest
    return counts + np.bincount(onset_bars, minlength=grid.num_bars)


def choose_window(
    sizes: Ids, hole: Hole, budget: int, *, past: bool = True, future: bool = True
) -> tuple[int, int]:
    """Return first and end bar of the largest window around the hole that the budget allows.

    Bars are taken nearest first, one on each side in turn; where one side ends, the other goes on.

    Args:
        sizes: context tokens of every bar.
        hole: the hole; its bars are always in the window.
        budget: tokens that the context may take in all.
        past: whether bars before the hole may be taken.
        future: whether bars behind the hole may be taken.
    """
    first, end = hole.first_bar, hole.end_bar
    left = budget - int(sizes[first:end].sum())
    sides = [past and first > 0, future and end < len(sizes)]
    while any(sides):
        for side in (0, 1):
            if not sides[side]:
                continue
            bar = first - 1 if side == 0 else end
            if sizes[bar] > left:
                sides[side] = False
                continue
            left -= int(sizes[bar])
            first, end = (bar, end) if side == 0 else (first, bar + 1)
            sides[side] = first > 0 if side == 0 else end < len(sizes)
    return first, end


def thin(
    vocabulary: Vocabulary, grid: Grid, hole: Hole, kept: NDArray[np.bool_], budget: int
) -> NDArray[np.bool_]:
    """Return which context notes stay in view when the hole's own bars outgrow the budget.

    Instruments with few notes in these bars are kept first, so that as many as possible stay in view;
    those that are silent there, as the hole's own mostly are, stay in any case.

    Args:
        vocabulary: gives the token count of a note.
        grid: the piece.
        hole: the hole.
        kept: notes that are context. Shape ``notes``.
        budget: tokens that the context of the hole's bars may take.
    """
    inside = (grid.notes["bar"] >= hole.first_bar) & (grid.notes["bar"] < hole.end_bar)
    if tokens_per_bar(vocabulary, grid, grid.notes[kept & inside]).sum() <= budget:
        return kept
    programs, owners = np.unique(grid.notes["program"], return_inverse=True)
    counts = np.bincount(owners[kept & inside], minlength=len(programs))
    per_note = 5 if vocabulary.has_velocities else 4
    sizes = np.cumsum(np.sort(counts)) * per_note + 3 * hole.num_bars
    few = programs[np.argsort(counts, kind="stable")][sizes <= budget]
    visible = np.concatenate([few, programs[counts == 0]])
    return kept & np.isin(grid.notes["program"], visible)
