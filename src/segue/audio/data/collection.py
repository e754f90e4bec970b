"""What is in a folder of sound: every file measured once, counted in bounded memory.

Measurements are kept in a journal, so that an interrupted run is taken up where it stopped.
"""

import json
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.audio.data.bands import BAND_CENTRES_HZ
from segue.audio.data.cache import DATASET, LEFT_OUT, audio_path, key_of, recordings_path
from segue.audio.data.clips import Clips
from segue.audio.data.corpora.fma_catalogue import (
    Catalogue,
    Survey,
    find_metadata,
    read_catalogue,
    survey,
)
from segue.audio.data.measuring import Clip, Item, Measured, crashed, measure_item
from segue.audio.data.prepare import CRASHED
from segue.audio.data.scan import SOUND_FILES, find_files
from segue.audio.data.split import SPLITS_FILE, read_listing
from segue.core.config import StrictModel
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.core.split import SPLITS
from segue.core.tables import read_columns, write_csv
from segue.errors import DataError

_FORMAT = 1
_NO_BAND = np.iinfo(np.int16).min
_TENTHS = 10
CLIPPING: Final = ("none", "up to 0.001 %", "0.001 to 0.01 %", "0.01 to 0.1 %", "more than 0.1 %")
"""Classes of the share of samples at full scale."""
_CLIPPING_BOUNDS = (0.0, 1e-5, 1e-4, 1e-3)

Tally = dict[str, Counter[str]]
COLUMNS = (
    "path", "label", "artist", "kind", "rate_hz", "channels", "seconds", "kbps", "loudness_lufs",
    "peak_dbfs", "silent_share", "clipped_share", "bandwidth_hz", "sha256", "sound_sha256",
)  # fmt: skip


class AudioExploreSettings(StrictModel):
    """What is looked at."""

    limit: int | None = Field(default=None, ge=1)
    """Take the first so many files, in the order of their paths."""
    min_seconds: float = Field(default=1, ge=0)
    """Shorter files are left out."""
    full_share: float = Field(default=0.8, gt=0, le=1)
    """Files whose sound ends below this share of half their rate count as narrow."""


class LeftOut(NamedTuple):
    """A file that is left out, and why."""

    path: str
    reason: str
    detail: str


class Copies(NamedTuple):
    """Files that are the same: in how many groups of two and more, and how many files in all."""

    groups: int
    files: int


class _Named(NamedTuple):
    """What is known of a file beside its sound."""

    item: Item
    label: str
    artist: str


@dataclass(frozen=True, eq=False)
class AudioCollection:
    """What is in a folder of sound.

    Attributes:
        name: of the folder.
        num_files, num_used: files that were looked at, and that are measured.
        tally: numbers and names with the files that have them; ``label_ms`` and
            ``artist_ms`` add up milliseconds, ``total_ms`` those of all files.
        bands: third octaves of every file in tenths of a decibel; see `levels`.
        left_out: the files that are not measured.
        copies: by kind: ``equal files``, ``equal sound``.
        groups: members of every group of equal sound, the largest group first.
        fma: what FMA's tables say; None where there are none.
        note: something that whoever looks at it must know, or nothing.
    """

    name: str
    num_files: int
    num_used: int
    tally: Tally
    bands: NDArray[np.int16]
    left_out: list[LeftOut]
    copies: dict[str, Copies]
    groups: list[list[str]]
    fma: Survey | None
    note: str

    def levels(self, band: int) -> NDArray[np.float64]:
        """Return the level of a band in decibels in those files that have it. Shape ``files``."""
        column = self.bands[:, band]
        return column[column != _NO_BAND] / _TENTHS


