"""What a corpus is, and how one gets onto the disk: download, check, unpack, prepare.

A corpus is described by data alone (addresses, sizes, hashes, licence, citation) plus one function
that knows its folder layout. Music files of every kind use the same description.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from segue.core.config import nearest
from segue.core.download import download, require_space
from segue.core.files import sha256_of, write_text
from segue.core.progress import Progress, silent
from segue.core.unpack import unpack
from segue.errors import DataError, SettingError

RECORD_NAME = "downloads.json"

Prepare = Callable[[Path], Mapping[str, int]]


PIP: Final = "pip:"
"""Begins the address of what pip fetches."""


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Args:
        url: where it is published, http or https; ``pip:PACKAGE==VERSION/FILE`` lets pip fetch it from
            the index that pip is set up with.
        num_bytes: its size.
        digest: its hash as published, ``algorithm:hexadecimal``; md5, sha1, sha256 or sha512. None
            where none is published, because the server packs the archive anew for each request:
            the address must then name a fixed version, and the hash of what came is recorded.
        exact: whether `num_bytes` is exact. Where only a rounded size is published, the server's
            own figure is taken and the hash decides.
        unpacked: whether what is in it is wanted; else the file itself stays.
    """

    url: str
    num_bytes: int
    digest: str | None
    exact: bool = True
    unpacked: bool = True

    @property
    def file_name(self) -> str:
        """Name of the file on disk, the last part of the address."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


@dataclass(frozen=True)
class Corpus:
    """A published collection of music, or of weights and statistics for evaluating.

    Args:
        name: what a person types, lower case with hyphens.
        title: what it is, in one line.
        archives: what is downloaded and unpacked, in this order, into one folder.
        licence: under what terms it may be used.
        citation: what to cite.
        homepage: where its makers describe it.
        num_files: how many pieces of music are in it; None where there are none.
        hours: how long they are; None where that says nothing (scores, tables).
        prepare: called with the folder after unpacking; writes what preparing the data reads and
            returns counts to tell.
    """

    name: str
    title: str
    archives: tuple[Archive, ...]
    licence: str
    citation: str
    homepage: str
    num_files: int | None = None
    hours: float | None = None
    prepare: Prepare | None = None

    @property
    def num_bytes(self) -> int:
        """Size of all archives together."""
        return sum(archive.num_bytes for archive in self.archives)

    @property
    def exact(self) -> bool:
        """Whether that size is exact."""
        return all(archive.exact for archive in self.archives)


def find_corpus(name: str, corpora: Iterable[Corpus]) -> Corpus:
    """Return the corpus of that name.

    Raises:
        SettingError: there is none; the message names the nearest.
    """
    known = {corpus.name: corpus for corpus in corpora}
    if name in known:
        return known[name]
    guess = nearest(name, list(known))
    hint = f"Did you mean {guess}?" if guess else f"Known are {', '.join(known)}."
    raise SettingError(f"There is no corpus {name!r}. {hint}")


def fetch(
    corpus: Corpus, folder: Path | str, *, progress: Progress = silent, keep_archives: bool = False
) -> dict[str, int]:
    """Bring a corpus onto the disk: download what is missing, check, unpack, prepare.

    May be stopped at any time; the same call goes on where it stopped. What was unpacked is
    recorded in ``downloads.json`` in the folder, with its source and hash, and not fetched again.

    Args:
        corpus: which.
        folder: where to; made where missing.
        progress: who is told how far it is.
        keep_archives: leave the archives beside what was in them.

    Returns:
        Counts to tell: ``unpacked files`` (none where the archives are what is wanted), and what the
        corpus itself counts.

    Raises:
        DataError: the disk is full, the server fails, a hash is wrong, an archive is not safe.
    """
    folder = Path(folder)
    record = _read_record(folder)
    waiting = [archive for archive in corpus.archives if not _is_done(archive, record, folder)]
    if waiting:
        _require_room(waiting, folder)
    counts = {"unpacked files": 0}
    for archive in waiting:
        path = _fetch_archive(archive, folder, progress)
        if archive.digest is None:
            _require_whole(path, archive)
        num_files = unpack(path, folder, progress=progress) if archive.unpacked else 1
        counts["unpacked files"] += num_files if archive.unpacked else 0
        record[archive.file_name] = _entry(corpus, archive, path, num_files)
        write_text(folder / RECORD_NAME, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        if archive.unpacked and not keep_archives:
            path.unlink()
    if corpus.prepare is not None:
        counts |= corpus.prepare(folder)
    return counts


def _require_whole(path: Path, archive: Archive) -> None:
    """Refuse, and remove, a zip without its end: no hash would tell that it was cut."""
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise DataError(
            f"{archive.url} did not give a whole zip archive. What came was removed; run the same "
            "command again."
        )


def _entry(corpus: Corpus, archive: Archive, path: Path, num_files: int) -> dict[str, Any]:
    """Say where an unpacked archive came from and under what terms."""
    seen = {} if archive.digest else {"sha256": sha256_of(path)}
    return seen | {
        "url": archive.url,
        "digest": archive.digest,
        "files": num_files,
        "licence": corpus.licence,
        "citation": corpus.citation,
    }


def _is_done(archive: Archive, record: Mapping[str, Any], folder: Path) -> bool:
    """Whether an archive with this very hash, or of this very version, was unpacked before."""
    if not archive.unpacked and not (folder / archive.file_name).is_file():
        return False
    entry = record.get(archive.file_name)
    if not isinstance(entry, dict) or entry.get("digest") != archive.digest:
        return False
    return archive.digest is not None or entry.get("url") == archive.url


def _fetch_archive(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Bring one archive into the folder, checked."""
    if archive.url.startswith(PIP):
        return _by_pip(archive, folder, progress)
    return download(
        archive.url,
        folder / archive.file_name,
        num_bytes=archive.num_bytes,
        exact=archive.exact,
        digest=archive.digest,
        progress=progress,
    )


