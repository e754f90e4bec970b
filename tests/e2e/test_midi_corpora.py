"""From the archives of MIDI corpora, in small, to folders prepared for training: real commands."""

import csv
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.corpus_shapes import BROKEN_NAMES, MAESTRO_ROWS, served
from tests.loopback import Loopback, digest, tar_of, zip_of
from typer.testing import CliRunner

from segue.cli.main import app
from segue.core.corpus import Archive, Corpus
from segue.errors import DataError
from segue.symbolic.data.corpora import registry
from segue.symbolic.data.prepare import PrepareSettings, prepare

Run = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = PrepareSettings.model_validate({"scan": {"min_notes": 8}})
NAMES = {corpus.name: corpus for corpus in registry.midi_corpora()}


@pytest.fixture
def corpora(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> dict[str, Corpus]:
    """The corpora that the commands know: none but those put here."""
    known: dict[str, Corpus] = {}
    monkeypatch.setattr(registry, "midi_corpora", lambda: tuple(known.values()))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return known


def download(name: str, folder: Path) -> dict[str, int]:
    """Run the command; what it raises is what a person would be told."""
    words = ["data", "download", name, "-o", str(folder), "--yes", "--json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    counts: dict[str, int] = json.loads(result.stdout)["counts"]
    return counts


def pieces_of(prepared: Path) -> list[dict[str, str]]:
    lines = (prepared / "pieces.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lakh_goes_from_its_archive_to_shards(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path, run_segue: Run
) -> None:
    corpora["lakh-full"] = served(NAMES["lakh-full"], loopback)
    loopback.cuts = [700]
    folder = tmp_path / "lakh"
    num_files = download("lakh-full", folder)["unpacked files"]
    assert [wanted for _, wanted in loopback.asked] == [None, "bytes=700-"]
    assert {path.name for path in (folder / "lmd_full").iterdir()} == set("0123456789abcdef")
    done = run_segue(
        *("midi", "prepare", folder / "lmd_full", "-o", tmp_path / "prepared", "--workers", "0"),
        *("--set", "prepare.scan.min_notes=8", "--set", "prepare.split.valid_share=0.2"),
        timeout_s=280,
    )
    assert done.returncode == 0, done.stderr
    assert len(pieces_of(tmp_path / "prepared")) == num_files - 2
    left_out = (tmp_path / "prepared" / "left-out.jsonl").read_text().splitlines()
    assert len(left_out) == 2


def test_names_of_any_kind_come_through(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path
) -> None:
    corpora["lakh-clean"] = served(NAMES["lakh-clean"], loopback)
    assert download("lakh-clean", tmp_path / "data") == {"unpacked files": len(BROKEN_NAMES) + 1}
    prepare([tmp_path / "data" / "clean_midi"], tmp_path / "prepared", SETTINGS, workers=0)
    assert {piece["path"] for piece in pieces_of(tmp_path / "prepared")} == set(BROKEN_NAMES)


def test_maestro_brings_its_splits_and_credits(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path
) -> None:
    corpora["maestro"] = served(NAMES["maestro"], loopback)
    counts = download("maestro", tmp_path / "data")
    assert counts == {
        "unpacked files": 5, "train": 2, "valid": 1, "test": 1, "left out: file missing": 1,
    }  # fmt: skip
    music = tmp_path / "data" / "maestro-v3.0.0"
    splits = rows_of(music / "splits.csv")
    assert [row["path"] for row in splits] == [row[4] for row in MAESTRO_ROWS[:-1]]
    assert [row["split"] for row in splits] == ["train", "train", "valid", "test"]
    assert splits[0]["group"] == splits[1]["group"] != splits[2]["group"]
    credits_ = rows_of(music / "credits.csv")[2]
    assert credits_["artist"] == "Frédéric Chopin"
    assert credits_["title"] == 'Étude "3"'
    assert "NC" in credits_["licence"]
    prepare([music], tmp_path / "prepared", SETTINGS, workers=0)
    assert len(pieces_of(tmp_path / "prepared")) == 4


def test_splits_that_are_folders_and_tables_of_drummers(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path
) -> None:
    for name in ("nottingham", "groove"):
        corpora[name] = served(NAMES[name], loopback)
        counts = download(name, tmp_path / name)
        assert counts["train"] >= 2
        assert counts["valid"] >= 1
        assert counts["test"] >= 1
    assert rows_of(tmp_path / "groove" / "groove" / "splits.csv")[0]["label"] == "funk/groove1"
    assert not (tmp_path / "nottingham" / "Nottingham" / "credits.csv").exists()


def test_a_wrong_hash_is_told_and_nothing_stays(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path
) -> None:
    corpora["lakh-full"] = served(NAMES["lakh-full"], loopback)
    content = loopback.files["/lmd_full.tar.gz"]
    loopback.files["/lmd_full.tar.gz"] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(DataError, match="is not the file that was published"):
        download("lakh-full", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_full_disk_is_told_before_a_byte_is_fetched(
    corpora: dict[str, Corpus],
    loopback: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpora["lakh-full"] = served(NAMES["lakh-full"], loopback)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1000))
    with pytest.raises(DataError, match="The disk is too small"):
        download("lakh-full", tmp_path / "data")
    assert loopback.asked == []


@pytest.mark.parametrize("name", ["../evil.mid", "lmd_full/../../evil.mid", "/evil.mid"])
def test_an_archive_that_leads_out_is_refused(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path, name: str
) -> None:
    content = tar_of({"lmd_full/0/a.mid": b"a", name: b"evil"})
    loopback.files["/lmd_full.tar.gz"] = content
    archive = Archive(f"{loopback.url}/lmd_full.tar.gz", len(content), digest(content))
    corpora["toy"] = Corpus("toy", "toy", (archive,), "CC0", "A. 2026", "https://example.org")
    with pytest.raises(DataError, match="is not safe to unpack"):
        download("toy", tmp_path / "data")
    assert {path.name for path in tmp_path.rglob("*")} == {"data", "lmd_full.tar.gz"}


def test_without_a_published_hash_that_of_what_came_is_recorded(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path
) -> None:
    corpora["pop909"] = served(NAMES["pop909"], loopback)
    (archive,) = corpora["pop909"].archives
    content = loopback.files[f"/{archive.file_name}"]
    assert download("pop909", tmp_path)["unpacked files"] == 5
    record = json.loads((tmp_path / "downloads.json").read_text())[archive.file_name]
    assert record["digest"] is None
    assert record["sha256"] == digest(content).removeprefix("sha256:")
    assert download("pop909", tmp_path)["unpacked files"] == 0
    # Another version is another address.
    newer = Archive(f"{loopback.url}/v2/{archive.file_name}", len(content), None, exact=False)
    loopback.files[f"/v2/{archive.file_name}"] = zip_of({"new/a.mid": b"a"})
    corpora["pop909"] = Corpus("pop909", "toy", (newer,), "MIT", "A. 2026", "https://example.org")
    assert download("pop909", tmp_path)["unpacked files"] == 1


def test_without_a_published_hash_a_cut_archive_does_not_stay(
    corpora: dict[str, Corpus], loopback: Loopback, tmp_path: Path
) -> None:
    corpora["pop909"] = served(NAMES["pop909"], loopback)
    (archive,) = corpora["pop909"].archives
    path = f"/{archive.file_name}"
    content = loopback.files[path]
    loopback.files[path] = content[:-200]
    with pytest.raises(DataError, match="did not give a whole zip archive"):
        download("pop909", tmp_path)
    loopback.files[path] = content
    assert download("pop909", tmp_path)["unpacked files"] == 5
