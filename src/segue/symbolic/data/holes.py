"""Holes drawn the way people draw them: some bars of a track, a beat span, a tail, a whole track."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.core.config import StrictModel
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary


class HoleSettings(StrictModel):
    """Probabilities of the kinds of hole; each is drawn on its own."""

    all_tracks: float = Field(default=0.35, ge=0, le=1, description="every instrument")
    one_track: float = Field(default=0.45, ge=0, le=1, description="one; the rest: some")
    half_track: float = Field(
        default=0.3, ge=0, le=1, description="only the upper or lower notes of a single instrument"
    )
    silent_track: float = Field(default=0.1, ge=0, le=1, description="may be silent there")
    beat_span: float = Field(default=0.2, ge=0, le=1, description="edges between bar lines")
    max_bars: int = Field(default=8, gt=0, description="longest hole of the usual kind")
    whole_window: float = Field(default=0.12, ge=0, le=1, description="as long as fits")
    no_future: float = Field(default=0.2, ge=0, le=1, description="outpainting")
    no_past: float = Field(default=0.05, ge=0, le=1, description="leading in")
    no_context: float = Field(default=0.04, ge=0, le=1, description="composing")


class DrawnHole(NamedTuple):
    """A hole, which sides of it the model may see, and which pitches it takes (high excluded)."""

    hole: Hole
    past: bool
    future: bool
    low_pitch: int = 0
    high_pitch: int = 128

    def takes(self, notes: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return which notes belong to the hole. Shape ``notes``."""
        taken = self.hole.contains(notes) & np.isin(notes["program"], self.hole.programs)
        return taken & (notes["pitch"] >= self.low_pitch) & (notes["pitch"] < self.high_pitch)


def draw_hole(
    rng: np.random.Generator,
    vocabulary: Vocabulary,
    grid: Grid,
    anchor_bar: int,
    settings: HoleSettings,
    max_tokens: int,
) -> DrawnHole:
    """Draw a hole that begins at a bar.

    Args:
        rng: source of randomness.
        vocabulary: gives the length of the bars.
        grid: the piece; must have notes.
        anchor_bar: first bar of the hole.
        settings: probabilities.
        max_tokens: the answer takes about this many tokens at most (one bar is always allowed).
    """
    length = min(_draw_length(rng, settings), grid.num_bars - anchor_bar)
    programs = _draw_programs(rng, grid, anchor_bar, anchor_bar + length, settings)
    length = _shorten(grid, anchor_bar, length, programs, max_tokens)
    first_position, last_position = 0, None
    if rng.random() < settings.beat_span:
        first_position, last_position = _draw_span(rng, vocabulary, grid, anchor_bar, length)
    hole = Hole(anchor_bar, anchor_bar + length, programs, first_position, last_position)
    low, high = _draw_half(rng, grid, hole, settings)
    kind = rng.random()
    if kind < settings.no_context:
        return DrawnHole(hole, past=False, future=False)
    kind -= settings.no_context
    future = kind >= settings.no_future
    past = not settings.no_future <= kind < settings.no_future + settings.no_past
    return DrawnHole(hole, past=past, future=future, low_pitch=low, high_pitch=high)


def _draw_half(
    rng: np.random.Generator, grid: Grid, hole: Hole, settings: HoleSettings
) -> tuple[int, int]:
    """Return the pitches of a hole that leaves part of an instrument standing.

    Two tracks of a file may share an instrument (the hands of a piano, two violins); they are one in
    the tokens. Filling one of them beside the other is learnt from holes that take half of its notes.
    """
    if len(hole.programs) != 1 or hole.programs[0] == DRUM_PROGRAM:
        return 0, 128
    mine = hole.contains(grid.notes) & (grid.notes["program"] == hole.programs[0])
    if rng.random() >= settings.half_track or len(np.unique(grid.notes["pitch"][mine])) < 2:
        return 0, 128
    split = int(np.ceil(np.median(grid.notes["pitch"][mine])))
    return (split, 128) if rng.random() < 0.5 else (0, split)


def _draw_length(rng: np.random.Generator, settings: HoleSettings) -> int:
    """Return a number of bars, short ones likelier."""
    if rng.random() < settings.whole_window:
        return int(rng.integers(settings.max_bars, 4 * settings.max_bars + 1))
    return int(np.exp(rng.uniform(0, np.log(settings.max_bars + 1))))


def _draw_programs(
    rng: np.random.Generator, grid: Grid, first: int, end: int, settings: HoleSettings
) -> tuple[int, ...]:
    """Return the instruments of the hole in track order."""
    notes = grid.notes
    ordered = _programs_in_order(notes)
    scope = rng.random()
    if scope < settings.all_tracks:
        return ordered
    here = _programs_in_order(notes[(notes["bar"] >= first) & (notes["bar"] < end)])
    pool = here if here and rng.random() >= settings.silent_track else ordered
    count = 1
    if scope >= settings.all_tracks + settings.one_track and len(pool) > 1:
        count = int(rng.integers(1, len(pool)))
    chosen = {pool[i] for i in rng.choice(len(pool), count, replace=False)}
    return tuple(program for program in ordered if program in chosen)


def _programs_in_order(notes: NDArray[np.void]) -> tuple[int, ...]:
    pairs = np.unique(np.stack([notes["track"], notes["program"]]), axis=1)
    return tuple(int(program) for program in pairs[1])


def _shorten(
    grid: Grid, first: int, length: int, programs: tuple[int, ...], max_tokens: int
) -> int:
    """Return the number of bars whose answer stays below `max_tokens`."""
    notes = grid.notes
    mine = notes["bar"][np.isin(notes["program"], programs)] - first
    per_bar = 5 * np.bincount(mine[(mine >= 0) & (mine < length)], minlength=length) + 2
    fitting = int(np.searchsorted(np.cumsum(per_bar), max_tokens, side="right"))
    return max(1, min(length, fitting))


def _draw_span(
    rng: np.random.Generator, vocabulary: Vocabulary, grid: Grid, first: int, length: int
) -> tuple[int, int]:
    """Return the first and the end position of a hole whose edges lie on beats."""
    beat = vocabulary.positions_per_beat
    first_beats = int(vocabulary.bar_positions[grid.signatures[first]]) // beat
    last_beats = int(vocabulary.bar_positions[grid.signatures[first + length - 1]]) // beat
    start = int(rng.integers(0, first_beats))
    low = start + 1 if length == 1 else 1
    return start * beat, int(rng.integers(low, last_beats + 1)) * beat
