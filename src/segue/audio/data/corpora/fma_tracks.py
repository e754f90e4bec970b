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

from segue.core.tables import read_rows, write_table
from segue.errors import DataError

SUBSETS = ("small", "medium", "large")
SPLITS = {"training": "train", "validation": "valid", "test": "test"}
SPLITS_NAME = "splits.csv"
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
    there are several; ``subset`` is the smallest one that holds the track.
    """

    track_id: int
    subset: str
    split: str
    artist: str
    genre: str
    artist_name: str
    title: str
    licence: str

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
    roots = _root_genres(folder / "genres.csv")
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
            yield _track(row, columns, roots)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{folder / 'tracks.csv'} has a row that cannot be understood, "
                f"{row[:1]}: {error}. Download the metadata again."
            ) from error


def write_splits(metadata: Path | str, folder: Path | str, *, subset: str) -> dict[str, int]:
    """Write ``splits.csv`` and ``credits.csv`` beside the music of one subset.

    ``splits.csv`` (path, split, label, group) is what `segue audio prepare` reads: the label is the
    root genre, the group the artist. ``credits.csv`` names artist, title and licence of each path.
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


def _track(row: list[str], columns: Mapping[str, int], roots: Mapping[int, str]) -> Track:
    """Read one row."""
    values = {name: row[index] for name, index in columns.items()}
    if values["subset"] not in SUBSETS:
        raise ValueError(f"unknown subset {values['subset']!r}")
    genre = values["genre"]
    if not genre:
        found = {roots[number] for number in json.loads(values["genres"] or "[]")}
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
    )


def _root_genres(path: Path) -> dict[int, str]:
    """Return the title of each genre's root, by the number of the genre."""
    rows = read_rows(path, advice=ADVICE)
    heads = next(rows, [])
    try:
        number, title, root = (heads.index(name) for name in ("genre_id", "title", "top_level"))
        table = [(int(row[number]), row[title], int(row[root])) for row in rows]
        titles = {own: name for own, name, _ in table}
        return {own: titles[top] for own, _, top in table}
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"{path} is not FMA's table of genres: {error}.") from error
