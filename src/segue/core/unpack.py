"""Unpack archives of unknown origin: nothing outside the folder, nothing but files and folders.

Every name and size is looked at before the first byte is written. Each file is whole or absent, and
a stopped run goes on where it was.
"""

import contextlib
import lzma
import os
import re
import stat
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from segue.core.download import BLOCK_BYTES, require_space
from segue.core.progress import Progress, silent, track
from segue.errors import DataError

MOST_FILES = 1_000_000
MOST_BYTES = 4_000_000_000_000

# What damaged or hostile archives raise, whatever the compression.
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, RuntimeError, UnicodeDecodeError, ValueError,
)  # fmt: skip
FORBIDDEN = re.compile(r"[\x00-\x1f\\]")
DRIVE = re.compile(r"[A-Za-z]:")

Member = zipfile.ZipInfo | tarfile.TarInfo


@dataclass(frozen=True)
class _Entry:
    """One file in an archive: the member, and where it belongs below the folder."""

    member: Member
    name: PurePosixPath
    num_bytes: int


def unpack(
    archive: Path | str,
    folder: Path | str,
    *,
    progress: Progress = silent,
    most_files: int = MOST_FILES,
    most_bytes: int = MOST_BYTES,
) -> int:
    """Unpack a zip (deflate, bzip2, LZMA) or a tar (plain, gzip, bzip2, xz).

    A file that is there already with the right size is left alone, so that a stopped run goes on.

    Args:
        archive: the file; its kind is seen from its content.
        folder: where to; made where missing.
        progress: who is told, in files.
        most_files: refuse an archive with more.
        most_bytes: refuse an archive whose content is larger.

    Returns:
        The number of files that the archive holds.

    Raises:
        DataError: the archive is damaged, too large, encrypted, or holds anything but files and
            folders inside its own folder: absolute names, ``..``, links, devices. Nothing is
            written then, except where the damage shows only on reading a file.
    """
    archive, folder = Path(archive), Path(folder)
    with _opened(archive) as pack:
        entries = _entries(archive, pack, most_files=most_files, most_bytes=most_bytes)
        missing = [entry for entry in entries if not _is_there(folder, entry)]
        require_space(
            folder, sum(entry.num_bytes for entry in missing), f"what {archive.name} holds"
        )
        folder.mkdir(parents=True, exist_ok=True)
        safe: set[Path] = set()
        for entry in missing:
            _make_parent(folder, entry.name, safe)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as temporary:
            writer = _Writer(pack, folder, Path(temporary))
            num_threads = 1 if isinstance(pack, tarfile.TarFile) else os.cpu_count()
            label = f"unpacking {archive.name}"
            with contextlib.closing(_in_threads(writer, missing, num_threads)) as done:
                for _ in track(done, label, total=len(missing), progress=progress):
                    pass
    return len(entries)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive of either kind; damage inside becomes a clear error."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                yield pack
        else:
            with tarfile.open(archive) as pack:
                yield pack
    except DAMAGE as error:
        raise DataError(
            f"{archive} cannot be unpacked, it is damaged or of an unknown kind: {error}."
        ) from error
    except OSError as error:
        raise DataError(f"Unpacking {archive} failed: {error.strerror or error}.") from error


def _entries(
    archive: Path, pack: zipfile.ZipFile | tarfile.TarFile, *, most_files: int, most_bytes: int
) -> list[_Entry]:
    """Look at every member before anything is written; give the files."""
    entries: dict[PurePosixPath, _Entry] = {}
    num_members = num_bytes = 0
    for member in pack.infolist() if isinstance(pack, zipfile.ZipFile) else pack:
        num_members += 1
        name = _safe_name(archive, member)
        size = member.file_size if isinstance(member, zipfile.ZipInfo) else member.size
        num_bytes += size
        if num_members > most_files or num_bytes > most_bytes:
            raise DataError(
                f"{archive} holds more than {most_files:,} members or {most_bytes:,} bytes: refused."
            )
        if member.is_dir() if isinstance(member, zipfile.ZipInfo) else member.isdir():
            continue
        if name in entries:
            raise DataError(f"{archive} holds {str(name)!r} twice: refused.")
        entries[name] = _Entry(member, name, size)
    return list(entries.values())


