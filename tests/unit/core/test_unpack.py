"""Unpacking: what is inside arrives, what leads elsewhere is refused, what was there stays."""

import io
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.loopback import tar_of, zip_of

from segue.core.unpack import unpack
from segue.errors import DataError

FILES = {"set/a.mid": b"a" * 1000, "set/deep/er/b.mid": b"", "c.txt": b"\x00\x01"}


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "archive",
    [
        zip_of(FILES, zipfile.ZIP_STORED),
        zip_of(FILES, zipfile.ZIP_DEFLATED),
        zip_of(FILES, zipfile.ZIP_BZIP2),
        zip_of(FILES, zipfile.ZIP_LZMA),
        tar_of(FILES, "w"),
        tar_of(FILES, "w:gz"),
        tar_of(FILES, "w:bz2"),
        tar_of(FILES, "w:xz"),
    ],
    ids=["stored", "deflate", "bzip2", "lzma", "tar", "tar.gz", "tar.bz2", "tar.xz"],
)
def test_everything_inside_arrives(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(archive)
    assert unpack(tmp_path / "pack", tmp_path / "out") == len(FILES)
    assert content_of(tmp_path / "out") == FILES
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"set", "c.txt"}


def test_many_files_arrive_each_with_its_own_content(tmp_path: Path) -> None:
    files = {f"{n % 7}/{n:04d}": bytes([n % 251]) * (n * 37 % 5_000) for n in range(1_000)}
    (tmp_path / "pack").write_bytes(zip_of(files, zipfile.ZIP_BZIP2))
    assert unpack(tmp_path / "pack", tmp_path / "out") == 1_000
    assert content_of(tmp_path / "out") == files


def zip_with(name: str, mode: int = 0, *, encrypted: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pack:
        pack.writestr("good.txt", b"good")
        member = zipfile.ZipInfo("placeholder")
        member.filename = name
        member.create_system = 3
        member.external_attr = mode << 16
        pack.writestr(member, b"/etc/passwd")
    content = bytearray(buffer.getvalue())
    if encrypted:
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.rfind(signature) + offset] |= 1
    return bytes(content)


def tar_with(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "../../etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
    return tar_of({"good.txt": b"good"}, special=member)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "zip absolute": lambda: zip_with("/etc/evil"),
    "zip up": lambda: zip_with("../evil"),
    "zip up inside": lambda: zip_with("a/../../evil"),
    "zip drive": lambda: zip_with("C:/evil"),
    "zip backslash": lambda: zip_with("..\\evil"),
    "zip control": lambda: zip_with("a\nb"),
    "zip link": lambda: zip_with("link", stat.S_IFLNK | 0o777),
    "zip device": lambda: zip_with("null", stat.S_IFCHR | 0o666),
    "zip encrypted": lambda: zip_with("secret", encrypted=True),
    "zip twice": lambda: zip_with("./good.txt"),
    "tar absolute": lambda: tar_with("/etc/evil"),
    "tar up": lambda: tar_with("../evil"),
    "tar link": lambda: tar_with("link", tarfile.SYMTYPE),
    "tar hard link": lambda: tar_with("link", tarfile.LNKTYPE),
    "tar device": lambda: tar_with("null", tarfile.CHRTYPE),
    "tar pipe": lambda: tar_with("pipe", tarfile.FIFOTYPE),
    "tar twice": lambda: tar_with("good.txt"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_safe_is_refused_before_anything_is_written(kind: str, tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(HOSTILE[kind]())
    with pytest.raises(DataError, match=r"not safe to unpack|twice: refused"):
        unpack(tmp_path / "pack", tmp_path / "in" / "out")
    assert {path.name for path in tmp_path.rglob("*")} == {"pack"}


def test_limits_on_number_and_size(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(zip_of({"a": b"0" * 5_000, "b": b"0" * 5_000}))
    for limits in ({"most_files": 1}, {"most_bytes": 9_999}):
        with pytest.raises(DataError, match="holds more than"):
            unpack(tmp_path / "pack", tmp_path / "out", **limits)
    assert unpack(tmp_path / "pack", tmp_path / "out", most_files=2, most_bytes=10_000) == 2


@pytest.mark.parametrize("num_bytes", [100, 6_000])
def test_a_file_of_another_size_than_it_says_is_refused(tmp_path: Path, num_bytes: int) -> None:
    content = bytearray(zip_of({"a": b"0" * 5_000}))
    place = content.rfind(b"PK\x01\x02") + 24
    content[place : place + 4] = num_bytes.to_bytes(4, "little")
    (tmp_path / "pack").write_bytes(content)
    with pytest.raises(DataError):
        unpack(tmp_path / "pack", tmp_path / "out")
    assert content_of(tmp_path / "out") == {}


def test_damage_inside_is_told_and_the_file_is_absent(tmp_path: Path) -> None:
    content = zip_of({"a": b"good", "b": b"to be damaged"}, zipfile.ZIP_STORED)
    (tmp_path / "pack").write_bytes(content.replace(b"to be damaged", b"to be changed"))
    with pytest.raises(DataError, match=r"damaged .* CRC"):
        unpack(tmp_path / "pack", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"a": b"good"}


# Named: the bytes of an archive hold the second in which it was packed.
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", zip_of(FILES)[:200], tar_of(FILES)[:60]],
    ids=["empty", "text", "zip", "tar"],
)
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(tmp_path / "pack", tmp_path / "out")


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(zip_of(FILES))
    unpack(tmp_path / "pack", tmp_path / "out")
    kept, shorter = tmp_path / "out" / "c.txt", tmp_path / "out" / "set" / "a.mid"
    before = kept.stat().st_ino
    shorter.write_bytes(b"half")
    assert unpack(tmp_path / "pack", tmp_path / "out") == len(FILES)
    assert kept.stat().st_ino == before
    assert content_of(tmp_path / "out") == FILES


def test_a_link_that_is_there_is_not_followed_out(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(zip_of(FILES))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "set").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="through a link"):
        unpack(tmp_path / "pack", tmp_path / "out")
    assert content_of(tmp_path / "elsewhere") == {}


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(zip_of(FILES))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "set").write_bytes(b"")
    with pytest.raises(DataError, match=r"Unpacking .* failed"):
        unpack(tmp_path / "pack", tmp_path / "out")


def test_a_full_disk_is_seen_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pack").write_bytes(zip_of(FILES))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 100))
    with pytest.raises(DataError, match="disk is too small for what pack holds"):
        unpack(tmp_path / "pack", tmp_path / "out")
    assert not (tmp_path / "out").exists()
