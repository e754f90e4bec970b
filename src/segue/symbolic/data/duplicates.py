"""Exact and near duplicates of pieces, whatever their key, tempo, track order or file format.

Three kinds of sameness are joined into groups, and groups are never cut by a split:

* equal files (SHA-256) and equal notes: a hash of onsets and pitches, relative to the first onset and
  the lowest pitch, in the smallest time step of the piece, all tracks together;
* near duplicates: pieces that share many short phrases. A phrase is `PHRASE_NOTES` consecutive notes
  of a track's top line, written as pitch intervals and ratios of inter-onset times, so transposing,
  stretching and reordering tracks leave it alone;
* pieces whose names say that they belong to one work (patterns given by the user).

Phrases are compared by *containment* (shared phrases over phrases of the smaller piece), since a
single part and its full score, or a movement and the whole sonata, must not be cut apart; Jaccard
similarity, which classic MinHash estimates, would call them different. The sketch is the bottom-k sketch
of Broder ("On the resemblance and containment of documents", 1997): the k smallest phrase hashes.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from segue.core.progress import Progress, silent

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

PHRASE_NOTES = 8
"""Notes in a phrase."""

_MAX_INTERVAL = 60
_SAME_ONSET_QUARTERS = 1 / 24
_MIN_PITCHES = 3
_SLICE_HASHES = 1 << 21
_HASHES_AT_ONCE = 1 << 16
_PAIRS_AT_ONCE = 1 << 14
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Notes:
    """The notes of a piece as arrays of one shape, in any order.

    Attributes:
        onsets: start in ticks.
        pitches: MIDI pitch.
        tracks: index of the track.
        drums: whether the track is a drum kit.
        ticks_per_quarter: ticks in a quarter note.
    """

    onsets: Ints
    pitches: Ints
    tracks: Ints
    drums: NDArray[np.bool_]
    ticks_per_quarter: int


def _mix(values: Hashes) -> Hashes:
    """Scatter 64-bit numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def note_hash(notes: Notes) -> str:
    """Return a hash of onsets and pitches that ignores key, tempo, tracks, order and durations.

    Empty for a piece without notes.
    """
    if not len(notes.onsets):
        return ""
    onsets = notes.onsets - notes.onsets.min()
    onsets = onsets // max(1, int(np.gcd.reduce(onsets)))
    pitched = notes.pitches[~notes.drums]
    pitches = notes.pitches - np.where(notes.drums, 0, pitched.min() if len(pitched) else 0)
    rows = np.unique((onsets << 9) | (pitches << 1) | notes.drums).astype("<i8")
    return hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()


def sketch(notes: Notes, size: int) -> Hashes:
    """Return the `size` smallest phrase hashes of a piece, sorted, each once.

    A piece with fewer phrases gives them all.
    """
    order = np.lexsort((-notes.pitches, notes.onsets, notes.tracks))
    tracks = notes.tracks[order]
    starts = np.flatnonzero(np.diff(tracks, prepend=tracks[:1] - 1))
    lines = np.split(order, starts[1:])
    if len(lines) > 1:
        pitched = order[~notes.drums[order]]
        lines.append(pitched[np.argsort(notes.onsets[pitched], kind="stable")])
    found = [_phrases(notes, line) for line in lines if len(line) >= PHRASE_NOTES]
    return np.unique(np.concatenate([*found, np.zeros(0, np.uint64)]))[:size]


def _phrases(notes: Notes, line: Ints) -> Hashes:
    """Return the hashes of the phrases of some notes, given as indices in order of onset."""
    onsets, pitches = notes.onsets[line], notes.pitches[line]
    gap = notes.ticks_per_quarter * _SAME_ONSET_QUARTERS
    first = np.flatnonzero(np.append(True, np.diff(onsets) > gap))
    if len(first) < PHRASE_NOTES:
        return np.zeros(0, np.uint64)
    waits = np.diff(onsets[first]).astype(np.float64)
    ratios = (np.rint(2 * np.log2(waits[1:] / waits[:-1])) + 64).astype(np.uint64)
    if notes.drums[line[0]]:
        symbols = np.bitwise_xor.reduceat(_mix(pitches.astype(np.uint64)), first)
        return _windows(symbols, _mix(symbols)[1:], ratios, salt=1)
    top = np.maximum.reduceat(pitches, first)
    steps = np.clip(np.diff(top), -_MAX_INTERVAL, _MAX_INTERVAL) + 64
    return _windows(top.astype(np.uint64), steps.astype(np.uint64), ratios, salt=0)


