"""The demo piece for piano, bass and drums: 24 bars of bossa nova in F major, form A B A.

Melody and chords are written out; the left hand's voicings move as little as they can.
"""

from segue.symbolic.demo_notation import (
    BEATS_PER_BAR,
    DemoNote,
    DemoPart,
    DemoPiece,
    pitch_of,
    read_line,
)

# One or two chords a bar.
HARMONY = """
Fmaj7 | Fmaj7 | Gm7 | C7 | Am7 | D7 | Gm7 | C7 |
Cm7 | F7 | Bbmaj7 | Bbmaj7 | Bbm7 | Eb7 | Am7 D7 | Gm7 C7 |
Fmaj7 | Fmaj7 | Gm7 | C7 | Am7 D7 | Gm7 C7 | F6 | F6
"""
# Root, third, fifth, seventh and ninth in semitones above the root.
QUALITIES = {
    "maj7": (0, 4, 7, 11, 14), "m7": (0, 3, 7, 10, 14), "7": (0, 4, 7, 10, 14), "6": (0, 4, 7, 9, 14),
}  # fmt: skip

MELODY = """
r/1 A4/.5 C5/1 E5/1.5 | D5/1.5 C5/.5 A4/2 | r/1 Bb4/.5 D5/1 F5/1.5 | E5/1.5 D5/.5 Bb4/2 |
r/1 C5/.5 E5/1 G5/1.5 | F#5/1.5 E5/.5 C5/2 | Bb4/1 D5/1 F5/1 D5/1 | E5/1.5 G5/.5 E5/2 |
G5/2.5 F5/.5 Eb5/1 | F5/1 Eb5/.5 C5/1.5 A4/1 | D5/3 F5/1 | A5/1 F5/1 D5/2 |
F5/2.5 Eb5/.5 Db5/1 | Eb5/1 Db5/.5 Bb4/1.5 G4/1 | C5/2 F#5/1 E5/1 | D5/2 E5/1 G5/1 |
r/1 A4/.5 C5/1 E5/1.5 | D5/1.5 C5/.5 A4/2 | r/1 Bb4/.5 D5/1 F5/1.5 | E5/1.5 D5/.5 Bb4/2 |
G5/1 E5/1 F#5/1 A5/1 | Bb5/1.5 A5/.5 G5/1 E5/1 | F5/3 r/1 | C5/.5 D5/.5 F5/3
"""

# Where the left hand plays in even and odd bars, and for how long, in quarters.
COMPING = (((0.0, 1.0), (1.5, 1.0), (3.0, 0.5)), ((0.5, 1.0), (2.0, 1.0), (3.5, 0.5)))
CLAVE = ((0.0, 1.5, 3.0), (1.0, 2.5))
KICK, STICK, SNARE, HAT, CRASH, HIGH_TOM, LOW_TOM = 36, 37, 38, 42, 49, 50, 45
NUM_BARS = 24
LAST_BAR = NUM_BARS - 1
FILL_BARS = (7, 15)
LOUD_BARS = range(8, 16)


def compose_trio() -> DemoPiece:
    """Return the piece for piano, bass and drums."""
    parts = [
        DemoPart("Piano", 0, sorted(_melody() + _left_hand(), key=lambda note: note[1::-1])),
        DemoPart("Bass", 32, _bass()),
        DemoPart("Drums", 0, _drums(), is_drum=True),
    ]
    return DemoPiece("Short cut to the beach", -1, ((0, 132), (92, 124), (94, 108)), parts)


def chords() -> list[tuple[str, float, float]]:
    """Return name, onset and length of every chord."""
    found = []
    for bar, text in enumerate(HARMONY.split("|")):
        names = text.split()
        length = BEATS_PER_BAR / len(names)
        found += [(name, bar * BEATS_PER_BAR + i * length, length) for i, name in enumerate(names)]
    return found


def chord_tones(name: str) -> tuple[int, list[int]]:
    """Return a chord's root as a pitch class, and root to ninth as semitones above it."""
    size = 2 if name[1:2] in ("b", "#") else 1
    return pitch_of(f"{name[:size]}0") % 12, list(QUALITIES[name[size:]])


def chord_at(beat: float) -> tuple[str, float, float]:
    """Return name, onset and length of the chord that sounds at a beat."""
    return next(chord for chord in reversed(chords()) if chord[1] <= beat)


