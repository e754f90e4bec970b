"""The key of notes: planted scales and chords, what signatures say."""

import numpy as np
import pytest

from segue.symbolic.demo_notation import meta_message
from segue.symbolic.keys import (
    MAJOR,
    MINOR,
    Key,
    KeySignature,
    find_key,
    key_fits,
    read_key_signatures,
)
from segue.symbolic.smf import Chunk, Smf

# Scale, and how long its degrees sound in a plain melody: tonic and fifth most.
MAJOR_SCALE, MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 11, 12)
LENGTHS = (3, 1, 2, 1, 2, 1, 1, 3)


@pytest.mark.parametrize("tonic", range(12))
def test_a_planted_scale_is_found_in_every_key(tonic: int) -> None:
    for mode, scale in ((MAJOR, MAJOR_SCALE), (MINOR, MINOR_SCALE)):
        pitches = 60 + tonic + np.array(scale)
        assert find_key(pitches, LENGTHS) == Key(tonic, mode)
        assert find_key(pitches - 24, LENGTHS) == Key(tonic, mode), "octaves do not matter"


def test_fits_are_correlations_with_the_profiles() -> None:
    fits = key_fits(60 + np.array(MAJOR_SCALE), LENGTHS)
    assert fits.shape == (2, 12)
    assert np.abs(fits).max() <= 1
    profile = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
    assert key_fits(np.arange(60, 72), profile)[0, 0] == pytest.approx(1)


def test_notes_without_a_key_have_none() -> None:
    assert find_key(np.arange(60, 72), np.ones(12)) is None, "all pitches alike"
    assert find_key([60, 61, 62, 66, 67, 68, 73, 74], np.ones(8)) is None, "clusters"
    assert find_key([60, 64, 67], np.ones(3)) is None, "too few"
    assert find_key([], []) is None


def test_names() -> None:
    assert str(Key(10, MAJOR)) == "B flat major"
    assert str(Key(9, MINOR)) == "A minor"
    assert [str(KeySignature(0, n, False).key(MAJOR)) for n in (0, 2, -3)] == [
        "C major", "D major", "E flat major",
    ]  # fmt: skip
    assert [str(KeySignature(0, n, True).key(MINOR)) for n in (0, 2, -3)] == [
        "A minor", "B minor", "C minor",
    ]  # fmt: skip


def test_a_signature_goes_before_the_notes_unless_it_says_nothing() -> None:
    c_major = (60 + np.array(MAJOR_SCALE), LENGTHS)
    a_minor = (57 + np.array(MINOR_SCALE), LENGTHS)
    assert find_key(*c_major, KeySignature(0, 1, False)) == Key(7, MAJOR)
    assert find_key(*c_major, KeySignature(0, -3, True)) == Key(0, MINOR)
    assert find_key(*a_minor, KeySignature(0, 0, False)) == Key(9, MINOR)
    e_minor = (64 + np.array(MINOR_SCALE), LENGTHS)
    assert find_key(*e_minor, KeySignature(0, 0, False)) == Key(4, MINOR), "said nothing"
    assert find_key(*e_minor, KeySignature(0, 1, False)) == Key(4, MINOR), "its relative minor"


def test_signatures_of_a_file() -> None:
    def meta(*payload: int) -> bytes:
        return meta_message(0x59, bytes(payload))

    end = (30, meta_message(0x2F))
    chunk = Chunk.track([(0, meta(253, 1)), (10, meta(2, 0)), (20, meta(9, 0)), (25, meta(1)), end])
    assert read_key_signatures(Smf(1, 480, (chunk,))) == [
        KeySignature(0, -3, True), KeySignature(10, 2, False),
    ]  # fmt: skip
