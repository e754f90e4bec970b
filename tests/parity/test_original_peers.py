"""The original's losses and attention against the libraries that it took them from."""

import numpy as np
import pytest
import torch
from torch import nn

from segue.audio.autoencoder.original_losses import a_weighting_taps, multi_resolution_stft
from segue.audio.original_attention import Attention, sinusoids

auraloss = pytest.importorskip("auraloss")


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000])
def test_the_weighting_filter(rate_hz: int):
    peer = auraloss.perceptual.FIRFilter("aw", fs=rate_hz).fir.weight.data.flatten().numpy()
    assert np.abs(np.array(a_weighting_taps(rate_hz)) - peer).max() < 1e-6


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shape", [(2, 1, 16_000), (1, 2, 3001)])
def test_the_loss_and_its_gradient(weighted: bool, shape: tuple[int, int, int]):
    torch.manual_seed(4)
    target = 0.1 * torch.randn(shape)
    one = (target + 0.05 * torch.randn(shape)).requires_grad_()
    other = one.detach().clone().requires_grad_()
    peer = auraloss.freq.MultiResolutionSTFTLoss(perceptual_weighting=weighted, sample_rate=16_000)(
        one, target
    )
    ours = multi_resolution_stft(other, target, rate_hz=16_000 if weighted else None)
    peer.backward()
    ours.backward()
    assert torch.allclose(ours.detach(), peer.detach(), rtol=1e-5)
    assert torch.allclose(other.grad, one.grad, atol=1e-4 * float(one.grad.abs().max()))


@pytest.mark.parametrize("tokens", [None, 5])
def test_attention_is_pytorchs_multihead_attention(tokens: int | None):
    torch.manual_seed(4)
    ours = Attention(24, heads=4)
    peer = nn.MultiheadAttention(24, 4, batch_first=True)
    nn.init.normal_(ours.qkv.bias)
    with torch.no_grad():
        peer.in_proj_weight.copy_(ours.qkv.weight)
        peer.in_proj_bias.copy_(ours.qkv.bias)
    peer.out_proj.load_state_dict(ours.out.state_dict())
    queries = torch.randn(2, 9, 24)
    context = None if tokens is None else torch.randn(2, tokens, 24)
    other = queries if context is None else context
    expected = peer(queries, other, other, need_weights=False)[0]
    assert torch.allclose(ours(queries, context), expected, atol=1e-6)


def test_attention_is_drawn_as_pytorchs_is():
    torch.manual_seed(4)
    ours = Attention(128, heads=4)
    peer = nn.MultiheadAttention(128, 4, batch_first=True)
    with torch.no_grad():
        wide = ours.qkv.weight.std().item(), peer.in_proj_weight.std().item()
        narrow = ours.out.weight.std().item(), peer.out_proj.weight.std().item()
    assert wide[0] == pytest.approx(wide[1], rel=0.02)
    assert narrow[0] == pytest.approx(narrow[1], rel=0.05)
    assert not ours.qkv.bias.any()
    assert not ours.out.bias.any()


def test_positions_are_the_transformers():
    table = sinusoids(torch.arange(50), 12).numpy()
    places, pairs = np.arange(50)[:, None], np.arange(6)[None]
    angles = places / 10_000 ** (2 * pairs / 12)
    assert np.abs(table[:, 0::2] - np.sin(angles)).max() < 1e-5
    assert np.abs(table[:, 1::2] - np.cos(angles)).max() < 1e-5
