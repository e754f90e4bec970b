"""What must hold of every metric for any passages: ranges, symmetry, invariance."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.symbolic.evaluate.copying import copied_from_context
from segue.symbolic.evaluate.matching import note_scores, onset_scores
from segue.symbolic.evaluate.metrics import METRICS, Case
from segue.symbolic.evaluate.passage import Passage

LINES = [0.0, 4.0, 7.0, 10.0]
SHARES = [name for name, metric in METRICS.items() if metric.unit in {"share", "cosine"}]
SYMMETRIC = [
    "note_f1",
    "note_f1_sixteenth",
    "pitch_f1",
    "pitch_f1_sixteenth",
    "onset_f1",
    "onset_f1_sixteenth",
    "chroma_similarity",
    "groove_similarity",
    "pitch_class_entropy_difference",
    "onset_density_error",
    "duration_distance",
    "polyphony_difference",
]
DISTANCES = [
    "pitch_class_entropy_difference",
    "onset_density_error",
    "duration_distance",
    "polyphony_difference",
]


@st.composite
def passages(draw: st.DrawFn, *, least: int = 0, most: int = 24) -> Passage:
    count = draw(st.integers(least, most))

    def column(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    onsets = np.array(column(0, 12 * 10 - 1)) / 12
    durations = np.array(column(1, 60)) / 12
    programs = np.array([-1, 0, 0, 40])[column(0, 3)]
    return Passage.from_notes(
        onsets, durations, column(40, 80), programs=programs, bar_starts=LINES
    )


def transposed(passage: Passage, semitones: int) -> Passage:
    pitches = passage.pitches + np.where(passage.is_drum, 0, semitones)
    return Passage.from_notes(
        passage.onsets,
        passage.durations,
        pitches,
        programs=passage.programs,
        bar_starts=passage.bar_starts,
    )


def value(name: str, generated: Passage, original: Passage, around: Passage | None = None) -> float:
    return METRICS[name].function(
        Case(generated, original, around or original, (generated, original))
    )


@given(passages(), passages(), passages())
def test_shares_lie_between_0_and_1_and_all_are_finite(one, other, around) -> None:
    for name in METRICS:
        found = value(name, one, other, around)
        assert math.isfinite(found), name
        assert found >= 0, name
        if name in SHARES:
            assert found <= 1, name
    assert value("pitch_class_entropy_difference", one, other) <= math.log2(12) + 1e-12


@given(passages(), passages())
def test_what_compares_two_passages_does_so_in_either_order(one, other) -> None:
    for name in SYMMETRIC:
        assert value(name, one, other) == pytest.approx(value(name, other, one), abs=1e-12), name
    forth, back = note_scores(one, other), note_scores(other, one)
    assert (forth.precision, forth.recall) == (back.recall, back.precision)


@given(passages())
def test_a_passage_agrees_with_itself(passage) -> None:
    for name in SYMMETRIC:
        expected = 0 if name in DISTANCES else 1
        assert value(name, passage, passage) == pytest.approx(expected, abs=1e-12), name
    assert value("missing_bar_rate", passage, passage) == 0
    assert value("diversity", passage, passage) == 0


@given(passages(), passages(), passages())
def test_distances_keep_the_triangle_inequality(one, other, third) -> None:
    for name in DISTANCES:
        direct = value(name, one, third)
        assert direct <= value(name, one, other) + value(name, other, third) + 1e-9, name


@given(passages(), passages(), passages(), st.integers(-12, 12))
def test_the_key_does_not_matter(one, other, around, semitones) -> None:
    moved = [transposed(passage, semitones) for passage in (one, other, around)]
    for name in METRICS:
        before = value(name, one, other, around)
        assert value(name, *moved) == pytest.approx(before, abs=1e-9), name


@given(passages(), passages(), st.randoms(use_true_random=False))
def test_the_order_of_notes_does_not_matter(one, other, random) -> None:
    order = list(range(len(one)))
    random.shuffle(order)
    shuffled = Passage.from_notes(
        one.onsets[order],
        one.durations[order],
        one.pitches[order],
        programs=one.programs[order],
        bar_starts=LINES,
    )
    for name in METRICS:
        assert value(name, shuffled, other) == value(name, one, other), name


@given(passages(), passages())
def test_a_laxer_match_never_finds_less(one, other) -> None:
    exact = note_scores(one, other)
    assert note_scores(one, other, program=False).f1 >= exact.f1
    assert note_scores(one, other, tolerance_quarters=0.25).f1 >= exact.f1
    assert onset_scores(one, other, tolerance_quarters=0.25).f1 >= onset_scores(one, other).f1


@settings(max_examples=60)
@given(passages(most=6), passages(most=6))
def test_no_matching_is_larger(one, other) -> None:
    found = note_scores(one, other, tolerance_quarters=0.25).f1 * (len(one) + len(other)) / 2
    near = np.abs(one.onsets[:, None] - other.onsets) <= 0.25 + 1e-9
    near &= (one.pitches[:, None] == other.pitches) & (one.programs[:, None] == other.programs)
    if near.shape[0] > near.shape[1]:
        near = near.T
    best = max(
        (
            sum(near[i, j] for i, j in enumerate(chosen))
            for chosen in itertools.permutations(range(near.shape[1]), near.shape[0])
        ),
        default=0,
    )
    if len(one) and len(other):
        assert found == pytest.approx(best)


def runs_by_hand(one: Passage, other: Passage, transposed: bool) -> list[tuple[int, int]]:
    """Every (first note, length) of a run of a line of `one` that stands in a line of `other`."""

    def lines(passage: Passage) -> list[list[tuple[int, float, int]]]:
        rows = sorted(
            zip(
                passage.programs.tolist(),
                passage.onsets.tolist(),
                passage.pitches.tolist(),
                strict=True,
            )
        )
        return [
            [(pitch, round(onset * 24), program) for program, onset, pitch in group]
            for _, group in itertools.groupby(rows, key=lambda row: row[0])
        ]

    def shape(run: list[tuple[int, float, int]]) -> tuple:
        drum = run[0][2] < 0
        anchor = run[0][0] if transposed and not drum else 0
        return drum, tuple((pitch - anchor, onset - run[0][1]) for pitch, onset, _ in run)

    known = {
        shape(line[i:j])
        for line in lines(other)
        for i in range(len(line))
        for j in range(i + 1, len(line) + 1)
    }
    found, before = [], 0
    for line in lines(one):
        for i in range(len(line)):
            for j in range(i + 1, len(line) + 1):
                run = line[i:j]
                if len({pitch for pitch, _, _ in run}) >= 3 and shape(run) in known:
                    found.append((before + i, j - i))
        before += len(line)
    return found


@given(st.data(), st.booleans(), st.integers(3, 6))
def test_copied_runs_are_those_found_by_hand(data, transposed, length) -> None:
    context = data.draw(passages(most=14))
    fresh = data.draw(passages(most=8))
    taken = context.select(np.arange(len(context)) % 5 < 4)
    parts = [np.concatenate([getattr(p, f) for p in (taken, fresh)]) for f in ("onsets", "pitches")]
    programs = np.concatenate([taken.programs, fresh.programs])
    passage = Passage.from_notes(parts[0], 1, parts[1], programs=programs, bar_starts=LINES)
    runs = runs_by_hand(passage, context, transposed)
    covered = {
        note for first, size in runs if size >= length for note in range(first, first + size)
    }
    found = copied_from_context(passage, context, length=length, transposed=transposed)
    assert found.longest == max((size for _, size in runs), default=0)
    assert found.share == pytest.approx(len(covered) / max(len(passage), 1))


@given(passages(), passages(), st.integers(-12, 12))
def test_a_copy_is_one_in_every_key_and_all_of_a_passage_is_in_itself(
    one, other, semitones
) -> None:
    found = copied_from_context(one, other, length=4)
    assert copied_from_context(transposed(one, semitones), other, length=4) == found
    whole = copied_from_context(one, one, length=4)
    assert whole.longest >= found.longest
    assert whole.share >= found.share
