"""Passages: what they accept, how they sort, and how they come out of a grid."""

from typing import Any

import numpy as np
import pytest
from tests.generation import signature, vocabulary
from tests.unit.symbolic.test_stream import a_grid

from segue.errors import DataError
from segue.symbolic.evaluate.passage import Passage, passage_of_bars, passage_of_grid
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole

WORDS = vocabulary()


def test_notes_are_sorted_and_one_value_stands_for_all() -> None:
    passage = Passage.from_notes([2, 0, 0], [1, 2, 3], [60, 64, 62], bar_starts=[0, 4], programs=5)
    assert passage.onsets.tolist() == [0, 0, 2]
    assert passage.pitches.tolist() == [62, 64, 60]
    assert passage.durations.tolist() == [3, 2, 1]
    assert passage.programs.tolist() == [5, 5, 5]
    assert passage.velocities.tolist() == [100, 100, 100]
    assert (len(passage), passage.num_bars, passage.length_quarters) == (3, 1, 4.0)


def test_an_empty_passage_has_bars() -> None:
    passage = Passage.from_notes([], [], [], bar_starts=[0, 3, 6])
    assert (len(passage), passage.num_bars) == (0, 2)
    assert len(passage.bars) == 0


GOOD: dict[str, Any] = {
    "onsets": [0.0, 3.5],
    "durations": [1.0, 1.0],
    "pitches": [60, 61],
    "programs": [0, -1],
    "velocities": [1, 127],
    "bar_starts": [0.0, 4.0],
}


def made(**changes: Any) -> Passage:
    given = GOOD | changes
    first = [given.pop(name) for name in ("onsets", "durations", "pitches")]
    return Passage.from_notes(*first, **given)


def test_what_is_right_is_accepted() -> None:
    assert len(made()) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"onsets": [0.0, 4.0]}, "begin within its bars"),
        ({"onsets": [-0.1, 1.0]}, "begin within its bars"),
        ({"onsets": [np.nan, 1.0]}, "finite onset"),
        ({"durations": [0.0, 1.0]}, "duration above 0"),
        ({"durations": [np.inf, 1.0]}, "finite duration"),
        ({"durations": [1.0]}, "one value per note"),
        ({"pitches": [60, 128]}, "pitches of a passage are whole numbers from 0 to 127"),
        ({"pitches": [60, 60.5]}, "whole numbers"),
        ({"pitches": [60, np.nan]}, "whole numbers"),
        ({"programs": [-2, 0]}, "programs of a passage are whole numbers from -1 to 127"),
        ({"velocities": [0, 1]}, "velocities of a passage are whole numbers from 1 to 127"),
        ({"bar_starts": [0.0]}, "bar lines"),
        ({"bar_starts": [1.0, 4.0]}, "rise from 0"),
        ({"bar_starts": [0.0, 4.0, 4.0]}, "rise from 0"),
        ({"bar_starts": [0.0, np.nan]}, "rise from 0"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        made(**changes)


def test_a_hole_gives_the_notes_that_start_in_it_in_quarter_notes() -> None:
    notes = [(bar, position, 0, 0, 60 + bar) for bar in range(3) for position in (0, 18)]
    grid = a_grid([*notes, (1, 24, 1, 40, 80)], bars=3)
    passage = passage_of_grid(WORDS, grid, Hole(1, 3, (0,)))
    assert passage.onsets.tolist() == [0, 1.5, 4, 5.5]
    assert passage.pitches.tolist() == [61, 61, 62, 62]
    assert passage.durations.tolist() == [1, 1, 1, 1]
    assert passage.bar_starts.tolist() == [0, 4, 8]
    assert passage.bars.tolist() == [0, 0, 1, 1]


def test_a_cut_hole_keeps_whole_bars_and_a_mask_chooses_notes() -> None:
    notes = [(0, position, 0, 0, 60 + position) for position in (0, 12, 24, 36)]
    grid = a_grid(notes, bars=1)
    hole = Hole(0, 1, (0,), first_position=12, last_position=36)
    assert passage_of_grid(WORDS, grid, hole).pitches.tolist() == [72, 84]
    mask = np.array([True, False, True, True])
    passage = passage_of_grid(WORDS, grid, hole, mask)
    assert passage.pitches.tolist() == [84]
    assert passage.bar_starts.tolist() == [0, 4]
    with pytest.raises(DataError, match="A mask of 3 notes was given for a grid of 4"):
        passage_of_grid(WORDS, grid, hole, mask[:3])


def test_bars_of_other_meters_have_their_own_length() -> None:
    grid = a_grid([(0, 0, 0, 0, 60), (1, 0, 0, 0, 62), (1, 12, 0, 0, 64)], bars=2)
    changed = Grid(np.array([signature(3, 4), signature(6, 8)], np.int32), grid.notes, grid.tempos)
    passage = passage_of_bars(WORDS, changed)
    assert passage.bar_starts.tolist() == [0, 3, 6]
    assert passage.onsets.tolist() == [0, 3, 3.5]


def test_bars_that_are_not_there_are_an_error() -> None:
    grid = a_grid([(0, 0, 0, 0, 60)], bars=2)
    with pytest.raises(DataError, match="Bars 2 to 3 were asked for; the piece has 2 bars"):
        passage_of_bars(WORDS, grid, 1, 3)


def test_a_selection_keeps_the_bars() -> None:
    chosen = made().select(made().is_drum)
    assert chosen.pitches.tolist() == [61]
    assert chosen.bar_starts.tolist() == [0, 4]
