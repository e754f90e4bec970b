"""How the gallery's pieces are written down, and the MIDI files that they become."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from segue.symbolic.demo_notation import (
    DRUM_CHANNEL,
    KEY_SIGNATURE,
    TICKS_PER_QUARTER,
    DemoNote,
    DemoPart,
    pitch_of,
    read_line,
)
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

QUALITIES = {
    "": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "m7": (0, 3, 7, 10), "maj7": (0, 4, 7, 11),
    "dim": (0, 3, 6), "m7b5": (0, 3, 6, 10), "sus4": (0, 5, 7), "6": (0, 4, 7, 9),
    "9": (0, 4, 7, 10, 2),
}  # fmt: skip

KICK, RIM, SNARE, CLAP, LOW_TOM, CLOSED_HAT, PEDAL_HAT = 36, 37, 38, 39, 45, 42, 44
MID_TOM, OPEN_HAT, HIGH_TOM, CRASH, RIDE = 47, 46, 50, 49, 51
STRENGTHS = {"X": 112, "x": 88, "o": 48}

Line = list[tuple[int, float, float]]
"""Pitch, onset and duration in quarters."""


@dataclass(frozen=True)
class Composition:
    """A piece of one metre.

    Attributes:
        title: its name.
        meter: numerator and denominator.
        num_bars: its length.
        sharps: key signature; flats count below 0.
        minor: whether the key is a minor one.
        tempos: beat in quarters, and quarters a minute, of every tempo.
        parts: the instruments.
    """

    title: str
    meter: tuple[int, int]
    num_bars: int
    sharps: int
    minor: bool
    tempos: Sequence[tuple[float, float]]
    parts: Sequence[DemoPart]

    @property
    def bar_quarters(self) -> float:
        """Length of a bar in quarters."""
        return 4 * self.meter[0] / self.meter[1]


@dataclass(frozen=True)
class Chord:
    """A chord for a while.

    Attributes:
        tones: pitch classes, the root first.
        bass: pitch class of the lowest note.
        onset: in quarters.
        length: in quarters.
        name: as it was written.
    """

    tones: tuple[int, ...]
    bass: int
    onset: float
    length: float
    name: str


def read_chords(text: str, bar_quarters: float) -> list[Chord]:
    """Return the chords of a text such as "Am F/A | G7"; those of one bar share it evenly."""
    found = []
    for bar, names in enumerate(bars_of(text)):
        length = bar_quarters / len(names.split())
        for number, name in enumerate(names.split()):
            found.append(_chord(name, bar * bar_quarters + number * length, length))
    return found


def _chord(name: str, onset: float, length: float) -> Chord:
    head, _, bass = name.partition("/")
    size = 2 if head[1:2] in ("#", "b") else 1
    root = class_of(head[:size])
    tones = tuple((root + step) % 12 for step in QUALITIES[head[size:]])
    return Chord(tones, class_of(bass) if bass else root, onset, length, name)


def class_of(name: str) -> int:
    """Return the pitch class of a name without an octave, such as "F#"."""
    return pitch_of(f"{name}4") % 12


def bars_of(text: str) -> list[str]:
    """Return the bars of a text in which "|" stands between them."""
    return [bar for bar in text.replace("\n", " ").split("|") if bar.strip()]


def lengths_of(text: str) -> list[float]:
    """Return the length of every bar of a line in quarters."""
    return [sum(float(word.partition("/")[2]) for word in bar.split()) for bar in bars_of(text)]


def line(text: str, *, first_beat: float = 0.0) -> Line:
    """Return the notes of a line such as "B4/1.5 C5/.5 | r/2"."""
    return read_line(text, first_beat=first_beat)


def shaped(notes: Line, loudness: Callable[[float], float], *, accent: int = 0) -> list[DemoNote]:
    """Return notes with velocities; what begins between the beats is a little softer.

    Args:
        notes: of a part.
        loudness: velocity at a beat in quarters.
        accent: added to all.
    """
    return [
        DemoNote(pitch, onset, length, _velocity(loudness(onset) + accent - 5 * (onset % 1 > 0)))
        for pitch, onset, length in notes
    ]


def swelling(*points: tuple[float, float]) -> Callable[[float], float]:
    """Return a loudness that moves in straight lines through points of beat and velocity."""

    def loudness(beat: float) -> float:
        earlier = [point for point in points if point[0] <= beat] or [points[0]]
        later = [point for point in points if point[0] > beat] or [points[-1]]
        (start, low), (end, high) = earlier[-1], later[0]
        return high if end <= start else low + (high - low) * (beat - start) / (end - start)

    return loudness


def beaten(bars: Iterable[dict[int, str]], *, bar_quarters: float = 4.0) -> list[DemoNote]:
    """Return drum notes of grids in sixteenths: "X" loud, "x" usual, "o" soft, "." nothing.

    Args:
        bars: for every bar the grid of each drum.
        bar_quarters: length of a bar.
    """
    notes = [
        DemoNote(drum, bar * bar_quarters + step / 4, 0.25, STRENGTHS[sign])
        for bar, grids in enumerate(bars)
        for drum, grid in grids.items()
        for step, sign in enumerate(grid)
        if sign in STRENGTHS
    ]
    return sorted(notes, key=lambda note: (note.onset, note.pitch))


def with_bar_accents(notes: Sequence[DemoNote], bar_quarters: float) -> list[DemoNote]:
    """Return notes of which those on the first beat of a bar are a little louder."""
    return [
        note._replace(velocity=_velocity(note.velocity + 6 * (note.onset % bar_quarters == 0)))
        for note in notes
    ]


def tied(notes: Line, bar_quarters: float) -> Line:
    """Return a line with neighbours of one pitch inside a bar joined."""
    joined: Line = []
    for pitch, onset, length in notes:
        if joined and onset % bar_quarters and joined[-1][0] == pitch:
            last_onset, last_length = joined[-1][1:]
            if last_onset + last_length == onset:
                joined[-1] = (pitch, last_onset, last_length + length)
                continue
        joined.append((pitch, onset, length))
    return joined


def _velocity(value: float) -> int:
    return max(1, min(127, round(value)))


def midi_file(piece: Composition) -> bytes:
    """Return a piece as a MIDI file of type 1: a track of tempos, then one for each part."""
    numerator, denominator = piece.meter
    bars = bytes([numerator, denominator.bit_length() - 1, 24, 8])
    conductor = [
        (0, meta_message(TRACK_NAME, piece.title.encode())),
        (0, meta_message(TIME_SIGNATURE, bars)),
        (0, meta_message(KEY_SIGNATURE, bytes([piece.sharps % 256, piece.minor]))),
        *(
            (_ticks(beat), meta_message(TEMPO, tempo_to_microseconds(qpm).to_bytes(3, "big")))
            for beat, qpm in piece.tempos
        ),
    ]
    end = (_ticks(piece.num_bars * piece.bar_quarters), meta_message(END_OF_TRACK))
    tracks = [conductor, *(list(_track(part, n)) for n, part in enumerate(piece.parts))]
    chunks = tuple(Chunk.track([*track, end]) for track in tracks)
    return emit(Smf(1, TICKS_PER_QUARTER, chunks))


def _track(part: DemoPart, number: int) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of a part; a note that ends comes before one that begins."""
    channel = DRUM_CHANNEL if part.is_drum else number + (number >= DRUM_CHANNEL)
    yield 0, meta_message(TRACK_NAME, part.name.encode())
    yield 0, bytes([0xC0 | channel, part.program])
    events = []
    for note in part.notes:
        start, end = _ticks(note.onset), _ticks(note.onset + note.duration)
        events.append((start, 1, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((end, 0, bytes([0x80 | channel, note.pitch, 0])))
    for tick, _, message in sorted(events):
        yield tick, message


def _ticks(beats: float) -> int:
    return round(beats * TICKS_PER_QUARTER)
