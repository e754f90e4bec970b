import io

import numpy as np
import pytest
import soundfile
from tests.evaluation import PROGRAMS, WORDS, meters_of, music, notes_of, pieces

from segue.symbolic.codec import encode_score
from segue.symbolic.evaluate.excerpts import BARS_AROUND, RATE_HZ, excerpt
from segue.symbolic.evaluate.infilling import original_notes
from segue.symbolic.evaluate.regions import TASKS, Region, draw_regions
from segue.symbolic.evaluate.scores import piece_of, programs_of, score_of
from segue.symbolic.grid import Grid, empty_tempos
from segue.symbolic.prompt import Hole
from segue.symbolic.score import Piece

PIECES = pieces(5)
GRIDS = {piece.sha256: piece.load() for piece in PIECES}
REGIONS = {task: draw_regions(PIECES, WORDS, tasks=[task], per_task=1)[0] for task in TASKS}


def bounds(region):
    """The bars that an excerpt shows."""
    grid, span = GRIDS[region.sha256], region.span
    behind = 0 if region.task == "continuation" else BARS_AROUND
    return max(0, span.first_bar - BARS_AROUND), min(grid.num_bars, span.end_bar + behind)


@pytest.mark.parametrize("task", TASKS)
def test_an_excerpt_is_the_region_with_two_bars_on_either_side(task):
    region = REGIONS[task]
    grid, (first, end) = GRIDS[region.sha256], bounds(region)
    original = excerpt(WORDS, grid, region, None)
    again = excerpt(WORDS, grid, region, original_notes(grid, region))
    assert original.midi() == again.midi()
    shown = grid.window(first, end)
    assert len(original.piece.notes) == len(shown.notes)
    assert len(shown.notes) - len(original.outside.notes) == len(original_notes(grid, region))
    heard = encode_score(WORDS, score_of(WORDS, shown))
    assert sorted(original.piece.notes["pitch"].tolist()) == sorted(heard.notes["pitch"].tolist())


def test_a_filling_stands_where_the_original_stood():
    region = REGIONS["four_bars"]
    grid, (first, _) = GRIDS[region.sha256], bounds(region)
    filling = notes_of([(region.span.first_bar, 0, 0, 100), (region.span.first_bar, 12, 40, 101)])
    found = excerpt(WORDS, grid, region, filling)
    assert found.midi() != excerpt(WORDS, grid, region, None).midi()
    outside = excerpt(WORDS, grid, region, None).outside
    assert found.outside.to_bytes() == outside.to_bytes()
    notes = found.piece.notes
    assert len(notes) == len(outside.notes) + 2
    (low,) = notes["onset_ticks"][notes["pitch"] == 100]
    starts = grid.bar_starts(WORDS)
    assert low == starts[region.span.first_bar] - starts[first]


def test_the_tempo_in_force_is_kept():
    grid = music(0, silent=0)
    piece = excerpt(
        WORDS, grid, Region("one_bar", "p", "s", "g", (Hole(20, 21, (0,)),)), None
    ).piece
    bar_s = 4 * 60 / WORDS.tempos[14]
    assert piece.length_seconds == pytest.approx(5 * bar_s, rel=0.03)


def test_a_region_at_the_end_is_shown_to_the_end():
    grid = music(1, silent=0)
    region = Region("one_bar", "p", "s", "g", (Hole(23, 24, (0,)),))
    assert len(excerpt(WORDS, grid, region, None).piece.notes) == len(grid.window(21, 24).notes)


def test_every_instrument_has_its_track_also_where_it_is_silent():
    rows = [(bar, 0, 0, 60) for bar in range(5)] + [(2, 0, 40, 80)]
    grid = Grid.build(meters_of((5, 4, 4)), notes_of(rows), empty_tempos(1))
    region = Region("four_bars", "p", "s", "g", (Hole(2, 3, (0, 40)),))
    whole = excerpt(WORDS, grid, region, None)
    empty = excerpt(WORDS, grid, region, grid.notes[:0])
    for piece in (whole.piece, whole.outside, empty.piece, empty.outside):
        assert len(piece.tracks) == 2
    assert programs_of(music(0)) == list(PROGRAMS)


def test_an_excerpt_can_be_seen():
    region = REGIONS["one_bar"]
    grid = GRIDS[region.sha256]
    pictures = {
        excerpt(WORDS, grid, region, notes).picture() for notes in (None, None, grid.notes[:0])
    }
    assert len(pictures) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_an_excerpt_can_be_heard(tmp_path):
    region = REGIONS["one_bar"]
    found = excerpt(WORDS, GRIDS[region.sha256], region, None)
    sound = found.kept_sound(tmp_path)
    samples, rate_hz = soundfile.read(io.BytesIO(sound), always_2d=True)
    assert rate_hz == RATE_HZ
    assert samples.shape[1] == 1
    assert np.abs(samples).max() > 0.05
    assert len(samples) / rate_hz == pytest.approx(found.piece.length_seconds + 1, abs=0.3)
    assert found.kept_sound(tmp_path) == sound
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_silent_gives_no_sound(tmp_path):
    rows = [(2, 12 * beat, 0, 60) for beat in range(4)]
    grid = Grid.build(meters_of((5, 4, 4)), notes_of(rows), empty_tempos(1))
    region = Region("one_bar", "p", "s", "g", (Hole(2, 3, (0,)),))
    assert excerpt(WORDS, grid, region, grid.notes[:0]).kept_sound(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_piece_of_a_grid_has_its_name_and_opens_again():
    piece = piece_of(WORDS, music(2), name="Études")
    assert piece.name == "Études"
    assert len(Piece.from_bytes(piece.to_bytes()).notes) == len(music(2).notes)
