"""The tables of FMA: which track is in which subset and split, its genre, artist and licence.

Columns as in https://github.com/mdeff/fma (``creation.ipynb``): ``tracks.csv`` has two rows of
headings (group and name) and one with the name of the index; ``genres.csv`` gives every genre its
root. The split into training, validation and test was made by its authors artist by artist.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from segue.audio.data.words import join, unique
from segue.core.tables import read_rows, write_table
from segue.errors import DataError

SUBSETS = ("small", "medium", "large")
SPLITS = {"training": "train", "validation": "valid", "test": "test"}
SPLITS_NAME = "splits.csv"
METADATA_NAME = "metadata.csv"
CREDITS_NAME = "credits.csv"
ADVICE = "Get it with `segue data download fma-metadata`."

# The lengths that the archive's interface stated were wrong for these tracks, so that the clips
# were cut beyond the end of the track: no sound at all, or less than 10 s. The whole tracks of
# fma_full are not concerned. Sources: https://github.com/mdeff/fma/issues/8 and the wiki of that
# repository, "Excerpts shorter than 30s and erroneous audio length metadata".
CLIPS_WITHOUT_SOUND = frozenset(
    {
        1486, 5574, 65753, 80391, 98558, 98559, 98560, 98571, 99134, 105247, 108925, 126981, 127336,
        133297, 143992,
    }
)  # fmt: skip
CLIPS_TOO_SHORT = frozenset({98565, 98566, 98567, 98568, 98569, 108924})

COLUMNS = {
    "subset": ("set", "subset"),
    "split": ("set", "split"),
    "artist": ("artist", "id"),
    "artist_name": ("artist", "name"),
    "genre": ("track", "genre_top"),
    "genres": ("track", "genres"),
    "title": ("track", "title"),
    "licence": ("track", "license"),
}


class Track(NamedTuple):
    """One row of ``tracks.csv``, the columns that are used.

    ``split`` is train, valid or test; ``genre`` is a root genre or empty where there is none or
    there are several; ``genres`` are all of its genres and those above them, from the roots down;
    ``subset`` is the smallest one that holds the track.
    """

    track_id: int
    subset: str
    split: str
    artist: str
    genre: str
    artist_name: str
    title: str
    licence: str
    genres: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All genres, its root genre first."""
        return unique([self.genre, *self.genres])

    @property
    def captions(self) -> tuple[str, ...]:
        """Sentences made of its genres: ``punk music``, ``rock music, punk``."""
        labels = [label.lower() for label in self.labels]
        if not labels:
            return ()
        whole = [f"{labels[0]} music, {', '.join(labels[1:])}"] if len(labels) > 1 else []
        return unique([f"{labels[0]} music", f"{labels[-1]} music", *whole])

    @property
    def path(self) -> str:
        """Path of its audio below the folder of a subset."""
        name = f"{self.track_id:06d}"
        return f"{name[:3]}/{name}.mp3"


def read_tracks(folder: Path | str) -> Iterator[Track]:
    """Read ``tracks.csv`` and ``genres.csv`` from the unpacked metadata.

    Args:
        folder: the folder ``fma_metadata``.

    Raises:
        DataError: a table is missing, or is not what it was when this was written.
    """
    folder = Path(folder)
    tree = _read_genres(folder / "genres.csv")
    rows = read_rows(folder / "tracks.csv", advice=ADVICE)
    groups, names, _ = next(rows, []), next(rows, []), next(rows, [])
    heads = list(zip(groups, names, strict=False))
    missing = [" ".join(head) for head in COLUMNS.values() if head not in heads]
    if missing:
        raise DataError(
            f"{folder / 'tracks.csv'} has no column {', '.join(missing)}; is it FMA's own table?"
        )
    columns = {name: heads.index(head) for name, head in COLUMNS.items()}
    for row in rows:
        try:
            yield _track(row, columns, tree)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{folder / 'tracks.csv'} has a row that cannot be understood, "
                f"{row[:1]}: {error}. Download the metadata again."
            ) from error