def _windows(symbols: Hashes, steps: Hashes, ratios: Hashes, *, salt: int) -> Hashes:
    """Return the hash of every run of `PHRASE_NOTES` notes that is more than a repeated figure.

    Args:
        symbols: what each note is; runs with too few different ones are left out.
        steps: from each note to the next.
        ratios: between each inter-onset time and the next.
        salt: tells drums and pitches apart.
    """
    count = len(symbols) - PHRASE_NOTES + 1
    hashes = np.full(count, salt, np.uint64)
    for offset in range(PHRASE_NOTES - 1):
        hashes = _mix(hashes ^ steps[offset : offset + count])
    for offset in range(PHRASE_NOTES - 2):
        hashes = _mix(hashes ^ ratios[offset : offset + count])
    runs = np.sort(np.lib.stride_tricks.sliding_window_view(symbols, PHRASE_NOTES), axis=1)
    distinct = 1 + (np.diff(runs, axis=1) != 0).sum(axis=1)
    return hashes[distinct >= _MIN_PITCHES]


class Groups:
    """Union-find over the numbers 0 to `count` - 1."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, item: int) -> int:
        """Return the smallest member of the group of `item`."""
        parents = self._parents
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    def join(self, one: int, other: int) -> None:
        """Make the groups of two items one group."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parents[high] = low

    def join_equal(self, keys: Sequence[str | None]) -> None:
        """Join items whose keys are equal; empty keys and None join nothing."""
        seen: dict[str, int] = {}
        for item, key in enumerate(keys):
            if key:
                self.join(seen.setdefault(key, item), item)

    def roots(self) -> list[int]:
        """Return the smallest member of the group of every item."""
        return [self.root(item) for item in range(len(self._parents))]


@dataclass(frozen=True)
class Pair:
    """Two pieces that share phrases.

    Attributes:
        one, other: numbers of the pieces, `one` < `other`.
        shared: phrases that both sketches hold.
        containment: `shared` over the phrases of the smaller piece, in the part of hash space that
            both sketches cover (0 to 1).
    """

    one: int
    other: int
    shared: int
    containment: float


@dataclass(frozen=True, eq=False)
class Sketches:
    """The sketches of many pieces end to end; may lie in a memory-mapped file.

    Attributes:
        hashes: those of the first piece, then of the second, and so on.
        offsets: where each piece's begin, and the end of the last. Shape ``pieces + 1``.
        size: k, as given to `sketch`.
    """

    hashes: Hashes
    offsets: Ints
    size: int

    @classmethod
    def of(cls, sketches: Sequence[Hashes], size: int) -> Self:
        """Put sketches together in memory."""
        offsets = np.cumsum([0, *(len(one) for one in sketches)], dtype=np.int64)
        return cls(np.concatenate([*sketches, np.zeros(0, np.uint64)]), offsets, size)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, piece: int) -> Hashes:
        return self.hashes[self.offsets[piece] : self.offsets[piece + 1]]

    def compare(self, one: int, other: int) -> Pair:
        """Count what two pieces share, in the part of hash space that both sketches cover."""
        a, b = self[one], self[other]
        limit = min((s[-1] for s in (a, b) if len(s) >= self.size), default=None)
        if limit is not None:
            a, b = (s[: np.searchsorted(s, limit, side="right")] for s in (a, b))
        both = len(np.intersect1d(a, b, assume_unique=True))
        return Pair(one, other, both, both / max(1, min(len(a), len(b))))


