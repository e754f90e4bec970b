"""Pieces: tracks, notes, regions, opening and saving."""

from pathlib import Path

import pytest
from tests.midi_files import (
    at_ticks,
    meta,
    midi,
    name,
    off,
    on,
    port,
    program,
    signature,
    song,
    tempo,
)

from segue.core.region import Region
from segue.errors import DataError, SettingError
from segue.symbolic.score import Piece


def piece(*tracks: list[tuple[int, bytes]], kind: int = 1, division: int = 480) -> Piece:
    """A piece of tracks given with absolute ticks."""
    return Piece.from_bytes(
        midi(*(at_ticks(*track) for track in tracks), kind=kind, division=division)
    )


def notes(of: Piece, *fields: str) -> list[tuple[int, ...]]:
    """Some fields of all notes."""
    return [tuple(note[field].item() for field in fields) for note in of.notes]


def test_a_song() -> None:
    song_piece = Piece.from_bytes(song())
    assert [str(track) for track in song_piece.tracks] == [
        '0 "Piano" (Acoustic Grand Piano)',
        '1 "Bass" (Acoustic Bass)',
        '2 "Kit" (Drums)',
    ]
    assert [track.num_notes for track in song_piece.tracks] == [32, 16, 32]
    assert [track.chunk for track in song_piece.tracks] == [1, 2, 3]
    assert len(song_piece.notes) == 80
    assert song_piece.ticks_per_quarter == 480
    assert song_piece.bars.num_bars == 10  # four of 4/4, then 3/4 for the length of four
    assert song_piece.length_seconds == pytest.approx(8 + (song_piece.end_ticks - 7680) / 480 * 0.6)


def test_notes_are_sorted_and_read_only() -> None:
    found = piece([(5, on(60)), (9, off(60)), (5, on(40)), (9, off(40)), (0, on(70)), (9, off(70))])
    assert notes(found, "onset_ticks", "pitch") == [(0, 70), (5, 40), (5, 60)]
    with pytest.raises(ValueError, match="read-only"):
        found.notes["pitch"] = 1


def test_notes_are_paired_first_in_first_out_within_chunk_and_channel() -> None:
    found = piece(
        [(0, on(60)), (5, on(60)), (10, off(60)), (30, off(60)), (40, off(60))],
        [(0, on(60)), (7, off(60))],
        [(0, on(60, channel=1)), (2, on(60, 0, channel=1))],
    )
    expected = [(0, 0, 10), (1, 0, 7), (2, 0, 2), (0, 5, 25)]
    assert notes(found, "track", "onset_ticks", "duration_ticks") == expected


def test_a_note_that_nothing_ends_lasts_as_long_as_its_track() -> None:
    found = piece([(10, on(60)), (20, on(61)), (25, off(61)), (100, meta(1))])
    assert notes(found, "duration_ticks", "off_event") == [(90, -1), (5, 2)]


def test_type_0_is_split_by_channel() -> None:
    found = piece(
        [
            (0, name("The song")),
            (0, program(40, 0)),
            (0, program(32, 1)),
            (0, on(60, channel=0)),
            (0, on(40, channel=1)),
            (0, on(36, channel=9)),
        ],
        kind=0,
    )
    assert [(t.channel, t.program, t.is_drum, t.name, t.chunk) for t in found.tracks] == [
        (0, 40, False, "", 0),
        (1, 32, False, "", 0),
        (9, 0, True, "", 0),
    ]


def test_type_2_is_read_as_simultaneous_tracks() -> None:
    found = piece([(0, on(60)), (9, off(60))], [(0, on(62)), (9, off(62))], kind=2)
    assert notes(found, "track", "onset_ticks") == [(0, 0), (1, 0)]


def test_programs_follow_the_changes_of_the_own_chunk() -> None:
    found = piece(
        [
            (0, on(60)),
            (10, off(60)),
            (10, program(5)),
            (10, on(60)),
            (20, off(60)),
            (20, on(61)),
            (20, program(7)),
            (25, on(60)),
        ],
        [(0, program(9)), (1, on(60))],
    )
    assert notes(found, "onset_ticks", "program") == [(0, 0), (1, 9), (10, 5), (20, 5), (25, 7)]
    assert [track.program for track in found.tracks] == [5, 9]


def test_programs_come_from_other_chunks_where_the_own_has_none() -> None:
    found = piece(
        [(0, program(5, 2)), (50, program(6, 2))],
        [(0, on(60, channel=2)), (50, on(61, channel=2))],
        [(0, port(1)), (0, on(60, channel=2))],
    )
    assert notes(found, "onset_ticks", "track", "program") == [(0, 1, 5), (0, 2, 0), (50, 1, 6)]
    assert [(track.num_notes, track.program) for track in found.tracks] == [(0, 5), (2, 5), (1, 0)]
    assert [track.port for track in found.tracks] == [0, 0, 1]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Flöte".encode(), "Flöte"),
        ("Flöte".encode("latin-1"), "Flöte"),
        (b"  a\x00b\n ", "ab"),
        (b"", ""),
    ],
)
def test_names_in_any_encoding(raw: bytes, text: str) -> None:
    assert piece([(0, meta(3, raw)), (0, on(60))]).tracks[0].name == text


