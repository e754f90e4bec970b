"""Prepare a corpus: find, judge, group, split, encode; resumable at any moment.

The target folder gets what `windows` reads (see `shards`), plus ``dataset.json`` (written last),
``tokenizer.json``, ``pieces.jsonl``, ``left-out.jsonl``, and a folder ``stage`` with the results of
the steps, which a later run on the same files and settings takes up.
"""

import functools
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from segue.core.config import StrictModel
from segue.core.files import atomic_path, sha256_of, write_bytes, write_text
from segue.core.progress import Progress, silent
from segue.errors import DataError
from segue.symbolic.data.duplicates import Groups, Hashes, group_names, near_pairs
from segue.symbolic.data.encoder import Encoder
from segue.symbolic.data.pool import run_jobs
from segue.symbolic.data.scan import Scanned, ScanSettings, Source, find_files, scan_file
from segue.symbolic.data.shards import (
    FORMAT,
    Piece,
    ShardPlan,
    finished,
    plan_shards,
    write_shard,
)
from segue.symbolic.data.split import SPLITS, SplitSettings, split_pieces

_FILES_PER_CHUNK = 256


class DuplicateSettings(StrictModel):
    """When two pieces belong together."""

    phrases: int = Field(default=512, ge=16)
    """Phrases remembered of a piece (the k of the bottom-k sketch)."""
    containment: float = Field(default=0.25, gt=0, le=1)
    """Share of the smaller piece's phrases that near duplicates have in common, at least."""
    shared_phrases: int = Field(default=12, ge=1)
    """Phrases that near duplicates have in common, at least."""
    drop_equal: bool = True
    """Whether of pieces with equal notes only the first is kept."""
    work_patterns: tuple[str, ...] = ()
    """Regular expressions searched in paths; pieces whose groups match alike are one work."""


class PrepareSettings(StrictModel):
    """How a corpus is prepared."""

    scan: ScanSettings = ScanSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    split: SplitSettings = SplitSettings()
    limit: int | None = Field(default=None, ge=1)
    """Take the first so many files, in order of their paths."""
    max_left_out_share: float = Field(default=0.25, ge=0, le=1)
    """Stop when more than this share of the files cannot be used (duplicates not counted)."""
    notes_per_shard: int = Field(default=1_000_000, ge=1)
    """Size of a shard."""
    seed: int = Field(default=0, ge=0)
    """Draws the split and the order of the pieces."""


