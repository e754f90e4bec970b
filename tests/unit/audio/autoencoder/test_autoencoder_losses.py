"""Losses of the autoencoder: nothing for the same, more for worse, a mean over clips."""

import math

import numpy as np
import pytest
import torch
from tests.toy_codec import ToySound

from segue.audio.autoencoder.discriminators import (
    Discriminators,
    DiscriminatorSettings,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from segue.audio.autoencoder.losses import (
    MagnitudeLossSettings,
    SpectralLoss,
    SpectralLossSettings,
    draw,
    magnitude_loss,
    mel_filters,
    rate_nats,
)
from segue.audio.autoencoder.settings import Posterior

SMALL = DiscriminatorSettings(windows=(256,), spectral_width=4, periods=(2, 3), period_width=4)


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    return torch.from_numpy(ToySound(rows=4).batch(0).audio)


@pytest.mark.parametrize("what", ["spectral", "magnitude", "features"])
def test_more_noise_costs_more_and_the_same_costs_nothing(sound: torch.Tensor, what: str):
    def cost(decoded: torch.Tensor) -> float:
        if what == "spectral":
            return float(
                sum(SpectralLoss(SpectralLossSettings(), rate_hz=8000)(decoded, sound).values())
            )
        if what == "magnitude":
            images = [part.abs()[:, 0, :4000].view(4, 40, 100) for part in (decoded, sound)]
            settings = MagnitudeLossSettings(likelihood_weight=0, log_weight=1)
            pair = torch.stack([images[0], torch.ones_like(images[0])], dim=1)
            return float(sum(magnitude_loss(pair, images[1], settings).values()))
        torch.manual_seed(0)
        nets = Discriminators(SMALL, channels=1)
        return float(feature_loss(nets(sound), nets(decoded)).detach())

    source = torch.Generator().manual_seed(1)
    noise = torch.randn(sound.shape, generator=source)
    costs = [cost(sound + size * noise) for size in (0.0, 0.01, 0.1)]
    assert costs[0] == pytest.approx(0, abs=1e-6)
    assert costs[0] < costs[1] < costs[2]


def test_spectral_loss_is_a_mean_over_clips(sound: torch.Tensor):
    loss = SpectralLoss(SpectralLossSettings(), rate_hz=8000)
    decoded = 0.5 * sound.roll(100, dims=-1)
    whole = loss(decoded, sound)
    halves = [loss(decoded[i::2], sound[i::2]) for i in (0, 1)]
    for name, value in whole.items():
        assert float(value) == pytest.approx(float(sum(h[name] for h in halves)) / 2, rel=1e-5)


def test_silence_has_a_loss_and_a_gradient():
    silent = torch.zeros(1, 1, 4096)
    decoded = torch.full((1, 1, 4096), 1e-3, requires_grad=True)
    total = sum(SpectralLoss(SpectralLossSettings(), rate_hz=8000)(decoded, silent).values())
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(decoded.grad).all()


def test_mel_filters_sum_to_one_and_cover_every_band():
    filters = mel_filters(160, window_samples=512, rate_hz=16_000)
    assert filters.shape == (257, 160)
    torch.testing.assert_close(filters.sum(dim=0), torch.ones(160))
    centres = filters.argmax(dim=0)
    assert (centres[1:] >= centres[:-1]).all()


def test_rate_is_the_divergence_in_closed_form():
    mean, deviation = 1.5, 0.5
    posterior = Posterior(
        torch.full((2, 3, 4), mean), torch.full((2, 3, 4), 2 * math.log(deviation))
    )
    expected = math.log(1 / deviation) + (deviation**2 + mean**2) / 2 - 0.5
    torch.testing.assert_close(rate_nats(posterior), torch.full((2, 4), 3 * expected))
    drawn = draw(posterior, torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)))
    assert float(drawn.mean()) == pytest.approx(mean, abs=0.4)


def test_hinges():
    torch.manual_seed(0)
    nets = Discriminators(SMALL, channels=1)
    judged = nets(torch.from_numpy(ToySound().batch(1).audio))
    assert len(judged) == 3
    far = [one._replace(scores=torch.full_like(one.scores, 5.0)) for one in judged]
    near = [one._replace(scores=torch.full_like(one.scores, -5.0)) for one in judged]
    assert float(discriminator_loss(far, near)) == 0
    assert float(discriminator_loss(near, far)) == 12
    assert float(adversarial_loss(far)) == -5


def test_discriminator_of_magnitudes_sees_loudness():
    torch.manual_seed(0)
    nets = Discriminators(SMALL, channels=2, of_magnitudes=True)
    values = torch.from_numpy(np.random.default_rng(0).random((2, 2 * 65, 20), np.float32))
    scores = [nets(values * gain)[0].scores for gain in (1.0, 100.0)]
    assert scores[0].shape[0] == 2
    assert (scores[0] - scores[1]).abs().mean() > 1e-3


def test_likelihood_is_the_normal_density_and_best_at_the_true_spread():
    source = torch.Generator().manual_seed(0)
    logs = 0.5 * torch.randn((2, 30, 400), generator=source)
    real = (1 + logs).exp()
    given = torch.full_like(real, math.e)

    def nats(spread: float) -> float:
        settings = MagnitudeLossSettings(root_weight=0)
        decoded = torch.stack([given, torch.full_like(given, spread)], dim=1)
        return float(magnitude_loss(decoded, real, settings)["likelihood"])

    assert nats(0.5) < min(nats(0.4), nats(0.6))
    assert nats(0.5) == pytest.approx(0.5 + math.log(0.5), abs=0.03)
