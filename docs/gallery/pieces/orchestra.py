"""A small procession in E flat for flute, horn, strings, double bass and timpani, twelve bars."""

from gallery.pieces.leading import lead
from gallery.pieces.writing import (
    Chord,
    Composition,
    Line,
    line,
    read_chords,
    shaped,
    swelling,
    tied,
    with_bar_accents,
)

from segue.symbolic.demo_notation import DemoPart, pitch_of

HARMONY = """
Eb | Eb Ab | Bb7 | Eb Bb/D | Cm | G7/B Cm | F7 | Bb |
Eb/G | Ab Fm | Bb7 | Eb
"""
FLUTE = """
Bb4/1 Eb5/1.5 F5/.5 G5/1 | Bb5/1 G5/1 Ab5/1 C6/1 | Bb5/1.5 Ab5/.5 F5/1 D5/1 | Eb5/1 G5/1 F5/2 |
G5/1.5 F5/.5 Eb5/1 C5/1 | D5/1 F5/1 Eb5/1 G5/1 | A5/1.5 G5/.5 F5/1 Eb5/1 | D5/2 r/1 Bb4/1 |
Eb5/1 G5/1 Bb5/1 G5/1 | C6/1.5 Bb5/.5 Ab5/1 F5/1 | D5/1 F5/1 Ab5/.5 G5/.5 F5/1 | Eb5/1 Bb4/1 Eb5/2
"""
RANGES = (
    (pitch_of("C4"), pitch_of("D5")),
    (pitch_of("G3"), pitch_of("Bb4")),
    (pitch_of("Eb3"), pitch_of("Eb4")),
    (pitch_of("F1"), pitch_of("Eb2")),
)
TIMPANI = {pitch_of("Eb4") % 12: pitch_of("Eb3"), pitch_of("Bb4") % 12: pitch_of("Bb2")}
"""The two drums, by pitch class."""


def compose() -> Composition:
    """Return the piece; the strings hold two voices, the horn one."""
    chords, tune = read_chords(HARMONY, 4.0), line(FLUTE)
    voices = lead(chords, tune, RANGES)
    loud = swelling((0, 70), (12, 84), (28, 96), (31, 70), (40, 104), (48, 88))
    horn: Line = []
    strings: Line = []
    bass: Line = []
    for chord, (high, low, middle, deep) in zip(chords, voices, strict=True):
        strings += _pulse(chord, (low, high))
        horn += [(middle, chord.onset, chord.length)]
        bass += _steps(chord, deep)
    parts = [
        DemoPart(name, program, with_bar_accents(shaped(notes, loud, accent=accent), 4.0))
        for name, program, notes, accent in (
            ("Flute", 73, tune, 10), ("Horn", 60, tied(horn, 4.0), 0),
            ("Strings", 48, strings, -8), ("Double bass", 43, bass, 0),
            ("Timpani", 47, _timpani(chords), -2),
        )
    ]  # fmt: skip
    tempos = ((0, 112), (44, 100), (46, 84))
    return Composition("Procession of the umbrellas", (4, 4), 12, -3, False, tempos, parts)


def _pulse(chord: Chord, pitches: tuple[int, ...]) -> Line:
    """Return repeated eighths; the last chord is held."""
    if chord.onset >= 44:
        return [(pitch, chord.onset, chord.length) for pitch in pitches]
    steps = int(chord.length * 2)
    return [(pitch, chord.onset + n / 2, 0.5) for n in range(steps) for pitch in pitches]


def _steps(chord: Chord, pitch: int) -> Line:
    """Return quarters on the bass note, the fifth or the octave between them."""
    if chord.onset >= 44 or chord.length < 4:
        return [(pitch, chord.onset, chord.length)]
    over = pitch + 12 if chord.bass != chord.tones[0] or pitch < pitch_of("A1") else pitch + 7
    in_chord = over if over % 12 in chord.tones else pitch + 12
    return [
        (p, chord.onset + beat, 1.0) for beat, p in enumerate((pitch, in_chord, pitch, in_chord))
    ]


def _timpani(chords: list[Chord]) -> Line:
    """Return strokes where the bass is a note that a drum is tuned to."""
    notes: Line = []
    for chord in chords:
        drum = TIMPANI.get(chord.bass)
        if drum is None:
            continue
        if chord.onset >= 44:
            notes += [(drum, chord.onset, 1.0), (drum, chord.onset + 2, 2.0)]
            continue
        notes += [(drum, chord.onset, 1.0)]
        if chord.length == 4:
            notes += [(drum, chord.onset + beat, 0.5) for beat in (2.0, 3.0, 3.5)]
    return notes
