"""Notes and onsets matched: known precision, recall and F1."""

import pytest
from tests.passages import NOTHING, TUNE, passage

from segue.symbolic.evaluate.matching import SIXTEENTH_QUARTERS, note_scores, onset_scores


def test_equal_passages_score_one_and_empty_ones_too() -> None:
    assert note_scores(TUNE, TUNE) == (1, 1, 1)
    assert note_scores(NOTHING, NOTHING) == (1, 1, 1)
    assert onset_scores(NOTHING, NOTHING) == (1, 1, 1)
    assert note_scores(TUNE, NOTHING) == (0, 0, 0)
    assert note_scores(NOTHING, TUNE) == (0, 0, 0)


def test_two_of_three_written_of_four_wanted() -> None:
    written = passage([0, 1, 2], [60, 62, 66])
    precision, recall, f1 = note_scores(written, TUNE)
    assert (precision, recall) == (2 / 3, 2 / 4)
    assert f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2), abs=1e-15)


def test_an_octave_higher_is_another_note_at_the_same_moment() -> None:
    higher = passage(TUNE.onsets, TUNE.pitches + 12)
    assert note_scores(higher, TUNE).f1 == 0
    assert onset_scores(higher, TUNE).f1 == 1


def test_another_program_matches_only_where_programs_do_not_count() -> None:
    violin = passage(TUNE.onsets, TUNE.pitches, 40)
    assert note_scores(violin, TUNE).f1 == 0
    assert note_scores(violin, TUNE, program=False).f1 == 1


def test_drums_match_drums_only() -> None:
    drums = passage(TUNE.onsets, TUNE.pitches, -1)
    assert note_scores(drums, TUNE, program=False).f1 == 0
    assert note_scores(drums, drums, program=False).f1 == 1


@pytest.mark.parametrize(("shift", "f1"), [(0.0, 1), (0.25, 1), (1 / 3, 0), (-0.25, 1)])
def test_a_sixteenth_is_the_largest_distance(shift, f1) -> None:
    one = passage([1.0], [60])
    other = passage([1.0 + shift], [60])
    assert note_scores(other, one, tolerance_quarters=SIXTEENTH_QUARTERS).f1 == f1
    assert onset_scores(other, one, tolerance_quarters=SIXTEENTH_QUARTERS).f1 == f1
    assert note_scores(other, one).f1 == (shift == 0)


def test_a_note_is_matched_once() -> None:
    twice = passage([0, 0.25, 2], [60, 60, 64])
    once = passage([0.25, 2], [60, 64])
    near = note_scores(twice, once, tolerance_quarters=SIXTEENTH_QUARTERS)
    assert (near.precision, near.recall) == (2 / 3, 1)
    doubled = passage([0, 0, 0], [60, 60, 60])
    assert note_scores(doubled, passage([0, 0], [60, 60])).precision == 2 / 3
    assert note_scores(passage([0, 0], [60, 60]), doubled).recall == 2 / 3


def test_matching_finds_as_many_as_can_be_matched() -> None:
    # Nearest first would marry 0.25 to 0.3 and leave two single.
    written, wanted = passage([0.25, 0.5], [60, 60]), passage([0.05, 0.3], [60, 60])
    assert note_scores(written, wanted, tolerance_quarters=SIXTEENTH_QUARTERS).f1 == 1


def test_chords_count_once_as_onsets() -> None:
    chords = passage([0, 0, 0, 2], [60, 64, 67, 60])
    assert onset_scores(passage([0, 2], [50, 52]), chords).f1 == 1
    assert onset_scores(passage([0, 1], [50, 52]), chords) == (0.5, 0.5, 0.5)


def test_thirds_of_a_beat_are_equal_however_they_were_computed() -> None:
    one, other = passage([1 / 3, 2 / 3], [60, 60]), passage([32 / 96, 1 - 1 / 3], [60, 60])
    assert note_scores(one, other).f1 == 1


def test_durations_do_not_matter() -> None:
    assert note_scores(passage(TUNE.onsets, TUNE.pitches, durations=0.1), TUNE).f1 == 1
