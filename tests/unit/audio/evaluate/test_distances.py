import numpy as np
import pytest

from segue.audio.evaluate.distances import (
    KernelComparison,
    frechet_distance,
    frechet_infinity,
    frechet_interval,
    kernel_floor,
    median_distance,
)
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.errors import DataError


def cloud(seed, num=100, dims=5, shift=0.0, windows=1, spread=0.0, prefix="r"):
    """Normal points; `windows` of each recording share an offset of size `spread`."""
    rng = np.random.default_rng(seed)
    offsets = np.repeat(rng.normal(size=(num, dims)) * spread, windows, axis=0)
    points = rng.normal(size=(num * windows, dims)) * np.sqrt(1 - spread**2) + offsets
    names = np.repeat([f"{prefix}{i}" for i in range(num)], windows)
    return EmbeddedClips(points + shift, names, num)


def gaussian_discrepancy(dims, bandwidth, shift):
    """Squared discrepancy of N(0, 1) and N(shift, 1) under the Gaussian kernel, times 1000."""
    wide = bandwidth**2 + 2
    size = (bandwidth**2 / wide) ** (dims / 2)
    return 2000 * size * (1 - np.exp(-dims * shift**2 / (2 * wide)))


def test_the_bandwidth_is_the_median_distance():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert median_distance(points) == pytest.approx(np.median([1, 3, 7, 2, 6, 4]))
    with pytest.raises(DataError, match="too alike"):
        median_distance(np.ones((5, 2)))


def test_a_window_per_recording_is_the_unbiased_estimate_of_the_paper():
    first, second = cloud(0, 40), cloud(1, 30, shift=0.5, prefix="g")
    width = median_distance(first.vectors)

    def kernel(one, two):
        distances = ((one[:, None] - two[None]) ** 2).sum(-1)
        return np.exp(-distances / (2 * width**2))

    xx, yy, xy = (
        kernel(*pair)
        for pair in (
            (first.vectors, first.vectors),
            (second.vectors, second.vectors),
            (first.vectors, second.vectors),
        )
    )
    expected = (xx.sum() - 40) / (40 * 39) + (yy.sum() - 30) / (30 * 29) - 2 * xy.mean()
    assert KernelComparison(first).distance(second) == pytest.approx(1000 * expected)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_known_gaussians_have_their_known_distance_on_average(shift):
    found = [
        KernelComparison(cloud(seed), bandwidth=3.0).distance(
            cloud(seed + 1000, 50, shift=shift, prefix="g")
        )
        for seed in range(30)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - gaussian_discrepancy(5, 3.0, shift)) < 3.5 * error


def test_windows_of_one_recording_do_not_make_the_distance_larger():
    pairs = [
        (
            cloud(seed, 20, windows=8, spread=0.9),
            cloud(seed + 99, 20, windows=8, spread=0.9, prefix="g"),
        )
        for seed in range(40)
    ]
    grouped = [KernelComparison(a, bandwidth=3.0).distance(b) for a, b in pairs]
    loose = [
        KernelComparison(singly(a, "a"), bandwidth=3.0).distance(singly(b, "b")) for a, b in pairs
    ]
    assert abs(np.mean(grouped)) < 3.5 * np.std(grouped) / np.sqrt(len(grouped))
    assert np.mean(loose) > 10 * abs(np.mean(grouped))


def singly(clips, prefix):
    names = np.array([f"{prefix}{i}" for i in range(len(clips.vectors))])
    return EmbeddedClips(clips.vectors, names, len(names))