BAND = [
    [(0, name("Left")), (0, program(0, 0)), (0, on(60, channel=0))],
    [(0, name("Right")), (0, program(1, 1)), (0, on(60, channel=1))],
    [(0, name("Bassoon solo")), (0, program(70, 2)), (0, on(60, channel=2))],
    [(0, program(33, 3)), (0, on(60, channel=3))],
    [(0, name("Kit")), (0, on(60, channel=9))],
    [(0, program(40, 4))],
    [(0, name("Low bass")), (0, program(80, 5)), (0, on(60, channel=5))],
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, (0, 1, 2, 3, 4, 6)),
        ([0], (0,)),
        ([3, 0, 3], (0, 3)),
        (["piano"], (0, 1)),
        (["PIANO"], (0, 1)),
        (["bright acoustic piano"], (1,)),
        (["bass"], (3, 6)),
        (["basso"], (2,)),
        (["bassoon solo"], (2,)),
        (["drums"], (4,)),
        (["Percussion"], (4,)),
        (["kit"], (4,)),
        (["strings"], (5,)),
        (["left", 4], (0, 4)),
        (["Lead 1 (square)"], (6,)),
    ],
)
def test_tracks_are_found_by_number_name_instrument_and_family(
    wanted: list[int | str] | None, found: tuple[int, ...]
) -> None:
    assert piece(*BAND).find_tracks(wanted) == found


@pytest.mark.parametrize("wanted", [7, -1, "harp"])
def test_unknown_tracks_are_refused_with_a_list(wanted: int | str) -> None:
    with pytest.raises(SettingError) as caught:
        piece(*BAND).find_tracks([0, wanted])
    assert f"There is no track {wanted!r}" in str(caught.value)
    assert '2 "Bassoon solo" (Bassoon); 3 (Electric Bass (finger)); 4 "Kit" (Drums)' in str(
        caught.value
    )


def test_pieces_without_tracks_are_refused() -> None:
    with pytest.raises(DataError, match="no notes and no instruments"):
        piece([(0, tempo(500_000))]).resolve(Region(None, 1, 1))
    assert piece([(0, program(3))]).find_tracks(None) == (0,)


def test_regions_in_bars_beats_and_seconds_agree() -> None:
    song_piece = Piece.from_bytes(song())
    bars = song_piece.resolve(Region((0,), 5, 6))
    assert bars == ((0,), 7680, 7680 + 2 * 1440, 5, 6)
    assert song_piece.resolve(Region((0,), 17, 22, "beats")) == bars
    assert song_piece.resolve(Region((0,), 8.0, 11.6, "seconds")) == bars
    part = song_piece.resolve(Region(None, 7.5, 8.6, "seconds"))
    assert part == ((0, 1, 2), 7200, 8160, 4, 5)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (Region(None, 11, 11), "Bars 11 were asked for, but the piece has bars 1-10"),
        (Region(None, 1, 99), "bars 1-10"),
        (Region(None, 1, 99, "beats"), "beats 1-34"),
        (Region(None, 1, 99, "seconds"), "10 bars, 18.80 seconds"),
        (Region(None, 1.0, 1.0000001, "seconds"), "end after it begins"),
    ],
)
def test_regions_outside_the_piece_are_refused_with_its_length(
    region: Region, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        Piece.from_bytes(song()).resolve(region)


def test_the_length_that_a_refusal_names_can_be_asked_for() -> None:
    odd = piece([(0, tempo(499_250)), (0, on(60)), (480, off(60))])
    with pytest.raises(SettingError, match=r"within 0-1\.99 seconds"):
        odd.resolve(Region(None, 0, 2, "seconds"))
    assert odd.resolve(Region(None, 0, 1.99, "seconds")).first_bar == 1


def test_absurd_ticks_are_refused_when_bars_are_needed() -> None:
    far = piece([(0, on(60)), (5, off(60)), ((1 << 28) - 1, on(60))])
    assert len(far.notes) == 2
    with pytest.raises(DataError, match="139,811 bars"):
        far.resolve(Region(None, 1, 1))
    assert piece([((1 << 28) - 1, on(60))], division=9600).bars.num_bars == 6991


def test_bad_signatures_are_refused_when_bars_are_needed() -> None:
    bad = piece([(0, signature(0, 2)), (0, on(60))])
    with pytest.raises(DataError, match="The piece has the time signature 0/4"):
        bad.resolve(Region(None, 1, 1))


def test_one_endless_bar() -> None:
    endless = piece([(0, signature(255, 0)), (0, on(60)), (255 * 4 * 480 - 1, off(60))])
    assert endless.bars.num_bars == 1
    assert endless.resolve(Region(None, 1, 1)).end_ticks == 255 * 4 * 480


def test_opening_and_saving(tmp_path: Path) -> None:
    path, copy = tmp_path / "song.mid", tmp_path / "new" / "copy.mid"
    path.write_bytes(song())
    Piece.open(path).save(copy)
    assert copy.read_bytes() == song()


@pytest.mark.parametrize("content", [None, b"", b"no music"])
def test_unreadable_files_are_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "song.mid"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"song\.mid"):
        Piece.open(path)
    with pytest.raises(DataError, match="Cannot read"):
        Piece.open(tmp_path)


def test_many_tracks() -> None:
    tracks = [[(0, program(i % 128, i % 16)), (i, on(60, channel=i % 16))] for i in range(40)]
    found = piece(*tracks)
    assert len(found.tracks) == 40
    assert notes(found, "track", "onset_ticks") == [(i, i) for i in range(40)]


def test_80_000_simultaneous_notes() -> None:
    crowd = [(0, on(i % 128, channel=i // 128 % 16)) for i in range(80_000)]
    crowd += [(480, off(i % 128, channel=i // 128 % 16)) for i in range(80_000)]
    found = piece(crowd)
    assert len(found.notes) == 80_000
    assert set(found.notes["duration_ticks"].tolist()) == {480}
