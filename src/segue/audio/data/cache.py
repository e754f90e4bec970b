"""The prepared folder: all recordings of a corpus decoded once, end to end, 16 bits a sample.

::

    dataset.json            what is in it; written last, so a folder without it is not finished
    audio.<split>.i16       little-endian samples of all recordings, channels interleaved
    recordings.<split>.csv  one line a recording: where it lies and what was measured
    left_out.csv            path, reason and detail of every file that is not in it
    journal.jsonl           one line a file that was dealt with; what a later run takes up

`CacheWriter` writes it and can be killed at any moment; `segue.audio.data.clips` reads it.
"""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NamedTuple, Protocol, Self

from segue.audio.data.words import WORD_COLUMNS, join, read_words
from segue.core.files import atomic_path, write_text
from segue.core.split import SPLITS
from segue.errors import DataError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT = 1
BYTES_PER_SAMPLE = 2
DATASET, JOURNAL, LEFT_OUT = "dataset.json", "journal.jsonl", "left_out.csv"
SAME_AUDIO = "same audio as another file"
"""Reason given to a file that sounds, to the bit, like one that came before it."""
_PARTS = "parts"
_COPY_BYTES = 1 << 20


class Recording(NamedTuple):
    """A recording in a prepared folder.

    Attributes:
        name: path of the file it was made from.
        label: name of the first sub-folder, or what ``splits.csv`` says; empty for none.
        group: what must not be split: artist, album or the file itself.
        offset_samples: where it begins, in samples of one channel.
        num_samples: its length, in samples of one channel.
        loudness_lufs: integrated loudness.
        peak_dbfs: largest amplitude.
        silent_share: share of windows of 100 ms below -60 dBFS.
        sha256: of its samples.
        clipped_share: share of samples at full scale in the source.
        labels: all labels; the first is `label`. Empty for none.
        captions: sentences that describe it.
    """

    name: str
    label: str
    group: str
    offset_samples: int
    num_samples: int
    loudness_lufs: float
    peak_dbfs: float
    silent_share: float
    sha256: str
    clipped_share: float
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


class Names(Protocol):
    """What a file is called, which may change without its samples changing."""

    @property
    def name(self) -> str:
        """Its path."""

    @property
    def label(self) -> str:
        """Its label."""

    @property
    def group(self) -> str:
        """What must not be split."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, that one first."""

    @property
    def captions(self) -> tuple[str, ...]:
        """Sentences that describe it."""


class Entry(NamedTuple):
    """A file that was dealt with.

    Attributes:
        source: hash of everything that decides what becomes of it.
        split: where it belongs.
        name: its path.
        reason, detail: why it is left out; empty where it is a recording.
        recording: what became of it, its offset not yet known; None where it is left out.
    """

    source: str
    split: str
    name: str
    reason: str
    detail: str
    recording: Recording | None


def audio_path(folder: Path, split: str) -> Path:
    """Return the file that holds the samples of a split."""
    return folder / f"audio.{split}.i16"


def recordings_path(folder: Path, split: str) -> Path:
    """Return the file that lists the recordings of a split."""
    return folder / f"recordings.{split}.csv"


def parts_path(folder: Path) -> Path:
    """Return the folder for what workers write."""
    return folder / _PARTS


