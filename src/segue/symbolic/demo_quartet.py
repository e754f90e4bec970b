"""The demo piece for string quartet: 32 bars in G major, a song form with a middle in E minor.

Melody and harmony are written out; the inner voices and the octave of the bass are found by a
search for the smoothest voice leading that keeps the rules of the style.

Form: theme (1-8, open then closed), sequence to the dominant (9-16), the theme's head in the cello
in E minor and a rise to the climax (17-24), return with a turn to E minor and close (25-32).
"""

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.demo_notation import (
    BEATS_PER_BAR,
    DemoNote,
    DemoPart,
    DemoPiece,
    pitch_of,
    read_line,
)

HALF_BAR = BEATS_PER_BAR / 2
LOWEST = {"violin": pitch_of("G3"), "viola": pitch_of("C3"), "cello": pitch_of("C2")}

CHORD_TONES = {
    "G": "G B D", "C": "C E G", "D": "D F# A", "D7": "D F# A C", "Em": "E G B", "Am": "A C E",
    "A7": "A C# E G", "B7": "B D# F# A", "C7": "C E G Bb",
}  # fmt: skip
LEADING_TONES = {"D": "F#", "D7": "F#", "A7": "C#", "B7": "D#"}
SEVENTHS = {"D7": "C", "A7": "G", "B7": "A"}

# Two chords a bar; after the slash the bass.
HARMONY = """
G G/B | C G/B | Am/C D7 | G D | G G/D | Em C | G/D D7 | G G |
Em Em/G | Am Am/C | D D/F# | G G/B | Em A7 | D D/F# | Em/G A7 | D D7/F# |
Em/G Em/B | B7/F# B7/A | Em Em/B | Am B7 | C C/E | G/B G | Am/C Am | D/F# D7 |
G G/B | C G/B | Am/C D7 | Em C | G/D D7 | G C | G/D D7 | G G
"""

VIOLIN = """
B4/1.5 C5/.5 D5/1 B4/1 | E5/1.5 F#5/.5 G5/1 D5/1 | C5/1.5 B4/.5 A4/1 C5/1 | B4/1 G4/1 A4/2 |
B4/1.5 C5/.5 D5/1 B4/1 | E5/1.5 F#5/.5 G5/1 E5/1 | D5/1 B4/1 A4/1.5 F#4/.5 | G4/2 r/1 D5/1 |
G5/1.5 A5/.5 B5/1 G5/1 | E5/1.5 D5/.5 C5/1 E5/1 | F#5/1.5 G5/.5 A5/1 F#5/1 | D5/1.5 C5/.5 B4/1 D5/1 |
G5/1 F#5/.5 E5/.5 C#5/1 E5/1 | D5/1.5 E5/.5 F#5/1 A5/1 | G5/1 E5/1 C#5/1.5 E5/.5 | D5/2 C5/1 A4/1 |
B5/2 G5/2 | F#5/2 B5/2 | G5/2 E5/2 | A5/2 F#5/1 D#5/1 |
E5/1.5 F#5/.5 G5/1 E5/1 | G5/1.5 A5/.5 B5/1 G5/1 | A5/1.5 B5/.5 C6/1 A5/1 | D6/1 A5/1 F#5/1 C5/1 |
B4/1.5 C5/.5 D5/1 B4/1 | E5/1.5 F#5/.5 G5/1 D5/1 | C5/1.5 B4/.5 A4/1 C5/1 | B4/1.5 C5/.5 E5/1 G5/1 |
B5/1 G5/1 A5/1.5 F#5/.5 | G5/2 E5/1 C5/1 | B4/1.5 D5/.5 A4/1.5 F#4/.5 | G4/4
"""

# Bars 17 to 20, where the cello has the tune.
CELLO_SOLO = """
G3/1.5 A3/.5 B3/1 G3/1 | F#3/1.5 G3/.5 A3/1 F#3/1 | E3/1.5 F#3/.5 B3/1 G3/1 | A3/1 C4/1 B2/2
"""
SOLO_BARS = range(16, 20)

# How loud each bar begins, 0 (softest) to 1.
LOUDNESS = (
    0.35, 0.4, 0.45, 0.4, 0.4, 0.5, 0.5, 0.4, 0.55, 0.5, 0.6, 0.55, 0.6, 0.65, 0.65, 0.5,
    0.4, 0.45, 0.5, 0.5, 0.55, 0.7, 0.85, 0.95, 0.7, 0.75, 0.7, 0.6, 0.75, 0.6, 0.45, 0.3,
)  # fmt: skip
TEMPOS = (
    (0, 96), (62, 90), (64, 96), (92, 100), (96, 96), (122, 90), (124, 82), (126, 72), (128, 60),
)  # fmt: skip

# Texture of violin 2, viola and cello in each group of four bars.
TEXTURES = (
    ("held", "held", "held"),
    ("rocking", "held", "moving"),
    ("offbeat", "offbeat", "moving"),
    ("rocking", "offbeat", "moving"),
    ("pulse", "pulse", "solo"),
    ("rocking", "pulse", "held"),
    ("rocking", "offbeat", "moving"),
    ("held", "held", "held"),
)

