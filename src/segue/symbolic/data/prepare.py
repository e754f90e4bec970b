"""Prepare a corpus: find, judge, group, split, encode; resumable at any moment.

The target folder gets the token shards (see `shards`), ``tokenizer.json``, ``pieces.jsonl`` (one line
a piece), ``left-out.jsonl`` (path and reason), the lists of files that publish the split (see `splits`)
and, last of all, ``dataset.json``. The folder ``stage`` holds the results of the steps; a later run takes up those whose files and settings are the same, and
ends with the same bytes as a run that was never interrupted.
"""

import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from segue.core.cluster import connect
from segue.core.config import StrictModel
from segue.core.files import sha256_of, write_bytes, write_text
from segue.core.pool import Runner, run_jobs
from segue.core.progress import Progress, silent
from segue.core.split import SPLITS
from segue.errors import DataError, SettingError
from segue.symbolic.data.grouping import (
    LIKE_HELD_OUT,
    SAME_NOTES,
    DuplicateSettings,
    Verdict,
    group_pieces,
)
from segue.symbolic.data.inventory import (
    Inventory,
    key_of,
    read_lines,
    take_inventory,
    write_lines,
)
from segue.symbolic.data.scan import ScanSettings, Source, find_files
from segue.symbolic.data.shards import (
    FORMAT,
    Piece,
    ShardPlan,
    can_encode,
    finished,
    plan_shards,
    write_shard,
)
from segue.symbolic.data.splits import (
    NOT_LISTED,
    Listed,
    MidiSplitSettings,
    SplitList,
    draw_splits,
    find_listed,
    num_near_training,
    read_split_list,
    write_lists,
)
from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.tokenizer import Tokenizer

_TEMPORARY = re.compile(
    r"\.(?:(?:train|valid|test|scan)-\d+|[a-z-]+)(?:\.tokens|\.offsets)?-\w+\.\w+"
)


_EXPECTED = (LIKE_HELD_OUT, SAME_NOTES, NOT_LISTED)
"""Reasons that are no fault of a file."""


class PrepareSettings(StrictModel):
    """How a corpus is prepared."""

    scan: ScanSettings = ScanSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    split: MidiSplitSettings = MidiSplitSettings()
    tokenizer: TokenizerConfig = TokenizerConfig()
    tokenizer_pieces: int = Field(default=4000, ge=1)
    """Merges are learnt from at most so many pieces of the training split."""
    limit: int | None = Field(default=None, ge=1)
    """Take the first so many files, in the order of their paths."""
    max_left_out_share: float = Field(default=0.25, ge=0, le=1)
    """Stop when more than this share of the files cannot be used (duplicates do not count)."""
    notes_per_shard: int = Field(default=1_000_000, ge=1)
    """Size of a shard."""
    seed: int = Field(default=0, ge=0)
    """Draws the split and the order of the pieces."""


@dataclass(frozen=True)
class _Run:
    """What every step needs to know.

    Attributes:
        folders: those to learn from, then those held out.
        target: the folder that is written.
        settings, progress: as given to `prepare`.
        jobs: who does the work.
    """

    folders: tuple[Path, ...]
    target: Path
    settings: PrepareSettings
    jobs: Runner
    progress: Progress

    @property
    def stage(self) -> Path:
        return self.target / "stage"