def test_a_collection_is_at_zero_from_itself_when_recordings_are_known_to_be_the_same():
    clips = cloud(0, 30, windows=4, spread=0.8)
    comparison = KernelComparison(clips)
    interval = comparison.interval(clips, np.random.default_rng(0), num_draws=50)
    assert comparison.distance(clips) == pytest.approx(0, abs=1e-9)
    assert interval.low == pytest.approx(0, abs=1e-9) == interval.high


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth = gaussian_discrepancy(5, 3.0, 0.5)
    held = 0
    for seed in range(60):
        comparison = KernelComparison(cloud(seed, 60), bandwidth=3.0)
        other = cloud(seed + 500, 60, shift=0.5, prefix="g")
        interval = comparison.interval(other, np.random.default_rng(seed), num_draws=200)
        held += interval.low <= truth <= interval.high
    assert 50 <= held <= 60


def test_a_difference_is_judged_more_sharply_than_by_two_intervals():
    rng = np.random.default_rng(0)
    comparison = KernelComparison(cloud(0, 80))
    near, far = cloud(1, 80, shift=0.5, prefix="g"), cloud(1, 80, shift=0.7, prefix="g")
    one, two = comparison.interval(near, rng), comparison.interval(far, rng)
    between = comparison.difference(far, near, rng)
    assert between.mean == pytest.approx(two.mean - one.mean)
    assert between.low > 0
    assert between.high - between.low < 0.8 * (two.high - two.low)


def test_the_floor_is_about_zero_and_below_what_differs():
    reference = cloud(0, 60, windows=3, spread=0.7)
    floor = kernel_floor(reference, np.random.default_rng(0))
    assert abs(floor.mean) < 0.5 * floor.high
    assert floor.num_recordings == 30
    shifted = cloud(1, 60, windows=3, spread=0.7, shift=1.0, prefix="g")
    assert KernelComparison(reference).distance(shifted) > 5 * floor.high


def test_the_frechet_distance_of_known_gaussians():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(40_000, 3)) * [1.0, 2.0, 0.5]
    second = rng.normal(size=(40_000, 3)) * [2.0, 2.0, 1.5] + [1.0, 0.0, 0.0]
    expected = 1.0 + (2 - 1) ** 2 + 0 + (1.5 - 0.5) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=0.02)


def test_the_frechet_distance_knows_the_same_points_a_shift_and_a_turn():
    rng = np.random.default_rng(0)
    for num in (4, 30):
        points = rng.normal(size=(num, 10))
        assert frechet_distance(points, points) == pytest.approx(0, abs=1e-9)
        assert frechet_distance(points, points + 2) == pytest.approx(40)
        turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
        other = rng.normal(size=(7, 10))
        turned = frechet_distance(points @ turn, other @ turn)
        assert frechet_distance(points, other) == pytest.approx(turned)
        assert frechet_distance(other, points) == pytest.approx(turned)


def test_extrapolation_takes_most_of_the_bias_of_few_points_away():
    reference = cloud(0, 4000, dims=20)
    other = cloud(1, 150, dims=20, prefix="g")
    plain = frechet_distance(reference.vectors, other.vectors)
    found = frechet_infinity(reference, other, np.random.default_rng(0))
    assert plain > 0.4
    assert abs(found.value) < 0.25 * plain
    assert found.r2 > 0.9
    assert found.largest == 150


def test_a_frechet_interval_lies_about_the_value():
    first, second = cloud(0, 100), cloud(1, 100, shift=1.0, prefix="g")
    interval = frechet_interval(first, second, np.random.default_rng(0))
    assert interval.mean == frechet_distance(first.vectors, second.vectors)
    assert interval.low < interval.mean < interval.high


def test_too_little_to_compare_is_an_error():
    rng = np.random.default_rng(0)
    few = cloud(0, 3)
    for call in (
        lambda: kernel_floor(few, rng),
        lambda: frechet_infinity(few, few, rng),
        lambda: frechet_interval(few, few, rng),
        lambda: KernelComparison(few).distance(cloud(1, 1)),
        lambda: KernelComparison(cloud(1, 1, windows=4)),
        lambda: frechet_distance(few.vectors, few.vectors[:1]),
        lambda: frechet_distance(few.vectors, few.vectors[:, :2]),
    ):
        with pytest.raises(DataError):
            call()
