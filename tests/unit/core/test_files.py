"""Files that are whole or absent."""

import hashlib
import os
from pathlib import Path

import pytest

from segue.core.files import atomic_path, safe_name, sha256_of, write_bytes, write_text
from segue.errors import DataError


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "Dvořák\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "Dvořák\n".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a.mid"
    write_bytes(target, b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        1 / 0  # noqa: B018
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mid"]


def test_the_temporary_file_keeps_the_ending(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.wav") as temporary:
        assert temporary.suffix == ".wav"
        assert temporary.parent == tmp_path


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="Cannot write"):
        write_bytes(tmp_path / "file" / "a.mid", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_data_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.mid"
    write_bytes(target, b"old")
    with pytest.raises(DataError, match="No space left"), atomic_path(target):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)
    assert target.read_bytes() == b"old"


def test_hashes_are_those_of_hashlib(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    write_bytes(tmp_path / "a", content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("small model, best of 4", "small-model-best-of-4"),
        ("../../else", "else"),
        ("c:\\d?*", "c-d"),
        ("Dvořák_2", "Dvořák_2"),
        ("..", "unnamed"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_name_of_a_file_is_one_on_every_system(text: str, name: str) -> None:
    assert safe_name(text) == name
