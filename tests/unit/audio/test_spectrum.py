"""Spectra: back to the same sound, the same in pieces, the same as an independent transform."""

import itertools

import numpy as np
import pytest
import scipy.signal

from segue.audio.spectrum import OverlapAdd, Spectrum, from_rows, to_rows
from segue.errors import SettingError

SPECTRUM = Spectrum(window_samples=256, hop_samples=64, compression=0.5)


def _sound(samples: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize("samples", [64, 640, 6400])
def test_sound_comes_back(samples: int):
    sound = _sound(samples)
    spectrum = SPECTRUM.analyse(sound)
    assert spectrum.shape == (2, 129, samples // 64)
    np.testing.assert_allclose(SPECTRUM.synthesise(spectrum), sound, atol=2e-6)


def test_last_hop_is_filled_with_silence():
    sound = _sound(100)
    back = SPECTRUM.synthesise(SPECTRUM.analyse(sound))
    np.testing.assert_allclose(back[:, :100], sound, atol=2e-6)
    np.testing.assert_allclose(back[:, 100:], 0, atol=2e-6)


def test_frame_is_centred_on_its_own_hop_as_scipy_computes_it():
    sound = _sound(1024, channels=1)
    padded = np.pad(sound[0], SPECTRUM.margin_samples)
    transform = scipy.signal.ShortTimeFFT(
        scipy.signal.get_window("hann", 256), hop=64, fs=1.0, fft_mode="onesided"
    )
    expected = [
        np.fft.rfft(padded[64 * k : 64 * k + 256] * transform.win) for k in range(1024 // 64)
    ]
    np.testing.assert_allclose(SPECTRUM.analyse(sound)[0].T, expected, atol=1e-5)


def test_blocks_add_up_to_the_whole_exactly():
    spectrum = SPECTRUM.analyse(_sound(64 * 41))
    whole = SPECTRUM.synthesise(spectrum)
    adder = OverlapAdd(SPECTRUM, 2)
    cuts = [0, 1, 1, 5, 6, 20, 41]
    blocks = [adder.push(spectrum[..., a:b]) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate([*blocks, adder.finish()], axis=-1), whole)


def test_compression_keeps_phases_and_takes_roots_of_magnitudes():
    spectrum = SPECTRUM.analyse(_sound(640))
    rows = SPECTRUM.compress(spectrum)
    back = from_rows(rows, num_channels=2)
    assert rows.shape == (4 * 129, 10)
    np.testing.assert_allclose(np.abs(back), np.abs(spectrum) ** 0.5, rtol=1e-4)
    np.testing.assert_allclose(np.angle(back), np.angle(spectrum), atol=1e-4)
    np.testing.assert_array_equal(from_rows(to_rows(spectrum), num_channels=2), spectrum)


def test_silence_stays_silence():
    silent = np.zeros((1, 640), np.float32)
    rows = SPECTRUM.compress(SPECTRUM.analyse(silent))
    assert np.isfinite(rows).all()
    assert not rows.any()


@pytest.mark.parametrize(("window", "hop"), [(256, 128), (256, 60), (4, 1), (0, 0)])
def test_sizes_that_do_not_fit_are_refused(window: int, hop: int):
    with pytest.raises(SettingError, match="hop"):
        Spectrum(window, hop)
