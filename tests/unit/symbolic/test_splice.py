"""New notes in a region: what goes, what stays, what gives way."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.midi_files import at_ticks, control, meta, midi, off, on, port, program, signature, song
from tests.splice_check import check_splice, random_notes

from segue.core.region import Region
from segue.errors import SettingError
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.splice import fit_notes, notes_inside, replace_notes

BAR = 1920


def piece(*tracks: list[tuple[int, bytes]], kind: int = 1) -> Piece:
    """A piece of tracks given with absolute ticks, four bars long."""
    return Piece.from_bytes(
        midi(*[at_ticks(*track, (4 * BAR, meta(1, b"end"))) for track in tracks], kind=kind)
    )


def new(*notes: tuple[int, int, int, int]) -> NDArray[np.void]:
    """New notes of track, pitch, onset and duration."""
    out = np.zeros(len(notes), NEW_NOTE_FIELDS)
    for row, (track, pitch, onset, duration) in zip(out, notes, strict=True):
        row["track"], row["pitch"], row["velocity"] = track, pitch, 99
        row["onset_ticks"], row["duration_ticks"] = onset, duration
    return out


def fitted(of: Piece, *notes: tuple[int, int, int, int], tracks: tuple[int, ...] = (0,)) -> list:
    """What remains of new notes in bar 2: track, pitch, onset, end."""
    region = ResolvedRegion(tracks, BAR, 2 * BAR, 2, 2)
    spliced = replace_notes(of, region, new(*notes))
    check_splice(of, region, spliced)
    return [
        (
            int(note["track"]),
            int(note["pitch"]),
            int(note["onset_ticks"]),
            int(note["onset_ticks"] + note["duration_ticks"]),
        )
        for note in fit_notes(of, region, new(*notes))
    ]


def events(of: Piece, chunk: int) -> list[tuple[int, bytes]]:
    """Events of a chunk, tick and bytes."""
    part = of.smf.chunks[chunk]
    return [(int(event["tick"]), part.message(i)) for i, event in enumerate(part.events)]


def test_notes_that_begin_inside_go_and_all_else_stays() -> None:
    before = piece(
        [
            (0, program(4)),
            (10, on(60)),
            (BAR + 100, off(60)),
            (BAR, on(61)),
            (BAR, control(64, 127)),
            (BAR + 5, off(61)),
            (2 * BAR - 1, on(62)),
            (2 * BAR, on(63)),
            (2 * BAR + 50, off(62)),
            (2 * BAR + 60, off(63)),
        ]
    )
    region = before.resolve(Region(None, 2, 2))
    assert before.notes[notes_inside(before, region)]["pitch"].tolist() == [61, 62]
    after = replace_notes(before, region, new((0, 70, BAR, 240), (0, 71, BAR + 240, 9999)))
    assert events(after, 0) == [
        (0, program(4)),
        (10, on(60)),
        (BAR, control(64, 127)),
        (BAR, on(70, 99)),
        (BAR + 100, off(60)),
        (BAR + 240, off(70)),
        (BAR + 240, on(71, 99)),
        (2 * BAR, off(71)),
        (2 * BAR, on(63)),
        (2 * BAR + 60, off(63)),
        (4 * BAR, meta(1, b"end")),
        (4 * BAR, b"\xff\x2f\x00"),
    ]
    assert check_splice(before, region, after) == 2


def test_the_piece_itself_is_not_changed() -> None:
    before = Piece.from_bytes(song())
    replace_notes(before, before.resolve(Region(None, 2, 3)), new((0, 60, 2000, 9)))
    assert before.to_bytes() == song()


def test_other_channels_of_the_chunk_stay_in_type_0() -> None:
    one = [(BAR, on(60, channel=0)), (BAR, on(60, channel=1)), (BAR + 9, off(60, channel=0))]
    before = piece([*one, (BAR + 9, off(60, channel=1))], kind=0)
    after = replace_notes(before, before.resolve(Region((1,), 2, 2)), new((1, 50, BAR, 10)))
    assert [(n["channel"], n["pitch"]) for n in after.notes] == [(0, 60), (1, 50)]
    check_splice(before, before.resolve(Region((1,), 2, 2)), after)


def test_note_offs_are_written_like_those_of_the_file() -> None:
    silent = piece([(0, on(60)), (9, on(60, 0)), (10, on(60)), (19, on(60, 0))])
    released = piece([(0, on(60)), (9, off(60, 33)), (10, on(60)), (19, off(60, 33))])
    for before, ending in (
        (silent, on(70, 0)),
        (released, off(70, 33)),
        (piece([(0, program(0))]), off(70, 64)),
    ):
        region = before.resolve(Region(None, 2, 2))
        after = replace_notes(before, region, new((0, 70, BAR, 10)))
        assert (BAR + 10, ending) in events(after, 0)


def test_running_status_is_used_where_the_file_uses_it() -> None:
    data = midi([(0, on(60)), (BAR, b"\x3c\x00"), (3 * BAR, b"\x3d\x40"), (9, b"\x3d\x00")], kind=0)
    before = Piece.from_bytes(data)
    region = before.resolve(Region(None, 2, 2))
    after = replace_notes(before, region, new((0, 70, BAR, 10)))
    assert len(after.to_bytes()) == len(data) + 2 * 3  # a delta and two data bytes each
    check_splice(before, region, after)


def test_notes_of_the_track_that_sound_into_the_region_have_the_pitch() -> None:
    before = piece([(0, on(60)), (BAR + 480, off(60))])
    assert fitted(before, (0, 60, BAR, 100)) == []
    assert fitted(before, (0, 60, BAR + 479, 100)) == []
    assert fitted(before, (0, 60, BAR + 480, 100)) == [(0, 60, BAR + 480, BAR + 580)]
    assert fitted(before, (0, 61, BAR, 100)) == [(0, 61, BAR, BAR + 100)]


def test_notes_of_other_tracks_on_the_channel_have_the_pitch_too() -> None:
    other = [(BAR + 480, on(60)), (BAR + 960, off(60))]
    before = piece([(0, program(0))], other)
    assert fitted(before, (0, 60, BAR, 100)) == [(0, 60, BAR, BAR + 100)]
    assert fitted(before, (0, 60, BAR, 600)) == [(0, 60, BAR, BAR + 480)]
    assert fitted(before, (0, 60, BAR + 480, 600)) == []
    assert fitted(before, (0, 60, BAR + 500, 600)) == []
    # The off of the later chunk comes after an on of the earlier one at the same tick.
    assert fitted(before, (0, 60, BAR + 960, 600)) == [(0, 60, BAR + 961, BAR + 1560)]
    behind = piece(other, [(0, program(0))])
    assert fitted(behind, (1, 60, BAR, 600), tracks=(1,)) == [(1, 60, BAR, BAR + 479)]
    assert fitted(behind, (1, 60, BAR + 960, 9), tracks=(1,)) == [(1, 60, BAR + 960, BAR + 969)]


def test_other_channels_and_outputs_do_not_matter() -> None:
    other = [(BAR, on(60)), (BAR + 960, off(60))]
    away = piece([(0, program(0))], [(0, port(1)), *other])
    assert fitted(away, (0, 60, BAR, 600)) == [(0, 60, BAR, BAR + 600)]
    there = piece([(0, program(0))], [(BAR, on(60, channel=1)), (BAR + 9, off(60, channel=1))])
    assert fitted(there, (0, 60, BAR, 600)) == [(0, 60, BAR, BAR + 600)]


def test_ports_and_replaced_notes_of_the_own_track() -> None:
    mine = [(0, port(1)), (BAR, on(60)), (BAR + 960, off(60))]
    assert fitted(piece([(0, program(0))], mine), (1, 60, BAR, 9), tracks=(1,)) == [
        (1, 60, BAR, BAR + 9)
    ]
    other = [(0, port(1)), (BAR + 5, on(60)), (BAR + 960, off(60))]
    assert fitted(piece([(0, port(1)), (0, program(0))], other), (0, 60, BAR, 9)) == [
        (0, 60, BAR, BAR + 5)
    ]
    assert fitted(piece([(BAR, program(0))], mine, other), (1, 60, BAR, 9), tracks=(1,)) == [
        (1, 60, BAR, BAR + 5)
    ]


def test_endless_notes_and_idle_note_offs() -> None:
    endless = piece([(100, on(60))])
    assert fitted(endless, (0, 60, BAR, 100)) == []
    elsewhere = piece([(100, on(60))], [(0, program(0)), (BAR + 100, off(60))])
    assert fitted(elsewhere, (0, 60, BAR + 200, 100)) == []
    idle = piece([(0, program(0)), (BAR + 100, off(60))])
    assert fitted(idle, (0, 60, BAR, 400)) == [(0, 60, BAR, BAR + 100)]
    assert fitted(idle, (0, 60, BAR + 100, 400)) == [(0, 60, BAR + 100, BAR + 500)]


def test_new_notes_give_way_to_each_other() -> None:
    before = piece([(0, program(0))], [(0, program(1))])
    assert fitted(before, (0, 60, BAR, 500), (0, 60, BAR + 100, 500), (0, 60, BAR, 900)) == [
        (0, 60, BAR, BAR + 100),
        (0, 60, BAR + 100, BAR + 600),
    ]
    assert fitted(before, (1, 60, BAR, 500), (0, 60, BAR + 100, 500), tracks=(0, 1)) == [
        (1, 60, BAR, BAR + 99),
        (0, 60, BAR + 100, BAR + 600),
    ]
    assert fitted(before, (1, 60, BAR, 500), (0, 60, BAR, 500), tracks=(0, 1)) == [
        (0, 60, BAR, BAR + 500)
    ]


def test_notes_last_at_least_a_tick() -> None:
    assert fitted(piece([(0, program(0))]), (0, 60, 2 * BAR - 1, 0), (0, 61, BAR, -5)) == [
        (0, 61, BAR, BAR + 1),
        (0, 60, 2 * BAR - 1, 2 * BAR),
    ]


def test_the_end_of_the_track_moves_only_where_it_must() -> None:
    data = midi(
        [(0, signature(4, 2)), (4 * BAR, meta(1))], [(0, program(0)), (BAR + 50, control(1, 1))]
    )
    before = Piece.from_bytes(data)
    region = before.resolve(Region(None, 2, 2))
    short = replace_notes(before, region, new((0, 60, BAR, 20)))
    long = replace_notes(before, region, new((0, 60, BAR, 200)))
    assert [chunk.end_ticks for chunk in short.smf.chunks] == [4 * BAR, BAR + 50]
    assert [chunk.end_ticks for chunk in long.smf.chunks] == [4 * BAR, BAR + 200]
    check_splice(before, region, long)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("onset_ticks", BAR - 1, "begins outside the region"),
        ("onset_ticks", 2 * BAR, "begins outside the region"),
        ("track", 1, "is of a track that the region does not have"),
        ("pitch", 128, "has a pitch that is not 0-127"),
        ("pitch", -1, "has a pitch"),
        ("velocity", 0, "has a velocity that is not 1-127"),
        ("velocity", 128, "has a velocity"),
    ],
)
def test_impossible_notes_are_refused(field: str, value: int, message: str) -> None:
    before = piece([(0, program(0))], [(0, program(0))])
    notes = new((0, 60, BAR, 10), (0, 62, BAR, 10))
    notes[field][1] = value
    with pytest.raises(SettingError, match=message):
        replace_notes(before, before.resolve(Region((0,), 2, 2)), notes)


def test_a_crowd_of_notes(rng: np.random.Generator) -> None:
    crowd = [(BAR, on(i % 128, channel=i // 128 % 16)) for i in range(20_000)]
    crowd += [(2 * BAR, off(i % 128, channel=i // 128 % 16)) for i in range(20_000)]
    before = piece(crowd)
    region = before.resolve(Region((3,), 1, 4))
    after = replace_notes(before, region, random_notes(before, region, rng, 5_000))
    assert len(after.notes) > 18_750


def test_a_track_that_loses_its_last_note_keeps_its_number() -> None:
    """Neither track says a program, so the file alone tells nothing of the first."""
    before = piece(
        [(0, on(60)), (240, off(60))],
        [(0, on(48, channel=1)), (240, off(48, channel=1))],
        [(0, program(24, 2))],
        [(0, on(40, channel=2)), (240, off(40, channel=2))],
    )
    for track in range(len(before.tracks)):
        region = ResolvedRegion((track,), 0, 480, 1, 1)
        after = replace_notes(before, region, new())
        assert [(t.chunk, t.channel, t.program, t.is_drum) for t in after.tracks] == [
            (t.chunk, t.channel, t.program, t.is_drum) for t in before.tracks
        ]
        assert after.tracks[track].num_notes == 0
        again = replace_notes(after, region, new((track, 70, 0, 240)))
        assert again.tracks[track].num_notes == 1
