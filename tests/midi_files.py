"""MIDI files made byte by byte, for tests: what goes in is written out here, not by the package."""

from collections.abc import Iterable, Sequence

Message = tuple[int, bytes]
"""Delta in ticks, and the bytes of an event as they stand in the file."""

END = b"\xff\x2f\x00"


def number(value: int) -> bytes:
    """A variable-length number."""
    out = bytes([value & 0x7F])
    while value >= 0x80:
        value >>= 7
        out = bytes([value & 0x7F | 0x80]) + out
    return out


def on(pitch: int, velocity: int = 64, channel: int = 0) -> bytes:
    """A note-on."""
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, velocity: int = 0, channel: int = 0) -> bytes:
    """A note-off."""
    return bytes([0x80 | channel, pitch, velocity])


def program(value: int, channel: int = 0) -> bytes:
    """A program change."""
    return bytes([0xC0 | channel, value])


def control(controller: int, value: int, channel: int = 0) -> bytes:
    """A control change."""
    return bytes([0xB0 | channel, controller, value])


def meta(kind: int, payload: bytes = b"") -> bytes:
    """A meta event."""
    return bytes([0xFF, kind]) + number(len(payload)) + payload


def name(text: str) -> bytes:
    """A track name."""
    return meta(0x03, text.encode())


def tempo(microseconds: int) -> bytes:
    """A tempo, in microseconds per quarter note."""
    return meta(0x51, microseconds.to_bytes(3, "big"))


def signature(numerator: int, power: int) -> bytes:
    """A time signature; `power` is the binary logarithm of the denominator."""
    return meta(0x58, bytes([numerator, power, 24, 8]))


def port(value: int) -> bytes:
    """An output port."""
    return meta(0x21, bytes([value]))


def body(messages: Iterable[Message]) -> bytes:
    """The bytes of a track's events."""
    return b"".join(number(delta) + message for delta, message in messages)


def running(messages: Sequence[Message]) -> list[Message]:
    """The same messages without status bytes that repeat the one before."""
    before = [b"\xff", *(message for _, message in messages)]
    return [
        (delta, message[1:] if message[0] == last[0] < 0xF0 else message)
        for last, (delta, message) in zip(before, messages, strict=False)
    ]


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length."""
    return kind + len(content).to_bytes(4, "big") + content


def header(num_tracks: int, *, kind: int = 1, division: int = 480, extra: bytes = b"") -> bytes:
    """The header chunk."""
    fields = b"".join(value.to_bytes(2, "big") for value in (kind, num_tracks, division))
    return chunk(b"MThd", fields + extra)


def midi(*tracks: Sequence[Message], kind: int = 1, division: int = 480) -> bytes:
    """A file of tracks given with deltas; each gets an end of track."""
    parts = [chunk(b"MTrk", body([*track, (0, END)])) for track in tracks]
    return header(len(tracks), kind=kind, division=division) + b"".join(parts)


def at_ticks(*events: tuple[int, bytes]) -> list[Message]:
    """Messages with deltas, of messages with absolute ticks."""
    ordered = sorted(events, key=lambda event: event[0])
    ticks = [0, *(tick for tick, _ in ordered)]
    return [
        (tick - before, message) for before, (tick, message) in zip(ticks, ordered, strict=False)
    ]


def song(num_bars: int = 8, *, division: int = 480) -> bytes:
    """A small piece of every kind of event: melody, bass and drums, two tempos, two meters."""
    bar = 4 * division
    half = num_bars // 2 * bar
    conductor = at_ticks(
        (0, name("Song")),
        (0, tempo(500_000)),
        (0, signature(4, 2)),
        (0, meta(0x59, b"\x00\x00")),
        (0, b"\xf0\x05\x7e\x7f\x09\x01\xf7"),
        (half, tempo(600_000)),
        (half, signature(3, 2)),
        (half, meta(0x06, b"Second part")),
    )
    tracks = [conductor]
    for label, channel, patch, pitches in (
        ("Piano", 0, 0, (60, 64, 67, 72)),
        ("Bass", 1, 32, (36, 43)),
        ("Kit", 9, 0, (36, 42, 38, 42)),
    ):
        events = [(0, name(label)), (0, program(patch, channel)), (0, control(7, 100, channel))]
        step = bar // len(pitches)
        for index in range(num_bars * len(pitches)):
            pitch = pitches[index % len(pitches)]
            events.append((index * step, on(pitch, 80, channel)))
            events.append((index * step + step * 3 // 4, off(pitch, 64, channel)))
        events.append((bar, bytes([0xE0 | channel, 0, 72])))
        events.append((bar + 10, control(64, 127, channel)))
        events.append((bar, meta(0x05, b"la")))
        tracks.append(at_ticks(*events))
    return midi(*tracks, division=division)
