import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.generation import vocabulary
from tests.unit.symbolic.test_stream import grids

from segue.symbolic.baselines.reading import read_prompt
from segue.symbolic.prompt import Hole, context_stream

WORDS = vocabulary()


@given(grids(), st.data())
def test_a_prompt_says_which_notes_are_there_and_what_is_asked_for(grid, data):
    first = data.draw(st.integers(0, grid.num_bars - 1))
    end = data.draw(st.integers(first + 1, grid.num_bars))
    start = data.draw(st.integers(0, 20))
    last = data.draw(st.sampled_from([None, 21, 30, 47]))
    programs = data.draw(st.lists(st.sampled_from([-1, 0, 40, 73]), min_size=1, unique=True))
    hole = Hole(first, end, tuple(programs), start, last)
    removed = hole.contains(grid.notes) & np.isin(grid.notes["program"], programs)
    assume(data.draw(st.booleans()) or removed.any())
    seen, found = read_prompt(WORDS, context_stream(WORDS, grid, hole, removed))
    assert found == hole
    fields = ["bar", "position", "program", "pitch"]
    assert seen.notes[fields].tolist() == grid.notes[~removed][fields].tolist()
    assert seen.num_bars == grid.num_bars
