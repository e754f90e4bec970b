"""New pieces, and empty bars before and after."""

from typing import Any

import pytest
from tests.midi_files import (
    at_ticks,
    control,
    meta,
    midi,
    name,
    off,
    on,
    program,
    signature,
    song,
    tempo,
)
from tests.splice_check import View

from segue.core.region import Region
from segue.errors import DataError, SettingError
from segue.symbolic.frames import extended, new_piece, num_music_bars, shifted
from segue.symbolic.score import Piece


def test_a_new_piece() -> None:
    piece = Piece.from_bytes(
        new_piece([0, 33, -1], num_bars=16, tempo=96, signature=(6, 8)).to_bytes()
    )
    assert [(t.name, t.program, t.channel, t.is_drum) for t in piece.tracks] == [
        ("Acoustic Grand Piano", 0, 0, False),
        ("Electric Bass (finger)", 33, 1, False),
        ("Drums", 0, 9, True),
    ]
    assert piece.bars.num_bars == 16
    assert set(piece.bars.numerators.tolist()) == {6}
    assert set(piece.bars.denominators.tolist()) == {8}
    assert piece.tempos.quarters_per_minute.tolist() == [96]
    assert piece.find_tracks(None) == (0, 1, 2)
    view = View.of(piece.to_bytes())
    assert view.end_ticks == [16 * 6 * 240] * 4


def test_more_instruments_than_channels() -> None:
    piece = new_piece([40] * 31 + [-1], num_bars=1, names=[f"V{i}" for i in range(32)])
    places = [(track.port, track.channel) for track in piece.tracks]
    assert len(set(places)) == 32
    assert [track.is_drum for track in piece.tracks] == [False] * 31 + [True]
    assert piece.tracks[30].name == "V30"


@pytest.mark.parametrize(
    "values",
    [
        {"programs": []},
        {"programs": [128]},
        {"programs": [-2]},
        {"num_bars": 0},
        {"num_bars": 10**6},
        {"tempo": 0},
        {"tempo": float("nan")},
        {"tempo": 3},
        {"signature": (0, 4)},
        {"signature": (4, 3)},
        {"signature": (4, 0)},
        {"ticks_per_quarter": 0},
        {"ticks_per_quarter": 40_000},
        {"names": ["a", "b"]},
    ],
)
def test_impossible_pieces_are_refused(values: dict[str, Any]) -> None:
    given: dict[str, Any] = {"programs": [0], "num_bars": 4} | values
    with pytest.raises(SettingError, match="A new piece cannot have"):
        new_piece(given.pop("programs"), **given)


def piece_of(*events: tuple[int, bytes]) -> Piece:
    """A piece of one track, with absolute ticks."""
    return Piece.from_bytes(midi(at_ticks(*events)))


@pytest.mark.parametrize(
    ("end", "expected"),
    [(100, 1), (1920, 1), (1920 + 120, 1), (1920 + 121, 2), (3840, 2)],
)
def test_the_last_bar_is_the_last_that_sounds(end: int, expected: int) -> None:
    piece = piece_of((0, on(60)), (end, off(60)), (19_200, meta(1)))
    assert num_music_bars(piece) == expected


def test_a_note_just_behind_a_bar_line_counts() -> None:
    assert num_music_bars(piece_of((1920, on(60)), (1921, off(60)))) == 2
    assert num_music_bars(piece_of((0, program(0)), (9000, meta(1)))) == 5


def test_bars_after() -> None:
    before = Piece.from_bytes(song())
    after = extended(before, bars_after=4)
    assert after.region == Region(None, 11, 14)
    assert after.piece.bars.num_bars == 14
    assert after.piece.resolve(after.region).end_ticks == 7680 + 10 * 1440
    old, now = View.of(song()), View.of(after.piece.to_bytes())
    assert now.tracks == old.tracks
    assert now.end_ticks == [7680 + 10 * 1440, *old.end_ticks[1:]]


def test_empty_bars_at_the_end_are_used() -> None:
    piece = piece_of((0, on(60)), (1920, off(60)), (19_200, meta(1)))
    after = extended(piece, bars_after=3)
    assert after.region == Region(None, 2, 4)
    assert after.piece.bars.num_bars == 10
    assert after.piece.to_bytes() == piece.to_bytes()


def test_the_meter_at_the_end_goes_on() -> None:
    piece = piece_of((0, on(60)), (1920, off(60)), (1920, signature(3, 2)))
    after = extended(piece, bars_after=2)
    assert after.piece.bars.start_ticks.tolist() == [0, 1920, 3360, 4800]


def test_bars_before() -> None:
    setup = [
        (0, name("Piano")),
        (0, tempo(400_000)),
        (0, signature(3, 2)),
        (0, program(3)),
        (0, control(7, 90)),
        (0, b"\xf0\x02\x01\xf7"),
    ]
    moments = [
        (0, meta(5, b"la")),
        (0, meta(6, b"A")),
        (0, on(60)),
        (3, control(7, 80)),
        (99, off(60)),
        (1440, signature(4, 2)),
        (2000, tempo(300_000)),
    ]
    before = piece_of(*setup, *moments)
    after = shifted(before, bars_before=2)
    assert after.region == Region(None, 1, 2)
    assert after.piece.smf.chunks[0].message(5) == b"\xf0\x02\x01\xf7"
    (events,) = View.of(after.piece.to_bytes()).tracks
    assert [(event.tick, event.message) for event in events] == [
        *setup[:-1],
        (0, b"\xf0\x01\xf7"),  # mido leaves the length out
        *[(tick + 2880, message) for tick, message in moments],
    ]
    assert after.piece.bars.start_ticks[:4].tolist() == [0, 1440, 2880, 4320]
    assert after.piece.bars.numerators.tolist() == [3, 3, 3, 4]
    assert after.piece.end_ticks == before.end_ticks + 2880


def test_bars_before_without_a_signature_are_of_four_quarters() -> None:
    after = shifted(piece_of((0, on(60)), (480, signature(3, 2)), (999, off(60))), bars_before=1)
    assert after.piece.bars.start_ticks[:3].tolist() == [0, 1920, 2400]


@pytest.mark.parametrize("count", [0, -1, 200_000])
def test_impossible_numbers_of_bars_are_refused(count: int) -> None:
    with pytest.raises(SettingError, match="new bars were asked for"):
        extended(Piece.from_bytes(song()), bars_after=count)
    with pytest.raises(SettingError, match="new bars were asked for"):
        shifted(Piece.from_bytes(song()), bars_before=count)


def test_a_file_without_tracks_cannot_go_on() -> None:
    with pytest.raises(DataError, match="no tracks"):
        extended(Piece.from_bytes(midi()), bars_after=4)
