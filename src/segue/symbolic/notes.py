"""Notes as arrays, and which note-off ends which note."""

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.smf import NOTE_OFF, NOTE_ON

NOTE_FIELDS = np.dtype(
    [
        ("track", np.int32),
        ("program", np.int32),
        ("is_drum", np.bool_),
        ("channel", np.int32),
        ("pitch", np.int32),
        ("velocity", np.int32),
        ("onset_ticks", np.int64),
        ("duration_ticks", np.int64),
        ("chunk", np.int32),
        ("on_event", np.int64),
        ("off_event", np.int64),
    ]
)
"""A note of a piece.

``track`` is its index in the piece's tracks, ``program`` the program of its channel when it begins;
``chunk``, ``on_event`` and ``off_event`` say which events of the file it comes from (``off_event``
is -1 where nothing ends the note, which then lasts until the end of its track).
"""

NEW_NOTE_FIELDS = np.dtype(
    [
        ("track", np.int32),
        ("pitch", np.int32),
        ("velocity", np.int32),
        ("onset_ticks", np.int64),
        ("duration_ticks", np.int64),
    ]
)
"""A note to be written into a piece; ``track`` is an index of the piece's tracks."""


def is_note_on(events: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return which events begin a note: note-on with a velocity."""
    return np.asarray((events["status"] & 0xF0 == NOTE_ON) & (events["second"] > 0))


def is_note_off(events: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return which events end a note: note-off, or note-on without velocity."""
    kind = events["status"] & 0xF0
    return np.asarray((kind == NOTE_OFF) | ((kind == NOTE_ON) & (events["second"] == 0)))


def pair(keys: NDArray[np.int64], begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for every event that begins a note the index of the event that ends it.

    Among events of one key the first note that begins is the first that ends. An event that ends a
    note where none sounds is ignored.

    Args:
        keys: what must agree, such as track, channel and pitch in one number. Events in time order.
        begins: True where the event begins a note, False where it ends one.

    Returns:
        One entry per event: the index of the ending event, or -1 where there is none (and for all
        events that end notes).
    """
    partner = np.full(len(keys), -1, np.int64)
    if not len(keys):
        return partner
    order = np.argsort(keys, kind="stable")
    begins, keys = begins[order], keys[order]
    segment = np.cumsum(np.concatenate([[False], keys[1:] != keys[:-1]]))

    # Per key: balance of begun minus ended notes. An end is idle where the balance reaches a new
    # low. Shifting every key's balance below all before it lets one running minimum serve all keys.
    step = np.where(begins, 1, -1)
    total = np.cumsum(step)
    first = np.searchsorted(segment, segment)
    balance = total - (total[first] - step[first])
    floor = -segment * (2 * len(keys) + 2)
    low = np.minimum.accumulate(balance + floor)
    low_before = np.minimum(np.concatenate([[0], low[:-1]]), floor)
    ends = ~begins & (balance + floor >= low_before)

    rank_of_begin = np.cumsum(begins)
    rank_of_end = np.cumsum(ends)
    base_begin: NDArray[np.int64] = (rank_of_begin - begins)[first]
    base_end: NDArray[np.int64] = (rank_of_end - ends)[first]
    stride = len(keys) + 1
    begin_code = (segment * stride + rank_of_begin - base_begin)[begins]
    end_code = (segment * stride + rank_of_end - base_end)[ends]
    where = np.minimum(np.searchsorted(end_code, begin_code), max(len(end_code) - 1, 0))
    if len(end_code):
        found = end_code[where] == begin_code
        partner[order[begins][found]] = order[ends][where[found]]
    return partner
