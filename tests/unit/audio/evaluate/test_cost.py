"""Operations are counted from shapes: closed forms, and the original's networks."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.autoencoder.original import OriginalAutoencoder, OriginalAutoencoderConfig
from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.evaluate.cost import count_operations


class Attend(nn.Module):
    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(queries, keys, keys)


class Transform(nn.Module):
    def forward(self, frames: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(frames))


@pytest.mark.parametrize(
    ("module", "shapes", "expected"),
    [
        (nn.Linear(3, 5), [(2, 7, 3)], 2 * 14 * 15),
        (nn.Conv1d(4, 6, 5, stride=2, padding=2), [(2, 4, 20)], 2 * 2 * 10 * 4 * 6 * 5),
        (nn.Conv1d(4, 6, 5, groups=2, padding=2), [(1, 4, 20)], 2 * 20 * 2 * 6 * 5),
        (nn.ConvTranspose1d(4, 6, 8, stride=4), [(1, 4, 9)], 2 * 9 * 4 * 6 * 8),
        (Attend(), [(2, 3, 10, 8), (2, 3, 20, 8)], 2 * 2 * 6 * 10 * 20 * 8),
        (Transform(), [(3, 16)], 2 * 3 * 2.5 * 16 * 4),
        (nn.GELU(), [(3, 16)], 0),
    ],
    ids=["linear", "strided", "grouped", "transposed", "attention", "fourier", "free"],
)
def test_closed_forms(module: nn.Module, shapes: list[tuple[int, ...]], expected: float):
    assert count_operations(module, *(torch.zeros(shape) for shape in shapes)) == expected


def test_counting_runs_nothing_and_changes_nothing():
    layer = nn.Linear(2, 2)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with torch.device("meta"):
        huge = nn.Linear(1_000_000, 1_000_000)
        many = torch.zeros(1000, 1_000_000)
    assert count_operations(huge, many) == 2 * 10**15
    assert count_operations(layer, input=torch.zeros(1, 2)) == 8
    assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())


def test_what_ten_seconds_of_the_original_cost():
    with torch.device("meta"):
        transformer = OriginalTransformer(OriginalTransformerConfig())
        autoencoder = OriginalAutoencoder(OriginalAutoencoderConfig())
    latents = torch.zeros(1, 32, 2500)
    step = count_operations(transformer, latents, torch.zeros(1))
    assert step / 1e9 == pytest.approx(137.6, abs=0.1)
    assert count_operations(autoencoder.decoder, latents) / 1e9 == pytest.approx(184.3, abs=0.1)
