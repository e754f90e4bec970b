"""Which note-off ends which note."""

from collections import defaultdict, deque

import numpy as np
import pytest

from segue.symbolic.notes import pair


def pair_slowly(keys: list[int], begins: list[bool]) -> list[int]:
    """The same, one event after the other."""
    partner = [-1] * len(keys)
    waiting: dict[int, deque[int]] = defaultdict(deque)
    for index, (key, is_begin) in enumerate(zip(keys, begins, strict=True)):
        if is_begin:
            waiting[key].append(index)
        elif waiting[key]:
            partner[waiting[key].popleft()] = index
    return partner


@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        ([True, False], [1, -1]),
        ([True, True, False, False], [2, 3, -1, -1]),
        ([False, True, False], [-1, 2, -1]),
        ([True, False, False, True, False], [1, -1, -1, 4, -1]),
        ([True, True], [-1, -1]),
        ([True, True, False], [2, -1, -1]),
        ([], []),
    ],
)
def test_first_in_first_out(begins: list[bool], expected: list[int]) -> None:
    found = pair(np.zeros(len(begins), np.int64), np.array(begins, bool))
    assert found.tolist() == expected


def test_the_same_as_one_after_the_other(rng: np.random.Generator) -> None:
    for _ in range(300):
        size = int(rng.integers(1, 60))
        keys = rng.integers(0, 5, size)
        begins = rng.random(size) < rng.random()
        assert pair(keys, begins).tolist() == pair_slowly(keys.tolist(), begins.tolist())