def key_of(*content: Any) -> str:
    """Return a hash of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class CacheWriter:
    """A prepared folder that is being written.

    Args:
        folder: new, empty, or one that was begun or finished with the same `key`.
        key: hash of the settings that decide what samples look like.
        channels: channels of the samples.
        wanted: where files belong that are to be in it, by the hash of the source and the split; what
            an earlier run has of other files is taken out.
        retried: reasons that a new run does not take for final.

    Attributes:
        entries: files dealt with so far, in the order of the samples.

    Raises:
        DataError: the folder holds other things, was made with other settings, or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        *,
        channels: int,
        wanted: Mapping[tuple[str, str], Names],
        retried: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._header = {"format": FORMAT, "key": key}
        self._frame_bytes = BYTES_PER_SAMPLE * channels
        self._hashes: set[str] = set()
        self.entries: list[Entry] = []
        self._journal: IO[str] | None = None
        self._held: int | None = None
        try:
            self._open(wanted, retried)
        except OSError as error:
            raise self.cannot_write(error) from error
        finally:
            if self._journal is None:
                self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            self._journal.close()
        shutil.rmtree(parts_path(self._folder), ignore_errors=True)
        self._let_go()

    def _hold(self) -> None:
        """Keep other runs out of the folder as long as this process lives (not on Windows)."""
        if fcntl is None:
            return
        self._held = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"Another run is writing {self._folder}. Wait for it, or name another folder."
            ) from error

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _open(self, wanted: Mapping[tuple[str, str], Names], retried: Collection[str]) -> None:
        """Make the folder or take up what is in it."""
        journal = self._folder / JOURNAL
        if self._folder.is_dir() and any(self._folder.iterdir()) and not journal.is_file():
            raise DataError(
                f"{self._folder} is not empty and was not prepared by Segue. Name a new folder."
            )
        if self._folder.is_dir():
            self._hold()
        before = list(self._read_journal(journal)) if journal.is_file() else []
        shutil.rmtree(parts_path(self._folder), ignore_errors=True)
        parts_path(self._folder).mkdir(parents=True, exist_ok=True)
        if self._held is None:
            self._hold()
        kept = [
            _renamed(entry, wanted[entry.source, entry.split])
            for entry in before
            if (entry.source, entry.split) in wanted and entry.reason not in retried
        ]
        if len(kept) < len(before):
            kept = self._take_out(journal, before, kept)
        self.entries = kept
        self._hashes = {entry.recording.sha256 for entry in kept if entry.recording}
        for split in SPLITS:
            path, size = audio_path(self._folder, split), self._bytes_of(split)
            with path.open("ab") as stream:
                if stream.tell() < size:
                    raise DataError(f"{path} is shorter than its journal says. Name a new folder.")
                stream.truncate(size)
        self._write_journal(journal)  # a line that was cut off is dropped
        self._journal = journal.open("a", encoding="utf-8")

    def _read_journal(self, path: Path) -> Iterator[Entry]:
        """Give the entries of a journal up to one that was cut off."""
        with path.open(encoding="utf-8") as lines:
            try:
                header = json.loads(next(lines, ""))
            except ValueError:
                header = None
            if header != self._header:
                raise DataError(
                    f"{self._folder} was prepared with other settings. Name a new folder, or remove it."
                )
            for line in lines:
                try:
                    fields = json.loads(line)
                except ValueError:
                    return
                recording = fields.pop("recording")
                yield Entry(recording=_from_journal(recording), **fields)

    def _write_journal(self, path: Path) -> None:
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(self._header) + "\n")
            stream.writelines(_line(entry) for entry in self.entries)

    def _take_out(self, journal: Path, before: Sequence[Entry], kept: list[Entry]) -> list[Entry]:
        """Take recordings out of the files of samples; a run killed here begins anew.

        Returns:
            What is kept; files that sounded like another are tried again where one is gone.
        """
        (self._folder / DATASET).unlink(missing_ok=True)
        staying = {(entry.source, entry.split) for entry in kept}
        going = {e.split for e in before if e.recording and (e.source, e.split) not in staying}
        if not going:
            return kept
        write_text(journal, json.dumps(self._header) + "\n")
        for split in going:
            path = audio_path(self._folder, split)
            entries = [entry for entry in before if entry.split == split and entry.recording]
            with (
                atomic_path(path) as temporary,
                path.open("rb") as old,
                temporary.open("wb") as new,
            ):
                for entry in entries:
                    size = self._frame_bytes * (
                        entry.recording.num_samples if entry.recording else 0
                    )
                    if (entry.source, entry.split) in staying:
                        _copy(old, new, size)
                    else:
                        old.seek(size, os.SEEK_CUR)
        return [entry for entry in kept if entry.reason != SAME_AUDIO]

    def _bytes_of(self, split: str) -> int:
        """Return how large the file of samples of a split must be."""
        return self._frame_bytes * sum(
            entry.recording.num_samples
            for entry in self.entries
            if entry.split == split and entry.recording
        )

    def add(self, entry: Entry, part: Path) -> None:
        """Add what became of a file.

        Args:
            entry: what became of it.
            part: a file with its samples, which is removed; what sounds like a recording that came
                before it is left out.

        Raises:
            DataError: the disk is full, or cannot be written for another reason.
        """
        assert self._journal is not None
        try:
            (self._folder / DATASET).unlink(missing_ok=True)
            if entry.recording is not None and entry.recording.sha256 in self._hashes:
                entry = entry._replace(reason=SAME_AUDIO, recording=None)
            if entry.recording is not None:
                self._hashes.add(entry.recording.sha256)
                with audio_path(self._folder, entry.split).open("ab") as target:
                    with part.open("rb") as source:
                        shutil.copyfileobj(source, target, _COPY_BYTES)
                    target.flush()
                    os.fsync(target.fileno())
            part.unlink(missing_ok=True)
            self._journal.write(_line(entry))
            self._journal.flush()
            os.fsync(self._journal.fileno())
        except OSError as error:
            raise self.cannot_write(error) from error
        self.entries.append(entry)

    def write_left_out(self) -> None:
        """Write the list of files that are left out, sorted by path."""
        rows = sorted((e.name, e.reason, e.detail) for e in self.entries if e.recording is None)
        _write_rows(self._folder / LEFT_OUT, ("path", "reason", "detail"), rows)

    def finish(self, dataset: Mapping[str, Any]) -> dict[str, Any]:
        """Write the lists and, last, ``dataset.json``.

        Args:
            dataset: its contents, without the format.

        Returns:
            Its contents.
        """
        self.write_left_out()
        for split in SPLITS:
            write_recordings(recordings_path(self._folder, split), self.rows(split))
        content = {"format": FORMAT, **dataset}
        write_text(self._folder / DATASET, json.dumps(content, indent=1) + "\n")
        return content

    def rows(self, split: str) -> list[Recording]:
        """Return the recordings of a split, each with its offset."""
        rows, offset = [], 0
        for entry in self.entries:
            if entry.split == split and entry.recording is not None:
                rows.append(entry.recording._replace(offset_samples=offset))
                offset += entry.recording.num_samples
        return rows

    def cannot_write(self, error: OSError) -> DataError:
        """Return the error to raise where the folder cannot be written."""
        return DataError(
            f"Cannot write {self._folder}: {error.strerror or error}. What is finished is kept: "
            "run the same command again."
        )


