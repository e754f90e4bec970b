"""Standard MIDI Files, event by event, without loss.

A file is a list of chunks; a track chunk is a table of events. Every event keeps its absolute tick
and its bytes, known or unknown, so that what is read can be written again as it was. Chunks of
unknown kinds, bytes after a track's end, a longer header and bytes after the last track are kept.

Source: *Standard MIDI Files 1.0*, MIDI Manufacturers Association (1996).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError

EVENT_FIELDS = np.dtype(
    [
        ("tick", np.int64),
        ("status", np.uint8),
        ("first", np.uint8),
        ("second", np.uint8),
        ("running", np.bool_),
        ("start", np.int64),
        ("length", np.int64),
    ]
)
"""One event of a track.

``status`` is its status byte, also where the file leaves it out (then ``running`` is true);
``first`` and ``second`` are the two bytes after it (0 where there are none; ``first`` is the type of
a meta event); ``start`` and ``length`` say where the bytes after the status byte lie in the pool.
"""

NOTE_OFF, NOTE_ON, KEY_PRESSURE, PROGRAM_CHANGE = 0x80, 0x90, 0xA0, 0xC0
SYSTEM, META = 0xF0, 0xFF
TRACK_NAME, LYRIC, MARKER, CUE, DEVICE_NAME = 0x03, 0x05, 0x06, 0x07, 0x09
PORT, END_OF_TRACK, TEMPO, TIME_SIGNATURE = 0x21, 0x2F, 0x51, 0x58

MAX_FILE_BYTES = 8 << 20
"""Larger files are refused."""
MAX_EVENTS = 500_000
"""Files with more events are refused: reading them would take seconds."""
MAX_TRACK_CHUNKS = 1_000
"""Files that announce more track chunks are refused."""
MAX_DELTA = (1 << 28) - 1
"""Largest distance in ticks between two events that the format can hold."""

_HEADER_BYTES = 14
_CHUNK_HEADER_BYTES = 8
_RUNNING = 0x100
_DELTA_LIMITS = np.array([1 << 7, 1 << 14, 1 << 21])
_SIZES = tuple(
    1 if status >> 4 in (0xC, 0xD) or status in (0xF1, 0xF3) else 2 * (status <= 0xF2)
    for status in range(256)
)
"""Number of bytes after each status byte, for events whose size is fixed."""


class MetaEvent(NamedTuple):
    """A meta event: absolute tick, and payload without type and length."""

    tick: int
    payload: bytes


@dataclass(frozen=True, eq=False)
class Chunk:
    """One chunk of a file.

    Attributes:
        kind: four bytes, ``b"MTrk"`` for a track.
        events: array of `EVENT_FIELDS` in file order; the last event of a track is its end. Empty
            where the chunk is not a track.
        pool: the bytes that the events point into.
        trailer: bytes after the end of the track, or the whole body of an unknown chunk.
    """

    kind: bytes
    events: NDArray[np.void]
    pool: NDArray[np.uint8]
    trailer: bytes = b""

    @classmethod
    def track(cls, messages: Sequence[tuple[int, bytes]]) -> Self:
        """Make a track of ``(absolute tick, whole message)`` pairs in order, its end included."""
        sizes = np.array([len(message) for _, message in messages], np.int64)
        pool = np.frombuffer(b"".join(message for _, message in messages), np.uint8)
        starts = np.cumsum(sizes) - sizes
        events = event_table(
            ticks=np.array([tick for tick, _ in messages], np.int64),
            codes=pool[starts].astype(np.int64),
            starts=starts + 1,
            lengths=sizes - 1,
            pool=pool,
        )
        return cls(b"MTrk", events, pool)

    @property
    def is_track(self) -> bool:
        """Whether this is a track chunk."""
        return self.kind == b"MTrk"

    @property
    def end_ticks(self) -> int:
        """Tick of the end of the track; 0 where the chunk is not a track."""
        return int(self.events["tick"][-1]) if len(self.events) else 0

    def message(self, index: int) -> bytes:
        """Return the bytes of one event, status byte first."""
        event = self.events[index]
        start, length = int(event["start"]), int(event["length"])
        return bytes([event["status"]]) + self.pool[start : start + length].tobytes()

    def metas(self, kind: int) -> list[MetaEvent]:
        """Return the meta events of one type, in order."""
        events = self.events[(self.events["status"] == META) & (self.events["first"] == kind)]
        if not len(events):
            return []
        pool = self.pool.tobytes()
        ends = (events["start"] + events["length"]).tolist()
        rows = zip(events["tick"].tolist(), events["start"].tolist(), ends, strict=True)
        return [
            MetaEvent(tick, pool[_read_number(pool, start + 1)[1] : end])
            for tick, start, end in rows
        ]

    def with_events(self, events: NDArray[np.void], pool: NDArray[np.uint8]) -> Self:
        """Return the same chunk with other events."""
        return replace(self, events=events, pool=pool)

    def with_end(self, end_ticks: int) -> Self:
        """Return the same track with its end at `end_ticks`, which no event may pass."""
        events = self.events.copy()
        events["tick"][-1] = end_ticks
        return replace(self, events=events)


@dataclass(frozen=True, eq=False)
class Smf:
    """A whole file.

    Attributes:
        format: 0 (one track), 1 (simultaneous tracks) or 2 (independent tracks).
        ticks_per_quarter: ticks per quarter note, 1 to 32767.
        chunks: all chunks after the header, up to the last announced track.
        header_extra: bytes of the header after its six known ones.
        trailer: bytes after the last announced track.
    """

    format: int
    ticks_per_quarter: int
    chunks: tuple[Chunk, ...]
    header_extra: bytes = b""
    trailer: bytes = b""

    @property
    def end_ticks(self) -> int:
        """Tick of the last event of all tracks."""
        return max((chunk.end_ticks for chunk in self.chunks), default=0)

    def metas(self, kind: int) -> list[MetaEvent]:
        """Return the meta events of one type of all tracks, by tick, then track, then order."""
        return sorted((m for c in self.chunks for m in c.metas(kind)), key=lambda meta: meta.tick)

    def with_chunks(self, chunks: dict[int, Chunk]) -> Self:
        """Return the same file with some chunks replaced, by index."""
        return replace(
            self, chunks=tuple(chunks.get(i, chunk) for i, chunk in enumerate(self.chunks))
        )


def event_table(
    *,
    ticks: NDArray[np.int64],
    codes: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    pool: NDArray[np.uint8],
) -> NDArray[np.void]:
    """Return events as an array of `EVENT_FIELDS`.

    Args:
        ticks: absolute ticks. All arrays have one entry per event.
        codes: status bytes, plus 256 where the file leaves the status byte out.
        starts: where the bytes after the status byte lie in the pool.
        lengths: how many they are.
        pool: the bytes.
    """
    events = np.zeros(len(ticks), EVENT_FIELDS)
    events["tick"], events["start"], events["length"] = ticks, starts, lengths
    events["status"] = codes & 0xFF
    events["running"] = codes >= _RUNNING
    for offset, field in enumerate(("first", "second")):
        has = lengths > offset
        events[field][has] = pool[starts[has] + offset]
    return events


def parse(data: bytes, *, name: str = "The file") -> Smf:
    """Read a Standard MIDI File of type 0, 1 or 2.

    Args:
        data: the whole file.
        name: what error messages call it.

    Raises:
        DataError: not a MIDI file, SMPTE time, no ticks per quarter, cut off, damaged, or larger
            than the limits of this module.
    """
    if len(data) > MAX_FILE_BYTES:
        raise DataError(
            f"{name} has {len(data):,} bytes; MIDI files of up to {MAX_FILE_BYTES:,} are read."
        )
    file_format, num_tracks, ticks_per_quarter, at = _read_header(data, name)
    header_extra = data[_HEADER_BYTES:at]
    chunks: list[Chunk] = []
    budget = MAX_EVENTS
    while num_tracks:
        chunk, at = _read_chunk(data, at, name, budget)
        chunks.append(chunk)
        budget -= len(chunk.events)
        num_tracks -= chunk.is_track
    return Smf(file_format, ticks_per_quarter, tuple(chunks), header_extra, data[at:])


def _read_header(data: bytes, name: str) -> tuple[int, int, int, int]:
    """Return format, number of tracks, ticks per quarter, and where the first chunk begins."""
    if data[:4] != b"MThd":
        wrapped = data[:4] == b"RIFF" and data[8:12] == b"RMID"
        what = "is a MIDI file in a RIFF wrapper" if wrapped else "is not a MIDI file"
        raise DataError(
            f"{name} {what}: it begins with {data[:4]!r}, a Standard MIDI File with b'MThd'. "
            "Save or export it as .mid."
        )
    size = int.from_bytes(data[4:8], "big")
    if len(data) < _HEADER_BYTES or size > len(data) - _CHUNK_HEADER_BYTES:
        raise _cut_off(name, len(data), "inside its header")
    if size < _HEADER_BYTES - _CHUNK_HEADER_BYTES:
        raise _damaged(name, 4, f"the header has {size} bytes instead of 6")
    file_format, num_tracks, division = (
        int.from_bytes(data[i : i + 2], "big") for i in (8, 10, 12)
    )
    if file_format > 2:
        raise _damaged(name, 8, f"the type is {file_format}; types 0, 1 and 2 exist")
    if division & 0x8000:
        raise DataError(
            f"{name} counts time in SMPTE frames (division 0x{division:04X}), not in beats, so it "
            "has no bars. Export it with ticks per quarter note."
        )
    if division == 0:
        raise _damaged(name, 12, "there are 0 ticks per quarter note")
    if num_tracks > MAX_TRACK_CHUNKS:
        raise DataError(
            f"{name} announces {num_tracks:,} tracks; files with up to {MAX_TRACK_CHUNKS:,} are "
            "read. If it has fewer, it is damaged: export it again."
        )
    return file_format, num_tracks, division, _CHUNK_HEADER_BYTES + size


def _read_chunk(data: bytes, at: int, name: str, budget: int) -> tuple[Chunk, int]:
    """Return the chunk that begins at byte `at`, and where the next one begins."""
    kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
    begin = at + _CHUNK_HEADER_BYTES
    if begin > len(data):
        raise _cut_off(name, len(data), "before its last announced track")
    body = data[begin : begin + size]
    is_cut = len(body) < size
    pool = np.frombuffer(body, np.uint8)
    if kind != b"MTrk":
        if is_cut:
            raise _cut_off(name, len(data), f"inside the chunk {kind!r} that begins at byte {at}")
        return Chunk(kind, np.zeros(0, EVENT_FIELDS), pool[:0], body), begin + size
    events, consumed = _read_events(body, begin, name, budget)
    _check_data_bytes(events, begin, name)
    if not _ends(events):
        if is_cut:
            raise _cut_off(name, len(data), f"inside the track that begins at byte {at}")
        events, pool = _with_end_of_track(events, pool)
    return Chunk(kind, events, pool, body[consumed:]), begin + len(body)


def _read_events(body: bytes, begin: int, name: str, budget: int) -> tuple[NDArray[np.void], int]:
    """Return the events of a track up to its end, and how many bytes they take."""
    found: list[int] = []
    try:
        at = _scan_events(body, found, budget)
    except IndexError:
        at = len(body) + 1
    except _DamageError as error:
        raise _damaged(name, begin + error.offset, error.what) from error
    if len(found) == 4 * budget:
        raise DataError(f"{name} has more than {MAX_EVENTS:,} events, the most that are read.")
    if at > len(body):
        raise _cut_off(name, begin + len(body), "inside an event")
    deltas, codes, starts, ends = (np.array(found[k::4], np.int64) for k in range(4))
    events = event_table(
        ticks=np.cumsum(deltas),
        codes=codes,
        starts=starts,
        lengths=ends - starts,
        pool=np.frombuffer(body, np.uint8),
    )
    return events, at


def _scan_events(body: bytes, found: list[int], budget: int) -> int:
    """Append delta, code, start and end of every event; return where the last one ends.

    An end beyond the body, or an IndexError, means that the last event is cut off.
    """
    at = running = 0
    size = len(body)
    for _ in range(budget):
        if at >= size:
            break
        delta = body[at]
        at += 1
        if delta > 0x7F:
            delta, at = _read_number(body, at - 1)
        code = body[at]
        if code > 0x7F:
            at += 1
            start = at
            if code < SYSTEM:
                running = code | _RUNNING
                at += _SIZES[code]
            else:
                at = _end_of_system_event(body, at, code)
        else:
            start = at
            code = running
            if not code:
                raise _DamageError(at, "a data byte stands where an event begins")
            at += _SIZES[code & 0xFF]
        found += (delta, code, start, at)
        if code == META and body[start] == END_OF_TRACK:
            break
    return at


class _DamageError(Exception):
    """A track breaks the format: at which byte of its body, and how."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what


