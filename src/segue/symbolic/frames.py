"""Make room for new music: pieces without notes, and pieces with empty bars before or after."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from segue.core.region import Region
from segue.errors import DataError, SettingError
from segue.symbolic.instruments import DRUM_CHANNEL, instrument_name
from segue.symbolic.meter import (
    DEFAULT_SIGNATURE,
    MAX_BARS,
    MAX_DENOMINATOR,
    BarTable,
    TimeSignature,
)
from segue.symbolic.score import Piece
from segue.symbolic.smf import (
    CUE,
    END_OF_TRACK,
    KEY_PRESSURE,
    LYRIC,
    MARKER,
    META,
    PORT,
    PROGRAM_CHANGE,
    TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    Chunk,
    Smf,
    meta_message,
)
from segue.symbolic.tracks import CHANNELS
from segue.units import tempo_to_microseconds

DRUMS = -1
"""Stands for the drums in a list of programs."""
_MELODIC_CHANNELS = [channel for channel in range(CHANNELS) if channel != DRUM_CHANNEL]


class Extension(NamedTuple):
    """A piece with new empty bars, and where they are.

    Attributes:
        piece: the longer piece.
        region: the new bars, all tracks.
    """

    piece: Piece
    region: Region


def new_piece(
    programs: Sequence[int],
    *,
    num_bars: int,
    tempo: float = 120.0,
    signature: tuple[int, int] = DEFAULT_SIGNATURE,
    ticks_per_quarter: int = 480,
    names: Sequence[str] | None = None,
) -> Piece:
    """Return a type 1 piece without notes: one track per instrument, one tempo, one signature.

    Args:
        programs: General MIDI programs 0 to 127, -1 for drums.
        num_bars: its length.
        tempo: quarter notes per minute.
        signature: numerator and denominator.
        ticks_per_quarter: resolution, 1 to 32767.
        names: track names; the instruments' names where None.

    Raises:
        SettingError: a value is out of range.
    """
    _check_new(programs, num_bars, tempo, signature, ticks_per_quarter, names)
    bars = BarTable.build(
        [TimeSignature(0, *signature)],
        ticks_per_quarter=ticks_per_quarter,
        end_ticks=1,
        min_bars=num_bars,
    )
    end = (int(bars.start_ticks[-1]), meta_message(END_OF_TRACK))
    microseconds = tempo_to_microseconds(tempo).to_bytes(3, "big")
    beat = bytes([signature[0], signature[1].bit_length() - 1, 24, 8])
    chunks = [
        Chunk.track(
            [(0, meta_message(TEMPO, microseconds)), (0, meta_message(TIME_SIGNATURE, beat)), end]
        )
    ]
    labels = names or [instrument_name(max(p, 0), is_drum=p == DRUMS) for p in programs]
    places = _places(programs)
    for program, label, (port, channel) in zip(programs, labels, places, strict=True):
        messages = [(0, meta_message(TRACK_NAME, label.encode()))]
        if port:
            messages.append((0, meta_message(PORT, bytes([port]))))
        messages.append((0, bytes([PROGRAM_CHANGE | channel, max(program, 0)])))
        chunks.append(Chunk.track([*messages, end]))
    return Piece(Smf(1, ticks_per_quarter, tuple(chunks)), "The new piece")


def _places(programs: Sequence[int]) -> list[tuple[int, int]]:
    """Return output and channel for each instrument; beyond 15 instruments, further outputs."""
    melodic = 0
    places = []
    for program in programs:
        if program == DRUMS:
            places.append((0, DRUM_CHANNEL))
            continue
        port, which = divmod(melodic, len(_MELODIC_CHANNELS))
        places.append((port, _MELODIC_CHANNELS[which]))
        melodic += 1
    return places


def _check_new(
    programs: Sequence[int],
    num_bars: int,
    tempo: float,
    signature: tuple[int, int],
    ticks_per_quarter: int,
    names: Sequence[str] | None,
) -> None:
    """Raise SettingError for values that make no piece, all problems in one message."""
    numerator, denominator = signature
    denominators = [1 << power for power in range(MAX_DENOMINATOR.bit_length())]
    checks = {
        f"{len(programs)} instruments (1 to 128)": 1 <= len(programs) <= 128,
        f"programs {list(programs)} (0 to 127, -1 for drums)": all(
            DRUMS <= program <= 127 for program in programs
        ),
        f"{num_bars} bars (1 to {MAX_BARS:,})": 1 <= num_bars <= MAX_BARS,
        f"a tempo of {tempo} (4 to 1,000,000)": 4 <= tempo <= 1_000_000,
        f"the signature {numerator}/{denominator} (1 to 255 over one of {denominators})": (
            1 <= numerator <= 255 and denominator in denominators
        ),
        f"{ticks_per_quarter} ticks per quarter note (1 to 32767)": (
            1 <= ticks_per_quarter <= 0x7FFF
        ),
        f"{len(names or ())} names for {len(programs)} instruments": (
            names is None or len(names) == len(programs)
        ),
    }
    problems = [text for text, is_right in checks.items() if not is_right]
    if problems:
        raise SettingError(f"A new piece cannot have: {'; '.join(problems)}.")


def num_music_bars(piece: Piece) -> int:
    """Return how many bars there are up to the last in which a note sounds.

    A note that is held less than a sixteenth past a bar line does not count as sounding there. All
    bars count where the piece has no notes.
    """
    notes = piece.notes
    if not len(notes):
        return piece.bars.num_bars
    ends = notes["onset_ticks"] + notes["duration_ticks"] - 1 - piece.ticks_per_quarter // 4
    last = np.maximum(ends, notes["onset_ticks"]).max()
    return int(piece.bars.bar_at(last)) + 1


def extended(piece: Piece, *, bars_after: int) -> Extension:
    """Return the piece with empty bars after the last bar in which a note sounds.

    The bars have the meter in force at the end. Bars that are already empty there are used. The end
    of the first track moves where the piece becomes longer; nothing else changes.

    Raises:
        SettingError: `bars_after` is below 1 or the piece would become too long.
        DataError: the file has no track.
    """
    first = num_music_bars(piece) + 1
    last = first + bars_after - 1
    _check_count(bars_after, last)
    region = Region(None, first, last)
    if piece.bars.num_bars >= last:
        return Extension(piece, region)
    end = int(piece.bars_at_least(last).start_ticks[last])
    index = next((i for i, chunk in enumerate(piece.smf.chunks) if chunk.is_track), None)
    if index is None:
        raise DataError(f"{piece.name} has no tracks: there is nothing to go on with.")
    longer = piece.smf.chunks[index].with_end(end)
    return Extension(replace(piece, smf=piece.smf.with_chunks({index: longer})), region)


def shifted(piece: Piece, *, bars_before: int) -> Extension:
    """Return the piece with empty bars of its first time signature in front.

    Everything moves later by these bars, except what sets the piece up at tick 0: tempo, time and
    key signatures, names, texts, program changes, controllers, pitch bends, channel pressure and
    system exclusive messages stay there. Notes, key pressure, lyrics, markers and cues move.

    Raises:
        SettingError: `bars_before` is below 1 or the piece would become too long.
    """
    _check_count(bars_before, bars_before + piece.bars.num_bars)
    first = [s for s in piece.signatures if s.tick == 0]
    bars = BarTable.build(
        first, ticks_per_quarter=piece.ticks_per_quarter, end_ticks=1, min_bars=bars_before
    )
    shift = int(bars.start_ticks[bars_before])
    chunks = {
        index: _shifted_track(chunk, shift)
        for index, chunk in enumerate(piece.smf.chunks)
        if chunk.is_track
    }
    moved = replace(piece, smf=piece.smf.with_chunks(chunks))
    return Extension(moved, Region(None, 1, bars_before))


def _shifted_track(chunk: Chunk, shift: int) -> Chunk:
    """Return a track with everything but its set-up moved later by `shift` ticks."""
    events = chunk.events.copy()
    status, kind = events["status"], events["first"]
    is_note = status < KEY_PRESSURE + CHANNELS
    is_moment = (status == META) & np.isin(kind, (LYRIC, MARKER, CUE, END_OF_TRACK))
    moves = (events["tick"] > 0) | is_note | is_moment
    events["tick"][moves] += shift
    return chunk.with_events(events[np.argsort(events["tick"], kind="stable")], chunk.pool)


def _check_count(count: int, total: int) -> None:
    """Raise SettingError unless a piece can get `count` more bars, `total` in all."""
    if count < 1 or total > MAX_BARS:
        raise SettingError(
            f"{count} new bars were asked for, which would make {total:,}; give 1 or more, and at "
            f"most {MAX_BARS:,} in all."
        )
