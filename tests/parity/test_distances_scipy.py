import numpy as np
import pytest
from scipy import linalg, signal

from segue.audio.evaluate.distances import frechet_distance
from segue.audio.evaluate.reconstruction import log_spectral_distance


@pytest.mark.parametrize("num", [15, 60, 400])
def test_the_frechet_distance_is_that_of_scipys_matrix_square_root(num):
    rng = np.random.default_rng(num)
    mix = rng.normal(size=(12, 12))
    first, second = rng.normal(size=(300, 12)) @ mix, rng.normal(size=(num, 12)) + 0.3
    one, two = np.cov(first.T), np.cov(second.T)
    root = np.real(linalg.sqrtm(one @ two))
    shift = ((first.mean(0) - second.mean(0)) ** 2).sum()
    expected = shift + np.trace(one) + np.trace(two) - 2 * np.trace(root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_log_spectral_distance_is_that_of_scipys_spectra():
    rng = np.random.default_rng(0)
    first, second = 0.1 * rng.normal(size=(2, 1, 20_000))

    def decibels(audio):
        _, _, spectrum = signal.stft(
            audio[0], window="hann", nperseg=2048, noverlap=1536, padded=False
        )
        # scipy divides by the sum of the window, which is half its length: a sine is one half.
        return 20 * np.log10(np.maximum(2 * np.abs(spectrum), 1e-4))

    expected = np.sqrt(((decibels(first) - decibels(second)) ** 2).mean(axis=0)).mean()
    assert log_spectral_distance(first, second) == pytest.approx(expected, rel=1e-6)