def collect(
    folder: Path,
    stage: Path,
    table: Path,
    settings: AudioExploreSettings,
    *,
    metadata: Path | None = None,
    workers: int,
    progress: Progress = silent,
) -> AudioCollection:
    """Measure what lies below a folder.

    Args:
        folder: sound files of any kind, or a prepared folder, or FMA's tables alone.
        stage: folder for the journal.
        table: CSV file to write with a line for every file that is measured.
        settings: what is looked at.
        metadata: FMA's tables; looked for in the folder and beside it where None.
        workers: processes; 0 works in this one.
        progress: who listens.

    Raises:
        DataError: there is no sound, or a table is not what it must be.
    """
    place = metadata or find_metadata(folder)
    catalogue = None
    if place is not None:
        with progress("reading FMA's tables") as advance:
            catalogue = read_catalogue(place)
            advance()
    named, left_out = _find(folder, settings, catalogue)
    numbers = {n for one in named if (n := _track_number(one.item.name, catalogue)) is not None}
    note = ""
    if catalogue is not None and named and not numbers:
        if metadata is not None:
            raise DataError(
                f"None of the files below {folder} is named after a track of {metadata}, such as "
                "000002.mp3. Name the folder of the music, or leave --metadata out."
            )
        note = "FMA's tables lie here, but none of the files is named after one of its tracks."
        catalogue = None
    journal = _measure_all(named, stage, workers=workers, progress=progress)
    sums = _Sums(settings)
    write_csv(table, COLUMNS, sums.rows(named, journal))
    left_out = sorted([*left_out, *sums.left_out])
    fma = None if catalogue is None else survey(catalogue, numbers if named else None)
    groups = _members(sums.sounds)
    return AudioCollection(
        name=folder.resolve().name,
        num_files=len(named) + len(left_out) - len(sums.left_out),
        num_used=sums.num_used,
        tally=sums.tally,
        bands=np.array(sums.bands, np.int16).reshape(-1, len(BAND_CENTRES_HZ)),
        left_out=left_out,
        copies={"equal files": _copies(_members(sums.files)), "equal sound": _copies(groups)},
        groups=groups,
        fma=fma,
        note=note,
    )


# What there is -----------------------------------------------------------------------------------


def _find(
    folder: Path, settings: AudioExploreSettings, catalogue: Catalogue | None
) -> tuple[list[_Named], list[LeftOut]]:
    """List what is to be measured, and what a prepared folder left out before."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Name a folder that holds music.")
    if (folder / DATASET).is_file():
        return _prepared(folder, settings)
    try:
        sources = find_files([(folder, 0)], [SOUND_FILES], limit=settings.limit)
    except DataError:
        if catalogue is None:
            raise
        return [], []
    listing = read_listing(folder / SPLITS_FILE)
    found = []
    for source in sources:
        identity = os.fsencode(source.file).hex(), source.size, source.modified_ns
        key = key_of(_FORMAT, settings.min_seconds, *identity)
        item = Item(source.path, source.file, key, settings.min_seconds)
        parts = PurePosixPath(source.path).parts
        label, artist = parts[0] if len(parts) > 1 else "", ""
        number = _track_number(source.path, catalogue)
        if catalogue is not None and number is not None:
            track = catalogue.tracks[number]
            label, artist = _root_genre(catalogue, number), catalogue.artists[track.artist].name
        if listing is not None:
            label = listing.get(source.path, {}).get("label", label)
        found.append(_Named(item, label, artist))
    return found, []


def _root_genre(catalogue: Catalogue, number: int) -> str:
    """Return the root genre of a track; empty where it has none, or several."""
    track = catalogue.tracks[number]
    if track.genre:
        return track.genre
    tops = set()
    for own in track.genres:
        above, seen = own, set()
        while above in catalogue.genres and above not in seen:
            seen.add(above)
            top, above = catalogue.genres[above], catalogue.genres[above].parent
            if above == 0:
                tops.add(top.title)
    return tops.pop() if len(tops) == 1 else ""


def _track_number(path: str, catalogue: Catalogue | None) -> int | None:
    """Return the number of the FMA track that a file is named after; None for any other file."""
    stem = PurePosixPath(path).stem
    if catalogue is None or not (stem.isascii() and stem.isdecimal() and len(stem) <= 9):
        return None
    return int(stem) if int(stem) in catalogue.tracks else None


def _prepared(folder: Path, settings: AudioExploreSettings) -> tuple[list[_Named], list[LeftOut]]:
    """List the recordings of a prepared folder, and what `segue audio prepare` left out."""
    found: list[_Named] = []
    for split in SPLITS:
        if not recordings_path(folder, split).is_file() or not _size(audio_path(folder, split)):
            continue
        clips = Clips(folder, split)
        path = audio_path(folder, split)
        for row in clips.recordings:
            clip = Clip(clips.rate_hz, clips.channels, row.offset_samples, row.num_samples)
            key = key_of(_FORMAT, settings.min_seconds, str(path.resolve()), *clip, row.sha256)
            artist = row.group.removeprefix("artist ") if row.group.startswith("artist ") else ""
            item = Item(row.name, path, key, settings.min_seconds, clip)
            found.append(_Named(item, row.label, artist))
    found = sorted(found, key=lambda one: one.item.name)[: settings.limit]
    if settings.limit is not None or not (folder / LEFT_OUT).is_file():
        return found, []
    advice = "Prepare the folder anew."
    rows = read_columns(folder / LEFT_OUT, ("path", "reason", "detail"), advice=advice)
    return found, [LeftOut(row["path"], row["reason"], row["detail"]) for row in rows]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


# Measurements ------------------------------------------------------------------------------------


class _Journal:
    """Measurements on disk, found again by the key of their item."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, int] = {}
        if path.is_file():
            self._read()

    def _read(self) -> None:
        """Take up what an earlier run wrote, up to a line that was cut off."""
        end = 0
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    content = json.loads(line)
                except ValueError:
                    break
                if content["reason"] != CRASHED:
                    self._places[content["key"]] = end
                end += len(line)
        with self._path.open("ab") as stream:
            stream.truncate(end)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def add(self, key: str, found: Measured) -> None:
        """Write one measurement."""
        with self._path.open("ab") as stream:
            self._places[key] = stream.tell()
            stream.write(json.dumps({"key": key, **asdict(found)}).encode() + b"\n")

    def read(self, keys: Sequence[str]) -> Iterator[Measured]:
        """Give the measurements of these keys."""
        if not keys:
            return
        with self._path.open("rb") as stream:
            for key in keys:
                stream.seek(self._places[key])
                content: dict[str, Any] = json.loads(stream.readline())
                content.pop("key")
                content["bands_db"] = tuple(content["bands_db"])
                yield Measured(**content)