def _read_number(body: bytes, at: int) -> tuple[int, int]:
    """Return the variable-length number at byte `at`, and where it ends."""
    value = 0
    for end in range(at, at + 4):
        byte = body[end]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, end + 1
    raise _DamageError(at, "a number is longer than four bytes")


def _end_of_system_event(body: bytes, at: int, status: int) -> int:
    """Return where a system event ends whose status byte lies before byte `at`."""
    if status == META:
        length, at = _read_number(body, at + 1)
        return at + length
    if status in (0xF0, 0xF7):
        length, at = _read_number(body, at)
        return at + length
    return at + _SIZES[status]


def _check_data_bytes(events: NDArray[np.void], begin: int, name: str) -> None:
    """Raise DataError where a channel message carries a byte above 127."""
    above = (events["status"] < SYSTEM) & ((events["first"] | events["second"]) > 0x7F)
    if above.any():
        offset = begin + int(events["start"][np.argmax(above)])
        raise _damaged(name, offset, "a channel message carries a value above 127")


def _ends(events: NDArray[np.void]) -> bool:
    """Return whether the last event is an end of track."""
    return len(events) > 0 and events["status"][-1] == META and events["first"][-1] == END_OF_TRACK


def _with_end_of_track(
    events: NDArray[np.void], pool: NDArray[np.uint8]
) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
    """Return events and pool with an end of track at the last event's tick."""
    end = np.zeros(1, EVENT_FIELDS)
    end["tick"] = events["tick"][-1:] if len(events) else 0
    end["status"], end["first"] = META, END_OF_TRACK
    end["start"], end["length"] = len(pool), 2
    pool = np.concatenate([pool, np.array([END_OF_TRACK, 0], np.uint8)])
    return np.concatenate([events, end]), pool


