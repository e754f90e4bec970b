"""The pieces that an evaluation is made on, from a prepared folder or from MIDI files alone."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from segue.core.files import sha256_of
from segue.core.progress import Progress, silent, track
from segue.errors import DataError
from segue.symbolic.codec import encode_file
from segue.symbolic.data.scan import Scanned, ScanSettings, find_files, scan_file
from segue.symbolic.data.windows import Prepared
from segue.symbolic.grid import Grid
from segue.symbolic.stream import parse
from segue.symbolic.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TestPiece:
    """One piece of a collection.

    Attributes:
        name: its path within the collection, as `printable` gives it.
        sha256: of its MIDI file.
        group: what it shares with its near duplicates; its own hash where none were looked for.
        source: the collection's sub-folder that it comes from.
        load: gives its notes on the grid of the tokenizer.
        path: its MIDI file, where it is read from one.
    """

    __test__ = False  # pytest would take the name for a test

    name: str
    sha256: str
    group: str
    source: str
    load: Callable[[], Grid]
    path: Path | None = None


class Named(Protocol):
    """What names a piece, as a region does."""

    @property
    def piece(self) -> str:
        """Name of the piece."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of its file."""
        ...

    @property
    def group(self) -> str:
        """What it shares with its near duplicates."""
        ...


