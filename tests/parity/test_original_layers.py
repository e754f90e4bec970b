"""The original's networks as a list of layers, written down once more from the deck with PyTorch's own.

Everything here is a function of our models' weights, so that a layer in another place, another order or
with another residual shows.
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from segue.audio.autoencoder.original import OriginalAutoencoder, OriginalAutoencoderConfig
from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig

FRAMES = 14


def shaken(model: nn.Module) -> nn.Module:
    """A model whose norms and biases count."""
    torch.manual_seed(6)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


class Weights:
    """Layers by the names of their weights."""

    def __init__(self, model: nn.Module) -> None:
        self.of = dict(model.named_parameters())

    def conv(self, name: str, x: Tensor, **options: int) -> Tensor:
        weight = self.of[f"{name}.weight"]
        return f.conv1d(
            x, weight, self.of[f"{name}.bias"], padding=weight.shape[-1] // 2, **options
        )

    def linear(self, name: str, x: Tensor) -> Tensor:
        return f.linear(x, self.of[f"{name}.weight"], self.of[f"{name}.bias"])

    def group_norm(self, name: str, x: Tensor) -> Tensor:
        return f.group_norm(
            x, x.shape[1] // 4, self.of[f"{name}.weight"], self.of[f"{name}.bias"], eps=1e-5
        )

    def attend(self, name: str, x: Tensor, heads: int) -> Tensor:
        """PyTorch's multi-head attention over ``batch channels frames``."""
        peer = nn.MultiheadAttention(x.shape[1], heads, batch_first=True)
        weights = [
            f"{name}.qkv.weight",
            f"{name}.qkv.bias",
            f"{name}.out.weight",
            f"{name}.out.bias",
        ]
        targets = [peer.in_proj_weight, peer.in_proj_bias, peer.out_proj.weight, peer.out_proj.bias]
        for source, target in zip(weights, targets, strict=True):
            target.data = self.of[source].data
        x = x.transpose(1, 2)
        return peer(x, x, x)[0].transpose(1, 2)


def positions(channels: int, frames: int) -> Tensor:
    """Sines in the even channels, cosines in the odd ones; ``channels frames``."""
    table = torch.zeros(channels, frames)
    for channel in range(0, channels, 2):
        angle = torch.arange(frames) / 10_000 ** (channel / channels)
        table[channel], table[channel + 1] = angle.sin(), angle.cos()
    return table


def encode(w: Weights, x: Tensor, stages: int, heads: int) -> tuple[Tensor, Tensor]:
    x = f.gelu(w.conv("first", x))
    for stage in range(stages):
        x = f.gelu(
            w.group_norm(f"stages.{stage}.norm", w.conv(f"stages.{stage}.strided", x, stride=2))
        )
        x = f.gelu(w.conv(f"stages.{stage}.conv", x))
    x = x + w.attend("attention.attention", x + positions(*x.shape[1:]), heads)
    mean, log_variance = (
        w.conv(f"{head}.2", f.gelu(w.conv(f"{head}.0", x))) for head in ("mean", "log_variance")
    )
    return mean, log_variance


def decode(w: Weights, x: Tensor, stages: int, heads: int) -> Tensor:
    x = f.gelu(w.conv("first", x))
    x = x + w.attend("attention.attention", x + positions(*x.shape[1:]), heads)
    for stage in (f"stages.{number}" for number in range(stages)):
        weight, bias = w.of[f"{stage}.transposed.weight"], w.of[f"{stage}.transposed.bias"]
        x = f.conv_transpose1d(x, weight, bias, stride=2, padding=3, output_padding=1)
        x = f.gelu(x)
        x = w.conv(f"{stage}.residual", x) + x
        x = f.gelu(w.group_norm(f"{stage}.norm", x))
        x = f.gelu(w.conv(f"{stage}.conv", x))
    return w.conv("last", x)


def denoise(w: Weights, x: Tensor, time: Tensor, blocks: int, heads: int) -> Tensor:
    features = torch.arange(128)
    angles = time[:, None] * torch.exp(-math.log(10_000) * features / 128)
    c = w.linear("time.0", torch.cat([angles.cos(), angles.sin()], dim=1))
    c = f.silu(w.linear("time.2", f.silu(c)))
    x = w.conv("first", x)
    x = x + positions(*x.shape[1:])

    def normal(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        normed = (x - x.mean(1, keepdim=True)) / (
            x.var(1, correction=0, keepdim=True) + 1e-5
        ).sqrt()
        return normed * (1 + scale) + shift

    def feed_forward(name: str, x: Tensor) -> Tensor:
        return w.conv(f"{name}.down", f.gelu(w.conv(f"{name}.up", x)))

    for block in (f"blocks.{number}" for number in range(blocks)):
        parts = w.linear(f"{block}.modulation.linear", c)[..., None].chunk(9, dim=1)
        shift, scale, gate = parts[:3]
        inner = normal(x, scale, shift)
        x = x + gate * (inner + w.attend(f"{block}.attention", inner, heads))
        shift, scale, gate = parts[3:6]
        x = x + gate * feed_forward(f"{block}.feed_forward", normal(x, scale, shift))
    scale, shift = w.linear("final_modulation.linear", c)[..., None].chunk(2, dim=1)
    return w.conv("last", feed_forward("final", normal(x, scale, shift)))


@pytest.fixture
def autoencoder() -> OriginalAutoencoder:
    config = OriginalAutoencoderConfig(
        first_width=4, width=16, latent_channels=6, num_heads=2, hop_samples=16
    )
    model = shaken(OriginalAutoencoder(config))
    assert isinstance(model, OriginalAutoencoder)
    return model


def close(found: Tensor, wanted: Tensor) -> bool:
    return torch.allclose(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


@torch.no_grad()
def test_encoder(autoencoder: OriginalAutoencoder) -> None:
    audio = torch.randn(2, 1, 16 * FRAMES)
    posterior = autoencoder.encode(audio)
    mean, log_variance = encode(Weights(autoencoder.encoder), audio, stages=4, heads=2)
    assert close(posterior.mean, mean)
    assert close(posterior.log_variance, log_variance)


@torch.no_grad()
def test_decoder(autoencoder: OriginalAutoencoder) -> None:
    latents = torch.randn(2, 6, FRAMES)
    wanted = decode(Weights(autoencoder.decoder), latents, stages=4, heads=2)
    assert close(autoencoder.decode(latents), wanted)


@torch.no_grad()
def test_transformer() -> None:
    config = OriginalTransformerConfig(latent_channels=6, width=24, depth=3, heads=4)
    model = shaken(OriginalTransformer(config))
    latents, time = torch.randn(2, 6, FRAMES), torch.tensor([3.0, 499.0])
    wanted = denoise(Weights(model), latents, time, blocks=3, heads=4)
    assert close(model(latents, time), wanted)
