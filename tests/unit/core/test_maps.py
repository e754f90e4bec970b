"""Planted classes separate, random halves do not, and the same call gives the same map."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.core.maps import embedding_map, label_agreement
from segue.errors import DataError, MissingExtraError, SettingError


def blobs(distance: float, *, count: int = 60, seed: int = 0) -> NDArray[np.float64]:
    """Two clouds of `count` points each; the first points are the first cloud."""
    rows = np.random.default_rng(seed).normal(size=(2 * count, 8))
    rows[:count, 0] += distance
    return rows


def test_two_clouds_separate_and_halves_of_one_do_not() -> None:
    labels = ["left"] * 60 + ["right"] * 60
    found = embedding_map(blobs(30), labels, perplexity=15)
    assert found.agreement.value > 0.99
    assert found.agreement.p_value < 0.01
    assert found.agreement.chance == pytest.approx(0.5, abs=0.03)
    assert abs(found.control.value - found.control.chance) < 0.08
    assert found.control.p_value > 0.02
    assert found.trustworthiness > 0.8
    sides = found.points[:60], found.points[60:]
    gap = np.linalg.norm(sides[0].mean(axis=0) - sides[1].mean(axis=0))
    assert gap > 2 * max(side.std() for side in sides)


def test_one_cloud_with_two_names_does_not_separate() -> None:
    found = label_agreement(blobs(0, count=200), ["a"] * 200 + ["b"] * 200)
    assert found.low - 0.02 <= found.value <= found.high + 0.02


def test_chance_knows_the_sizes_of_the_classes() -> None:
    found = label_agreement(blobs(0, count=100), ["rare"] * 20 + ["common"] * 180)
    assert found.chance == pytest.approx(0.1**2 + 0.9**2, abs=0.01)


def test_the_control_is_the_largest_class_in_halves() -> None:
    labels = ["small"] * 30 + ["large"] * 90
    halves = embedding_map(blobs(5), labels, perplexity=10).halves
    assert not halves[:30].any()
    assert sorted(Counter(halves[30:].tolist()).items()) == [(1, 45), (2, 45)]


def test_the_caption_names_the_class_that_was_dealt() -> None:
    halved = embedding_map(blobs(5), ["b"] * 60 + ["a"] * 60, perplexity=10)
    assert set(np.array(halved.labels)[halved.halves > 0]) == {"a"}
    assert "two random halves of 'a'" in halved.caption()
    rare = embedding_map(blobs(5), [f"c{n % 12}" for n in range(120)], perplexity=10)
    assert "two random halves of all points" in rare.caption()


def test_the_same_call_gives_the_same_map_and_another_seed_another() -> None:
    labels = ["a", "b"] * 60
    first, again, other = (
        embedding_map(blobs(3), labels, perplexity=10, seed=s) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.halves, again.halves)
    assert first.agreement == again.agreement
    assert first.caption() == again.caption()
    assert (first.halves != other.halves).any()


def test_what_makes_no_map_is_said() -> None:
    with pytest.raises(SettingError, match="points"):
        embedding_map(blobs(1, count=10), ["a"] * 20)
    with pytest.raises(SettingError, match="one label"):
        embedding_map(blobs(1), ["a"] * 5)
    with pytest.raises(SettingError, match="perplexity 500"):
        embedding_map(blobs(1), ["a"] * 120, perplexity=500)
    with pytest.raises(DataError, match="equal"):
        embedding_map(np.ones((120, 4)), ["a"] * 120)
    with pytest.raises(DataError, match="finite"):
        embedding_map(np.full((120, 4), np.nan), ["a"] * 120)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.manifold", None)
    with pytest.raises(MissingExtraError, match=r"segue\[evaluate\]"):
        embedding_map(blobs(1), ["a"] * 120)


def frames(seed: int = 0) -> tuple[NDArray[np.float64], list[str]]:
    """Twenty groups of ten points each, every group a tight cloud of its own."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(20, 8)), 10, axis=0)
    groups = [f"g{number // 10}" for number in range(200)]
    return centres + 0.01 * rng.normal(size=(200, 8)), groups


def test_points_of_one_group_are_no_evidence_for_a_label() -> None:
    rows, groups = frames()
    labels = [("a", "b")[int(group[1:]) % 2] for group in groups]
    assert label_agreement(rows, labels).value > 0.85
    apart = label_agreement(rows, labels, groups=groups)
    assert apart.low - 0.05 <= apart.value <= apart.high + 0.05


def test_groups_are_dealt_whole() -> None:
    rows, groups = frames()
    halves = embedding_map(rows, ["a"] * 200, groups=groups, perplexity=10).halves
    assert {len(set(halves[i : i + 10].tolist())) for i in range(0, 200, 10)} == {1}
    assert sorted(Counter(halves.tolist()).items()) == [(1, 100), (2, 100)]


def test_a_group_has_one_label() -> None:
    rows, groups = frames()
    with pytest.raises(SettingError, match="different labels"):
        label_agreement(rows, ["a", "b"] * 100, groups=groups)
