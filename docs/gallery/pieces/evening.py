"""An evening song in D for two choir voices and organ, 3/4, sixteen bars."""

from gallery.pieces.leading import lead
from gallery.pieces.writing import (
    Chord,
    Composition,
    Line,
    line,
    read_chords,
    shaped,
    swelling,
    with_bar_accents,
)

from segue.symbolic.demo_notation import DemoPart, pitch_of

BAR = 3.0
HARMONY = """
D | Bm | G | A/C# | D/F# | G | Em7 | A |
Bm | F#m/A | G | D/F# | Em | A7 | G/D | D
"""
SOPRANO = """
F#4/2 A4/1 | D5/2 B4/1 | B4/1 D5/1 B4/1 | A4/2 C#5/1 | D5/2 A4/1 | B4/2 D5/1 |
E5/1 D5/.5 C#5/.5 B4/1 | C#5/2 r/1 | D5/2 F#5/1 | C#5/1 A4/1 C#5/1 | D5/1.5 C#5/.5 B4/1 |
A4/2 F#4/1 | G4/1 B4/1 E5/1 | C#5/1.5 B4/.5 A4/1 | B4/1.5 C#5/.5 D5/1 | D5/3
"""
RANGES = (
    (pitch_of("A3"), pitch_of("C#5")),
    (pitch_of("F#3"), pitch_of("A4")),
    (pitch_of("D3"), pitch_of("F#4")),
    (pitch_of("C#2"), pitch_of("D3")),
)
CHOIR, ORGAN = 52, 19


def compose() -> Composition:
    """Return the piece; soprano and alto sing, the organ holds three voices."""
    chords, tune = read_chords(HARMONY, BAR), line(SOPRANO)
    voices = lead(chords, tune, RANGES)
    loud = swelling((0, 64), (12, 74), (24, 66), (39, 86), (48, 56))
    alto: Line = []
    organ: Line = []
    for place, (chord, (second, high, low, pedal)) in enumerate(zip(chords, voices, strict=True)):
        following = voices[min(place + 1, len(voices) - 1)][0]
        alto += _alto(chord, second, following, tune)
        organ += [(low, chord.onset, BAR), (high, chord.onset, BAR)]
        organ += _pedal(chord, pedal)
    parts = [
        DemoPart(name, program, with_bar_accents(shaped(sorted(notes, key=_onset), loud), BAR))
        for name, program, notes in (
            ("Soprano", CHOIR, tune), ("Alto", CHOIR, alto), ("Organ", ORGAN, organ),
        )
    ]  # fmt: skip
    tempos = ((0, 92), (42, 82), (45, 66))
    return Composition("Lamps are lit", (3, 4), 16, 2, False, tempos, parts)


def _onset(note: tuple[int, float, float]) -> tuple[float, int]:
    return note[1], note[0]


def _alto(chord: Chord, pitch: int, following: int, tune: Line) -> Line:
    """Return two beats on the voice's tone, then one on the way to the next tone."""
    if chord.onset >= 14 * BAR:
        return [(pitch, chord.onset, BAR)]
    above = next(
        (p for p, onset, length in tune if onset <= chord.onset + 2 < onset + length), pitch + 1
    )
    ladder = [p for p in range(RANGES[0][0], above) if p % 12 in chord.tones]
    near = [p for p in ladder if abs(p - pitch) <= 5] or [pitch]
    other = min(near, key=lambda p: (abs(p - following) + 2 * (p == pitch), p))
    if other == pitch:
        return [(pitch, chord.onset, BAR)]
    return [(pitch, chord.onset, 2.0), (other, chord.onset + 2, 1.0)]


def _pedal(chord: Chord, pitch: int) -> Line:
    """Return the pedal: a half and a quarter, held at the end."""
    if chord.onset >= 14 * BAR:
        return [(pitch, chord.onset, BAR)]
    return [(pitch, chord.onset, 2.0), (pitch, chord.onset + 2, 1.0)]
