"""What the codec refuses, and models of one length."""

from typing import Any

import numpy as np
import pytest
from tests.tiny_audio import HOP_SAMPLES, LATENTS, Samples, config, music

from segue.audio.codec import Codec, CodecSettings
from segue.core.config import load
from segue.errors import BundleError, SettingError


def codec(**changes: Any) -> Codec:
    values = config(front="waveform")["codec"] | {
        "latent_channels": HOP_SAMPLES,
        "mean": [0.0] * HOP_SAMPLES,
        "deviation": [1.0] * HOP_SAMPLES,
    }
    chosen = load(CodecSettings, values | changes)
    parts = Samples(HOP_SAMPLES, decodes=False), Samples(HOP_SAMPLES, decodes=True)
    return Codec(chosen, 8_000, 1, *parts, clip_frames=20)


def test_what_keeps_everything_gives_everything_back() -> None:
    audio = music(0.5)
    latents = codec().encode(audio)
    assert latents.shape == (HOP_SAMPLES, 32)
    found = codec().decode(latents)
    assert np.array_equal(found[:, : audio.shape[1]], audio)
    assert not found[:, audio.shape[1] :].any()


@pytest.mark.parametrize("shape", [(2, 100), (100,), (1, 0)])
def test_sound_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match=r"shape|samples"):
        codec().encode(np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(3, 10), (HOP_SAMPLES, 0), (1, HOP_SAMPLES, 2)])
def test_latents_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match=r"shape|frames"):
        codec().decode(np.zeros(shape, np.float32))


def test_a_model_of_one_length_takes_that_length_only() -> None:
    fixed = codec(length_free=False)
    audio = music(20 * HOP_SAMPLES / 8_000)
    assert np.array_equal(fixed.decode(fixed.encode(audio)), audio)
    for samples in (19 * HOP_SAMPLES, 20 * HOP_SAMPLES + 1):
        with pytest.raises(SettingError, match="exactly 2560 samples"):
            fixed.encode(np.zeros((1, samples), np.float32))
    with pytest.raises(SettingError, match="exactly 2560 samples"):
        fixed.decode(np.zeros((HOP_SAMPLES, 21), np.float32))


class Short(Samples):
    """Gives less than it should."""

    def __call__(self, feeds: Any) -> dict[str, np.ndarray]:
        return {name: array[..., :-1] for name, array in super().__call__(feeds).items()}


def test_graphs_that_do_not_fit_their_config_are_found_out() -> None:
    parts = Short(HOP_SAMPLES, decodes=False), Short(HOP_SAMPLES, decodes=True)
    wrong = Codec(codec().settings, 8_000, 1, *parts)
    with pytest.raises(BundleError, match="encoder gives the shape"):
        wrong.encode(music(0.5))
    with pytest.raises(BundleError, match="decoder gives the shape"):
        wrong.decode(np.zeros((HOP_SAMPLES, 10), np.float32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": [0.0]}, "one number for each"),
        ({"deviation": [0.0] * LATENTS}, "above 0"),
        ({"deviation": [float("nan")] * LATENTS}, "finite"),
        ({"stft_hop_samples": 100}, "divide"),
        ({"front": "mel"}, "front"),
        ({"context_frames": -1}, "context_frames"),
        ({"hop": 5}, "hop_samples"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load(CodecSettings, config()["codec"] | changes)
