"""How much of a passage is copied: from the music around it, or from the music that was learnt.

A passage is read as lines, one for each program, notes in order of onset and pitch. What counts as
copied is a run of consecutive notes of a line with the same steps from note to note: pitch interval,
time between onsets (to the 24th of a quarter note), and whether it is a drum. Intervals leave the
key aside, so that a transposed copy is one too; drums, and everything where ``transposed`` is False,
must have the same pitches. Runs with fewer than `MIN_PITCHES` different pitches (repeated notes,
trills) belong to nobody and are never counted.

A share of copied notes says little alone: human music repeats itself and others. It is always given
beside that of the original notes of the same region.

Source: Yin, Reuben, Stepney and Collins, "Measuring when a music generation algorithm copies too
much", 2022, who also hold a model's score against that of human pieces; theirs counts shared points
of time and pitch, ours shared runs.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from segue.core.files import atomic_path, sha256_of, write_text
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.errors import DataError, SettingError
from segue.symbolic.data.inventory import key_of
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate.passage import Passage, passage_of_bars
from segue.symbolic.stream import parse

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

MIN_PITCHES = 3
"""Different pitches that a run must have to count."""

DEFAULT_LENGTH = 8
"""Notes from which on a run counts as copied; the length of a phrase in `segue.symbolic.data`."""

INDEX_LENGTHS = (4, 6, 8, 12, 16, 24, 32)
"""Lengths of runs that an index of training music knows."""

_FORMAT = 2
_PARTS_PER_QUARTER = 24
_LONGEST_WAIT = (1 << 14) - 1
_PIECES_PER_JOB = 256
_HASHES_AT_ONCE = 1 << 22
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


class Copied(NamedTuple):
    """How much of a passage is copied.

    Attributes:
        longest: notes of the longest copied run, 0 where there is none.
        share: share of the notes that lie in a copied run of at least the asked length; 0 for a
            passage without notes.
        num_notes: notes of the passage, the weight of `share` in a mean.
    """

    longest: int
    share: float
    num_notes: int


class Against(NamedTuple):
    """The same measure for what was generated and for what a human wrote there."""

    generated: Copied
    original: Copied


# Lines -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Lines:
    """The notes of a passage, line after line.

    Attributes:
        steps: what leads from each note to the next, as a number; 0 at the end of a line. Shape
            ``notes``.
        keys: what must agree besides the steps for a run that begins here: the pitch, or 0 where
            transposing is allowed. Shape ``notes``.
        lines: number of the line. Shape ``notes``.
        pitches: Shape ``notes``.
    """

    steps: Ints
    keys: Ints
    lines: Ints
    pitches: Ints

    @classmethod
    def of(cls, passage: Passage, *, transposed: bool) -> Self:
        """Read a passage as lines."""
        order = np.lexsort((passage.pitches, passage.onsets, passage.programs))
        onsets, pitches = passage.onsets[order], passage.pitches[order]
        programs, drums = passage.programs[order], passage.is_drum[order]
        lines = np.cumsum(np.diff(programs, prepend=programs[:1]) != 0)
        keys = np.where(drums, 128 + pitches, 0 if transposed else 1 + pitches)
        steps = np.zeros(len(order), np.int64)
        waits = np.rint(np.diff(onsets) * _PARTS_PER_QUARTER)
        waits = np.clip(waits, 0, _LONGEST_WAIT).astype(np.int64)
        moves = (waits << 8) | (np.diff(pitches) + 128)
        steps[:-1] = np.where(np.diff(lines) == 0, moves + 1, 0)
        return cls(steps, keys, lines, pitches)

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def third(self) -> Ints:
        """Index of the first note at which `MIN_PITCHES` pitches have been heard from each note on.

        Shape ``notes``; the number of notes where there is none.
        """
        count = len(self)
        firsts = np.flatnonzero(np.diff(self.pitches, prepend=-1) != 0)
        values = self.pitches[firsts]
        # Stretches of two pitches alternate; where one differs from that before the last, it is new.
        new = np.flatnonzero(values[2:] != values[:-2]) + 2
        stretch = np.searchsorted(firsts, np.arange(count), side="right") - 1
        place = np.searchsorted(new, stretch + 2)
        found = np.append(firsts[new], count)
        return found[place]

    def runs(self, length: int) -> tuple[Hashes, Ints]:
        """Return hash and first note of every run of `length` notes that counts."""
        count = len(self) - length + 1
        if count < 1:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        hashes = _windows(_mix(self.steps.astype(np.uint64)), length - 1)[:count]
        hashes = _mix(hashes ^ _mix(self.keys[:count].astype(np.uint64)))
        inside = self.lines[length - 1 :] == self.lines[:count]
        inside &= self.third[:count] < np.arange(count) + length
        starts = np.flatnonzero(inside)
        return hashes[starts], starts


def _mix(values: Hashes) -> Hashes:
    """Scatter 64-bit numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def _windows(symbols: Hashes, size: int) -> Hashes:
    """Return the hash of every run of `size` symbols, put together of runs of 1, 2, 4, ..."""
    whole = np.zeros(len(symbols), np.uint64)
    done, power, blocks = 0, 1, symbols
    while True:
        if size & power:
            count = len(symbols) - done - power + 1
            whole = _mix(whole[:count] * _STEP ^ blocks[done : done + count])
            done += power
        if done == size:
            return whole
        blocks = _mix(blocks[:-power] * _STEP ^ blocks[power:])
        power *= 2


