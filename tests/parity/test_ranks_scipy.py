"""Wilcoxon's test against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from segue.core.ranks import signed_rank


@pytest.mark.parametrize("seed", range(8))
def test_without_ties_as_the_exact_method(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1, 5 + 5 * seed)
    theirs = stats.wilcoxon(values, method="exact")
    assert signed_rank(values).p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_with_ties_and_zeros_as_all_permutations(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-2, 4, 11) / 2
    values = values[values != 0]
    theirs = stats.wilcoxon(values, method=stats.PermutationMethod(n_resamples=np.inf))
    assert signed_rank(values).p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_many_as_the_normal_approximation(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 4, 400).astype(float)
    theirs = stats.wilcoxon(values, method="asymptotic", correction=False)
    assert signed_rank(values).p_value == pytest.approx(theirs.pvalue, rel=1e-9)
