"""From a score to the token grid and back, with the ids that MidiTok gives, without MidiTok.

The steps are those of MidiTok 3.1's REMI: time signatures that the vocabulary lacks are passed over,
time is resampled to the finest denominator of the piece, every stretch with one denominator is
rounded to its own grid, tracks of one program become one, velocities, durations and tempos take the
nearest value of the vocabulary, and of notes with the same onset and pitch the shortest stays.
Here each step is one operation on arrays over all notes. The parity tests hold the two together.

In one case we depart from MidiTok. Where a signature with the finest denominator has no effect, because
another replaces it on the same bar line, and all that stay share a coarser one, MidiTok forgets to round:
it writes two equal positions one after the other, which its own check counts as errors. We round.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from symusic import Score
from symusic.core import ScoreTick

from segue.errors import BundleError, DataError
from segue.symbolic.grid import NOTE_FIELDS, TEMPO_FIELDS, Grid
from segue.symbolic.smf import MAX_FILE_BYTES, parse
from segue.symbolic.stream import Ids, render
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary

MAX_BARS = 50_000
"""Bars a piece may have. Ten hours of 4/4 at 120 beats per minute are 18,000."""

PLACED_NOTE_FIELDS = np.dtype(
    [
        ("onset", np.int64),
        ("duration", np.int64),
        ("program", np.int32),
        ("pitch", np.int32),
        ("velocity", np.int32),
    ]
)
"""One note in time units of the vocabulary; ``velocity`` is the MIDI velocity (1-127)."""

_DEFAULT_SIGNATURE = (4, 4)
_DEFAULT_TEMPO = 120.0
_DEFAULT_VELOCITY = 100
_MICROSECONDS_PER_MINUTE = 60_000_000


def encode_file(vocabulary: Vocabulary, path: Path | str) -> Ids:
    """Return the base token ids of a MIDI file, those that MidiTok gives. Shape ``tokens``.

    Raises:
        DataError: the file cannot be read, or its times make no piece of music.
    """
    return render(vocabulary, encode_score(vocabulary, _load(path))).ids


def _load(path: Path | str) -> ScoreTick:
    """Read a file for `encode_score`.

    Our own parser looks at it first: symusic 0.5 ends the process at some damaged files.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        parse(data, name=str(path))
        score = Score.from_midi(data)
    except (RuntimeError, ValueError, OSError, OverflowError, MemoryError) as error:
        raise DataError(f"{path} cannot be read as a MIDI file: {error}.") from error
    if not isinstance(score, ScoreTick):
        raise DataError(f"{path} is not timed in ticks; only MIDI files can be read.")
    return score


def encode_score(vocabulary: Vocabulary, score: ScoreTick) -> Grid:
    """Put a score on the token grid.

    Args:
        vocabulary: the tokens to encode for.
        score: a score in ticks; it is not changed.

    Returns:
        The grid whose tokens are MidiTok's. ``source`` of a note counts through the notes of
        ``score.tracks[0]``, then ``score.tracks[1]`` and so on.

    Raises:
        DataError: no positive resolution, a negative time, or more than `MAX_BARS` bars.
        BundleError: a 4/4 bar is needed and the vocabulary has none.
    """
    if score.ticks_per_quarter <= 0:
        raise DataError(
            f"The file counts {score.ticks_per_quarter} ticks per quarter note; a positive number "
            "is needed. Files in SMPTE time cannot be used."
        )
    meters = _Meters.of(vocabulary, score)
    notes = _Notes.of(score)
    fields, onsets = _grid_notes(vocabulary, notes, meters)
    tempo_times, tempo_indices = _tempo_changes(vocabulary, score, meters)
    num_bars = meters.num_bars(max(onsets.max(initial=0), tempo_times.max(initial=0)))
    fields["bar"], fields["position"] = meters.locate(onsets)
    tempos = np.zeros(len(tempo_times), TEMPO_FIELDS)
    tempos["bar"], tempos["position"] = meters.locate(tempo_times)
    tempos["tempo"] = tempo_indices
    return Grid(meters.bar_signatures(num_bars), fields, tempos)


