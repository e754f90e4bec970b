"""Token shards: plain arrays on disk that training maps into memory.

A shard is two files: ``NAME.tokens.npy``, the ids of its pieces end to end (uint16, or uint32 for
vocabularies above 65,536), and ``NAME.offsets.npy`` (int64), where each begins, one more than pieces.
A third file in the folder ``stage`` is written last and says what went in; a shard without it does
not count as written, so a run that was killed goes on with the first unfinished shard.
"""

import contextlib
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.core.files import atomic_path, sha256_of, write_text
from segue.errors import DataError
from segue.symbolic.codec import encode_file
from segue.symbolic.data.scan import CRASHED
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType

FORMAT = 1
"""Version of the files; another version is prepared anew."""

CANNOT_BE_ENCODED = "cannot be encoded"
"""Reason given to a piece that was read but cannot be put on the token grid."""


@dataclass(frozen=True)
class Piece:
    """A piece to be written.

    Attributes:
        folder: the folder that `path` is below.
        path: with forward slashes.
        sha256: of the file.
        group: name of its group of duplicates.
        source: name of the collection it comes from.
        notes: number of notes in the file.
    """

    folder: str
    path: str
    sha256: str
    group: str
    source: str
    notes: int


@dataclass(frozen=True)
class ShardPlan:
    """What is to go into a shard.

    Attributes:
        name: such as ``train-00000``.
        split: such as ``train``.
        pieces: in order.
    """

    name: str
    split: str
    pieces: tuple[Piece, ...]

    def key(self, tokenizer_sha256: str) -> str:
        """Return a hash of everything that decides what the files hold."""
        pieces = [(piece.path, piece.sha256, piece.group, piece.source) for piece in self.pieces]
        content = json.dumps([FORMAT, self.name, tokenizer_sha256, pieces])
        return hashlib.sha256(content.encode()).hexdigest()


def plan_shards(split: str, pieces: Sequence[Piece], *, notes: int, seed: int) -> list[ShardPlan]:
    """Deal pieces into shards of about `notes` notes, in an order drawn by their hash."""

    def place(piece: Piece) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}/{piece.sha256}".encode()).digest(), piece.path

    plans: list[list[Piece]] = []
    size = notes
    for piece in sorted(pieces, key=place):
        if size >= notes:
            plans.append([])
            size = 0
        plans[-1].append(piece)
        size += piece.notes
    return [
        ShardPlan(f"{split}-{number:05d}", split, tuple(chosen))
        for number, chosen in enumerate(plans)
    ]


def shard_files(target: Path, name: str) -> tuple[Path, Path, Path]:
    """Return the paths of the tokens, the offsets and the description of a shard."""
    return (
        target / f"{name}.tokens.npy",
        target / f"{name}.offsets.npy",
        target / "stage" / f"{name}.json",
    )


def finished(target: Path, plan: ShardPlan, tokenizer_sha256: str) -> dict[str, Any] | None:
    """Return the description of a shard that was written whole and is still what is wanted."""
    tokens, offsets, description = shard_files(target, plan.name)
    try:
        content: dict[str, Any] = json.loads(description.read_text("utf-8"))
        sizes = [tokens.stat().st_size, offsets.stat().st_size]
    except (OSError, ValueError):
        return None
    if content.get("key") != plan.key(tokenizer_sha256) or content.get("bytes") != sizes:
        return None
    return content


def write_shard(target: Path, plan: ShardPlan, *, without: Collection[int] = ()) -> dict[str, Any]:
    """Encode the pieces of a shard with ``tokenizer.json`` of the folder and write its files.

    Args:
        target: the folder.
        plan: what goes in.
        without: indices of pieces that end the process that encodes them, and are left out.

    Returns:
        The description: ``key``, ``bytes`` of the two files, ``pieces`` and ``left_out``.
    """
    path = target / "tokenizer.json"
    tokenizer = Tokenizer.from_file(path)
    dtype = np.dtype(np.uint16 if tokenizer.size <= 2**16 else np.uint32)
    streams: list[NDArray[Any]] = []
    pieces: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    for number, piece in enumerate(plan.pieces):
        if number in without:
            left_out.append({"path": piece.path, "reason": CRASHED})
            continue
        try:
            ids = encode_file(tokenizer.vocabulary, Path(piece.folder, piece.path))
        except DataError as error:
            left_out.append({"path": piece.path, "reason": CANNOT_BE_ENCODED, "why": str(error)})
            continue
        bars = int((ids == tokenizer.vocabulary.first(TokenType.BAR)).sum())
        if tokenizer.merges is not None:
            ids = tokenizer.merges.encode(ids)
        streams.append(ids.astype(dtype))
        pieces.append(_describe(plan, piece, len(pieces), bars, len(ids)))
    paths = shard_files(target, plan.name)
    _save(paths[0], np.concatenate([np.zeros(0, dtype), *streams]))
    _save(paths[1], np.cumsum([0, *(len(stream) for stream in streams)], dtype=np.int64))
    content = {
        "key": plan.key(sha256_of(path)),
        "bytes": [path.stat().st_size for path in paths[:2]],
        "pieces": pieces,
        "left_out": left_out,
    }
    write_text(paths[2], json.dumps(content))
    return content


def can_encode(target: Path, plan: ShardPlan) -> bool:
    """Encode the pieces of a shard for nothing: true unless the process ends."""
    vocabulary = Tokenizer.from_file(target / "tokenizer.json").vocabulary
    for piece in plan.pieces:
        with contextlib.suppress(DataError):
            encode_file(vocabulary, Path(piece.folder, piece.path))
    return True


def _describe(plan: ShardPlan, piece: Piece, index: int, bars: int, tokens: int) -> dict[str, Any]:
    """Return the line of ``pieces.jsonl`` for a piece."""
    fields = asdict(piece)
    del fields["folder"]
    return {
        "shard": plan.name,
        "index": index,
        **fields,
        "bars": bars,
        "tokens": tokens,
        "split": plan.split,
    }


def _save(path: Path, array: NDArray[Any]) -> None:
    with atomic_path(path) as temporary:
        np.save(temporary, array, allow_pickle=False)
