"""Which pieces belong together, and which are left out for being there already."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, field_validator

from segue.core.config import StrictModel
from segue.core.progress import Progress, silent
from segue.symbolic.data.duplicates import Groups, group_names, near_pairs
from segue.symbolic.data.inventory import Inventory, key_of, read_lines, write_lines

LIKE_HELD_OUT = "like a held-out piece"
SAME_NOTES = "same notes as another piece"
HELD_OUT = "held out"

_FORMAT = 1


class DuplicateSettings(StrictModel):
    """When two pieces belong together."""

    phrases: int = Field(default=512, ge=16, le=65_536)
    """Phrases remembered of a piece (the k of the bottom-k sketch)."""
    containment: float = Field(default=0.25, gt=0, le=1)
    """Share of the smaller piece's phrases that near duplicates have in common, at least."""
    shared_phrases: int = Field(default=12, ge=1)
    """Phrases that near duplicates have in common, at least."""
    drop_equal: bool = True
    """Whether of pieces with equal notes only the first is kept."""
    work_patterns: tuple[str, ...] = ()
    """Regular expressions searched in paths; where their groups match alike, pieces are one work."""

    @field_validator("work_patterns")
    @classmethod
    def _check_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression ({error})") from None
        return value


class Verdict(NamedTuple):
    """What is decided about a file.

    Attributes:
        group: name of its group; pieces of one group stay together.
        reason: why it is left out, or None.
    """

    group: str
    reason: str | None


def group_pieces(
    inventory: Inventory,
    settings: DuplicateSettings,
    stage: Path,
    *,
    num_own: int,
    progress: Progress = silent,
) -> list[Verdict]:
    """Decide about every file, or take up what an earlier run decided.

    Args:
        inventory: all files, those held out last.
        settings: when two pieces belong together.
        stage: folder for the result.
        num_own: number of files that are not held out.
        progress: who listens.
    """
    files = [
        (source.path, file.sha256, file.reason)
        for source, file in zip(inventory.sources, inventory.scanned, strict=True)
    ]
    key = key_of(_FORMAT, settings.model_dump(), num_own, files)
    path = stage / "groups.jsonl"
    try:
        head, *lines = read_lines(path)
        if head == {"key": key}:
            return [Verdict(**line) for line in lines]
    except (OSError, ValueError):
        pass  # nothing there, or damaged: decided anew
    verdicts = _decide(inventory, settings, num_own, stage, progress)
    write_lines(path, [{"key": key}, *(verdict._asdict() for verdict in verdicts)])
    return verdicts


def _decide(
    inventory: Inventory,
    settings: DuplicateSettings,
    num_own: int,
    stage: Path,
    progress: Progress,
) -> list[Verdict]:
    """Join what is alike into groups, and say what is left out."""
    scanned = inventory.scanned
    groups = Groups(len(scanned))
    groups.join_equal([file.note_hash for file in scanned])
    pairs = near_pairs(
        inventory.sketches,
        containment=settings.containment,
        shared=settings.shared_phrases,
        folder=stage,
        progress=progress,
    )
    for pair in pairs:
        groups.join(pair.one, pair.other)
    reasons = _reasons(inventory, groups.roots(), settings, num_own)
    for pattern in settings.work_patterns:
        own = inventory.sources[:num_own]
        groups.join_equal([_work(pattern, source.path) for source in own])
    names = group_names(groups, [file.sha256 for file in scanned])
    return [Verdict(*both) for both in zip(names, reasons, strict=True)]


def _reasons(
    inventory: Inventory, roots: Sequence[int], settings: DuplicateSettings, num_own: int
) -> list[str | None]:
    """Return why each file is left out: its own fault, held out, like one held out, or equal."""
    held_out = set(roots[num_own:])
    seen: set[str] = set()
    reasons: list[str | None] = []
    for number, (file, root) in enumerate(zip(inventory.scanned, roots, strict=True)):
        reason = file.reason
        if number >= num_own:
            reason = HELD_OUT
        elif reason is None and root in held_out:
            reason = LIKE_HELD_OUT
        elif reason is None and settings.drop_equal and file.note_hash in seen:
            reason = SAME_NOTES
        if reason is None:
            seen.add(file.note_hash)
        reasons.append(reason)
    return reasons


def _work(pattern: str, path: str) -> str | None:
    """Return what a pattern finds in a path, or None."""
    match = re.search(pattern, path)
    return "\x00".join(part or "" for part in match.groups() or (match.group(),)) if match else None
