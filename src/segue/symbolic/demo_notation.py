"""How the demo pieces are written down, and the MIDI file that they become."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from segue.symbolic.smf import (
    END_OF_TRACK,
    TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    Chunk,
    Smf,
    emit,
    meta_message,
)
from segue.units import tempo_to_microseconds

TICKS_PER_QUARTER = 480
DRUM_CHANNEL = 9
KEY_SIGNATURE = 0x59
BEATS_PER_BAR = 4
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SIGNS = {"#": 1, "b": -1}


class DemoNote(NamedTuple):
    """A note; times are in quarters from the start."""

    pitch: int
    onset: float
    duration: float
    velocity: int


@dataclass(frozen=True)
class DemoPart:
    """An instrument of a piece: General MIDI `program` from 0, and its notes."""

    name: str
    program: int
    notes: Sequence[DemoNote]
    is_drum: bool = False


@dataclass(frozen=True)
class DemoPiece:
    """A piece in 4/4.

    Attributes:
        title: name of the piece.
        sharps: key signature; flats count below 0.
        tempos: beat and quarters per minute of every tempo change.
        parts: the instruments.
    """

    title: str
    sharps: int
    tempos: Sequence[tuple[float, float]]
    parts: Sequence[DemoPart]


def pitch_of(name: str) -> int:
    """Return the MIDI pitch of a name such as "C4" (60), "F#3" or "Bb5"."""
    letter, signs, octave = name[0], name[1:-1], int(name[-1])
    return 12 * (octave + 1) + LETTERS[letter] + sum(SIGNS[sign] for sign in signs)


def read_line(text: str, *, first_beat: float = 0.0) -> list[tuple[int, float, float]]:
    """Return pitch, onset and duration of the notes of a line such as "B4/1.5 C5/.5 r/2".

    Args:
        text: names with their length in quarters; "r" is a rest; "|" may stand between bars.
        first_beat: where the line begins, in quarters.
    """
    notes: list[tuple[int, float, float]] = []
    beat = first_beat
    for word in text.replace("|", " ").split():
        name, _, length = word.partition("/")
        if name != "r":
            notes.append((pitch_of(name), beat, float(length)))
        beat += float(length)
    return notes


def midi_file(piece: DemoPiece) -> bytes:
    """Return a piece as a MIDI file: a track of tempos, then one track per part."""
    tempo_messages = [
        (_ticks(beat), meta_message(TEMPO, tempo_to_microseconds(qpm).to_bytes(3, "big")))
        for beat, qpm in piece.tempos
    ]
    conductor = [
        (0, meta_message(TRACK_NAME, piece.title.encode())),
        (0, meta_message(TIME_SIGNATURE, bytes([BEATS_PER_BAR, 2, 24, 8]))),
        (0, meta_message(KEY_SIGNATURE, bytes([piece.sharps % 256, 0]))),
        *tempo_messages,
    ]
    end = max(_ticks(note.onset + note.duration) for part in piece.parts for note in part.notes)
    bar = BEATS_PER_BAR * TICKS_PER_QUARTER
    end = -(-end // bar) * bar
    tracks = [conductor, *(_track(part, index) for index, part in enumerate(piece.parts))]
    chunks = [Chunk.track([*track, (end, meta_message(END_OF_TRACK))]) for track in tracks]
    return emit(Smf(1, TICKS_PER_QUARTER, tuple(chunks)))


def _track(part: DemoPart, index: int) -> list[tuple[int, bytes]]:
    """Return the messages of a part; a note that ends comes before one that begins."""
    channel = DRUM_CHANNEL if part.is_drum else index + (index >= DRUM_CHANNEL)
    events: list[tuple[int, int, bytes]] = []
    for note in part.notes:
        start, end = _ticks(note.onset), _ticks(note.onset + note.duration)
        events.append((start, 1, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((end, 0, bytes([0x80 | channel, note.pitch, 0])))
    head = [
        (0, meta_message(TRACK_NAME, part.name.encode())),
        (0, bytes([0xC0 | channel, part.program])),
    ]
    return head + [(tick, message) for tick, _, message in sorted(events)]


def _ticks(beats: float) -> int:
    """Return the tick of a position in quarters."""
    return round(beats * TICKS_PER_QUARTER)
