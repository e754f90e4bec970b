import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generation import signature, vocabulary

from segue.symbolic.grid import Grid, empty_notes, empty_tempos
from segue.symbolic.stream import Mark, parse, program_order, render
from segue.symbolic.vocabulary import TokenType


def names(ids):
    return [vocabulary().tokens[token] for token in ids]


def a_grid(notes, *, bars=2, tempos=(), meter=(4, 4)):
    rows = empty_notes(len(notes))
    for row, (bar, position, track, program, pitch) in zip(rows, notes, strict=True):
        row["bar"], row["position"], row["track"] = bar, position, track
        row["program"], row["pitch"], row["velocity"], row["duration"] = program, pitch, 3, 11
        row["source"] = -1
    changes = empty_tempos(len(tempos))
    for change, values in zip(changes, tempos, strict=True):
        change["bar"], change["position"], change["tempo"] = values
    return Grid.build(np.full(bars, signature(*meter), np.int32), rows, changes)


def test_the_order_of_tokens_is_bar_meter_position_tempo_note():
    grid = a_grid([(0, 0, 1, 0, 60), (0, 0, 0, -1, 36), (1, 12, 1, 0, 62)], tempos=[(0, 0, 5)])
    tempo = f"Tempo_{vocabulary().tempos[5]}"
    assert names(render(vocabulary(), grid).ids) == [
        *("Bar_None", "TimeSig_4/4", "Position_0", tempo),
        *("Program_-1", "PitchDrum_36", "Velocity_63", "Duration_1.0.12"),
        *("Program_0", "Pitch_60", "Velocity_63", "Duration_1.0.12"),
        *("Bar_None", "TimeSig_4/4", "Position_12"),
        *("Program_0", "Pitch_62", "Velocity_63", "Duration_1.0.12"),
    ]


def test_times_are_those_of_the_onset_and_bars_count_on():
    grid = a_grid([(0, 6, 0, 0, 60), (1, 12, 0, 0, 62)])
    stream = render(vocabulary(), grid)
    quarter = vocabulary().units_per_quarter
    at = dict(zip(names(stream.ids), stream.times.tolist(), strict=True))
    assert at["Position_6"] == at["Pitch_60"] == quarter // 2
    assert at["Bar_None"] == 4 * quarter
    assert at["Pitch_62"] == 5 * quarter


def test_marks_share_the_position_of_notes_and_may_end_a_bar():
    words = vocabulary()
    start, end = words.id("Hole_Start"), words.id("Hole_End")
    marks = [Mark(0, 12, (start, 400)), Mark(0, None, (end,))]
    tokens = names(render(words, a_grid([(0, 12, 0, 0, 60)]), marks).ids)
    assert tokens[2:5] == ["Position_12", "Hole_Start", words.tokens[400]]
    assert tokens[5] == "Program_0"
    assert tokens[9:11] == ["Hole_End", "Bar_None"]


@st.composite
def grids(draw):
    bars = draw(st.integers(1, 4))
    place = st.tuples(
        st.integers(0, bars - 1), st.integers(0, 47), st.integers(0, 3), st.integers(30, 80)
    )
    notes = draw(st.sets(place, max_size=40))
    programs = draw(st.permutations([-1, 0, 40, 73]))
    tempos = draw(st.sets(st.tuples(st.integers(0, bars - 1), st.integers(0, 47)), max_size=5))
    return a_grid(
        [(bar, position, t, programs[t], pitch) for bar, position, t, pitch in notes],
        bars=bars,
        tempos=[(*place, 7) for place in sorted(tempos)],
    )


@given(grids())
def test_parsing_gives_back_what_was_rendered(grid):
    again = parse(vocabulary(), render(vocabulary(), grid).ids)
    fields = ["bar", "position", "program", "pitch", "velocity", "duration"]
    assert again.signatures.tolist() == grid.signatures.tolist()
    assert again.tempos.tolist() == grid.tempos.tolist()
    assert again.notes[fields].tolist() == grid.notes[fields].tolist()
    assert render(vocabulary(), again).ids.tolist() == render(vocabulary(), grid).ids.tolist()


@given(st.lists(st.integers(0, vocabulary().size - 1), max_size=60))
def test_any_tokens_can_be_parsed(ids):
    grid = parse(vocabulary(), np.array(ids, np.int64))
    assert len(grid.signatures) == sum(vocabulary().types[token] == TokenType.BAR for token in ids)
    assert (grid.notes["bar"] < max(grid.num_bars, 1)).all()


def test_an_order_of_instruments_is_found_that_no_onset_contradicts():
    notes = a_grid([(0, 0, 2, 5, 60), (0, 12, 0, 7, 60), (0, 12, 1, 9, 60), (1, 0, 1, 9, 60)]).notes
    later = a_grid([(1, 6, 1, 9, 61), (1, 6, 2, 5, 61)]).notes
    order = program_order(np.concatenate([notes, later]))
    rank = dict(
        zip(np.concatenate([notes, later])["program"].tolist(), order.tolist(), strict=True)
    )
    assert rank[7] < rank[9] < rank[5]


def test_a_window_counts_its_bars_from_zero():
    grid = a_grid([(0, 0, 0, 0, 60), (2, 5, 0, 0, 64)], bars=4, tempos=[(2, 0, 1)])
    window = grid.window(2, 3)
    assert window.num_bars == 1
    assert window.notes["bar"].tolist() == [0]
    assert window.tempos["bar"].tolist() == [0]
    assert grid.notes["bar"].tolist() == [0, 2]


@pytest.mark.parametrize("velocities", [True, False])
def test_notes_have_a_velocity_token_only_where_the_vocabulary_has_them(velocities):
    words = vocabulary(velocities=velocities)
    tokens = render(words, a_grid([(0, 0, 0, 0, 60)], bars=1)).ids
    assert len(tokens) == (7 if velocities else 6)
