"""The splits that the makers of a corpus published, written beside its music.

``splits.csv`` (path, split, label, group) has the form that `segue.audio` reads as well;
``credits.csv`` (path, artist, title, licence) says who made what.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from segue.core.split import SPLITS
from segue.core.tables import write_table
from segue.errors import DataError

SPLITS_NAME = "splits.csv"
CREDITS_NAME = "credits.csv"
NAMES = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}
"""What makers call the splits, and what they are called here."""


class Piece(NamedTuple):
    """A file of a corpus, as its makers describe it.

    ``path`` is below the folder of the music; ``split`` is a key of `NAMES`; ``label`` is a style,
    a composer or empty; pieces of one ``group`` belong together.
    """

    path: str
    split: str
    label: str
    group: str
    artist: str = ""
    title: str = ""


def write_official(pieces: Iterable[Piece], folder: Path, *, licence: str) -> dict[str, int]:
    """Write ``splits.csv``, and ``credits.csv`` where artists are known, into a folder of music.

    Files that are not there are left out and counted.

    Args:
        pieces: all files of the corpus.
        folder: the folder with the music.
        licence: under what terms every piece may be used.

    Returns:
        How many pieces went where.

    Raises:
        DataError: a split has a name that nobody knows, or none of the files is there.
    """
    counts: Counter[str] = Counter()
    kept: list[Piece] = []
    for piece in pieces:
        if piece.split not in NAMES:
            raise DataError(
                f"{piece.path} is in a split called {piece.split!r}; known are {', '.join(NAMES)}. "
                "Download the corpus again."
            )
        there = (folder / piece.path).is_file()
        counts[NAMES[piece.split] if there else "left out: file missing"] += 1
        if there:
            kept.append(piece)
    if not kept:
        raise DataError(f"{folder} holds none of the files that its table names.")
    rows = [(piece.path, NAMES[piece.split], piece.label, piece.group) for piece in kept]
    write_table(folder / SPLITS_NAME, ("path", "split", "label", "group"), rows)
    if any(piece.artist for piece in kept):
        rows = [(piece.path, piece.artist, piece.title, licence) for piece in kept]
        write_table(folder / CREDITS_NAME, ("path", "artist", "title", "licence"), rows)
    return dict(counts)


def from_folders(folder: Path) -> list[Piece]:
    """Return the pieces of a corpus that keeps each split in a folder of its name."""
    return [
        Piece(path.relative_to(folder).as_posix(), split, "", path.stem)
        for split in SPLITS
        for path in sorted((folder / split).glob("*.mid"))
    ]