# From the context --------------------------------------------------------------------------------


def copied_from_context(
    passage: Passage,
    context: Passage,
    *,
    length: int = DEFAULT_LENGTH,
    transposed: bool = True,
) -> Copied:
    """Return how much of a passage stands in the music around it as well.

    Args:
        passage: the notes of the hole.
        context: the notes that the model could see, without those of the hole.
        length: notes from which on a run counts for `Copied.share`.
        transposed: whether a run in another key is a copy too; drums are never transposed.

    Raises:
        SettingError: `length` is below `MIN_PITCHES`.
    """
    _check_length(length)
    mine = _Lines.of(passage, transposed=transposed)
    other = _Lines.of(context, transposed=transposed)
    runs = _longest_runs(mine, other)
    ends = np.arange(len(mine))
    runs[mine.third[ends - runs + 1] > ends] = 0
    return Copied(int(runs.max(initial=0)), _share(ends - runs + 1, runs, length), len(mine))


def _longest_runs(mine: _Lines, other: _Lines) -> Ints:
    """Return the notes of the longest run of `other` that ends like each note of `mine`.

    Longest common substring by rows; a single note is a run of 1. Shape ``notes``.
    """
    longest = np.ones(len(mine), np.int64)
    single = np.append(0, other.keys)
    steps = np.append(0, other.steps)[:-1]
    row = np.zeros(len(other) + 1, np.int64)
    for place in range(len(mine)):
        fresh = (single == mine.keys[place]).astype(np.int64)
        fresh[0] = 0
        if place and mine.steps[place - 1]:
            meets = steps == mine.steps[place - 1]
            fresh[1:] = np.where(meets & (row[:-1] > 0), row[:-1] + 1, fresh[1:])
        row = fresh
        longest[place] = max(1, int(row.max()))
    return longest


def _share(starts: Ints, lengths: Ints, length: int) -> float:
    """Return the share of notes inside runs of at least `length` notes, given by their starts."""
    if not len(starts):
        return 0.0
    chosen = lengths >= length
    return float(_covered(starts[chosen], lengths[chosen], len(starts)).mean())


def _covered(starts: Ints, lengths: Ints | int, count: int) -> NDArray[np.bool_]:
    """Return which of `count` notes lie in one of the runs."""
    change = np.bincount(starts, minlength=count + 1)
    change = change - np.bincount(starts + lengths, minlength=count + 1)
    return np.cumsum(change)[:count] > 0


def _check_length(length: int) -> None:
    if length < MIN_PITCHES:
        raise SettingError(
            f"A copied run needs {MIN_PITCHES} notes or more to be one; {length} was given."
        )


# From the training music -------------------------------------------------------------------------