@dataclass(frozen=True)
class _ScanJob:
    folders: tuple[str, ...]
    sources: tuple[Source, ...]
    settings: ScanSettings
    phrases: int
    target: str

    def key(self) -> str:
        content = [
            FORMAT,
            self.settings.model_dump(),
            self.phrases,
            [asdict(source) for source in self.sources],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def prepare(
    folders: Sequence[Path | str],
    target: Path | str,
    settings: PrepareSettings | None = None,
    *,
    tokenizer: Path | str,
    held_out: Sequence[Path | str] = (),
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Prepare the MIDI files of some folders for training.

    Args:
        folders: where the music is.
        target: the folder to write.
        settings: what to keep and how to split.
        tokenizer: a ``tokenizer.json``.
        held_out: folders with music kept for tests; pieces that are near duplicates of it are
            left out.
        workers: processes; as many as cores by default, 0 works in this process.
        progress: who listens.

    Returns:
        The contents of ``dataset.json``.

    Raises:
        DataError: there is no music, or too much of it cannot be used.
    """
    settings = settings or PrepareSettings()
    workers = (os.cpu_count() or 1) if workers is None else workers
    target, tokenizer = Path(target), Path(tokenizer)
    everything = [Path(folder) for folder in (*folders, *held_out)]
    sources = find_files(everything[: len(folders)], limit=settings.limit)
    if held_out:
        others = find_files(everything[len(folders) :])
        sources += [Source(s.folder + len(folders), s.path, s.size, s.modified_ns) for s in others]
    own = [source.folder < len(folders) for source in sources]
    scanned = _scan(everything, sources, settings, target, workers, progress)
    groups, reasons = _group(sources, scanned, own, settings)
    _report_left_out(target, sources, own, reasons, settings)
    pieces = [
        Piece(
            str(everything[s.folder]), s.path, f.sha256, group, _collection(everything, s), f.notes
        )
        for s, f, group, reason in zip(sources, scanned, groups, reasons, strict=True)
        if reason is None
    ]
    splits = split_pieces(
        [piece.group for piece in pieces],
        [piece.notes for piece in pieces],
        settings.split,
        seed=settings.seed,
    )
    plans = [
        plan
        for split in SPLITS
        for plan in plan_shards(
            split,
            [piece for piece, own_split in zip(pieces, splits, strict=True) if own_split == split],
            notes=settings.notes_per_shard,
            seed=settings.seed,
        )
    ]
    write_bytes(target / "tokenizer.json", tokenizer.read_bytes())
    shards = _write_shards(target, plans, workers, progress)
    return _finish(target, plans, shards, settings)


def _collection(folders: Sequence[Path], source: Source) -> str:
    """Return the name of the collection of a file: its top folder, or the folder given."""
    top, slash, _ = source.path.partition("/")
    return top if slash else folders[source.folder].resolve().name


# Scan -----------------------------------------------------------------------------------------


def _scan(
    folders: Sequence[Path],
    sources: Sequence[Source],
    settings: PrepareSettings,
    target: Path,
    workers: int,
    progress: Progress,
) -> list[Scanned]:
    """Read every file, or take up what an earlier run found in it."""
    jobs = [
        _ScanJob(
            tuple(str(folder) for folder in folders),
            tuple(sources[start : start + _FILES_PER_CHUNK]),
            settings.scan,
            settings.duplicates.phrases,
            str(target / "stage" / f"scan-{start // _FILES_PER_CHUNK:05d}"),
        )
        for start in range(0, len(sources), _FILES_PER_CHUNK)
    ]
    found: list[Scanned] = []
    with progress("reading", total=len(sources)) as advance:
        for chunk in run_jobs(_scan_chunk, jobs, workers=workers):
            found += chunk
            advance(len(chunk))
    return found


def _scan_chunk(job: _ScanJob) -> list[Scanned]:
    key = job.key()
    cached = _load_chunk(job, key)
    if cached is not None:
        return cached
    found = [
        scan_file(
            Path(job.folders[source.folder], source.path), job.settings, sketch_size=job.phrases
        )
        for source in job.sources
    ]
    sketches = [np.zeros(0, np.uint64) if f.sketch is None else f.sketch for f in found]
    with atomic_path(f"{job.target}.npy") as temporary:
        np.save(temporary, np.concatenate(sketches), allow_pickle=False)
    lines = [{"key": key}]
    for one, hashes in zip(found, sketches, strict=True):
        fields = {name: value for name, value in vars(one).items() if name != "sketch"}
        lines.append({**fields, "phrases": len(hashes)})
    _write_lines(Path(f"{job.target}.jsonl"), lines)
    return found


def _load_chunk(job: _ScanJob, key: str) -> list[Scanned] | None:
    try:
        lines = Path(f"{job.target}.jsonl").read_text("utf-8").splitlines()
        head, *records = [json.loads(line) for line in lines]
        hashes: Hashes = np.load(f"{job.target}.npy", allow_pickle=False)
    except (OSError, ValueError):
        return None
    if head != {"key": key}:
        return None
    ends = np.cumsum([record.pop("phrases") for record in records])
    sketches = np.split(hashes, ends[:-1])
    return [
        Scanned(**record, sketch=sketch if record["reason"] is None else None)
        for record, sketch in zip(records, sketches, strict=True)
    ]


# Group ----------------------------------------------------------------------------------------


def _group(
    sources: Sequence[Source],
    scanned: Sequence[Scanned],
    own: Sequence[bool],
    settings: PrepareSettings,
) -> tuple[list[str], list[str | None]]:
    """Return the group of every file, and why it is left out (None: it is kept)."""
    wanted = settings.duplicates
    content = Groups(len(sources))
    content.join_equal([file.sha256 if file.reason is None else None for file in scanned])
    content.join_equal([file.note_hash for file in scanned])
    empty = np.zeros(0, np.uint64)
    pairs = near_pairs(
        [empty if file.sketch is None else file.sketch for file in scanned],
        size=wanted.phrases,
        containment=wanted.containment,
        shared=wanted.shared_phrases,
    )
    for pair in pairs:
        content.join(pair.one, pair.other)
    roots = content.roots()
    held = {root for root, mine in zip(roots, own, strict=True) if not mine}
    reasons: list[str | None] = []
    first: dict[str, str] = {}
    for source, file, root, mine in zip(sources, scanned, roots, own, strict=True):
        reason = file.reason
        if not mine:
            reason = "held out"
        elif reason is None and root in held:
            reason = "like a held-out piece"
        elif reason is None and first.setdefault(file.note_hash, source.path) != source.path:
            reason = "same notes as another piece" if wanted.drop_equal else None
        reasons.append(reason)
    for pattern in wanted.work_patterns:
        content.join_equal(
            [_work(pattern, s.path) if mine else None for s, mine in zip(sources, own, strict=True)]
        )
    return group_names(content, [file.sha256 for file in scanned]), reasons


def _work(pattern: str, path: str) -> str | None:
    """Return what a pattern finds in a path, or None."""
    match = re.search(pattern, path)
    return "\x00".join(match.groups() or (match.group(),)) if match else None


def _report_left_out(
    target: Path,
    sources: Sequence[Source],
    own: Sequence[bool],
    reasons: Sequence[str | None],
    settings: PrepareSettings,
) -> None:
    """Write which files are left out, and stop where they are too many."""
    lines = [
        {"path": source.path, "reason": reason}
        for source, reason, mine in zip(sources, reasons, own, strict=True)
        if reason and mine
    ]
    _write_lines(target / "stage" / "left-out.jsonl", lines)
    kinds = Counter(line["reason"] for line in lines)
    bad = sum(n for r, n in kinds.items() if r not in _NOT_A_FAULT)
    if bad > settings.max_left_out_share * sum(own):
        common = "; ".join(f"{count} x {reason}" for reason, count in kinds.most_common(4))
        raise DataError(
            f"{bad} of {sum(own)} files cannot be used ({common}). The list is in "
            f"{target / 'stage' / 'left-out.jsonl'}. If that is as it should be, raise "
            f"max_left_out_share (now {settings.max_left_out_share:g})."
        )


_NOT_A_FAULT = frozenset({"like a held-out piece", "same notes as another piece"})


# Write ----------------------------------------------------------------------------------------


def _write_shards(
    target: Path, plans: Sequence[ShardPlan], workers: int, progress: Progress
) -> list[dict[str, Any]]:
    """Write the shards that are not there yet; return the descriptions of all."""
    path = target / "tokenizer.json"
    tokenizer_sha256 = sha256_of(path)
    found = [finished(target, plan, tokenizer_sha256) for plan in plans]
    missing = [number for number, content in enumerate(found) if content is None]
    if missing:
        (target / "dataset.json").unlink(missing_ok=True)
    jobs = [(str(target), plans[number]) for number in missing]
    done = sum(len(plan.pieces) for plan, content in zip(plans, found, strict=True) if content)
    with progress("encoding", total=sum(len(plan.pieces) for plan in plans)) as advance:
        advance(done)
        written = run_jobs(_shard_job, jobs, workers=workers)
        for number, content in zip(missing, written, strict=True):
            found[number] = content
            advance(len(plans[number].pieces))
    return [content for content in found if content is not None]


def _shard_job(job: tuple[str, ShardPlan]) -> dict[str, Any]:
    target, plan = Path(job[0]), job[1]
    return write_shard(target, plan, _encoder(str(target / "tokenizer.json")))


@functools.lru_cache(maxsize=1)
def _encoder(path: str) -> Encoder:
    """Load a tokenizer once per process."""
    return Encoder(Path(path))


def _finish(
    target: Path,
    plans: Sequence[ShardPlan],
    shards: Sequence[dict[str, Any]],
    settings: PrepareSettings,
) -> dict[str, Any]:
    """Write the lists and ``dataset.json``; remove shards of an earlier plan."""
    names = {plan.name for plan in plans}
    for path in target.glob("*-?????.*.npy"):
        if path.name.split(".")[0] not in names:
            path.unlink()
    left_out = (target / "stage" / "left-out.jsonl").read_text("utf-8").splitlines()
    lines = [json.loads(line) for line in left_out]
    lines += [line for shard in shards for line in shard["left_out"]]
    _write_lines(target / "left-out.jsonl", lines)
    _write_lines(target / "pieces.jsonl", (p for shard in shards for p in shard["pieces"]))
    encoder = _encoder(str(target / "tokenizer.json"))
    dataset = {
        "format": FORMAT,
        "tokenizer_sha256": encoder.sha256,
        "vocabulary_size": encoder.size,
        "settings": settings.model_dump(mode="json"),
        "splits": {
            split: _summary([s for p, s in zip(plans, shards, strict=True) if p.split == split])
            for split in SPLITS
        },
        "left_out": dict(Counter(line["reason"] for line in lines).most_common()),
    }
    write_text(target / "dataset.json", json.dumps(dataset, indent=1) + "\n")
    return dataset


def _summary(shards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of a split."""
    pieces = [piece for shard in shards for piece in shard["pieces"]]
    return {
        "pieces": len(pieces),
        "tokens": sum(piece["tokens"] for piece in pieces),
        "notes": sum(piece["notes"] for piece in pieces),
        "groups": len({piece["group"] for piece in pieces}),
        "shards": [
            {
                "name": shard["pieces"][0]["shard"],
                "pieces": len(shard["pieces"]),
                "tokens": sum(piece["tokens"] for piece in shard["pieces"]),
            }
            for shard in shards
            if shard["pieces"]
        ],
    }


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps(line) + "\n")
