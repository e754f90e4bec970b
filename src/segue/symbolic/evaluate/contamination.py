"""Which test pieces have a near duplicate among the training pieces.

A likelihood says how well a model has learnt music only where the test piece is not in the training
music under another name. The sketches are those that preparing a corpus groups duplicates by
(`segue.symbolic.data.duplicates`): short phrases whatever their key, tempo and track order. Here they
are taken of any two collections, prepared folders (tokens are enough) or MIDI files, so that a split
made elsewhere can be examined as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.errors import DataError
from segue.symbolic.codec import encode_file, grid_to_notes
from segue.symbolic.data.duplicates import Hashes, Notes, Pair, Sketches, note_hash, sketch
from segue.symbolic.data.grouping import DuplicateSettings
from segue.symbolic.data.inventory import read_lines
from segue.symbolic.data.windows import Prepared
from segue.symbolic.stream import Ids, parse
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import Vocabulary

_PIECES_PER_JOB = 128
_PIECES_AT_ONCE = 4096
_OWNERS = 64
_TESTS_AT_ONCE = 512
_CANDIDATES = 8

Job = TypeVar("Job")


@dataclass(frozen=True, eq=False)
class Collection:
    """Some pieces, as far as finding duplicates needs them.

    Attributes:
        names: name of every piece, its path as a rule. Length ``pieces``.
        note_hashes: hash of all its notes; empty where it has none. Length ``pieces``.
        sketches: of the pieces.
    """

    names: tuple[str, ...]
    note_hashes: tuple[str, ...]
    sketches: Sketches

    def __len__(self) -> int:
        return len(self.names)


class Neighbour(NamedTuple):
    """A test piece and the training piece that is nearest to it.

    Attributes:
        name: the test piece.
        nearest: the training piece; None where none shares a phrase.
        shared: phrases that both sketches hold.
        containment: these over the phrases of the smaller piece, 0 to 1; 1 for equal notes.
        same_notes: whether all notes are the same but for key and tempo.
        near_duplicate: whether it counts as being in the training music.
    """

    name: str
    nearest: str | None
    shared: int
    containment: float
    same_notes: bool
    near_duplicate: bool


# Collections -------------------------------------------------------------------------------------


def collection_of_prepared(
    prepared: Prepared,
    *,
    phrases: int = 512,
    workers: int = 0,
    progress: Progress = silent,
) -> Collection:
    """Read a split of a prepared folder; only its tokens are needed.

    Args:
        prepared: the split; pieces keep its numbering.
        phrases: size of the sketches; the same on both sides of a comparison.
        workers: processes; 0 works in this one.
        progress: who listens.

    Raises:
        DataError: the folder is not a prepared one or lacks the split.
    """
    count = len(prepared.lengths)
    spans = [(n, min(n + _PIECES_PER_JOB, count)) for n in range(0, count, _PIECES_PER_JOB)]
    jobs = [_TokenJob(prepared.folder, prepared.split, *span, phrases) for span in spans]
    return _collect(_names(prepared), _read_tokens, jobs, phrases, (workers, progress))


def collection_of_files(
    paths: Sequence[Path | str],
    tokenizer: Tokenizer,
    *,
    phrases: int = 512,
    workers: int = 0,
    progress: Progress = silent,
) -> Collection:
    """Read MIDI files, through a tokenizer, so that they compare with a prepared folder.

    Args:
        paths: the files; one that cannot be read has no notes and is like nothing.
        tokenizer: that of the other side, or any for two sides of files.
        phrases: size of the sketches; the same on both sides of a comparison.
        workers: processes; 0 works in this one.
        progress: who listens.
    """
    names = [str(path) for path in paths]
    jobs = [
        _FileJob(tuple(names[first : first + _PIECES_PER_JOB]), tokenizer.vocabulary, phrases)
        for first in range(0, len(names), _PIECES_PER_JOB)
    ]
    return _collect(names, _read_files, jobs, phrases, (workers, progress))


class _TokenJob(NamedTuple):
    folder: Path
    split: str
    first: int
    end: int
    phrases: int


class _FileJob(NamedTuple):
    paths: tuple[str, ...]
    vocabulary: Vocabulary
    phrases: int


_Read = list[tuple[str, Hashes]]


def _read_tokens(job: _TokenJob) -> _Read:
    """Return note hash and sketch of some pieces of a prepared folder."""
    prepared = Prepared(job.folder, job.split)
    tokenizer = prepared.tokenizer
    found = []
    for number in range(job.first, job.end):
        ids = np.asarray(prepared.piece(number), np.int64)
        if tokenizer.merges is not None:
            ids = tokenizer.to_base(ids)
        found.append(_described(tokenizer.vocabulary, ids, job.phrases))
    return found


def _read_files(job: _FileJob) -> _Read:
    """Return note hash and sketch of some MIDI files."""
    found: _Read = []
    for path in job.paths:
        try:
            ids = encode_file(job.vocabulary, path)
        except DataError:
            ids = np.zeros(0, np.int64)
        found.append(_described(job.vocabulary, ids, job.phrases))
    return found


def _described(vocabulary: Vocabulary, ids: Ids, phrases: int) -> tuple[str, Hashes]:
    notes = notes_of_tokens(vocabulary, ids)
    return note_hash(notes), sketch(notes, phrases)


def notes_of_tokens(vocabulary: Vocabulary, ids: Ids) -> Notes:
    """Return the notes of base tokens as finding duplicates takes them; a program is a track."""
    grid = parse(vocabulary, ids)
    placed = grid_to_notes(vocabulary, grid)
    return Notes(
        placed["onset"].astype(np.int64),
        placed["pitch"].astype(np.int64),
        placed["program"].astype(np.int64),
        placed["program"] < 0,
        vocabulary.units_per_quarter,
    )


def _names(prepared: Prepared) -> list[str]:
    """Return the path of every piece of a split, in the order of `Prepared.piece`."""
    found = {}
    for line in read_lines(prepared.folder / "pieces.jsonl"):
        name = f"{line['shard']}/{line['index']}"
        found[name] = line.get("path", name)
    shards = prepared.info["splits"][prepared.split]["shards"]
    return [
        found[f"{shard['name']}/{index}"] for shard in shards for index in range(shard["pieces"])
    ]


def _collect(
    names: Sequence[str],
    read: Callable[[Job], _Read],
    jobs: Sequence[Job],
    size: int,
    run: tuple[int, Progress],
) -> Collection:
    """Put together what the jobs read; `run` is the number of processes and who listens."""
    workers, progress = run
    rows: _Read = []
    with progress("looking for duplicates", total=len(names)) as advance:
        for found in run_jobs(read, jobs, workers=workers):
            rows += found
            advance(len(found))
    sketches = Sketches.of([hashes for _, hashes in rows], size)
    return Collection(tuple(names), tuple(hashed for hashed, _ in rows), sketches)


# Comparing ---------------------------------------------------------------------------------------


def contamination(
    train: Collection, test: Collection, settings: DuplicateSettings | None = None
) -> list[Neighbour]:
    """Return the nearest training piece of every test piece, in the order of the test pieces.

    Args:
        train: the music that was learnt from.
        test: the music to judge by.
        settings: when two pieces count as near duplicates; as in preparing a corpus by default.

    Raises:
        DataError: the two were read with sketches of different sizes.

    Example:
        >>> found = contamination(train, test)  # doctest: +SKIP
        >>> clean = [not neighbour.near_duplicate for neighbour in found]  # doctest: +SKIP
    """
    settings = settings or DuplicateSettings()
    if train.sketches.size != test.sketches.size:
        raise DataError(
            f"Collections are compared by sketches of one size; {train.sketches.size} and "
            f"{test.sketches.size} phrases were remembered. Read both with the same number."
        )
    candidates = _candidates(train.sketches, test.sketches)
    equal = {hashed: number for number, hashed in reversed(list(enumerate(train.note_hashes)))}
    found = []
    for number, name in enumerate(test.names):
        same = equal.get(test.note_hashes[number]) if test.note_hashes[number] else None
        if same is not None:
            shared = _compare(train, test, same, number).shared
            found.append(Neighbour(name, train.names[same], shared, 1.0, True, True))
            continue
        pairs = [_compare(train, test, other, number) for other in candidates[number]]
        found.append(_nearest(name, train.names, pairs, settings))
    return found


def _compare(train: Collection, test: Collection, one: int, other: int) -> Pair:
    """Return what a training piece and a test piece share; ``one`` and ``other`` are their numbers."""
    both = [train.sketches[one], test.sketches[other]]
    return replace(Sketches.of(both, train.sketches.size).compare(0, 1), one=one, other=other)


def _nearest(
    name: str, names: Sequence[str], pairs: Sequence[Pair], settings: DuplicateSettings
) -> Neighbour:
    """Return the nearest of some training pieces: enough phrases first, then containment."""

    def closeness(pair: Pair) -> tuple[bool, float, int, int]:
        enough = pair.shared >= settings.shared_phrases
        return enough, pair.containment, pair.shared, -pair.one

    best = max(pairs, key=closeness, default=None)
    if best is None or not best.shared:
        return Neighbour(name, None, 0, 0.0, False, False)
    near = best.shared >= settings.shared_phrases and best.containment >= settings.containment
    return Neighbour(name, names[best.one], best.shared, best.containment, False, near)


def _candidates(train: Sketches, test: Sketches) -> list[list[int]]:
    """Return for every test piece the training pieces that share most phrases with it.

    Both are gone through in blocks, so that memory does not grow with either. Of a phrase that very
    many pieces of a block hold, the first `_OWNERS` count.
    """
    found: list[list[int]] = [[] for _ in range(len(test))]
    for first in range(0, len(train), _PIECES_AT_ONCE):
        hashes, owners = _block(train, first, _PIECES_AT_ONCE)
        order = np.argsort(hashes, kind="stable")
        hashes, owners = hashes[order], owners[order]
        for start in range(0, len(test), _TESTS_AT_ONCE):
            wanted, askers = _block(test, start, _TESTS_AT_ONCE)
            for asker, others in _meet(hashes, owners, wanted, askers):
                found[asker] += others
    return found


def _block(sketches: Sketches, first: int, count: int) -> tuple[Hashes, Ids]:
    """Return the hashes of `count` pieces from the first on, and the piece of each."""
    offsets = sketches.offsets[first : first + count + 1]
    numbers = np.arange(first, first + len(offsets) - 1)
    hashes = np.asarray(sketches.hashes[offsets[0] : offsets[-1]])
    return hashes, np.repeat(numbers, np.diff(offsets))


def _meet(
    hashes: Hashes, owners: Ids, wanted: Hashes, askers: Ids
) -> Iterator[tuple[int, list[int]]]:
    """Give for every asker the owners of most of the hashes that it wants, the best first."""
    left = np.searchsorted(hashes, wanted, side="left")
    sizes = np.minimum(np.searchsorted(hashes, wanted, side="right") - left, _OWNERS)
    places = np.repeat(left - np.cumsum(sizes) + sizes, sizes) + np.arange(int(sizes.sum()))
    keys, counts = np.unique((np.repeat(askers, sizes) << 32) | owners[places], return_counts=True)
    order = np.lexsort((keys, -counts, keys >> 32))
    ends = np.append(np.flatnonzero(np.diff(keys >> 32)) + 1, len(keys))
    for start, end in pairwise([0, *ends.tolist()]):
        best = keys[order[start:end][:_CANDIDATES]]
        if len(best):
            yield int(best[0] >> 32), (best & 0xFFFFFFFF).tolist()
