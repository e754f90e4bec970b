"""A folder with known sounds gives a page with these, whatever else lies in it."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fma_catalogues import write_tables
from tests.sounds import music, noise, save, save_tagged, tone

from segue.audio.data import collection
from segue.audio.data import explore as page
from segue.audio.data.collection import AudioExploreSettings
from segue.audio.data.explore import explore
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.core.split import SplitSettings
from segue.errors import DataError

LEVEL = 0.5
"""A stereo sine of 997 Hz at full scale has -0.0 LUFS (BS.1770-5, both channels), at half 6.02 less."""
REASONS = {"cannot be read": 1, "empty file": 1, "silent": 1, "too short": 1}


def planted(folder: Path) -> Path:
    """Known sounds of several kinds, one of them three times, and four that are no good."""
    stereo = np.stack([tone(4, rate_hz=48_000, hz=997, level=LEVEL)] * 2, axis=1)
    stereo = np.round(stereo * 2**23).astype(np.int32) * 256  # whole steps of 24 bits
    save(folder / "jazz" / "sine.wav", stereo, 48_000, subtype="PCM_24")
    save(folder / "jazz" / "again.flac", stereo, 48_000, subtype="PCM_24")
    (folder / "rock").mkdir()
    (folder / "rock" / "copy.wav").write_bytes((folder / "jazz" / "sine.wav").read_bytes())
    half = np.concatenate([tone(1), np.zeros(16_000)])
    save_tagged(folder / "rock" / "half.flac", half, artist="Ada  B")
    save(folder / "zwölf & <b>.wav", np.clip(noise(2, level=2.0), -1, 1))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "broken.mp3").write_bytes(bytes(3000))
    save(folder / "silent.wav", np.zeros(32_000))
    save(folder / "short.wav", tone(0.3))
    (folder / "notes.txt").write_text("not sound")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder that was written, and what was returned."""
    folder = tmp_path_factory.mktemp("explore")
    return folder / "out", explore(planted(folder / "music"), folder / "out", workers=0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_file_is_counted_once(made: tuple[Path, dict[str, Any]]) -> None:
    out, found = made
    assert (found["files"], found["used"]) == (9, 5)
    assert found["left_out"] == REASONS
    assert {row["path"] for row in rows(out / "tables" / "left_out.csv")} == {
        "empty.wav", "broken.mp3", "silent.wav", "short.wav"
    }  # fmt: skip
    assert found["counts"]["rate_hz"] == {"48000": 3, "16000": 2}
    assert found["counts"]["channels"] == {"2": 3, "1": 2}
    assert found["counts"]["kind"] == {
        "WAV, 24 bit": 2, "FLAC, 16 bit": 1, "FLAC, 24 bit": 1, "WAV, 16 bit": 1
    }  # fmt: skip
    assert found["hours"] == pytest.approx(16 / 3600, abs=1e-4)


def test_each_sound_is_what_was_planted(made: tuple[Path, dict[str, Any]]) -> None:
    out, found = made
    by_path = {row["path"]: row for row in rows(out / "tables" / "files.csv")}
    sine = by_path["jazz/sine.wav"]
    assert float(sine["loudness_lufs"]) == pytest.approx(20 * np.log10(LEVEL), abs=0.1)
    assert float(sine["bandwidth_hz"]) == pytest.approx(1000, abs=125)
    assert float(sine["peak_dbfs"]) == pytest.approx(-6.02, abs=0.02)
    half = by_path["rock/half.flac"]
    assert (half["artist"], half["label"]) == ("Ada B", "rock")
    assert float(half["silent_share"]) == pytest.approx(0.5, abs=0.05)
    loud = by_path["zwölf & <b>.wav"]
    assert float(loud["clipped_share"]) == pytest.approx(0.617, abs=0.02)  # |normal| above 1/2
    assert float(loud["bandwidth_hz"]) == 8000
    assert found["counts"]["clipping"]["more than 0.1 %"] == 1
    assert found["spectrum_db"]["1k"][2] == pytest.approx(0, abs=0.1)
    assert found["counts"]["narrow"] == {"48000": 3, "16000": 1}


def test_copies_labels_and_artists(made: tuple[Path, dict[str, Any]]) -> None:
    out, found = made
    assert found["copies"]["equal files"] == {"groups": 1, "files": 2}
    assert found["copies"]["equal sound"] == {"groups": 1, "files": 3}
    members = {row["path"] for row in rows(out / "tables" / "duplicate_groups.csv")}
    assert members == {"jazz/sine.wav", "jazz/again.flac", "rock/copy.wav"}
    assert found["counts"]["label_files"] == {"jazz": 2, "rock": 2}
    assert found["counts"]["artist_files"] == {"Ada B": 1}


class Links(HTMLParser):
    """Collects what a page shows and points to."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if tag == "img":
            self.pictures.append(str(found["src"]))
        self.links += [str(found[name]) for name in ("href", "src") if name in found]


def test_the_page_opens_offline_and_holds_every_picture(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    seen = Links()
    seen.feed((out / "index.html").read_text("utf-8"))
    files = sorted(path.stem for path in (out / "pictures").glob("*.png"))
    assert files == [
        "artists", "bandwidths", "channels", "clipping", "duplicates", "durations", "formats", "labels",
        "left_out_reasons", "loudness", "rates", "silence", "spectrum",
    ]  # fmt: skip
    assert len(seen.pictures) == len(files)
    assert all(link.startswith(("#", "data:image/png")) for link in seen.links)
    assert "script" not in seen.tags
    assert {path.stem for path in (out / "tables").glob("*.csv")} >= set(files)


def test_again_gives_the_same_bytes_and_replaces_the_old(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, found = made
    again = tmp_path / "again"
    again.mkdir()
    for name in ("statistics.json", "old.txt"):
        (again / name).write_text("of an earlier run")
    assert explore(out.parent / "music", again, workers=0) == found
    names = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert {path.relative_to(again) for path in again.rglob("*") if path.is_file()} == names
    assert all((again / name).read_bytes() == (out / name).read_bytes() for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"again"}


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at something else."""
    monkeypatch.setattr(page, "exhibits", lambda *_: ())


@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = music(tmp_path / "music", ["a.wav", "b.wav", "c.wav"])
    real, seen = collection.measure_item, []

    def fail(item: Any) -> Any:
        seen.append(item.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(item)

    monkeypatch.setattr(collection, "measure_item", fail)
    with pytest.raises(KeyboardInterrupt):
        explore(folder, tmp_path / "out", workers=0)
    with (tmp_path / ".out.exploring" / "stage" / "measured.jsonl").open("ab") as stream:
        stream.write(b'{"key": "cut o')
    assert explore(folder, tmp_path / "out", workers=0)["used"] == 3
    assert seen == ["a.wav", "b.wav", "c.wav", "c.wav"]
    assert {path.name for path in tmp_path.iterdir()} == {"music", "out"}


def test_fma_music_has_genres_and_places(tmp_path: Path) -> None:
    write_tables(tmp_path)
    folder = tmp_path / "fma_small"
    music(folder, ["000/000002.wav", "000/000005.wav", "000/other.wav"])
    found = explore(folder, tmp_path / "out", workers=0)
    assert found["counts"]["label_files"] == {"000": 1, "Jazz": 1, "Rock": 1}
    assert found["counts"]["artist_files"] == {"Artist 1": 1, "Artist 2": 1}
    assert found["fma"]["tracks"] == 2
    assert found["fma"]["countries"] == {"France": 1, "United States": 1}
    assert found["fma"]["cells"] == [[44, 4, 1]]
    drawn = {path.stem for path in (tmp_path / "out" / "pictures").glob("*.png")}
    assert {"genres", "countries", "map", "licences", "subsets"} <= drawn


def test_the_tables_alone_make_a_page(tmp_path: Path) -> None:
    found = explore(write_tables(tmp_path), tmp_path / "out", workers=0)
    assert (found["files"], found["used"], found["fma"]["tracks"]) == (0, 0, 5)
    subsets = rows(tmp_path / "out" / "tables" / "subsets.csv")
    assert [row["Tracks"] for row in subsets] == ["3", "4", "5"]


@pytest.mark.usefixtures("no_pictures")
def test_music_that_is_not_of_the_tables(tmp_path: Path) -> None:
    metadata = write_tables(tmp_path)
    folder = music(tmp_path / "mine", ["a.wav"])
    found = explore(folder, tmp_path / "out", workers=0)
    assert found["fma"] is None
    assert "none of the files" in found["note"]
    with pytest.raises(DataError, match="None of the files"):
        explore(folder, tmp_path / "out", metadata=metadata, workers=0)


def test_a_prepared_folder(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a/1.wav", "b/2.wav"], seconds=1.5)
    save(folder / "b" / "short.wav", tone(0.2))
    settings = PrepareSettings(
        rate_hz=8000, min_seconds=1, segment_seconds=1,
        split=SplitSettings(valid_share=0, test_share=0),
    )  # fmt: skip
    prepare([folder], tmp_path / "prepared", settings, workers=0)
    found = explore(tmp_path / "prepared", tmp_path / "out", workers=0)
    assert (found["files"], found["used"]) == (3, 2)
    assert found["left_out"] == {"too short": 1}
    assert found["counts"]["rate_hz"] == {"8000": 2}
    assert found["counts"]["label_files"] == {"a": 1, "b": 1}


def test_nothing_good_is_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "empty.wav").write_bytes(b"")
    found = explore(tmp_path / "music", tmp_path / "out", workers=0)
    assert (found["files"], found["used"], found["hours"]) == (1, 0, 0)
    assert found["narrow_share"] is None
    assert json.loads((tmp_path / "out" / "statistics.json").read_text()) == found


@pytest.mark.usefixtures("no_pictures")
def test_the_limit_takes_the_first(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a.wav", "b.wav", "c.wav"])
    found = explore(folder, tmp_path / "out", AudioExploreSettings(limit=2), workers=0)
    assert found["files"] == 2


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        explore(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no music"):
        explore(tmp_path / "none", tmp_path / "out", workers=0)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="was not written by"):
        explore(music(tmp_path / "m", ["a.wav"]), tmp_path / "taken", workers=0)