def prepare(
    folders: Sequence[Path | str],
    target: Path | str,
    settings: PrepareSettings | None = None,
    *,
    tokenizer: Path | str | None = None,
    held_out: Sequence[Path | str] = (),
    split_list: Sequence[Path | str] = (),
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Prepare the MIDI files of some folders for training.

    Run again after an interruption, or on a corpus that has grown, it repeats only what is missing.

    Args:
        folders: where the music is.
        target: the folder to write: new, empty, or one that was prepared before.
        settings: what to keep, how to split, which tokens.
        tokenizer: a ``tokenizer.json`` to use instead of making one, as fine-tuning needs.
        held_out: folders of music kept for tests; whatever is a near duplicate of it is left out.
        split_list: lists of files, or prepared folders that hold some, whose split is taken over:
            neither are duplicates looked for nor is anything drawn. What the lists name and the
            folders lack is written to ``missing.jsonl``.
        workers: processes; as many as cores by default, 0 works in this process.
        cluster: address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, that does the work
            instead; see `segue.core.cluster`. All folders must be on storage that it shares.
        progress: who listens.

    Returns:
        The contents of ``dataset.json``.

    Raises:
        DataError: there is no music, too much of it cannot be used, or `target` is something else.
        SettingError: `split_list` and `held_out` are both given, or the cluster does not answer.
        BundleError: `tokenizer` is not a tokenizer that Segue knows.
        MissingExtraError: `cluster` is given and Dask is not installed.

    Example:
        >>> dataset = prepare(["my-midi"], "prepared")  # doctest: +SKIP
        >>> dataset["splits"]["train"]["pieces"]  # doctest: +SKIP
        1234
    """
    if tokenizer is not None:
        Tokenizer.from_file(tokenizer)
    if split_list and held_out:
        raise SettingError(
            "A split list says already which pieces are left out. Give a split list or folders that "
            "are held out."
        )
    listed = read_split_list(split_list) if split_list else None
    # The machines of a cluster start in folders of their own.
    place = Path.absolute if cluster else Path
    own, other = [tuple(place(Path(folder)) for folder in given) for given in (folders, held_out)]
    settings = settings or PrepareSettings()
    sources = find_files(own, limit=settings.limit, progress=progress)
    num_own = len(sources)
    if other:
        kept_back = find_files(other, progress=progress)
        sources += [replace(source, folder=source.folder + len(own)) for source in kept_back]
    with _workforce(workers, cluster) as jobs:
        run = _Run(own + other, place(Path(target)), settings, jobs, progress)
        _open_target(run)
        inventory = take_inventory(
            run.folders,
            sources,
            settings.scan,
            run.stage,
            phrases=settings.duplicates.phrases,
            run=jobs,
            progress=progress,
        )
        choice = _choose(run, inventory, num_own, listed)
        left_out = _left_out(inventory, choice.verdicts[:num_own])
        _check_left_out(run, left_out, num_own)
        plans = _plan(run, choice)
        _put_tokenizer(run, plans, Path(tokenizer) if tokenizer is not None else None)
        shards = _write_shards(run, plans)
        left_out += [line for shard in shards for line in shard["left_out"]]
        _check_left_out(run, left_out, num_own)
        return _finish(run, choice, shards, left_out)


@contextlib.contextmanager
def _workforce(workers: int | None, cluster: str | None) -> Iterator[Runner]:
    """Give who does the work: processes here, or a cluster."""
    if cluster is not None:
        with connect(cluster) as jobs:
            yield jobs
    else:
        yield partial(run_jobs, workers=(os.cpu_count() or 1) if workers is None else workers)


@dataclass(frozen=True)
class _Choice:
    """What is decided about the files.

    Attributes:
        verdicts: about every file.
        pieces: those that are kept.
        splits: the split of each.
        note_hashes: hash of the notes by SHA-256 of the file.
        listed: the lists that decided, if any did.
        missing: pieces of the lists for which there is no file.
    """

    verdicts: list[Verdict]
    pieces: list[Piece]
    splits: list[str]
    note_hashes: dict[str, str]
    listed: SplitList | None
    missing: list[Listed]


def _choose(run: _Run, inventory: Inventory, num_own: int, listed: SplitList | None) -> _Choice:
    """Decide which pieces are kept, and their splits."""
    hashes = [file.sha256 for file in inventory.scanned]
    note_hashes = {file.sha256: file.note_hash for file in inventory.scanned}
    if listed is None:
        verdicts = group_pieces(
            inventory,
            run.settings.duplicates,
            run.stage,
            num_own=num_own,
            progress=run.progress,
        )
        pieces = _pieces(run, inventory, verdicts)
        splits = draw_splits(pieces, run.settings.split, seed=run.settings.seed)
        return _Choice(verdicts, pieces, splits, note_hashes, None, [])
    found, missing = find_listed(hashes, listed)
    verdicts = [
        Verdict("", NOT_LISTED) if line is None else Verdict(line.cluster, None) for line in found
    ]
    note_hashes |= {line.sha256: line.note_hash for line in listed.lines}
    splits = [line.split for line in found if line is not None]
    pieces = _pieces(run, inventory, verdicts)
    return _Choice(verdicts, pieces, splits, note_hashes, listed, missing)


def _open_target(run: _Run) -> None:
    """Make the folder, or refuse one that holds other things; remove what a killed run left."""
    if run.target.is_dir() and any(run.target.iterdir()) and not run.stage.is_dir():
        raise DataError(
            f"{run.target} is not empty and was not prepared by Segue. Name a new folder."
        )
    try:
        run.stage.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {run.target}: {error.strerror}.") from error
    _remove_temporaries(run)


def _remove_temporaries(run: _Run) -> None:
    """Remove what killed processes had begun to write."""
    for folder in (run.target, run.stage):
        for path in folder.glob(".*"):
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _left_out(inventory: Inventory, verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return path and reason of every file that is left out."""
    pairs = zip(inventory.sources, verdicts, strict=False)
    return [
        {"path": source.path, "reason": verdict.reason}
        for source, verdict in pairs
        if verdict.reason
    ]


def _check_left_out(run: _Run, left_out: Sequence[dict[str, str]], num_files: int) -> None:
    """Write the list of files that are left out, and stop where they are too many."""
    write_lines(run.target / "left-out.jsonl", left_out)
    reasons = Counter(line["reason"] for line in left_out)
    bad = sum(reasons.values()) - sum(reasons[known] for known in _EXPECTED)
    most = run.settings.max_left_out_share
    if bad > most * num_files or len(left_out) == num_files:
        common = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(4))
        raise DataError(
            f"{bad} of {num_files} files cannot be used ({common}), more than the allowed share of "
            f"{most:g}. Look at {run.target / 'left-out.jsonl'}; if all is as it should be, raise "
            "max_left_out_share."
        )


