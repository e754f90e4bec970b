"""Put new notes into a region of a piece and leave every other event as it was.

The rules are explained in docs/explanation/splice.md.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.symbolic.notes import NEW_NOTE_FIELDS, is_note_off, is_note_on, pair
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.smf import (
    NOTE_OFF,
    NOTE_ON,
    Chunk,
    Smf,
    event_table,
)
from segue.symbolic.tracks import CHANNELS, ChannelEvents, channel_events, chunk_ports

_PITCHES = 128
_RUNNING = 0x100
_NEVER = np.iinfo(np.int64).max
_NEW_OFFS, _OLD, _NEW_ONS, _END = range(4)
"""Order of events at one tick."""


def notes_inside(piece: Piece, region: ResolvedRegion) -> NDArray[np.bool_]:
    """Return which of ``piece.notes`` belong to a region: those of its tracks that begin in it."""
    notes = piece.notes
    onsets = notes["onset_ticks"]
    begins_inside = (onsets >= region.start_ticks) & (onsets < region.end_ticks)
    return np.asarray(begins_inside & np.isin(notes["track"], region.tracks))


def replace_notes(piece: Piece, region: ResolvedRegion, new_notes: NDArray[np.void]) -> Piece:
    """Return the piece with the notes that begin in a region replaced by new ones.

    Every other event keeps its tick, its bytes and its place among the events of its track. The end
    of a track moves only where a new note would end behind it.

    Args:
        piece: the piece; it is not changed.
        region: as `Piece.resolve` gives it.
        new_notes: array of `segue.symbolic.notes.NEW_NOTE_FIELDS`. What does not fit is shortened
            or left out, see `fit_notes`.

    Raises:
        SettingError: a new note lies outside the region or has an impossible pitch or velocity.
    """
    fitted = fit_notes(piece, region, new_notes)
    gone = piece.notes[notes_inside(piece, region)]
    chunk_of_track = np.array([track.chunk for track in piece.tracks])
    channel_of_track = np.array([track.channel for track in piece.tracks])
    release = _release(piece.smf)
    chunks = {}
    for index in np.unique(chunk_of_track[list(region.tracks)]).tolist():
        mine = fitted[chunk_of_track[fitted["track"]] == index]
        left = gone[gone["chunk"] == index]
        chunks[index] = _with_notes(
            piece.smf.chunks[index],
            gone=np.concatenate([left["on_event"], left["off_event"]]),
            notes=mine,
            channels=channel_of_track[mine["track"]],
            release=release,
        )
    return replace(piece, smf=piece.smf.with_chunks(chunks), known=piece.tracks)


def fit_notes(
    piece: Piece, region: ResolvedRegion, new_notes: NDArray[np.void]
) -> NDArray[np.void]:
    """Return the new notes as `replace_notes` writes them, by onset.

    Notes end with the region at the latest. Where a note that stays sounds on the same output,
    channel and pitch, in whichever track, a new note ends before it, or begins one tick later where
    both meet on a tick, or is left out. The same holds between new notes, in favour of the later.

    Args:
        piece: the piece as it was.
        region: as `Piece.resolve` gives it.
        new_notes: array of `segue.symbolic.notes.NEW_NOTE_FIELDS`.

    Raises:
        SettingError: a new note lies outside the region or has an impossible pitch or velocity.
    """
    return fit_notes_with_places(piece, region, new_notes)[0]


def fit_notes_with_places(
    piece: Piece, region: ResolvedRegion, new_notes: NDArray[np.void]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return what `fit_notes` does, and the place of each of them among the new notes."""
    _check_notes(region, new_notes)
    order = np.lexsort((new_notes["track"], -new_notes["duration_ticks"], new_notes["onset_ticks"]))
    new_notes = new_notes[order]
    chunks = np.array([track.chunk for track in piece.tracks], np.int64)[new_notes["track"]]
    voices = np.array([t.port * CHANNELS + t.channel for t in piece.tracks], np.int64)
    keys = voices[new_notes["track"]] * _PITCHES + new_notes["pitch"]
    blockers = _blockers(piece, notes_inside(piece, region), np.unique(keys))
    placed = _place(
        new_notes,
        keys=keys.tolist(),
        chunks=chunks.tolist(),
        blockers=blockers,
        end_ticks=region.end_ticks,
        stride=len(piece.smf.chunks) + 1,
    )
    fitted = np.zeros(len(placed), NEW_NOTE_FIELDS)
    which, onsets, ends = np.array(placed, np.int64).reshape(-1, 3).T
    for field in ("track", "pitch", "velocity"):
        fitted[field] = new_notes[field][which]
    fitted["onset_ticks"], fitted["duration_ticks"] = onsets, ends - onsets
    return fitted, order[which]


