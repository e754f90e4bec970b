"""Other labels and captions for folders that are there, without touching what is in them."""

import json
from pathlib import Path

import pytest
from tests.toy_diffusion import prepared_audio, toy_encode

from segue.audio.data.clips import Clips
from segue.audio.data.latent_cache import Latents
from segue.audio.data.relabel import relabel
from segue.audio.data.words import Metadata, Words
from segue.core.files import sha256_of
from segue.errors import DataError

TABLE = {
    "train0.wav": Metadata(Words(("zither", "low"), ("a low zither",))),
    "train1.wav": Metadata(era="modern"),
    "nowhere.wav": Metadata(Words(("x",))),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepared_audio(tmp_path / "prepared", seconds={"train": [1.0, 1.5, 1.0], "valid": [1.0]})


def sounds(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*16"))}


@pytest.mark.parametrize("kind", ["prepared", "latents"])
def test_labels_and_captions_are_written_anew(folder: Path, tmp_path: Path, kind: str) -> None:
    if kind == "latents":
        toy_encode(folder, tmp_path / "latents")
        folder = tmp_path / "latents"
    before = sounds(folder)
    assert before
    described = json.loads(
        (folder / ("dataset.json" if kind == "prepared" else "latents.json")).read_text()
    )
    notes = {"train2.wav": Words(("piano",), ("solo piano",))}
    counts = relabel(folder, metadata=TABLE, scores=notes)
    assert counts == {
        "recordings": 4, "changed": 4, "by metadata": 2, "by scores": 1, "labelled": 4,
        "captioned": 4, "unknown": 1,
        "labels": {described["labels"][0]: 2, "zither": 1, "low": 1, described["labels"][1]: 1,
                   "modern": 1, "piano": 1},
    }  # fmt: skip
    assert sounds(folder) == before
    opened = Clips(folder) if kind == "prepared" else Latents(folder, "train")
    first, second = described["labels"]
    assert opened.labels == [first, second, "low", "modern", "piano", "zither"]
    rows = [(row.label, row.labels, row.captions) for row in opened.recordings]
    assert rows == [
        ("zither", ("zither", "low"), ("a low zither",)),
        (second, (second, "modern"), (f"{second} music", f"{second} music, modern")),
        (first, (first, "piano"), ("solo piano",)),
    ]
    again = relabel(folder, metadata=TABLE, scores=notes)
    assert again["changed"] == 0
    assert again["labels"] == counts["labels"]


def test_captions_that_labels_made_do_not_outlive_them(folder: Path) -> None:
    relabel(folder)
    relabel(folder, metadata={"train0.wav": Metadata(Words(("rock",)))})
    assert Clips(folder).recordings[0].captions == ("rock music",)
    relabel(folder, metadata={"train0.wav": Metadata(Words((), ("loud",)))})
    assert Clips(folder).recordings[0].captions == ("loud",)
    relabel(folder, metadata={"train0.wav": Metadata(Words(("folk",)))})
    assert Clips(folder).recordings[0].captions == ("loud",), "what a person wrote stays"


def test_names_may_lack_their_first_folder(folder: Path) -> None:
    path = folder / "recordings.train.csv"
    path.write_text(path.read_text().replace("train0.wav", "music/train0.wav"))
    assert relabel(folder, metadata=TABLE)["unknown"] == 1
    assert Clips(folder).recordings[0].label == "zither"


def test_latents_take_the_labels_that_their_folder_was_given_since(
    folder: Path, tmp_path: Path
) -> None:
    latents, said = tmp_path / "latents", list[str]()
    first = toy_encode(folder, latents)
    before = sounds(latents)
    relabel(folder, metadata=TABLE)
    again = toy_encode(folder, latents, told=said.append)
    fresh = toy_encode(folder, tmp_path / "fresh")
    assert fresh["dataset"] == first["dataset"]
    assert (again["mean"], sounds(latents)) == (first["mean"], before)
    assert again["labels"] == Latents(latents, "train").labels
    assert again["labels"][: len(first["labels"])] == first["labels"]
    assert set(again["labels"]) == set(fresh["labels"])
    for split in ("train", "valid"):
        rows = [Latents(path, split).recordings for path in (latents, tmp_path / "fresh")]
        assert rows[0] == rows[1]
    assert len(said) == 1
    assert "other labels" in said[0]


def test_what_latents_alone_were_given_stays(folder: Path, tmp_path: Path) -> None:
    latents, said = tmp_path / "latents", list[str]()
    toy_encode(folder, latents)
    relabel(latents, metadata={"train0.wav": Metadata(Words(("mine",)))})
    toy_encode(folder, latents, told=said.append)
    assert Latents(latents, "train").recordings[0].label == "mine"
    assert not said


def test_latents_of_an_older_version_are_left_alone_where_nothing_differs(
    folder: Path, tmp_path: Path
) -> None:
    latents = tmp_path / "latents"
    toy_encode(folder, latents)
    (latents / "words.sha256").unlink()
    times = {path: path.stat().st_mtime_ns for path in latents.glob("*.[cj]s*")}
    toy_encode(folder, latents)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    (latents / "words.sha256").unlink()
    relabel(folder, metadata=TABLE)
    toy_encode(folder, latents)
    assert Latents(latents, "train").recordings[0].label == "zither"


def test_what_is_no_such_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a prepared folder nor one of latents"):
        relabel(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        relabel(tmp_path)
