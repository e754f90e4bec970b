"""FMA's tables are counted as planted: tree, countries, cells, licences, splits."""

from pathlib import Path

import pytest
from tests.fma_catalogues import LYON, NC_SA, Row, write_tables

from segue.audio.data.corpora.fma_catalogue import (
    cell_of,
    find_metadata,
    licence_family,
    read_catalogue,
    survey,
)
from segue.errors import DataError


def test_genres_make_a_tree_and_count_upwards(tmp_path: Path) -> None:
    found = survey(read_catalogue(write_tables(tmp_path)))
    named = [(genre.title, depth, found.genres[genre.number]) for genre, depth in found.tree]
    assert named == [("Rock", 0, 3), ("Punk", 1, 3), ("Post-Punk", 2, 1), ("Jazz", 0, 2)]
    assert found.without_genre == 1


def test_artists_are_counted_once_and_where_they_are(tmp_path: Path) -> None:
    found = survey(read_catalogue(write_tables(tmp_path)))
    assert (found.num_tracks, found.num_artists) == (5, 4)
    assert found.countries == {"France": 2, "United States": 1}
    assert found.country_tracks == {"France": 3, "United States": 1}
    assert (found.by_coordinates, found.by_text) == (2, 1)
    assert found.cells == {(44, 4): 2}


def test_splits_and_licences(tmp_path: Path) -> None:
    found = survey(read_catalogue(write_tables(tmp_path)))
    assert found.splits == {
        ("small", "train"): 3, ("medium", "valid"): 1, ("large", "test"): 1
    }  # fmt: skip
    assert found.licences == {NC_SA: 3, "CC0 1.0": 1, "not stated": 1}


def test_some_of_the_tracks(tmp_path: Path) -> None:
    found = survey(read_catalogue(write_tables(tmp_path)), {5, 10})
    assert (found.num_tracks, found.num_artists) == (2, 2)
    assert [genre.title for genre, _ in found.tree] == ["Jazz", "Rock", "Punk"]


def test_places_come_from_the_artists_table_too(tmp_path: Path) -> None:
    metadata = write_tables(tmp_path, (Row(2, 7), Row(3, 8, LYON)))
    (metadata / "raw_artists.csv").write_text(
        "artist_id,artist_name,artist_location,artist_latitude,artist_longitude\n"
        "7,A,Tokyo,35.68,139.70\n8,B,Tokyo,35.68,139.70\n"
    )
    assert survey(read_catalogue(metadata)).countries == {"Japan": 1, "France": 1}


@pytest.mark.parametrize(
    ("licence", "family"),
    [
        (NC_SA, "CC BY-NC-SA"),
        ("Creative Commons Attribution 4.0", "CC BY"),
        (
            "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International",
            "CC BY-NC-ND",
        ),
        ("CC0 1.0 Universal", "CC0"),
        ("Public Domain Mark 1.0", "Public domain"),
        ("FMA-Limited: Download Only", "FMA-Limited: Download Only"),
    ],
)
def test_licences_have_families(licence: str, family: str) -> None:
    assert licence_family(licence) == family


def test_cells_have_edges() -> None:
    assert cell_of(90, 180) == (88, 178)
    assert cell_of(-0.5, -0.5) == (-2, -2)
    assert cell_of(0, 0) is None
    assert cell_of(float("nan"), 2) is None


def test_tables_are_found_beside_the_music(tmp_path: Path) -> None:
    metadata = write_tables(tmp_path)
    (tmp_path / "fma_small").mkdir()
    assert find_metadata(metadata) == find_metadata(tmp_path) == metadata
    assert find_metadata(tmp_path / "fma_small") == metadata
    assert find_metadata(tmp_path / "fma_small" / "deeper") is None


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    metadata = write_tables(tmp_path, (Row(2, 1, split="nonsense"),))
    with pytest.raises(DataError, match="cannot be understood"):
        read_catalogue(metadata)
    (metadata / "tracks.csv").write_text("a,b\nc,d\n")
    with pytest.raises(DataError, match="has no column"):
        read_catalogue(metadata)