Line = list[tuple[int, float, float]]


def compose_quartet() -> DemoPiece:
    """Return the piece for two violins, viola and cello."""
    melody, voicings = melody_line(), voice()
    names = ("Violin II", "Viola", "Violoncello")
    programs = (40, 41, 42)
    parts = [DemoPart("Violin I", 40, _shaped(melody, accent=10))]
    for voice_index, (name, program) in enumerate(zip(names, programs, strict=True)):
        line: Line = []
        for slot, pitches in enumerate(voicings):
            texture = TEXTURES[int(slot * HALF_BAR // 16)][voice_index]
            following = voicings[min(slot + 1, len(voicings) - 1)]
            line += _figure(texture, slot, pitches, voice_index, following[voice_index])
        if voice_index == 2:
            line = sorted([*line, *solo_line()], key=lambda note: note[1])
        parts.append(DemoPart(name, program, _shaped(_tied(line), accent=4 * (voice_index == 2))))
    return DemoPiece("Song without a break", 1, TEMPOS, parts)


def chords() -> list[str]:
    """Return the chord of every half bar, such as "G/B"."""
    return HARMONY.replace("|", " ").split()


def melody_line() -> Line:
    """Return the tune of the first violin."""
    return read_line(VIOLIN)


def solo_line() -> Line:
    """Return the tune of the cello."""
    return read_line(CELLO_SOLO, first_beat=SOLO_BARS[0] * BEATS_PER_BAR)


def tones_of(chord: str) -> list[int]:
    """Return the pitch classes of a chord, the root first."""
    return [pitch_of(f"{name}0") % 12 for name in CHORD_TONES[chord.partition("/")[0]].split()]


def _class_of(table: dict[str, str], chord: str) -> int:
    """Return the pitch class that `table` names for a chord, -1 for none."""
    name = table.get(chord.partition("/")[0])
    return -1 if name is None else pitch_of(f"{name}0") % 12


def _bass_of(chord: str) -> int:
    """Return the pitch class of the bass."""
    name, _, bass = chord.partition("/")
    return pitch_of(f"{bass}0") % 12 if bass else tones_of(name)[0]


@cache
def voice() -> tuple[tuple[int, int, int], ...]:
    """Return violin 2, viola and cello of every half bar: the cheapest path through all voicings."""
    names = chords()
    tune = [_tune_in(slot) for slot in range(len(names))]
    options = [_voicings(slot, name, tune[slot]) for slot, name in enumerate(names)]
    total = _own_cost(options[0], names[0], tune[0])
    came_from: list[NDArray[np.int64]] = []
    for slot in range(1, len(names)):
        pair = (names[slot - 1], names[slot])
        step = _step_cost(options[slot - 1], options[slot], pair, (tune[slot - 1], tune[slot]))
        reach = total[:, None] + step
        came_from.append(reach.argmin(axis=0))
        total = reach.min(axis=0) + _own_cost(options[slot], names[slot], tune[slot])
    at = int(total.argmin())
    path = [at]
    for back in reversed(came_from):
        at = int(back[at])
        path.append(at)
    chosen = [options[slot][index] for slot, index in enumerate(reversed(path))]
    return tuple((int(a), int(b), int(c)) for a, b, c in chosen)


def _tune_in(slot: int) -> list[int]:
    """Return the first violin's pitches that sound in a half bar; at least one."""
    begin, end = slot * HALF_BAR, (slot + 1) * HALF_BAR
    sounding = [p for p, onset, length in melody_line() if onset < end and onset + length > begin]
    return sounding or [pitch_of("G4")]


def _voicings(slot: int, chord: str, tune: list[int]) -> NDArray[np.int64]:
    """Return all placings of a chord below the tune, `[placings, 3]`, none crossing another."""
    tones, bass = tones_of(chord), _bass_of(chord)
    seconds = [p for p in range(LOWEST["violin"], pitch_of("D5") + 1) if p % 12 in tones]
    violas = [p for p in range(LOWEST["viola"], pitch_of("F4") + 1) if p % 12 in tones]
    cellos = [p for p in range(LOWEST["cello"], pitch_of("A3") + 1) if p % 12 == bass]
    if int(slot * HALF_BAR // BEATS_PER_BAR) in SOLO_BARS:
        cellos = [next(p for p, on, _ in reversed(solo_line()) if on <= slot * HALF_BAR)]
    rows = [
        row
        for row in product(seconds, violas, cellos)
        if min(tune) > row[0] > row[1] > row[2] and row[0] - row[1] <= 12
    ]
    return np.array(rows, np.int64)


def _own_cost(options: NDArray[np.int64], chord: str, tune: list[int]) -> NDArray[np.float64]:
    """Return what speaks against each placing by itself."""
    above = np.tile(sorted({pitch % 12 for pitch in tune}), (len(options), 1))
    classes = np.concatenate([options % 12, above], axis=1)
    tones = tones_of(chord)
    cost = np.zeros(len(options))
    for tone, weight in zip(tones, (12, 25, 3, 18), strict=False):
        cost += weight * ~(classes == tone).any(axis=1)
    for tone in tones:
        cost += 7 * ((classes == tone).sum(axis=1) > 2)
    for table in (LEADING_TONES, SEVENTHS):
        cost += 30 * ((classes == _class_of(table, chord)).sum(axis=1) > 1)
    cost += 0.6 * np.maximum(0, tune[0] - options[:, 0] - 12)
    cost += 0.25 * np.abs(options[:, 1] - pitch_of("B3"))
    cost += 0.35 * np.abs(options[:, 2] - pitch_of("A2"))
    return cost


def _step_cost(
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    names: tuple[str, str],
    tune: tuple[list[int], list[int]],
) -> NDArray[np.float64]:
    """Return what speaks against each step from one placing to the next, `[before, after]`."""
    move = after[None] - before[:, None]
    cost = np.abs(move) @ np.array([1.0, 1.0, 0.4])
    cost += 4.0 * (np.abs(move[..., :2]) > 5).sum(-1) + 4.0 * (np.abs(move[..., 2]) > 9)
    old = np.concatenate([np.full((len(before), 1), tune[0][-1]), before], axis=1)[:, None]
    new = np.concatenate([np.full((len(after), 1), tune[1][0]), after], axis=1)[None]
    for high, low in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        interval, later = (x[..., high] - x[..., low] for x in (old, new))
        moves = (old[..., high] != new[..., high]) & (old[..., low] != new[..., low])
        same = interval % 12 == later % 12
        cost += 40 * (moves & same & np.isin(interval % 12, (0, 7)))
    if names[0] != names[1]:
        leading, seventh = (_class_of(table, names[0]) for table in (LEADING_TONES, SEVENTHS))
        was = before[:, None] % 12
        cost += 8 * ((was == leading) & (move != 1) & (move != 0)).sum(-1)
        cost += 8 * ((was == seventh) & (move != -1) & (move != -2) & (move != 0)).sum(-1)
    return cost


def _figure(texture: str, slot: int, pitches: tuple[int, ...], voice: int, following: int) -> Line:
    """Return a voice's notes of one half bar."""
    beat, pitch = slot * HALF_BAR, pitches[voice]
    if texture == "solo":
        return []
    if texture == "offbeat":
        return [(pitch, beat + 0.5, 0.5), (pitch, beat + 1.5, 0.5)]
    if texture == "pulse":
        return [(pitch, beat + 0.5 * step, 0.5) for step in range(4)]
    if texture == "rocking" and slot % 16 != 15:
        other = _tone_below(pitch, chords()[slot], floor=max(LOWEST["violin"], pitches[1]))
        return [(p, beat + 0.5 * i, 0.5) for i, p in enumerate((pitch, other, pitch, other))]
    if texture == "moving" and slot % 16 < 14:
        return [(pitch, beat, 1.0), (_between(pitch, following, chords()[slot]), beat + 1, 1.0)]
    return [(pitch, beat, HALF_BAR)]


def _tone_below(pitch: int, chord: str, *, floor: int) -> int:
    """Return the next chord tone under `pitch`, or above it where the floor is too near."""
    tones = tones_of(chord)
    below = [p for p in range(floor, pitch) if p % 12 in tones]
    return below[-1] if below else next(p for p in range(pitch + 1, pitch + 12) if p % 12 in tones)


def _between(pitch: int, following: int, chord: str) -> int:
    """Return a note that leads the bass on: a passing note for a third, else a chord tone."""
    scale = [pitch_of(f"{name}0") % 12 for name in ("G", "A", "B", "C", "D", "E", "F#")]
    low, high = sorted((pitch, following))
    inner = [p for p in range(low + 1, high) if p % 12 in scale]
    if len(inner) == 1:
        return inner[0]
    near = [p for p in range(LOWEST["cello"], pitch_of("D4")) if p % 12 in tones_of(chord)]
    others = [p for p in near if p != pitch and abs(p - pitch) <= 7]
    return min(others, key=lambda p: (abs(p - following) < 1, abs(p - following), p))


def _tied(line: Line) -> Line:
    """Return the line with held notes of one pitch joined inside a bar."""
    joined: Line = []
    for pitch, onset, length in line:
        if joined and length == HALF_BAR and onset % BEATS_PER_BAR:
            last_pitch, last_onset, last_length = joined[-1]
            if last_pitch == pitch and last_onset + last_length == onset:
                joined[-1] = (pitch, last_onset, last_length + length)
                continue
        joined.append((pitch, onset, length))
    return joined


def _shaped(line: Line, *, accent: int) -> list[DemoNote]:
    """Return the notes with their velocities: the bar's level, its accents, the tune in front."""
    ends = (*LOUDNESS, LOUDNESS[-1])
    notes = []
    for pitch, onset, length in line:
        bar, beat = divmod(onset, BEATS_PER_BAR)
        level = ends[int(bar)] + (ends[int(bar) + 1] - ends[int(bar)]) * beat / BEATS_PER_BAR
        weight = {0.0: 5, 2.0: 2}.get(beat, -2 if beat % 1 else 0)
        notes.append(DemoNote(pitch, onset, length, round(44 + 52 * level + weight + accent)))
    return notes
