"""Sharing the notes of one instrument among the tracks that play it.

The tokens know instruments, not tracks. Where a region holds several tracks of one instrument (the hands
of a piano, two violins), the model writes for all of them at once, and the notes are dealt out here.
"""

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.registers import Register

_NEIGHBOURS = 48
_ENOUGH_NOTES, _FEWEST_NOTES = 12, 4
_REGISTER_NOTES = 120
_MARGIN_SEMITONES, _WIDE_MARGIN_SEMITONES = 2, 12


def centres(
    pitches: NDArray[np.integer],
    onsets: NDArray[np.integer],
    tracks: NDArray[np.integer],
    wanted: tuple[int, ...],
    moment: int,
) -> NDArray[np.float64]:
    """Return the mean pitch of each wanted track near a moment; NaN where it has no notes.

    Args:
        pitches: of the notes that stay. Shape ``notes``.
        onsets: in ticks. Shape ``notes``.
        tracks: of the notes. Shape ``notes``.
        wanted: track indices.
        moment: tick around which the nearest notes count.
    """
    means = np.full(len(wanted), np.nan)
    for number, track in enumerate(wanted):
        mine = np.flatnonzero(tracks == track)
        nearest = mine[np.argsort(np.abs(onsets[mine] - moment), kind="stable")[:_NEIGHBOURS]]
        if len(nearest):
            means[number] = pitches[nearest].mean()
    return means


def share(
    onsets: NDArray[np.integer],
    pitches: NDArray[np.integer],
    centre_pitches: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return which of several tracks gets each note.

    An onset with as many notes as tracks, or more, is dealt out from top to bottom with no crossing and
    every track playing; else each note goes to the track whose register it is in.

    Args:
        onsets: comparable moments. Shape ``notes``.
        pitches: MIDI pitches. Shape ``notes``.
        centre_pitches: register of each track, as `centres` gives it; a track without notes of its
            own takes its place in track order, the first highest. Shape ``tracks``.
    """
    registers = _complete(centre_pitches, pitches)
    order = np.argsort(-registers, kind="stable")
    owners = np.zeros(len(pitches), np.int64)
    for onset in np.unique(onsets):
        here = np.flatnonzero(onsets == onset)
        falling = here[np.argsort(-pitches[here], kind="stable")]
        owners[falling] = order[_deal(pitches[falling], registers[order])]
    return owners


def _complete(registers: NDArray[np.float64], pitches: NDArray[np.integer]) -> NDArray[np.float64]:
    """Give tracks without notes a register: evenly spaced quantiles of the new notes, falling."""
    known = ~np.isnan(registers)
    if known.all() or not len(pitches):
        return np.nan_to_num(registers)
    spread = np.quantile(pitches, np.linspace(1, 0, 2 * len(registers) + 1)[1::2])
    return np.where(known, registers, spread)


def _deal(falling: NDArray[np.integer], registers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the track (in falling order of register) of notes in falling order of pitch.

    Of all ways without crossing, the one with the smallest sum of distances to the registers; every
    track plays where there are notes enough. Dynamic programming over notes and tracks.
    """
    num_notes, num_tracks = len(falling), len(registers)
    distance = np.abs(falling[:, None] - registers[None, :])
    must_play = num_notes >= num_tracks
    cost = np.full((num_notes, num_tracks), np.inf)
    origin = np.zeros((num_notes, num_tracks), np.int64)
    cost[0] = distance[0]
    if must_play:
        cost[0, 1:] = np.inf
    for note in range(1, num_notes):
        for track in range(num_tracks):
            low = max(0, track - 1) if must_play else 0
            before = cost[note - 1, low : track + 1]
            origin[note, track] = low + int(np.argmin(before))
            cost[note, track] = before.min() + distance[note, track]
    dealt = np.zeros(num_notes, np.int64)
    dealt[-1] = num_tracks - 1 if must_play else int(np.argmin(cost[-1]))
    for note in range(num_notes - 1, 0, -1):
        dealt[note - 1] = origin[note, dealt[note]]
    return dealt


def habits(
    pitches: NDArray[np.integer],
    onsets: NDArray[np.integer],
    tracks: NDArray[np.integer],
    wanted: tuple[int, ...],
    moment: int,
    usual: Register | None = None,
) -> tuple[int, int, int] | None:
    """Return lowest pitch, highest pitch and most notes at once of tracks around a moment.

    The register is that of the nearest notes, with a whole tone on both sides, or an octave where they
    are fewer than a dozen; the number of voices is the one that 98 of 100 of their onsets keep to,
    summed over the tracks.

    Args:
        pitches: of the notes that stay. Shape ``notes``.
        onsets: in ticks. Shape ``notes``.
        tracks: of the notes. Shape ``notes``.
        wanted: track indices.
        moment: tick around which the nearest notes count.
        usual: what the instrument plays, for tracks with fewer than four notes, which are too few to tell.

    Returns:
        None where such a track is met and nothing is usual.
    """
    lowest, highest, voices = 127, 0, 0
    for track in wanted:
        mine = np.flatnonzero(tracks == track)
        if len(mine) < _FEWEST_NOTES:
            if usual is None:
                return None
            own = pitches[mine].tolist()
            lowest, highest = min(lowest, usual.lowest, *own), max(highest, usual.highest, *own)
            voices += usual.voices
            continue
        margin = _MARGIN_SEMITONES if len(mine) >= _ENOUGH_NOTES else _WIDE_MARGIN_SEMITONES
        near = mine[np.argsort(np.abs(onsets[mine] - moment), kind="stable")[:_REGISTER_NOTES]]
        lowest = min(lowest, int(pitches[near].min()) - margin)
        highest = max(highest, int(pitches[near].max()) + margin)
        at_once = np.unique(onsets[near], return_counts=True)[1]
        voices += int(np.quantile(at_once, 0.98, method="higher"))
    return max(0, lowest), min(127, highest), voices
