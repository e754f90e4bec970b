"""Pieces as sound files and pictures."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.midi_files import END, at_ticks, body, chunk, control, header, midi, off, on, tempo
from tests.soundfonts import soundfont_bytes

from segue.core.region import Region
from segue.errors import DataError, SettingError
from segue.symbolic.demo_notation import DemoNote, DemoPart, DemoPiece, midi_file
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.render import piano_roll_of, played_notes, render_wav, save_png
from segue.symbolic.score import Piece
from segue.symbolic.splice import replace_notes

RATE_HZ = 16000


def make_piece(pitches: tuple[int, ...] = (60, 62, 64, 65) * 8, *, program: int = 40) -> Piece:
    """Two tracks in quarters at 120 quarters a minute."""
    notes = [DemoNote(pitch, i, 1, 80) for i, pitch in enumerate(pitches)]
    low = [DemoNote(pitch - 12, i, 1, 80) for i, pitch in enumerate(pitches)]
    parts = [DemoPart("High", program, notes), DemoPart("Low", 42, low)]
    return Piece.from_bytes(midi_file(DemoPiece("Test", 0, [(0, 120)], parts)), name="test.mid")


def raw_piece(*messages: tuple[int, bytes]) -> Piece:
    """A piece of one track, 480 ticks a quarter."""
    return Piece.from_bytes(header(1) + chunk(b"MTrk", body([*messages, (0, END)])))


def read(path: Path) -> np.ndarray:
    """Frames of a sound file as 16-bit numbers `[frames, 2]`."""
    return soundfile.read(path, dtype="int16")[0]


@pytest.fixture
def sine_font(tmp_path: Path) -> Path:
    """A SoundFont that is quick to play."""
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont_bytes())
    return path


def test_a_piece_makes_sound_with_what_comes_along(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.wav"
    rendering = render_wav(make_piece().to_bytes(), path, rate_hz=RATE_HZ)
    sound = read(path)
    assert soundfile.info(path).subtype == "PCM_16"
    assert len(sound) == 18 * RATE_HZ
    assert rendering.duration_s == 18
    for second in range(16):
        part = sound[second * RATE_HZ : (second + 1) * RATE_HZ].astype(float)
        assert np.sqrt((part**2).mean()) > 1000
    assert np.abs(sound).max() == pytest.approx(32768 * 10 ** (-1 / 20), abs=3)
    assert np.abs(sound[-1]).max() == 0
    assert [p.name for p in path.parent.iterdir()] == ["out.wav"]


def test_flac_holds_the_same_frames_and_twice_is_the_same(tmp_path: Path, sine_font: Path) -> None:
    names = ("a.wav", "b.FLAC", "c.wav")
    for name in names:
        render_wav(make_piece(), tmp_path / name, soundfont=sine_font, rate_hz=RATE_HZ)
    sounds = [read(tmp_path / name) for name in names]
    assert np.array_equal(sounds[0], sounds[1])
    assert (tmp_path / names[0]).read_bytes() == (tmp_path / names[2]).read_bytes()
    assert soundfile.info(tmp_path / names[1]).format == "FLAC"


def test_an_excerpt_is_part_of_the_whole(tmp_path: Path, sine_font: Path) -> None:
    whole, part = tmp_path / "whole.wav", tmp_path / "part.wav"
    for path, ends in ((whole, (0.0, None)), (part, (3.25, 5.0))):
        render_wav(
            make_piece(), path, soundfont=sine_font, rate_hz=RATE_HZ,
            start_seconds=ends[0], end_seconds=ends[1], room=False,
        )  # fmt: skip
    cut = read(part)
    assert len(cut) == 1.75 * RATE_HZ
    same = read(whole)[int(3.25 * RATE_HZ) :][: len(cut)]
    inside = slice(0, int(1.6 * RATE_HZ))  # the end fades
    a, b = cut[inside].astype(float).ravel(), same[inside].astype(float).ravel()
    assert (a @ b) / np.sqrt((a @ a) * (b @ b)) > 0.9999


@pytest.mark.parametrize(
    ("name", "options", "error", "word"),
    [
        ("out.mp3", {}, SettingError, "wav or .flac"),
        ("out.wav", {"rate_hz": 100}, SettingError, "100 Hz"),
        ("out.wav", {"start_seconds": 99.0}, SettingError, "not in the piece"),
        ("out.wav", {"start_seconds": 5.0, "end_seconds": 4.0}, SettingError, "not in the piece"),
        ("out.wav", {"end_seconds": float("nan")}, SettingError, "not in the piece"),
        ("out.wav", {"soundfont": "none.sf2"}, DataError, "No such file"),
        ("out.wav", {"soundfont": __file__}, DataError, "not a SoundFont"),
        ("out.wav", {"start_seconds": 17.5}, DataError, "no notes"),
    ],
)
def test_mistakes_are_said_and_leave_the_old_file(
    tmp_path: Path, name: str, options: dict[str, object], error: type[Exception], word: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"as it was")
    with pytest.raises(error, match=word):
        render_wav(make_piece(), path, **options)  # type: ignore[arg-type]
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_font_that_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    path, font = tmp_path / "out.wav", tmp_path / "bad.sf2"
    path.write_bytes(b"as it was")
    good = bytearray(soundfont_bytes())
    good[good.rfind(b"shdr") + 8 + 20 : good.rfind(b"shdr") + 8 + 24] = b"\xff\xff\xff\x7f"
    font.write_bytes(good)
    with pytest.raises(DataError, match="outside the file"):
        render_wav(make_piece(), path, soundfont=font)
    assert path.read_bytes() == b"as it was"
    assert sorted(tmp_path.iterdir()) == sorted([path, font])


def test_silence_and_endless_pieces_are_said(tmp_path: Path) -> None:
    font = tmp_path / "deaf.sf2"
    font.write_bytes(soundfont_bytes(zones=[[(43, 0)]]))
    with pytest.raises(DataError, match="no sound"):
        render_wav(make_piece(), tmp_path / "a.wav", soundfont=font)
    with pytest.raises(DataError, match="no notes"):
        render_wav(raw_piece(), tmp_path / "a.wav")
    endless = raw_piece((0, on(60)), (2**27, off(60)))
    with pytest.raises(DataError, match="minutes"):
        render_wav(endless, tmp_path / "a.wav")
    assert sorted(tmp_path.iterdir()) == [font]


def test_the_tempo_map_counts() -> None:
    piece = raw_piece(
        (0, tempo(400_000)), (480, on(60)), (480, off(60)), (0, tempo(1_000_000)), (0, on(62)),
        (480, off(62)),
    )  # fmt: skip
    notes = played_notes(piece)
    assert notes.onset_s.tolist() == pytest.approx([0.4, 0.8])
    assert notes.duration_s.tolist() == pytest.approx([0.4, 1.0])


def test_the_pedal_holds_notes_until_it_rises_or_the_key_is_struck_again() -> None:
    piece = raw_piece(
        (0, on(60)), (0, on(64)), (0, control(64, 127)), (240, off(60)), (0, off(64)),
        (720, on(60)), (240, off(60)), (720, control(64, 0)), (0, on(70)), (480, off(70)),
    )  # fmt: skip
    notes = played_notes(piece)
    assert notes.pitch.tolist() == [60, 64, 60, 70]
    assert notes.duration_s.tolist() == [1.0, 2.0, 1.0, 0.5]


def test_volume_expression_and_pan_count_from_where_they_stand() -> None:
    piece = raw_piece(
        (0, control(7, 25, channel=1)),
        (0, on(60)), (480, off(60)), (0, control(7, 50)), (0, control(10, 127)), (0, on(62)),
        (480, off(62)), (0, control(11, 0)), (0, on(64)), (480, off(64)),
        (0, on(60, channel=1)), (480, off(60, channel=1)),
    )  # fmt: skip
    notes = played_notes(piece)
    assert notes.gain.tolist() == [1.0, 0.25, 0.0, 0.0625]
    assert notes.pan.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_region_filled_anew_is_marked_with_what_was_there() -> None:
    before = make_piece()
    after = make_piece((60, 62, 64, 65) * 4 + (70, 72) * 2 + (60, 62, 64, 65) * 3)
    region = Region.parse("5", tracks="High")
    figure = piano_roll_of(after, region=region, compare_with=before, context_bars=1, title="T")
    assert figure.axes[0].get_xlim() == (3 * 1920, 6 * 1920)
    assert [len(c.get_paths()) for c in notes_drawn(figure)] == [4, 8, 12, 4]  # ghost, kept, new
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {"High", "Low", "Bar 5", "4", "6"} <= words


def test_without_a_region_what_differs_is_new() -> None:
    before, after = make_piece(), make_piece((60, 62, 64, 67) * 8)
    figure = piano_roll_of(after, compare_with=before)
    assert [len(c.get_paths()) for c in notes_drawn(figure)] == [16, 24, 24, 16]
    two = piano_roll_of(after, compare_with=before, two_panels=True)
    assert len(two.axes) == 2


def test_from_nothing_everything_is_new() -> None:
    empty = Piece.from_bytes(
        midi_file(DemoPiece("", 0, [(0, 120)], [DemoPart("High", 40, [DemoNote(60, 40, 1, 9)])]))
    )
    figure = piano_roll_of(make_piece(), compare_with=empty, region=Region.parse("1-8"))
    assert [len(c.get_paths()) for c in notes_drawn(figure)] == [64]


def notes_drawn(figure) -> list:
    """The collections of notes of the last panel, lowest first."""
    found = [c for c in figure.axes[-1].collections if c.get_zorder() > 2]
    return sorted(found, key=lambda c: c.get_zorder())


def test_a_piece_alone_is_drawn_up_to_its_last_note() -> None:
    figure = piano_roll_of(make_piece())
    assert figure.axes[0].get_xlim() == (0, 8 * 1920)
    with pytest.raises(DataError, match="no notes"):
        piano_roll_of(raw_piece())
    with pytest.raises(SettingError, match="compare"):
        piano_roll_of(make_piece(), two_panels=True)
    with pytest.raises(SettingError, match="bars"):
        piano_roll_of(make_piece(), region=Region.parse("9-12"))


def test_a_picture_is_written_whole_and_the_same_every_time(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        save_png(piano_roll_of(make_piece(), title="楽譜"), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(SettingError, match="png"):
        save_png(piano_roll_of(make_piece()), tmp_path / "a.jpg")
    assert sorted(tmp_path.iterdir()) == paths


def test_a_track_that_was_emptied_keeps_its_lane_and_marks_no_other() -> None:
    line = [(i * 480, on(60)) for i in range(4)] + [(i * 480 + 240, off(60)) for i in range(4)]
    low = [(i * 480, on(48, channel=1)) for i in range(16)]
    low += [(i * 480 + 240, off(48, channel=1)) for i in range(16)]
    before = Piece.from_bytes(midi(at_ticks(*sorted(line)), at_ticks(*sorted(low))))
    region = before.resolve(Region((0,), 1, 2))
    after = replace_notes(before, region, np.zeros(0, NEW_NOTE_FIELDS))
    figure = piano_roll_of(after, region=region, compare_with=before)
    assert [len(c.get_paths()) for c in notes_drawn(figure)] == [4, 16]  # ghosts, kept
