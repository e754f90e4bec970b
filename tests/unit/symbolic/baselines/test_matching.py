import numpy as np
from tests.generation import vocabulary
from tests.unit.symbolic.test_stream import a_grid

from segue.symbolic.baselines.copying import matched_fill, repeated_fill
from segue.symbolic.baselines.matching import fitting_notes, matched_notes, matching_bars
from segue.symbolic.prompt import Hole, context_stream

WORDS = vocabulary()
BASS = [36, 41, 43, 38]


def piece(bars=8, *, period=4):
    """A bass line that comes again every few bars, and a tune that goes with it."""
    bass = [(bar, p, 1, 32, BASS[bar % period] + p // 12) for bar in range(bars) for p in (0, 24)]
    tune = [(bar, p, 0, 0, 60 + 2 * (bar % period) + p // 6) for bar in range(bars) for p in (0, 6)]
    return a_grid(bass + tune, bars=bars)


def without(grid, hole):
    removed = hole.contains(grid.notes) & np.isin(grid.notes["program"], hole.programs)
    return grid.with_notes(grid.notes[~removed]), removed


def places(notes):
    return sorted(notes[["bar", "position", "program", "pitch"]].tolist())


def test_the_bar_under_the_same_bass_is_found():
    hole = Hole(5, 7, (0,))
    grid = piece()
    seen, removed = without(grid, hole)
    assert matching_bars(seen, hole) == [1, 2]
    assert places(matched_notes(WORDS, seen, hole)) == places(grid.notes[removed])


def test_neighbours_decide_where_nothing_sounds_with_the_hole():
    grid = piece()
    hole = Hole(5, 6, (0, 32))
    seen, removed = without(grid, hole)
    assert matching_bars(seen, hole) == [1]
    assert places(matched_notes(WORDS, seen, hole)) == places(grid.notes[removed])


def test_of_equally_good_bars_the_nearest_is_taken():
    hole = Hole(5, 6, (0,))
    seen, _ = without(piece(12, period=1), hole)
    assert matching_bars(seen, hole)[0] in (4, 6)


def test_only_the_span_is_filled_and_its_edges_help():
    grid = piece()
    hole = Hole(5, 6, (0,), 6, 24)
    seen, removed = without(grid, hole)
    assert removed.sum() == 1
    notes = matched_notes(WORDS, seen, hole)
    assert places(notes) == places(grid.notes[removed])


def test_bars_of_another_meter_are_left_alone_while_there_are_others():
    grid = piece()
    grid.signatures[[1, 5]] = WORDS.signature_index[3, 4], WORDS.signature_index[4, 4]
    hole = Hole(5, 6, (0,))
    assert matching_bars(without(grid, hole)[0], hole) != [1]


def test_without_anything_in_view_nothing_is_played():
    hole = Hole(0, 8, (0,))
    seen, _ = without(piece(), hole)
    assert matching_bars(seen, hole) == [None] * 8
    assert not len(matched_notes(WORDS, seen, hole))


def test_a_note_that_is_there_already_is_not_played_twice():
    grid = piece()
    assert not len(fitting_notes(WORDS, grid, Hole(2, 4, (0,)), grid.notes))


def test_both_players_read_nothing_but_the_prompt():
    grid = piece()
    hole = Hole(4, 6, (0,))
    _, removed = without(grid, hole)
    context = context_stream(WORDS, grid, hole, removed)
    matched, repeated = matched_fill(WORDS, context), repeated_fill(WORDS, context)
    wanted = grid.notes[removed].copy()
    wanted["bar"] -= 4
    assert places(matched) == places(wanted)
    before = grid.notes[np.isin(grid.notes["bar"], [2, 3]) & (grid.notes["program"] == 0)].copy()
    before["bar"] -= 2
    assert places(repeated) == places(before)
