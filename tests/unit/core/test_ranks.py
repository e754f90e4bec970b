"""Wilcoxon's test and Holm's correction, against what can be counted by hand."""

import itertools

import numpy as np
import pytest

from segue.core.ranks import holm, signed_rank
from segue.errors import DataError


def by_counting(values: list[float]) -> float:
    """The p-value from writing out every choice of signs."""
    sizes = np.abs([value for value in values if value])
    ranks = np.array([(sizes < size).sum() + ((sizes == size).sum() + 1) / 2 for size in sizes])
    observed = sum(
        rank for rank, value in zip(ranks, filter(None, values), strict=True) if value > 0
    )
    sums = [ranks @ signs for signs in itertools.product((0, 1), repeat=len(ranks))]
    tail = min(np.mean([s <= observed for s in sums]), np.mean([s >= observed for s in sums]))
    return float(min(1, 2 * tail))


@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [1, 2, 3, 4, 5],
        [1, -2, 3, -4, 5, 6],
        [1, 1, 1, 1, -1],
        [0.5, 0.5, -1, 1, 1, 0, 0, -0.5],
        [-1, -1, 0],
        [0.25, -0.75, 0.75, 1, 1, 1, 1, -0.25, 0.5],
    ],
)
def test_the_chance_is_that_of_all_signs(values: list[float]) -> None:
    result = signed_rank(values)
    assert result.exact
    assert result.num_units == sum(value != 0 for value in values)
    assert result.p_value == pytest.approx(by_counting(values), abs=1e-12)
    assert signed_rank([-value for value in values]).p_value == pytest.approx(result.p_value)


def test_five_wins_of_five() -> None:
    result = signed_rank([1, 1, 1, 1, 1])
    assert (result.statistic, result.p_value) == (15, 2 / 32)


@pytest.mark.parametrize("values", [[], [0.0, 0.0]])
def test_nothing_to_compare_is_no_evidence(values: list[float]) -> None:
    assert signed_rank(values) == signed_rank([0])
    assert signed_rank(values).p_value == 1


def test_many_units_are_near_the_exact_value(rng: np.random.Generator) -> None:
    values = rng.integers(-3, 5, 150).astype(float)
    exact, near = signed_rank(values), signed_rank(values, most_exact=0)
    assert (exact.exact, near.exact) == (True, False)
    assert near.p_value == pytest.approx(exact.p_value, rel=0.1)


@pytest.mark.parametrize("values", [[float("nan")], [[1.0]], [float("inf")]])
def test_what_is_no_list_of_numbers(values: list[float]) -> None:
    with pytest.raises(DataError, match="one list of finite numbers"):
        signed_rank(values)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
