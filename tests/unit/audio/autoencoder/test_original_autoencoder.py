"""The original's autoencoder and discriminator: sizes, shapes, positions, learning."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from segue.audio.autoencoder.original import (
    OriginalAutoencoder,
    OriginalAutoencoderConfig,
    PatchDiscriminator,
)
from segue.audio.autoencoder.original_losses import (
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    multi_resolution_stft,
)
from segue.errors import SettingError

FULL = OriginalAutoencoderConfig()
TINY = OriginalAutoencoderConfig(first_width=4, width=16, latent_channels=4, num_heads=2)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def seeded(config: OriginalAutoencoderConfig) -> OriginalAutoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return OriginalAutoencoder(config)


def clip(num_samples: int) -> Tensor:
    """Three partials with a decay, the same for every call."""
    seconds = torch.arange(num_samples) / 16_000
    partials = [torch.sin(2 * torch.pi * 220.0 * k * seconds) / k for k in (1, 2, 3)]
    return (0.3 * torch.exp(-4 * seconds) * torch.stack(partials).sum(0)).view(1, 1, -1)


def test_every_part_has_the_originals_number_of_weights():
    with torch.device("meta"):
        model = OriginalAutoencoder(FULL)
        discriminator = PatchDiscriminator()
    assert size(model.encoder) == 1_220_416
    assert size(model.decoder) == 2_163_201
    assert size(discriminator) == 378_881


def test_the_originals_rates_and_widths():
    assert FULL.rate_hz / FULL.hop_samples == 250
    assert FULL.encoder_widths == (16, 32, 64, 128, 128, 128, 128)
    assert FULL.max_frames == 2500
    assert (FULL.latent_channels, FULL.kernel_size, FULL.num_heads) == (32, 7, 4)


def test_shapes():
    model = seeded(TINY)
    posterior = model.encode(torch.randn(2, 1, 640))
    assert posterior.mean.shape == posterior.log_variance.shape == (2, 4, 10)
    assert model.decode(posterior.mean).shape == (2, 1, 640)


def test_stereo_and_another_hop():
    model = seeded(TINY.model_copy(update={"channels": 2, "hop_samples": 16}))
    posterior = model.encode(torch.randn(1, 2, 320))
    assert posterior.mean.shape == (1, 4, 20)
    assert model.decode(posterior.mean).shape == (1, 2, 320)


def test_fixed_positions_end_after_ten_seconds_and_any_goes_on():
    fixed = seeded(TINY.model_copy(update={"max_seconds": 0.04}))
    state = torch.random.get_rng_state()
    free = fixed.for_any_length()
    assert torch.equal(torch.random.get_rng_state(), state)
    short, long = torch.randn(1, 1, 640), torch.randn(1, 1, 704)
    expected = fixed.encode(short)
    assert torch.equal(free.encode(short).mean, expected.mean)
    assert torch.equal(free.decode(expected.mean), fixed.decode(expected.mean))
    with pytest.raises(SettingError, match="end after 10 frames, 11 were given"):
        fixed.encode(long)
    with pytest.raises(SettingError, match="positions=any"):
        fixed.decode(torch.zeros(1, 4, 11))
    assert free.decode(free.encode(long).mean).shape == long.shape


def test_the_order_of_frames_matters_through_positions_alone():
    attention = seeded(TINY).decoder.attention
    hidden = torch.randn(1, 16, 12)
    turned = attention(hidden.flip(-1)).flip(-1)
    assert not torch.allclose(attention(hidden), turned, atol=1e-4)
    attention.positions.table.zero_()
    turned = attention(hidden.flip(-1)).flip(-1)
    assert torch.allclose(attention(hidden), turned, atol=1e-5)


def test_attention_adds_to_what_comes_in_without_positions():
    attention = seeded(TINY).encoder.attention
    nn.init.zeros_(attention.attention.out.weight)
    hidden = torch.randn(1, 16, 12)
    assert torch.equal(attention(hidden), hidden)


def test_nothing_keeps_the_output_inside_full_scale():
    model = seeded(TINY)
    model.decoder.last.bias.data.fill_(3.0)
    assert model.decode(torch.zeros(1, 4, 10)).max() > 2


def test_the_discriminators_layers():
    layers = PatchDiscriminator(width=16)(torch.randn(2, 1, 1024))
    lengths = [1024, 1024, 256, 256, 64, 64, 16, 16, 4, 4, 4, 4, 4]
    assert [layer.shape[-1] for layer in layers] == lengths
    assert layers[-1].shape == (2, 1, 4)
    for before, after in zip(layers[:-1:2], layers[1::2], strict=True):
        assert torch.equal(after, torch.where(before > 0, before, 0.2 * before))


def test_gradients_reach_every_weight():
    model, discriminator = seeded(TINY), PatchDiscriminator(width=16)
    audio = clip(2048)
    mean, log_variance = model.encode(audio)
    decoded = model.decode(mean + log_variance.exp())
    layers = discriminator(decoded)
    loss = multi_resolution_stft(decoded, audio, rate_hz=16_000) + generator_hinge(layers[-1])
    (loss + feature_matching(discriminator(audio), layers)).backward()
    for module in (model, discriminator):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0 or name.endswith("qkv.bias"), name


def test_both_losses_fall_on_one_clip():
    model, discriminator = seeded(TINY), PatchDiscriminator(width=16)
    audio = clip(2048)
    generator_optim = torch.optim.Adam(model.parameters(), 3e-3)
    discriminator_optim = torch.optim.Adam(discriminator.parameters(), 3e-3)
    reconstruction, telling = [], []
    for _ in range(25):
        decoded = model.decode(model.encode(audio).mean)
        reconstruction.append(multi_resolution_stft(decoded, audio, rate_hz=16_000))
        generator_optim.zero_grad()
        reconstruction[-1].backward()
        generator_optim.step()
        real, fake = discriminator(audio)[-1], discriminator(decoded.detach())[-1]
        telling.append(discriminator_hinge(real, fake))
        discriminator_optim.zero_grad()
        telling[-1].backward()
        discriminator_optim.step()
    assert reconstruction[-1] < 0.8 * reconstruction[0]
    assert telling[-1] < 0.8 * telling[0]


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"hop_samples": 48}, "not a power of 2"),
        ({"kernel_size": 8}, "not odd"),
        ({"width": 100, "num_heads": 8}, "do not split"),
        ({"first_width": 6}, "multiples of 4"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(setting: dict[str, int], problem: str):
    with pytest.raises(ValidationError, match=problem):
        OriginalAutoencoderConfig(**setting)
