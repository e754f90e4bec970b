import numpy as np
import pytest
from scipy import linalg, stats

from segue.audio.evaluate.diversity import mean_distance, vendi_score
from segue.audio.evaluate.reference import ReferenceStatistics, frechet_to_statistics
from segue.audio.evaluate.sliced import directions, sliced_wasserstein


@pytest.mark.parametrize(("one", "two"), [(40, 40), (40, 61), (7, 300), (1, 5)])
def test_in_one_dimension_it_is_scipys_wasserstein_distance(one, two):
    rng = np.random.default_rng(one)
    first, second = rng.normal(size=(one, 1)), rng.exponential(size=(two, 1))
    expected = stats.wasserstein_distance(first[:, 0], second[:, 0])
    assert sliced_wasserstein(first, second) == pytest.approx(expected, rel=1e-12)


def test_in_more_it_is_the_mean_of_scipys_over_the_directions():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 6)), rng.normal(0.2, 1.5, size=(80, 6))
    axes = directions(6, 20, seed=3)
    each = [stats.wasserstein_distance(first @ axis, second @ axis) for axis in axes]
    found = sliced_wasserstein(first, second, num_directions=20, seed=3)
    assert found == pytest.approx(np.mean(each), rel=1e-12)


def test_distance_from_statistics_is_that_of_scipys_matrix_square_root():
    rng = np.random.default_rng(1)
    first = rng.normal(size=(90, 8)) @ rng.normal(size=(8, 8))
    second = rng.normal(0.5, 2, size=(60, 8))
    one, two = np.cov(first.T), np.cov(second.T)
    shift = ((first.mean(0) - second.mean(0)) ** 2).sum()
    expected = shift + np.trace(one + two - 2 * np.real(linalg.sqrtm(one @ two)))
    found = frechet_to_statistics(
        ReferenceStatistics.of("a", "x", first), ReferenceStatistics.of("b", "x", second)
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_mean_distance_is_scipys():
    from scipy.spatial.distance import pdist

    points = np.random.default_rng(2).normal(5, 1, size=(30, 4))
    assert mean_distance(points) == pytest.approx(pdist(points).mean())


def test_the_vendi_score_is_the_exponential_of_scipys_entropy():
    from scipy.spatial.distance import cdist

    points = np.random.default_rng(3).normal(size=(25, 3))
    kernel = np.exp(-0.5 * cdist(points, points, "sqeuclidean") / 1.5**2)
    values = np.maximum(linalg.eigvalsh(kernel / 25), 0)
    expected = np.exp(stats.entropy(values / values.sum()))
    assert vendi_score(points, bandwidth=1.5) == pytest.approx(expected, rel=1e-6)
