"""What is asked of a diffusion model: labels, free text, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.core.config import StrictModel

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Condition:
    """What is asked of the model.

    Attributes:
        labels: names that the model knows; of several, the mean of what was learnt for each.
        text: free text; empty for none. Labels and text may both be given; neither is unconditional.
    """

    labels: tuple[str, ...] = ()
    text: str = ""

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return any(label.strip() for label in self.labels) or bool(self.text.strip())


NOTHING: Final = Condition()
"""Unconditional."""


class TextSettings(StrictModel):
    """What makes vectors of text, in recipes and in the config of bundles."""

    encoder: str = Field(default="wordllama", description="see segue.audio.text")
    dims: int = Field(default=256, gt=0, description="numbers of the vector of a text")


class Told(NamedTuple):
    """A condition as the network sees it.

    Attributes:
        labels: shares of the labels, of sum 1, or all 0 for none. Shape ``labels``.
        text: vector of length 1, or all 0 for none. Shape ``dims``.
    """

    labels: Array
    text: Array

    @property
    def anything(self) -> bool:
        """Whether anything is told."""
        return bool(self.labels.any() or self.text.any())


def shares(indices: Sequence[int], count: int) -> Array:
    """Return equal shares of some labels, of sum 1; all 0 where there are none.

    Args:
        indices: of the labels, each once.
        count: labels that there are.
    """
    found = np.zeros(count, np.float32)
    if len(indices):
        found[list(indices)] = 1 / len(indices)
    return found
