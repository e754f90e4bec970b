"""Variations keep the music: same intervals, same rhythm, same drums."""

import numpy as np
import pytest
from tests.corpora import piece, score_of

from segue.symbolic.codec import encode_score
from segue.symbolic.data.augment import (
    add_drums,
    is_flat,
    reorder_tracks,
    transpose,
    transposition_range,
)
from segue.symbolic.data.tokenizer import TokenizerConfig
from segue.symbolic.grid import Grid, empty_notes, empty_tempos
from segue.symbolic.stream import parse, render
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    miditok = pytest.importorskip("miditok")
    config = miditok.TokenizerConfig(**TokenizerConfig().to_miditok())
    return Vocabulary.from_config(_plain(miditok.REMI(config).to_dict()["config"]))


def _plain(config: dict[str, object]) -> dict[str, object]:
    import json

    result: dict[str, object] = json.loads(json.dumps(config))
    return result


@pytest.fixture
def grid(vocabulary: Vocabulary) -> Grid:
    return encode_score(vocabulary, score_of(piece(0)))


def test_a_transposed_piece_is_the_same_piece_elsewhere(grid: Grid, vocabulary: Vocabulary) -> None:
    higher = transpose(grid, 3, vocabulary)
    drums = grid.notes["program"] == DRUM_PROGRAM
    assert drums.any()
    assert not drums.all()
    assert (higher.notes["pitch"] - grid.notes["pitch"] == np.where(drums, 0, 3)).all()
    for name in ("bar", "position", "track", "program", "velocity", "duration"):
        assert np.array_equal(higher.notes[name], grid.notes[name])
    back = transpose(higher, -3, vocabulary)
    assert np.array_equal(back.notes, grid.notes)


@pytest.mark.parametrize("semitones", [-200, 200])
def test_no_note_leaves_the_range(grid: Grid, vocabulary: Vocabulary, semitones: int) -> None:
    pitched = grid.notes["program"] != DRUM_PROGRAM
    pitches = transpose(grid, semitones, vocabulary).notes["pitch"][pitched]
    limit = vocabulary.pitch_range[semitones > 0]
    assert limit in (pitches.min(), pitches.max())
    assert render(vocabulary, transpose(grid, semitones, vocabulary)).ids.min() >= 0


def test_a_piece_of_drums_has_no_key(grid: Grid, vocabulary: Vocabulary) -> None:
    drums = grid.with_notes(grid.notes[grid.notes["program"] == DRUM_PROGRAM])
    assert transposition_range(drums, vocabulary) == (0, 0)
    assert transpose(drums, 5, vocabulary) is drums


def test_reordering_permutes_the_instruments_of_an_onset(
    grid: Grid, vocabulary: Vocabulary
) -> None:
    orders = set()
    for seed in range(20):
        other = reorder_tracks(grid, np.random.default_rng(seed))
        _, first = np.unique(other.notes["track"], return_index=True)
        orders.add(tuple(other.notes["program"][first].tolist()))
        fields = ["bar", "position", "program", "pitch", "velocity", "duration"]
        assert np.array_equal(np.sort(other.notes[fields]), np.sort(grid.notes[fields]))
        again = parse(vocabulary, render(vocabulary, other).ids)
        assert np.array_equal(again.notes[fields], other.notes[fields])
    assert len(orders) > 3


def test_little_is_left_as_it_is(vocabulary: Vocabulary) -> None:
    nothing = Grid(np.zeros(1, np.int32), empty_notes(), empty_tempos())
    assert reorder_tracks(nothing, np.random.default_rng(0)) is nothing
    assert transpose(nothing, 4, vocabulary) is nothing


def _without(grid: Grid, drums: bool) -> Grid:
    return grid.with_notes(grid.notes[(grid.notes["program"] == DRUM_PROGRAM) != drums])


def test_drums_of_another_piece_go_round_and_the_music_stays(grid: Grid) -> None:
    tune, beat = _without(grid, True), _without(grid, False).window(0, 3)
    both = add_drums(tune, beat, 1)
    new = both.notes["program"] == DRUM_PROGRAM
    assert np.array_equal(np.sort(both.notes[~new]), np.sort(tune.notes))
    fields = ["position", "pitch", "velocity", "duration"]
    for bar in range(both.num_bars):
        here = both.notes[new & (both.notes["bar"] == bar)][fields]
        there = beat.notes[beat.notes["bar"] == (bar + 1) % 3][fields]
        assert sorted(here.tolist()) == sorted(there.tolist())
    assert set(both.notes["track"][new]) == {tune.notes["track"].max() + 1}


def test_drums_of_another_metre_are_not_taken(grid: Grid) -> None:
    tune, beat = _without(grid, True), _without(grid, False)
    waltz = Grid(np.full_like(beat.signatures, beat.signatures[0] + 1), beat.notes, beat.tempos)
    assert add_drums(tune, waltz) is tune
    assert add_drums(tune, beat.with_notes(beat.notes[:0])) is tune


def test_flat_music_has_one_velocity(grid: Grid) -> None:
    notes = grid.notes.copy()
    notes["velocity"] = 9
    assert is_flat(grid.with_notes(notes))
    notes["velocity"][0] = 3
    assert not is_flat(grid.with_notes(notes))
