"""What is in a piece, as counts that add up: many pieces need no more memory than a few.

A tally holds named counters of words. Counters of two pieces are added key by key, so that any number
of processes can measure any number of files; quantiles of a corpus are read off the counters.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from symusic import Score
from symusic.core import ScoreTick

from segue.errors import DataError
from segue.symbolic.instruments import instrument_name
from segue.symbolic.meter import (
    DEFAULT_SIGNATURE,
    DEFAULT_TEMPO_MICROSECONDS,
    MAX_DENOMINATOR,
    BarTable,
    TempoMap,
    TimeSignature,
)
from segue.units import SECONDS_PER_MINUTE

Tally: TypeAlias = dict[str, Counter[str]]
"""Counters by name, such as ``tempo_files`` of ``120``."""

MOST_NOTES_PER_BAR: Final = 200
"""Bars with more notes are counted with those that have so many."""
MOST_TEMPO: Final = 400
"""Faster tempos are counted with this one, in quarter notes a minute."""
PARTS_PER_QUARTER: Final = 480
"""Lengths of time are counted in whole parts of a quarter note, so that sums are exact."""


@dataclass(frozen=True)
class PieceRow:
    """One piece in a line of a table.

    Attributes:
        notes: number of notes.
        tracks: tracks that have notes.
        bars: bars up to the end of the last note.
        minutes: length by its own tempos.
        tempo: the tempo that lasts longest, in quarter notes a minute.
        signature: the time signature of most bars.
        instrument: the instrument of most notes.
        mean_polyphony: pitched notes that sound together, where any does.
        most_polyphony: most pitched notes that sound together.
        lowest, highest: pitches, without drums; 0 for drums alone.
        velocities: number of different velocities.
    """

    notes: int
    tracks: int
    bars: int
    minutes: float
    tempo: int
    signature: str
    instrument: str
    mean_polyphony: float
    most_polyphony: int
    lowest: int
    highest: int
    velocities: int


@dataclass(frozen=True, eq=False)
class _Notes:
    """The notes of a piece. All of shape ``notes``; `programs` is -1 for drums."""

    onsets: NDArray[np.int64]
    ends: NDArray[np.int64]
    pitches: NDArray[np.int64]
    velocities: NDArray[np.int64]
    programs: NDArray[np.int64]
    tracks: NDArray[np.int64]


def add_to(total: Tally, other: Mapping[str, Mapping[str, int]]) -> None:
    """Add the counters of `other` to `total`."""
    for name, counts in other.items():
        total.setdefault(name, Counter()).update(counts)


def measure(content: bytes) -> tuple[PieceRow, Tally]:
    """Measure a MIDI file that is known to hold notes.

    Returns:
        The piece in a line, and its counters: ``instrument_files``, ``instrument_tracks``,
        ``instrument_notes``, ``tempo_files`` (the tempo that lasts longest), ``tempo_changes``,
        ``signature_files``, ``signature_bars``, ``notes_per_bar``, ``bars``, ``minutes``,
        ``polyphony`` (`PARTS_PER_QUARTER` spent with so many pitched notes), ``mean_polyphony``,
        ``pitch_notes``, ``pitch_range``, ``velocity_notes``, ``velocities``, ``tracks``, ``notes``,
        ``stated`` (files with a tempo and with a time signature of their own).

    Raises:
        DataError: it is no MIDI file with notes, or its time signatures make no bars.
    """
    try:
        score = Score.from_midi(content)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise DataError(f"The file is not a MIDI file, or damaged ({error}).") from error
    if not isinstance(score, ScoreTick) or score.ticks_per_quarter <= 0:
        raise DataError("The times of the file are not ticks.")
    notes = _notes(score)
    if not len(notes.onsets):
        raise DataError("The file has no notes.")
    end = int(notes.ends.max())
    tally: Tally = {name: Counter() for name in ("stated", "polyphony")}
    bars, signature = _meter(score, notes, end, tally)
    minutes, tempo = _tempo(score, end, tally)
    instrument = _instruments(notes, tally)
    mean, most = _polyphony(notes, score.ticks_per_quarter, tally)
    pitched = notes.pitches[notes.programs >= 0]
    low, high = (int(pitched.min()), int(pitched.max())) if len(pitched) else (0, 0)
    velocities = np.unique(notes.velocities)
    row = PieceRow(
        notes=len(notes.onsets),
        tracks=len(np.unique(notes.tracks)),
        bars=bars,
        minutes=minutes,
        tempo=tempo,
        signature=signature,
        instrument=instrument,
        mean_polyphony=mean,
        most_polyphony=most,
        lowest=low,
        highest=high,
        velocities=len(velocities),
    )
    tally["pitch_notes"] = _counted(pitched)
    tally["velocity_notes"] = _counted(notes.velocities)
    tally["pitch_range"] = Counter({str(high - low): 1} if len(pitched) else {})
    tally["mean_polyphony"] = Counter({str(mean): 1} if len(pitched) else {})
    for name in ("notes", "tracks", "bars", "minutes", "velocities"):
        tally[name] = Counter({str(getattr(row, name)): 1})
    return row, tally


def _counted(values: NDArray[np.int64]) -> Counter[str]:
    found, counts = np.unique(values, return_counts=True)
    return Counter(dict(zip(map(str, found.tolist()), counts.tolist(), strict=True)))


def _notes(score: ScoreTick) -> _Notes:
    """Put the notes of all tracks end to end."""
    tables = [track.notes.numpy() for track in score.tracks]
    counts = [len(table["time"]) for table in tables]
    empty = np.zeros(0, np.int64)

    def column(name: str) -> NDArray[np.int64]:
        return np.concatenate([empty, *(table[name] for table in tables)]).astype(np.int64)

    programs = [-1 if track.is_drum else int(track.program) for track in score.tracks]
    onsets = column("time")
    return _Notes(
        onsets,
        onsets + np.maximum(column("duration"), 0),
        column("pitch"),
        column("velocity"),
        np.repeat(np.array(programs, np.int64), counts),
        np.repeat(np.arange(len(counts)), counts),
    )


def _meter(score: ScoreTick, notes: _Notes, end: int, tally: Tally) -> tuple[int, str]:
    """Count bars; return their number and the time signature of most of them."""
    found = {
        int(one.time): TimeSignature(int(one.time), int(one.numerator), int(one.denominator))
        for one in score.time_signatures
        if one.time >= 0
    }
    if any(not (s.numerator > 0 < s.denominator <= MAX_DENOMINATOR) for s in found.values()):
        raise DataError("A time signature of the file makes no bars.")
    tally["stated"]["signature"] += bool(found)
    table = BarTable.build(
        [found[tick] for tick in sorted(found)] or [TimeSignature(0, *DEFAULT_SIGNATURE)],
        ticks_per_quarter=score.ticks_per_quarter,
        end_ticks=end,
    )
    filled = np.bincount(table.bar_at(notes.onsets), minlength=table.num_bars)[: table.num_bars]
    tally["notes_per_bar"] = _counted(np.minimum(filled, MOST_NOTES_PER_BAR))
    pairs = zip(table.numerators.tolist(), table.denominators.tolist(), strict=True)
    signatures = Counter(f"{numerator}/{denominator}" for numerator, denominator in pairs)
    tally["signature_bars"] = signatures
    tally["signature_files"] = Counter(dict.fromkeys(signatures, 1))
    return table.num_bars, signatures.most_common(1)[0][0]


def _tempo(score: ScoreTick, end: int, tally: Tally) -> tuple[float, int]:
    """Return the length in minutes, and the tempo that lasts longest."""
    events = {
        int(one.time): int(one.mspq) for one in score.tempos if one.mspq > 0 <= one.time < end
    }
    tally["stated"]["tempo"] += bool(events)
    changes = {0: DEFAULT_TEMPO_MICROSECONDS} | events
    ticks = np.array(sorted(changes), np.int64)
    microseconds = np.array([changes[tick] for tick in ticks.tolist()], np.int64)
    tempos = TempoMap(ticks, microseconds, score.ticks_per_quarter)
    spans = np.diff(ticks, append=end)
    values = np.minimum(np.rint(tempos.quarters_per_minute), MOST_TEMPO).astype(np.int64)
    found, which = np.unique(values, return_inverse=True)
    longest = int(found[np.bincount(which, spans).argmax()])
    tally["tempo_files"] = Counter({str(longest): 1})
    tally["tempo_changes"] = Counter({str(int((np.diff(values) != 0).sum())): 1})
    return round(float(tempos.seconds_at(end)) / SECONDS_PER_MINUTE, 2), longest


def _instruments(notes: _Notes, tally: Tally) -> str:
    """Count instruments; return that of most notes."""
    by_notes: Counter[str] = Counter()
    by_tracks: Counter[str] = Counter()
    for track in np.unique(notes.tracks).tolist():
        programs = notes.programs[notes.tracks == track]
        name = instrument_name(max(int(programs[0]), 0), is_drum=bool(programs[0] < 0))
        by_notes[name] += len(programs)
        by_tracks[name] += 1
    tally["instrument_notes"], tally["instrument_tracks"] = by_notes, by_tracks
    tally["instrument_files"] = Counter(dict.fromkeys(by_notes, 1))
    return by_notes.most_common(1)[0][0]


def _polyphony(notes: _Notes, ticks_per_quarter: int, tally: Tally) -> tuple[float, int]:
    """Return how many pitched notes sound together, in the mean over time and at most."""
    pitched = notes.programs >= 0
    begins, ends = notes.onsets[pitched], notes.ends[pitched]
    moments, which = np.unique(np.concatenate([begins, ends]), return_inverse=True)
    steps = np.repeat([1, -1], len(begins))
    levels = np.rint(np.cumsum(np.bincount(which, steps, len(moments)))).astype(np.int64)[:-1]
    spans = np.diff(moments)
    if not levels.sum():
        return 0.0, 0
    ticks = np.bincount(levels, spans)
    parts = np.rint(ticks * PARTS_PER_QUARTER / ticks_per_quarter).astype(np.int64)
    tally["polyphony"] = Counter(
        {str(level): int(count) for level, count in enumerate(parts) if level and count}
    )
    mean = math.fsum(levels * spans) / float(ticks[1:].sum())
    return round(mean, 1), int(levels.max())
