"""FMA's tables in small: the same headings, a few tracks."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

HEADS = (
    ("", ""), ("album", "id"), ("artist", "bio"), ("artist", "id"), ("artist", "name"),
    ("set", "split"), ("set", "subset"), ("track", "genre_top"), ("track", "genres"),
    ("track", "license"), ("track", "title"),
)  # fmt: skip
GENRES = """genre_id,#tracks,parent,title,top_level
12,10,0,Rock,12
25,5,12,Punk,12
4,3,0,Jazz,4
"""


@dataclass(frozen=True)
class Row:
    """One track."""

    track_id: int
    artist: int
    split: str = "training"
    subset: str = "small"
    genre: str = "Rock"
    genres: str = "[12]"
    licence: str = "Attribution"


# Of the broken clips, 1486 has no sound and 98565 too little.
ROWS = (
    Row(2, 1),
    Row(5, 1, genre="", genres="[25]"),
    Row(10, 6, split="validation", subset="medium", genre="Jazz", genres="[4]"),
    Row(1486, 7),
    Row(20, 9, split="test", subset="large", genre="", genres="[4, 25]"),
    Row(98565, 7, split="training", subset="small"),
    Row(155320, 12, split="test", subset="small", genre="", genres="[]", licence=""),
)


def tracks_csv(rows: Sequence[Row] = ROWS) -> str:
    """The table of tracks, with a line break inside a cell as in the real one."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([group for group, _ in HEADS])
    writer.writerow([name for _, name in HEADS])
    writer.writerow(["track_id"] + [""] * (len(HEADS) - 1))
    for row in rows:
        writer.writerow(
            [
                row.track_id, 1, "Two lines,\nof a life", row.artist, f"Artist {row.artist}",
                row.split, row.subset, row.genre, row.genres, row.licence, f"Title {row.track_id}",
            ]
        )  # fmt: skip
    return text.getvalue()


def metadata_files(rows: Sequence[Row] = ROWS) -> dict[str, bytes]:
    """What is in the archive of tables."""
    return {
        "fma_metadata/tracks.csv": tracks_csv(rows).encode(),
        "fma_metadata/genres.csv": GENRES.encode(),
    }


def music_files(subset: str, rows: Sequence[Row] = ROWS) -> dict[str, bytes]:
    """What is in an archive of music: names as they are, no sound."""
    names = [f"{row.track_id:06d}" for row in rows]
    return {f"fma_{subset}/{name[:3]}/{name}.mp3": name.encode() for name in names}