def printable(name: str) -> str:
    """Return a file's name as text; bytes that are none are spelt out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def prepared_pieces(folder: Path, split: str, tokenizer: Tokenizer) -> list[TestPiece]:
    """Return the pieces of a split of a prepared folder.

    Args:
        folder: as `segue midi prepare` wrote it.
        split: name of the split.
        tokenizer: of the model that is evaluated.

    Raises:
        DataError: no prepared folder, an empty split, or tokens of another vocabulary.
    """
    prepared = Prepared(folder, split)
    own = prepared.tokenizer
    if own.vocabulary.tokens != tokenizer.vocabulary.tokens:
        raise DataError(
            f"{folder} was prepared with another vocabulary than the model's. Give the folder of "
            "MIDI files instead, or prepare it with `--tokenizer` and the bundle's name."
        )
    lines = {}
    with (folder / "pieces.jsonl").open(encoding="utf-8") as stream:
        for line in stream:
            piece = json.loads(line)
            if piece["split"] == split:
                lines[piece["shard"], piece["index"]] = piece
    shards = [shard["name"] for shard in prepared.info["splits"][split]["shards"]]
    ordered = [key for shard in shards for key in sorted(k for k in lines if k[0] == shard)]

    def loader(number: int) -> Callable[[], Grid]:
        def load() -> Grid:
            ids = np.asarray(prepared.piece(number), np.int64)
            return parse(own.vocabulary, own.to_base(ids))

        return load

    return [
        TestPiece(
            printable(lines[key]["path"]),
            lines[key]["sha256"],
            lines[key]["group"],
            lines[key]["source"],
            loader(number),
        )
        for number, key in enumerate(ordered)
    ]


def midi_pieces(
    folder: Path,
    tokenizer: Tokenizer,
    count: int | None,
    *,
    seed: int,
    scan: ScanSettings,
    grouped: bool = True,
    progress: Progress = silent,
) -> list[TestPiece]:
    """Return at most `count` readable pieces below a folder of MIDI files, no two alike.

    Files are read in an order fixed by their paths and the seed until there are enough.

    Args:
        folder: searched with its sub-folders.
        tokenizer: of the model that is evaluated.
        count: how many; None is all.
        seed: another seed, another choice.
        scan: which files are left out.
        grouped: False takes files of the same notes too, where their bytes differ.
        progress: who listens.

    Raises:
        DataError: no file can be used.
    """
    found: dict[str, TestPiece] = {}
    paths = _midi_paths(folder)
    wanted = len(paths) if count is None else min(count, len(paths))
    with progress("reading pieces", total=wanted) as advance:
        for name in sorted(paths, key=lambda name: _order(seed, name)):
            before = len(found)
            load = partial(_load_midi, paths[name], tokenizer)
            scanned = _scanned(paths[name], load, scan)
            if scanned is not None:
                sha256, group = scanned.sha256, scanned.note_hash
                piece = TestPiece(name, sha256, group, _source(name), load, paths[name])
                found.setdefault(group if grouped else sha256, piece)
            advance(len(found) - before if wanted == count else 1)
            if len(found) == count:
                break
    if not found:
        raise DataError(f"No MIDI file below {folder} can be evaluated on.")
    return list(found.values())


def _midi_paths(folder: Path) -> dict[str, Path]:
    """Return the MIDI files below a folder by their printable names."""
    return {printable(source.path): folder / source.path for source in find_files([folder])}


def _source(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


def pieces_named(
    data: Path,
    tokenizer: Tokenizer,
    wanted: Iterable[Named],
    *,
    split: str = "test",
    progress: Progress = silent,
) -> list[TestPiece]:
    """Return the pieces that regions lie in, without parsing any other file.

    A piece counts by its hash. A folder of MIDI is asked for the file of the region's name first; only
    where that is missing or another file are all of them hashed.

    Args:
        data: a prepared folder, or a folder of MIDI files.
        tokenizer: of the model that is evaluated.
        wanted: regions, or whatever names a piece; several may name one.
        split: of a prepared folder.
        progress: who listens.

    Returns:
        Those that are there, in the order in which they are named first.

    Raises:
        DataError: there is no such folder or split, or a file cannot be read.
    """
    by_hash: dict[str, Named] = {}
    for each in wanted:
        by_hash.setdefault(each.sha256, each)
    if (data / "dataset.json").is_file():
        there = {piece.sha256: piece for piece in prepared_pieces(data, split, tokenizer)}
        return [there[sha256] for sha256 in by_hash if sha256 in there]
    paths = _midi_paths(_folder(data))
    files = {
        sha256: each.piece
        for sha256, each in by_hash.items()
        if each.piece in paths and sha256_of(paths[each.piece]) == sha256
    }
    if len(files) < len(by_hash):
        for name in track(sorted(paths), "looking for pieces", progress=progress):
            files.setdefault(sha256_of(paths[name]), name)
    return [
        TestPiece(
            files[sha256],
            sha256,
            by_hash[sha256].group,
            _source(files[sha256]),
            partial(_load_midi, paths[files[sha256]], tokenizer),
            paths[files[sha256]],
        )
        for sha256 in by_hash
        if sha256 in files
    ]


def _folder(data: Path) -> Path:
    """Return a folder, or raise."""
    if not data.is_dir():
        raise DataError(f"{data} is no folder. Give a folder of MIDI files or a prepared one.")
    return data


def _scanned(path: Path, load: Callable[[], Grid], scan: ScanSettings) -> Scanned | None:
    """Return what a file holds; None where it is left out."""
    try:
        load()  # first, as its parser survives every file
    except DataError:
        return None
    scanned = scan_file(path, scan, sketch_size=1)
    return scanned if scanned.reason is None else None


def _load_midi(path: Path, tokenizer: Tokenizer) -> Grid:
    return parse(tokenizer.vocabulary, encode_file(tokenizer.vocabulary, path))


def open_collection(
    data: Path,
    tokenizer: Tokenizer,
    *,
    split: str = "test",
    count: int | None = None,
    seed: int = 0,
    grouped: bool = True,
    scan: ScanSettings | None = None,
    progress: Progress = silent,
) -> list[TestPiece]:
    """Return pieces of a prepared folder's split, or of a folder of MIDI files, one of each group.

    Args:
        data: the folder.
        tokenizer: of the model that is evaluated.
        split: of a prepared folder.
        count: how many pieces; None is one of every group.
        seed: another seed, another choice.
        grouped: False takes every piece, whatever its group.
        scan: which files of a folder of MIDI are left out.
        progress: who listens.

    Raises:
        DataError: there is no such folder or split, or nothing in it can be used.
    """
    if (data / "dataset.json").is_file():
        pieces = prepared_pieces(data, split, tokenizer)
        return sample_pieces(pieces, count, seed=seed) if grouped else pieces
    return midi_pieces(
        _folder(data),
        tokenizer,
        count,
        seed=seed,
        scan=scan or ScanSettings(),
        grouped=grouped,
        progress=progress,
    )


def sample_pieces(pieces: Sequence[TestPiece], count: int | None, *, seed: int) -> list[TestPiece]:
    """Return at most `count` pieces, one of every group, chosen by hash.

    The choice depends on the files and the seed alone, not on their order or on other files: taking
    more pieces keeps those that were chosen before.

    Args:
        pieces: of a collection.
        count: how many; None is one of every group.
        seed: another seed, another choice.
    """
    first: dict[str, TestPiece] = {}
    for piece in sorted(pieces, key=lambda piece: _order(seed, piece.sha256 + piece.name)):
        first.setdefault(piece.group, piece)
    return list(first.values())[:count]


def _order(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
