"""What is in a folder of MIDI: pieces measured, copies grouped, tokens counted, in bounded memory.

Every step leaves its results in a folder, so that an interrupted run is taken up where it stopped.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from segue.core.config import StrictModel
from segue.core.files import write_text
from segue.core.pool import Runner, run_jobs
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.core.tables import write_csv
from segue.errors import DataError, MissingExtraError
from segue.symbolic.codec import encode_file
from segue.symbolic.data.grouping import DuplicateSettings, group_pieces
from segue.symbolic.data.inventory import key_of, take_inventory
from segue.symbolic.data.scan import ScanSettings, Source, find_files
from segue.symbolic.data.tally import PieceRow, Tally, add_to, measure
from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import Vocabulary

_FORMAT = 1
_FILES_PER_JOB = 256
_TOKEN_FILES_PER_JOB = 32


class ExploreSettings(StrictModel):
    """What is looked at, and how closely."""

    limit: int | None = Field(default=None, ge=1)
    """Take the first so many files, in the order of their paths."""
    scan: ScanSettings = ScanSettings()
    """Which files count as music."""
    duplicates: DuplicateSettings = DuplicateSettings()
    """Which files count as the same music."""
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig.original)
    """The tokenizer that is trained for the pictures of tokens."""
    token_files: int = Field(default=1000, ge=1)
    """The tokenizer learns from so many files, drawn at random, and its tokens are counted there."""
    flat_velocities: int = Field(default=3, ge=1)
    """Files with at most so many different velocities are called flat."""
    seed: int = Field(default=0, ge=0)
    """Draws the files for the tokenizer."""


class LeftOut(NamedTuple):
    """A file that is left out, and why."""

    path: str
    reason: str


class Copies(NamedTuple):
    """Files that hold the same: in how many groups of two and more, and how many files in all."""

    groups: int
    files: int


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """The tokens of some files.

    Attributes:
        files: how many files.
        types: how often each type of base token occurs.
        tokens: how often each token of the trained tokenizer occurs; None where none was trained.
        missing: why none was trained.
    """

    files: int
    types: Counter[str]
    tokens: Counter[str] | None
    missing: str = ""


@dataclass(frozen=True, eq=False)
class Collection:
    """What is in a folder of MIDI.

    Attributes:
        name: of the folder.
        num_files: files that were looked at.
        num_used: files that are measured.
        tally: see `segue.symbolic.data.tally.measure`; ``collections`` counts top folders.
        left_out: the files that are not measured.
        copies: by kind: ``equal files``, ``equal notes``, ``near duplicates``.
        groups: members of every group of near duplicates, the largest group first.
        tokens: see `TokenCounts`; None where no file is used.
    """

    name: str
    num_files: int
    num_used: int
    tally: Tally
    left_out: list[LeftOut]
    copies: dict[str, Copies]
    groups: list[list[str]]
    tokens: TokenCounts | None


@dataclass(frozen=True)
class _Run:
    """What every step needs to know; see `collect`."""

    folder: Path
    stage: Path
    settings: ExploreSettings
    jobs: Runner
    progress: Progress


@dataclass(frozen=True)
class _Job:
    """Some files to measure, and where the result goes."""

    folder: str
    sources: tuple[Source, ...]
    target: str

    def key(self) -> str:
        return key_of(_FORMAT, [asdict(source) for source in self.sources])


@dataclass(frozen=True)
class _TokenJob:
    """Some files whose tokens are counted, with a trained tokenizer or with base tokens alone."""

    paths: tuple[str, ...]
    tokenizer: str | None
    config: dict[str, Any]


def collect(
    folder: Path,
    stage: Path,
    table: Path,
    settings: ExploreSettings,
    *,
    workers: int,
    progress: Progress = silent,
) -> Collection:
    """Measure, group and count what lies below a folder.

    Args:
        folder: where the music is.
        stage: folder for the results of the steps.
        table: CSV file to write with a line for every piece.
        settings: what is looked at.
        workers: processes; 0 works in this one.
        progress: who listens.

    Raises:
        DataError: there is no MIDI file, or the folder cannot be read.
    """
    sources = find_files([folder], limit=settings.limit, progress=progress)
    jobs = partial(run_jobs, workers=workers)
    run = _Run(folder, stage, settings, jobs, progress)
    inventory = take_inventory(
        [folder],
        sources,
        settings.scan,
        stage,
        phrases=settings.duplicates.phrases,
        run=jobs,
        progress=progress,
    )
    verdicts = group_pieces(
        inventory, settings.duplicates, stage, num_own=len(sources), progress=progress
    )
    both = list(zip(inventory.sources, inventory.scanned, strict=True))
    left_out = [LeftOut(source.path, file.reason) for source, file in both if file.reason]
    readable = [source for source, file in both if not file.reason]
    tally, refused = _measure_all(run, readable, table)
    gone = {one.path for one in refused}
    used = [source for source in readable if source.path not in gone]
    kept = [
        (source.path, file.sha256, file.note_hash, verdict.group)
        for (source, file), verdict in zip(both, verdicts, strict=True)
        if not file.reason and source.path not in gone
    ]
    groups = _members((path, group) for path, _, _, group in kept)
    return Collection(
        name=folder.resolve().name,
        num_files=len(inventory.sources),
        num_used=len(used),
        tally=tally,
        left_out=sorted([*left_out, *refused]),
        copies={
            "equal files": _copies(_members((path, key) for path, key, _, _ in kept)),
            "equal notes": _copies(_members((path, key) for path, _, key, _ in kept)),
            "near duplicates": _copies(groups),
        },
        groups=groups,
        tokens=_count_tokens(run, used) if used else None,
    )


def _members(keyed: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the paths of equal key, of groups of two and more, the largest first."""
    found: dict[str, list[str]] = {}
    for path, key in keyed:
        found.setdefault(key, []).append(path)
    groups = [paths for paths in found.values() if len(paths) > 1]
    return sorted(groups, key=lambda paths: (-len(paths), paths))