def _safe_name(archive: Path, member: Member) -> PurePosixPath:
    """Return where a member belongs below the folder; refuse what leads elsewhere."""
    text = member.orig_filename if isinstance(member, zipfile.ZipInfo) else member.name
    parts = [part for part in text.split("/") if part not in {"", "."}]
    fault: str | None
    if text.startswith("/") or DRIVE.match(text):
        fault = "an absolute name"
    elif ".." in parts:
        fault = "a name that leads out of the folder"
    elif FORBIDDEN.search(text) or (not parts and not text.endswith(("/", "."))):
        fault = "a name that is none"
    else:
        fault = _zip_fault(member) if isinstance(member, zipfile.ZipInfo) else _tar_fault(member)
    if fault:
        raise DataError(
            f"{archive} is not safe to unpack, {text!r} is {fault}. Nothing was written."
        )
    return PurePosixPath(*parts)


def _zip_fault(member: zipfile.ZipInfo) -> str | None:
    """Say what a zip member is if it is neither a plain file nor a folder."""
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "a link or a device"
    return "encrypted" if member.flag_bits & 1 else None


def _tar_fault(member: tarfile.TarInfo) -> str | None:
    """Say what a tar member is if it is neither a plain file nor a folder."""
    plain = member.isdir() or (member.isreg() and not member.issparse())
    return None if plain else "a link or a device"


def _is_there(folder: Path, entry: _Entry) -> bool:
    """Whether a run before has written this file."""
    path = folder / entry.name
    return path.is_file() and not path.is_symlink() and path.stat().st_size == entry.num_bytes


def _make_parent(folder: Path, name: PurePosixPath, safe: set[Path]) -> None:
    """Make the folder of a file; refuse where a link that was there before leads out of ours."""
    parent = (folder / name).parent
    if parent in safe:
        return
    parent.mkdir(parents=True, exist_ok=True)
    if not parent.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{parent} leads out of {folder} through a link: refused.")
    safe.add(parent)


@dataclass(frozen=True)
class _Writer:
    """Writes files of an archive; several threads may call it for different files."""

    pack: zipfile.ZipFile | tarfile.TarFile
    folder: Path
    temporary: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, entry: _Entry) -> None:
        """Write one file, whole or not at all."""
        piece = self.temporary / str(threading.get_ident())
        with self.lock:
            source = _source(self.pack, entry.member)
        try:
            _write(source, entry, piece)
        finally:
            with self.lock:
                source.close()
        piece.replace(self.folder / entry.name)


def _in_threads(
    writer: _Writer, entries: Sequence[_Entry], num_threads: int | None
) -> Generator[None, None, None]:
    """Write all files; decompression leaves the interpreter free for other threads."""
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            yield from pool.map(writer, entries)
        finally:
            pool.shutdown(cancel_futures=True)


def _write(source: IO[bytes], entry: _Entry, piece: Path) -> None:
    """Write the content of one file, no more than it says."""
    with piece.open("wb") as stream:
        left = entry.num_bytes
        while block := source.read(BLOCK_BYTES):
            left -= len(block)
            if left < 0:
                break
            stream.write(block)
    if left:
        raise DataError(f"{entry.name} in the archive has another size than it says.")


def _source(pack: zipfile.ZipFile | tarfile.TarFile, member: Member) -> IO[bytes]:
    """Open one member for reading."""
    if isinstance(pack, zipfile.ZipFile):
        assert isinstance(member, zipfile.ZipInfo)
        return pack.open(member)
    assert isinstance(member, tarfile.TarInfo)
    stream = pack.extractfile(member)
    assert stream is not None
    return stream
