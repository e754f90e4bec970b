"""Phrases, sketches, pairs and groups."""

import tracemalloc
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.corpora import TICKS, Line, edited, melody, piece

from segue.symbolic.data import duplicates
from segue.symbolic.data.duplicates import (
    Groups,
    Notes,
    Sketches,
    group_names,
    near_pairs,
    note_hash,
    sketch,
)

SIZE = 512


def notes_of(lines: list[tuple[int, Line]]) -> Notes:
    rows = [(o, p, track, prog < 0) for track, (prog, li) in enumerate(lines) for o, _, p in li]
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Notes(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(bool), TICKS)


def sketch_of(lines: list[tuple[int, Line]], size: int = SIZE) -> NDArray[np.uint64]:
    return sketch(notes_of(lines), size)


def pairs_of(*pieces: list[tuple[int, Line]], size: int = SIZE) -> dict[tuple[int, int], float]:
    sketches = Sketches.of([sketch_of(lines, size) for lines in pieces], size)
    found = near_pairs(sketches, containment=0.25, shared=12)
    return {(pair.one, pair.other): pair.containment for pair in found}


def test_nothing_has_no_hash_and_no_phrases() -> None:
    assert note_hash(notes_of([])) == ""
    assert len(sketch_of([])) == 0
    assert len(sketch_of([(0, [(n * TICKS, TICKS, 60 + n) for n in range(7)])])) == 0


def test_a_sketch_is_sorted_and_bounded() -> None:
    full = sketch_of(piece(0), 100_000)
    assert (np.diff(full) > 0).all()
    assert np.array_equal(sketch_of(piece(0), 50), full[:50])


def test_a_repeated_figure_is_no_phrase() -> None:
    trill = [(0, [(n * 120, 120, 60 + 2 * (n % 2)) for n in range(200)])]
    assert len(sketch_of(trill)) == 0


def test_an_edited_copy_is_near_and_other_pieces_are_not() -> None:
    rng = np.random.default_rng(1)
    lines = piece(1)
    assert list(pairs_of(lines, piece(2), edited(lines, rng, share=0.03))) == [(0, 2)]


def test_a_part_is_near_its_score() -> None:
    score = piece(3, bars=64)
    for size in (64, SIZE):
        assert pairs_of(score[:1], score, size=size)[0, 1] > 0.8


def test_a_movement_is_near_the_whole_work() -> None:
    movement, rest = piece(4), piece(5, bars=90)
    late = [(p, [(o + 400 * TICKS, d, n) for o, d, n in line]) for p, line in movement]
    assert list(pairs_of(movement, [*rest, *late])) == [(0, 1)]


def test_drums_and_pitches_are_told_apart() -> None:
    line = melody(np.random.default_rng(6), bars=32, centre=40)
    assert pairs_of([(0, line)], [(-1, line)]) == {}
    assert list(pairs_of([(-1, line)], [(-1, line)])) == [(0, 1)]