# Time --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Meters:
    """Time signatures of a piece on its grid: ticks of the finest denominator in use.

    Attributes:
        ratio: grid ticks in one tick of the file; None where they are the same.
        times: grid tick at which each signature begins, a bar line, the first 0. Shape ``changes``.
        signatures: index in the vocabulary. Shape ``changes``.
        bar_ticks: length of a bar. Shape ``changes``.
        position_ticks: length of a grid position. Shape ``changes``.
        first_bars: bar in which each signature begins. Shape ``changes``.
    """

    ratio: float | None
    times: Ids
    signatures: Ids
    bar_ticks: Ids
    position_ticks: Ids
    first_bars: Ids

    @classmethod
    def of(cls, vocabulary: Vocabulary, score: ScoreTick) -> Self:
        """Read the time signatures that the vocabulary knows and move them to bar lines."""
        known = vocabulary.signature_index
        changes = [(t.time, (t.numerator, t.denominator)) for t in score.time_signatures]
        changes = [change for change in changes if change[1] in known]
        if not changes or changes[0][0] != 0:
            changes.insert(0, (0, _DEFAULT_SIGNATURE))
            if _DEFAULT_SIGNATURE not in known:
                raise BundleError(
                    "The tokenizer has no 4/4, which a piece has until its first time signature. "
                    "Train a tokenizer whose time signatures include 4/4."
                )
        finest = max(denominator for _, (_, denominator) in changes)
        while vocabulary.positions_per_beat * finest % 4:
            finest *= 2
        per_quarter = vocabulary.positions_per_beat * finest // 4
        ratio = None
        if per_quarter != score.ticks_per_quarter:
            ratio = per_quarter / score.ticks_per_quarter
            changes = [(int(time * ratio), signature) for time, signature in changes]
        changes = _on_bar_lines(changes, 4 * per_quarter)
        times = np.array([time for time, _ in changes], np.int64)
        numerators, denominators = np.array([signature for _, signature in changes], np.int64).T
        bar_ticks = 4 * per_quarter // denominators * numerators
        bars = np.diff(times) // bar_ticks[:-1]
        return cls(
            ratio=ratio,
            times=times,
            signatures=np.array([known[signature] for _, signature in changes], np.int64),
            bar_ticks=bar_ticks,
            position_ticks=finest // denominators,
            first_bars=np.concatenate([[0], np.cumsum(bars)]),
        )

    def resample(self, ticks: Ids, least: int = 0) -> Ids:
        """Return file ticks as grid ticks, halves rounded up, at least `least` where they change."""
        if self.ratio is None:
            return ticks
        return np.maximum(np.floor(ticks * self.ratio + 0.5), least).astype(np.int64)

    @property
    def is_finer(self) -> bool:
        """Whether the ticks are finer than some signature's positions."""
        return bool(self.position_ticks.max() > 1)

    @property
    def _stretches(self) -> NDArray[np.bool_]:
        """Which signatures begin a stretch with another denominator. Shape ``changes``."""
        return np.concatenate([[True], np.diff(self.position_ticks) != 0])

    def positions_at(self, ticks: Ids) -> tuple[Ids, Ids]:
        """Return start and position length of the stretch with one denominator around each tick."""
        begins = self._stretches
        starts = self.times[begins]
        stretch = np.searchsorted(starts[1:], ticks, side="right")
        return starts[stretch], self.position_ticks[begins][stretch]

    def round(self, ticks: Ids) -> Ids:
        """Return ticks on the grid of their own denominator, halves to the even position."""
        if not self.is_finer:
            return ticks
        starts, lengths = self.positions_at(ticks)
        return np.round((ticks - starts) / lengths).astype(np.int64) * lengths + starts

    def locate(self, ticks: Ids) -> tuple[Ids, Ids]:
        """Return bar and position of ticks that lie on the grid."""
        change = np.searchsorted(self.times, ticks, side="right") - 1
        bars, rest = np.divmod(ticks - self.times[change], self.bar_ticks[change])
        return self.first_bars[change] + bars, rest // self.position_ticks[change]

    def num_bars(self, last_tick: int) -> int:
        """Return the number of bars up to the last event or signature."""
        (last_bar,), _ = self.locate(np.array([last_tick], np.int64))
        num_bars = int(max(last_bar, self.first_bars[-1])) + 1
        if num_bars > MAX_BARS:
            raise DataError(
                f"The piece has {num_bars:,} bars; at most {MAX_BARS:,} can be read. An event that "
                "stands far behind the music is the usual reason: remove it."
            )
        return num_bars

    def bar_signatures(self, num_bars: int) -> NDArray[np.int32]:
        """Return the signature index of every bar. Shape ``bars``."""
        lengths = np.diff(self.first_bars, append=num_bars)
        return np.repeat(self.signatures, lengths).astype(np.int32)


_Change = tuple[int, tuple[int, int]]


