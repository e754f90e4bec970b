"""Reading and writing MIDI files event by event, on files made byte by byte."""

import time

import numpy as np
import pytest
from tests.midi_files import (
    END,
    body,
    chunk,
    control,
    header,
    meta,
    midi,
    name,
    off,
    on,
    program,
    song,
    tempo,
)

from segue.errors import DataError
from segue.symbolic import smf
from segue.symbolic.smf import Chunk, Smf, emit, parse


def track(content: bytes) -> bytes:
    """A file with one track of raw bytes."""
    return header(1, kind=0) + chunk(b"MTrk", content)


def events_of(file: Smf) -> list[list[tuple[int, bytes]]]:
    """All events of a file, tick and bytes."""
    return [
        [(int(event["tick"]), part.message(i)) for i, event in enumerate(part.events)]
        for part in file.chunks
    ]


ODD_BUT_SOUND = {
    "running status": track(body([(0, on(60)), (9, b"\x3c\x00"), (0, b"\x40\x40"), (0, END)])),
    "sysex and escape": track(
        body([(0, b"\xf0\x03\x01\x02\xf7"), (1, b"\xf7\x02\xf3\x01"), (2, on(60)), (0, END)])
    ),
    "system common in a track": track(
        body([(0, b"\xf2\x01\x02"), (0, b"\xf1\x05"), (3, b"\xf6"), (0, b"\xf8"), (0, END)])
    ),
    "unknown and empty metas": track(
        body([(0, meta(0x60, b"?")), (0, meta(0x01)), (0, meta(0x7F, bytes(300))), (0, END)])
    ),
    "unknown chunk": header(1) + chunk(b"XFIH", b"hello") + chunk(b"MTrk", body([(0, END)])),
    "long header": header(1, extra=b"more") + chunk(b"MTrk", body([(0, END)])),
    "bytes after the last chunk": midi([(0, on(60)), (5, off(60))]) + b"\x00garbage",
    "bytes after the end of the track": track(body([(0, on(60)), (0, END)]) + b"\x90\x00"),
    "type 0": midi([(0, on(60)), (5, off(60))], kind=0),
    "type 2": midi([(0, on(60)), (5, off(60))], [(0, on(61)), (5, off(61))], kind=2),
    "long numbers": track(
        body([(127, on(1)), (128, on(2)), (16383, on(3)), (16384, on(4)), (smf.MAX_DELTA, END)])
    ),
    "no tracks": header(0),
    "every kind of event": song(),
}


@pytest.mark.parametrize("data", ODD_BUT_SOUND.values(), ids=ODD_BUT_SOUND)
def test_sound_files_come_back_byte_for_byte(data: bytes) -> None:
    assert emit(parse(data)) == data


def test_a_status_byte_is_left_out_only_right_after_its_like() -> None:
    messages = [(0, on(60)), (1, name("x")), (2, b"\x3c\x00"), (0, b"\x3d\x40"), (0, END)]
    written = [(0, on(60)), (1, name("x")), (2, on(60, 0)), (0, b"\x3d\x40"), (0, END)]
    assert emit(parse(track(body(messages)))) == track(body(written))


def test_events_are_read_with_ticks_and_status() -> None:
    data = track(body([(0, program(5)), (10, on(60)), (200, b"\x3c\x00"), (3, tempo(1)), (0, END)]))
    (events,) = events_of(parse(data))
    assert events == [
        (0, b"\xc0\x05"),
        (10, on(60)),
        (210, b"\x90\x3c\x00"),
        (213, tempo(1)),
        (213, END),
    ]
    table = parse(data).chunks[0].events
    assert table["running"].tolist() == [False, False, True, False, False]
    assert table["first"].tolist() == [5, 60, 60, 0x51, 0x2F]
    assert table["second"].tolist() == [0, 64, 0, 3, 0]


SPELT_DIFFERENTLY = {
    "padded number": (track(b"\x80\x05" + on(60) + b"\x00" + END), [(5, on(60)), (5, END)]),
    "no end of track": (track(body([(0, on(60)), (7, off(60))])), None),
    "empty track": (track(b""), [(0, END)]),
    "running status over a meta event": (
        track(body([(0, on(60)), (1, name("x")), (2, b"\x3c\x00"), (0, END)])),
        [(0, on(60)), (1, name("x")), (3, on(60, 0)), (3, END)],
    ),
    "a length that is too long, the track complete": (
        header(1) + b"MTrk\x00\x00\x10\x00" + body([(0, on(60)), (0, END)]),
        [(0, on(60)), (0, END)],
    ),
}


