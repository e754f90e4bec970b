"""Which groups of pieces are learned from and which are kept for validation and testing."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from pydantic import Field, model_validator

from segue.core.config import StrictModel

SPLITS = ("train", "valid", "test")
"""Names of the splits."""


class SplitSettings(StrictModel):
    """How much is kept back."""

    valid_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the groups that validate."""
    test_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the groups that test."""
    largest_held_out_share: float = Field(default=0.01, gt=0, le=1)
    """A group with more than this share of all notes is always learned from."""

    @model_validator(mode="after")
    def _check(self) -> "SplitSettings":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share together leave nothing to learn from")
        return self


def split_of(group: str, settings: SplitSettings, *, seed: int) -> str:
    """Return the split of a group: a function of its name and the seed alone.

    Groups that are added or removed elsewhere do not move it.
    """
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < settings.valid_share:
        return "valid"
    if place < settings.valid_share + settings.test_share:
        return "test"
    return "train"


def split_pieces(
    groups: Sequence[str], notes: Sequence[int], settings: SplitSettings, *, seed: int
) -> list[str]:
    """Return the split of every piece, never cutting a group.

    Args:
        groups: the group of every piece.
        notes: number of notes of every piece.
        settings: shares.
        seed: another seed gives another split.
    """
    sizes: Counter[str] = Counter()
    for group, count in zip(groups, notes, strict=True):
        sizes[group] += count
    most = settings.largest_held_out_share * sum(notes)
    return [
        "train" if sizes[group] > most else split_of(group, settings, seed=seed) for group in groups
    ]
