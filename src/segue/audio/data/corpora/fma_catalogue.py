"""FMA's tables as a catalogue to look at: genres as a tree, artists and where they live, licences.

Columns as in https://github.com/mdeff/fma: ``tracks.csv`` with the groups ``set``, ``track`` and
``artist``, ``genres.csv``, and ``raw_artists.csv`` for locations that ``tracks.csv`` does not have.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from segue.audio.data.corpora.fma_tracks import ADVICE, SPLITS
from segue.core.tables import read_columns, read_rows
from segue.core.world import country_at, country_in_text
from segue.errors import DataError

TRACKS, GENRES, ARTISTS = "tracks.csv", "genres.csv", "raw_artists.csv"
CELL_DEGREES: Final = 2
"""Side of a cell of the heat map."""
NO_LICENCE = "not stated"

_NEEDED = {
    "subset": ("set", "subset"),
    "split": ("set", "split"),
    "artist": ("artist", "id"),
    "name": ("artist", "name"),
    "genre": ("track", "genre_top"),
    "genres": ("track", "genres"),
    "licence": ("track", "license"),
}
_PLACE = {
    "location": ("artist", "location"),
    "latitude": ("artist", "latitude"),
    "longitude": ("artist", "longitude"),
}


class Genre(NamedTuple):
    """A genre; `parent` is 0 for a root."""

    number: int
    title: str
    parent: int


class Artist(NamedTuple):
    """An artist, and where: free text, degrees; NaN where there are none."""

    name: str
    location: str
    latitude: float
    longitude: float


class Track(NamedTuple):
    """A track: smallest subset that holds it, split, number of its artist, genres, licence."""

    subset: str
    split: str
    artist: str
    genre: str
    genres: tuple[int, ...]
    licence: str


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What the tables say.

    Attributes:
        tracks: by number.
        genres: by number.
        artists: by number, as text.
    """

    tracks: dict[int, Track]
    genres: dict[int, Genre]
    artists: dict[str, Artist]


@dataclass(frozen=True, eq=False)
class Survey:
    """A catalogue, or the part of it whose tracks are in a folder, counted.

    Attributes:
        num_tracks, num_artists: how many.
        genres: tracks of each genre; a track counts once in each of its genres and those above.
        tree: the genres that occur, from the roots down, each with its depth; most tracks first.
        without_genre: tracks that have none.
        licences: tracks of each licence, as stated.
        splits: tracks by smallest subset and split.
        countries: artists of each country.
        country_tracks: tracks of the artists of each country.
        by_coordinates, by_text: artists whose country comes from there.
        cells: artists with coordinates by the south-western corner of their cell.
    """

    num_tracks: int = 0
    num_artists: int = 0
    genres: Counter[int] = field(default_factory=Counter)
    tree: list[tuple[Genre, int]] = field(default_factory=list)
    without_genre: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    splits: Counter[tuple[str, str]] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)
    country_tracks: Counter[str] = field(default_factory=Counter)
    by_coordinates: int = 0
    by_text: int = 0
    cells: Counter[tuple[int, int]] = field(default_factory=Counter)


def find_metadata(folder: Path) -> Path | None:
    """Return the folder with FMA's tables that belongs to a folder of music; None for none.

    Looked at are the folder, ``fma_metadata`` in it and ``fma_metadata`` beside it.
    """
    places = (folder, folder / "fma_metadata", folder.resolve().parent / "fma_metadata")
    found = (place for place in places if all((place / n).is_file() for n in (TRACKS, GENRES)))
    return next(found, None)


def read_catalogue(folder: Path) -> Catalogue:
    """Read the tables.

    Args:
        folder: the unpacked ``fma_metadata``.

    Raises:
        DataError: a table is missing, or is not what it was when this was written.
    """
    genres = _read_genres(folder / GENRES)
    places = _read_artists(folder / ARTISTS) if (folder / ARTISTS).is_file() else {}
    tracks: dict[int, Track] = {}
    artists: dict[str, Artist] = {}
    for row in _track_rows(folder / TRACKS):
        try:
            tracks[int(row["number"])] = _track(row)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder / TRACKS} has a row that cannot be understood, {row['number']!r}: {error}. "
                "Download the metadata again."
            ) from error
        if row["artist"] not in artists:
            artists[row["artist"]] = _artist(row, places.get(row["artist"]))
    return Catalogue(tracks, genres, artists)


def _track_rows(path: Path) -> Iterator[dict[str, str]]:
    """Give the columns that are used, those for places empty where the table lacks them."""
    rows = read_rows(path, advice=ADVICE)
    groups, names, _ = next(rows, []), next(rows, []), next(rows, [])
    heads = {head: at for at, head in enumerate(zip(groups, names, strict=False))}
    missing = [" ".join(head) for head in _NEEDED.values() if head not in heads]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}; is it FMA's own table?")
    columns = {name: heads.get(head) for name, head in (_NEEDED | _PLACE).items()}
    last = max(heads[head] for head in _NEEDED.values())
    for row in rows:
        if len(row) <= last:
            raise DataError(f"{path} has a row that is too short, {row[:1]}. {ADVICE}")
        cells = {
            name: row[at] if at is not None and at < len(row) else ""
            for name, at in columns.items()
        }
        yield {"number": row[0], **cells}


def _track(row: Mapping[str, str]) -> Track:
    return Track(
        subset=row["subset"],
        split=SPLITS[row["split"]],
        artist=row["artist"],
        genre=row["genre"],
        genres=tuple(int(number) for number in json.loads(row["genres"] or "[]")),
        licence=row["licence"],
    )


