"""A pastoral for wind quintet in G major, 6/8: the flute has the tune, sixteen bars."""

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
G G/B | D/F# D | Em Em/G | Bm Bm/D | C C/E | G/B | Am7 | D |
G G/B | D/F# D | Em Em/G | B7 | Em C | G/D | D7 D7/F# | G
"""
FLUTE = """
D5/1 B4/.5 G4/1 B4/.5 | A4/1 D5/.5 F#5/1 A5/.5 | E5/1 F#5/.5 G5/1 E5/.5 | D5/1.5 B4/1.5 |
C5/1 E5/.5 G5/1 E5/.5 | D5/1 B4/.5 G4/1 B4/.5 | C5/1 B4/.5 A4/1 G4/.5 | A4/1.5 D5/.5 E5/.5 F#5/.5 |
G5/1 F#5/.5 D5/1 B4/.5 | A4/1 D5/.5 F#5/1 A5/.5 | G5/1 F#5/.5 E5/1 G5/.5 | F#5/1 D#5/.5 B4/1 D#5/.5 |
E5/1 G5/.5 C6/1 G5/.5 | B5/1 G5/.5 D5/1 B4/.5 | C5/1 A4/.5 F#4/1 A4/.5 | G4/3
"""
RANGES = (
    (pitch_of("B3"), pitch_of("C5")),
    (pitch_of("G3"), pitch_of("A4")),
    (pitch_of("D3"), pitch_of("E4")),
    (pitch_of("D2"), pitch_of("C3")),
)
NAMES = (("Oboe", 68), ("Clarinet", 71), ("Horn", 60), ("Bassoon", 70))


def compose() -> Composition:
    """Return the piece for flute, oboe, clarinet, horn and bassoon."""
    chords, tune = read_chords(HARMONY, BAR), line(FLUTE)
    voices = lead(chords, tune, RANGES)
    loud = swelling((0, 62), (15, 74), (24, 60), (37, 92), (48, 58))
    parts = [DemoPart("Flute", 73, with_bar_accents(shaped(tune, loud, accent=8), BAR))]
    figures = (_oboe, _clarinet, _horn, _bassoon)
    for number, ((name, program), figure) in enumerate(zip(NAMES, figures, strict=True)):
        notes: Line = []
        for chord, pitches in zip(chords, voices, strict=True):
            notes += figure(chord, pitches[number])
        parts.append(DemoPart(name, program, with_bar_accents(shaped(notes, loud), BAR)))
    tempos = ((0, 96), (42, 88), (45, 72))
    return Composition("Hill with cows", (6, 8), 16, 1, False, tempos, parts)


def _is_last(chord: Chord) -> bool:
    return chord.onset >= 15 * BAR


def _oboe(chord: Chord, pitch: int) -> Line:
    """Return an echo on the last eighths of each half bar in the first half, then held notes."""
    if chord.onset < 8 * BAR:
        return [(pitch, chord.onset + beat + 0.5, 1.0) for beat in _half_bars(chord)]
    return [(pitch, chord.onset, chord.length)]


def _clarinet(chord: Chord, pitch: int) -> Line:
    """Return eighths that swing between the voice's tone and the chord tone below it."""
    if _is_last(chord):
        return [(pitch, chord.onset, chord.length)]
    below = next(p for p in range(pitch - 1, 0, -1) if p % 12 in chord.tones)
    deep = next(p for p in range(below - 1, 0, -1) if p % 12 in chord.tones)
    lowest = deep if deep >= pitch_of("D3") else below
    return [
        (tone, chord.onset + beat + step / 2, 0.5)
        for beat in _half_bars(chord)
        for step, tone in enumerate((lowest, below, pitch))
    ]


def _horn(chord: Chord, pitch: int) -> Line:
    """Return held notes."""
    return [(pitch, chord.onset, chord.length)]


def _bassoon(chord: Chord, pitch: int) -> Line:
    """Return a quarter and an eighth in every half bar."""
    if _is_last(chord):
        return [(pitch, chord.onset, chord.length)]
    return [
        (pitch, chord.onset + beat + at, length)
        for beat in _half_bars(chord)
        for at, length in ((0.0, 1.0), (1.0, 0.5))
    ]


def _half_bars(chord: Chord) -> list[float]:
    """Return the beats, from the chord's own, on which a half bar begins."""
    return [1.5 * number for number in range(round(chord.length / 1.5))]
