"""FMA's tables: subsets, splits, genres, broken clips, artists on one side only."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fma_tables import ROWS, Row, metadata_files, music_files

from segue.audio.data.corpora.fma_tracks import (
    CLIPS_TOO_SHORT,
    CLIPS_WITHOUT_SOUND,
    check_artists,
    read_tracks,
    write_splits,
)
from segue.errors import DataError


def unpacked(folder: Path, subset: str, rows: Sequence[Row] = ROWS) -> Path:
    for name, content in (metadata_files(rows) | music_files(subset, rows)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_tracks_are_read_with_the_roots_of_their_genres(tmp_path: Path) -> None:
    tracks = {t.track_id: t for t in read_tracks(unpacked(tmp_path, "full") / "fma_metadata")}
    assert len(tracks) == len(ROWS)
    assert {number: track.genre for number, track in tracks.items() if number < 100} == {
        2: "Rock", 5: "Rock", 10: "Jazz", 20: "",
    }  # fmt: skip
    assert tracks[10].split == "valid"
    assert tracks[155320].path == "155/155320.mp3"
    assert tracks[2].licence == "Attribution"
    assert [tracks[n].labels for n in (2, 5, 20, 155320)] == [
        ("Rock",), ("Rock", "Punk"), ("Jazz", "Rock", "Punk"), (),
    ]  # fmt: skip
    assert tracks[5].captions == ("rock music", "punk music", "rock music, punk")
    assert tracks[155320].captions == ()


def test_medium_holds_small_and_leaves_broken_clips_out(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "medium")
    counts = write_splits(folder / "fma_metadata", folder / "fma_medium", subset="medium")
    assert table(folder / "fma_medium" / "splits.csv") == [
        ["path", "split", "label", "group"],
        ["000/000002.mp3", "train", "Rock", "1"],
        ["000/000005.mp3", "train", "Rock", "1"],
        ["000/000010.mp3", "valid", "Jazz", "6"],
        ["155/155320.mp3", "test", "", "12"],
    ]
    assert table(folder / "fma_medium" / "metadata.csv")[1:3] == [
        ["000/000002.mp3", "Rock", "rock music"],
        ["000/000005.mp3", "Rock|Punk", "rock music|punk music|rock music, punk"],
    ]
    assert table(folder / "fma_medium" / "credits.csv")[1] == [
        "000/000002.mp3", "Artist 1", "Title 2", "Attribution",
    ]  # fmt: skip
    assert counts == {
        "train": 2, "valid": 1, "test": 1,
        "left out: clip without sound": 1, "left out: clip too short": 1,
    }  # fmt: skip


@pytest.mark.parametrize(("subset", "num_tracks"), [("small", 3), ("large", 5), ("full", 7)])
def test_each_subset_holds_the_smaller_ones(tmp_path: Path, subset: str, num_tracks: int) -> None:
    folder = unpacked(tmp_path, subset)
    write_splits(folder / "fma_metadata", folder / f"fma_{subset}", subset=subset)
    assert len(table(folder / f"fma_{subset}" / "splits.csv")) == num_tracks + 1


def test_missing_files_are_counted(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "small")
    (folder / "fma_small" / "000" / "000002.mp3").unlink()
    counts = write_splits(folder / "fma_metadata", folder / "fma_small", subset="small")
    assert counts["left out: file missing"] == 1
    with pytest.raises(DataError, match="holds none of the tracks"):
        write_splits(folder / "fma_metadata", folder / "fma_other", subset="small")


def test_an_artist_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = (*ROWS, Row(30, 1, split="test"))
    folder = unpacked(tmp_path, "small", rows)
    with pytest.raises(
        DataError, match=r"'Artist 1' \(number 1\) is in two splits, train and test"
    ):
        write_splits(folder / "fma_metadata", folder / "fma_small", subset="small")
    assert not (folder / "fma_small" / "splits.csv").exists()
    check_artists(read_tracks(unpacked(tmp_path / "good", "small") / "fma_metadata"))


def test_the_broken_clips_are_those_of_the_errata() -> None:
    assert (len(CLIPS_WITHOUT_SOUND), len(CLIPS_TOO_SHORT)) == (15, 6)
    assert CLIPS_WITHOUT_SOUND.isdisjoint(CLIPS_TOO_SHORT)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tracks.csv", "genre_top", "genre", "no column track genre_top"),
        ("tracks.csv", "training", "train", "cannot be understood"),
        ("tracks.csv", "small", "tiny", "unknown subset 'tiny'"),
        ("tracks.csv", "[25]", "[99]", "cannot be understood"),
        ("tracks.csv", "[25]", "Punk", "cannot be understood"),
        ("tracks.csv", "Title 2", "Title \xff", "cannot be read"),
        ("genres.csv", "top_level", "top", "table of genres"),
        ("genres.csv", "Punk,12", "Punk,13", "table of genres"),
    ],
)
def test_tables_that_are_not_as_they_were(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    metadata = unpacked(tmp_path, "small") / "fma_metadata"
    path = metadata / name
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode("latin-1"), 1))
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        list(read_tracks(metadata))


def test_a_missing_table_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="segue data download fma-metadata"):
        list(read_tracks(tmp_path))
