"""The pieces of the gallery are sound files and sound music, the same every time."""

import io
from itertools import combinations, pairwise

import mido
import numpy as np
import pytest
from gallery_code import gallery

from segue.symbolic.demo_notation import pitch_of
from segue.symbolic.score import Piece

CATALOGUE = gallery("pieces.catalogue")
WRITING = gallery("pieces.writing")
LEADING = gallery("pieces.leading")
TASKS = {task.slug: task for task in CATALOGUE.catalogue()}
OWN = [slug for slug in TASKS if slug != "quartet"]

METERS = {"waltz": (3, 4), "evening": (3, 4), "quintet": (6, 8)}
BARS = {"orchestra": 12, "chorale": 8, "quartet": 32}
RANGES = {
    "Flute": ("C4", "C7"), "Oboe": ("Bb3", "A6"), "Clarinet": ("D3", "Bb6"), "Horn": ("B1", "F5"),
    "Bassoon": ("Bb1", "Eb5"), "Strings": ("C2", "C7"), "Double bass": ("E1", "C4"),
    "Timpani": ("D2", "C4"), "Soprano": ("C4", "A5"), "Alto": ("F3", "D5"), "Tenor": ("C3", "A4"),
    "Organ": ("C2", "C7"), "Right hand": ("A0", "C8"), "Left hand": ("A0", "C8"),
    "Electric piano": ("E1", "E7"), "Lead": ("C2", "C7"), "Arpeggio": ("C2", "C7"),
    "Pad": ("C2", "C7"),
}  # fmt: skip
LINES = {
    "waltz": ("MELODY",), "invention": ("UPPER", "LOWER"), "quintet": ("FLUTE",),
    "orchestra": ("FLUTE",), "chorale": ("SOPRANO",), "evening": ("SOPRANO",), "band": ("MELODY",),
    "electronic": ("LEAD",),
}  # fmt: skip


def opened(slug: str) -> Piece:
    return Piece.from_bytes(TASKS[slug].midi(), name=slug)


def lowest_and_highest(slug: str, name: str) -> tuple[int, int]:
    if name == "Bass":
        low, high = ("E2", "E4") if slug == "chorale" else ("E1", "G3")
    else:
        low, high = RANGES[name]
    return pitch_of(low), pitch_of(high)


def test_there_are_ten_in_the_fixed_categories() -> None:
    found = [task.category for task in TASKS.values()]
    assert len(TASKS) == 10
    assert {name: found.count(name) for name in found} == {
        "Drums": 1, "Fast electronic": 1, "Piano": 2, "Ensemble": 2, "Choir": 2, "Quartet": 1, "Band": 1,
    }  # fmt: skip


@pytest.mark.parametrize("slug", OWN)
def test_another_parser_reads_whole_bars(slug: str) -> None:
    data = TASKS[slug].midi()
    assert data == TASKS[slug].midi()
    midi = mido.MidiFile(file=io.BytesIO(data))
    assert (midi.type, midi.ticks_per_beat) == (1, 480)
    (signature,) = [m for m in midi.tracks[0] if m.type == "time_signature"]
    numerator, denominator = METERS.get(slug, (4, 4))
    assert (signature.numerator, signature.denominator) == (numerator, denominator)
    end = BARS.get(slug, 16) * 4 * 480 * numerator // denominator
    assert {sum(message.time for message in track) for track in midi.tracks} == {end}
    for track in midi.tracks[1:]:
        held: set[int] = set()
        for message in track:
            if message.type == "note_on":
                assert message.note not in held
                assert 25 <= message.velocity <= 120
                held.add(message.note)
            elif message.type == "note_off":
                held.remove(message.note)
        assert not held


@pytest.mark.parametrize("slug", list(LINES))
def test_written_lines_fill_their_bars(slug: str) -> None:
    module, piece = gallery(f"pieces.{slug}"), opened(slug)
    numerator, denominator = METERS.get(slug, (4, 4))
    whole = 4 * numerator / denominator
    for name in LINES[slug]:
        lengths = WRITING.lengths_of(getattr(module, name))
        assert lengths == [whole] * len(lengths), (name, lengths)
        assert len(lengths) == (8 if name == "LEAD" else piece.bars.num_bars)
    if slug != "invention":
        assert len(WRITING.bars_of(module.HARMONY)) == piece.bars.num_bars


@pytest.mark.parametrize("slug", OWN)
def test_instruments_keep_to_their_registers(slug: str) -> None:
    piece = opened(slug)
    for track in piece.tracks:
        if track.is_drum:
            continue
        pitches = piece.notes["pitch"][piece.notes["track"] == track.index]
        low, high = lowest_and_highest(slug, track.name)
        assert low <= pitches.min(), (track.name, pitches.min())
        assert pitches.max() <= high, (track.name, pitches.max())


