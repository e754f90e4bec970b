"""The demo pieces are sound files and sound music."""

import io
from itertools import combinations, pairwise

import mido
import numpy as np
import pytest

from segue.errors import SettingError
from segue.symbolic import demo_quartet, demo_trio
from segue.symbolic.demo_notation import pitch_of, read_line
from segue.symbolic.demo_piece import demo_piece
from segue.symbolic.score import Piece

QUARTET_RANGES = {
    "Violin I": ("G3", "E6"), "Violin II": ("G3", "E6"), "Viola": ("C3", "A5"),
    "Violoncello": ("C2", "A4"),
}  # fmt: skip


def sounding(piece: Piece, beat: float, *, drums: bool = False) -> list[tuple[int, int]]:
    """Track and pitch of what sounds at a beat, by pitch."""
    tick = beat * piece.ticks_per_quarter
    notes = piece.notes
    ends = notes["onset_ticks"] + notes["duration_ticks"]
    here = notes[(notes["onset_ticks"] <= tick) & (ends > tick) & (notes["is_drum"] == drums)]
    return sorted(((int(n["track"]), int(n["pitch"])) for n in here), key=lambda pair: pair[1])


@pytest.fixture(scope="module")
def quartet() -> Piece:
    return Piece.from_bytes(demo_piece("quartet"))


@pytest.fixture(scope="module")
def trio() -> Piece:
    return Piece.from_bytes(demo_piece("trio"))


@pytest.mark.parametrize(
    ("name", "tracks", "programs", "bars"),
    [
        ("quartet", ["Violin I", "Violin II", "Viola", "Violoncello"], [40, 40, 41, 42], 32),
        ("trio", ["Piano", "Bass", "Drums"], [0, 32, 0], 24),
    ],
)
def test_another_parser_reads_the_file(
    name: str, tracks: list[str], programs: list[int], bars: int
) -> None:
    data = demo_piece(name)
    assert data == demo_piece(name)
    midi = mido.MidiFile(file=io.BytesIO(data))
    assert (midi.type, midi.ticks_per_beat) == (1, 480)
    assert [track.name for track in midi.tracks[1:]] == tracks
    found = [[m.program for m in track if m.type == "program_change"] for track in midi.tracks[1:]]
    assert found == [[program] for program in programs]
    assert {sum(m.time for m in track) for track in midi.tracks} == {bars * 4 * 480}
    for track in midi.tracks:
        held: set[tuple[int, int]] = set()
        for message in track:
            if message.type == "note_on":
                assert (message.channel, message.note) not in held
                assert 25 <= message.velocity <= 120
                held.add((message.channel, message.note))
            elif message.type == "note_off":
                held.remove((message.channel, message.note))
        assert not held


def test_unknown_pieces_are_said() -> None:
    with pytest.raises(SettingError, match="quartet, trio"):
        demo_piece("symphony")


def test_chord_tones_fall_on_the_strong_beats_of_the_quartet(quartet: Piece) -> None:
    for slot, chord in enumerate(demo_quartet.chords()):
        pitches = [pitch for _, pitch in sounding(quartet, slot * 2)]
        wanted = set(demo_quartet.tones_of(chord))
        assert {pitch % 12 for pitch in pitches} <= wanted, (slot, chord)
        assert len(pitches) >= 2


def test_half_bars_hold_root_and_third_and_no_doubled_leading_tone(quartet: Piece) -> None:
    for slot, chord in enumerate(demo_quartet.chords()):
        classes = [p % 12 for p in (*demo_quartet.voice()[slot], *demo_quartet._tune_in(slot))]
        root, third = demo_quartet.tones_of(chord)[:2]
        assert {root, third} <= set(classes), (slot, chord)
        leading = demo_quartet._class_of(demo_quartet.LEADING_TONES, chord)
        assert list(classes[:3]).count(leading) <= 1


def test_the_voices_keep_their_ranges_and_do_not_cross(quartet: Piece) -> None:
    for track in quartet.tracks:
        pitches = quartet.notes["pitch"][quartet.notes["track"] == track.index]
        low, high = map(pitch_of, QUARTET_RANGES[track.name])
        assert low <= pitches.min()
        assert pitches.max() <= high
    for beat in np.arange(0, 128, 2):
        tracks = [track for track, _ in sounding(quartet, float(beat))]
        assert tracks == sorted(tracks, reverse=True)


def test_no_parallel_fifths_or_octaves_from_half_bar_to_half_bar() -> None:
    slots = [
        ((*v, tune[0]), (*v, tune[-1]))
        for v, tune in zip(demo_quartet.voice(), map(demo_quartet._tune_in, range(64)), strict=True)
    ]
    for (_, old), (new, _) in pairwise(slots):
        for a, b in combinations(range(4), 2):
            moves = old[a] != new[a] and old[b] != new[b]
            before, after = (abs(v[a] - v[b]) % 12 for v in (old, new))
            assert not (moves and before == after and before in (0, 7)), (old, new)


def test_weak_beats_pass_by_step_or_belong_to_the_chord() -> None:
    """A note of the tune outside its chord is reached or left by step."""
    for line in (demo_quartet.melody_line(), demo_quartet.solo_line()):
        for before, (pitch, onset, _), after in zip(line, line[1:], line[2:], strict=False):
            tones = demo_quartet.tones_of(demo_quartet.chords()[int(onset // 2)])
            step = min(abs(before[0] - pitch), abs(after[0] - pitch))
            assert pitch % 12 in tones or step <= 2, (pitch, onset)


def test_the_quartet_closes_in_g_and_its_theme_returns(quartet: Piece) -> None:
    last = sounding(quartet, 127.5)
    assert last[0][1] % 12 == last[-1][1] % 12 == pitch_of("G4") % 12
    assert {pitch % 12 for _, pitch in last} <= set(demo_quartet.tones_of("G"))
    tune = demo_quartet.melody_line()
    first = [(p, on) for p, on, _ in tune if on < 12]
    again = [(p, on - 96) for p, on, _ in tune if 96 <= on < 108]
    assert first == again


def test_the_trio_keeps_to_its_chords(trio: Piece) -> None:
    for name, onset, _ in demo_trio.chords():
        root, tones = demo_trio.chord_tones(name)
        colours = [*tones, 9] if "maj7" in name else tones
        allowed = {(root + tone) % 12 for tone in colours}
        here = sounding(trio, onset)
        assert here[0][1] % 12 == root
        assert {pitch % 12 for _, pitch in here} <= allowed, (name, onset)


def test_lines_of_every_piece_fill_their_bars() -> None:
    for text, bars in (
        (demo_quartet.VIOLIN, 32),
        (demo_quartet.CELLO_SOLO, 4),
        (demo_trio.MELODY, 24),
    ):
        parts = text.split("|")
        assert len(parts) == bars
        for part in parts:
            assert sum(float(word.partition("/")[2]) for word in part.split()) == 4, part


def test_names_of_pitches() -> None:
    assert [pitch_of(name) for name in ("C4", "F#3", "Bb5", "C-1"[:1] + "0")] == [60, 54, 82, 12]
    assert read_line("C4/1 r/.5 | D4/2", first_beat=8) == [(60, 8, 1), (62, 9.5, 2)]