@pytest.mark.parametrize(("data", "expected"), SPELT_DIFFERENTLY.values(), ids=SPELT_DIFFERENTLY)
def test_other_spellings_keep_the_events(
    data: bytes, expected: list[tuple[int, bytes]] | None
) -> None:
    file = parse(data)
    events = events_of(file)
    assert events == [expected or [(0, on(60)), (7, off(60)), (7, END)]]
    again = emit(file)
    assert events_of(parse(again)) == events
    assert emit(parse(again)) == again


DAMAGED = {
    "empty": (b"", "is not a MIDI file"),
    "text": (b"hello, this is text", "is not a MIDI file"),
    "RIFF wrapper": (b"RIFF\x00\x00\x00\x00RMIDdata", "RIFF wrapper"),
    "half a header": (b"MThd\x00\x00\x00\x06\x00\x01", "cut off at byte 10"),
    "short header": (b"MThd\x00\x00\x00\x04" + bytes(20), "damaged at byte 4"),
    "type 3": (header(0, kind=3), "the type is 3"),
    "SMPTE time": (header(0, division=0xE728), "SMPTE frames"),
    "no ticks per quarter": (header(0, division=0), "0 ticks per quarter"),
    "a track is missing": (midi([(0, on(1))]).replace(b"\0\1\0\1", b"\0\1\0\2"), "last announced"),
    "absurd number of tracks": (header(60_000), "60,000 tracks"),
    "track cut inside an event": (track(b"\x00\x90\x3c"), "cut off at byte 25, inside an event"),
    "track cut inside a number": (track(b"\x81"), "inside an event"),
    "track cut between events": (
        header(1) + b"MTrk\x00\x00\x00\x40" + body([(0, on(60)), (1, off(60))]),
        "cut off at byte 30, inside the track that begins at byte 14",
    ),
    "unknown chunk cut": (header(1) + b"ABCD\x00\x00\x00\x40abc", "inside the chunk b'ABCD'"),
    "sysex longer than the file": (track(b"\x00\xf0\xff\xff\xff\x7f\x01"), "inside an event"),
    "number of five bytes": (track(b"\xff\xff\xff\xff\x7f" + on(1)), "longer than four bytes"),
    "no status byte": (track(b"\x00\x40\x40"), "byte 23: a data byte stands where"),
    "value above 127": (track(body([(0, b"\x90\xc0\x40"), (0, END)])), "a value above 127"),
}


@pytest.mark.parametrize(("data", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_refused_in_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse(data, name="song.mid")
    text = str(caught.value)
    assert message in text
    assert text.startswith("song.mid ")
    assert "\n" not in text
    assert len(text) < 300


def test_every_truncation_is_refused_or_complete() -> None:
    data = song(2)
    for size in range(len(data)):
        with pytest.raises(DataError):
            parse(data[:size])


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = midi([(0, on(60))] * 30, [(0, on(60))] * 30)
    monkeypatch.setattr(smf, "MAX_EVENTS", 62)
    with pytest.raises(DataError, match="more than 62 events"):
        parse(data)
    monkeypatch.setattr(smf, "MAX_EVENTS", 63)
    assert len(parse(data).chunks) == 2
    monkeypatch.setattr(smf, "MAX_FILE_BYTES", len(data) - 1)
    with pytest.raises(DataError, match="bytes"):
        parse(data)


def test_events_too_far_apart_cannot_be_written() -> None:
    far = Chunk.track([(0, on(60)), (1 << 28, off(60)), (1 << 28, END)])
    with pytest.raises(DataError, match="268,435,456 ticks apart"):
        emit(Smf(1, 480, (far,)))


def test_tracks_can_be_made_of_messages() -> None:
    messages = [(0, name("A")), (3, on(60)), (4, control(7, 1)), (500, off(60)), (500, END)]
    made = Chunk.track(messages)
    assert [(int(e["tick"]), made.message(i)) for i, e in enumerate(made.events)] == messages
    assert emit(Smf(0, 96, (made,))) == midi(
        [(0, name("A")), (3, on(60)), (1, control(7, 1)), (496, off(60))], kind=0, division=96
    )


def test_metas_are_found_by_kind() -> None:
    file = parse(song())
    assert [(m.tick, m.payload) for m in file.metas(smf.MARKER)] == [(7680, b"Second part")]
    assert [m.payload for m in file.metas(smf.TRACK_NAME)] == [b"Song", b"Piano", b"Bass", b"Kit"]
    assert [m.tick for m in file.metas(smf.TEMPO)] == [0, 7680]


def test_many_notes_are_read_fast() -> None:
    notes = [(delta, on(40 + i % 40, v)) for i in range(50_000) for delta, v in ((3, 64), (200, 0))]
    data = midi(notes)
    begin = time.process_time()
    file = parse(data)
    assert time.process_time() - begin < 2.0  # 0.06 s on an idle core
    assert len(file.chunks[0].events) == 100_001
    assert np.all(np.diff(file.chunks[0].events["tick"]) >= 0)
