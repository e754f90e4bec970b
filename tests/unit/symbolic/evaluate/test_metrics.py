"""Every metric of a filled hole with an answer known beforehand."""

import math

import numpy as np
import pytest
from tests.passages import NOTHING, TUNE, passage

from segue.errors import DataError, SettingError
from segue.symbolic.evaluate import metrics
from segue.symbolic.evaluate.metrics import METRICS, Case, measure, measure_samples
from segue.symbolic.evaluate.passage import Passage

TWO_BARS = passage([0, 1, 4, 5], [60, 62, 64, 65], bars=2)
DRUMS = passage([0, 1, 2, 3], [36, 42, 38, 42], -1)
C_MAJOR = passage(np.arange(8) / 2, [60, 62, 64, 65, 67, 69, 71, 72])
PERFECT = {
    "note_precision": 1,
    "note_recall": 1,
    "note_f1": 1,
    "note_f1_sixteenth": 1,
    "pitch_f1": 1,
    "pitch_f1_sixteenth": 1,
    "onset_f1": 1,
    "onset_f1_sixteenth": 1,
    "chroma_similarity": 1,
    "groove_similarity": 1,
    "pitch_class_entropy_difference": 0,
    "onset_density_error": 0,
    "duration_distance": 0,
    "polyphony_difference": 0,
    "scale_share": 1,
    "grid_share": 1,
    "empty_bar_rate": 0,
    "missing_bar_rate": 0,
    "diversity": 0,
}


def test_the_original_is_perfect_in_every_metric() -> None:
    found = measure(Case(TUNE, TUNE, C_MAJOR, (TUNE, TUNE)))
    assert found == pytest.approx(PERFECT, abs=1e-12)
    assert set(found) == set(METRICS)


def test_silence_is_the_worst_in_every_metric_that_applies() -> None:
    found = measure(Case(NOTHING, TUNE, C_MAJOR, (NOTHING, NOTHING)))
    expected = dict.fromkeys(PERFECT, 0.0) | {
        "groove_similarity": 12 / 16,
        "pitch_class_entropy_difference": 2,
        "onset_density_error": 1,
        "duration_distance": 1,
        "polyphony_difference": 1,
        "empty_bar_rate": 1,
        "missing_bar_rate": 1,
    }
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("original", [NOTHING, TUNE, DRUMS])
@pytest.mark.parametrize("generated", [NOTHING, TUNE, DRUMS])
@pytest.mark.parametrize("around", [NOTHING, TUNE, DRUMS])
def test_every_function_gives_a_finite_number_for_any_passages(generated, original, around) -> None:
    case = Case(generated, original, around, (generated, original))
    for name, metric in METRICS.items():
        assert math.isfinite(metric.function(case)), name


@pytest.mark.parametrize("generated", [NOTHING, TUNE, DRUMS])
@pytest.mark.parametrize("original", [NOTHING, TUNE, DRUMS])
def test_what_applies_does_not_depend_on_what_was_generated(generated, original) -> None:
    reference = set(measure(Case(original, original, C_MAJOR)))
    assert set(measure(Case(generated, original, C_MAJOR))) == reference


def test_pitches_say_nothing_about_a_drum_part() -> None:
    left_out = {
        "chroma_similarity",
        "pitch_class_entropy_difference",
        "duration_distance",
        "polyphony_difference",
        "scale_share",
        "diversity",
    }
    assert set(METRICS) - set(measure(Case(DRUMS, DRUMS, C_MAJOR))) == left_out


def test_without_surroundings_key_and_grid_are_not_measured() -> None:
    assert {"scale_share", "grid_share"} & set(measure(Case(TUNE, TUNE))) == set()
    with pytest.raises(DataError, match="needs the surroundings"):
        METRICS["scale_share"].function(Case(TUNE, TUNE))


def test_an_octave_keeps_classes_and_loses_notes() -> None:
    higher = passage(TUNE.onsets, TUNE.pitches + 12)
    found = measure(Case(higher, TUNE, C_MAJOR))
    assert found["note_f1"] == found["pitch_f1"] == 0
    assert found["chroma_similarity"] == pytest.approx(1)
    assert found["pitch_class_entropy_difference"] == 0
    assert found["scale_share"] == 1