def test_slices_of_hash_space_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    pieces = [edited(piece(n // 3), rng, share=0.02) for n in range(12)]
    whole = pairs_of(*pieces)
    monkeypatch.setattr(duplicates, "_SLICE_HASHES", 300)
    monkeypatch.setattr(duplicates, "_HASHES_AT_ONCE", 3 * SIZE)
    assert pairs_of(*pieces) == whole
    assert len(whole) == 12


def reference_pairs(
    rows: list[list[int]], *, containment: float, shared: int, common: int
) -> list[tuple[int, int]]:
    """The same pairs from a dictionary of lists."""
    sketches = Sketches.of([np.array(row, np.uint64) for row in rows], 16)
    lists: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        for value in row:
            lists.setdefault(value, []).append(number)
    met: Counter[tuple[int, int]] = Counter()
    for owners in lists.values():
        few = len(owners) <= common
        met.update(combinations(owners, 2) if few else pairwise(owners))
    pairs = [sketches.compare(*pair) for pair, count in met.items() if count >= min(2, shared)]
    near = [p for p in pairs if p.shared >= shared and p.containment >= containment]
    return sorted((pair.one, pair.other) for pair in near)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("on_disk", [True, False])
def test_pairs_are_those_of_a_plain_dictionary(
    seed: int, on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        sorted(rng.choice(60, size=rng.integers(0, 17), replace=False).tolist()) for _ in range(40)
    ]
    monkeypatch.setattr(duplicates, "_SLICE_HASHES", int(rng.integers(20, 200)))
    monkeypatch.setattr(duplicates, "_HASHES_AT_ONCE", int(rng.integers(1, 400)))
    rules = {"containment": 0.3, "shared": int(rng.integers(1, 5)), "common": 9}
    sketches = Sketches.of([np.array(row, np.uint64) for row in rows], 16)
    folder = tmp_path if on_disk else None
    found = [(p.one, p.other) for p in near_pairs(sketches, folder=folder, **rules)]
    assert found == reference_pairs(rows, **rules)
    assert found
    assert list(tmp_path.iterdir()) == []


def test_phrases_that_many_share_count_between_pieces_that_share_others() -> None:
    common = list(range(10))
    rows = [[*common, 20, 21], common, [*common, 20, 21], *[common] * 80]
    sketches = Sketches.of([np.array(row, np.uint64) for row in rows], 16)
    found = near_pairs(sketches, containment=0.25, shared=12)
    assert [(pair.one, pair.other, pair.shared) for pair in found] == [(0, 2, 12)]


def test_memory_holds_an_index_and_no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_SLICE_HASHES", 1 << 12)
    monkeypatch.setattr(duplicates, "_HASHES_AT_ONCE", 1 << 10)
    peaks = []
    for size in (2000, 4000):
        rows = np.random.default_rng(3).integers(0, 2 * size, (size, 64)).astype(np.uint64)
        sketches = Sketches.of([np.unique(row) for row in rows], 64)
        tracemalloc.start()
        list(near_pairs(sketches, containment=0.5, shared=8))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 13 bytes a phrase; every phrase meets some thirty others.
    assert peaks[1] - peaks[0] < 2000 * 64 * 20


def test_the_largest_hash_counts() -> None:
    top = np.array([1, 2, 3, np.iinfo(np.uint64).max], np.uint64)
    found = near_pairs(Sketches.of([top, top[2:]], 8), containment=0.1, shared=2)
    assert [pair.shared for pair in found] == [2]


def test_many_copies_are_one_chain() -> None:
    sketches = Sketches.of([sketch_of(piece(8))] * 100, SIZE)
    pairs = list(near_pairs(sketches, containment=0.25, shared=12))
    assert len(pairs) == 99
    groups = Groups(100)
    for pair in pairs:
        groups.join(pair.one, pair.other)
    assert set(groups.roots()) == {0}


def test_only_the_part_of_hash_space_that_both_cover_is_compared() -> None:
    full = np.arange(0, 200, 10, dtype=np.uint64)
    short = np.array([0, 5, 10, *range(1000, 1009)], np.uint64)
    pair = Sketches.of([full, short], 20).compare(0, 1)
    assert pair.shared == 2
    assert pair.containment == pytest.approx(2 / 3)


def test_groups_join_across_keys() -> None:
    groups = Groups(6)
    groups.join_equal(["a", None, "a", "", "b", ""])
    groups.join(4, 1)
    assert groups.roots() == [0, 1, 0, 3, 1, 5]
    groups.join(2, 4)
    assert groups.roots() == [0, 0, 0, 3, 0, 5]


def test_a_group_is_named_by_content_and_not_by_order() -> None:
    def names(order: list[int]) -> list[str]:
        groups = Groups(3)
        groups.join(order.index(0), order.index(1))
        found = group_names(groups, ["0123456789abcdef-" + "cab"[n] for n in order])
        return [found[order.index(n)] for n in range(3)]

    assert names([0, 1, 2]) == names([2, 1, 0])