def _pieces(run: _Run, inventory: Inventory, verdicts: Sequence[Verdict]) -> list[Piece]:
    """Return the pieces that are kept."""
    return [
        Piece(
            folder=str(run.folders[source.folder]),
            path=source.path,
            sha256=file.sha256,
            group=verdict.group,
            source=_collection(run, source),
            notes=file.notes,
        )
        for source, file, verdict in zip(
            inventory.sources, inventory.scanned, verdicts, strict=True
        )
        if verdict.reason is None
    ]


def _plan(run: _Run, choice: _Choice) -> list[ShardPlan]:
    """Decide which piece goes into which shard."""
    both = list(zip(choice.pieces, choice.splits, strict=True))
    return [
        plan
        for name in SPLITS
        for plan in plan_shards(
            name,
            [piece for piece, split in both if split == name],
            notes=run.settings.notes_per_shard,
            seed=run.settings.seed,
        )
    ]


def _collection(run: _Run, source: Source) -> str:
    """Return the name of the collection of a file: its top folder, or the folder given."""
    top, slash, _ = source.path.partition("/")
    return top if slash else run.folders[source.folder].resolve().name


def _put_tokenizer(run: _Run, plans: Sequence[ShardPlan], given: Path | None) -> None:
    """Put ``tokenizer.json`` into the folder: the one given, or one made for the training split."""
    path, settings = run.target / "tokenizer.json", run.settings
    if given is not None:
        content = given.read_bytes()
        if not path.is_file() or path.read_bytes() != content:
            write_bytes(path, content)
        return
    pieces = [piece for plan in plans if plan.split == "train" for piece in plan.pieces]
    pieces = pieces[: settings.tokenizer_pieces if settings.tokenizer.vocab_size else 0]
    key = key_of(settings.tokenizer.model_dump(mode="json"), [piece.sha256 for piece in pieces])
    made = {"key": key, "sha256": sha256_of(path) if path.is_file() else None}
    note = run.stage / "tokenizer.jsonl"
    if note.is_file() and made["sha256"] and list(read_lines(note)) == [made]:
        return
    files = [Path(piece.folder, piece.path) for piece in pieces]
    train_tokenizer(settings.tokenizer, files, path, progress=run.progress)
    write_lines(note, [{"key": key, "sha256": sha256_of(path)}])


def _write_shards(run: _Run, plans: Sequence[ShardPlan]) -> list[dict[str, Any]]:
    """Write the shards that are not there yet; return the descriptions of all."""
    tokenizer_sha256 = sha256_of(run.target / "tokenizer.json")
    found = [finished(run.target, plan, tokenizer_sha256) for plan in plans]
    missing = [number for number, shard in enumerate(found) if shard is None]
    if missing:
        (run.target / "dataset.json").unlink(missing_ok=True)
    with run.progress("encoding", total=sum(len(plan.pieces) for plan in plans)) as advance:
        advance(sum(len(plan.pieces) for plan, shard in zip(plans, found, strict=True) if shard))
        jobs = [(run.target, plans[number], ()) for number in missing]
        written = run.jobs(_write_one, jobs, on_crash=_without_fatal_pieces)
        for number, shard in zip(missing, written, strict=True):
            found[number] = shard
            advance(len(plans[number].pieces))
    return [shard for shard in found if shard is not None]