def _melody() -> list[DemoNote]:
    """Return the right hand."""
    return [
        DemoNote(pitch, onset, length, 84 + 6 * _is_loud(onset) + 4 * (onset % 1 == 0.5))
        for pitch, onset, length in read_line(MELODY)
    ]


def _left_hand() -> list[DemoNote]:
    """Return the chords of the left hand: third, seventh and ninth (or fifth), nearest first."""
    notes: list[DemoNote] = []
    previous = [pitch_of(name) for name in ("E3", "A3", "C4")]
    for bar in range(NUM_BARS):
        hits = ((0.0, BEATS_PER_BAR),) if bar == LAST_BAR else COMPING[bar % 2]
        for beat, usual_length in hits:
            onset = bar * BEATS_PER_BAR + beat
            name, chord_onset, chord_length = chord_at(onset)
            length = min(usual_length, chord_onset + chord_length - onset)
            previous = _nearest_voicing(name, previous)
            level = 58 + 6 * _is_loud(onset) + 5 * (beat % 1 == 0.5)
            notes += [DemoNote(pitch, onset, length, level) for pitch in previous]
    return notes


def _nearest_voicing(chord: str, previous: list[int]) -> list[int]:
    """Return third, seventh and ninth of a chord between D3 and G4, close to the last ones."""
    root, tones = chord_tones(chord)
    wanted = {(root + tones[i]) % 12 for i in (1, 3, 4)}
    low, high = pitch_of("D3"), pitch_of("G4")
    ladder = [p for p in range(low, high + 1) if p % 12 in wanted]
    shapes = [ladder[i : i + 3] for i in range(len(ladder) - 2)]
    return min(
        shapes,
        key=lambda shape: (
            sum(abs(a - b) for a, b in zip(shape, previous, strict=True)) + abs(shape[0] - 53)
        ),
    )


def _bass() -> list[DemoNote]:
    """Return the bass: root and fifth, each anticipated by an eighth."""
    notes: list[DemoNote] = []
    for name, onset, length in chords():
        root, _ = chord_tones(name)
        low = 28 + (root - 28) % 12
        fifth = low + 7 if low + 7 <= 43 else low - 5
        level = 78 + 5 * _is_loud(onset)
        if onset == LAST_BAR * BEATS_PER_BAR:
            notes.append(DemoNote(low, onset, length, level))
            continue
        steps = ((low, 0.0, 1.5), (fifth, 1.5, 0.5), (fifth, 2.0, 1.5), (low, 3.5, 0.5))
        for pitch, beat, duration in steps:
            if beat < length:
                notes.append(DemoNote(pitch, onset + beat, duration, level - 6 * (beat % 1 > 0)))
    return notes


def _drums() -> list[DemoNote]:
    """Return the drums: hi-hat in eighths, the clave on the stick, a fill before each part."""
    notes: list[DemoNote] = []
    for bar in range(NUM_BARS):
        start = bar * BEATS_PER_BAR
        if bar == LAST_BAR:
            notes += [DemoNote(drum, start, 0.5, 80) for drum in (KICK, CRASH)]
            break
        last_hat = 4 if bar in FILL_BARS else 8
        notes += [
            DemoNote(HAT, start + i / 2, 0.25, 62 - 14 * (i % 2) + 6 * _is_loud(start))
            for i in range(last_hat)
        ]
        kicks = (0.0, 1.5) if bar in FILL_BARS else (0.0, 1.5, 2.0, 3.5)
        notes += [DemoNote(KICK, start + beat, 0.25, 76 - 8 * (beat % 1 > 0)) for beat in kicks]
        sticks = [beat for beat in CLAVE[bar % 2] if bar not in FILL_BARS or beat < 2]
        notes += [DemoNote(STICK, start + beat, 0.25, 72) for beat in sticks]
        if bar in FILL_BARS:
            fill = ((SNARE, 2.0), (SNARE, 2.5), (HIGH_TOM, 3.0), (LOW_TOM, 3.5))
            notes += [DemoNote(d, start + b, 0.25, round(70 + 10 * (b - 2))) for d, b in fill]
        if bar - 1 in FILL_BARS:
            notes.append(DemoNote(CRASH, start, 0.5, 78))
    return sorted(notes, key=lambda note: note[1::-1])


def _is_loud(onset: float) -> bool:
    """Return whether a note lies in the middle part, which is played louder."""
    return int(onset // BEATS_PER_BAR) in LOUD_BARS
