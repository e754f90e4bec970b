"""Holes in recordings: what is outside stays, what is inside fits, at any rate and length."""

import numpy as np
import pytest
from tests.tiny_audio import RATE_HZ, music, sine_model, write_tiny_bundle

from segue.audio.generate import Maker
from segue.audio.joining import FADE_SECONDS, extend, inpaint
from segue.audio.loaded import AudioModel
from segue.audio.sound import of_array
from segue.core.region import Region
from segue.errors import SettingError

HERTZ = 100.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AudioModel:
    return AudioModel.open(write_tiny_bundle(tmp_path_factory.mktemp("joining") / "b"), threads=1)


def sine(seconds: float, rate_hz: int) -> np.ndarray:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * HERTZ * time + 0.7)).astype(np.float32)[None]


def maker_of(model: AudioModel, **changes) -> Maker:
    return Maker(model, model.settings(), **changes)


def seconds(start: float, end: float) -> Region:
    return Region(None, start, end, unit="seconds")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000, 22_051])
@pytest.mark.parametrize(("start", "end"), [(0.9, 1.0137), (0.5, 1.9), (0.4, 0.41)])
def test_a_sine_goes_on_through_a_hole(rate_hz: int, start: float, end: float) -> None:
    wave = sine(2.6, rate_hz)
    filled = inpaint(maker_of(sine_model(HERTZ)), of_array(wave, rate_hz), seconds(start, end))
    found = filled.sound.read(0, filled.sound.num_samples)
    assert (filled.start, filled.stop) == (round(start * rate_hz), round(end * rate_hz))
    assert np.array_equal(found[:, : filled.start], wave[:, : filled.start])
    assert np.array_equal(found[:, filled.stop :], wave[:, filled.stop :])
    fade = round(FADE_SECONDS * rate_hz)
    inner = slice(filled.start + fade, filled.stop - fade)
    np.testing.assert_allclose(found[:, inner], wave[:, inner], atol=3e-3)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
@pytest.mark.parametrize("before", [False, True])
def test_a_sine_goes_on_beyond_the_ends(rate_hz: int, before: bool) -> None:
    whole = sine(4.0, rate_hz)
    cut = round(1.1 * rate_hz)
    given, new = (whole[:, cut:], cut) if before else (whole[:, :-cut], cut)
    filled = extend(
        maker_of(sine_model(HERTZ)), of_array(given, rate_hz), new / rate_hz, before=before
    )
    found = filled.sound.read(0, filled.sound.num_samples)
    assert found.shape == whole.shape
    kept = slice(cut, None) if before else slice(0, -cut)
    assert np.array_equal(found[:, kept], given)
    fade = round(FADE_SECONDS * rate_hz)
    inner = slice(fade, cut - fade) if before else slice(-cut + fade, None)
    np.testing.assert_allclose(found[:, inner], whole[:, inner], atol=3e-3)


def test_a_hole_longer_than_the_window_is_filled_from_the_left() -> None:
    wave = sine(9.0, RATE_HZ)
    filled = inpaint(maker_of(sine_model(HERTZ)), of_array(wave, RATE_HZ), seconds(1, 8))
    found = filled.sound.read(0, filled.sound.num_samples)
    np.testing.assert_allclose(found[:, 8400:-8400], wave[:, 8400:-8400], atol=3e-3)


def test_nothing_of_the_old_content_leaks(model: AudioModel) -> None:
    wave = music(3, rate_hz=44_100, channels=2)
    other = wave.copy()
    other[:, 44_100:88_200] = np.random.default_rng(1).uniform(-1, 1, (2, 44_100))
    found = [
        inpaint(maker_of(model), of_array(given, 44_100), seconds(1, 2)).sound.read(0, 132_300)
        for given in (wave, other)
    ]
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(192_000, 1), (44_100, 8), (8_000, 2), (11_025, 3)]
)
def test_rate_and_channels_stay(model: AudioModel, rate_hz: int, channels: int) -> None:
    wave = music(1.5, rate_hz=rate_hz, channels=channels)
    filled = inpaint(maker_of(model), of_array(wave, rate_hz), seconds(0.5, 1.1))
    found = filled.sound.read(0, filled.sound.num_samples)
    assert found.shape == wave.shape
    assert filled.sound.rate_hz == rate_hz
    fade = round(FADE_SECONDS * rate_hz) + 1
    inner = found[:, filled.start + fade : filled.stop - fade]
    assert np.ptp(inner, axis=0).max() == 0
    assert np.abs(inner).max() > 0


def test_level_follows_the_surroundings(model: AudioModel) -> None:
    wave = music(4, rate_hz=RATE_HZ)
    loud, soft = (
        inpaint(maker_of(model), of_array(wave * gain, RATE_HZ), seconds(1, 3)).sound.read(
            9000, 23000
        )
        for gain in (np.float32(1), np.float32(0.1))
    )
    np.testing.assert_allclose(soft, 0.1 * loud, atol=1e-5)


def test_what_is_new_never_clips(model: AudioModel) -> None:
    wave = np.clip(20 * music(3, rate_hz=RATE_HZ), -1, 1)
    filled = inpaint(maker_of(model), of_array(wave, RATE_HZ), seconds(1, 2))
    assert np.abs(filled.sound.read(0, 3 * RATE_HZ)).max() <= 1


@pytest.mark.parametrize("samples", [1, 2, 100])
@pytest.mark.parametrize("before", [False, True])
def test_hardly_any_sound_can_be_extended(model: AudioModel, samples: int, before: bool) -> None:
    wave = music(1)[:, :samples]
    filled = extend(maker_of(model), of_array(wave, RATE_HZ), 0.5, before=before)
    found = filled.sound.read(0, filled.sound.num_samples)
    assert found.shape == (1, samples + 4000)
    assert np.isfinite(found).all()
    assert np.array_equal(found[:, 4000:] if before else found[:, :samples], wave)


def test_silence_and_whole_files_can_be_filled(model: AudioModel) -> None:
    silence = np.zeros((1, RATE_HZ), np.float32)
    for region in (seconds(0.2, 0.6), seconds(0, 1), seconds(0, 7)):
        filled = inpaint(maker_of(model), of_array(silence, RATE_HZ), region)
        found = filled.sound.read(0, RATE_HZ)
        assert np.isfinite(found).all()
        assert 0 < np.abs(found).max() <= 1


@pytest.mark.parametrize(
    "region",
    [
        seconds(3, 4),
        seconds(1.00001, 1.00002),
        Region(None, 1, 2),
        Region(("piano",), 0, 1, "seconds"),
    ],
)
def test_regions_that_are_not_there_are_refused(model: AudioModel, region: Region) -> None:
    with pytest.raises(SettingError, match=r"region|seconds"):
        inpaint(maker_of(model), of_array(music(2), RATE_HZ), region)


@pytest.mark.parametrize("length", [0, -1, float("nan"), float("inf"), 1e6])
def test_impossible_lengths_are_refused(model: AudioModel, length: float) -> None:
    with pytest.raises(SettingError, match="duration"):
        extend(maker_of(model), of_array(music(1), RATE_HZ), length)


def test_a_model_of_whole_clips_is_refused(model: AudioModel) -> None:
    codec = model.parts.codec.model_copy(update={"length_free": False})
    fixed = AudioModel(
        "fixed", model.parts.model_copy(update={"codec": codec}), model.codec, model.network
    )
    with pytest.raises(SettingError, match="whole clips"):
        extend(maker_of(fixed), of_array(music(1), RATE_HZ), 1)
