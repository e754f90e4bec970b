import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generation import grammar, signature, vocabulary
from tests.midi_files import at_ticks, midi, off, on, program, song
from tests.midi_files import signature as signature_event

from segue.errors import DataError, SettingError
from segue.symbolic.meter import BarTable, TimeSignature
from segue.symbolic.placement import ModelBars, grid_of, hole_of, program_ranks
from segue.symbolic.score import Piece
from segue.symbolic.stream import render

WORDS = vocabulary()


def bars_of(*signatures, end=480 * 4 * 8, ticks=480):
    table = BarTable.build(
        [TimeSignature(*each) for each in signatures], ticks_per_quarter=ticks, end_ticks=end
    )
    return ModelBars.of(WORDS, table, ticks)


def test_bars_of_known_meters_are_those_of_the_file():
    bars = bars_of((0, 4, 4), (1920, 6, 8), (1920 + 1440, 3, 4), end=1920 + 1440 + 1440)
    assert bars.start_ticks.tolist() == [0, 1920, 3360, 4800]
    assert [WORDS.signatures[s] for s in bars.signatures] == [(4, 4), (6, 8), (3, 4)]
    assert bars.limits.tolist() == [48, 72, 36]


def test_a_bar_of_an_unknown_meter_becomes_several():
    bars = bars_of((0, 33, 32), (1980, 9, 4), end=1980 + 9 * 480)
    assert bars.start_ticks.tolist() == [0, 1920, 1980, 1980 + 9 * 480]
    assert WORDS.signatures[bars.signatures[0]] == (4, 4)


def test_an_endless_bar_is_divided():
    bars = bars_of((0, 255, 1), end=100)
    assert np.diff(bars.start_ticks).max() <= 1920
    assert bars.start_ticks[-1] == 255 * 1920


def test_endless_bars_without_end_are_refused():
    with pytest.raises(DataError, match="255/1"):
        bars_of((0, 255, 1), end=255 * 4 * 1000, ticks=1)


@given(st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16, 32]), st.integers(1, 960))
def test_bars_cover_every_tick_once_whatever_the_meter(numerator, denominator, ticks):
    table = BarTable.build(
        [TimeSignature(0, numerator, denominator)],
        ticks_per_quarter=32 * ticks,
        end_ticks=32 * ticks * 9,
    )
    bars = ModelBars.of(WORDS, table, 32 * ticks)
    assert (np.diff(bars.start_ticks) > 0).all()
    assert np.isin(table.start_ticks, bars.start_ticks).all()
    exact = np.diff(bars.start_ticks) / bars.ticks_per_position
    assert (bars.limits >= np.minimum(exact, WORDS.bar_positions[bars.signatures]) - 1e-6).all()


def test_ticks_on_the_grid_come_back_and_others_go_to_the_nearest():
    bars = bars_of((0, 4, 4))
    ticks = np.arange(0, 480 * 16, 40)
    where = bars.locate(ticks)
    assert bars.ticks(*where).tolist() == ticks.tolist()
    assert [int(v[0]) for v in bars.locate(np.array([1915]))] == [1, 0]
    assert [int(v[0]) for v in bars.locate(np.array([59]))] == [0, 1]


def test_the_grid_of_a_piece_is_valid_and_points_back_to_its_notes():
    piece = Piece.from_bytes(song())
    bars = ModelBars.of(WORDS, piece.bars, piece.ticks_per_quarter)
    grid = grid_of(WORDS, piece, bars)
    assert len(grid.notes) == len(piece.notes)
    assert grid.notes["pitch"].tolist() == piece.notes["pitch"][grid.notes["source"]].tolist()
    assert grammar().check(render(WORDS, grid).ids) == []
    onsets = bars.ticks(grid.notes["bar"], grid.notes["position"])
    assert onsets.tolist() == piece.notes["onset_ticks"][grid.notes["source"]].tolist()
    assert len(grid.tempos) == 2


def test_notes_that_have_no_token_are_not_seen_and_doubles_are_one():
    events = at_ticks((0, on(5)), (0, on(60)), (240, off(60)), (240, off(5)), (480, on(60)))
    twice = at_ticks((0, on(60)), (240, off(60)))
    piece = Piece.from_bytes(midi(events, twice))
    grid = grid_of(WORDS, piece, ModelBars.of(WORDS, piece.bars, 480))
    assert grid.notes["pitch"].tolist() == [60, 60]
    assert grid.notes["position"].tolist() == [0, 12]


def test_programs_rank_by_their_first_track():
    tracks = [
        at_ticks((0, program(p, c)), (0, on(60, 64, c)), (9, off(60, 0, c)))
        for c, p in enumerate((40, 0, 40, 33))
    ]
    assert program_ranks(Piece.from_bytes(midi(*tracks))) == {40: 0, 0: 1, 33: 2}


def test_a_region_becomes_a_hole_in_bars_and_positions():
    bars = bars_of((0, 4, 4))
    assert hole_of(bars, 1920, 3840, (0,)).first_bar == 1
    hole = hole_of(bars, 1920 + 480, 3840 + 960, (0,))
    assert (hole.first_bar, hole.end_bar) == (1, 3)
    assert (hole.first_position, hole.last_position) == (12, 24)
    whole = hole_of(bars, 0, 1920, (0,))
    assert whole.last_position is None


def test_a_region_without_a_grid_position_is_refused():
    with pytest.raises(SettingError, match="too short"):
        hole_of(bars_of((0, 4, 4)), 41, 60, (0,))


def test_pick_up_bars_count_as_the_file_says():
    events = at_ticks(
        (0, signature_event(1, 2)),
        (0, on(60)),
        (400, off(60)),
        (480, signature_event(4, 2)),
        (480, on(62)),
        (2400, off(62)),
    )
    piece = Piece.from_bytes(midi(events))
    grid = grid_of(WORDS, piece, ModelBars.of(WORDS, piece.bars, 480))
    assert grid.signatures[:2].tolist() == [signature(1, 4), signature(4, 4)]
    assert grid.notes["bar"].tolist() == [0, 1]


@pytest.mark.parametrize("stays", [0, 1])
def test_of_two_tracks_in_unison_the_one_that_stays_is_seen(stays):
    line = at_ticks((0, on(60)), (240, off(60)), (480, on(62)), (720, off(62)))
    piece = Piece.from_bytes(midi(line, line))
    removed = piece.notes["track"] != stays
    grid = grid_of(WORDS, piece, ModelBars.of(WORDS, piece.bars, 480), removed)
    assert grid.notes["pitch"].tolist() == [60, 62]
    assert not removed[grid.notes["source"]].any()