@dataclass(frozen=True)
class NgramIndex:
    """The runs of a prepared collection, as sorted hashes on disk; see `build_index`.

    Attributes:
        folder: where it is.
    """

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the index was made of and what it holds.

        Raises:
            DataError: there is no index in the folder.
        """
        try:
            content: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text("utf-8"))
            known = content["format"] == _FORMAT
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.folder} holds no index of runs ({error}). Make one of a prepared folder."
            ) from error
        if not known:
            raise DataError(f"The index in {self.folder} is of another version; make it anew.")
        return content

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the runs that are known, rising."""
        return tuple(self.manifest["lengths"])

    @property
    def transposed(self) -> bool:
        """Whether a run in another key is found too."""
        return bool(self.manifest["transposed"])

    def hashes(self, length: int) -> Hashes:
        """Return the sorted hashes of all runs of a length, memory-mapped.

        Raises:
            SettingError: the index does not know this length.
        """
        if length not in self.lengths:
            raise SettingError(
                f"The index in {self.folder} knows runs of {self.lengths} notes; {length} was asked."
            )
        found = self._files.get(length)
        if found is None:
            path = self.folder / f"runs-{length:03d}.npy"
            found = self._files[length] = np.load(path, mmap_mode="r", allow_pickle=False)
        return found

    @cached_property
    def _files(self) -> dict[int, Hashes]:
        return {}

    def copied(self, passage: Passage, *, length: int = DEFAULT_LENGTH) -> Copied:
        """Return how much of a passage stands in the indexed collection as well.

        `Copied.longest` is the largest of the index's lengths that was found, so the real run may be
        longer, by less than the step to the next length.

        Raises:
            SettingError: the index does not know `length`.
        """
        lines = _Lines.of(passage, transposed=self.transposed)
        covered = np.zeros(len(lines), bool)
        self.hashes(length)
        longest = 0
        for size in self.lengths:
            hashes, starts = lines.runs(size)
            starts = starts[_is_in(hashes, self.hashes(size))] if len(hashes) else starts
            if len(starts):
                longest = size
            if size == length:
                covered = _covered(starts, size, len(lines))
        return Copied(longest, float(covered.mean()) if len(lines) else 0.0, len(lines))