def _renamed(entry: Entry, names: Names) -> Entry:
    """Return an entry with the names of the present run."""
    recording = entry.recording and entry.recording._replace(
        name=names.name,
        label=names.label,
        group=names.group,
        labels=names.labels,
        captions=names.captions,
    )
    return entry._replace(name=names.name, recording=recording)


def _from_journal(fields: dict[str, Any] | None) -> Recording | None:
    """Return a recording from a line of the journal; lines of older versions have no labels."""
    if not fields:
        return None
    labels, captions = (tuple(fields.pop(name, ())) for name in WORD_COLUMNS)
    return Recording(**fields, labels=labels, captions=captions)


def write_recordings(path: Path, rows: Sequence[Recording]) -> None:
    """Write the list of the recordings of a split."""
    cells = ((*row[:-2], join(row.labels), join(row.captions)) for row in rows)
    _write_rows(path, Recording._fields, cells)


def read_recordings(path: Path) -> list[Recording]:
    """Read the list of the recordings of a split; one of an older version has no captions.

    Raises:
        OSError, ValueError, KeyError, TypeError: it cannot be read.
    """
    kinds: dict[str, type] = Recording.__annotations__
    plain = [name for name in Recording._fields if name not in WORD_COLUMNS]
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return [
            Recording(
                **{name: kinds[name](row[name]) for name in plain}, **read_words(row)._asdict()
            )
            for row in csv.DictReader(stream)
        ]


def _line(entry: Entry) -> str:
    fields = entry._asdict()
    fields["recording"] = entry.recording._asdict() if entry.recording else None
    return json.dumps(fields) + "\n"


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    """Copy so many bytes in pieces."""
    while size > 0:
        piece = source.read(min(size, _COPY_BYTES))
        if not piece:
            raise DataError("A file of samples is shorter than its journal says.")
        target.write(piece)
        size -= len(piece)


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, whole or not at all; names need not be valid Unicode."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
