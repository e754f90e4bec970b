"""What the transformer is told beside the latents: time, size of the coming step, label."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

_TIME_SCALE = 1000.0
"""Times in 0..1 are read as the 1000 steps that the sinusoids were made for."""

_LONGEST_PERIOD = 10_000.0


def sinusoids(times: Float[Tensor, " batch"], size: int) -> Float[Tensor, "batch size"]:
    """Return cosines and sines of times in 0..1 at geometrically spaced frequencies.

    The embedding of Dhariwal and Nichol (2021), as diffusion transformers use it.

    Args:
        times: in 0..1.
        size: number of features, even.
    """
    half = size // 2
    exponents = torch.arange(half, dtype=torch.float32, device=times.device) / half
    frequencies = torch.exp(-math.log(_LONGEST_PERIOD) * exponents)
    angles = _TIME_SCALE * times.float().unsqueeze(-1) * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Conditioning(nn.Module):
    """One vector out of time, step and label.

    The part of the step is exactly 0 for a step of 0, whatever the weights are: a flow model learns
    nothing there, and few-step training starts from the flow model itself.

    Args:
        width: size of the vector.
        num_labels: labels, 0 (none) not counted.
        features: sinusoids of a time.
    """

    def __init__(self, width: int, *, num_labels: int, features: int = 128) -> None:
        super().__init__()
        self.features = features
        self.time = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.step = nn.Linear(features, width, bias=False)
        self.step_out = nn.Linear(width, width, bias=False)
        self.label = nn.Embedding(num_labels + 1, width)

    def initialise(self) -> None:
        """Draw the weights: normal(0, 0.02), and no effect of the step."""
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
            else:
                nn.init.zeros_(parameter)
        nn.init.zeros_(self.step_out.weight)

    def forward(
        self,
        time: Float[Tensor, " batch"],
        step: Float[Tensor, " batch"],
        label: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch width"]:
        """Return the conditioning vector.

        Args:
            time: 0 (data) to 1 (noise).
            step: how far the sampler is about to go, 0 to 1; 0 asks for the velocity itself.
            label: 0 for none, otherwise the index of a label + 1.
        """
        at_zero = sinusoids(torch.zeros_like(step), self.features)
        steps = self.step_out(functional.silu(self.step(sinusoids(step, self.features) - at_zero)))
        times = self.time(sinusoids(time, self.features))
        vector: Tensor = functional.silu(times + steps + self.label(label))
        return vector
