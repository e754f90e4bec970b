"""The original's loss functions, against their formulas."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from segue.audio.autoencoder.losses import rate_nats
from segue.audio.autoencoder.original_losses import (
    SHORTEST_SAMPLES,
    a_weighted,
    a_weighting_taps,
    analog_a_weighting,
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    multi_resolution_stft,
    stft_magnitudes,
)
from segue.audio.autoencoder.settings import Posterior
from segue.errors import DataError


@pytest.mark.parametrize(
    ("tenths", "level_db"),
    [(-15, -39.4), (-12, -26.2), (-9, -16.1), (-3, -3.2), (0, 0.0), (6, 1.0), (9, -1.1)],
)
def test_the_curve_is_that_of_the_standard(tenths: int, level_db: float):
    frequency_hz = 1000 * 10 ** (tenths / 10)
    found = 20 * math.log10(analog_a_weighting(np.array([frequency_hz]))[0])
    assert found == pytest.approx(level_db, abs=0.06)


def test_the_filter_is_symmetric_and_follows_the_curve_where_101_taps_can():
    taps = np.array(a_weighting_taps(48_000))
    assert np.array_equal(taps, taps[::-1])
    places = np.arange(101) - 50
    for frequency_hz in (2000.0, 3000.0, 4000.0, 6000.0):
        angle = 2 * math.pi * frequency_hz / 48_000
        gain = float(taps @ np.cos(angle * places))
        wanted = float(analog_a_weighting(np.array([48_000 / math.pi * math.tan(angle / 2)]))[0])
        assert gain == pytest.approx(wanted, abs=0.02)


def test_the_filter_keeps_channels_apart_and_in_place():
    audio = torch.zeros(2, 2, 400)
    audio[1, 0, 200] = 1.0
    filtered = a_weighted(audio, rate_hz=16_000)
    assert torch.equal(filtered[0], torch.zeros(2, 400))
    assert torch.equal(filtered[1, 1], torch.zeros(400))
    taps = torch.tensor(a_weighting_taps(16_000))
    assert torch.allclose(filtered[1, 0, 150:251], taps)


def test_the_loss_is_zero_for_equal_sound_and_grows_with_distance():
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(2, 1, 4096)
    near, far = audio + 0.001 * torch.randn_like(audio), audio + 0.1 * torch.randn_like(audio)
    losses = [multi_resolution_stft(other, audio, rate_hz=16_000) for other in (audio, near, far)]
    assert losses[0] == 0
    assert losses[0] < losses[1] < losses[2]


def test_halving_the_level_costs_a_half_and_the_logarithm_of_two():
    torch.manual_seed(0)
    audio = torch.randn(1, 1, 4096)
    found = multi_resolution_stft(0.5 * audio, audio, rate_hz=None)
    assert float(found) == pytest.approx(0.5 + math.log(2), abs=1e-4)


def test_silence_gives_numbers_and_gradients():
    decoded = (0.1 * torch.randn(1, 1, 2048)).requires_grad_()
    loss = multi_resolution_stft(decoded, torch.zeros(1, 1, 2048), rate_hz=16_000)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(decoded.grad).all()
    assert torch.all(stft_magnitudes(torch.zeros(1, 1, 2048), resolution=(512, 50, 240)) >= 9e-5)


def test_clips_that_are_too_short_are_refused():
    audio = torch.randn(1, 1, SHORTEST_SAMPLES)
    assert torch.isfinite(multi_resolution_stft(0.9 * audio, audio, rate_hz=None))
    with pytest.raises(DataError, match=f"{SHORTEST_SAMPLES} samples or more"):
        multi_resolution_stft(audio[..., 1:], audio[..., 1:], rate_hz=None)


def test_what_latents_cost_is_the_originals_formula():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    found = rate_nats(Posterior(mean, log_variance)).mean()
    exact = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    assert torch.allclose(found, exact.sum(1).mean())


def test_hinges():
    fake, real = torch.tensor([[[-2.0, 0.5, 3.0]]]), torch.tensor([[[2.0, 0.0, -1.0]]])
    assert generator_hinge(fake) == pytest.approx((3 + 0.5 + 0) / 3)
    expected = 0.5 * ((0 + 1 + 2) / 3 + (0 + 1.5 + 4) / 3)
    assert discriminator_hinge(real, fake) == pytest.approx(expected)


def test_features_are_summed_over_layers_and_averaged_inside():
    real, fake = (
        [torch.zeros(1, 2, 3), torch.ones(1, 5)],
        [torch.ones(1, 2, 3), 4 * torch.ones(1, 5)],
    )
    assert feature_matching(real, fake) == 4
