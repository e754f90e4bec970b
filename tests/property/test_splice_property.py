"""Splices of arbitrary files, seen through mido."""

import io

import mido
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.midi_files import Message, control, meta, midi, off, on, port, program, running
from tests.splice_check import check_splice

from segue.symbolic.frames import shifted
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.smf import emit, parse
from segue.symbolic.splice import replace_notes

CHANNELS = st.sampled_from([0, 0, 0, 1, 9])
PITCHES = st.integers(60, 62)
TICKS = st.integers(0, 60)
MESSAGES = st.one_of(
    st.builds(on, PITCHES, st.integers(0, 127), CHANNELS),
    st.builds(on, PITCHES, st.just(64), CHANNELS),
    st.builds(off, PITCHES, st.integers(0, 127), CHANNELS),
    st.builds(on, PITCHES, st.just(0), CHANNELS),
    st.builds(control, st.just(64), st.integers(0, 127), CHANNELS),
    st.builds(program, st.integers(0, 127), CHANNELS),
    st.builds(lambda text: meta(5, text), st.binary(max_size=3)),
    st.builds(port, st.integers(0, 1)),
)
TRACKS = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 5, 20]), MESSAGES), max_size=24)
FILES = st.one_of(
    st.lists(TRACKS, min_size=1, max_size=3).map(lambda tracks: midi(*tracks)),
    st.lists(TRACKS, min_size=1, max_size=3).map(lambda tracks: midi(*map(running, tracks))),
    TRACKS.map(lambda track: midi(track, kind=0)),
)
NEW_NOTES = st.lists(
    st.tuples(st.integers(0, 5), PITCHES, st.integers(1, 127), TICKS, st.integers(0, 40)),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(data=FILES, chosen=st.sets(st.integers(0, 5)), ends=st.tuples(TICKS, TICKS), new=NEW_NOTES)
def test_only_the_region_changes(
    data: bytes, chosen: set[int], ends: tuple[int, int], new: list[tuple[int, ...]]
) -> None:
    piece = Piece.from_bytes(data)
    tracks = tuple(sorted({index % len(piece.tracks) for index in chosen} if piece.tracks else ()))
    region = ResolvedRegion(tracks, min(ends), max(ends) + 1, 1, 1)
    inside = [
        (tracks[track % len(tracks)], pitch, velocity, onset, duration)
        for track, pitch, velocity, onset, duration in new
        if tracks and region.start_ticks <= onset < region.end_ticks
    ]
    notes = np.array(inside, NEW_NOTE_FIELDS)
    after = replace_notes(piece, region, notes)
    assert check_splice(piece, region, after) <= len(notes)
    assert parse(emit(after.smf)).end_ticks == after.smf.end_ticks


@settings(max_examples=60, deadline=None)
@given(tracks=st.lists(TRACKS, min_size=1, max_size=3))
def test_reading_agrees_with_mido(tracks: list[list[Message]]) -> None:
    data = midi(*tracks)
    file = mido.MidiFile(file=io.BytesIO(data))
    ours = parse(data)
    assert emit(ours) == data
    for messages, chunk in zip(file.tracks, ours.chunks, strict=True):
        ticks = np.cumsum([message.time for message in messages]).tolist()
        theirs = [
            (tick, bytes(message.bytes())) for tick, message in zip(ticks, messages, strict=True)
        ]
        assert theirs == [
            (int(event["tick"]), chunk.message(index)) for index, event in enumerate(chunk.events)
        ]


@settings(max_examples=50, deadline=None)
@given(data=FILES, count=st.integers(1, 3))
def test_moving_keeps_every_event_and_the_order_of_notes(data: bytes, count: int) -> None:
    before = Piece.from_bytes(data)
    after = Piece.from_bytes(shifted(before, bars_before=count).piece.to_bytes())
    shift = count * 4 * 480
    for old, new in zip(before.smf.chunks, after.smf.chunks, strict=True):
        moved = [(int(e["tick"]), new.message(i)) for i, e in enumerate(new.events)]
        assert sorted(message for _, message in moved) == sorted(
            old.message(index) for index in range(len(old.events))
        )
        assert {tick for tick, _ in moved} <= {0, *(old.events["tick"] + shift).tolist()}
    assert (after.notes["onset_ticks"] == before.notes["onset_ticks"] + shift).all()
    assert (after.notes["duration_ticks"] == before.notes["duration_ticks"]).all()