def _check_notes(region: ResolvedRegion, notes: NDArray[np.void]) -> None:
    """Raise SettingError for notes that cannot be written into the region."""
    onsets = notes["onset_ticks"]
    problems = {
        "begins outside the region": (onsets < region.start_ticks) | (onsets >= region.end_ticks),
        "is of a track that the region does not have": ~np.isin(notes["track"], region.tracks),
        "has a pitch that is not 0-127": (notes["pitch"] < 0) | (notes["pitch"] > 127),
        "has a velocity that is not 1-127": (notes["velocity"] < 1) | (notes["velocity"] > 127),
    }
    for problem, where in problems.items():
        if where.any():
            note = notes[np.argmax(where)]
            raise SettingError(
                f"A new note {problem}: track {note['track']}, pitch {note['pitch']}, velocity "
                f"{note['velocity']}, tick {note['onset_ticks']}; the region has tracks "
                f"{region.tracks}, ticks {region.start_ticks} to {region.end_ticks}."
            )


class _Blockers:
    """Where notes that stay sound on one output, channel and pitch.

    Moments are ``tick * stride + chunk``, the order in which merged tracks are played.
    """

    def __init__(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        order = np.argsort(starts, kind="stable")
        self._starts = starts[order]
        self._ends = np.maximum.accumulate(ends[order])

    def sounding_until(self, moment: int) -> int:
        """Return when the last note ends that begins at `moment` or before; -1 without one."""
        at = int(np.searchsorted(self._starts, moment, side="right"))
        return int(self._ends[at - 1]) if at else -1

    def next_after(self, moment: int) -> int:
        """Return when the next note begins after `moment`."""
        at = int(np.searchsorted(self._starts, moment, side="right"))
        return int(self._starts[at]) if at < len(self._starts) else _NEVER


def _blockers(
    piece: Piece, replaced: NDArray[np.bool_], keys: NDArray[np.int64]
) -> dict[int, _Blockers]:
    """Return by key where the notes that stay sound; note-offs that end nothing count as points.

    Programs disagree whether a note-off belongs to its track or to its channel across tracks. Where
    no track sounds by the first reading, none sounds by the second, so new notes change neither.
    """
    found, of_keys = _staying_events(piece, replaced, keys)
    num_chunks = len(piece.smf.chunks) + 1
    moments = found.events["tick"] * num_chunks + found.chunks
    begins = is_note_on(found.events)
    partners = pair(of_keys * num_chunks + found.chunks, begins)
    idle = ~begins
    idle[partners[partners >= 0]] = False

    starts = np.concatenate([moments[begins], moments[idle]])
    ended = np.where(partners < 0, _NEVER, moments[partners])
    ends = np.concatenate([ended[begins], moments[idle]])
    of_spans = np.concatenate([of_keys[begins], of_keys[idle]])
    order = np.argsort(of_spans, kind="stable")
    names, firsts = np.unique(of_spans[order], return_index=True)
    parts = zip(np.split(starts[order], firsts[1:]), np.split(ends[order], firsts[1:]), strict=True)
    return {key: _Blockers(*part) for key, part in zip(names.tolist(), parts, strict=False)}


def _staying_events(
    piece: Piece, replaced: NDArray[np.bool_], keys: NDArray[np.int64]
) -> tuple[ChannelEvents, NDArray[np.int64]]:
    """Return the note events with one of the `keys` that stay in the piece, and the key of each."""
    found = channel_events(piece.smf)
    found = found.only(is_note_on(found.events) | is_note_off(found.events))
    voices = chunk_ports(piece.smf)[found.chunks] * CHANNELS + found.channels
    of_events = voices * _PITCHES + found.events["first"]
    stride = max((len(chunk.events) for chunk in piece.smf.chunks), default=0) + 1
    gone = piece.notes[replaced]
    gone_events = np.concatenate([gone["on_event"], gone["off_event"]])
    gone_codes = np.tile(gone["chunk"].astype(np.int64), 2) * stride + gone_events
    is_gone = np.isin(found.chunks * stride + found.indices, gone_codes[gone_events >= 0])
    stays = np.isin(of_events, keys) & ~is_gone
    return found.only(stays), of_events[stays]


def _place(
    notes: NDArray[np.void],
    *,
    keys: list[int],
    chunks: list[int],
    blockers: dict[int, _Blockers],
    end_ticks: int,
    stride: int,
) -> list[tuple[int, int, int]]:
    """Return index, onset and end of the notes that find room, in ticks."""
    placed: dict[int, list[int]] = {}
    last_of_key: dict[int, int] = {}
    onsets = notes["onset_ticks"].tolist()
    wanted_ends = np.maximum(notes["onset_ticks"] + notes["duration_ticks"], onsets) + (
        notes["duration_ticks"] < 1
    )
    for index, (wanted, wanted_end) in enumerate(zip(onsets, wanted_ends.tolist(), strict=True)):
        key, chunk = keys[index], chunks[index]
        onset, end = wanted, min(wanted_end, end_ticks)
        if key in blockers:
            onset, end = _room(blockers[key], onset, end, chunk, stride)
        if onset >= end or not _make_way(placed, last_of_key.get(key), onset, chunk, chunks):
            continue
        placed[index] = [onset, end]
        last_of_key[key] = index
    return [(index, onset, end) for index, (onset, end) in placed.items()]


def _room(blockers: _Blockers, onset: int, end: int, chunk: int, stride: int) -> tuple[int, int]:
    """Return onset and end of a note between the notes that stay; onset = end where none is left."""
    until = blockers.sounding_until(onset * stride + chunk)
    if until > onset * stride + chunk and until // stride == onset:
        onset += 1
        until = blockers.sounding_until(onset * stride + chunk)
    if until > onset * stride + chunk:
        return onset, onset
    limit = (blockers.next_after(onset * stride + chunk) - chunk) // stride
    return onset, max(onset, min(end, limit))


def _make_way(
    placed: dict[int, list[int]],
    before: int | None,
    onset: int,
    chunk: int,
    chunks: list[int],
) -> bool:
    """Shorten the note `before` on the same key so that one can begin; return whether it can."""
    if before is None:
        return True
    first, end = placed[before]
    latest = onset if chunks[before] <= chunk else onset - 1
    placed_end = min(end, latest)
    if placed_end <= first:
        return False
    placed[before][1] = placed_end
    return True


def _release(smf: Smf) -> tuple[int, int]:
    """Return status and velocity of the note-offs of a file: the most common ones."""
    events = channel_events(smf).events
    events = events[is_note_off(events)]
    offs = events[events["status"] & 0xF0 == NOTE_OFF]
    if not len(events):
        return NOTE_OFF, 64
    if len(offs) * 2 <= len(events):
        return NOTE_ON, 0
    return NOTE_OFF, int(np.bincount(offs["second"]).argmax())


def _with_notes(
    chunk: Chunk,
    *,
    gone: NDArray[np.int64],
    notes: NDArray[np.void],
    channels: NDArray[np.int64],
    release: tuple[int, int],
) -> Chunk:
    """Return a track without the events `gone` and with new notes."""
    old = np.delete(chunk.events, gone[gone >= 0])
    pool, new = _note_events(chunk, notes, channels, release)
    events = np.concatenate([new, old])
    group = np.repeat((_NEW_OFFS, _NEW_ONS, _OLD), (len(notes), len(notes), len(old)))
    group[-1] = _END
    events["tick"][-1] = max(events["tick"][-1], new["tick"].max(initial=0))
    order = np.lexsort((np.arange(len(events)), group, events["tick"]))
    return chunk.with_events(events[order], pool)


def _note_events(
    chunk: Chunk,
    notes: NDArray[np.void],
    channels: NDArray[np.int64],
    release: tuple[int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.void]]:
    """Return the pool with the bytes of new notes, and their events: all offs, then all ons."""
    status, velocity = release
    count = len(notes)
    payload = np.empty((2 * count, 2), np.uint8)
    payload[:, 0] = np.tile(notes["pitch"], 2)
    payload[:count, 1] = velocity
    payload[count:, 1] = notes["velocity"]
    pool = np.concatenate([chunk.pool, payload.reshape(-1)])
    onsets = notes["onset_ticks"]
    codes = np.concatenate([status | channels, NOTE_ON | channels]).astype(np.int64)
    events = event_table(
        ticks=np.concatenate([onsets + notes["duration_ticks"], onsets]),
        codes=codes + _RUNNING * bool(chunk.events["running"].any()),
        starts=len(chunk.pool) + 2 * np.arange(2 * count),
        lengths=np.full(2 * count, 2, np.int64),
        pool=pool,
    )
    return pool, events
