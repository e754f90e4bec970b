"""From the grid to base REMI tokens and back, without loops over notes.

Every token has a *time* beside its id: the musical moment it speaks of, in time units of the
vocabulary. The model may turn this into a second rotary position, so that notes of the hole see the
notes that sound with them at distance zero, wherever they stand in the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.grid import NOTE_FIELDS, TEMPO_FIELDS, Grid
from segue.symbolic.vocabulary import DRUM_PROGRAM, TokenType, Vocabulary

Ids = NDArray[np.int64]
_TEMPO, _MARK, _NOTE = 0, 1, 2
_NO_POSITION = np.iinfo(np.int32).max


class Stream(NamedTuple):
    """Token ids with the musical time of each. Both of shape ``tokens``."""

    ids: Ids
    times: Ids


@dataclass(frozen=True)
class Mark:
    """Special tokens put into a stream at a musical position.

    Attributes:
        bar: bar of the stream.
        position: grid position within the bar; None means the end of the bar, after its last event.
        tokens: the token ids.
    """

    bar: int
    position: int | None
    tokens: tuple[int, ...]


def render(vocabulary: Vocabulary, grid: Grid, marks: Sequence[Mark] = ()) -> Stream:
    """Return the base tokens of a grid in MidiTok's order: bars, tempo changes, marks, notes.

    Args:
        vocabulary: gives the token ids.
        grid: bars, notes and tempo changes.
        marks: special tokens to insert, sorted by bar and position.
    """
    bars, positions, kinds, sizes = _events(vocabulary, grid, marks)
    order = np.lexsort((kinds, positions, bars))
    new_position = _starts_position(bars[order], positions[order])
    spans = sizes[order] + new_position
    ends = np.cumsum(spans) + 2 * (bars[order] + 1)
    starts = np.empty_like(ends)
    starts[order] = ends - sizes[order]

    num_tokens = int(spans.sum()) + 2 * grid.num_bars
    ids = np.zeros(num_tokens, np.int64)
    times = np.zeros(num_tokens, np.int64)
    bar_times = grid.bar_starts(vocabulary)
    units = vocabulary.units_per_position[grid.signatures]

    _put_bars(vocabulary, grid, ids, times, bars, sizes_with_positions=(order, spans))
    event_times = np.where(
        positions == _NO_POSITION,
        bar_times[np.minimum(bars + 1, grid.num_bars)],
        bar_times[bars] + np.where(positions == _NO_POSITION, 0, positions) * units[bars],
    )
    where = starts[order][new_position] - 1
    which = order[new_position]
    ids[where] = vocabulary.first(TokenType.POSITION) + positions[which]
    times[where] = event_times[which]
    _put_events(vocabulary, grid, marks, ids, times, starts, event_times)
    return Stream(ids, times)


def _events(vocabulary: Vocabulary, grid: Grid, marks: Sequence[Mark]) -> tuple[Ids, Ids, Ids, Ids]:
    """Return bar, position, kind and token count of tempos, marks and notes, in this order."""
    note_size = 4 if vocabulary.has_velocities else 3
    mark_positions = [_NO_POSITION if m.position is None else m.position for m in marks]
    bars = np.concatenate([grid.tempos["bar"], [m.bar for m in marks], grid.notes["bar"]])
    positions = np.concatenate([grid.tempos["position"], mark_positions, grid.notes["position"]])
    counts = (len(grid.tempos), len(marks), len(grid.notes))
    kinds = np.repeat((_TEMPO, _MARK, _NOTE), counts)
    sizes = np.repeat((1, 0, note_size), counts)
    sizes[counts[0] : counts[0] + counts[1]] = [len(m.tokens) for m in marks]
    return bars.astype(np.int64), positions.astype(np.int64), kinds, sizes


def _starts_position(bars: Ids, positions: Ids) -> NDArray[np.bool_]:
    """Return which of the sorted events need a Position token before them."""
    new = np.ones(len(bars), bool)
    new[1:] = (np.diff(bars) != 0) | (np.diff(positions) != 0)
    return new & (positions != _NO_POSITION)


def _put_bars(
    vocabulary: Vocabulary,
    grid: Grid,
    ids: Ids,
    times: Ids,
    bars: Ids,
    sizes_with_positions: tuple[Ids, Ids],
) -> None:
    """Write the Bar and TimeSig tokens."""
    order, spans = sizes_with_positions
    tokens_in_bar = np.bincount(bars[order], spans, grid.num_bars).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(tokens_in_bar + 2)])[:-1]
    ids[starts] = vocabulary.first(TokenType.BAR)
    ids[starts + 1] = vocabulary.first(TokenType.TIME_SIG) + grid.signatures
    times[starts] = times[starts + 1] = grid.bar_starts(vocabulary)[:-1]


def _put_events(
    vocabulary: Vocabulary,
    grid: Grid,
    marks: Sequence[Mark],
    ids: Ids,
    times: Ids,
    starts: Ids,
    event_times: Ids,
) -> None:
    """Write the tokens of tempos, marks and notes at their places."""
    num_tempos, num_marks = len(grid.tempos), len(marks)
    where = starts[:num_tempos]
    ids[where] = vocabulary.first(TokenType.TEMPO) + grid.tempos["tempo"] if num_tempos else 0
    times[where] = event_times[:num_tempos]
    for number, mark in enumerate(marks, num_tempos):
        span = slice(starts[number], starts[number] + len(mark.tokens))
        ids[span] = mark.tokens
        times[span] = event_times[number]
    where = starts[num_tempos + num_marks :]
    for offset, tokens in enumerate(_note_tokens(vocabulary, grid.notes)):
        ids[where + offset] = tokens
        times[where + offset] = event_times[num_tempos + num_marks :]


def _note_tokens(vocabulary: Vocabulary, notes: NDArray[np.void]) -> list[Ids]:
    """Return program, pitch, (velocity,) duration token ids of notes."""
    programs = np.zeros(130, np.int64)
    for program, number in vocabulary.program_index.items():
        programs[program] = vocabulary.first(TokenType.PROGRAM) + number
    pitches = vocabulary.first(TokenType.PITCH) - vocabulary.pitch_range[0] + notes["pitch"]
    if vocabulary.has_drum_pitches:
        offset = vocabulary.first(TokenType.PITCH_DRUM) - vocabulary.drum_pitch_range[0]
        pitches = np.where(notes["program"] == DRUM_PROGRAM, offset + notes["pitch"], pitches)
    columns = [programs[notes["program"]], pitches]
    if vocabulary.has_velocities:
        columns.append(vocabulary.first(TokenType.VELOCITY) + notes["velocity"])
    return [*columns, vocabulary.first(TokenType.DURATION) + notes["duration"]]


def parse(vocabulary: Vocabulary, ids: Ids) -> Grid:
    """Return the grid that a stream of base tokens describes; special tokens are passed over.

    A stream that does not begin with a bar gets no bar invented: events before the first bar are
    dropped, as are notes that are cut off. Bars without a time signature repeat the one before
    (4/4 at first, or the first of the vocabulary).
    """
    ids = np.asarray(ids, np.int64)
    kinds = vocabulary.types[ids]
    index = vocabulary.index[ids].astype(np.int64)
    bar = np.cumsum(kinds == TokenType.BAR) - 1
    signatures = _parse_signatures(vocabulary, kinds, index, bar)
    position = _parse_positions(kinds, index)

    tempo_at = np.flatnonzero((kinds == TokenType.TEMPO) & (bar >= 0))
    tempos = np.zeros(len(tempo_at), TEMPO_FIELDS)
    tempos["bar"], tempos["position"] = bar[tempo_at], position[tempo_at]
    tempos["tempo"] = index[tempo_at]

    size = 2 if vocabulary.has_velocities else 1
    is_pitch = (kinds == TokenType.PITCH) | (kinds == TokenType.PITCH_DRUM)
    note_at = np.flatnonzero(is_pitch & (bar >= 0))
    note_at = note_at[note_at + size < len(ids)]
    note_at = note_at[kinds[note_at + size] == TokenType.DURATION]
    notes = np.zeros(len(note_at), NOTE_FIELDS)
    notes["bar"], notes["position"] = bar[note_at], position[note_at]
    drums = kinds[note_at] == TokenType.PITCH_DRUM
    low, drum_low = vocabulary.pitch_range[0], vocabulary.drum_pitch_range[0]
    notes["pitch"] = index[note_at] + np.where(drums, drum_low, low)
    notes["program"] = _parse_programs(vocabulary, kinds, index)[note_at]
    notes["velocity"] = index[note_at + 1] if vocabulary.has_velocities else 0
    notes["duration"] = index[note_at + size]
    notes["source"] = -1
    notes["track"] = program_order(notes)
    return Grid(signatures, notes, tempos)


def _forward_fill(present: NDArray[np.bool_]) -> Ids:
    """Return, for every place, the last place at which `present` holds, or -1."""
    return np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))


def _parse_signatures(
    vocabulary: Vocabulary, kinds: NDArray[np.int8], index: Ids, bar: Ids
) -> NDArray[np.int32]:
    num_bars = int(bar[-1]) + 1 if len(bar) else 0
    default = vocabulary.signature_index.get((4, 4), 0)
    signatures = np.full(num_bars, -1, np.int32)
    where = np.flatnonzero((kinds == TokenType.TIME_SIG) & (bar >= 0))
    signatures[bar[where]] = index[where]
    last = _forward_fill(signatures >= 0)
    return np.where(last >= 0, signatures[np.maximum(last, 0)], default).astype(np.int32)


def _parse_positions(kinds: NDArray[np.int8], index: Ids) -> Ids:
    is_position = kinds == TokenType.POSITION
    last = _forward_fill(is_position | (kinds == TokenType.BAR))
    at = np.maximum(last, 0)
    return np.where((last >= 0) & is_position[at], index[at], 0)


def _parse_programs(vocabulary: Vocabulary, kinds: NDArray[np.int8], index: Ids) -> Ids:
    last = _forward_fill(kinds == TokenType.PROGRAM)
    known = last >= 0
    return np.where(known, vocabulary.programs[np.where(known, index[np.maximum(last, 0)], 0)], 0)


def program_order(notes: NDArray[np.void]) -> NDArray[np.int32]:
    """Return an order of instruments that agrees with the order of the notes at every onset.

    Args:
        notes: notes in stream order; only bar, position and program are read.

    Returns:
        The rank of each note's program. Shape ``notes``. Where onsets contradict each other (no
        real file's do), programs that come first in the piece come first.
    """
    programs, first, inverse = np.unique(notes["program"], return_index=True, return_inverse=True)
    if len(programs) < 2:
        return np.zeros(len(notes), np.int32)
    before = np.zeros((len(programs), len(programs)), bool)
    same_onset = (np.diff(notes["bar"]) == 0) & (np.diff(notes["position"]) == 0)
    before[inverse[:-1][same_onset], inverse[1:][same_onset]] = True
    np.fill_diagonal(before, False)
    rank = np.zeros(len(programs), np.int32)
    left = list(np.argsort(first))
    for number in range(len(programs)):
        free = (p for p in left if not before[left, p].any())
        chosen = next(free, left[0])
        rank[chosen] = number
        left.remove(chosen)
    return rank[inverse]
