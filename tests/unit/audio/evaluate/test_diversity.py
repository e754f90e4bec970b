import json

import numpy as np
import pytest

from segue.audio.evaluate.distances import median_distance
from segue.audio.evaluate.diversity import diversity, mean_distance, recording_points, vendi_score
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.errors import DataError, SettingError


def cloud(seed, num=40, *, scale=1.0, shift=0.0, windows=1, modes=0):
    rng = np.random.default_rng(seed)
    points = scale * rng.normal(size=(num, 6)) + shift
    if modes:
        points = np.repeat(points[:modes], num // modes, axis=0)
    points = np.repeat(points, windows, axis=0)
    return EmbeddedClips(points, np.repeat([f"r{i}" for i in range(num)], windows), num)


def test_the_mean_distance_of_known_points():
    assert mean_distance(np.array([[0.0], [3.0], [7.0]])) == pytest.approx((3 + 7 + 4) / 3)
    assert mean_distance(np.ones((5, 2))) == 0
    with pytest.raises(DataError):
        mean_distance(np.ones((1, 2)))


@pytest.mark.parametrize("modes", [1, 3, 12])
def test_the_vendi_score_counts_points_that_differ(modes):
    far = 1000.0 * np.eye(12)[:modes]
    assert vendi_score(np.repeat(far, 4, axis=0), bandwidth=1.0) == pytest.approx(modes)


def test_the_vendi_score_does_not_move_with_the_cloud():
    points = cloud(0).vectors
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    score = vendi_score(points, bandwidth=2.0)
    assert vendi_score(points @ turn + 9, bandwidth=2.0) == pytest.approx(score)
    assert vendi_score(3 * points, bandwidth=6.0) == pytest.approx(score)
    with pytest.raises(SettingError):
        vendi_score(points, bandwidth=0)
    with pytest.raises(DataError):
        vendi_score(points[:0], bandwidth=1)


def test_the_same_distribution_has_a_ratio_of_one_wherever_it_lies():
    pairs = [(cloud(seed, 30, shift=50), cloud(seed + 99, 60)) for seed in range(40)]
    all_found = [diversity(*pair, num_draws=60) for pair in pairs]
    for ratios in ([f.distance_ratio for f in all_found], [f.vendi_ratio for f in all_found]):
        means = np.array([ratio.mean for ratio in ratios])
        assert abs(means.mean() - 1) < 3.5 * means.std() / np.sqrt(40)
        assert np.mean([ratio.low < 1 < ratio.high for ratio in ratios]) > 0.8
    found = all_found[0]
    assert (found.num_generated, found.num_real, found.num_compared) == (30, 60, 30)
    assert json.loads(json.dumps(found.to_dict()))["vendi"] == found.vendi


def test_identical_collections_have_exactly_one():
    found = diversity(cloud(1), cloud(1))
    assert found.distance_ratio.mean == 1
    assert found.vendi_ratio.mean == 1


def test_the_kernel_is_as_wide_as_half_the_distance_of_real_music():
    found = diversity(cloud(1), cloud(2))
    width = median_distance(cloud(2).vectors) / 2
    assert found.vendi == pytest.approx(vendi_score(cloud(1).vectors, bandwidth=width))
    assert found.real_vendi == pytest.approx(vendi_score(cloud(2).vectors, bandwidth=width))


def test_half_the_scale_is_half_the_distance():
    found = diversity(cloud(1, scale=0.5), cloud(1))
    assert found.distance_ratio.mean == pytest.approx(0.5)
    assert found.distance_ratio.high < 0.7
    assert found.vendi_ratio.high < 0.9


def test_a_collapsed_model_is_seen():
    found = diversity(cloud(1, modes=2), cloud(2))
    assert 1.5 < found.vendi <= 2 + 1e-9
    assert found.vendi_ratio.high < 0.5


def test_noise_is_more_diverse_than_music():
    assert diversity(cloud(1, scale=3), cloud(2)).distance_ratio.low > 1


def test_windows_of_a_recording_are_one_point():
    split = cloud(1, windows=3)
    np.testing.assert_allclose(recording_points(split), recording_points(cloud(1)))
    first, second = diversity(split, cloud(2)), diversity(cloud(1), cloud(2))
    assert first.distance_ratio.mean == pytest.approx(second.distance_ratio.mean)
    assert first.distance_ratio.num_units == second.distance_ratio.num_units == 40


def test_the_same_call_gives_the_same_numbers():
    one, two = diversity(cloud(1, 30), cloud(2)), diversity(cloud(1, 30), cloud(2))
    assert one == two
    assert one != diversity(cloud(1, 30), cloud(2), seed=1)


def test_too_few_recordings_are_said():
    with pytest.raises(DataError, match="4 recordings"):
        diversity(cloud(1, 3), cloud(2))
