"""Labels, groups and splits."""

from collections import defaultdict
from pathlib import Path

import pytest

from segue.audio.data.scan import Header, Source
from segue.audio.data.split import GroupBy, Place, place_files
from segue.core.split import SplitSettings
from segue.errors import DataError

HALF = SplitSettings(valid_share=0.3, test_share=0.2, largest_held_out_share=1)


def places(
    root: Path,
    paths: list[str],
    artists: dict[str, str] | None = None,
    *,
    group_by: GroupBy = "auto",
    split: SplitSettings = HALF,
    seconds: dict[str, float] | None = None,
    seed: int = 0,
) -> dict[str, Place]:
    sources = [Source(root, path, 1, 1, 0) for path in paths]
    headers = [
        Header((artists or {}).get(path, ""), (seconds or {}).get(path, 60.0)) for path in paths
    ]
    found = place_files(sources, headers, split, group_by=group_by, min_seconds=10, seed=seed)
    return dict(zip(paths, found, strict=True))


MANY = [
    f"{label}/{album}/{track}.ogg" for label in "ab" for album in range(9) for track in range(3)
]


def test_the_first_folder_is_the_label(tmp_path: Path) -> None:
    found = places(tmp_path, ["top.ogg", "jazz/1.ogg", "rock/album/2.ogg", "rock/3.ogg"])
    assert [place.label for place in found.values()] == ["", "jazz", "rock", "rock"]


def test_groups(tmp_path: Path) -> None:
    paths = ["top.ogg", "jazz/1.ogg", "rock/album/2.ogg", "rock/album/3.ogg"]
    tags = {"jazz/1.ogg": " The  Band ", "rock/album/3.ogg": "the band"}
    groups = {
        way: [place.group for place in places(tmp_path, paths, tags, group_by=way).values()]
        for way in ("auto", "artist", "folder", "file")
    }
    band = "artist the band"
    assert groups["auto"] == ["file top.ogg", band, "folder rock/album", band]
    assert groups["artist"] == ["file top.ogg", band, "file rock/album/2.ogg", band]
    assert groups["folder"] == ["folder .", "folder jazz", "folder rock/album", "folder rock/album"]
    assert groups["file"] == [f"file {path}" for path in paths]


def test_one_artist_alone_is_split_by_files(tmp_path: Path) -> None:
    paths = [f"{number}.ogg" for number in range(9)]
    found = places(tmp_path, paths, dict.fromkeys(paths, "me"))
    assert {place.split for place in found.values()} == {"train", "valid", "test"}
    kept = places(tmp_path, paths, dict.fromkeys(paths, "me"), group_by="artist")
    assert {place.split for place in kept.values()} == {"train"}


def test_a_group_stays_together_and_a_split_stays_the_same(tmp_path: Path) -> None:
    found = places(tmp_path, MANY)
    splits = defaultdict(set)
    for place in found.values():
        splits[place.group].add(place.split)
    assert all(len(some) == 1 for some in splits.values())
    assert {place.split for place in found.values()} == {"train", "valid", "test"}
    assert places(tmp_path, MANY) == found
    assert places(tmp_path, MANY, seed=1) != found
    fewer = places(tmp_path, MANY[9:])
    assert all(found[path].split == place.split for path, place in fewer.items())


def test_what_is_too_short_is_not_all_that_a_split_has(tmp_path: Path) -> None:
    long = ["a/x/1.ogg", "a/y/1.ogg", "a/z/1.ogg"]
    short = [f"a/{number}/1.ogg" for number in range(60)]
    found = places(tmp_path, long + short, seconds=dict.fromkeys(short, 2.0))
    assert {found[path].split for path in long} == {"train", "valid", "test"}


def test_several_folders_have_names_of_their_own(tmp_path: Path) -> None:
    roots = [tmp_path / "a" / "music", tmp_path / "b" / "music", tmp_path / "c"]
    sources = [Source(root, "x.ogg", 1, 1, 0) for root in roots]
    found = place_files(sources, [Header("", 60)] * 3, HALF, group_by="auto", min_seconds=1, seed=0)
    assert [place.name for place in found] == ["music/x.ogg", "1-music/x.ogg", "c/x.ogg"]
    assert len({place.group for place in found}) == 3


def write(root: Path, text: str) -> Path:
    (root / "splits.csv").write_text(text, encoding="utf-8-sig")
    return root


def test_a_listing_knows_better(tmp_path: Path) -> None:
    write(
        tmp_path,
        "path,split,label,group\n000/1.mp3,valid,Jazz,7\n000/2.mp3,train,,\n001\\3.mp3,,Rock,7\n"
        "not/there.mp3,test,Rock,8\n",
    )
    found = places(tmp_path, ["000/1.mp3", "000/2.mp3", "000/9.mp3", "001/3.mp3"])
    assert found["000/1.mp3"] == Place(
        "000/1.mp3", "Jazz", "7", "valid", ("Jazz",), ("Jazz music",)
    )
    assert found["000/2.mp3"] == Place("000/2.mp3", "", "file 000/2.mp3", "train")
    assert found["000/9.mp3"].split == "left out"
    assert found["001/3.mp3"][:4] == ("001/3.mp3", "Rock", "7", "valid")  # as its group


def test_a_listing_without_labels_leaves_the_rule(tmp_path: Path) -> None:
    found = places(write(tmp_path, "path\na/1.mp3\n"), ["a/1.mp3", "a/2.mp3"])
    assert found["a/1.mp3"].label == "a"
    assert found["a/1.mp3"].split == "train"
    assert found["a/2.mp3"].split == "left out"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("name,split\na,train\n", "must have path"),
        ("path,genre\na,b\n", "may have split, label and group"),
        ("path,split\na,training\n", "'training'; it must be train, valid, test or empty"),
        ("path,split\na,train\na,valid\n", "names a twice"),
        ("path,split,group\na/1.mp3,train,x\na/2.mp3,valid,x\n", "'x' into train and into valid"),
    ],
)
def test_a_listing_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        places(tmp_path, ["a/1.mp3", "a/2.mp3"])


def test_a_listing_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(DataError, match="cannot be read"):
        places(tmp_path, ["a/1.mp3"])
