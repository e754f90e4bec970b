import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generation import grammar, vocabulary
from tests.unit.symbolic.test_stream import a_grid, grids, names

from segue.errors import SettingError
from segue.symbolic.prompt import (
    CONTEXT,
    HOLE,
    Hole,
    answer_stream,
    choose_window,
    context_stream,
    hole_spec,
    join,
    thin,
    tokens_per_bar,
    view,
)
from segue.symbolic.stream import parse, render
from segue.symbolic.vocabulary import TokenType

WORDS = vocabulary()
NOTES = [(bar, position, 0, 0, 60 + position) for bar in range(6) for position in (0, 12, 24)]
OTHERS = [(bar, 0, 1, 40, 76) for bar in range(6)]


def example(hole, grid=None):
    grid = grid or a_grid(NOTES + OTHERS, bars=6)
    removed = hole.contains(grid.notes) & np.isin(grid.notes["program"], hole.programs)
    return (
        grid,
        context_stream(WORDS, grid, hole, removed),
        answer_stream(WORDS, grid, hole, removed),
    )


def test_the_hole_is_marked_its_notes_are_gone_and_the_answer_has_them():
    _, context, answer = example(Hole(2, 4, (0,)))
    tokens = names(context.ids)
    assert (tokens[0], tokens[-1]) == ("BOS_None", "SEP_None")
    start, end = tokens.index("Hole_Start"), tokens.index("Hole_End")
    assert tokens[start - 1 : start + 2] == ["Position_0", "Hole_Start", "Program_0"]
    assert tokens[end + 1] == "Bar_None"
    assert "Program_0" not in tokens[start + 2 : end]
    assert tokens[start + 2 : end].count("Program_40") == 2
    written = parse(WORDS, answer.ids).notes
    assert written["pitch"].tolist() == [60, 72, 84] * 2
    assert names(answer.ids)[-1] == "EOS_None"


def test_the_clock_of_the_answer_is_that_of_the_hole():
    grid, context, answer = example(Hole(2, 4, (0,)))
    starts = grid.bar_starts(WORDS)
    assert context.times[-1] == answer.times[0] == starts[2]
    assert answer.times[-1] == starts[4]
    assert context.times[-2] == starts[5] + 2 * WORDS.units_per_quarter


def test_a_span_of_beats_is_marked_at_its_positions():
    _, context, answer = example(Hole(2, 3, (0,), 12, 24))
    tokens = names(context.ids)
    assert tokens[tokens.index("Hole_Start") - 1] == "Position_12"
    assert tokens[tokens.index("Hole_End") - 1] == "Position_24"
    assert parse(WORDS, answer.ids).notes["position"].tolist() == [12]


@given(grids(), st.data())
def test_every_answer_is_valid_by_the_grammar(grid, data):
    first = data.draw(st.integers(0, grid.num_bars - 1))
    end = data.draw(st.integers(first + 1, grid.num_bars))
    start = data.draw(st.integers(0, 20))
    last = data.draw(st.sampled_from([None, 30, 48]))
    programs = [int(p) for p in dict.fromkeys(grid.notes["program"].tolist())] or [0]
    hole = Hole(first, end, tuple(programs), start, last)
    grid, context, answer = example(hole, grid)
    assert grammar().check(answer.ids, hole_spec(WORDS, grid, hole)) == []
    inside = hole.contains(grid.notes)
    assert len(parse(WORDS, answer.ids).notes) == inside.sum()
    assert len(parse(WORDS, context.ids).notes) == (~inside).sum()


def test_joining_says_what_each_token_is():
    _, context, answer = example(Hole(0, 1, (0,)))
    stream, kinds = join(context, answer)
    assert len(stream.ids) == len(kinds) == len(context.ids) + len(answer.ids)
    assert set(kinds[: len(context.ids)]) == {CONTEXT}
    assert set(kinds[len(context.ids) :]) == {HOLE}


def test_a_view_states_the_tempo_in_force():
    grid = a_grid(NOTES, bars=6, tempos=[(0, 0, 3), (1, 5, 9)])
    assert view(grid, 3, 5).tempos.tolist() == [(0, 0, 9)]
    assert view(grid, 0, 2).tempos.tolist() == [(0, 0, 3), (1, 5, 9)]


@given(grids())
def test_tokens_per_bar_is_what_rendering_takes(grid):
    sizes = tokens_per_bar(WORDS, grid, grid.notes)
    for bar in range(grid.num_bars):
        assert sizes[bar] == len(render(WORDS, grid.window(bar, bar + 1)).ids)


def test_windows_take_the_nearest_bars_on_both_sides_within_the_budget():
    sizes = np.full(20, 10)
    hole = Hole(8, 10, (0,))
    assert choose_window(sizes, hole, 60) == (6, 12)
    assert choose_window(sizes, hole, 1000) == (0, 20)
    assert choose_window(sizes, hole, 60, future=False) == (4, 10)
    assert choose_window(sizes, hole, 60, past=False) == (8, 14)
    assert choose_window(sizes, hole, 5) == (8, 10)
    assert choose_window(sizes, Hole(0, 2, (0,)), 50) == (0, 5)


def test_instruments_with_few_notes_stay_in_view_when_the_hole_is_crowded():
    grid = a_grid(NOTES + OTHERS, bars=6)
    hole = Hole(0, 6, (-1,))
    kept = thin(WORDS, grid, hole, np.ones(len(grid.notes), bool), 60)
    assert set(grid.notes["program"][kept].tolist()) == {40}
    alone = Hole(2, 4, (0,))
    gone = alone.contains(grid.notes) & (grid.notes["program"] == 0)
    kept = thin(WORDS, grid, alone, ~gone, 4)
    assert set(grid.notes["program"][kept].tolist()) == {0}
    assert thin(WORDS, grid, hole, np.ones(len(grid.notes), bool), 10_000).all()


def test_a_hole_without_bars_or_instruments_is_refused():
    with pytest.raises(SettingError, match="needs a bar"):
        Hole(3, 3, (0,))
    with pytest.raises(SettingError, match="instrument"):
        Hole(3, 4, ())


def test_instruments_come_in_the_order_that_was_asked_for():
    grid = a_grid([(0, 0, 0, 0, 60), (0, 0, 1, 40, 76)], bars=1)
    hole = Hole(0, 1, (40, 0))
    answer = answer_stream(WORDS, grid, hole, np.ones(2, bool))
    kinds = WORDS.types[answer.ids]
    assert names(answer.ids[kinds == TokenType.PROGRAM]) == ["Program_40", "Program_0"]