def near_pairs(
    sketches: Sketches,
    *,
    containment: float,
    shared: int,
    common: int = 64,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Iterator[Pair]:
    """Give the pairs of pieces that share at least so many phrases and such a share of them.

    Time grows with the number of phrases. Memory holds an index of them, 13 to 21 bytes a phrase, unless
    `folder` is given; beyond the index it does not grow.

    Args:
        sketches: of all pieces.
        containment: least containment (0 to 1).
        shared: least number of shared phrases.
        common: a phrase found in more pieces than this (a scale, a cadence) makes pairs only of
            neighbours in the list of its pieces, so that the work stays linear; copies of one work
            are still linked, as a chain. At most 128.
        folder: where the index may lie, in files without a name that end with this process.
        progress: who listens.
    """
    at_once = max(1, _HASHES_AT_ONCE // sketches.size)
    index = _index(sketches, common, folder, at_once, progress)
    with progress("comparing", total=len(sketches)) as advance:
        for start in range(0, len(sketches), at_once):
            end = min(start + at_once, len(sketches))
            for one, other in _candidates(sketches.offsets[start : end + 1], start, index, shared):
                pair = sketches.compare(int(one), int(other))
                if pair.shared >= shared and pair.containment >= containment:
                    yield pair
            advance(end - start)


class _Index(NamedTuple):
    """Which pieces hold a phrase: for every phrase the list of its pieces, list after list.

    Attributes:
        owners: the pieces, in rising order within a list.
        reach: with how many of those behind it in its list an entry makes pairs; the highest bit is
            set in lists of common phrases, which make few.
        places: where the entry of every hash of the sketches stands.
        common: the common phrases of the sketches alone.
    """

    owners: NDArray[np.uint32]
    reach: NDArray[np.uint8]
    places: Ints
    common: Sketches


_COMMON = np.uint8(128)


def _index(
    sketches: Sketches, common: int, folder: Path | None, at_once: int, progress: Progress
) -> _Index:
    """Sort the phrases of all pieces, one slice of hash space after the other."""
    size = len(sketches.hashes)
    owners = _large_array(size, np.uint32, folder)
    reach = _large_array(size, np.uint8, folder)
    places = _large_array(size, np.int64, folder)
    num_common = np.zeros(len(sketches), np.int64)
    start = 0
    with progress("sorting phrases", total=size) as advance:
        for hashes, pieces, sources in _slices(sketches):
            end = start + len(hashes)
            ends = np.append(np.flatnonzero(np.diff(hashes)) + 1, len(hashes))[: len(hashes)]
            lengths = np.diff(ends, prepend=0)
            behind = np.repeat(ends, lengths) - np.arange(1, len(hashes) + 1)
            often = np.repeat(lengths > common, lengths)
            marks = np.where(often, _COMMON | np.minimum(behind, 1), behind)
            owners[start:end], reach[start:end] = pieces, marks
            places[sources] = np.arange(start, end)
            num_common += np.bincount(pieces[often], minlength=len(sketches))
            start = end
            advance(len(hashes))
    offsets = np.append(0, np.cumsum(num_common))
    phrases = _large_array(int(offsets[-1]), np.uint64, folder)
    for first in range(0, len(sketches), at_once):
        last = min(first + at_once, len(sketches))
        part = slice(sketches.offsets[first], sketches.offsets[last])
        often = np.asarray(reach[places[part]]) >= _COMMON
        phrases[offsets[first] : offsets[last]] = sketches.hashes[part][often]
    return _Index(owners, reach, places, Sketches(phrases, offsets, sketches.size))


def _large_array(size: int, dtype: type[np.generic], folder: Path | None) -> NDArray[Any]:
    """Return an array in memory, or in a nameless file of a folder."""
    if folder is None or not size:
        return np.zeros(size, dtype)
    with tempfile.TemporaryFile(dir=folder) as stream:
        return np.memmap(stream, dtype, "w+", shape=(size,))


def _slices(sketches: Sketches) -> Iterator[tuple[Hashes, Ints, Ints]]:
    """Give hashes, their pieces and where they come from, sorted, slice after slice."""
    hashes, begins = sketches.hashes, sketches.offsets[:-1].copy()
    num_slices = -(-len(hashes) // _SLICE_HASHES)
    # Sketches hold the smallest hashes, so slices are cut at quantiles of a sample.
    sample = np.sort(hashes[:: max(1, len(hashes) // 65_536)])
    cuts = sample[np.linspace(0, len(sample) - 1, num_slices + 1).astype(int)[1:-1]]
    for high in [*cuts, None]:
        ends = sketches.offsets[1:] if high is None else _first_not_below(sketches, begins, high)
        counts = ends - begins
        sources = np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        found = np.asarray(hashes[sources])
        order = np.argsort(found, kind="stable")
        yield found[order], np.repeat(np.arange(len(counts)), counts)[order], sources[order]
        begins = ends


def _first_not_below(sketches: Sketches, begins: Ints, high: np.uint64) -> Ints:
    """Return for every piece where, from `begins` on, its hashes reach `high` (binary search)."""
    low, end = begins.copy(), sketches.offsets[1:].copy()
    while (open_ := np.flatnonzero(low < end)).size:
        middle = (low[open_] + end[open_]) // 2
        below = sketches.hashes[middle] < high
        low[open_[below]] = middle[below] + 1
        end[open_[~below]] = middle[~below]
    return low


def _candidates(
    offsets: Ints, start: int, index: _Index, shared: int
) -> Iterator[tuple[np.int64, np.int64]]:
    """Give the pairs, of some pieces with later ones, that may share enough phrases.

    Args:
        offsets: where the sketches of the pieces begin, and the end of the last.
        start: number of the first piece.
        index: of all pieces.
        shared: least number of shared phrases.
    """
    places = np.asarray(index.places[offsets[0] : offsets[-1]])
    owners = np.repeat(np.arange(start, start + len(offsets) - 1), np.diff(offsets))
    reach = np.asarray(index.reach[places]) & ~_COMMON
    found, left = [np.zeros(0, np.int64)], np.arange(len(places))
    for distance in range(1, int(reach.max(initial=0)) + 1):
        left = left[reach[left] >= distance]
        found.append((owners[left] << 32) | index.owners[places[left] + distance])
    keys, counts = np.unique(np.concatenate(found), return_counts=True)
    one, other = keys >> 32, keys & 0xFFFFFFFF
    # Common phrases are not counted between all that hold them: they may be shared as well.
    num_common = np.diff(index.common.offsets)
    most = counts + np.minimum(num_common[one], num_common[other])
    chosen = np.flatnonzero((counts >= min(2, shared)) & (most >= shared))
    for first in range(0, len(chosen), _PAIRS_AT_ONCE):
        some = chosen[first : first + _PAIRS_AT_ONCE]
        most = counts[some] + _num_shared(index.common, one[some], other[some])
        yield from zip(one[some[most >= shared]], other[some[most >= shared]], strict=True)


def _num_shared(sketches: Sketches, one: Ints, other: Ints) -> Ints:
    """Return at least the number of phrases that pairs of pieces share, and hardly ever more.

    Phrases are told apart by 44 bits of their hashes.
    """
    keys = []
    for pieces in (one, other):
        begins, counts = sketches.offsets[pieces], np.diff(sketches.offsets)[pieces]
        sources = np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        phrases = np.asarray(sketches.hashes[sources]) & np.uint64((1 << 44) - 1)
        keys.append((np.repeat(np.arange(len(pieces), dtype=np.uint64), counts) << 44) | phrases)
    both = np.sort(np.concatenate(keys))
    twice = both[1:][both[1:] == both[:-1]] >> np.uint64(44)
    return np.bincount(twice.astype(np.int64), minlength=len(one))


def group_names(groups: Groups, hashes: Iterable[str]) -> list[str]:
    """Return a name for the group of every piece: the smallest content hash in it, shortened."""
    roots = groups.roots()
    names: dict[int, str] = {}
    for root, content in zip(roots, hashes, strict=True):
        if content:
            names[root] = min(names.get(root, content), content)
    return [names.get(root, "")[:16] for root in roots]
