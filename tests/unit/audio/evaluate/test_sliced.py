"""Known Gaussians have their known sliced distance; halves of one cloud have the floor's."""

import math

import numpy as np
import pytest

from segue.audio.evaluate.sliced import directions, sliced_report, sliced_wasserstein
from segue.audio.latents import LatentSpec
from segue.errors import DataError, SettingError


def clips(seed, count, *, channels=4, frames=60, shift=0.0, spread=0.0):
    """Normal latents; each clip has an offset of its own of size `spread`."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(size=(count, channels, 1)) * spread
    noise = rng.normal(size=(count, channels, frames)) * np.sqrt(1 - spread**2)
    return list((offsets + noise + shift).astype(np.float32))


def test_directions_are_unit_vectors_spread_evenly():
    axes = directions(3, 5000)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    np.testing.assert_allclose(axes.T @ axes / 5000, np.eye(3) / 3, atol=0.02)
    with pytest.raises(SettingError):
        directions(0, 5)


def test_identical_sets_have_no_distance_and_sides_can_be_swapped():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 6)), rng.normal(0.3, 1, size=(70, 6))
    assert sliced_wasserstein(first, first) == 0
    assert sliced_wasserstein(first, rng.permutation(first)) == pytest.approx(0, abs=1e-12)
    there, back = sliced_wasserstein(first, second), sliced_wasserstein(second, first)
    assert there == pytest.approx(back, rel=1e-12)
    assert there > 0


@pytest.mark.parametrize("channels", [1, 2, 16])
def test_a_shifted_gaussian_has_the_distance_of_the_closed_form(channels):
    shift = np.full(channels, 3.0)
    rng = np.random.default_rng(1)
    first = rng.normal(size=(700, channels))
    second = rng.normal(size=(500, channels)) + shift
    mean = math.gamma(channels / 2) / math.sqrt(math.pi) / math.gamma((channels + 1) / 2)
    expected = np.linalg.norm(shift) * mean
    assert sliced_wasserstein(first, second, num_directions=600) == pytest.approx(expected, 0.08)


def test_scale_and_turning():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(200, 3)), rng.normal(1, 2, size=(150, 3))
    plain = sliced_wasserstein(first, second, num_directions=500)
    assert sliced_wasserstein(5 * first, 5 * second, num_directions=500) == pytest.approx(5 * plain)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = sliced_wasserstein(first @ turn, second @ turn, num_directions=500)
    assert turned == pytest.approx(plain, rel=0.06)
    repeated = sliced_wasserstein(np.repeat(first, 3, axis=0), second, num_directions=500)
    assert repeated == pytest.approx(plain, rel=1e-9)


def test_the_report_tells_real_from_shifted_and_is_the_same_twice():
    real = clips(0, 40, spread=0.5)
    same = sliced_report(real, clips(1, 30, spread=0.5))
    other = sliced_report(real, clips(1, 30, spread=0.5, shift=1.0))
    assert same.at_floor < same.floor.high
    assert same.distance.low < same.distance.mean < same.distance.high
    assert other.at_floor > 2 * other.floor.high
    assert other.distance.low > same.distance.high
    assert (same.num_clips, same.num_reference, same.floor.num_recordings) == (30, 40, 15)
    assert sliced_report(real, clips(1, 30, spread=0.5)) == same
    assert sliced_report(real, clips(1, 30, spread=0.5), seed=1) != same


def test_the_floor_is_the_distance_of_halves():
    real = clips(3, 20, frames=80, spread=0.7)
    found = sliced_report(real, clips(4, 20, frames=80, spread=0.7), num_draws=200)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(25):
        order = rng.permutation(20)
        halves = [np.concatenate([real[i].T for i in part]) for part in np.split(order, 2)]
        values.append(sliced_wasserstein(*halves))
    assert found.floor.mean == pytest.approx(np.mean(values), rel=0.1)


def test_matched_sides_have_as_many_clips():
    """Four clips of every real recording, and made clips that are of none."""
    real, made = (clips(seed, 80, frames=20, spread=0.9) for seed in (3, 4))
    names = [str(number // 4) for number in range(80)]
    found = sliced_report(real, made, reference_groups=names, num_draws=200)
    assert found.floor.num_recordings == 10
    assert found.at_floor == pytest.approx(found.floor.mean, rel=0.25)


def test_the_interval_is_as_wide_as_values_scatter():
    """Real and made clips alike contribute: as many on both sides, each with its own offset."""
    found = [
        sliced_report(
            clips(2 * seed, 24, frames=8, spread=0.9),
            clips(2 * seed + 1, 24, frames=8, spread=0.9, shift=1.0),
            num_directions=24,
        ).distance
        for seed in range(40)
    ]
    scatter = np.std([one.mean for one in found])
    stated = np.mean([one.high - one.low for one in found]) / 3.92
    assert stated == pytest.approx(scatter, rel=0.2)


def test_frames_of_one_clip_are_not_independent():
    def width(spread):
        found = sliced_report(clips(5, 30, spread=spread), clips(6, 30, spread=spread))
        return found.distance.high - found.distance.low

    assert width(0.9) > 2 * width(0.0)


def test_a_spec_normalises_and_groups_are_drawn_together():
    spec = LatentSpec.create(
        rate_hz=16_000, hop_samples=512, mean=[5.0, -1.0], deviation=[2.0, 0.5]
    )
    real, made = clips(7, 8, channels=2), clips(8, 8, channels=2)
    raw = [[spec.denormalise(one) for one in side] for side in (real, made)]
    plain = sliced_report(real, made)
    found = sliced_report(*raw, spec=spec)
    assert found.distance.mean == pytest.approx(plain.distance.mean, rel=1e-4)
    groups = ["a", "a", "b", "b", "c", "c", "d", "d"]
    grouped = sliced_report(real, made, groups=groups)
    assert (grouped.num_clips, grouped.num_reference) == (4, 8)


@pytest.mark.parametrize(
    ("real", "made", "words"),
    [
        (clips(0, 3), clips(0, 9), "4 clips or more"),
        (clips(0, 9), clips(0, 9, channels=5), "one dimension"),
        (clips(0, 9), [*clips(0, 8), np.full((4, 9), np.nan, np.float32)], "finite"),
        (clips(0, 9), [*clips(0, 8), np.zeros(9, np.float32)], "channels"),
    ],
)
def test_what_has_no_distance_is_said(real, made, words):
    with pytest.raises(DataError, match=words):
        sliced_report(real, made)


def test_settings_that_make_no_sense():
    with pytest.raises(SettingError, match="groups"):
        sliced_report(clips(0, 9), clips(1, 9), groups=["a"])
    with pytest.raises(SettingError, match="draw"):
        sliced_report(clips(0, 9), clips(1, 9), num_draws=0)
    with pytest.raises(DataError, match="one point"):
        sliced_wasserstein(np.zeros((0, 2)), np.zeros((3, 2)))
