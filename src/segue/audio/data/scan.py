"""Find the files of some folders that become recordings, and what their headers say of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from segue.audio.data.words import Words
from segue.audio.decoding import quiet_decoders, read_header
from segue.audio.signal import Audio, AudioReader
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.errors import DataError

SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd",
    ".caf", ".w64", ".rf64", ".m4a", ".aac", ".wma", ".mka", ".weba", ".wv", ".ape",
)  # fmt: skip
"""Endings of sound files, compared without regard to case."""

_FILES_PER_JOB = 64
_BYTES_PER_SECOND = 16_000


class Opened(Protocol):
    """A recording that can be gone through once, block by block."""

    def __iter__(self) -> Iterator[Audio]:
        """Give the blocks. Shape ``channels samples``."""
        ...


Opener = Callable[[Path, int, int], AbstractContextManager[Opened]]
"""Opens a file at a rate and with a number of channels; must be picklable."""


class Header(NamedTuple):
    """What is known of a file before it is decoded.

    Attributes:
        artist: tag of the file, or empty.
        seconds: length, as stated or guessed from the size of the file.
        words: labels and captions that follow from its contents.
    """

    artist: str
    seconds: float
    words: Words = Words()


class Material(NamedTuple):
    """A kind of files, and how one of them becomes sound.

    Attributes:
        name: what it is called, with whatever changes the sound: recordings made with another name
            are made anew.
        suffixes: endings of the files, in lower case.
        open: makes the sound.
        read_header: says what can be known without making it; must be picklable.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Opener
    read_header: Callable[[Path], Header]


def open_sound(path: Path, rate_hz: int, channels: int) -> AudioReader:
    """Open a sound file."""
    return AudioReader(path, rate_hz=rate_hz, channels=channels)


def read_sound_header(path: Path) -> Header:
    """Return what the header of a sound file says; of one that cannot be read, its size alone."""
    artist, seconds = read_header(path)
    return Header(artist, _guess_seconds(path) if seconds is None else seconds)


def _guess_seconds(path: Path) -> float:
    """Guess a length from the size of a file; 0 where it has gone."""
    try:
        return path.stat().st_size / _BYTES_PER_SECOND
    except OSError:
        return 0.0


SOUND_FILES = Material("sound files", SUFFIXES, open_sound, read_sound_header)
"""Sound files of all kinds."""


@dataclass(frozen=True)
class Source:
    """A file that was found.

    Attributes:
        root: the folder it was found in.
        path: below that folder, with forward slashes.
        size: bytes.
        modified_ns: time of the last change, in nanoseconds.
        material: number of the kind it is of.
    """

    root: Path
    path: str
    size: int
    modified_ns: int
    material: int

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.root / self.path


def find_files(
    folders: Sequence[tuple[Path, int]], materials: Sequence[Material], *, limit: int | None = None
) -> list[Source]:
    """List files below folders, sorted by path within each, links followed once.

    Args:
        folders: where to look, each with the number of its material.
        materials: the kinds of files.
        limit: keep the first so many.

    Raises:
        DataError: a folder does not exist or cannot be listed, or there is no file at all.
    """
    found: list[Source] = []
    for folder, number in folders:
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder. Name a folder that holds music.")
        suffixes = materials[number].suffixes
        for path in sorted(path.relative_to(folder).as_posix() for path in _walk(folder, suffixes)):
            state = (folder / path).stat()
            found.append(Source(folder, path, state.st_size, state.st_mtime_ns, number))
            if len(found) == limit:
                return found
    if not found:
        names = ", ".join(str(folder) for folder, _ in folders)
        raise DataError(f"There is no music in {names}. Name a folder that has some.")
    return found


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Give the files below a folder that have one of the endings."""

    def fail(error: OSError) -> None:
        raise DataError(f"Cannot list {error.filename}: {error.strerror}.") from error

    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=fail):
        state = Path(parent).stat()
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        for name in files:
            path = Path(parent, name)
            # "._name" is what macOS keeps beside a file on foreign disks.
            if path.suffix.lower() in suffixes and not name.startswith("._") and path.is_file():
                yield path


def read_headers(
    sources: Sequence[Source],
    materials: Sequence[Material],
    *,
    workers: int = 0,
    progress: Progress = silent,
) -> list[Header]:
    """Return what is known of every file before it is decoded.

    Args:
        sources: the files.
        materials: the kinds that they are numbered by.
        workers: processes; 0 works in this one.
        progress: who listens.
    """
    jobs = [
        [(materials[source.material].read_header, source.file) for source in some]
        for some in (
            sources[at : at + _FILES_PER_JOB] for at in range(0, len(sources), _FILES_PER_JOB)
        )
    ]
    headers: list[Header] = []
    with progress("reading headers", total=len(sources)) as advance:
        results = run_jobs(_read_some, jobs, workers=workers, on_crash=_guess_some)
        for some in results:
            headers += some
            advance(len(some))
    return headers


HeaderJob = list[tuple[Callable[[Path], Header], Path]]


def _read_some(job: HeaderJob) -> list[Header]:
    with quiet_decoders():
        return [read(path) for read, path in job]


def _guess_some(job: HeaderJob) -> list[Header]:
    """Stand in for headers of which one takes the process down."""
    return [Header("", _guess_seconds(path)) for _, path in job]