def test_chroma_is_a_cosine_for_each_bar() -> None:
    other = passage([0, 1, 4, 5], [60, 61, 54, 56], bars=2)
    # Bar 1: one class of two in common; bar 2: none.
    assert metrics.chroma_similarity(other, TWO_BARS) == pytest.approx((0.5 + 0) / 2)
    # A bar that is empty on one side counts 0, one that is empty on both is passed over.
    first_only = passage([0, 1], [60, 62], bars=2)
    assert metrics.chroma_similarity(first_only, TWO_BARS) == 0.5
    assert metrics.chroma_similarity(TWO_BARS, first_only) == 0.5
    alone = passage([0, 1], [72, 50], bars=2)
    assert metrics.chroma_similarity(alone, passage([0, 1], [60, 62], bars=2)) == pytest.approx(1)
    assert metrics.chroma_similarity(DRUMS, DRUMS) == 1
    assert metrics.chroma_similarity(DRUMS, TUNE) == 0


def test_groove_counts_sixteenths_of_each_bar() -> None:
    # Bar 1: both begin at 0, one more at 0.25 and another at 0.5: 2 of 16 differ. Bar 2: 1 of 16.
    one = passage([0, 0.25, 4], [60, 60, 60], bars=2)
    other = passage([0, 0.5], [72, 40], bars=2)
    assert metrics.groove_similarity(one, other) == pytest.approx(1 - (2 / 16 + 1 / 16) / 2)
    assert metrics.groove_similarity(NOTHING, NOTHING) == 1


def test_groove_of_three_four_has_twelve_sixteenths() -> None:
    one, other = (Passage.from_notes(onsets, 1, 60, bar_starts=[0, 3]) for onsets in ([0, 1], [0]))
    assert metrics.groove_similarity(one, other) == pytest.approx(1 - 1 / 12)


def test_groove_is_nothing_where_every_sixteenth_differs() -> None:
    odd, even = passage(np.arange(8) / 2, 60), passage(np.arange(8) / 2 + 0.25, 60)
    assert metrics.groove_similarity(odd, even) == 0


def test_entropy_of_known_histograms() -> None:
    assert metrics.pitch_class_entropy(TUNE) == 2
    assert metrics.pitch_class_entropy(passage([0, 1], [60, 72])) == 0
    three = passage([0, 1, 2, 3], [60, 60, 62, 64])
    assert metrics.pitch_class_entropy(three) == pytest.approx(1.5)
    assert metrics.pitch_class_entropy_difference(three, TUNE) == pytest.approx(0.5)
    assert metrics.pitch_class_entropy(DRUMS) == 0


def test_density_counts_moments_per_quarter_note() -> None:
    chords = passage([0, 0, 0, 2], [60, 64, 67, 60])
    assert metrics.onset_density(chords) == 0.5
    assert metrics.onset_density_error(chords, TUNE) == 0.5
    assert metrics.onset_density_error(NOTHING, TWO_BARS) == 0.5


def test_durations_are_moved_as_earth() -> None:
    short, long = passage([0, 1], 60, durations=[0.5, 1]), passage([0, 1], 60, durations=[1, 2])
    assert metrics.duration_distance(short, long) == pytest.approx((0.5 + 1) / 2)
    three = passage([0, 1, 2], 60, durations=[1, 1, 0.25])
    assert metrics.duration_distance(three, passage([0], 60, durations=1)) == pytest.approx(0.25)
    # A note that goes on behind the region is as long as what is left of the region.
    assert metrics.duration_distance(passage([3], 60, durations=9), passage([3], 60)) == 0
    assert metrics.duration_distance(NOTHING, long) == pytest.approx(1.5)
    drums_only = passage([0, 1], 36, -1, durations=[3, 1])
    assert metrics.duration_distance(drums_only, NOTHING) == 0


def test_polyphony_is_pitches_while_any_sounds() -> None:
    # C for two quarters, E for the second of them, then silence: (1 + 2) / 2.
    assert metrics.polyphony(passage([0, 1], [60, 64], durations=[2, 1])) == pytest.approx(1.5)
    # A long note goes on below two short ones: (3 + 0.5 + 1) / 3.
    pedal = passage([0, 0.5, 2], [48, 64, 67], durations=[3, 0.5, 1])
    assert metrics.polyphony(pedal) == pytest.approx(1.5)
    # The same pitch twice at once sounds once.
    assert metrics.polyphony(passage([0, 1], [60, 60], durations=[3, 1])) == 1
    assert metrics.polyphony(passage([0, 0, 3], [60, 64, 67], [0, 40, -1])) == 2
    assert metrics.polyphony(passage([3, 3], [60, 64], durations=[1, 99])) == 2
    chord = passage([0, 0, 0], [60, 64, 67])
    assert metrics.polyphony_difference(chord, TUNE) == 2
    assert metrics.polyphony_difference(NOTHING, chord) == 3


def test_the_scale_is_that_of_the_surroundings() -> None:
    assert metrics.scale_share(passage([0, 1, 2, 3], [60, 61, 62, 63]), C_MAJOR) == 0.5
    harmonic = passage(np.arange(7) / 2, [57, 59, 60, 62, 64, 65, 68])
    assert metrics.scale_share(passage([0, 1], [68, 67]), harmonic) == 0.5
    assert metrics.scale_share(NOTHING, C_MAJOR) == 0
    assert metrics.scale_share(DRUMS, C_MAJOR) == 0


