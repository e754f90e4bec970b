"""From the token grid to a score: for other tokenizers, for the eye and for the ear."""

from collections.abc import Sequence

import numpy as np
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from segue.symbolic.codec import grid_to_notes
from segue.symbolic.grid import Grid
from segue.symbolic.score import Piece
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary


def programs_of(grid: Grid) -> list[int]:
    """Return the instruments of a grid in the order of its tracks."""
    pairs = np.unique(np.stack([grid.notes["track"], grid.notes["program"]]), axis=1)
    return list(dict.fromkeys(pairs[1].tolist()))


def score_of(
    vocabulary: Vocabulary, grid: Grid, *, programs: Sequence[int] | None = None
) -> ScoreTick:
    """Return a grid as a score in ticks, one track per instrument.

    Args:
        vocabulary: of the grid.
        grid: bars, notes and tempos.
        programs: the tracks, with or without notes; those of the grid by default.
    """
    score = ScoreTick(vocabulary.units_per_quarter)
    starts = grid.bar_starts(vocabulary)
    last = -1
    for start, signature in zip(starts.tolist(), grid.signatures.tolist(), strict=False):
        if signature != last:
            score.time_signatures.append(
                TimeSignatureTick(start, *vocabulary.signatures[signature])
            )
            last = signature
    for tempo in grid.tempos:
        bar = int(tempo["bar"])
        unit = int(vocabulary.units_per_position[grid.signatures[bar]])
        at = int(starts[bar]) + int(tempo["position"]) * unit
        score.tempos.append(TempoTick(at, qpm=float(vocabulary.tempos[tempo["tempo"]])))
    notes = grid_to_notes(vocabulary, grid)
    for program in programs_of(grid) if programs is None else programs:
        is_drum = program == DRUM_PROGRAM
        track = TrackTick("", 0 if is_drum else program, is_drum)
        for note in notes[notes["program"] == program]:
            onset, duration = int(note["onset"]), int(note["duration"])
            track.notes.append(NoteTick(onset, duration, int(note["pitch"]), int(note["velocity"])))
        score.tracks.append(track)
    return score


def piece_of(
    vocabulary: Vocabulary,
    grid: Grid,
    *,
    programs: Sequence[int] | None = None,
    name: str = "The excerpt",
) -> Piece:
    """Return a grid as a piece that can be drawn, heard and written; arguments as of `score_of`."""
    score = score_of(vocabulary, grid, programs=programs)
    return Piece.from_bytes(score.dumps_midi(), name=name)
