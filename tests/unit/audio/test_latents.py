"""Rate and scale of latents."""

import numpy as np
import pytest

from segue.audio.latents import LatentSpec
from segue.errors import SettingError


def _spec(**changes):
    values = {"rate_hz": 16_000, "hop_samples": 512, "mean": [1.0, -2.0], "deviation": [0.5, 4.0]}
    return LatentSpec.create(**(values | changes))


def test_normalised_channels_have_mean_0_and_deviation_1(rng: np.random.Generator):
    latents = rng.normal([[1.0], [-2.0]], [[0.5], [4.0]], (2, 20_000)).astype(np.float32)
    scaled = _spec().normalise(latents)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=1), 0, atol=0.02)
    np.testing.assert_allclose(scaled.std(axis=1), 1, atol=0.02)


@pytest.mark.parametrize("shape", [(2, 7), (3, 2, 7)])
def test_denormalise_undoes_normalise(rng: np.random.Generator, shape: tuple[int, ...]):
    latents = rng.standard_normal(shape, np.float32)
    spec = _spec()
    np.testing.assert_allclose(spec.denormalise(spec.normalise(latents)), latents, atol=1e-5)


def test_ten_seconds_are_313_frames_of_which_the_last_is_half_full():
    spec = _spec()
    assert spec.frame_rate_hz == 31.25
    assert spec.seconds_to_frames(10) == 313
    assert spec.frames_to_samples(313) == 160_256
    assert spec.frames_to_seconds(313) == 10.016
    assert [spec.samples_to_frames(n) for n in (0, 1, 512, 513)] == [0, 1, 1, 2]


def test_config_round_trip():
    spec = _spec()
    again = LatentSpec.from_config(spec.to_config() | {"more": 1})
    assert again.to_config() == spec.to_config()
    assert again.channels == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"hop_samples": 0},
        {"rate_hz": 0},
        {"mean": [1.0]},
        {"mean": [], "deviation": []},
        {"deviation": [1.0, 0.0]},
        {"deviation": [1.0, float("nan")]},
        {"mean": [1.0, float("inf")]},
    ],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, object]):
    with pytest.raises(SettingError):
        _spec(**changes)