def write_splits(metadata: Path | str, folder: Path | str, *, subset: str) -> dict[str, int]:
    """Write ``splits.csv``, ``metadata.csv`` and ``credits.csv`` beside the music of one subset.

    ``splits.csv`` (path, split, label, group) is what `segue audio prepare` reads: the label is the
    root genre, the group the artist. So is ``metadata.csv`` (path, labels, captions), with all genres
    and sentences made of them. ``credits.csv`` names artist, title and licence of each path.
    Left out are clips known to be broken and files that are not there.

    Args:
        metadata: the folder ``fma_metadata``.
        folder: the folder with the music, ``fma_small`` to ``fma_full``.
        subset: small, medium, large or full.

    Returns:
        How many tracks went where.

    Raises:
        DataError: tables or music are missing, or an artist is in two splits.
    """
    folder = Path(folder)
    counts: Counter[str] = Counter()
    kept: list[Track] = []
    for track in read_tracks(metadata):
        reason = _left_out(track, folder, subset)
        if reason is None:
            kept.append(track)
            counts[track.split] += 1
        elif reason:
            counts[f"left out: {reason}"] += 1
    if not kept:
        raise DataError(
            f"{folder} holds none of the tracks of FMA {subset}; unpack it there first."
        )
    check_artists(kept)
    rows = [(track.path, track.split, track.genre, track.artist) for track in kept]
    write_table(folder / SPLITS_NAME, ("path", "split", "label", "group"), rows)
    words = [(track.path, join(track.labels), join(track.captions)) for track in kept]
    write_table(folder / METADATA_NAME, ("path", "labels", "captions"), words)
    rows = [(track.path, track.artist_name, track.title, track.licence) for track in kept]
    write_table(folder / CREDITS_NAME, ("path", "artist", "title", "licence"), rows)
    return dict(counts)


def check_artists(tracks: Iterable[Track]) -> None:
    """Make sure that no artist is in two splits.

    Raises:
        DataError: one is; a model would be tested on an artist whom it was trained on.
    """
    splits: dict[str, str] = {}
    for track in tracks:
        if splits.setdefault(track.artist, track.split) != track.split:
            raise DataError(
                f"The artist {track.artist_name!r} (number {track.artist}) is in two splits, "
                f"{splits[track.artist]} and {track.split}: the table is not FMA's own."
            )


def _left_out(track: Track, folder: Path, subset: str) -> str | None:
    """Say why a track is left out: empty where it belongs to a larger subset; None if it stays."""
    if subset in SUBSETS and SUBSETS.index(track.subset) > SUBSETS.index(subset):
        return ""
    if subset != "full" and track.track_id in CLIPS_WITHOUT_SOUND:
        return "clip without sound"
    if subset != "full" and track.track_id in CLIPS_TOO_SHORT:
        return "clip too short"
    return None if (folder / track.path).is_file() else "file missing"


def _track(row: list[str], columns: Mapping[str, int], tree: Mapping[int, "_Genre"]) -> Track:
    """Read one row."""
    values = {name: row[index] for name, index in columns.items()}
    if values["subset"] not in SUBSETS:
        raise ValueError(f"unknown subset {values['subset']!r}")
    numbers = [int(number) for number in json.loads(values["genres"] or "[]")]
    genre = values["genre"]
    if not genre:
        found = {tree[tree[number].root].title for number in numbers}
        genre = found.pop() if len(found) == 1 else ""
    return Track(
        track_id=int(row[0]),
        subset=values["subset"],
        split=SPLITS[values["split"]],
        artist=values["artist"],
        genre=genre,
        artist_name=values["artist_name"],
        title=values["title"],
        licence=values["licence"],
        genres=_with_parents(numbers, tree),
    )


class _Genre(NamedTuple):
    """A row of ``genres.csv``; the parent of a root is 0."""

    title: str
    parent: int
    root: int


def _with_parents(numbers: Iterable[int], tree: Mapping[int, _Genre]) -> tuple[str, ...]:
    """Return the titles of genres and of all above them, from the roots down."""
    depths: dict[int, int] = {}
    for number in numbers:
        path = [number]
        while (parent := tree[path[-1]].parent) and parent not in path:
            path.append(parent)
        depths |= {own: depth for depth, own in enumerate(reversed(path))}
    return unique(tree[number].title for number in sorted(depths, key=lambda n: (depths[n], n)))


def _read_genres(path: Path) -> dict[int, _Genre]:
    """Return the tree of genres, by their numbers."""
    rows = read_rows(path, advice=ADVICE)
    heads = next(rows, [])
    try:
        columns = [heads.index(name) for name in ("genre_id", "title", "parent", "top_level")]
        tree = {}
        for row in rows:
            own, title, parent, root = (row[column] for column in columns)
            tree[int(own)] = _Genre(title, int(parent), int(root))
        lost = [genre for genre in tree.values() if genre.root not in tree]
        if lost:
            raise ValueError(f"{lost[0].title} has no root")
        return tree
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} is not FMA's table of genres: {error}.") from error