def _is_in(wanted: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Return which of some hashes are among sorted ones."""
    if not len(known):
        return np.zeros(len(wanted), bool)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray(known[place] == wanted)


def build_index(
    prepared: Prepared,
    target: Path | str,
    *,
    lengths: Sequence[int] = INDEX_LENGTHS,
    transposed: bool = True,
    workers: int = 0,
    progress: Progress = silent,
) -> NgramIndex:
    """Make the index of a prepared collection, or open the one that is there already.

    Args:
        prepared: the pieces, the training split as a rule.
        target: folder of the index.
        lengths: notes of the runs.
        transposed: whether runs in another key are to be found too.
        workers: processes; 0 works in this one.
        progress: who listens.

    Raises:
        SettingError: a length is below `MIN_PITCHES`, or there is none.
        DataError: the folder cannot be read or written.
    """
    target, lengths = Path(target), sorted(set(lengths))
    _check_length(min(lengths, default=0))
    key = _index_key(prepared, lengths, transposed=transposed)
    there = _key_there(target)
    if there == key:
        return NgramIndex(target)
    if there is not None:  # an older list must not speak for files that are half replaced
        (target / "manifest.json").unlink()
    count = len(prepared.lengths)
    jobs = [
        _Job(prepared.folder, prepared.split, target, first, end, tuple(lengths), transposed)
        for first in range(0, count, _PIECES_PER_JOB)
        for end in (min(first + _PIECES_PER_JOB, count),)
    ]
    notes = 0
    with progress("reading runs", total=count) as advance:
        for job, found in zip(jobs, run_jobs(_collect, jobs, workers=workers), strict=True):
            notes += found
            advance(job.end - job.first)
    sizes = {}
    for length in _telling(lengths, progress):
        sizes[str(length)] = _merge(jobs, length)
    manifest = {
        "format": _FORMAT,
        "key": key,
        "split": prepared.split,
        "pieces": count,
        "notes": notes,
        "lengths": lengths,
        "transposed": transposed,
        "runs": sizes,
    }
    write_text(target / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return NgramIndex(target)


def _telling(lengths: Sequence[int], progress: Progress) -> Iterator[int]:
    """Give the lengths one by one, telling about it."""
    with progress("sorting runs", total=len(lengths)) as advance:
        for length in lengths:
            yield length
            advance()


def _index_key(prepared: Prepared, lengths: Sequence[int], *, transposed: bool) -> str:
    files = [sha256_of(prepared.folder / name) for name in ("pieces.jsonl", "tokenizer.json")]
    return key_of(_FORMAT, files, prepared.split, list(lengths), transposed, MIN_PITCHES)


def _key_there(target: Path) -> str | None:
    """Return what the index in a folder was made of, of whatever version it is; None without one."""
    try:
        content = json.loads((target / "manifest.json").read_text("utf-8"))
        return str(content["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Job(NamedTuple):
    """Some pieces, and where their runs go."""

    folder: Path
    split: str
    target: Path
    first: int
    end: int
    lengths: tuple[int, ...]
    transposed: bool

    def part(self, length: int) -> Path:
        return self.target / "parts" / f"{self.first:08d}-{length:03d}.npy"


def _collect(job: _Job) -> int:
    """Write the sorted runs of some pieces; return the number of their notes."""
    prepared = Prepared(job.folder, job.split)
    found: dict[int, list[Hashes]] = {length: [] for length in job.lengths}
    notes = 0
    for number in range(job.first, job.end):
        lines = _Lines.of(whole_piece(prepared, number), transposed=job.transposed)
        notes += len(lines)
        for length in job.lengths:
            found[length].append(lines.runs(length)[0])
    for length, hashes in found.items():
        with atomic_path(job.part(length)) as temporary:
            np.save(temporary, _sorted_once(np.concatenate(hashes)), allow_pickle=False)
    return notes


def whole_piece(prepared: Prepared, number: int) -> Passage:
    """Return all notes of a piece of a prepared folder."""
    vocabulary = prepared.tokenizer.vocabulary
    ids = np.asarray(prepared.piece(number), np.int64)
    if prepared.tokenizer.merges is not None:
        ids = prepared.tokenizer.to_base(ids)
    return passage_of_bars(vocabulary, parse(vocabulary, ids))


def _merge(jobs: Sequence[_Job], length: int) -> int:
    """Write all runs of a length to one file, sorted, each once; return how many there are."""
    paths = [job.part(length) for job in jobs]
    parts = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    num_slices = 1 + sum(len(part) for part in parts) // _HASHES_AT_ONCE
    # Hashes are spread evenly, so equal slices of hash space hold about the same number of them.
    cuts = [np.uint64(number * (2**64 - 1) // num_slices) for number in range(num_slices)]
    places = [[*np.searchsorted(part, cuts).tolist(), len(part)] for part in parts]
    total = 0
    path = jobs[0].target / f"runs-{length:03d}.npy"
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        _write_header(stream, 0)
        for number in range(num_slices):
            pieces = [
                part[place[number] : place[number + 1]]
                for part, place in zip(parts, places, strict=True)
            ]
            merged = _sorted_once(np.concatenate(pieces))
            stream.write(merged.astype("<u8").tobytes())
            total += len(merged)
        stream.seek(0)
        _write_header(stream, total)
    del parts
    for path in paths:
        path.unlink()
    return total


def _sorted_once(hashes: Hashes) -> Hashes:
    """Return hashes in order, each once; several times as fast as `numpy.unique` on many."""
    hashes = np.sort(hashes)
    first = np.ones(len(hashes), bool)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first]


def _write_header(stream: Any, count: int) -> None:
    """Write the head of a ``.npy`` file, which is as long for every count."""
    description = {"descr": "<u8", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(stream, description)


# Beside the original -----------------------------------------------------------------------------


def compare_copying(
    generated: Passage,
    original: Passage,
    *,
    context: Passage | None = None,
    training: NgramIndex | None = None,
    length: int = DEFAULT_LENGTH,
) -> dict[str, Against]:
    """Return how much of a filling is copied, and beside it how much of the original is.

    Args:
        generated: the notes written.
        original: the notes that were there.
        context: the notes that the model could see.
        training: the index of the music that it learnt from.
        length: notes from which on a run counts for `Copied.share`.

    Returns:
        Under ``context`` and ``training``, as far as given.
    """
    found = {}
    if context is not None:
        found["context"] = Against(
            *(copied_from_context(p, context, length=length) for p in (generated, original))
        )
    if training is not None:
        found["training"] = Against(
            *(training.copied(p, length=length) for p in (generated, original))
        )
    return found
