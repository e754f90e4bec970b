"""A chorale in F for four voices: four phrases, the second one open, the third one in D minor."""

from gallery.pieces.leading import lead
from gallery.pieces.writing import Composition, Line, line, read_chords, shaped, swelling, tied

from segue.symbolic.demo_notation import DemoPart, pitch_of

HARMONY = """
F C/E F Bb | F/C C7 F F | F/A Dm Gm C | F G7/B C C |
Am F Bb C | Dm A7/C# Dm Bb | F/A Bb F/C C7 | F
"""
SOPRANO = """
F4/1 G4/1 A4/1 D5/1 | C5/1 Bb4/1 A4/2 | C5/1 A4/1 Bb4/1 G4/1 | A4/1 F4/1 G4/2 |
C5/1 C5/1 D5/1 E5/1 | F5/1 E5/1 D5/2 | C5/1 Bb4/1 A4/1 G4/1 | F4/4
"""
NAMES = ("Alto", "Tenor", "Bass")
RANGES = (
    (pitch_of("A3"), pitch_of("B4")),
    (pitch_of("E3"), pitch_of("F4")),
    (pitch_of("F2"), pitch_of("Bb3")),
)
SCALE = tuple(pitch_of(f"{name}4") % 12 for name in ("F", "G", "A", "Bb", "C", "D", "E"))
CHOIR = 52


def compose() -> Composition:
    """Return the piece for soprano, alto, tenor and bass."""
    chords, tune = read_chords(HARMONY, 4.0), line(SOPRANO)
    voices = lead(chords, tune, RANGES)
    loud = swelling((0, 70), (6, 78), (12, 72), (21, 92), (32, 62))
    parts = [DemoPart("Soprano", CHOIR, shaped(tune, loud, accent=6))]
    for number, name in enumerate(NAMES):
        notes: Line = [
            (pitches[number], chord.onset, chord.length)
            for chord, pitches in zip(chords, voices, strict=True)
        ]
        whole = tied(notes, 4.0)
        parts.append(DemoPart(name, CHOIR, shaped(_walking(whole) if number else whole, loud)))
    tempos = ((0, 80), (26, 72), (28, 60))
    return Composition("Chorale for a small room", (4, 4), 8, -1, False, tempos, parts)


def _walking(notes: Line) -> Line:
    """Return a voice with a passing eighth wherever it goes a third from a quarter."""
    walked: Line = []
    for (pitch, onset, length), following in zip(notes, [*notes[1:], notes[-1]], strict=True):
        low, high = sorted((pitch, following[0]))
        between = [p for p in range(low + 1, high) if p % 12 in SCALE]
        if length == 1 and high - low in (3, 4) and len(between) == 1:
            walked += [(pitch, onset, 0.5), (between[0], onset + 0.5, 0.5)]
        else:
            walked.append((pitch, onset, length))
    return walked
