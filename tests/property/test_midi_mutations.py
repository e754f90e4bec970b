"""Damaged files: one clear error or a piece that works, never a crash, never a long wait."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from tests.midi_files import END, body, chunk, header, meta, midi, off, on, port, song
from tests.splice_check import random_notes

from segue.core.region import Region
from segue.errors import SegueError
from segue.symbolic.frames import extended, shifted
from segue.symbolic.score import Piece
from segue.symbolic.splice import replace_notes

MOST_SECONDS = 2.0
SEEDS = [
    song(2),
    song(6, division=24),
    midi([(0, port(1)), (3, on(60)), (200, b"\x3c\x00"), (9, meta(0x7F, bytes(9)))], kind=0),
    header(2, kind=2, extra=b"xy")
    + chunk(b"MTrk", body([(0, b"\xf0\x02\x01\xf7"), (5, on(1)), (70_000, off(1)), (0, END)]))
    + chunk(b"Xtra", b"body")
    + chunk(b"MTrk", body([(5, b"\xf2\x01\x02"), (5, on(1)), (0, END)]))
    + b"garbage",
]
INTERESTING = np.array([0, 1, 0x2F, 0x51, 0x58, 0x7F, 0x80, 0x90, 0xC0, 0xF0, 0xF7, 0xFF], np.uint8)


def mutated(rng: np.random.Generator) -> bytes:
    """One of the seeds with a few bytes changed, taken out, put in, repeated or cut off."""
    data = bytearray(SEEDS[rng.integers(len(SEEDS))])
    for _ in range(rng.integers(1, 8)):
        at = int(rng.integers(len(data) + 1))
        size = int(rng.integers(1, 9))
        kind = rng.integers(6)
        random_bytes = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        if kind == 0:
            data[at : at + size] = random_bytes
        elif kind == 1:
            data[at : at + 1] = rng.choice(INTERESTING, 1).tobytes()
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = random_bytes
        elif kind == 4:
            data[at:at] = data[at : at + 40 * size]
        elif rng.random() < 0.2:
            del data[at:]
        if at < 14 and rng.random() < 0.7:
            data[: min(at + size, 14)] = SEEDS[0][: min(at + size, 14)]
    return bytes(data)


def use(data: bytes, rng: np.random.Generator) -> str:
    """Do with a file all that a user may do; return the error message, empty if it was usable."""
    try:
        piece = Piece.from_bytes(data)
        region = piece.resolve(Region(None, 1, max(1, piece.bars.num_bars // 2)))
        after = replace_notes(piece, region, random_notes(piece, region, rng, 20))
        again = Piece.from_bytes(after.to_bytes())
        extended(again, bars_after=2).piece.to_bytes()
        shifted(again, bars_before=2).piece.to_bytes()
        piece.tempos.seconds_at(piece.notes["onset_ticks"])
    except SegueError as error:
        return str(error)
    assert len(again.notes) == len(after.notes)
    return ""


def run(count: int, rng: np.random.Generator) -> tuple[int, float]:
    """Try `count` damaged files; return how many were usable, and the longest CPU time of one."""
    num_usable, longest = 0, 0.0
    for _ in range(count):
        data = mutated(rng)
        begin = time.process_time()
        message = use(data, rng)
        num_usable += not message
        assert len(message) < 1000
        assert "\n" not in message
        longest = max(longest, time.process_time() - begin)
    return num_usable, longest


def test_some_damaged_files(rng: np.random.Generator) -> None:
    num_usable, longest = run(400, rng)
    assert 40 < num_usable < 360
    assert longest < MOST_SECONDS


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_damaged_files(
    rng: np.random.Generator, record_testsuite_property: Callable[[str, object], None]
) -> None:
    num_usable, longest = run(10_000, rng)
    record_testsuite_property("usable", num_usable)
    record_testsuite_property("longest_s", round(longest, 3))
    assert longest < MOST_SECONDS
