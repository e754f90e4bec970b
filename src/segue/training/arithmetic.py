"""What kind of numbers this processor is fast with."""

import functools
import time

import torch

SIZE = 192
"""Rows and columns of the matrices that are multiplied for the measurement."""
REPEATS = 5
SLOW = 3.0
"""Times that bfloat16 has to take longer than 32-bit numbers to be called slow."""


def _seconds(dtype: torch.dtype) -> float:
    """Return the shortest time of a product of two matrices; the shortest is the least disturbed."""
    matrix = torch.ones(SIZE, SIZE, dtype=dtype)
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        taken.append(time.perf_counter() - start)
    return min(taken)


@functools.cache
def bfloat16_is_slow() -> bool:
    """Say whether the processor computes bfloat16 in software only; measured once, in milliseconds.

    Processors without instructions for it (x86 before AVX-512, for one) take tens of times as long for
    a product of matrices as with 32-bit numbers; those that have them take less.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for a busy core would be measured too
    try:
        return _seconds(torch.bfloat16) > SLOW * _seconds(torch.float32)
    finally:
        torch.set_num_threads(threads)
