"""Which pieces are learnt from: drawn by cluster, drawn by file, or as a published list says.

A prepared folder publishes its split as ``files-train.csv``, ``files-valid.csv`` and ``files-test.csv``:
path, SHA-256 of the file, hash of its notes, cluster and split. Whoever has the same files, wherever they
lie and whatever they are called, gets the same split from these lists, without scanning for duplicates.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from segue.core.files import atomic_path, sha256_of
from segue.core.split import SPLITS, SplitSettings, split_pieces
from segue.errors import DataError
from segue.symbolic.data.shards import Piece

NOT_LISTED = "not in the split list"
"""Reason given to a file that a split list does not name."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class MidiSplitSettings(SplitSettings):
    """How much is kept back, and what is never cut."""

    by: Literal["cluster", "file"] = "cluster"
    """What is drawn: clusters of near duplicates, or single files, as the published splits of Lakh
    are, where near duplicates stand on both sides."""


class Listed(NamedTuple):
    """A line of a split list."""

    path: str
    sha256: str
    note_hash: str
    cluster: str
    split: str


class SplitList(NamedTuple):
    """A split that was published.

    Attributes:
        lines: the pieces.
        sha256: of the files of the list, in the order of their names.
    """

    lines: list[Listed]
    sha256: tuple[str, ...]


def list_path(target: Path, split: str) -> Path:
    """Return where a prepared folder keeps the list of a split."""
    return target / f"files-{split}.csv"


def draw_splits(pieces: Sequence[Piece], settings: MidiSplitSettings, *, seed: int) -> list[str]:
    """Return the split of every piece, never cutting what `settings` says."""
    units = [piece.group if settings.by == "cluster" else piece.sha256 for piece in pieces]
    return split_pieces(units, [piece.notes for piece in pieces], settings, seed=seed)


def write_lists(target: Path, lines: Iterable[Listed]) -> None:
    """Write the list of every split, sorted by path; paths need not be valid Unicode."""
    ordered = sorted(lines)
    for split in SPLITS:
        with (
            atomic_path(list_path(target, split)) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
        ):
            stream.write(",".join(Listed._fields) + "\n")
            for line in ordered:
                if line.split == split:
                    stream.write(",".join(map(_cell, line)) + "\n")


def _cell(text: str) -> str:
    """Return a cell of a CSV file; Python's own writer leaves a carriage return unquoted."""
    return '"' + text.replace('"', '""') + '"' if re.search(r'[,"\r\n]', text) else text


def read_split_list(given: Sequence[Path | str]) -> SplitList:
    """Read lists of files, or those of prepared folders.

    Args:
        given: files, or folders that `segue midi prepare` wrote.

    Raises:
        DataError: there is no list, or it is not one.
    """
    paths: list[Path] = []
    for place in map(Path, given):
        paths += sorted(place.glob("files-*.csv")) if place.is_dir() else [place]
    if not paths:
        raise DataError(
            f"There is no list of files (files-*.csv) in {', '.join(map(str, given))}. Name a list, or "
            "a folder that `segue midi prepare` wrote."
        )
    lines = [line for path in paths for line in _read(path)]
    return SplitList(lines, tuple(sha256_of(path) for path in paths))


def _read(path: Path) -> list[Listed]:
    """Read one list."""
    lines = []
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            rows = csv.reader(stream)
            head = next(rows, [])
            if tuple(head) != Listed._fields:
                raise DataError(
                    f"{path} does not begin with the columns {', '.join(Listed._fields)}. Name a list "
                    "that `segue midi prepare` wrote."
                )
            for row in rows:
                if len(row) != len(head) or row[4] not in SPLITS or not _SHA256.fullmatch(row[1]):
                    raise DataError(
                        f"Line {rows.line_num} of {path} is not a path, a SHA-256, a hash, a cluster "
                        f"and a split ({', '.join(SPLITS)}). Take the list as it was published."
                    )
                lines.append(Listed(*row))
    except (OSError, csv.Error) as error:
        raise DataError(f"Cannot read the list {path}: {error}.") from error
    return lines


def find_listed(
    hashes: Sequence[str], split_list: SplitList
) -> tuple[list[Listed | None], list[Listed]]:
    """Find the files of a list by their content.

    A content that a list names once is taken from the first file that has it.

    Args:
        hashes: SHA-256 of the files at hand.
        split_list: the list.

    Returns:
        The line of every file, or None; and the lines for which there is no file.
    """
    wanted: dict[str, list[Listed]] = {}
    for line in split_list.lines:
        wanted.setdefault(line.sha256, []).append(line)
    found: list[Listed | None] = []
    for sha256 in hashes:
        lines = wanted.get(sha256)
        found.append(lines.pop(0) if lines else None)
    return found, [line for lines in wanted.values() for line in lines]


def num_near_training(pieces: Sequence[dict[str, str]]) -> Counter[str]:
    """Count, for each split, the pieces of which a near duplicate is learnt from.

    Args:
        pieces: with ``group`` and ``split``.
    """
    learnt = {piece["group"] for piece in pieces if piece["split"] == "train"}
    return Counter(
        piece["split"] for piece in pieces if piece["split"] != "train" and piece["group"] in learnt
    )
