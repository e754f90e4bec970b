import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segue.symbolic.instruments import INSTRUMENTS
from segue.symbolic.registers import REGISTERS
from segue.symbolic.voices import centres, habits, share


def test_the_register_of_a_track_is_that_of_its_nearest_notes():
    pitches = np.array([40] * 60 + [70] * 60 + [90])
    onsets = np.array(list(range(60)) + list(range(1000, 1060)) + [5])
    tracks = np.array([0] * 120 + [1])
    found = centres(pitches, onsets, tracks, (0, 1, 2), 1030)
    assert found[0] == 70
    assert found[1] == 90
    assert np.isnan(found[2])


def test_each_hand_gets_the_notes_of_its_register():
    owners = share(
        np.array([0, 0, 0, 0, 10]), np.array([76, 72, 48, 36, 50]), np.array([74.0, 44.0])
    )
    assert owners.tolist() == [0, 0, 1, 1, 1]


def test_two_violins_do_not_cross_and_both_play():
    owners = share(np.array([0, 0, 5, 5]), np.array([71, 74, 76, 72]), np.array([73.0, 72.0]))
    assert owners.tolist() == [1, 0, 0, 1]


def test_tracks_without_notes_are_told_apart_by_their_order():
    owners = share(np.array([0, 0]), np.array([50, 80]), np.array([np.nan, np.nan]))
    assert owners.tolist() == [1, 0]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(20, 100)), min_size=1, max_size=30),
    st.lists(st.floats(30, 90), min_size=2, max_size=4),
)
def test_nothing_crosses_and_nobody_rests_where_there_are_notes_enough(notes, registers):
    onsets, pitches = (np.array(column) for column in zip(*notes, strict=True))
    owners = share(onsets, pitches, np.array(registers))
    order = np.argsort(-np.array(registers), kind="stable").tolist()
    for onset in set(onsets.tolist()):
        here = onsets == onset
        ranks = [order.index(owner) for owner in owners[here]]
        falling = [rank for _, rank in sorted(zip(-pitches[here], ranks, strict=True))]
        assert falling == sorted(falling)
        if here.sum() >= len(registers):
            assert set(ranks) == set(range(len(registers)))


def test_habits_are_the_register_and_the_voices_around_the_moment():
    onsets = np.repeat(np.arange(40), 2) * 100
    pitches = np.tile([60, 64], 40)
    tracks = np.zeros(80, int)
    assert habits(pitches, onsets, tracks, (0,), 1000) == (58, 66, 2)
    assert habits(pitches, onsets, tracks, (0, 1), 1000) is None
    single = habits(pitches[::2], onsets[::2], tracks[::2], (0,), 0)
    assert single == (58, 62, 1)


def test_few_notes_tell_the_register_more_loosely_and_hardly_any_nothing():
    onsets, tracks = np.arange(11) * 100, np.zeros(11, int)
    pitches = np.array([50, 53] * 5 + [52])
    assert habits(pitches, onsets, tracks, (0,), 0) == (38, 65, 1)
    assert habits(pitches[:4], onsets[:4], tracks[:4], (0,), 0) == (38, 65, 1)
    assert habits(pitches[:3], onsets[:3], tracks[:3], (0,), 0) is None


def test_without_notes_of_its_own_a_track_plays_what_its_instrument_usually_does():
    onsets, tracks, pitches = np.arange(3) * 100, np.zeros(3, int), np.array([60, 100, 62])
    violin = REGISTERS[40]
    assert habits(pitches, onsets, tracks, (1,), 0, violin) == violin
    assert habits(pitches, onsets, tracks, (0,), 0, violin) == (55, 100, 1)
    assert habits(pitches, onsets, tracks, (0, 1), 0, violin) == (55, 100, 2)


def test_every_program_has_a_register_that_can_be_played():
    assert len(REGISTERS) == len(INSTRUMENTS)
    for name, register in zip(INSTRUMENTS, REGISTERS, strict=True):
        assert 0 <= register.lowest < register.highest <= 127, name
        assert 1 <= register.voices <= 6, name
    named = dict(zip(INSTRUMENTS, REGISTERS, strict=True))
    assert named["Acoustic Bass"].highest < named["Flute"].lowest + 12
    assert named["Contrabass"].lowest < named["Cello"].lowest < named["Viola"].lowest
    assert named["Viola"].lowest < named["Violin"].lowest
