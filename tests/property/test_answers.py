"""What the encoder makes a model learn is what the grammar lets it write."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generation import grammar, vocabulary

from segue.symbolic.codec import encode_file
from segue.symbolic.grid import Grid, empty_notes, empty_tempos
from segue.symbolic.prompt import Hole, answer_stream, hole_spec
from segue.symbolic.stream import parse


def composed(rng: np.random.Generator) -> Grid:
    """A grid of random bars and notes."""
    words = vocabulary()
    signatures = rng.integers(len(words.signatures), size=int(rng.integers(1, 8)))
    programs = rng.choice(words.programs, size=int(rng.integers(1, 5)), replace=False)
    found = {}
    for _ in range(int(rng.integers(0, 60))):
        bar = int(rng.integers(len(signatures)))
        position = int(rng.integers(min(6, words.bar_positions[signatures[bar]])))
        track = int(rng.integers(len(programs)))
        pitch = int(rng.integers(60, 64))
        found[bar, position, track, pitch] = programs[track]
    notes = empty_notes(len(found))
    for row, (key, program) in enumerate(found.items()):
        bar, position, track, pitch = key
        notes[row] = (bar, position, track, program, pitch, 3, 5, -1)
    return Grid.build(signatures, notes, empty_tempos())


def answer_problems(grid: Grid, rng: np.random.Generator) -> list[str]:
    """What is wrong with the answer to a random hole of a grid."""
    words = vocabulary()
    first = int(rng.integers(grid.num_bars))
    end = int(rng.integers(first + 1, min(grid.num_bars, first + 4) + 1))
    present = np.unique(grid.notes["program"])
    present = present if len(present) else np.array([0])
    count = int(rng.integers(1, len(present) + 1))
    programs = tuple(rng.choice(present, size=count, replace=False).tolist())
    start = int(rng.integers(4)) if rng.random() < 0.5 else 0
    length = int(words.bar_positions[grid.signatures[end - 1]])
    last = int(rng.integers(start + 1, length + 1)) if rng.random() < 0.5 else None
    hole = Hole(first, end, programs, start, last)
    removed = hole.contains(grid.notes) & np.isin(grid.notes["program"], programs)
    answer = answer_stream(words, grid, hole, removed)
    spec = hole_spec(words, grid, hole)
    found = grammar().check(answer.ids, spec)
    if not found:
        state = grammar().start(spec)
        times = [(state.advance(token), state.time)[1] for token in answer.ids.tolist()]
        found += ["the clocks of encoder and grammar differ"] * (times != answer.times.tolist())
    return found


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_answers_to_composed_holes_are_valid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert answer_problems(composed(rng), rng) == []


@pytest.mark.parametrize("share", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_answers_to_holes_in_real_music_are_valid(music_dir, share: int) -> None:
    files = sorted(music_dir.rglob("*.mid"))
    chosen = np.random.default_rng(1).permutation(len(files))[: None if share else 100]
    wrong = {}
    for number in chosen:
        rng = np.random.default_rng(number)
        grid = parse(vocabulary(), encode_file(vocabulary(), files[number]))
        found = [said for _ in range(5) for said in answer_problems(grid, rng)]
        wrong |= {files[number]: found} if found else {}
    assert len(chosen)
    assert wrong == {}
