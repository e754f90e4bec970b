"""Copies of a piece are found whatever their key, tempo, track order and small edits."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.corpora import Line, copied, edited, piece, score_of

from segue.symbolic.data.duplicates import Sketches, near_pairs, note_hash, sketch
from segue.symbolic.data.scan import notes_of

SIZE = 512
SEEDS = st.integers(0, 10_000)


def save_bytes(lines: list[tuple[int, Line]], *, ticks: int = 480, bpm: float = 120.0) -> bytes:
    return bytes(score_of(lines, ticks=ticks, bpm=bpm).dumps_midi())


def are_near(one: bytes, other: bytes) -> bool:
    sketches = Sketches.of([sketch(notes_of(content), SIZE) for content in (one, other)], SIZE)
    return any(near_pairs(sketches, containment=0.25, shared=12))


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    semitones=st.integers(-12, 12),
    stretch=st.integers(1, 6),
    bpm=st.floats(20, 300),
    order=st.permutations(range(4)),
)
def test_a_copy_has_the_same_notes(
    seed: int, semitones: int, stretch: int, bpm: float, order: list[int]
) -> None:
    lines = piece(seed, bars=12)
    other = copied(lines, semitones=semitones, stretch=stretch, order=np.array(order))
    one, two = notes_of(save_bytes(lines)), notes_of(save_bytes(other, bpm=bpm))
    assert note_hash(one) == note_hash(two)
    assert are_near(save_bytes(lines), save_bytes(other, bpm=bpm))


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, semitones=st.integers(-12, 12), stretch=st.sampled_from([2, 3, 0.5]))
def test_an_edition_in_another_key_and_notation_is_near(
    seed: int, semitones: int, stretch: float
) -> None:
    rng = np.random.default_rng(seed)
    lines = piece(seed, bars=24, drums=False)
    other = copied(edited(lines, rng, share=0.03), semitones=semitones)
    ticks = int(480 / stretch)
    first, second = save_bytes(lines), save_bytes(other, ticks=ticks)
    assert note_hash(notes_of(first)) != note_hash(notes_of(second))
    assert are_near(first, second)


@settings(max_examples=25, deadline=None)
@given(seeds=st.lists(SEEDS, min_size=2, max_size=2, unique=True))
def test_other_pieces_are_not_near(seeds: list[int]) -> None:
    one, other = (save_bytes(piece(seed)) for seed in seeds)
    assert note_hash(notes_of(one)) != note_hash(notes_of(other))
    assert not are_near(one, other)
