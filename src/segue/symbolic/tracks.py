"""Tracks and notes of a MIDI file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.instruments import DRUM_CHANNEL, family_name, instrument_name
from segue.symbolic.notes import NOTE_FIELDS, is_note_off, is_note_on, pair
from segue.symbolic.smf import DEVICE_NAME, PORT, PROGRAM_CHANGE, TRACK_NAME, Chunk, Smf

CHANNELS = 16
"""Channels of one output."""
_PITCHES = 128


@dataclass(frozen=True)
class Track:
    """What a user calls a track: one channel of one track chunk that has notes or a program.

    Attributes:
        index: number of the track, from 0, by chunk and channel.
        name: the track name in the file; empty where there is none, or where several channels
            share the only chunk (a type 0 file), whose name is that of the piece.
        program: General MIDI program, 0 to 127, that most notes have.
        is_drum: whether it is on the drum channel.
        num_notes: how many notes it has.
        chunk: index of the chunk in the file.
        channel: MIDI channel, from 0.
        port: number of the output; equal for tracks whose channels are the same.
    """

    index: int
    name: str
    program: int
    is_drum: bool
    num_notes: int
    chunk: int
    channel: int
    port: int

    @property
    def instrument(self) -> str:
        """General MIDI name of the instrument."""
        return instrument_name(self.program, is_drum=self.is_drum)

    @property
    def family(self) -> str:
        """General MIDI family of the instrument."""
        return family_name(self.program, is_drum=self.is_drum)

    def __str__(self) -> str:
        """Return the track in a line, such as ``2 "Left hand" (Acoustic Grand Piano)``."""
        short = self.name if len(self.name) <= 40 else self.name[:39] + "…"
        name = f'"{short}" ' if self.name else ""
        return f"{self.index} {name}({self.instrument})"


class ChannelEvents(NamedTuple):
    """Note and program events of all tracks of a file, one track after the other.

    Attributes:
        events: array of `segue.symbolic.smf.EVENT_FIELDS`.
        chunks: index of each event's chunk in the file.
        indices: index of each event within its chunk.
    """

    events: NDArray[np.void]
    chunks: NDArray[np.int64]
    indices: NDArray[np.int64]

    @property
    def channels(self) -> NDArray[np.int64]:
        """MIDI channel of each event, from 0."""
        return (self.events["status"] & 0x0F).astype(np.int64)

    @property
    def lanes(self) -> NDArray[np.int64]:
        """Chunk and channel of each event in one number."""
        return self.chunks * CHANNELS + self.channels

    def only(self, where: NDArray[np.bool_]) -> "ChannelEvents":
        """Return some of the events."""
        return ChannelEvents(self.events[where], self.chunks[where], self.indices[where])


def channel_events(smf: Smf) -> ChannelEvents:
    """Return the note and program events of a file."""
    tables, chunks, indices = [], [], []
    for number, chunk in enumerate(smf.chunks):
        kind = chunk.events["status"] & 0xF0
        where = np.flatnonzero((kind <= 0x90) | (kind == PROGRAM_CHANGE))
        tables.append(chunk.events[where])
        chunks.append(np.full(len(where), number, np.int64))
        indices.append(where)
    if not tables:
        chunk = Chunk.track([])
        return ChannelEvents(chunk.events, np.zeros(0, np.int64), np.zeros(0, np.int64))
    return ChannelEvents(np.concatenate(tables), np.concatenate(chunks), np.concatenate(indices))


def chunk_ports(smf: Smf) -> NDArray[np.int64]:
    """Return the number of the output that each chunk plays to. Shape ``chunks``.

    Chunks share an output if they agree in their first port and device name events. Channels of
    different outputs have nothing to do with each other.
    """
    numbers: dict[tuple[bytes, bytes], int] = {}
    ports = []
    for chunk in smf.chunks:
        first = [next((m.payload for m in chunk.metas(kind)), b"") for kind in (PORT, DEVICE_NAME)]
        ports.append(numbers.setdefault((first[0], first[1]), len(numbers)))
    return np.array(ports, np.int64)


def read_tracks(
    smf: Smf, known: Sequence["Track"] = ()
) -> tuple[tuple[Track, ...], NDArray[np.void]]:
    """Return the tracks of a file, and its notes by onset, track and pitch, read only.

    Args:
        smf: the file.
        known: tracks of an earlier state, which are there even where their last note is gone.
    """
    found = channel_events(smf)
    changes = found.only(found.events["status"] & 0xF0 == PROGRAM_CHANGE)
    ports = chunk_ports(smf)
    notes = _read_notes(smf, found)
    notes["program"] = _programs_at(notes, changes, ports)
    lanes = notes["chunk"] * CHANNELS + notes["channel"]
    programs = {track.chunk * CHANNELS + track.channel: track.program for track in known}
    others = np.array(list(programs), np.int64)
    used = np.unique(np.concatenate([lanes, changes.lanes, others]))
    notes["track"] = np.searchsorted(used, lanes)
    notes = notes[np.lexsort((notes["pitch"], notes["track"], notes["onset_ticks"]))]
    notes.flags.writeable = False
    return _list_tracks(smf, used, notes, changes, ports, programs), notes


def _read_notes(smf: Smf, found: ChannelEvents) -> NDArray[np.void]:
    """Return the notes in the order of their events, without track and program."""
    begins = is_note_on(found.events)
    found = found.only(begins | is_note_off(found.events))
    begins = is_note_on(found.events)
    events = found.events
    partners = pair(found.lanes * _PITCHES + events["first"], begins)[begins]
    dangling = partners < 0
    ends = np.array([chunk.end_ticks for chunk in smf.chunks] or [0], np.int64)

    notes = np.zeros(int(begins.sum()), NOTE_FIELDS)
    notes["chunk"] = found.chunks[begins]
    notes["channel"] = found.channels[begins]
    notes["is_drum"] = notes["channel"] == DRUM_CHANNEL
    notes["pitch"] = events["first"][begins]
    notes["velocity"] = events["second"][begins]
    notes["onset_ticks"] = events["tick"][begins]
    notes["on_event"] = found.indices[begins]
    notes["off_event"] = np.where(dangling, -1, found.indices[partners])
    off_ticks = np.where(dangling, ends[notes["chunk"]], events["tick"][partners])
    notes["duration_ticks"] = off_ticks - notes["onset_ticks"]
    return notes


def _programs_at(
    notes: NDArray[np.void], changes: ChannelEvents, ports: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the program of each note's channel when it begins; 0 before the first change.

    The program changes of the note's own chunk count; where that has none on the channel, those of
    all chunks with the same output.
    """
    lanes = notes["chunk"].astype(np.int64) * CHANNELS + notes["channel"]
    own = _last_before(lanes, notes["on_event"], changes.lanes, changes.indices, changes)
    shared = ports[notes["chunk"]] * CHANNELS + notes["channel"]
    change_shared = ports[changes.chunks] * CHANNELS + changes.channels
    others = _last_before(
        shared, notes["onset_ticks"] + 1, change_shared, changes.events["tick"], changes
    )
    has_own = np.isin(lanes, changes.lanes)
    return np.maximum(np.where(has_own, own, others), 0)


