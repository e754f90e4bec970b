"""Which groups of pieces or recordings are learned from, and which validate and test."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from pydantic import Field, model_validator

from segue.core.config import StrictModel

SPLITS = ("train", "valid", "test")
"""Names of the splits."""

_TYPICAL_GROUPS = 4


class SplitSettings(StrictModel):
    """How much is kept back."""

    valid_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the groups that validate."""
    test_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the groups that test."""
    largest_held_out_share: float = Field(default=0.01, gt=0, le=1)
    """A group with more than this share of everything (and four times the mean) is always learned from."""

    @model_validator(mode="after")
    def _check(self) -> "SplitSettings":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share together leave nothing to learn from")
        return self


def split_of(group: str, settings: SplitSettings, *, seed: int) -> str:
    """Return the split of a group: a function of its name and the seed alone.

    Groups that come or go elsewhere do not move it.
    """
    place = _place(group, seed)
    if place < settings.valid_share:
        return "valid"
    if place < settings.valid_share + settings.test_share:
        return "test"
    return "train"


def _place(group: str, seed: int) -> float:
    """Return a number from 0 to 1 drawn by the name of a group."""
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_pieces(
    groups: Sequence[str], sizes: Sequence[float], settings: SplitSettings, *, seed: int
) -> list[str]:
    """Return the split of every piece, never cutting a group.

    A corpus so small that the draw leaves a split empty gives it the group drawn nearest.

    Args:
        groups: the group of every piece.
        sizes: size of every piece, such as its notes or seconds.
        settings: shares.
        seed: another seed gives another split.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    for group, size in zip(groups, sizes, strict=True):
        totals[group] += size
    everything = sum(sizes)
    most = max(
        settings.largest_held_out_share * everything,
        _TYPICAL_GROUPS * everything / max(1, len(totals)),
    )
    split = {
        group: "train" if size > most else split_of(group, settings, seed=seed)
        for group, size in totals.items()
    }
    _fill_empty(split, settings, seed)
    return [split[group] for group in groups]


def _fill_empty(split: dict[str, str], settings: SplitSettings, seed: int) -> None:
    """Give every split that is wanted and empty one group, training first, testing last."""
    shares = (1.0, settings.valid_share, settings.test_share)
    wanted = [name for name, share in zip(SPLITS, shares, strict=True) if share]
    for number, name in enumerate(wanted):
        if name in split.values():
            continue
        counts = Counter(split.values())
        givers = [other for other in wanted if counts[other] > (other in wanted[:number])]
        giver = max(givers, key=lambda other: counts[other], default=None)
        members = [group for group, own in split.items() if own == giver]
        if members:
            split[min(members, key=lambda group: _place(group, seed))] = name
