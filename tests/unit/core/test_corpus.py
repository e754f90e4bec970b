"""A corpus gets onto the disk: once, whole, recorded, prepared."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.loopback import Loopback, digest, serve, zip_of

from segue.core.corpus import Archive, Corpus, fetch, find_corpus
from segue.errors import DataError, SettingError

ONE = zip_of({"one/a.mid": b"a", "one/b.mid": b"b"})
TWO = zip_of({"two/c.mid": b"c"})


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as server:
        server.files |= {"/one.zip": ONE, "/two%20.zip": TWO}
        yield server


def corpus_at(loopback: Loopback) -> Corpus:
    return Corpus(
        name="toy",
        title="three files",
        archives=(
            Archive(f"{loopback.url}/one.zip", len(ONE), digest(ONE)),
            Archive(f"{loopback.url}/two%20.zip", len(TWO), digest(TWO, "sha1")),
        ),
        licence="CC0",
        citation="Nobody: Nothing. 2026",
        homepage="https://example.org",
        prepare=lambda folder: {"heard": len(list(folder.rglob("*.mid")))},
    )


def test_all_archives_are_unpacked_and_recorded(loopback: Loopback, tmp_path: Path) -> None:
    corpus = corpus_at(loopback)
    assert fetch(corpus, tmp_path / "data") == {"unpacked files": 3, "heard": 3}
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names == {"one", "two", "downloads.json"}
    record = json.loads((tmp_path / "data" / "downloads.json").read_text())
    assert set(record) == {"one.zip", "two .zip"}
    assert record["one.zip"]["digest"] == digest(ONE)
    assert record["one.zip"]["citation"] == corpus.citation


def test_a_file_that_is_wanted_as_it_is_stays(loopback: Loopback, tmp_path: Path) -> None:
    corpus = corpus_at(loopback)
    kept = replace(corpus.archives[0], unpacked=False)
    corpus = replace(corpus, archives=(kept,), prepare=None)
    for _ in range(2):
        assert fetch(corpus, tmp_path) == {"unpacked files": 0}
    assert (tmp_path / "one.zip").read_bytes() == ONE
    assert not (tmp_path / "one").exists()
    assert len(loopback.asked) == 1
    (tmp_path / "one.zip").unlink()
    fetch(corpus, tmp_path)
    assert len(loopback.asked) == 2


def test_nothing_is_fetched_twice(loopback: Loopback, tmp_path: Path) -> None:
    corpus = corpus_at(loopback)
    fetch(corpus, tmp_path)
    asked = len(loopback.asked)
    assert fetch(corpus, tmp_path) == {"unpacked files": 0, "heard": 3}
    assert len(loopback.asked) == asked == 2


def test_another_hash_is_fetched_again(loopback: Loopback, tmp_path: Path) -> None:
    corpus = corpus_at(loopback)
    fetch(corpus, tmp_path)
    newer = zip_of({"one/a.mid": b"new"})
    loopback.files["/one.zip"] = newer
    archive = Archive(f"{loopback.url}/one.zip", len(newer), digest(newer))
    fetch(replace(corpus, archives=(archive, corpus.archives[1])), tmp_path)
    assert (tmp_path / "one" / "a.mid").read_bytes() == b"new"
    assert len(loopback.asked) == 3


def test_a_failed_second_archive_keeps_the_first(loopback: Loopback, tmp_path: Path) -> None:
    corpus = corpus_at(loopback)
    loopback.files.pop("/two%20.zip")
    with pytest.raises(DataError, match="HTTP 404"):
        fetch(corpus, tmp_path)
    loopback.files["/two%20.zip"] = TWO
    assert fetch(corpus, tmp_path)["unpacked files"] == 1
    assert [path for path, _ in loopback.asked].count("/one.zip") == 1


def test_archives_stay_on_request(loopback: Loopback, tmp_path: Path) -> None:
    fetch(corpus_at(loopback), tmp_path, keep_archives=True)
    assert (tmp_path / "one.zip").read_bytes() == ONE


def test_room_for_archives_and_content_is_asked_first(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = (64 << 20) + 2 * (len(ONE) + len(TWO)) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, free))
    with pytest.raises(DataError, match="the archives and what is in them"):
        fetch(corpus_at(loopback), tmp_path)
    assert loopback.asked == []
    free += 1
    assert fetch(corpus_at(loopback), tmp_path)["unpacked files"] == 3


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_record_is_told(loopback: Loopback, tmp_path: Path, text: str) -> None:
    (tmp_path / "downloads.json").write_text(text)
    with pytest.raises(DataError, match="remove it"):
        fetch(corpus_at(loopback), tmp_path)


def test_a_name_is_found_or_the_nearest_is_named(loopback: Loopback) -> None:
    corpus = corpus_at(loopback)
    assert find_corpus("toy", [corpus]) is corpus
    with pytest.raises(SettingError, match="Did you mean toy"):
        find_corpus("toi", [corpus])
    with pytest.raises(SettingError, match="Known are toy"):
        find_corpus("Lakh", [corpus])
