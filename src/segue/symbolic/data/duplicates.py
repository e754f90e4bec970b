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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

PHRASE_NOTES = 8
"""Notes in a phrase."""

_MAX_INTERVAL = 60
_SAME_ONSET_QUARTERS = 1 / 24
_MIN_PITCHES = 3
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
    """Return a hash of onsets and pitches that ignores key, tempo, tracks, order and durations."""
    if not len(notes.onsets):
        return ""
    onsets = notes.onsets - notes.onsets.min()
    onsets = onsets // max(1, int(np.gcd.reduce(onsets)))
    pitched = notes.pitches[~notes.drums]
    pitches = notes.pitches - np.where(notes.drums, 0, pitched.min() if len(pitched) else 0)
    rows = np.stack([onsets, pitches, notes.drums.astype(np.int64)], axis=1)
    rows = np.unique(rows, axis=0).astype("<i8")
    return hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()


def sketch(notes: Notes, size: int) -> Hashes:
    """Return the `size` smallest phrase hashes of a piece, sorted, each once.

    A piece with fewer phrases gives them all.
    """
    found = [_phrases(notes.onsets[c], notes.pitches[c], d, notes) for c, d in _lines(notes)]
    hashes = np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)
    return hashes[:size]


def _lines(notes: Notes) -> Iterator[tuple[NDArray[np.bool_], bool]]:
    """Give the notes of every track, and of all pitched tracks together, as masks."""
    tracks = np.unique(notes.tracks)
    for track in tracks:
        chosen = notes.tracks == track
        yield chosen, bool(notes.drums[chosen][0])
    if len(tracks) > 1 and not notes.drums.all():
        yield ~notes.drums, False


def _phrases(onsets: Ints, pitches: Ints, drums: bool, notes: Notes) -> Hashes:
    """Return the hashes of the phrases of one line."""
    order = np.lexsort((-pitches, onsets))
    onsets, pitches = onsets[order], pitches[order]
    gap = notes.ticks_per_quarter * _SAME_ONSET_QUARTERS
    first = np.flatnonzero(np.diff(onsets, prepend=onsets[:1] - 2 * notes.ticks_per_quarter) > gap)
    if len(first) < PHRASE_NOTES:
        return np.zeros(0, np.uint64)
    if drums:
        symbols = np.bitwise_xor.reduceat(_mix(pitches.astype(np.uint64)), first)
        steps = _mix(symbols)[1:]
    else:
        top = np.maximum.reduceat(pitches, first)
        symbols = top.astype(np.uint64)
        steps = (np.clip(np.diff(top), -_MAX_INTERVAL, _MAX_INTERVAL) + 64).astype(np.uint64)
    waits = np.diff(onsets[first]).astype(np.float64)
    ratios = np.rint(2 * np.log2(waits[1:] / waits[:-1])).astype(np.int64) + 64
    return _windows(symbols, steps, ratios.astype(np.uint64), drums)


def _windows(symbols: Hashes, steps: Hashes, ratios: Hashes, drums: bool) -> Hashes:
    """Return the hash of every run of `PHRASE_NOTES` notes that is more than a repeated figure."""
    count = len(symbols) - PHRASE_NOTES + 1
    hashes = np.full(count, 1 if drums else 0, np.uint64)
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


def near_pairs(
    sketches: Sequence[Hashes],
    *,
    size: int,
    containment: float,
    shared: int,
    common: int = 64,
) -> list[Pair]:
    """Return pairs of pieces that share at least so many phrases and such a share of them.

    Args:
        sketches: bottom-k sketches of the pieces.
        size: k, as given to `sketch`.
        containment: least containment (0 to 1).
        shared: least number of shared phrases.
        common: phrases found in more pieces than this (scales, cadences) propose only neighbouring
            pieces as pairs, so that the work stays linear.
    """
    keys = _candidates(sketches, common)
    found = []
    for key in keys:
        one, other = int(key >> np.uint64(32)), int(key & np.uint64(0xFFFFFFFF))
        pair = _compare(one, other, sketches, size)
        if pair.shared >= shared and pair.containment >= containment:
            found.append(pair)
    return found


def _compare(one: int, other: int, sketches: Sequence[Hashes], size: int) -> Pair:
    a, b = sketches[one], sketches[other]
    limits = [s[-1] for s in (a, b) if len(s) >= size]
    if limits:
        limit = min(limits)
        a, b = a[a <= limit], b[b <= limit]
    both = len(np.intersect1d(a, b, assume_unique=True))
    return Pair(one, other, both, both / max(1, min(len(a), len(b))))


def _candidates(sketches: Sequence[Hashes], common: int) -> Hashes:
    """Return pairs, packed into 64 bits, of pieces that share at least two phrases."""
    lengths = [len(s) for s in sketches]
    hashes = np.concatenate([*sketches, np.zeros(0, np.uint64)])
    owners = np.repeat(np.arange(len(sketches), dtype=np.uint64), lengths)
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    found = []
    run_ends = np.append(np.flatnonzero(np.diff(hashes)) + 1, len(hashes))
    run_starts = np.append(0, run_ends[:-1])
    run_lengths = run_ends - run_starts
    reach = np.repeat(np.where(run_lengths > common, 1, common), run_lengths)
    ends = np.repeat(run_ends, run_lengths)
    places = np.arange(len(hashes))
    for distance in range(1, common):
        left = places[(places + distance < ends) & (distance <= reach)]
        if not len(left):
            break
        found.append((owners[left] << np.uint64(32)) | owners[left + distance])
    keys, counts = np.unique(np.concatenate([*found, np.zeros(0, np.uint64)]), return_counts=True)
    return keys[counts >= 2]


def group_names(groups: Groups, hashes: Iterable[str]) -> list[str]:
    """Return a name for the group of every piece: the smallest content hash in it, shortened."""
    roots = groups.roots()
    names: dict[int, str] = {}
    for root, content in zip(roots, hashes, strict=True):
        names[root] = min(names.get(root, content), content)
    return [names[root][:16] for root in roots]
