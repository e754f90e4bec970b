"""Scores that try every corner of the codec: composed ones, and a strategy for random ones."""

from collections.abc import Sequence

from hypothesis import strategies as st
from symusic import Note, Score, Tempo, TimeSignature, Track
from symusic.core import ScoreTick

Meter = tuple[int, int, int]
"""Tick, numerator, denominator."""

NoteTuple = tuple[int, int, int, int]
"""Tick, duration, pitch, velocity."""

METERS = [
    (4, 4),
    (3, 4),
    (2, 4),
    (6, 8),
    (7, 8),
    (12, 8),
    (5, 16),
    (15, 16),
    (2, 2),
    (3, 2),
    (1, 4),
]
UNKNOWN_METERS = [(0, 4), (17, 8), (4, 1), (9, 64), (255, 4)]
RESOLUTIONS = [1, 7, 12, 24, 48, 96, 100, 120, 220, 384, 480, 960, 25480]


def make_score(
    ticks_per_quarter: int,
    tracks: Sequence[tuple[int, bool, Sequence[NoteTuple]]],
    meters: Sequence[Meter] = (),
    tempos: Sequence[tuple[int, float]] = (),
) -> ScoreTick:
    """Put a score together, sorted as if it had been read from a file."""
    score = Score(ticks_per_quarter)
    for program, is_drum, notes in tracks:
        track = Track(program=program, is_drum=is_drum)
        track.notes.extend([Note(*note) for note in notes])
        track.notes.sort()
        score.tracks.append(track)
    score.time_signatures.extend([TimeSignature(*meter) for meter in sorted_by_time(meters)])
    score.tempos.extend([Tempo(time, qpm) for time, qpm in sorted_by_time(tempos)])
    return score


def sorted_by_time(events: Sequence[tuple]) -> list[tuple]:
    return sorted(events, key=lambda event: event[0])


@st.composite
def scores(draw: st.DrawFn) -> ScoreTick:
    """Random scores: few places, so that events meet, over many meters, with unknown ones."""
    tpq = draw(st.sampled_from(RESOLUTIONS))
    span = draw(st.integers(1, 40)) * tpq
    step = draw(st.sampled_from([1, max(1, tpq // 12), max(1, tpq // 4), tpq]))
    ticks = st.one_of(st.integers(0, span // step).map(lambda n: n * step), st.integers(0, span))
    meter = st.tuples(
        ticks, st.one_of(st.sampled_from(METERS), st.sampled_from(UNKNOWN_METERS))
    ).map(lambda m: (m[0], *m[1]))
    note = st.tuples(
        ticks,
        st.one_of(st.integers(0, 3 * tpq), st.integers(0, 50 * tpq)),
        st.one_of(st.integers(58, 62), st.integers(0, 127)),
        st.integers(1, 127),
    )
    track = st.tuples(
        st.sampled_from([0, 0, 40, 41, 73, 127]), st.booleans(), st.lists(note, max_size=25)
    )
    qpm = st.one_of(st.sampled_from([120.0, 119.5, 60.0, 119.97]), st.floats(5, 600))
    return make_score(
        tpq,
        draw(st.lists(track, max_size=5)),
        draw(st.lists(meter, max_size=6)),
        draw(st.lists(st.tuples(ticks, qpm), max_size=6)),
    )
