import numpy as np
import pytest
from scipy import signal

from segue.audio.evaluate.filterbank import (
    hz_to_mel,
    mel_filters,
    mel_to_hz,
    short_time_spectrum,
)
from segue.errors import DataError, SettingError

RNG = np.random.default_rng(0)


def test_the_mel_scale_has_slaneys_fixed_points_and_an_inverse():
    np.testing.assert_allclose(hz_to_mel(np.array([0.0, 1000.0, 6400.0])), [0, 15, 42])
    hz = np.linspace(0, 20_000, 50)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, atol=1e-9)


def test_mel_filters_have_unit_area_and_cover_the_range_they_are_given():
    filters = mel_filters(48_000, 8192, 40, low_hz=300, high_hz=8000)
    areas = filters.sum(axis=1) * 48_000 / 8192
    np.testing.assert_allclose(areas, 1, atol=0.01)
    hz = np.linspace(0, 24_000, 4097)
    heard = filters.sum(axis=0) > 0
    assert hz[heard].min() >= 300
    assert hz[heard].max() <= 8000


def test_mel_filters_outside_the_spectrum_are_refused():
    with pytest.raises(SettingError, match="16000"):
        mel_filters(16_000, 512, 40, high_hz=9000)


@pytest.mark.parametrize("edges", ["constant", "reflect"])
def test_spectra_are_those_of_scipy(edges):
    audio = RNG.normal(size=5000)
    found = short_time_spectrum(audio, 512, 128, edges=edges)
    padded = np.pad(audio, 256, mode=edges)
    window = signal.get_window("hann", 512)
    expected = [np.fft.rfft(padded[k * 128 : k * 128 + 512] * window) for k in range(40)]
    assert len(found) == 1 + 5000 // 128
    np.testing.assert_allclose(found[:40], expected, atol=1e-10)


def test_a_short_window_stands_in_the_middle_of_the_transform():
    click = np.zeros(1000)
    click[500] = 1
    spectra = short_time_spectrum(click, 64, 10, window_samples=32)
    heard = np.flatnonzero(np.abs(spectra).sum(axis=1))
    assert list(heard) == [49, 50, 51]
    np.testing.assert_allclose(np.abs(spectra[50]), 1)


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((2, 100)), np.zeros(256)])
def test_what_has_no_spectrum_is_an_error(audio):
    with pytest.raises(DataError, match="512 samples"):
        short_time_spectrum(audio, 512, 128, edges="reflect")
