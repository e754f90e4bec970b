"""Splits never cut a group, and depend on the group's name and the seed alone."""

from collections import Counter

import pytest
from pydantic import ValidationError

from segue.core.split import SplitSettings, split_of, split_pieces

SETTINGS = SplitSettings(valid_share=0.1, test_share=0.05)


def test_shares_are_kept_about() -> None:
    groups = [f"group-{n}" for n in range(4000)]
    counts = Counter(split_pieces(groups, [100] * 4000, SETTINGS, seed=0))
    assert 330 < counts["valid"] < 470
    assert 150 < counts["test"] < 250


def test_a_group_is_never_cut() -> None:
    groups = [f"group-{n % 97}" for n in range(1000)]
    splits = split_pieces(groups, [100] * 1000, SETTINGS, seed=3)
    assert len(set(zip(groups, splits, strict=True))) == 97
    assert len(set(splits)) == 3


def test_what_else_is_there_does_not_matter() -> None:
    groups = [f"group-{n}" for n in range(500)]
    before = dict(zip(groups, split_pieces(groups, [9] * 500, SETTINGS, seed=1), strict=True))
    after = dict(
        zip(groups[::2], split_pieces(groups[::2], [9] * 250, SETTINGS, seed=1), strict=True)
    )
    assert all(before[group] == split for group, split in after.items())
    assert all(split_of(group, SETTINGS, seed=1) == split for group, split in before.items())


def test_the_seed_matters() -> None:
    groups = [f"group-{n}" for n in range(500)]
    first, second = (split_pieces(groups, [9] * 500, SETTINGS, seed=seed) for seed in (1, 2))
    assert first != second


def test_a_large_group_is_learned_from() -> None:
    groups = [f"group-{n}" for n in range(300)]
    seed = next(s for s in range(200) if split_of("group-0", SETTINGS, seed=s) == "valid")
    sizes = [1000, *[10] * 299]
    assert split_pieces(groups, [10] * 300, SETTINGS, seed=seed)[0] == "valid"
    assert split_pieces(groups, sizes, SETTINGS, seed=seed)[0] == "train"


@pytest.mark.parametrize("count", [2, 3, 10])
def test_a_small_corpus_has_something_in_every_split(count: int) -> None:
    groups = [f"group-{n}" for n in range(count)]
    for seed in range(20):
        counts = Counter(split_pieces(groups, [10] * count, SETTINGS, seed=seed))
        assert counts["train"] >= 1
        assert counts["valid"] >= 1
        assert count == 2 or counts["test"] >= 1


def test_one_group_is_learned_from() -> None:
    greedy = SplitSettings(valid_share=0.9)
    assert {*split_pieces(["g"] * 3, [1] * 3, greedy, seed=0)} == {"train"}
    assert split_pieces([], [], SETTINGS, seed=0) == []


def test_nothing_is_kept_back_where_nothing_is_asked() -> None:
    none = SplitSettings(valid_share=0, test_share=0)
    assert {*split_pieces([str(n) for n in range(50)], [1] * 50, none, seed=0)} == {"train"}


def test_shares_must_leave_something() -> None:
    with pytest.raises(ValidationError, match="leave nothing to learn from"):
        SplitSettings(valid_share=0.6, test_share=0.4)