def _artist(row: Mapping[str, str], raw: Artist | None) -> Artist:
    """Return the artist of a track; what `tracks.csv` does not say, ``raw_artists.csv`` may."""
    latitude, longitude = _degrees(row["latitude"]), _degrees(row["longitude"])
    if raw is not None and (math.isnan(latitude) or math.isnan(longitude)):
        latitude, longitude = raw.latitude, raw.longitude
    location = row["location"].strip() or (raw.location if raw is not None else "")
    return Artist(row["name"], location, latitude, longitude)


def _read_genres(path: Path) -> dict[int, Genre]:
    try:
        return {
            int(row["genre_id"]): Genre(int(row["genre_id"]), row["title"], int(row["parent"]))
            for row in read_columns(path, ("genre_id", "title", "parent"), advice=ADVICE)
        }
    except ValueError as error:
        raise DataError(f"{path} is not FMA's table of genres: {error}.") from error


def _read_artists(path: Path) -> dict[str, Artist]:
    """Read ``raw_artists.csv``."""
    columns = ("artist_id", "artist_name", "artist_location", "artist_latitude", "artist_longitude")
    return {
        row["artist_id"]: Artist(
            row["artist_name"],
            row["artist_location"].strip(),
            _degrees(row["artist_latitude"]),
            _degrees(row["artist_longitude"]),
        )
        for row in read_columns(path, columns, advice=ADVICE)
    }


def _degrees(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def survey(catalogue: Catalogue, numbers: Collection[int] | None = None) -> Survey:
    """Count the tracks of a catalogue.

    Args:
        catalogue: what the tables say.
        numbers: the tracks that count; all of them where None.
    """
    kept = catalogue.tracks.keys() if numbers is None else numbers
    tracks = [catalogue.tracks[number] for number in sorted(kept)]
    genres: Counter[int] = Counter()
    without = 0
    for track in tracks:
        found = _with_parents(track.genres, catalogue.genres)
        genres.update(found)
        without += not found
    per_artist = Counter(track.artist for track in tracks)
    located = _locate({number: catalogue.artists[number] for number in per_artist}, per_artist)
    return Survey(
        num_tracks=len(tracks),
        num_artists=len(per_artist),
        genres=genres,
        tree=genre_tree(genres, catalogue.genres),
        without_genre=without,
        licences=Counter(track.licence.strip() or NO_LICENCE for track in tracks),
        splits=Counter((track.subset, track.split) for track in tracks),
        countries=located.countries,
        country_tracks=located.country_tracks,
        by_coordinates=located.by_coordinates,
        by_text=located.by_text,
        cells=located.cells,
    )


def _with_parents(numbers: Collection[int], genres: Mapping[int, Genre]) -> set[int]:
    """Return genres with all above them."""
    found: set[int] = set()
    waiting = [number for number in numbers if number in genres]
    while waiting:
        number = waiting.pop()
        if number in genres and number not in found:
            found.add(number)
            waiting.append(genres[number].parent)
    return found


def genre_tree(counts: Mapping[int, int], genres: Mapping[int, Genre]) -> list[tuple[Genre, int]]:
    """Return the genres that occur from the roots down, each with its depth, the largest first."""
    children: dict[int, list[int]] = {}
    for number in counts:
        parent = genres[number].parent
        children.setdefault(parent if parent in counts else 0, []).append(number)
    found: list[tuple[Genre, int]] = []

    def visit(parent: int, depth: int) -> None:
        own = children.get(parent, [])
        for number in sorted(own, key=lambda n: (-counts[n], genres[n].title)):
            found.append((genres[number], depth))
            visit(number, depth + 1)

    visit(0, 0)
    return found


def _locate(artists: Mapping[str, Artist], tracks: Mapping[str, int]) -> Survey:
    """Count artists by country and by cell."""
    countries: Counter[str] = Counter()
    country_tracks: Counter[str] = Counter()
    cells: Counter[tuple[int, int]] = Counter()
    by_coordinates = by_text = 0
    for number, artist in artists.items():
        cell = cell_of(artist.latitude, artist.longitude)
        country = None
        if cell is not None:
            cells[cell] += 1
            country = country_at(artist.latitude, artist.longitude)
            by_coordinates += country is not None
        if country is None:
            country = country_in_text(artist.location)
            by_text += country is not None
        if country is not None:
            countries[country] += 1
            country_tracks[country] += tracks[number]
    return Survey(
        countries=countries,
        country_tracks=country_tracks,
        by_coordinates=by_coordinates,
        by_text=by_text,
        cells=cells,
    )


def cell_of(latitude: float, longitude: float) -> tuple[int, int] | None:
    """Return the south-western corner of the cell of a place; None where it is no place."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None
    south = min(math.floor(latitude / CELL_DEGREES) * CELL_DEGREES, 90 - CELL_DEGREES)
    west = min(math.floor(longitude / CELL_DEGREES) * CELL_DEGREES, 180 - CELL_DEGREES)
    return south, west


def licence_family(licence: str) -> str:
    """Return the kind of a licence, without version and country: "CC BY-NC-SA".

    FMA writes them in many ways, such as "Attribution-Noncommercial-Share Alike 3.0 United States" or
    "Creative Commons Attribution-NonCommercial-ShareAlike 4.0"; what is none of these stays as it is.
    """
    plain = re.sub(r"[^a-z0-9]", "", licence.casefold())
    if "cc0" in plain:
        return "CC0"
    if "publicdomain" in plain:
        return "Public domain"
    if "attribution" not in plain or "sampling" in plain:
        return licence
    parts = ["BY"]
    parts += ["NC"] if "noncommercial" in plain else []
    parts += ["SA"] if "sharealike" in plain else []
    parts += ["ND"] if "noderiv" in plain else []
    return f"CC {'-'.join(parts)}"
