"""A split is drawn by cluster or by file, is published, and comes back from what is published."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tests.corpora import copied, corpus, edited, piece, save

from segue.core.files import sha256_of
from segue.errors import DataError, SettingError
from segue.symbolic.data.prepare import PrepareSettings, prepare
from segue.symbolic.data.splits import (
    Listed,
    MidiSplitSettings,
    SplitList,
    find_listed,
    read_split_list,
    write_lists,
)

SMALL: dict[str, Any] = {
    "notes_per_shard": 900,
    "split": {"valid_share": 0.3, "test_share": 0.2},
}


def settings(**split: Any) -> PrepareSettings:
    return PrepareSettings.model_validate(SMALL | {"split": SMALL["split"] | split})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def splits_of(target: Path) -> dict[str, str]:
    """Split by the SHA-256 of the file."""
    return {line["sha256"]: line["split"] for line in lines(target / "pieces.jsonl")}


def listed(sha256: str, **changes: str) -> Listed:
    return Listed("a.mid", sha256, "notes", "cluster", "train")._replace(**changes)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Eight pieces, each in three editions."""
    rng = np.random.default_rng(0)
    for number in range(8):
        for edition in range(3):
            lines_ = edited(copied(piece(number), semitones=edition), rng, share=0.02)
            save(tmp_path / "copies" / f"{edition}" / f"{number}.mid", lines_)
    return tmp_path / "copies"


def test_a_split_by_file_is_contaminated_and_one_by_cluster_is_not(
    copies: Path, tmp_path: Path
) -> None:
    clean = prepare([copies], tmp_path / "clean", settings(), workers=0)
    dirty = prepare([copies], tmp_path / "dirty", settings(by="file"), workers=0)
    assert (clean["split_by"], dirty["split_by"]) == ("cluster", "file")
    assert [clean["splits"][name]["near_training"] for name in ("valid", "test")] == [0, 0]
    near = [dirty["splits"][name]["near_training"] for name in ("train", "valid", "test")]
    assert near[0] == 0
    assert sum(near) > 0.5 * sum(dirty["splits"][name]["pieces"] for name in ("valid", "test"))
    first, second = (lines(tmp_path / name / "pieces.jsonl") for name in ("clean", "dirty"))
    groups = [{line["sha256"]: line["group"] for line in found} for found in (first, second)]
    assert groups[0] == groups[1]


def test_a_split_by_file_depends_on_the_file_alone(copies: Path, tmp_path: Path) -> None:
    prepare([copies], tmp_path / "all", settings(by="file"), workers=0)
    prepare([copies / "1"], tmp_path / "some", settings(by="file"), workers=0)
    whole = splits_of(tmp_path / "all")
    assert all(whole[sha256] == split for sha256, split in splits_of(tmp_path / "some").items())


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="by"):
        MidiSplitSettings.model_validate({"by": "mood"})


