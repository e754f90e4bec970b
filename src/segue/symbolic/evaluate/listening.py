"""A blind listening test in one file: pairs of sounds, sides and order shuffled, systems hidden.

`write_listening_page` writes the page, which a listener opens offline, and beside it ``key.json``, which
a listener must not see. `analyse_answers` reads the files that listeners saved.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from segue.core.files import write_text
from segue.core.seeds import generator
from segue.errors import DataError, SettingError
from segue.symbolic.evaluate.listening_page import PagePair, Side, listening_html
from segue.symbolic.evaluate.listening_results import (
    CRITERIA,
    FORMAT,
    Analysis,
    Comparison,
    Key,
    KeyPair,
    Listener,
    analyse_answers,
    read_key,
)

__all__ = [
    "CRITERIA",
    "Analysis",
    "Comparison",
    "Item",
    "Listener",
    "Version",
    "Written",
    "analyse_answers",
    "read_key",
    "write_listening_page",
]

KEY_NAME = "key.json"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SOUNDS: Final = {b"OggS": "audio/ogg", b"RIFF": "audio/wav", b"fLaC": "audio/flac"}


@dataclass(frozen=True)
class Version:
    """What one system made of an excerpt.

    Args:
        system: its name; stands in the key, never in the page.
        sound: an Ogg, WAV or FLAC file. Its own tags are not looked at: leave none that tell.
        picture: a PNG, such as a piano roll, or None.
    """

    system: str
    sound: bytes
    picture: bytes | None = None


@dataclass(frozen=True)
class Item:
    """Two systems on the same excerpt.

    Args:
        excerpt: name of the excerpt, for the analysis; the same in every item of that excerpt.
        first: one version.
        second: the other.
    """

    excerpt: str
    first: Version
    second: Version


class Written(NamedTuple):
    """Where a listening test was written."""

    page: Path
    key: Path


class _Shown(NamedTuple):
    """A pair on the page: its name there, which side is which, and the pair that it repeats."""

    name: str
    item: Item
    swapped: bool
    repeats: str | None = None

    def sides(self) -> tuple[Version, Version]:
        """Return what stands on the left and on the right."""
        first, second = self.item.first, self.item.second
        return (second, first) if self.swapped else (first, second)

    def key(self) -> KeyPair:
        """Say which system stands where."""
        a, b = self.sides()
        return KeyPair(excerpt=self.item.excerpt, a=a.system, b=b.system, repeats=self.repeats)


def write_listening_page(
    items: Sequence[Item],
    path: Path | str,
    *,
    seed: int,
    repeats: int = 0,
    title: str = "Listening test",
) -> Written:
    """Write a page of blind pairs, and its key beside it.

    Where another page's key stands there already, that page and its key stay, so that answers to it can
    still be read: this page is ``listen-2.html`` and its key ``key-2.json``, or the next number.

    Order and sides are drawn by the seed; of each two systems, each stands on the left in half of the
    pairs (one more where their number is odd). The same call writes the same bytes.

    Args:
        items: the pairs.
        path: the HTML file to write.
        seed: draws order, sides, and what comes again.
        repeats: so many pairs come a second time, sides swapped, to see how consistent a listener is.
        title: heading of the page; listeners read it.

    Returns:
        The page and its key, ``key.json`` in the same folder. Keep the key from listeners.

    Raises:
        SettingError: there are no pairs, a pair cannot be judged blind (one system twice, sounds of
            two kinds, one picture only), or there are fewer pairs than repeats.
    """
    path = Path(path)
    if not 0 <= repeats <= len(items) or not items:
        raise SettingError(
            f"A listening test needs pairs, and no more repeats than pairs; {len(items)} pairs and "
            f"{repeats} repeats were given."
        )
    for item in items:
        _check(item)
    shown = _draw(items, repeats, generator(seed, "listening"))
    page = _page_name(items, seed, repeats)
    key = Key(
        format=FORMAT,
        page=page,
        seed=seed,
        systems=_systems(items),
        pairs={one.name: one.key() for one in shown},
    )
    pairs = [PagePair(one.name, *map(_side, one.sides())) for one in shown]
    written = _place(path, page)
    write_text(written.page, listening_html(pairs, page=page, title=title))
    write_text(written.key, key.model_dump_json(indent=1) + "\n")
    return written


def _place(path: Path, page: str) -> Written:
    """Return where a page and its key can stand without taking another page's place."""
    key = path.with_name(KEY_NAME)
    found, number = Written(path, key), 1
    while found.key.exists() and not _is_key_of(found.key, page):
        number += 1
        names = (path.with_stem(f"{path.stem}-{number}"), key.with_stem(f"{key.stem}-{number}"))
        found = Written(*names)
    return found


