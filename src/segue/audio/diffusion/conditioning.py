"""What the transformer is told beside the latents: time, size of the coming step, labels, text."""

import math
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
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


class Told(NamedTuple):
    """What the rows of a batch are asked for.

    Attributes:
        labels: shares of the labels, of sum 1, or all 0 for none. Shape ``batch labels``.
        text: vectors of length 1, or all 0 for none. Shape ``batch dims``.
    """

    labels: Float[Tensor, "batch labels"]
    text: Float[Tensor, "batch dims"]

    def rows(self, rows: Tensor) -> Self:
        """Return some rows."""
        return type(self)(self.labels[rows], self.text[rows])

    def nothing(self) -> Self:
        """Return rows of the same shape that ask for nothing."""
        return type(self)(torch.zeros_like(self.labels), torch.zeros_like(self.text))


class Conditioning(nn.Module):
    """One vector out of time, step, labels and text.

    Every label has a learnt vector, and so has music without one (row 0 of the table); what several
    labels give is the mean of theirs. The vector of a text enters through a linear map, which begins
    at 0: a model that learns texts begins as the one it was.

    The part of the step is exactly 0 for a step of 0, whatever the weights are: a flow model learns
    nothing there, and few-step training starts from the flow model itself.

    Args:
        width: size of the vector.
        num_labels: labels.
        text_dims: of the vectors of texts; 0 for a model that knows none.
        features: sinusoids of a time.
    """

    def __init__(
        self, width: int, *, num_labels: int, text_dims: int = 0, features: int = 128
    ) -> None:
        super().__init__()
        self.features = features
        self.time = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.step = nn.Linear(features, width, bias=False)
        self.step_out = nn.Linear(width, width, bias=False)
        self.label = nn.Embedding(num_labels + 1, width)
        self.text = nn.Linear(text_dims, width, bias=False) if text_dims else None

    def initialise(self) -> None:
        """Draw the weights: normal(0, 0.02), and no effect of step and text."""
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
            else:
                nn.init.zeros_(parameter)
        nn.init.zeros_(self.step_out.weight)
        if self.text is not None:
            nn.init.zeros_(self.text.weight)

    def forward(
        self,
        time: Float[Tensor, " batch"],
        step: Float[Tensor, " batch"],
        labels: Float[Tensor, "batch labels"],
        text: Float[Tensor, "batch dims"] | None = None,
    ) -> Float[Tensor, "batch width"]:
        """Return the conditioning vector.

        Args:
            time: 0 (data) to 1 (noise).
            step: how far the sampler is about to go, 0 to 1; 0 asks for the velocity itself.
            labels: shares of the labels, of sum 1, or all 0 for none.
            text: vectors of length 1, or all 0 for none.
        """
        at_zero = sinusoids(torch.zeros_like(step), self.features)
        steps = self.step_out(functional.silu(self.step(sinusoids(step, self.features) - at_zero)))
        times = self.time(sinusoids(time, self.features))
        asked = times + steps + self._mean(labels)
        if self.text is not None and text is not None:
            asked = asked + self.text(text)
        vector: Tensor = functional.silu(asked)
        return vector

    def _mean(self, labels: Float[Tensor, "batch labels"]) -> Float[Tensor, "batch width"]:
        """Return the mean of the vectors of labels, the vector of none where there are none.

        A sum of products rather than a matrix product: exact for one label, whatever the precision
        of training, and stored as finely as a table.
        """
        shares = torch.cat([1 - labels.sum(-1, keepdim=True), labels], dim=-1)
        return (shares.unsqueeze(-1) * self.label.weight).sum(dim=1)