def emit(smf: Smf) -> bytes:
    """Return the bytes of a file.

    What was parsed and not changed comes back with the same events. Differences can only be in how
    they are spelt: numbers take the fewest bytes, lengths and the number of tracks are right, a
    missing end of track is there, and a status byte is left out only where the source left it out
    and the event before has the same one.

    Raises:
        DataError: two events lie further apart than the format can say.
    """
    num_tracks = sum(chunk.is_track for chunk in smf.chunks)
    fields = (smf.format, num_tracks, smf.ticks_per_quarter)
    header = b"".join(value.to_bytes(2, "big") for value in fields) + smf.header_extra
    parts = [b"MThd", len(header).to_bytes(4, "big"), header]
    for chunk in smf.chunks:
        body = (_emit_events(chunk) if chunk.is_track else b"") + chunk.trailer
        parts += [chunk.kind, len(body).to_bytes(4, "big"), body]
    return b"".join([*parts, smf.trailer])


def _emit_events(chunk: Chunk) -> bytes:
    """Return the bytes of a track's events."""
    events = chunk.events
    status, lengths = events["status"], events["length"]
    deltas = np.diff(events["tick"], prepend=0)
    if deltas.max(initial=0) > MAX_DELTA:
        raise DataError(
            f"Two events lie {deltas.max():,} ticks apart; a MIDI file can hold {MAX_DELTA:,}."
        )
    omitted = events["running"] & (status < SYSTEM)
    omitted[:1] = False
    omitted[1:] &= status[1:] == status[:-1]

    delta_sizes = np.searchsorted(_DELTA_LIMITS, deltas, side="right") + 1
    ends = np.cumsum(delta_sizes + ~omitted + lengths)
    starts = ends - lengths - ~omitted - delta_sizes
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for k in range(4):
        has = delta_sizes > k
        where = starts[has] + delta_sizes[has] - 1 - k
        out[where] = (deltas[has] >> 7 * k & 0x7F) | (0x80 if k else 0)
    out[(ends - lengths - 1)[~omitted]] = status[~omitted]
    out[_ranges(ends - lengths, lengths)] = chunk.pool[_ranges(events["start"], lengths)]
    return out.tobytes()


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of many ranges, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def number_bytes(value: int) -> bytes:
    """Return a variable-length number as the format writes it."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def meta_message(kind: int, payload: bytes = b"") -> bytes:
    """Return a whole meta event."""
    return bytes([META, kind]) + number_bytes(len(payload)) + payload


def _damaged(name: str, offset: int, what: str) -> DataError:
    """Return the error for a file that breaks the format."""
    return DataError(
        f"{name} is damaged at byte {offset:,}: {what}. Export it again from the program it came from."
    )


def _cut_off(name: str, offset: int, where: str) -> DataError:
    """Return the error for a file that ends too early."""
    return DataError(f"{name} is cut off at byte {offset:,}, {where}. Copy or download it again.")