def _is_key_of(path: Path, page: str) -> bool:
    try:
        return read_key(path).page == page
    except DataError:
        return False


def _draw(items: Sequence[Item], repeats: int, rng: np.random.Generator) -> list[_Shown]:
    """Draw order, sides, names, and which pairs come again at the end."""
    swapped = _draw_sides(items, rng)
    order = rng.permutation(len(items)).tolist()
    again = rng.choice(len(items), size=repeats, replace=False).tolist()
    names = _names(len(order) + repeats, rng)
    earlier = dict(zip(order, names, strict=False))
    return [
        *(
            _Shown(name, items[number], swapped[number])
            for name, number in zip(names, order, strict=False)
        ),
        *(
            _Shown(name, items[number], not swapped[number], earlier[number])
            for name, number in zip(names[len(order) :], again, strict=True)
        ),
    ]


def _check(item: Item) -> None:
    """Refuse a pair that gives itself away."""
    first, second = item.first, item.second
    if first.system == second.system:
        raise SettingError(f"The pair of {item.excerpt!r} holds {first.system!r} twice.")
    if _media_type(first.sound) != _media_type(second.sound):
        raise SettingError(f"The two sounds of {item.excerpt!r} are files of different kinds.")
    if (first.picture is None) != (second.picture is None):
        raise SettingError(f"Only one side of {item.excerpt!r} has a picture; give both or none.")
    for picture in (first.picture, second.picture):
        if picture is not None and not picture.startswith(_PNG):
            raise SettingError(f"A picture of {item.excerpt!r} is not a PNG file.")


def _media_type(sound: bytes) -> str:
    """Return what kind of file a sound is."""
    if sound[:4] not in _SOUNDS:
        raise SettingError("A sound of a listening test must be an Ogg, WAV or FLAC file.")
    return _SOUNDS[sound[:4]]


def _systems(items: Sequence[Item]) -> list[str]:
    """Return the systems in the order in which they come first."""
    return list(dict.fromkeys(v.system for item in items for v in (item.first, item.second)))


def _draw_sides(items: Sequence[Item], rng: np.random.Generator) -> list[bool]:
    """Draw for each pair whether its sides are swapped, half and half for each two systems."""
    groups: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        groups[frozenset((item.first.system, item.second.system))].append(number)
    swapped = [False] * len(items)
    for numbers in groups.values():
        left = items[numbers[0]].first.system
        extra = int(rng.integers(2)) if len(numbers) % 2 else 0
        wanted = set(rng.permutation(numbers)[: len(numbers) // 2 + extra].tolist())
        for number in numbers:
            swapped[number] = (number in wanted) == (items[number].first.system == left)
    return swapped


def _names(count: int, rng: np.random.Generator) -> list[str]:
    """Return names without meaning, all different."""
    names: dict[str, None] = {}
    while len(names) < count:
        names[rng.bytes(6).hex()] = None
    return list(names)


def _page_name(items: Sequence[Item], seed: int, repeats: int) -> str:
    """Return a name that differs between pages of different content."""
    digest = hashlib.sha256(f"{seed}/{repeats}/{len(items)}".encode())
    for item in items:
        for version in (item.first, item.second):
            for part in (item.excerpt.encode(), version.system.encode(), version.sound):
                digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _side(version: Version) -> Side:
    """Return what listeners meet of a version."""
    return Side(version.sound, _media_type(version.sound), version.picture)