def _last_before(
    groups: NDArray[np.int64],
    moments: NDArray[np.int64],
    change_groups: NDArray[np.int64],
    change_moments: NDArray[np.int64],
    changes: ChannelEvents,
) -> NDArray[np.int64]:
    """Return the program of the last change of the same group before each moment, or -1."""
    if not len(change_groups):
        return np.full(len(groups), -1, np.int64)
    order = np.lexsort((change_moments, change_groups))
    stride = max(int(change_moments.max()), int(moments.max(initial=0))) + 2
    codes = (change_groups * stride + change_moments)[order]
    at = np.searchsorted(codes, groups * stride + moments) - 1
    fits = (at >= 0) & (change_groups[order][at] == groups)
    programs = changes.events["first"][order].astype(np.int64)
    return np.where(fits, programs[at], -1)


def _list_tracks(
    smf: Smf,
    lanes: NDArray[np.int64],
    notes: NDArray[np.void],
    changes: ChannelEvents,
    ports: NDArray[np.int64],
    known: dict[int, int],
) -> tuple[Track, ...]:
    """Return the tracks of the chunk and channel pairs in use."""
    table = np.zeros((len(lanes), _PITCHES), np.int64)
    np.add.at(table, (notes["track"], notes["program"]), 1)
    counts = table.sum(axis=1)
    programs = table.argmax(axis=1)
    first_lanes, first = np.unique(changes.lanes, return_index=True)
    first_programs = known | dict(
        zip(first_lanes.tolist(), changes.events["first"][first], strict=True)
    )
    is_song = smf.format == 0 and len(lanes) > 1
    names = ["" if is_song else chunk_name(chunk) for chunk in smf.chunks]
    tracks = []
    for index, lane in enumerate(lanes.tolist()):
        chunk, channel = divmod(lane, CHANNELS)
        program = programs[index] if counts[index] else first_programs[lane]
        tracks.append(
            Track(
                index=index,
                name=names[chunk],
                program=int(program),
                is_drum=channel == DRUM_CHANNEL,
                num_notes=int(counts[index]),
                chunk=chunk,
                channel=channel,
                port=int(ports[chunk]),
            )
        )
    return tuple(tracks)


def chunk_name(chunk: Chunk) -> str:
    """Return the track name of a chunk: UTF-8, or Latin-1 where it is not; empty without one."""
    payload = next((meta.payload for meta in chunk.metas(TRACK_NAME)), b"")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = payload.decode("latin-1")
    return "".join(c for c in text if c.isprintable()).strip()
