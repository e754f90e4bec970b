from dataclasses import replace

import numpy as np
import pytest
from tests.loopback import digest

from segue.audio.evaluate import musicnn
from segue.audio.evaluate.musicnn import (
    HOP_SAMPLES,
    PATCH_FRAMES,
    TAGS,
    WHEEL_NAME,
    WHEEL_VARIABLE,
    Musicnn,
    find_wheel,
    patches_of,
)
from segue.audio.evaluate.weights import MUSICNN
from segue.errors import BundleError, DataError, MissingExtraError

PATCH = (PATCH_FRAMES - 1) * HOP_SAMPLES


@pytest.fixture
def no_wheel(monkeypatch, tmp_path):
    monkeypatch.delenv(WHEEL_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "segue"


def test_without_the_wheel_the_message_says_how_to_fetch_it(no_wheel):
    with pytest.raises(MissingExtraError, match=r"segue data download musicnn"):
        find_wheel()


def test_another_file_in_its_place_is_refused(no_wheel, tmp_path, monkeypatch):
    wrong = tmp_path / WHEEL_NAME
    wrong.write_bytes(b"something else")
    for call in (lambda: find_wheel(wrong), lambda: find_wheel(tmp_path), find_wheel):
        monkeypatch.setenv(WHEEL_VARIABLE, str(wrong))
        with pytest.raises(BundleError, match="SHA-256"):
            call()


def test_the_wheel_is_taken_from_the_users_cache(no_wheel, monkeypatch):
    no_wheel.mkdir()
    wheel = no_wheel / WHEEL_NAME
    wheel.write_bytes(b"the wheel")
    with pytest.raises(BundleError):
        find_wheel()
    archive = replace(MUSICNN.archives[0], digest=digest(b"the wheel"))
    monkeypatch.setattr(musicnn, "MUSICNN", replace(MUSICNN, archives=(archive,)))
    assert find_wheel() == wheel


def test_clips_are_cut_into_patches_of_three_seconds():
    clip = np.random.default_rng(0).normal(size=10 * 16_000).astype(np.float32)
    patches = patches_of(clip)
    assert patches.shape == (3, PATCH_FRAMES, 96)
    np.testing.assert_array_equal(
        patches.reshape(-1, 96), musicnn.log_mel(clip)[: 3 * PATCH_FRAMES]
    )


@pytest.mark.parametrize("samples", [1, 100, 20_000, PATCH - 1])
def test_a_short_clip_is_repeated_until_it_fills_a_patch(samples):
    clip = np.random.default_rng(0).normal(size=samples).astype(np.float32)
    repeated = np.resize(clip, PATCH)
    np.testing.assert_array_equal(patches_of(clip), patches_of(repeated))
    assert len(patches_of(clip)) == 1


def test_an_empty_clip_is_an_error():
    with pytest.raises(DataError, match="without a sample"):
        patches_of(np.zeros(0, np.float32))


def test_loud_sound_stays_finite():
    assert np.isfinite(patches_of(np.full(50_000, 30, np.float32))).all()


def weights(rng):
    """Weights of the shapes that the checkpoint has."""
    shapes = {
        "conv2d": (7, 38, 1, 204), "conv2d_1": (7, 67, 1, 204), "conv2d_2": (128, 1, 1, 51),
        "conv2d_3": (64, 1, 1, 51), "conv2d_4": (32, 1, 1, 51), "conv2d_5": (7, 561, 1, 64),
        "conv2d_6": (7, 64, 1, 64), "conv2d_7": (7, 64, 1, 64), "dense": (1506, 200),
        "dense_1": (200, 50),
    }  # fmt: skip
    found = {}
    for name, shape in shapes.items():
        found[f"{name}/kernel"] = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        found[f"{name}/bias"] = rng.normal(size=shape[-1:])
    for number, width in enumerate((1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        for part in ("beta", "gamma", "moving_mean", "moving_variance"):
            found[f"{name}/{part}"] = rng.uniform(0.5, 1.5, size=width)
    return {name: value.astype("<f4") for name, value in found.items()}


def test_the_network_has_its_layers_and_treats_clips_of_a_batch_alike():
    import torch

    network = Musicnn(weights(np.random.default_rng(0)))
    patches = torch.rand(3, PATCH_FRAMES, 96)
    with torch.inference_mode():
        found = network(patches)
        alone = network(patches[1:2])
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "mean_pool": (3, 753),
        "max_pool": (3, 753),
        "penultimate": (3, 200),
        "tags": (3, len(TAGS)),
    }
    for name, value in found.items():
        torch.testing.assert_close(value[1:2], alone[name], rtol=1e-4, atol=1e-4)
