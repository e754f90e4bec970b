"""Label, group and split of every file, before anything is decoded.

A file ``splits.csv`` in a source folder knows better: it has a column ``path`` and any of ``split``,
``label`` and ``group``. Files that it does not name are left out. A cell without a split lets it be
drawn, one without a group leaves the rule in force, one without a label means no label. What a
``metadata.csv`` says (see `segue.audio.data.words`) goes before both.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from segue.audio.data.scan import Header, Source
from segue.audio.data.words import METADATA_FILE, Metadata, Words, read_metadata, unique
from segue.core.split import SPLITS, SplitSettings, split_pieces
from segue.errors import DataError

SPLITS_FILE = "splits.csv"
LEFT_OUT_SPLIT = "left out"
COLUMNS = ("path", "split", "label", "group")

GroupBy = Literal["auto", "artist", "folder", "file"]
"""What must not be split; ``auto`` is the artist where a tag names one, else the folder below the
label's, else the file; and the file where that makes fewer groups than there are splits to fill."""


class Place(NamedTuple):
    """Where a file belongs.

    Attributes:
        name: unique path.
        label, group: as `segue.audio.data.cache.Recording` has them.
        split: one of the splits, or ``left out``.
        labels, captions: as `segue.audio.data.words` has them.
    """

    name: str
    label: str
    group: str
    split: str
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


def place_files(
    sources: Sequence[Source],
    headers: Sequence[Header],
    settings: SplitSettings,
    *,
    group_by: GroupBy,
    min_seconds: float,
    seed: int,
) -> list[Place]:
    """Decide where every file belongs.

    Args:
        sources: the files.
        headers: what is known of them.
        settings: how much is kept back.
        group_by: what must not be split.
        min_seconds: shorter files count for nothing, lest a split be given nothing else.
        seed: draws the split.

    Raises:
        DataError: a ``splits.csv`` is not as it must be, or puts one group into two splits.
    """
    seconds = [h.seconds if h.seconds >= min_seconds else 0.0 for h in headers]
    places = _named(sources, headers, group_by)
    num_splits = 1 + (settings.valid_share > 0) + (settings.test_share > 0)
    useful = {p.group for p, length in zip(places, seconds, strict=True) if length}
    if group_by == "auto" and len(useful) < num_splits:
        places = _named(sources, headers, "file")
    return _split(places, seconds, settings, seed=seed)


def _named(sources: Sequence[Source], headers: Sequence[Header], group_by: GroupBy) -> list[Place]:
    """Return name, label and group of every file, and its split where one is listed."""
    roots = list(dict.fromkeys(source.root for source in sources))
    listings = {root: read_listing(root / SPLITS_FILE) for root in roots}
    metadata = {root: read_metadata(root / METADATA_FILE) for root in roots}
    names = _names_of(roots)
    places = []
    for source, header in zip(sources, headers, strict=True):
        listing = listings[source.root]
        listed = {} if listing is None else listing.get(source.path, {"split": LEFT_OUT_SPLIT})
        name = f"{names[source.root]}{source.path}"
        parts = PurePosixPath(source.path).parts
        label = listed.get("label", parts[0] if len(parts) > 1 else "")
        known = metadata[source.root].get(source.path, Metadata())
        words = known.over(Words(unique([label])) + header.words).with_caption()
        artist = known.artist or header.artist
        group = listed.get("group") or _group_of(name, len(parts), artist, group_by)
        first = next(iter(words.labels), "")
        places.append(Place(name, first, group, listed.get("split", ""), *words))
    return places


def _names_of(roots: Sequence[Path]) -> dict[Path, str]:
    """Return what stands before the paths of each folder: nothing where there is but one."""
    if len(roots) == 1:
        return {roots[0]: ""}
    found: dict[Path, str] = {}
    for root in roots:
        own = f"{root.resolve().name}/"
        taken = set(found.values())
        found[root] = own if own not in taken else f"{len(found)}-{own}"
    return found


def count_unknown(sources: Sequence[Source]) -> int:
    """Return how many paths in the ``metadata.csv`` of the folders are not among the files."""
    paths: dict[Path, set[str]] = {source.root: set() for source in sources}
    for source in sources:
        paths[source.root].add(source.path)
    return sum(len(set(read_metadata(root / METADATA_FILE)) - own) for root, own in paths.items())


def _group_of(name: str, depth: int, artist: str, group_by: GroupBy) -> str:
    """Return the group of a file by the rule."""
    artist = " ".join(artist.split()).casefold()
    if group_by in ("auto", "artist") and artist:
        return f"artist {artist}"
    if group_by == "folder" or (group_by == "auto" and depth > 2):
        return f"folder {PurePosixPath(name).parent}"
    return f"file {name}"


def _split(
    places: Sequence[Place], seconds: Sequence[float], settings: SplitSettings, *, seed: int
) -> list[Place]:
    """Give a split to every place that has none; a group follows those of it that have one."""
    fixed: dict[str, str] = {}
    for place in places:
        if place.split in ("", LEFT_OUT_SPLIT):
            continue
        if fixed.setdefault(place.group, place.split) != place.split:
            raise DataError(
                f"{SPLITS_FILE} puts the group {place.group!r} into {fixed[place.group]} and into "
                f"{place.split}. A group (an artist, an album) must stay in one split."
            )
    # What is too short to be of use is drawn for nothing, and a group of nothing else is learned from.
    useful = {p.group for p, length in zip(places, seconds, strict=True) if length} - fixed.keys()
    numbers = [
        number for number, place in enumerate(places) if not place.split and place.group in useful
    ]
    drawn = split_pieces(
        [places[number].group for number in numbers],
        [seconds[number] for number in numbers],
        settings,
        seed=seed,
    )
    given = dict(zip(numbers, drawn, strict=True))
    return [
        place._replace(split=place.split or given.get(number) or fixed.get(place.group, "train"))
        for number, place in enumerate(places)
    ]


def read_listing(path: Path) -> Mapping[str, Mapping[str, str]] | None:
    """Read a ``splits.csv``.

    Returns:
        The cells of each path, by column; None where there is no such file.

    Raises:
        DataError: it cannot be read, lacks the column ``path``, has a column or a split that is not
            known, or names a path twice.
    """
    if not path.is_file():
        return None
    found: dict[str, dict[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or ()
            if "path" not in columns or set(columns) - set(COLUMNS):
                raise DataError(
                    f"{path} has the columns {', '.join(columns) or 'none'}; it must have path and may "
                    "have split, label and group."
                )
            for row in reader:
                name = (row.pop("path") or "").strip().replace("\\", "/")
                if name in found:
                    raise DataError(f"{path} names {name} twice.")
                found[name] = {key: (text or "").strip() for key, text in row.items() if key}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    wrong = {cells.get("split", "") for cells in found.values()} - {*SPLITS, ""}
    if wrong:
        raise DataError(
            f"{path} has the split {min(wrong)!r}; it must be {', '.join(SPLITS)} or empty."
        )
    return found
