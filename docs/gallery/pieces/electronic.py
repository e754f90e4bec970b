"""Fast electronic music: sixteen bars in A minor, arpeggios over four kicks a bar, then a lead."""

from gallery.pieces.writing import (
    CLAP,
    CLOSED_HAT,
    CRASH,
    KICK,
    OPEN_HAT,
    SNARE,
    Chord,
    Composition,
    Line,
    beaten,
    line,
    read_chords,
    shaped,
    swelling,
    tied,
)

from segue.symbolic.demo_notation import DemoPart, pitch_of

HARMONY = """
Am | F | C | G | Am | F | Dm | E |
Am | F | C | G | Am | F | Dm E | Am
"""
LEAD = """
A5/.75 E5/.75 C5/.5 D5/.5 E5/1.5 | F5/.75 E5/.75 C5/.5 A4/2 |
G5/.75 E5/.75 C5/.5 D5/.5 E5/1.5 | D5/.75 B4/.75 G4/.5 B4/1 D5/1 |
A5/.75 E5/.75 C5/.5 D5/.5 E5/1 A5/.5 | C6/.75 A5/.75 F5/.5 A5/2 |
F5/.75 D5/.75 A4/.5 G#4/.5 B4/.5 E5/.5 G#5/.5 | A5/1.5 E5/.5 A5/2
"""
FIRST_LEAD_BAR = 8
SHAPES = ((0, 1, 2, 3, 2, 1, 2, 1), (3, 2, 1, 0, 1, 2, 1, 2))
"""Steps of the arpeggio in even and odd bars, in eighths."""
PAD_RANGE = (pitch_of("E3"), pitch_of("E4"))


def compose() -> Composition:
    """Return the piece for lead, arpeggio, pad, bass and drums."""
    chords = read_chords(HARMONY, 4.0)
    loud = swelling((0, 74), (32, 88), (63, 96))
    parts = (
        DemoPart("Lead", 81, shaped(line(LEAD, first_beat=FIRST_LEAD_BAR * 4), loud, accent=6)),
        DemoPart("Arpeggio", 80, shaped(_arpeggio(chords), loud, accent=-12)),
        DemoPart("Pad", 89, shaped(_pad(chords), loud, accent=-18)),
        DemoPart("Bass", 38, shaped(_bass(chords), loud, accent=10)),
        DemoPart("Drums", 0, beaten(_beat(bar) for bar in range(16)), is_drum=True),
    )
    return Composition("Night train, upper deck", (4, 4), 16, 0, True, ((0, 140),), parts)


def _arpeggio(chords: list[Chord]) -> Line:
    """Return eighths up and down over four tones of each chord, from its root upwards."""
    notes: Line = []
    for chord in chords:
        ladder = [p for p in range(pitch_of("A4"), pitch_of("A6")) if p % 12 in chord.tones]
        if chord is chords[-1]:
            notes.append((ladder[0], chord.onset, chord.length))
            break
        shape = SHAPES[int(chord.onset // 4) % 2]
        for step in range(int(chord.length * 2)):
            notes.append((ladder[shape[step % 8]], chord.onset + step / 2, 0.5))
    return notes


def _pad(chords: list[Chord]) -> Line:
    """Return held triads that move as little as they can."""
    notes: Line = []
    before = [pitch_of(name) for name in ("E3", "A3", "C4")]
    for chord in chords:
        ladder = [p for p in range(PAD_RANGE[0], PAD_RANGE[1] + 3) if p % 12 in chord.tones]
        shapes = [ladder[i : i + 3] for i in range(len(ladder) - 2)]
        before = min(shapes, key=lambda s: sum(abs(a - b) for a, b in zip(s, before, strict=True)))
        notes += [(pitch, chord.onset, chord.length) for pitch in before]
    return notes


def _bass(chords: list[Chord]) -> Line:
    """Return the root between the kicks, with its octave before each new bar; it begins in bar 3."""
    notes: Line = []
    for chord in chords:
        root = pitch_of("E1") + (chord.bass - pitch_of("E1")) % 12
        if chord.onset < 8:
            continue
        for beat in range(int(chord.length)):
            onset = chord.onset + beat
            is_turn = onset % 4 == 3
            if onset >= 60:
                continue
            notes += [(root, onset + 0.5, 0.25), (root + 12 * is_turn, onset + 0.75, 0.25)]
    return [*tied(notes, 4.0), (pitch_of("A1"), 60.0, 4.0)]


def _beat(bar: int) -> dict[int, str]:
    """Return the drums of a bar."""
    if bar == 15:
        return {KICK: "X...x...........", CRASH: "X..............."}
    found = {KICK: "X...X...X...X..."}
    if bar >= 2:
        found |= {OPEN_HAT: "..x...x...x...x."}
    if bar >= 4:
        found |= {CLAP: "....X.......X...", CLOSED_HAT: "xo.oxo.oxo.oxo.o"}
    if bar % 8 == 7:
        found |= {SNARE: "........x.x.xxXX"}
    if bar in (4, 8):
        found |= {CRASH: "X..............."}
    return found