def _on_bar_lines(changes: list[_Change], whole_ticks: int) -> list[_Change]:
    """Delay time signatures to the next bar line and drop those without effect."""
    kept: list[_Change] = []
    for asked, signature in changes:
        if kept and signature == kept[-1][1]:
            continue
        if not kept:
            kept.append((asked, signature))
            continue
        start, (numerator, denominator) = kept[-1]
        bar = whole_ticks // denominator * numerator
        time = start + -(-max(asked - start, 0) // bar) * bar
        if time == start:
            kept.pop()
            if kept and kept[-1][1] == signature:
                continue
        kept.append((time, signature))
    return kept


# Notes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Notes:
    """All notes of a score, track after track. Every array has the shape ``notes``.

    Attributes:
        onsets: file ticks.
        durations: file ticks.
        pitches: MIDI pitches.
        velocities: MIDI velocities.
        programs: program of the track, -1 for drums.
        tracks: rank of the program by its first track.
        shared: whether several tracks have this program.
    """

    onsets: Ids
    durations: Ids
    pitches: Ids
    velocities: Ids
    programs: Ids
    tracks: Ids
    shared: NDArray[np.bool_]

    @classmethod
    def of(cls, score: ScoreTick) -> Self:
        tracks = list(score.tracks)
        columns = [track.notes.numpy() for track in tracks]
        counts = [len(column["time"]) for column in columns]
        programs = [DRUM_PROGRAM if track.is_drum else int(track.program) for track in tracks]
        order = list(dict.fromkeys(programs))
        ranks = [order.index(program) for program in programs]
        shared = [programs.count(program) > 1 for program in programs]

        def column(name: str) -> Ids:
            return np.concatenate([np.zeros(0, np.int64), *(c[name] for c in columns)])

        notes = cls(
            onsets=column("time"),
            durations=column("duration"),
            pitches=column("pitch"),
            velocities=column("velocity"),
            programs=np.repeat(np.array(programs, np.int64), counts),
            tracks=np.repeat(np.array(ranks, np.int64), counts),
            shared=np.repeat(np.array(shared, bool), counts),
        )
        if notes.onsets.min(initial=0) < 0:
            raise DataError("A note starts before the beginning of the piece; shift the piece.")
        return notes


def _grid_notes(
    vocabulary: Vocabulary, notes: _Notes, meters: _Meters
) -> tuple[NDArray[np.void], Ids]:
    """Return the notes that the vocabulary can say, bar and position still open, and their onsets."""
    durations = meters.resample(notes.durations, least=1)
    source = np.flatnonzero(_expressible(vocabulary, notes))
    onsets = meters.round(meters.resample(notes.onsets[source]))
    fields = np.zeros(len(source), NOTE_FIELDS)
    fields["source"] = source
    fields["track"] = notes.tracks[source]
    fields["program"] = notes.programs[source]
    fields["pitch"] = notes.pitches[source]
    fields["duration"] = _duration_indices(vocabulary, meters, onsets, durations[source])
    if vocabulary.has_velocities:
        fields["velocity"] = _velocity_indices(vocabulary)[
            np.clip(notes.velocities[source], 0, 127)
        ]
    if vocabulary.config["remove_duplicated_notes"]:
        return _without_duplicates(fields, onsets)
    rank = _rank_before_rounding(notes, meters.resample(notes.onsets), durations)
    order = np.lexsort((rank[source], fields["track"], onsets))
    return fields[order], onsets[order]


def _rank_before_rounding(notes: _Notes, onsets: Ids, durations: Ids) -> Ids:
    """Return the rank of every note within its instrument.

    Notes of one track keep their order. Notes of several tracks with one program are sorted by
    onset, duration, pitch and velocity.
    """
    rank = np.arange(len(onsets))
    where = np.flatnonzero(notes.shared)
    keys = (notes.velocities, notes.pitches, durations, onsets)
    rank[where[np.lexsort([key[where] for key in keys])]] = np.arange(len(where))
    return rank


def _expressible(vocabulary: Vocabulary, notes: _Notes) -> NDArray[np.bool_]:
    """Return which notes have program and pitch in the vocabulary."""
    drums = notes.programs == DRUM_PROGRAM
    (low, high), (drum_low, drum_high) = vocabulary.pitch_range, vocabulary.drum_pitch_range
    lows, highs = np.where(drums, drum_low, low), np.where(drums, drum_high, high)
    known = np.isin(notes.programs, vocabulary.programs)
    return known & (notes.pitches >= lows) & (notes.pitches <= highs)


def _without_duplicates(fields: NDArray[np.void], onsets: Ids) -> tuple[NDArray[np.void], Ids]:
    """Sort by onset, track and pitch; of several equal ones keep the shortest, then softest."""
    keys = ("velocity", "duration", "pitch", "track")
    order = np.lexsort([*(fields[key] for key in keys), onsets])
    fields, onsets = fields[order], onsets[order]
    new = np.ones(len(fields), bool)
    new[1:] = (np.diff(onsets) != 0) | (np.diff(fields["track"]) != 0)
    new[1:] |= np.diff(fields["pitch"]) != 0
    return fields[new], onsets[new]


def _duration_indices(
    vocabulary: Vocabulary, meters: _Meters, onsets: Ids, durations: Ids
) -> NDArray[np.int32]:
    """Return the nearest duration token of every note, as an index."""
    indices = np.zeros(len(onsets), np.int32)
    _, lengths = meters.positions_at(onsets)
    for length in np.unique(meters.position_ticks):
        table = _duration_table(vocabulary, int(length))
        here = lengths == length
        indices[here] = table[np.minimum(durations[here], len(table) - 1)]
    return indices


def _nearest(values: NDArray[Any], wanted: NDArray[Any]) -> Ids:
    """Return the index of the value nearest to each wanted one, the higher of two as near."""
    high = np.searchsorted(values, wanted, side="left")
    low, capped = np.maximum(high - 1, 0), np.minimum(high, len(values) - 1)
    lower = np.abs(wanted - values[low]) < np.abs(wanted - values[capped])
    return np.where((high == len(values)) | lower, high - 1, high)


@lru_cache(maxsize=64)
def _duration_ticks(vocabulary: Vocabulary, position_ticks: int) -> Ids:
    """Return the length of every duration token in ticks, fractions cut off."""
    fields = [token.split("_")[1].split(".") for token in vocabulary.tokens if _is_duration(token)]
    beats, positions, per_beat = np.array(fields, np.int64).T
    beat_ticks = vocabulary.positions_per_beat * position_ticks
    return (beats * per_beat + positions) * beat_ticks // per_beat


def _is_duration(token: str) -> bool:
    return token.startswith("Duration_")


@lru_cache(maxsize=64)
def _duration_table(vocabulary: Vocabulary, position_ticks: int) -> NDArray[np.int32]:
    """Return the duration index for every length in ticks up to the longest token."""
    ticks = _duration_ticks(vocabulary, position_ticks)
    return _nearest(ticks, np.arange(int(ticks.max()) + 1)).astype(np.int32)


@lru_cache(maxsize=8)
def _velocity_indices(vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Return the velocity index of every MIDI velocity. Shape ``128``."""
    return _nearest(vocabulary.velocities, np.arange(128)).astype(np.int32)


# Tempos ------------------------------------------------------------------------------------------


def _tempo_changes(vocabulary: Vocabulary, score: ScoreTick, meters: _Meters) -> tuple[Ids, Ids]:
    """Return times and indices of the tempo changes, the first at the beginning."""
    if not vocabulary.config["use_tempos"]:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    tempos = vocabulary.tempos
    default = int(np.argmin(np.abs(tempos - _DEFAULT_TEMPO)))
    columns = score.tempos.numpy()
    times = meters.round(meters.resample(columns["time"].astype(np.int64)))
    if not len(times):
        return np.zeros(1, np.int64), np.array([default])
    lengths = _MICROSECONDS_PER_MINUTE / tempos
    ascending = np.argsort(lengths)
    indices = ascending[_nearest(lengths[ascending], columns["mspq"])]

    last_of_tick = np.concatenate([np.diff(times) != 0, [True]])
    times, indices = times[last_of_tick], indices[last_of_tick]
    starts_with_default = False
    if vocabulary.config["delete_equal_successive_tempo_changes"]:
        new = np.concatenate([[True], np.diff(indices) != 0])
        times, indices = times[new], indices[new]
        # MidiTok compares what its score gives back: whole microseconds per quarter note.
        stored = _MICROSECONDS_PER_MINUTE / int(lengths[indices[0]])
        starts_with_default = bool(stored == tempos[default])
    if starts_with_default:
        times[0] = 0
    elif times[0] != 0:
        times, indices = np.insert(times, 0, 0), np.insert(indices, 0, default)
    return times, indices


# Back --------------------------------------------------------------------------------------------


def grid_to_notes(vocabulary: Vocabulary, grid: Grid) -> NDArray[np.void]:
    """Return the notes of a grid with onset and duration in time units (`PLACED_NOTE_FIELDS`).

    The units are `Vocabulary.units_per_quarter` to a quarter note, which is the resolution of the
    score that MidiTok decodes to; the notes are equal to MidiTok's, in the order of the grid.
    """
    notes = np.zeros(len(grid.notes), PLACED_NOTE_FIELDS)
    signatures = grid.signatures[grid.notes["bar"]]
    units = vocabulary.units_per_position[signatures]
    starts = grid.bar_starts(vocabulary)[grid.notes["bar"]]
    notes["onset"] = starts + grid.notes["position"] * units
    for length in np.unique(units):
        here = units == length
        ticks = _duration_ticks(vocabulary, int(length))
        notes["duration"][here] = ticks[grid.notes["duration"][here]]
    notes["program"], notes["pitch"] = grid.notes["program"], grid.notes["pitch"]
    notes["velocity"] = _DEFAULT_VELOCITY
    if vocabulary.has_velocities:
        notes["velocity"] = vocabulary.velocities[grid.notes["velocity"]]
    return notes