def test_of_several_scales_as_good_the_mean_is_taken() -> None:
    # C, D, E: seven sharps or flats away F sharp is in two of the scales with all three, F in most.
    around = passage([0, 1, 2], [60, 62, 64])
    fitting = [scale for scale in metrics._SCALES if scale[[0, 2, 4]].all()]
    expected = np.mean([scale[6] for scale in fitting])
    assert 0 < expected < 1
    assert metrics.scale_share(passage([0], [66]), around) == pytest.approx(expected)


def test_there_are_24_scales_of_seven_notes() -> None:
    assert metrics._SCALES.shape == (24, 12)
    assert (metrics._SCALES.sum(axis=1) == 7).all()
    assert len(np.unique(metrics._SCALES, axis=0)) == 24


def test_the_grid_is_where_the_surroundings_begin_notes() -> None:
    eighths = passage(np.arange(8) / 2, 60)
    assert metrics.grid_share(passage([0, 0.5, 0.25, 1 / 3], 60), eighths) == 0.5
    assert metrics.grid_share(passage([1 / 3, 2 / 3], 60), passage(np.arange(12) / 3, 60)) == 1
    assert metrics.grid_share(NOTHING, eighths) == 0
    assert metrics.grid_share(TUNE, NOTHING) == 0


def test_a_single_slip_does_not_make_a_grid() -> None:
    onsets = [*np.arange(0, 100, 1.0), 0.25]
    around = passage(onsets, 60, bars=25)
    assert metrics.grid_share(passage([0, 0.25], 60), around) == 0.5
    often = passage([*np.arange(0, 100, 1.0), 0.25, 1.25, 2.25], 60, bars=25)
    assert metrics.grid_share(passage([0, 0.25], 60), often) == 1


def test_the_grid_counts_from_the_bar_line() -> None:
    lines = [0, 2.5, 5]
    around = Passage.from_notes([0, 1, 2.5, 3.5], 1, 60, bar_starts=lines)
    assert metrics.grid_share(Passage.from_notes([2.5], 1, 60, bar_starts=lines), around) == 1
    assert metrics.grid_share(Passage.from_notes([3], 1, 60, bar_starts=lines), around) == 0


def test_empty_bars() -> None:
    half = passage([1, 1.5], [60, 62], bars=4)
    full = passage([0, 4, 8], 60, bars=4)
    assert metrics.empty_bar_rate(half) == 0.75
    assert metrics.missing_bar_rate(half, full) == pytest.approx(2 / 3)
    assert metrics.missing_bar_rate(full, half) == 0
    assert metrics.missing_bar_rate(full, passage([], [], bars=4)) == 0


def test_diversity_is_the_mean_over_pairs() -> None:
    half = passage([0, 1, 2, 3], [60, 62, 70, 71])
    # Pairs: equal (0), and twice one half of the notes in common (0.5).
    assert metrics.diversity([TUNE, TUNE, half]) == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert metrics.diversity([NOTHING, NOTHING]) == 0
    assert metrics.diversity([NOTHING, TUNE]) == 1
    with pytest.raises(DataError, match="two samples of a hole; 1 were given"):
        metrics.diversity([TUNE])


def test_samples_are_averaged_and_compared() -> None:
    found = measure_samples([TUNE, NOTHING], TUNE, C_MAJOR)
    assert found["note_f1"] == 0.5
    assert found["empty_bar_rate"] == 0.5
    assert found["diversity"] == 1
    assert "diversity" not in measure_samples([TUNE], TUNE)
    with pytest.raises(DataError, match="no samples"):
        measure_samples([], TUNE)


def test_other_bars_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="same bars"):
        Case(TUNE, TWO_BARS)
    with pytest.raises(DataError, match="same bars"):
        Case(TUNE, Passage.from_notes([], [], [], bar_starts=[0, 3]))
    with pytest.raises(DataError, match="same bars"):
        Case(TUNE, TUNE, samples=(TUNE, TWO_BARS))


def test_an_unknown_metric_is_named() -> None:
    assert list(measure(Case(TUNE, TUNE), ["note_f1"])) == ["note_f1"]
    with pytest.raises(SettingError, match="no metric note_f2"):
        measure(Case(TUNE, TUNE), ["note_f2"])


def test_the_table_says_what_each_metric_means() -> None:
    for name, metric in METRICS.items():
        assert metric.direction in {"high", "low", None}, name
        assert metric.meaning
        assert metric.source
        assert metric.unit