def _copies(groups: Sequence[Sequence[str]]) -> Copies:
    return Copies(len(groups), sum(map(len, groups)))


# Notes -------------------------------------------------------------------------------------------


def _measure_all(run: _Run, sources: Sequence[Source], table: Path) -> tuple[Tally, list[LeftOut]]:
    """Measure files in chunks that are kept on disk; write the table of all pieces."""
    jobs = [
        _Job(
            str(run.folder),
            tuple(sources[start : start + _FILES_PER_JOB]),
            str(run.stage / f"measured-{start // _FILES_PER_JOB:05d}.json"),
        )
        for start in range(0, len(sources), _FILES_PER_JOB)
    ]
    with run.progress("measuring", total=len(sources)) as advance:
        for count in run.jobs(_measure_job, jobs):
            advance(count)
    total: Tally = {}
    refused: list[LeftOut] = []

    def rows() -> Iterator[list[Any]]:
        for job in jobs:
            found = json.loads(Path(job.target).read_text(encoding="utf-8"))
            add_to(total, found["tally"])
            refused.extend(LeftOut(*pair) for pair in found["left_out"])
            yield from found["rows"]

    write_csv(table, ("path", *(field.name for field in fields(PieceRow))), rows())
    return total, refused


def _measure_job(job: _Job) -> int:
    """Measure the files of a job unless that is done; return their number."""
    path = Path(job.target)
    try:
        done = json.loads(path.read_text(encoding="utf-8"))["key"] == job.key()
    except (OSError, ValueError):
        done = False
    if done:
        return len(job.sources)
    total: Tally = {"collections": Counter()}
    rows: list[list[Any]] = []
    left_out: list[LeftOut] = []
    for source in job.sources:
        try:
            row, tally = measure(Path(job.folder, source.path).read_bytes())
        except (DataError, OSError) as error:
            left_out.append(LeftOut(source.path, _reason(error)))
            continue
        add_to(total, tally)
        total["collections"][_collection(source.path)] += 1
        rows.append([source.path, *asdict(row).values()])
    content = {"key": job.key(), "tally": total, "rows": rows, "left_out": left_out}
    write_text(path, json.dumps(content))
    return len(job.sources)