@pytest.mark.parametrize("slug", OWN)
def test_nothing_rubs_on_the_beat(slug: str) -> None:
    """Semitones on a beat are there only where a seventh chord or a passing note has them."""
    piece = opened(slug)
    notes = piece.notes[~piece.notes["is_drum"]]
    beat = 720 if slug == "quintet" else 480
    rubs = 0
    for tick in range(0, int(piece.bars.start_ticks[-1]), beat):
        here = notes[notes["onset_ticks"] <= tick]
        here = here[here["onset_ticks"] + here["duration_ticks"] > tick]
        rubs += sum((b - a) % 12 in (1, 11) for a, b in combinations(here["pitch"].tolist(), 2))
    assert rubs <= {"band": 4, "electronic": 1}.get(slug, 0)


@pytest.mark.parametrize(
    ("slug", "tune", "bar"),
    [
        ("quintet", "FLUTE", 3.0),
        ("orchestra", "FLUTE", 4.0),
        ("chorale", "SOPRANO", 4.0),
        ("evening", "SOPRANO", 3.0),
    ],
)
def test_the_voices_below_a_tune_keep_the_rules(slug: str, tune: str, bar: float) -> None:
    module = gallery(f"pieces.{slug}")
    line, chords = (
        WRITING.line(getattr(module, tune)),
        WRITING.read_chords(module.HARMONY, bar),
    )
    voices = LEADING.lead(chords, line, module.RANGES)
    rows = []
    for chord, pitches in zip(chords, voices, strict=True):
        above = LEADING.sounding(line, chord)
        assert pitches[-1] % 12 == chord.bass
        assert {pitch % 12 for pitch in pitches} <= set(chord.tones)
        heard = {pitch % 12 for pitch in (*pitches, *above)}
        assert {chord.tones[0], chord.tones[1]} <= heard, chord
        assert list(pitches) == sorted(pitches, reverse=True)
        rows.append(((above[0], *pitches), (above[-1], *pitches)))
    for (_, old), (new, _) in pairwise(rows):
        for a, b in combinations(range(len(new)), 2):
            moves = old[a] != new[a] and old[b] != new[b]
            same = (old[a] - old[b]) % 12 == (new[a] - new[b]) % 12
            assert not (moves and same and (new[a] - new[b]) % 12 in (0, 7)), (old, new)


def test_the_two_parts_of_the_invention_never_move_in_fifths_or_octaves() -> None:
    module = gallery("pieces.invention")
    upper, lower = WRITING.line(module.UPPER), WRITING.line(module.LOWER)
    onsets = sorted({onset for _, onset, _ in upper} & {onset for _, onset, _ in lower})
    at = [
        tuple(next(p for p, o, n in line if o <= beat < o + n) for line in (upper, lower))
        for beat in onsets
    ]
    for old, new in pairwise(at):
        moves = old[0] != new[0] and old[1] != new[1]
        same = (old[0] - old[1]) % 12 == (new[0] - new[1]) % 12
        assert not (moves and same and (new[0] - new[1]) % 12 in (0, 7)), (old, new)
    strong = [(a - b) % 12 for (a, b), beat in zip(at, onsets, strict=True) if beat % 2 == 0]
    assert all(interval not in (1, 2, 11) for interval in strong)


@pytest.mark.parametrize("slug", list(TASKS))
def test_the_task_leaves_something_to_go_by(slug: str) -> None:
    piece, task = opened(slug), TASKS[slug]
    region = piece.resolve(task.region)
    notes = piece.notes
    inside = np.isin(notes["track"], region.tracks)
    inside &= (notes["onset_ticks"] >= region.start_ticks) & (
        notes["onset_ticks"] < region.end_ticks
    )
    assert 10 <= inside.sum() <= 0.8 * len(notes)


@pytest.mark.parametrize(
    ("slug", "tracks", "bars"),
    [
        ("electronic", ["Bass"], (1, 16)),
        ("waltz", ["Right hand"], (9, 12)),
        ("chorale", ["Alto", "Tenor", "Bass"], (1, 8)),
        ("evening", ["Soprano", "Alto"], (6, 9)),
        ("quartet", ["Violin II", "Viola"], (9, 16)),
        ("band", ["Drums"], (1, 16)),
    ],
)
def test_what_is_asked_for_is_what_is_taken_out(
    slug: str, tracks: list[str], bars: tuple[int, int]
) -> None:
    piece = opened(slug)
    region = piece.resolve(TASKS[slug].region)
    assert [piece.tracks[track].name for track in region.tracks] == tracks
    assert (region.first_bar, region.last_bar) == bars


def test_drum_grids_are_bars_of_sixteenths() -> None:
    for name in ("drums", "band"):
        module = gallery(f"pieces.{name}")
        grids = [
            value
            for key, value in vars(module).items()
            if key.isupper() and isinstance(value, dict)
        ]
        assert len(grids) >= 3
        for bar in grids:
            assert {len(grid) for grid in bar.values()} == {16}
            assert set("".join(bar.values())) <= {"X", "x", "o", "."}
