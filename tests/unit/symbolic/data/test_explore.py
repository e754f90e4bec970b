"""A folder with known contents gives a page with these contents, whatever else lies in it."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.corpora import copied, corpus, hostile_files, piece, save

from segue.errors import DataError, MissingExtraError
from segue.symbolic.data import collection
from segue.symbolic.data import explore as page
from segue.symbolic.data.collection import ExploreSettings, base_vocabulary
from segue.symbolic.data.explore import explore
from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.tokenizer import Tokenizer

NUM_PIECES = 6
JUNK = ("empty.mid", "text.mid", "few.mid", "one-pitch.mid", "no-ticks.mid")
SETTINGS = ExploreSettings.model_validate(
    {"tokenizer": TokenizerConfig.original().model_dump() | {"vocab_size": 560}}
)


def planted(folder: Path) -> Path:
    """Six pieces, one of them again byte by byte and once more in another key, and junk."""
    corpus(folder, NUM_PIECES)
    first = folder / "one" / "piece-000.mid"
    (folder / "two" / "again.mid").write_bytes(first.read_bytes())
    save(folder / "zwölf & <b>.mid", copied(piece(0, bars=8), semitones=3))
    for name in JUNK:
        (folder / name).write_bytes(hostile_files()[name])
    (folder / "notes.txt").write_text("not music")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder that was written, and what was returned."""
    folder = tmp_path_factory.mktemp("explore")
    statistics = explore(planted(folder / "music"), folder / "out", SETTINGS, workers=0)
    return folder / "out", statistics


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_file_is_counted_once(made: tuple[Path, dict[str, Any]]) -> None:
    out, found = made
    used = NUM_PIECES + 2
    assert (found["files"], found["used"]) == (used + len(JUNK), used)
    assert found["left_out"] == {
        "not a MIDI file, or damaged": 2,
        "fewer than 3 pitches": 1,
        "fewer than 32 notes": 1,
        "no ticks in a quarter note": 1,
    }
    assert {row["path"] for row in rows(out / "tables" / "left_out.csv")} == set(JUNK)
    assert len(rows(out / "tables" / "files.csv")) == used
    assert found["counts"]["collections"] == {"one": 3, "two": 4, "(top folder)": 1}


def test_the_music_is_as_planted(made: tuple[Path, dict[str, Any]]) -> None:
    _, found = made
    counts, used = found["counts"], NUM_PIECES + 2
    assert counts["instrument_files"] == dict.fromkeys(
        ("Acoustic Bass", "Acoustic Grand Piano", "Drums"), used
    )
    assert counts["instrument_tracks"]["Acoustic Grand Piano"] == 2 * used
    assert counts["tempo_files"] == {"120": used}
    assert counts["signature_files"] == {"4/4": used}
    assert found["quantiles"]["velocities"]["0.5"] == 1
    assert found["flat_share"] == 1
    assert found["stated"] == {"tempo": used, "signature": used}


def test_copies_are_found(made: tuple[Path, dict[str, Any]]) -> None:
    out, found = made
    assert found["copies"]["equal files"] == {"groups": 1, "files": 2}
    assert found["copies"]["equal notes"] == {"groups": 1, "files": 3}
    assert found["copies"]["near duplicates"] == {"groups": 1, "files": 3}
    members = {row["path"] for row in rows(out / "tables" / "duplicate_groups.csv")}
    assert members == {"one/piece-000.mid", "two/again.mid", "zwölf & <b>.mid"}


def test_tokens_are_counted(made: tuple[Path, dict[str, Any]]) -> None:
    _, found = made
    tokens = found["tokens"]
    types = tokens["types"]
    assert tokens["files"] == NUM_PIECES + 2
    assert types["Velocity"] == types["Duration"] == types["Pitch"] + types["PitchDrum"]
    assert types["Bar"] == types["TimeSig"]
    assert types["Velocity"] <= found["notes"]
    assert any(" + " in name for name in tokens["most_frequent"])


class Links(HTMLParser):
    """Collects what a page shows and points to."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))


def test_the_page_holds_every_picture(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    seen = Links()
    seen.feed((out / "index.html").read_text("utf-8"))
    files = sorted(path.stem for path in (out / "pictures").glob("*.png"))
    assert len(seen.pictures) == len(files) == 15
    assert {"instruments", "tempos", "time_signatures", "tokens", "token_types"} <= set(files)
    assert all(str(picture["src"]).startswith("data:image/png") for picture in seen.pictures)
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
    assert explore(out.parent / "music", again, SETTINGS, workers=0) == found
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
    music, out = corpus(tmp_path / "music", 3), tmp_path / "out"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(collection, "_count_tokens", interrupt)
        explore(music, out, SETTINGS, workers=0)
    assert not out.exists()

    def refuse(_: bytes) -> None:
        raise AssertionError("measured once more")

    monkeypatch.setattr(collection, "measure", refuse)
    monkeypatch.setattr(collection, "_count_tokens", lambda *_: None)
    assert explore(music, out, SETTINGS, workers=0)["used"] == 3


def test_without_the_extra_all_but_one_picture_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingExtraError("Install segue[train] <now>.")

    monkeypatch.setattr(collection, "train_tokenizer", missing)
    found = explore(corpus(tmp_path / "music", 3), tmp_path / "out", SETTINGS, workers=0)
    pictures = {path.stem for path in (tmp_path / "out" / "pictures").iterdir()}
    assert "token_types" in pictures
    assert "tokens" not in pictures
    assert found["tokens"]["missing"] == "Install segue[train] <now>."
    assert "Install segue[train] &lt;now&gt;." in (tmp_path / "out" / "index.html").read_text()


def test_base_tokens_need_no_miditok(tmp_path: Path) -> None:
    for config in (TokenizerConfig(), TokenizerConfig.original()):
        train_tokenizer(config.model_copy(update={"vocab_size": None}), [], tmp_path / "t.json")
        expected = Tokenizer.from_file(tmp_path / "t.json").vocabulary.tokens
        assert base_vocabulary(config).tokens == expected


@pytest.mark.usefixtures("no_pictures")
def test_the_limit_takes_the_first_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_count_tokens", lambda *_: None)
    music = corpus(tmp_path / "music", 5)
    settings = SETTINGS.model_copy(update={"limit": 2})
    assert explore(music, tmp_path / "out", settings, workers=0)["files"] == 2
    listed = [row["path"] for row in rows(tmp_path / "out" / "tables" / "files.csv")]
    assert listed == sorted(p.relative_to(music).as_posix() for p in music.rglob("*.mid"))[:2]


def test_a_folder_of_junk_alone_gets_its_page(tmp_path: Path) -> None:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "a.mid").write_bytes(b"no music")
    found = explore(tmp_path / "junk", tmp_path / "out", SETTINGS, workers=0)
    assert (found["used"], found["tokens"]) == (0, None)
    assert json.loads((tmp_path / "out" / "statistics.json").read_text()) == found


def test_other_peoples_folders_are_left_alone(tmp_path: Path) -> None:
    music = corpus(tmp_path / "music", 1)
    with pytest.raises(DataError, match="not written by"):
        explore(music, music, SETTINGS, workers=0)
    with pytest.raises(DataError, match="not a folder"):
        explore(tmp_path / "nothing", tmp_path / "out", SETTINGS, workers=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no MIDI file"):
        explore(tmp_path / "empty", tmp_path / "out", SETTINGS, workers=0)
    assert not (tmp_path / "out").exists()
