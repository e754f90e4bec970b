"""Names of files, as people gave them and as they are handed back; never a path."""

from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote

LONGEST: Final = 120
_NOT_IN_NAMES: Final = frozenset('<>:"|?*')


def clean_name(given: str, *, default: str) -> str:
    """Return a name that was sent along, without folders and odd characters.

    Args:
        given: anything.
        default: what it is called where nothing is left; its ending is used where there is none.
    """
    last = given.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in last if c.isprintable() and c not in _NOT_IN_NAMES).strip(" .")
    stem, dot, ending = kept.rpartition(".")
    if not (stem.strip() and dot):
        stem, ending = kept, default.rpartition(".")[2]
    if not stem.strip():
        return default
    return f"{stem[: LONGEST - 10].strip()}.{ending[:9]}"


def result_name(source: str, what: str, *, ending: str, rank: int = 1) -> str:
    """Return what the commands call a result by default.

    Args:
        source: name of the file that it was made of.
        what: such as "inpainted".
        ending: with its dot.
        rank: 1 is the best and has no number.

    Example:
        >>> result_name("song.mid", "inpainted", ending=".mid", rank=2)
        'song-inpainted-2.mid'
    """
    number = "" if rank == 1 else f"-{rank}"
    return f"{PurePosixPath(source).stem[:LONGEST]}-{what}{number}{ending}"


def with_ending(name: str, ending: str) -> str:
    """Return a name with another ending."""
    return PurePosixPath(name).stem + ending


def attachment(name: str) -> dict[str, str]:
    """Return the header that gives an answer the name of a file."""
    plain = "".join(c if (c.isascii() and c.isalnum()) or c in " ._-" else "_" for c in name)
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    }
