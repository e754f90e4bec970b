"""Whether a splice changed only what it may, seen through mido, an independent reader."""

import io
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import mido
import numpy as np
from numpy.typing import NDArray

from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.score import Piece, ResolvedRegion


@dataclass(frozen=True)
class Event:
    """An event as mido reads it."""

    tick: int
    track: int
    message: bytes

    @property
    def voice(self) -> tuple[int, int]:
        """Channel and pitch of a note event."""
        return self.message[0] & 0x0F, self.message[1]

    @property
    def begins(self) -> bool:
        """Whether it begins a note."""
        return self.message[0] & 0xF0 == 0x90 and self.message[2] > 0

    @property
    def ends(self) -> bool:
        """Whether it ends a note."""
        kind = self.message[0] & 0xF0
        return kind == 0x80 or (kind == 0x90 and self.message[2] == 0)


@dataclass
class View:
    """A file as mido reads it: events without ends of tracks, and which event ends which note."""

    kind: int
    ticks_per_beat: int
    tracks: list[list[Event]]
    end_ticks: list[int]
    partner: dict[int, Event | None] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes) -> "View":
        """Read a file."""
        file = mido.MidiFile(file=io.BytesIO(data))
        view = cls(file.type, file.ticks_per_beat, [], [])
        for number, messages in enumerate(file.tracks):
            tick = 0
            events = []
            for message in messages:
                tick += message.time
                if message.type != "end_of_track":
                    events.append(Event(tick, number, bytes(message.bytes())))
            assert [m.type for m in messages].index("end_of_track") == len(messages) - 1
            view.tracks.append(events)
            view.end_ticks.append(tick)
            view.partner.update(fifo(events, lambda event: event.voice))
        return view


def fifo(events: Iterable[Event], key: Callable[[Event], object]) -> dict[int, Event | None]:
    """Which event ends each note, by the identity of the event that begins it; first in, first out."""
    waiting: dict[object, deque[Event]] = defaultdict(deque)
    partner: dict[int, Event | None] = {}
    for event in events:
        if event.begins:
            waiting[key(event)].append(event)
            partner[id(event)] = None
        elif event.ends and waiting[key(event)]:
            partner[id(waiting[key(event)].popleft())] = event
    return partner


def split(
    view: View, places: set[tuple[int, int]], region: ResolvedRegion
) -> tuple[list[list[Event]], list[tuple[Event, Event | None]]]:
    """Events that stay, track by track, and the notes (on, off) that begin inside the region."""
    inside: list[tuple[Event, Event | None]] = []
    for events in view.tracks:
        for event in events:
            is_chosen = event.begins and (event.track, event.voice[0]) in places
            if is_chosen and region.start_ticks <= event.tick < region.end_ticks:
                inside.append((event, view.partner[id(event)]))
    gone = {id(event) for pair in inside for event in pair if event is not None}
    stays = [[event for event in events if id(event) not in gone] for events in view.tracks]
    return stays, inside


def merged_pairs(
    tracks: list[list[Event]], stays: list[list[Event]], ports: list[int]
) -> Counter[tuple[Event, Event | None]]:
    """How notes that stay are paired by a reader that merges all tracks, by port and channel."""
    events = sorted((e for track in tracks for e in track), key=lambda event: event.tick)
    partner = fifo(events, lambda event: (ports[event.track], event.voice))
    kept = {id(event) for track in stays for event in track}
    return Counter((e, partner[id(e)]) for e in events if e.begins and id(e) in kept)


def check_splice(piece: Piece, region: ResolvedRegion, after: Piece) -> int:
    """Assert that `after` is `piece` with new notes in the region and nothing else; count them."""
    numbers = [index for index, chunk in enumerate(piece.smf.chunks) if chunk.is_track]
    order = {chunk: number for number, chunk in enumerate(numbers)}
    tracks = [piece.tracks[index] for index in region.tracks]
    places = {(order[track.chunk], track.channel) for track in tracks}
    known = {order[track.chunk]: track.port for track in piece.tracks}
    before, now = View.of(piece.to_bytes()), View.of(after.to_bytes())
    ports = [known.get(number, -1) for number in range(len(now.tracks))]

    stays_before, _ = split(before, places, region)
    stays, new = split(now, places, region)
    assert (before.kind, before.ticks_per_beat) == (now.kind, now.ticks_per_beat)
    assert stays_before == stays
    notes_before = Counter((e, before.partner[id(e)]) for t in stays_before for e in t if e.begins)
    assert notes_before == Counter((e, now.partner[id(e)]) for t in stays for e in t if e.begins)
    assert merged_pairs(stays, stays, ports) == merged_pairs(now.tracks, stays, ports)
    last_off = [0] * len(now.tracks)
    for begin, end in new:
        assert end is not None
        assert begin.tick < end.tick <= region.end_ticks
        last_off[begin.track] = max(last_off[begin.track], end.tick)
    expected_ends = [max(pair) for pair in zip(before.end_ticks, last_off, strict=True)]
    assert expected_ends == now.end_ticks
    return len(new)


def random_notes(
    piece: Piece, region: ResolvedRegion, rng: np.random.Generator, count: int
) -> NDArray[np.void]:
    """Notes that collide on purpose: pitches and moments of the piece, any length."""
    notes = np.zeros(count, NEW_NOTE_FIELDS)
    notes["track"] = rng.choice(region.tracks, count)
    notes["velocity"] = rng.integers(1, 128, count)
    notes["pitch"] = rng.integers(0, 128, count)
    onsets = rng.integers(region.start_ticks, region.end_ticks, count)
    if len(piece.notes):
        known = rng.random(count) < 0.7
        notes["pitch"][known] = rng.choice(piece.notes["pitch"], int(known.sum()))
        events = np.concatenate(
            [piece.notes["onset_ticks"], piece.notes["onset_ticks"] + piece.notes["duration_ticks"]]
        )
        events = events[(events >= region.start_ticks) & (events < region.end_ticks)]
        if len(events):
            known = rng.random(count) < 0.5
            onsets[known] = rng.choice(events, int(known.sum()))
    notes["onset_ticks"] = onsets
    longest = 2 * (region.end_ticks - region.start_ticks)
    notes["duration_ticks"] = rng.integers(0, longest, count) >> rng.integers(0, 8, count)
    return notes