def _by_pip(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Let pip fetch the file of a package, without installing it."""
    package = archive.url.removeprefix(PIP).partition("/")[0]
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder) as part,
        progress(f"fetching {package}", total=archive.num_bytes) as advance,
    ):
        options = ["--disable-pip-version-check", "--quiet", "--no-deps", "--only-binary=:all:"]
        words = [sys.executable, "-m", "pip", "download", *options, "--dest", part, package]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        file = Path(part) / archive.file_name
        if done.returncode or not file.is_file():
            said = done.stderr.strip().splitlines()
            raise DataError(
                f"pip could not fetch {package} ({said[-1] if said else 'it said nothing'}). Fetch "
                f"{archive.file_name} on another machine and put it into {folder}."
            )
        if archive.digest != f"sha256:{sha256_of(file)}":
            raise DataError(f"What pip fetched as {archive.file_name} is not what was published.")
        file.replace(folder / archive.file_name)
        advance(archive.num_bytes)
    return folder / archive.file_name


def _read_record(folder: Path) -> dict[str, Any]:
    """Return what was unpacked into a folder before; nothing where there is no record."""
    path = folder / RECORD_NAME
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); remove it, and the archives are fetched again."
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no record of downloads; remove it and run again.")
    return record


def _require_room(archives: Iterable[Archive], folder: Path) -> None:
    """Refuse at once where neither the archives nor what is in them can fit.

    What is in the archives is at least as large as they are; the exact need is asked again before
    each of them is unpacked.
    """
    num_bytes = 0
    for archive in archives:
        have = 0
        for path in (folder / archive.file_name, folder / f"{archive.file_name}.part"):
            have = max(have, path.stat().st_size if path.is_file() else 0)
        wanted = 2 if archive.unpacked else 1
        num_bytes += wanted * archive.num_bytes - min(have, archive.num_bytes)
    require_space(folder, num_bytes, "the archives and what is in them")
