"""What stands on the page, as data: kept beside it, so that one item can be made anew alone."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from segue.core.files import write_text
from segue.errors import DataError

LIST_NAME: Final = "items.json"


@dataclass(frozen=True)
class Version:
    """One way that a piece or a clip sounds.

    Attributes:
        key: short name of who made it.
        label: heading.
        note: what is to be known of it.
        picture: file of its picture, seen from the page.
        size: width and height of the picture in pixels.
        alt: the picture in words.
        sound: file of its sound, empty where nothing sounds.
        seconds: how long the sound lasts.
        midi: file of the notes, empty for sound.
    """

    key: str
    label: str
    note: str
    picture: str
    size: tuple[int, int]
    alt: str
    sound: str
    seconds: float
    midi: str = ""


@dataclass(frozen=True)
class Item:
    """A piece or a clip with all its versions.

    Attributes:
        slug: name of its files.
        kind: ``midi`` or ``audio``.
        category: of the page.
        title: heading.
        about: what it is.
        asked: what the model was asked for.
        facts: names and values of settings and measurements.
        versions: in the order of the page.
    """

    slug: str
    kind: str
    category: str
    title: str
    about: str
    asked: str
    facts: list[tuple[str, str]]
    versions: list[Version]


def read_items(folder: Path) -> dict[str, Item]:
    """Return the items that were made in a folder, by slug; none where there is no list.

    Raises:
        DataError: the list is damaged.
    """
    path = folder / LIST_NAME
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["slug"]: _item(row) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({error}). Remove it and make the gallery anew."
        ) from error


def _item(row: dict[str, object]) -> Item:
    versions = [
        Version(**{**version, "size": tuple(version["size"])})
        for version in row["versions"]  # type: ignore[attr-defined]  # checked by who calls
    ]
    facts = [tuple(pair) for pair in row["facts"]]  # type: ignore[attr-defined]  # likewise
    return Item(**{**row, "facts": facts, "versions": versions})  # type: ignore[arg-type]  # likewise


def write_items(folder: Path, items: list[Item]) -> None:
    """Keep the items of a page beside it."""
    text = json.dumps([asdict(item) for item in items], indent=1, ensure_ascii=False)
    write_text(folder / LIST_NAME, text + "\n")
