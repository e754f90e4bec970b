"""FMA's tables with places: a genre tree, artists in known countries and cells."""

import csv
from pathlib import Path
from typing import NamedTuple

HEADS = (
    ("", ""), ("artist", "id"), ("artist", "latitude"), ("artist", "location"), ("artist", "longitude"),
    ("artist", "name"), ("set", "split"), ("set", "subset"), ("track", "genre_top"), ("track", "genres"),
    ("track", "license"),
)  # fmt: skip
GENRES = """genre_id,#tracks,parent,title,top_level
12,0,0,Rock,12
25,0,12,Punk,12
89,0,25,Post-Punk,12
4,0,0,Jazz,4
"""
NC_SA = "Attribution-Noncommercial-Share Alike 3.0 United States"


class Row(NamedTuple):
    """One track."""

    number: int
    artist: int
    place: tuple[str, str, str] = ("", "", "")
    subset: str = "small"
    split: str = "training"
    genre: str = "Rock"
    genres: str = "[12]"
    licence: str = NC_SA


LYON = ("45.76", "Austin, TX", "4.83")  # what the coordinates say counts
AUSTIN = ("", "Austin, TX", "")
NOWHERE = ("", "the moon", "")
ROWS = (
    Row(2, 1, LYON, genres="[89]"),
    Row(3, 1, LYON, genres="[25]"),
    Row(5, 2, AUSTIN, subset="medium", split="validation", genre="Jazz", genres="[4]"),
    Row(
        10, 3, NOWHERE, subset="large", split="test", genre="", genres="[4, 25]", licence="CC0 1.0"
    ),
    Row(20, 4, LYON, genre="", genres="[]", licence=""),
)


def write_tables(folder: Path, rows: tuple[Row, ...] = ROWS) -> Path:
    """Write ``fma_metadata`` into a folder; return it."""
    metadata = folder / "fma_metadata"
    metadata.mkdir(parents=True)
    (metadata / "genres.csv").write_text(GENRES)
    with (metadata / "tracks.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([group for group, _ in HEADS])
        writer.writerow([name for _, name in HEADS])
        writer.writerow(["track_id"] + [""] * (len(HEADS) - 1))
        for row in rows:
            latitude, location, longitude = row.place
            writer.writerow(
                [row.number, row.artist, latitude, location, longitude, f"Artist {row.artist}",
                 row.split, row.subset, row.genre, row.genres, row.licence]
            )  # fmt: skip
    return metadata