_ShardJob = tuple[Path, ShardPlan, tuple[int, ...]]
"""The folder, what goes into the shard, and the indices of pieces that do not."""


def _write_one(job: _ShardJob) -> dict[str, Any]:
    target, plan, without = job
    return write_shard(target, plan, without=without)


def _encode_one(job: _ShardJob) -> bool:
    target, plan, _ = job
    return can_encode(target, plan)


def _without_fatal_pieces(job: _ShardJob) -> dict[str, Any]:
    """Write a shard in which some piece takes the process down, without this piece."""
    target, plan, _ = job
    singles = [(target, replace(plan, pieces=(piece,)), ()) for piece in plan.pieces]
    fine = run_jobs(_encode_one, singles, workers=1, on_crash=lambda _: False)
    fatal = tuple(number for number, is_fine in enumerate(fine) if not is_fine)
    # In a process of its own once more: where no piece alone is to blame, memory is.
    return next(run_jobs(_write_one, [(target, plan, fatal)], workers=1))


def _finish(
    run: _Run,
    choice: _Choice,
    shards: Sequence[dict[str, Any]],
    left_out: Sequence[dict[str, str]],
) -> dict[str, Any]:
    """Write the lists of pieces and ``dataset.json``; remove shards of an earlier plan."""
    pieces = [piece for shard in shards for piece in shard["pieces"]]
    if not any(piece["split"] == "train" for piece in pieces):
        raise DataError(
            "No piece is left to learn from. Give more files, or smaller shares for validation."
        )
    _remove_old_shards(run.target, {piece["shard"] for piece in pieces})
    _remove_temporaries(run)
    write_lines(run.target / "pieces.jsonl", pieces)
    _publish_split(run, choice, pieces)
    near_training = num_near_training(pieces)
    path = run.target / "tokenizer.json"
    dataset = {
        "format": FORMAT,
        "tokenizer_sha256": sha256_of(path),
        "vocabulary_size": Tokenizer.from_file(path).size,
        "settings": run.settings.model_dump(mode="json"),
        "split_by": run.settings.split.by if choice.listed is None else "list",
        "split_list_sha256": [] if choice.listed is None else list(choice.listed.sha256),
        "missing": len(choice.missing),
        "splits": {
            name: _summary([piece for piece in pieces if piece["split"] == name])
            | {"near_training": near_training[name]}
            for name in SPLITS
        },
        "left_out": dict(Counter(line["reason"] for line in left_out).most_common()),
    }
    write_text(run.target / "dataset.json", json.dumps(dataset, indent=1) + "\n")
    return dataset


def _publish_split(run: _Run, choice: _Choice, pieces: Sequence[dict[str, Any]]) -> None:
    """Write the lists of files, and the list of those that a given list names in vain."""
    write_lists(
        run.target,
        (
            Listed(
                piece["path"],
                piece["sha256"],
                choice.note_hashes[piece["sha256"]],
                piece["group"],
                piece["split"],
            )
            for piece in pieces
        ),
    )
    path = run.target / "missing.jsonl"
    if choice.missing:
        write_lines(path, [line._asdict() for line in choice.missing])
    else:
        path.unlink(missing_ok=True)


def _remove_old_shards(target: Path, names: set[str]) -> None:
    """Delete the files of shards that are no longer wanted, or that hold nothing."""
    for path in [*target.glob("*-?????.*.npy"), *target.glob("stage/*-?????.json")]:
        if path.name.split(".")[0] not in names:
            path.unlink()


def _summary(pieces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of a split."""
    shards: dict[str, dict[str, Any]] = {}
    for piece in pieces:
        name = piece["shard"]
        shard = shards.setdefault(name, {"name": name, "pieces": 0, "tokens": 0})
        shard["pieces"] += 1
        shard["tokens"] += piece["tokens"]
    return {
        "pieces": len(pieces),
        "tokens": sum(piece["tokens"] for piece in pieces),
        "notes": sum(piece["notes"] for piece in pieces),
        "groups": len({piece["group"] for piece in pieces}),
        "shards": list(shards.values()),
    }
