"""Sixteen bars in E minor for electric piano, bass and drums."""

from gallery.pieces.writing import (
    CLOSED_HAT,
    CRASH,
    HIGH_TOM,
    KICK,
    LOW_TOM,
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
)

from segue.symbolic.demo_notation import DemoPart, pitch_of

HARMONY = """
Em7 | A7 | Em7 | A7 | Cmaj7 | Bm7 | Am7 | B7 |
Em7 | A7 | Em7 | A7 | Cmaj7 | Bm7 | Am7 B7 | Em7
"""
MELODY = """
r/.5 B4/.5 D5/.5 E5/1 D5/.5 B4/1 | C#5/.5 E5/1 C#5/.5 A4/2 |
r/.5 B4/.5 D5/.5 E5/1 G5/.5 F#5/.5 E5/.5 | C#5/1.5 E5/.5 G5/2 |
r/.5 E5/.5 G5/.5 B5/1 A5/.5 G5/1 | F#5/.5 D5/1 B4/.5 D5/2 |
r/.5 C5/.5 E5/.5 G5/1 E5/.5 C5/1 | D#5/.5 F#5/1 D#5/.5 B4/1 A4/1 |
r/.5 B4/.5 D5/.5 E5/1 D5/.5 B4/1 | C#5/.5 E5/1 G5/.5 E5/2 |
r/.5 B4/.5 D5/.5 E5/1 G5/.5 F#5/.5 E5/.5 | C#5/1 A4/1 G4/2 |
r/.5 E5/.5 G5/.5 B5/1 C6/.5 B5/1 | A5/.5 F#5/1 D5/.5 F#5/2 |
r/.5 E5/.5 C5/.5 A4/.5 D#5/1 F#5/1 | E5/1.5 B4/.5 E5/2
"""
COMPING = (((0.0, 1.0), (1.5, 0.5), (2.5, 1.0)), ((0.5, 0.5), (1.5, 1.0), (3.0, 0.5)))
GROOVE = {
    CLOSED_HAT: "x.o.x.o.x.o.x.o.", SNARE: "....X..o....X...", KICK: "X.....x.x....x..",
}  # fmt: skip
ANSWER = {
    CLOSED_HAT: "x.o.x.o.x.o.x...", OPEN_HAT: "..............x.", SNARE: "....X..o.o..X...", KICK: "X.....x..xx.....",
}  # fmt: skip
FILL = {
    CLOSED_HAT: "x.o.x.o.........", SNARE: "....X...X.x.....", HIGH_TOM: "...........xX...",
    LOW_TOM: "..............Xx", KICK: "X.....x.....x...",
}  # fmt: skip


def compose() -> Composition:
    """Return the piece."""
    chords = read_chords(HARMONY, 4.0)
    loud = swelling((0, 76), (28, 92), (32, 82), (60, 96))
    keys = shaped(line(MELODY), loud, accent=6) + shaped(_comping(chords), loud, accent=-14)
    parts = (
        DemoPart("Electric piano", 4, sorted(keys, key=lambda note: (note.onset, note.pitch))),
        DemoPart("Bass", 33, shaped(_bass(chords), loud, accent=8)),
        DemoPart("Drums", 0, beaten(_beat(bar) for bar in range(16)), is_drum=True),
    )
    return Composition("Two stops before home", (4, 4), 16, 1, True, ((0, 100),), parts)


def _comping(chords: list[Chord]) -> Line:
    """Return third, fifth and seventh of each chord off the beat, close to the last ones."""
    notes: Line = []
    before = [pitch_of(name) for name in ("D3", "G3", "B3")]
    for chord in chords:
        tones = chord.tones[1:4]
        ladder = [p for p in range(pitch_of("D3"), pitch_of("E4")) if p % 12 in tones]
        shapes = [ladder[i : i + 3] for i in range(len(ladder) - 2)]
        before = min(shapes, key=lambda s: sum(abs(a - b) for a, b in zip(s, before, strict=True)))
        is_last = chord.onset == 60
        hits = ((0.0, 4.0),) if is_last else COMPING[int(chord.onset // 4) % 2]
        for beat, length in hits:
            if beat < chord.length:
                held = min(length, chord.length - beat)
                notes += [(pitch, chord.onset + beat, held) for pitch in before]
    return notes


def _bass(chords: list[Chord]) -> Line:
    """Return the root, its octave off the beat, and a step towards the next root."""
    notes: Line = []
    roots = [pitch_of("E1") + (chord.bass - pitch_of("E1")) % 12 for chord in chords]
    for place, (chord, root) in enumerate(zip(chords, roots, strict=True)):
        following = roots[min(place + 1, len(roots) - 1)]
        if chord.onset == 60:
            notes.append((root, chord.onset, 4.0))
            break
        if chord.length == 2:
            notes += [(root, chord.onset, 1.0), (root, chord.onset + 1.5, 0.5)]
            continue
        step = following - 1 if following > root else following + 1
        notes += [
            (root, chord.onset, 1.0),
            (root + 12, chord.onset + 1.5, 0.5),
            (root, chord.onset + 2.5, 0.5),
            (chord.tones[2] + 12 * ((root + 2 - chord.tones[2]) // 12 + 1), chord.onset + 3, 0.5),
            (step, chord.onset + 3.5, 0.5),
        ]
    return notes


def _beat(bar: int) -> dict[int, str]:
    """Return the drums of a bar."""
    if bar == 15:
        return {KICK: "X...............", CRASH: "X...............", SNARE: "X..............."}
    if bar in (7, 14):
        return FILL
    found = GROOVE if bar % 2 == 0 else ANSWER
    if bar in (0, 8):
        return {**found, CRASH: "X...............", CLOSED_HAT: "." + found[CLOSED_HAT][1:]}
    return found
