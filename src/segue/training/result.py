"""How a training ended."""

from dataclasses import dataclass

from segue.training.run import RunFolder


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Attributes:
        folder: the run folder.
        steps: optimiser steps taken.
        finished: whether the recipe's last step was reached.
        validation: the last validation metrics, by name.
    """

    folder: RunFolder
    steps: int
    finished: bool
    validation: dict[str, float]