def _measure_all(
    named: Sequence[_Named], stage: Path, *, workers: int, progress: Progress
) -> _Journal:
    """Measure what the journal does not have yet."""
    journal = _Journal(stage / "measured.jsonl")
    todo = [one.item for one in named if one.item.key not in journal]
    with progress("measuring", total=len(named)) as advance:
        advance(len(named) - len(todo))
        results = run_jobs(measure_item, todo, workers=workers, on_crash=crashed)
        for item, found in zip(todo, results, strict=True):
            journal.add(item.key, found)
            advance()
    return journal


class _Sums:
    """Everything that is counted while the measurements go by."""

    def __init__(self, settings: AudioExploreSettings) -> None:
        self._settings = settings
        self.num_used = 0
        self.tally: Tally = {}
        self.bands = array("h")
        self.left_out: list[LeftOut] = []
        self.files: list[tuple[str, str]] = []
        self.sounds: list[tuple[str, str]] = []

    def rows(self, named: Sequence[_Named], journal: _Journal) -> Iterator[list[Any]]:
        """Give the rows of the table of files, counting each."""
        keys = [one.item.key for one in named]
        for one, found in zip(named, journal.read(keys), strict=True):
            name = one.item.name
            if found.reason:
                self.left_out.append(LeftOut(name, found.reason, found.detail))
                continue
            artist = one.artist or found.artist
            self._count(one.label, artist, found)
            if found.sha256:
                self.files.append((name, found.sha256))
            self.sounds.append((name, found.sound_sha256))
            values = {"path": name, **asdict(found), "label": one.label, "artist": artist}
            yield [values[column] for column in COLUMNS]

    def _count(self, label: str, artist: str, found: Measured) -> None:
        self.num_used += 1
        self.bands.extend(_NO_BAND if db is None else round(db * _TENTHS) for db in found.bands_db)
        nyquist = found.rate_hz / 2
        narrow = found.bandwidth_hz < self._settings.full_share * nyquist
        self._add("rate_hz", str(found.rate_hz))
        self._add("channels", str(found.channels))
        self._add("kind", found.kind)
        self._add("seconds", f"{found.seconds:.1f}")
        self._add("kbps", f"{found.kbps:.0f}")
        self._add("peak_dbfs", f"{found.peak_dbfs:.1f}")
        self._add("silent_percent", f"{100 * found.silent_share:.1f}")
        self._add("clipping", CLIPPING[int(np.searchsorted(_CLIPPING_BOUNDS, found.clipped_share))])
        self._add("bandwidth_khz", f"{found.bandwidth_hz / 1000:.2f}")
        self._add("narrow", f"{found.rate_hz}", int(narrow))
        if found.loudness_lufs is not None:
            self._add("loudness_lufs", f"{found.loudness_lufs:.1f}")
        milliseconds = round(found.seconds * 1000)
        self._add("total_ms", "", milliseconds)
        for kind, name in (("label", label), ("artist", artist)):
            if name:
                self._add(f"{kind}_files", name)
                self._add(f"{kind}_ms", name, milliseconds)

    def _add(self, kind: str, name: str, count: int = 1) -> None:
        if count:
            self.tally.setdefault(kind, Counter())[name] += count


def _members(keyed: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return the paths of equal key, of groups of two and more, the largest first."""
    found: dict[str, list[str]] = {}
    for path, key in keyed:
        found.setdefault(key, []).append(path)
    groups = [paths for paths in found.values() if len(paths) > 1]
    return sorted(groups, key=lambda paths: (-len(paths), paths))


def _copies(groups: Sequence[Sequence[str]]) -> Copies:
    return Copies(len(groups), sum(map(len, groups)))