def test_the_lists_name_every_piece_with_its_hashes(copies: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    prepare([copies], target, settings(), workers=0)
    found = []
    for split in ("train", "valid", "test"):
        with (target / f"files-{split}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert {row["split"] for row in rows} == {split}
        assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
        found += rows
    assert all(row["sha256"] == sha256_of(copies / row["path"]) for row in found)
    pieces = {line["path"]: line for line in lines(target / "pieces.jsonl")}
    assert {row["path"]: row["cluster"] for row in found} == {
        path: line["group"] for path, line in pieces.items()
    }
    assert all(len(row["note_hash"]) == 32 for row in found)
    assert len({row["note_hash"] for row in found}) == len(found)


def test_a_list_gives_the_same_folder_again(copies: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    prepare([copies], first, settings(by="file"), workers=0)
    dataset = prepare([copies], second, settings(), split_list=[first], workers=0)
    assert dataset["split_by"] == "list"
    assert len(dataset["split_list_sha256"]) == 3
    assert dataset["missing"] == 0
    assert not (second / "missing.jsonl").exists()
    names = [path.name for path in first.iterdir() if path.is_file() and path.suffix != ".json"]
    assert len([name for name in names if name.endswith(".npy")]) > 6
    for name in [*names, "tokenizer.json"]:
        if name != "left-out.jsonl":
            assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_list_finds_files_whatever_they_are_called(tmp_path: Path) -> None:
    music, elsewhere = corpus(tmp_path / "music", 14), tmp_path / "elsewhere"
    prepare([music], tmp_path / "first", settings(), workers=0)
    for number, path in enumerate(sorted(music.rglob("*.mid"), reverse=True)):
        (elsewhere / "deep").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, elsewhere / "deep" / f"{number}.mid")
    shutil.copy(elsewhere / "deep" / "5.mid", elsewhere / "twice.mid")
    save(elsewhere / "new.mid", piece(99))
    lost = elsewhere / "deep" / "3.mid"
    lost_sha256 = sha256_of(lost)
    lost.unlink()
    target, lists = tmp_path / "second", sorted((tmp_path / "first").glob("files-*.csv"))
    dataset = prepare([elsewhere], target, settings(), split_list=lists, workers=0)
    expected = splits_of(tmp_path / "first")
    del expected[lost_sha256]
    assert splits_of(target) == expected
    assert dataset["missing"] == 1
    assert [line["sha256"] for line in lines(target / "missing.jsonl")] == [lost_sha256]
    assert dataset["left_out"] == {"not in the split list": 2}
    shutil.copy(sorted(music.rglob("*.mid"), reverse=True)[3], lost)
    assert prepare([elsewhere], target, settings(), split_list=lists, workers=0)["missing"] == 0
    assert not (target / "missing.jsonl").exists()


def test_a_list_alone_decides_between_files_of_equal_notes(tmp_path: Path) -> None:
    lines_ = piece(1)
    save(tmp_path / "here" / "b.mid", copied(lines_, semitones=1))
    for number in range(2, 6):
        save(tmp_path / "here" / f"{number}.mid", piece(number))
    prepare([tmp_path / "here"], tmp_path / "first", settings(), workers=0)
    save(tmp_path / "here" / "a.mid", lines_)
    prepare([tmp_path / "here"], tmp_path / "new", settings(), workers=0)
    assert splits_of(tmp_path / "new").keys() != splits_of(tmp_path / "first").keys()
    again = [tmp_path / "first"]
    prepare([tmp_path / "here"], tmp_path / "again", settings(), split_list=again, workers=0)
    assert splits_of(tmp_path / "again") == splits_of(tmp_path / "first")


def test_held_out_folders_and_a_list_exclude_each_other(tmp_path: Path) -> None:
    music = corpus(tmp_path / "music", 2)
    with pytest.raises(SettingError, match="split list"):
        prepare([music], tmp_path / "out", split_list=[music], held_out=[music])
    assert not (tmp_path / "out").exists()


def test_any_path_can_be_listed(tmp_path: Path) -> None:
    paths = ['a,"b".mid', "\udcff\n;.mid", "=SUM(A1).mid", "\u266b \r.mid"]
    written = [listed(f"{number:064x}", path=path) for number, path in enumerate(paths)]
    write_lists(tmp_path, [*written, listed("f" * 64, split="test")])
    found = read_split_list([tmp_path])
    assert sorted(found.lines) == sorted([*written, listed("f" * 64, split="test")])
    assert len(found.sha256) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin"),
        (b"path,hash\n", "does not begin"),
        (b"path,sha256,note_hash,cluster,split\na.mid,xyz,n,c,train\n", "Line 2"),
        (b"path,sha256,note_hash,cluster,split\n" + b"a," + b"0" * 64 + b",n,c,dev\n", "Line 2"),
        (b"path,sha256,note_hash,cluster,split\n\nb\n", "Line 2"),
        (b"path,sha256,note_hash,cluster,split\n" + b"x" * 200_000, "Cannot read"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_split_list([tmp_path / "list.csv"])


def test_a_missing_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot read"):
        read_split_list([tmp_path / "list.csv"])
    with pytest.raises(DataError, match="no list of files"):
        read_split_list([tmp_path])


def test_a_content_is_taken_as_often_as_it_is_listed() -> None:
    split_list = SplitList([listed("a"), listed("a", path="b.mid"), listed("c")], ())
    found, missing = find_listed(["a", "x", "a", "a"], split_list)
    assert [line and line.path for line in found] == ["a.mid", None, "b.mid", None]
    assert [line.sha256 for line in missing] == ["c"]
