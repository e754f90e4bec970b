import numpy as np
import pytest
import torch

from segue.audio.evaluate.filterbank import mel_filters
from segue.audio.evaluate.reconstruction import (
    MEL_SCALES,
    mel_distance,
    multi_resolution_stft,
    si_sdr,
)

auraloss = pytest.importorskip("auraloss", reason="the peer auraloss is not installed")


@pytest.mark.parametrize("noise", [1e-4, 0.05, 1.0])
def test_measures_are_those_of_auraloss(noise):
    rng = np.random.default_rng(0)
    time = np.arange(12_000) / 16_000
    clean = (0.3 * np.sin(2 * np.pi * 300 * time**2))[None].astype(np.float32)
    made = (0.8 * clean + noise * rng.normal(size=clean.shape)).astype(np.float32)
    one, two = torch.from_numpy(made)[None], torch.from_numpy(clean)[None]
    stft = auraloss.freq.MultiResolutionSTFTLoss()(one, two)
    assert multi_resolution_stft(clean, made) == pytest.approx(float(stft), rel=1e-4)
    ratio = -auraloss.time.SISDRLoss()(one.double(), two.double())
    assert si_sdr(clean, made) == pytest.approx(float(ratio), abs=1e-3)


def test_the_mel_distance_is_that_of_pytorchs_spectra():
    rng = np.random.default_rng(0)
    sides = torch.from_numpy(rng.normal(size=(2, 8_000)) * [[0.3], [0.1]])
    expected = 0.0
    for window, num_mels in MEL_SCALES:
        hann = torch.hann_window(window, dtype=torch.float64)
        spectra = torch.stft(sides, window, window // 4, window=hann, return_complex=True)
        mel = torch.from_numpy(mel_filters(16_000, window, num_mels)) @ spectra.abs()
        first, second = mel.clamp(min=1e-5).log10()
        expected += float((first - second).abs().mean())
    clean, made = sides.numpy()[:, None]
    assert mel_distance(clean, made, 16_000) == pytest.approx(expected, rel=1e-5)
