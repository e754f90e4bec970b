"""Variations keep the music: same intervals, same rhythm, same drums."""

import numpy as np
import pytest
from tests.corpora import piece, score_of

from segue.symbolic.codec import encode_score
from segue.symbolic.data.augment import reorder_tracks, transpose, transposition_range
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
