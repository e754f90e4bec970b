"""Whether labels are heard: planted clouds whose answer is known."""

import sys

import numpy as np
import pytest

from segue.audio.evaluate.adherence import Judge, mean_points, train_judge
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.errors import DataError, MissingExtraError

LABELS = ("drums", "piano", "rock")
DIMS, WINDOWS = 6, 3


def clouds(
    seed: int, *, count: int = 24, apart: float = 6.0, works: int = 8
) -> tuple[EmbeddedClips, dict[str, str], dict[str, str]]:
    """Clips of three labels around three centres: points, labels, works."""
    rng = np.random.default_rng(seed)
    vectors, groups, labels, work_of = [], [], {}, {}
    for number, label in enumerate(LABELS):
        for clip in range(count):
            name = f"{label}-{clip}"
            centre = apart * np.eye(DIMS)[number] + rng.normal(0, 0.5, DIMS)
            vectors.append(centre + rng.normal(0, 0.5, (WINDOWS, DIMS)))
            groups += [name] * WINDOWS
            labels[name], work_of[name] = label, f"{label}-work-{clip % works}"
    return EmbeddedClips(np.concatenate(vectors), np.array(groups), 3 * count), labels, work_of


@pytest.fixture(scope="module")
def judge() -> Judge:
    clips, labels, works = clouds(1)
    return train_judge(clips, labels, works=works)


def test_clouds_that_are_apart_are_told_apart(judge: Judge) -> None:
    assert judge.labels == LABELS
    for heard in (judge.real, judge.hear(*clouds(2)[:2])):
        assert heard.accuracy.mean == 1
        assert heard.rank.mean == 1
        assert heard.mean_recall == 1
        assert heard.recalls == dict.fromkeys(LABELS, 1.0)
        assert heard.confusion.tolist() == (24 * np.eye(3)).tolist()
        assert (heard.chance, heard.majority) == (1 / 3, pytest.approx(1 / 3))
        assert heard.verdict == "above chance"


def test_labels_that_mean_nothing_are_heard_as_often_as_chance() -> None:
    clips, labels, works = clouds(3, apart=0, count=80, works=80)
    found = train_judge(clips, labels, works=works).real
    assert found.accuracy.low < 1 / 3 < found.accuracy.high
    assert found.verdict == "as chance"
    assert found.rank.low < found.chance_rank == 2 < found.rank.high
    shuffled, labels, works = clouds(4, count=80, works=80)
    order = np.random.default_rng(0).permutation(list(labels.values()))
    found = train_judge(shuffled, dict(zip(labels, order, strict=True)), works=works).real
    assert found.verdict == "as chance"


def test_a_model_that_does_the_wrong_thing_is_below_chance(judge: Judge) -> None:
    clips, labels, _ = clouds(5)
    following = dict(zip(LABELS, [*LABELS[1:], LABELS[0]], strict=True))
    found = judge.hear(clips, {name: following[label] for name, label in labels.items()})
    assert found.accuracy.mean == 0
    assert found.verdict == "below chance"
    assert found.rank.mean >= 2
    assert found.confusion[LABELS.index("piano"), LABELS.index("drums")] == 24


def test_a_clip_is_not_judged_by_who_heard_its_work() -> None:
    """Works differ a lot and labels not at all: who has heard a work would know its label."""
    rng = np.random.default_rng(6)
    vectors, names, labels, works = [], [], {}, {}
    for work in range(40):
        centre = rng.normal(0, 5, DIMS)
        for clip in range(6):
            name = f"{work}-{clip}"
            vectors.append(centre + rng.normal(0, 0.1, DIMS))
            names.append(name)
            labels[name], works[name] = LABELS[work % 2], str(work)
    clips = EmbeddedClips(np.array(vectors), np.array(names), len(names))
    honest = train_judge(clips, labels, works=works).real
    assert honest.accuracy.low < 0.5 < honest.accuracy.high
    assert honest.accuracy.num_units == 40, "the interval is over works"
    assert train_judge(clips, labels).real.accuracy.mean > honest.accuracy.mean


def test_two_labels_and_half_right() -> None:
    clips, labels, works = clouds(7)
    two = {name: label for name, label in labels.items() if label != "rock"}
    judge = train_judge(clips, two, works=works)
    assert judge.real.accuracy.mean == 1
    assert judge.real.num_ignored == 24
    made, asked, _ = clouds(8)
    asked = dict.fromkeys(asked, "piano")
    heard = judge.hear(made.of([n for n in asked if "rock" not in n]), asked)
    assert heard.accuracy.mean == 0.5
    assert heard.recalls == {"piano": 0.5}
    assert heard.counts == {"drums": 0, "piano": 48}


def test_labels_with_too_little_are_left_out() -> None:
    clips, labels, works = clouds(9)
    few = {name: label for name, label in labels.items() if label != "rock" or int(name[5:]) < 7}
    judge = train_judge(clips, few, works=works)
    assert (judge.labels, judge.left_out) == (("drums", "piano"), ("rock",))
    one_work = works | {name: "one" for name in labels if "rock" in name}
    assert train_judge(clips, labels, works=one_work).left_out == ("rock",)
    with pytest.raises(DataError, match="two or more"):
        train_judge(clips, dict.fromkeys(labels, "rock"), works=works)
    with pytest.raises(DataError, match="drums, piano"):
        judge.hear(clips, dict.fromkeys(labels, "rock"))


def test_the_same_twice_and_in_any_order(judge: Judge) -> None:
    clips, labels, works = clouds(1, apart=1.0)
    first, second = (train_judge(clips, labels, works=works, seed=5) for _ in range(2))
    assert str(first) == str(second)
    order = np.random.default_rng(1).permutation(len(clips.groups))
    mixed = EmbeddedClips(clips.vectors[order], clips.groups[order], clips.num_clips)
    assert train_judge(mixed, labels, works=works, seed=5).real.accuracy == first.real.accuracy
    assert 1 / 3 < first.real.accuracy.mean < 1


def test_the_unit_is_the_mean_over_windows() -> None:
    clips = EmbeddedClips(np.array([[1.0], [5.0], [3.0]]), np.array(["b", "a", "b"]), 2)
    points, names = mean_points(clips)
    assert (points.tolist(), names) == ([[5], [2]], ["a", "b"])


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingExtraError, match=r"segue\[evaluate\]"):
        train_judge(*clouds(1)[:2])
