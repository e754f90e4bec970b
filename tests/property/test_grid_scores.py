"""From the token grid to a score, to a MIDI file and back: nothing changes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from symusic import Score
from tests.evaluation import WORDS

from segue.symbolic.codec import encode_score, grid_to_notes
from segue.symbolic.evaluate.scores import piece_of, programs_of, score_of
from segue.symbolic.grid import Grid, empty_notes, empty_tempos
from segue.symbolic.stream import render

FIELDS = ["bar", "position", "track", "program", "pitch", "velocity", "duration"]
METERS = st.sampled_from(range(len(WORDS.signatures)))


@st.composite
def meters(draw):
    parts = draw(st.lists(st.tuples(METERS, st.integers(1, 3)), min_size=1, max_size=4))
    return np.concatenate([[signature] * bars for signature, bars in parts]).astype(np.int32)


@st.composite
def places(draw, signatures):
    bar = draw(st.integers(0, len(signatures) - 1))
    return bar, draw(st.integers(0, int(WORDS.bar_positions[signatures[bar]]) - 1))


def without_overlaps(grid):
    """Leave out notes that begin while their instrument holds the same pitch: MIDI cannot say them."""
    placed = grid_to_notes(WORDS, grid)
    ends, kept = {}, []
    for note in placed:
        key = (int(note["program"]), int(note["pitch"]))
        kept.append(note["onset"] >= ends.get(key, 0))
        if kept[-1]:
            ends[key] = note["onset"] + note["duration"]
    return grid.with_notes(grid.notes[np.array(kept, bool)])


@st.composite
def scored_grids(draw):
    """Grids that end with an event, in any meters, for instruments in any order."""
    signatures = draw(meters())
    programs = draw(st.lists(st.sampled_from(range(-1, 128)), min_size=1, max_size=20, unique=True))
    chosen = draw(
        st.lists(
            st.tuples(
                places(signatures),
                st.sampled_from(programs),
                st.integers(27, 88),
                st.integers(0, len(WORDS.velocities) - 1),
                st.integers(0, len(WORDS.duration_positions) - 1),
            ),
            max_size=25,
            unique_by=lambda row: row[:3],
        )
    )
    chosen = chosen or [((0, 0), programs[0], 50, 3, 5)]
    playing = [program for program in programs if any(row[1] == program for row in chosen)]
    notes = empty_notes(len(chosen))
    for note, ((bar, position), *rest) in zip(notes, chosen, strict=True):
        note["bar"], note["position"], note["source"] = bar, position, -1
        note["program"], note["pitch"], note["velocity"], note["duration"] = rest
        note["track"] = playing.index(rest[0])
    changes = {(0, 0), *draw(st.lists(places(signatures), max_size=4))}
    tempos = empty_tempos(len(changes))
    before = -1
    for tempo, place in zip(tempos, sorted(changes), strict=True):
        numbers = st.integers(0, len(WORDS.tempos) - 1).filter(lambda n, b=before: n != b)
        before = draw(numbers)
        tempo["bar"], tempo["position"], tempo["tempo"] = *place, before
    grid = without_overlaps(Grid.build(signatures, notes, tempos))
    notes = grid.notes.copy()
    order = list(dict.fromkeys(p for p in playing if p in notes["program"]))
    notes["track"] = [order.index(program) for program in notes["program"].tolist()]
    last = max(int(notes["bar"].max()), int(tempos["bar"].max()))
    return Grid.build(signatures[: last + 1], notes, tempos)


def check(grid, again):
    assert again.signatures.tolist() == grid.signatures.tolist()
    assert again.tempos.tolist() == grid.tempos.tolist()
    assert again.notes[FIELDS].tolist() == grid.notes[FIELDS].tolist()
    assert render(WORDS, again).ids.tolist() == render(WORDS, grid).ids.tolist()


@given(scored_grids())
def test_a_grid_comes_back_from_a_score(grid):
    score = score_of(WORDS, grid)
    assert len(score.tracks) == len(programs_of(grid))
    check(grid, encode_score(WORDS, score))


@given(scored_grids())
def test_a_grid_comes_back_from_a_midi_file(grid):
    piece = piece_of(WORDS, grid)
    check(grid, encode_score(WORDS, Score.from_midi(piece.to_bytes())))
    assert len(piece.notes) == len(grid.notes)
