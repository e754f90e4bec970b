"""A two-part invention for piano in D minor: a subject, its answer, sequences, F major, return.

The subject stands in bar 1 (upper voice), 2 (lower), 9 and 10 (F major) and 13 (lower).
"""

from gallery.pieces.writing import Composition, line, shaped, swelling

from segue.symbolic.demo_notation import DemoPart

UPPER = """
D5/.5 F5/.25 E5/.25 D5/.5 A4/.5 C#5/.5 D5/.25 E5/.25 A4/1 |
F5/.5 G5/.5 A5/1 E5/.5 F5/.25 G5/.25 E5/.5 C#5/.5 |
Bb4/.5 D5/.25 C5/.25 Bb4/.5 G4/.5 E5/.5 G5/.25 F5/.25 E5/.5 C5/.5 |
A4/.5 C5/.25 Bb4/.25 A4/.5 F4/.5 D5/.5 F5/.25 E5/.25 D5/.5 Bb4/.5 |
G4/.5 Bb4/.25 A4/.25 G4/.5 E4/.5 C#5/.5 E5/.25 D5/.25 C#5/.5 A4/.5 |
F4/.5 A4/.5 D5/.5 F5/.5 G5/.5 F5/.25 E5/.25 D5/.5 Bb4/.5 |
C#5/.5 E5/.5 F5/.5 D5/.5 Bb4/.5 D5/.5 C#5/.5 E5/.5 |
A4/.5 C#5/.25 D5/.25 E5/1 E5/.5 D5/.25 C5/.25 Bb4/1 |
F5/.5 A5/.25 G5/.25 F5/.5 C5/.5 E5/.5 F5/.25 G5/.25 C5/1 |
A4/.5 Bb4/.5 C5/1 G4/.5 A4/.25 Bb4/.25 G4/.5 Bb4/.5 |
D5/.5 F5/.25 E5/.25 D5/.5 Bb4/.5 Bb4/.5 D5/.25 C5/.25 Bb4/.5 G4/.5 |
E5/.5 G5/.25 F5/.25 E5/.5 Bb4/.5 C#5/.5 E5/.25 D5/.25 C#5/.5 E5/.5 |
F5/.5 G5/.5 A5/1 E5/.5 F5/.25 G5/.25 E5/.5 C#5/.5 |
Bb4/.5 D5/.25 C5/.25 Bb4/.5 G4/.5 E5/.5 G5/.25 F5/.25 A5/.5 G5/.5 |
F5/.5 D5/.5 E5/.5 G5/.5 F5/.5 D5/.5 E5/.5 C#5/.5 |
D5/1 A4/1 F#4/2
"""
LOWER = """
D3/2 A2/2 |
D3/.5 F3/.25 E3/.25 D3/.5 A2/.5 C#3/.5 D3/.25 E3/.25 A2/1 |
G3/1 D3/.5 Bb2/.5 C3/1 G2/.5 E3/.5 |
F3/1 C3/.5 A2/.5 Bb2/1 F2/.5 D3/.5 |
E3/1 Bb2/.5 G2/.5 A2/1 E2/.5 C#3/.5 |
D3/1 F3/.5 D3/.5 G3/1 Bb3/.5 G3/.5 |
A3/1 D3/1 G3/1 A3/1 |
A2/1 G2/1 C3/2 |
A2/2 C3/1 E3/1 |
F3/.5 A3/.25 G3/.25 F3/.5 C3/.5 E3/.5 F3/.25 G3/.25 C3/1 |
Bb2/1 F2/.5 D3/.5 G2/1 D3/.5 Bb2/.5 |
G2/1 Bb2/.5 G2/.5 A2/1 E3/.5 A2/.5 |
D3/.5 F3/.25 E3/.25 D3/.5 A2/.5 C#3/.5 D3/.25 E3/.25 A2/1 |
G3/1 D3/.5 Bb2/.5 C3/1 F3/1 |
Bb2/1 G2/1 A2/1 A2/1 |
D3/2 D2/2
"""


def compose() -> Composition:
    """Return the piece, one track for each hand."""
    loud = swelling((0, 70), (24, 84), (32, 72), (44, 88), (60, 80), (64, 66))
    parts = (
        DemoPart("Right hand", 0, shaped(line(UPPER), loud, accent=4)),
        DemoPart("Left hand", 0, shaped(line(LOWER), loud)),
    )
    tempos = ((0, 92), (58, 84), (60, 66))
    return Composition("Invention on five steps", (4, 4), 16, -1, True, tempos, parts)