def _reason(error: Exception) -> str:
    """Return why a file that was readable cannot be measured, in words that can be counted."""
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    return "its time signatures make no bars, or too many"


def _collection(path: str) -> str:
    """Return the top folder of a path; a file outside any is in none."""
    top, slash, _ = path.partition("/")
    return top if slash else "(top folder)"


# Tokens ------------------------------------------------------------------------------------------


def _count_tokens(run: _Run, sources: Sequence[Source]) -> TokenCounts:
    """Train the tokenizer on files drawn at random, and count its tokens there."""
    settings = run.settings
    count = min(settings.token_files, len(sources))
    drawn = generator(settings.seed, "token files").choice(len(sources), count, replace=False)
    paths = [run.folder / sources[number].path for number in sorted(drawn.tolist())]
    tokenizer, missing = run.stage / "tokenizer.json", ""
    with run.progress("learning the tokenizer") as advance:
        try:
            train_tokenizer(settings.tokenizer, paths, tokenizer)
        except (MissingExtraError, DataError) as error:
            missing = str(error)
        advance()
    jobs = [
        _TokenJob(
            tuple(map(str, paths[start : start + _TOKEN_FILES_PER_JOB])),
            None if missing else str(tokenizer),
            settings.tokenizer.model_dump(mode="json"),
        )
        for start in range(0, count, _TOKEN_FILES_PER_JOB)
    ]
    types: Counter[str] = Counter()
    counts: Counter[int] = Counter()
    files = 0
    with run.progress("counting tokens", total=count) as advance:
        for job, found in zip(jobs, run.jobs(_token_job, jobs), strict=True):
            types.update(found[0])
            counts.update(found[1])
            files += found[2]
            advance(len(job.paths))
    if missing:
        return TokenCounts(files, types, None, missing)
    return TokenCounts(files, types, _named(Tokenizer.from_file(tokenizer), counts))


def _token_job(job: _TokenJob) -> tuple[Counter[str], Counter[int], int]:
    """Return how often each type and each token occurs, and in how many files."""
    if job.tokenizer is None:
        tokenizer = Tokenizer(base_vocabulary(TokenizerConfig.model_validate(job.config)), None)
    else:
        tokenizer = Tokenizer.from_file(job.tokenizer)
    vocabulary, files = tokenizer.vocabulary, 0
    base, merged = np.zeros(vocabulary.size, np.int64), np.zeros(tokenizer.size, np.int64)
    for path in job.paths:
        try:
            ids = encode_file(vocabulary, path)
        except DataError:
            continue
        files += 1
        base += np.bincount(ids, minlength=len(base))
        if tokenizer.merges is not None:
            merged += np.bincount(tokenizer.merges.encode(ids), minlength=len(merged))
    types: Counter[str] = Counter()
    for name, count in zip(vocabulary.names_of_types, base.tolist(), strict=True):
        if count:
            types[name] += count
    return types, Counter({int(n): int(merged[n]) for n in np.flatnonzero(merged)}), files


def _named(tokenizer: Tokenizer, counts: Counter[int]) -> Counter[str]:
    """Return counts by the names of the base tokens that each token stands for."""
    vocabulary, merges = tokenizer.vocabulary, tokenizer.merges
    found: Counter[str] = Counter()
    for number, count in sorted(counts.items()):
        parts = [number] if merges is None else merges.expand(number).tolist()
        name = " + ".join(vocabulary.tokens[part].removesuffix("_None") for part in parts)
        found[name or "mark before a bar"] += count
    return found


def base_vocabulary(config: TokenizerConfig) -> Vocabulary:
    """Return the base tokens of a configuration; needs no MidiTok."""
    return Vocabulary.from_config({**config.to_miditok(), "beat_res": config.beat_resolution})
