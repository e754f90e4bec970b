"""The pieces that an evaluation is made on, from a prepared folder or from MIDI files alone."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

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

    Raises:
        DataError: no file can be used.
    """
    found: dict[str, TestPiece] = {}
    paths = {printable(source.path): folder / source.path for source in find_files([folder])}
    for name in sorted(paths, key=lambda name: _order(seed, name)):
        load = partial(_load_midi, paths[name], tokenizer)
        scanned = _scanned(paths[name], load, scan)
        if scanned is not None:
            parent = name.partition("/")[0] if "/" in name else ""
            found.setdefault(
                scanned.note_hash if grouped else scanned.sha256,
                TestPiece(name, scanned.sha256, scanned.note_hash, parent, load, paths[name]),
            )
        if len(found) == count:
            break
    if not found:
        raise DataError(f"No MIDI file below {folder} can be evaluated on.")
    return list(found.values())


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

    Raises:
        DataError: there is no such folder or split, or nothing in it can be used.
    """
    if (data / "dataset.json").is_file():
        pieces = prepared_pieces(data, split, tokenizer)
        return sample_pieces(pieces, count, seed=seed) if grouped else pieces
    if not data.is_dir():
        raise DataError(f"{data} is no folder. Give a folder of MIDI files or a prepared one.")
    scan = scan or ScanSettings()
    return midi_pieces(data, tokenizer, count, seed=seed, scan=scan, grouped=grouped)


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
