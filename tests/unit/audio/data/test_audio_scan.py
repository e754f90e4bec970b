"""Which files are found, and what is known of them before they are decoded."""

import os
from pathlib import Path

import pytest
from tests.sounds import save, save_tagged, tone

from segue.audio.data.scan import SOUND_FILES, Header, find_files, read_headers
from segue.errors import DataError

KINDS = [SOUND_FILES]


def paths(folder: Path, **options: int) -> list[str]:
    return [source.path for source in find_files([(folder, 0)], KINDS, **options)]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_sound_files_are_found_sorted_and_nothing_else(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b/2.MP3",
        "b/1.ogg",
        "a.flac",
        "b/c/d.opus",
        "cover.jpg",
        "b/._1.ogg",
        "notes.mid",
    )
    assert paths(tmp_path) == ["a.flac", "b/1.ogg", "b/2.MP3", "b/c/d.opus"]
    assert paths(tmp_path, limit=2) == ["a.flac", "b/1.ogg"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a.wav")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "music")
    (tmp_path / "music" / "gone.wav").symlink_to("nowhere")
    assert paths(tmp_path / "music") == ["link/a.wav"]


def test_folders_that_give_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no music"):
        paths(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        paths(tmp_path / "missing")


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs a folder one cannot list"
)
def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(DataError, match="Cannot list"):
        paths(tmp_path)


def test_headers(tmp_path: Path) -> None:
    save_tagged(tmp_path / "a.flac", tone(2), artist="Clara")
    save(tmp_path / "b.wav", tone(3))
    (tmp_path / "c.wav").write_bytes(bytes(32_000))
    (tmp_path / "d.wav").write_bytes(bytes(32_000))
    sources = find_files([(tmp_path, 0)], KINDS)
    (tmp_path / "d.wav").unlink()
    found = read_headers(sources, KINDS)
    assert found == [Header("Clara", 2.0), Header("", 3.0), Header("", 2.0), Header("", 0.0)]
