"""A waltz for piano in A minor: two sentences of eight bars, the first open, the second closed."""

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

HARMONY = """
Am | Am/C | Dm | Dm/F | E7 | E7/B | Am | E7 |
Am | A7/C# | Dm | Bm7b5/D | Am/E | E7 | Am | Am
"""
MELODY = """
E5/2 C5/1 | A4/.5 B4/.5 C5/1 E5/1 | F5/2 D5/1 | D5/.5 E5/.5 F5/1 A5/1 |
G#5/2 E5/1 | D5/1 B4/1 G#4/1 | A4/1.5 B4/.5 C5/1 | B4/2 r/1 |
E5/2 C5/1 | A4/.5 C#5/.5 E5/1 G5/1 | F5/2 A5/1 | A5/1 F5/.5 E5/.5 D5/1 |
C5/1.5 E5/.5 A5/1 | G#5/1 E5/.5 D5/.5 B4/1 | A4/2 E4/1 | A4/3
"""
BASS_RANGE = (pitch_of("A2"), pitch_of("G#3"))
CHORD_RANGE = (pitch_of("D3"), pitch_of("G4"))


def compose() -> Composition:
    """Return the piece, one track for each hand."""
    chords = read_chords(HARMONY, 3.0)
    tune = line(MELODY)
    loud = swelling((0, 66), (12, 78), (24, 62), (36, 86), (48, 54))
    right = with_bar_accents(shaped(tune, loud, accent=10), 3.0)
    left = with_bar_accents(shaped(_left_hand(chords, tune), loud, accent=-12), 3.0)
    parts = (DemoPart("Right hand", 0, right), DemoPart("Left hand", 0, left))
    tempos = ((0, 144), (21, 132), (24, 144), (42, 126), (45, 104))
    return Composition("Waltz at the window", (3, 4), 16, 0, True, tempos, parts)


def _left_hand(chords: list[Chord], tune: Line) -> Line:
    """Return a bass note and two chords a bar; the last bar is held."""
    notes: Line = []
    before = (pitch_of("A3"), pitch_of("C4"))
    for chord in chords:
        low = BASS_RANGE[0] + (chord.bass - BASS_RANGE[0]) % 12
        if chord.onset == chords[-1].onset:
            closing = [low, *(pitch_of(name) for name in ("E3", "A3", "C4"))]
            notes += [(pitch, chord.onset, 3.0) for pitch in closing]
            break
        before = _pair(chord, low, before, tune)
        notes.append((low, chord.onset, 1.0))
        notes += [(pitch, chord.onset + beat, 0.75) for beat in (1.0, 2.0) for pitch in before]
    return notes


def _pair(chord: Chord, low: int, before: tuple[int, int], tune: Line) -> tuple[int, int]:
    """Return the two tones of a chord that the bass leaves, near the last ones, below the tune."""
    end = chord.onset + chord.length
    roof = min(p for p, onset, length in tune if onset < end and onset + length > chord.onset)
    top = min(CHORD_RANGE[1], roof - 1)
    ladder = [p for p in range(max(CHORD_RANGE[0], low + 3), top + 1) if p % 12 in chord.tones]
    pairs = [(a, b) for a in ladder for b in ladder if 3 <= b - a <= 9]
    third = chord.tones[1]

    def cost(pair: tuple[int, int]) -> float:
        moved = abs(pair[0] - before[0]) + abs(pair[1] - before[1])
        has_third = third in (low % 12, pair[0] % 12, pair[1] % 12)
        new = len({low % 12, pair[0] % 12, pair[1] % 12})
        return moved + 20 * (not has_third) + 6 * (3 - new) + 0.3 * abs(pair[0] - pitch_of("A3"))

    return min(pairs, key=cost)
