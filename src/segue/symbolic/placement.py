"""Between a file's own ticks and the token grid, for generation.

The tokens of training follow MidiTok's idea of bars. A piece that a user opens is read by its own bars:
each bar of the file becomes one bar of the grid, or, where the tokenizer does not know its time
signature, several shorter ones. Generated notes go back onto the file's own ticks.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError, SettingError
from segue.symbolic.grid import TEMPO_FIELDS, Grid, empty_notes
from segue.symbolic.meter import MAX_BARS, BarTable
from segue.symbolic.prompt import Hole
from segue.symbolic.score import Piece
from segue.symbolic.stream import Ids
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary

_LARGEST_SPLIT_QUARTERS = 4.0


@dataclass(frozen=True, eq=False)
class ModelBars:
    """Bars as the model sees them, in the file's ticks.

    Attributes:
        start_ticks: start of every bar and the end of the last. Shape ``bars + 1``.
        signatures: time-signature index of every bar. Shape ``bars``.
        ticks_per_position: ticks of one grid position in every bar. Shape ``bars``.
        limits: grid positions that lie inside every bar. Shape ``bars``.
    """

    start_ticks: Ids
    signatures: NDArray[np.int32]
    ticks_per_position: NDArray[np.float64]
    limits: Ids

    @classmethod
    def of(cls, vocabulary: Vocabulary, bars: BarTable, ticks_per_quarter: int) -> Self:
        """Divide the bars of a file into bars whose time signature the tokenizer knows.

        Raises:
            DataError: that makes more than `MAX_BARS` bars.
        """
        starts: list[int] = []
        signatures: list[int] = []
        for start, end, numerator, denominator in zip(
            bars.start_ticks[:-1].tolist(),
            bars.start_ticks[1:].tolist(),
            np.asarray(bars.numerators).tolist(),
            np.asarray(bars.denominators).tolist(),
            strict=True,
        ):
            pieces = _divide(vocabulary, numerator, denominator, (end - start) / ticks_per_quarter)
            begin = start
            if len(starts) + len(pieces) > MAX_BARS:
                raise DataError(
                    f"The piece has bars as long as {numerator}/{denominator}; divided into bars that "
                    f"the model knows, they are more than {MAX_BARS:,}. Correct the time signature "
                    "in an editor."
                )
            for quarters, signature in pieces:
                starts.append(begin)
                signatures.append(signature)
                begin += round(quarters * ticks_per_quarter)
        start_ticks = np.array([*starts, int(bars.start_ticks[-1])], np.int64)
        chosen = np.array(signatures, np.int32)
        denominators = np.array([d for _, d in vocabulary.signatures])[chosen]
        per_position = ticks_per_quarter * 4 / denominators / vocabulary.positions_per_beat
        inside = np.ceil(np.diff(start_ticks) / per_position - 1e-6).astype(np.int64)
        limits = np.clip(inside, 1, vocabulary.bar_positions[chosen])
        return cls(start_ticks, chosen, per_position, limits)

    @property
    def num_bars(self) -> int:
        """Number of bars."""
        return len(self.signatures)

    def locate(self, ticks: Ids) -> tuple[Ids, Ids]:
        """Return bar and nearest grid position of every tick. Both of shape ``ticks``."""
        bars = np.searchsorted(self.start_ticks[:-1], ticks, side="right") - 1
        bars = np.clip(bars, 0, self.num_bars - 1)
        offsets = (ticks - self.start_ticks[bars]) / self.ticks_per_position[bars]
        positions = np.rint(offsets).astype(np.int64)
        late = positions >= self.limits[bars]
        moved = late & (bars + 1 < self.num_bars)
        positions = np.where(late, self.limits[bars] - 1, positions)
        return np.where(moved, bars + 1, bars), np.where(moved, 0, positions)

    def ticks(self, bars: Ids, positions: Ids) -> Ids:
        """Return the tick of grid positions, never past the end of their bar."""
        exact = self.start_ticks[bars] + positions * self.ticks_per_position[bars]
        return np.minimum(np.rint(exact).astype(np.int64), self.start_ticks[bars + 1] - 1)


def _divide(
    vocabulary: Vocabulary, numerator: int, denominator: int, quarters: float
) -> list[tuple[float, int]]:
    """Return length in quarters and time-signature index of the bars that one bar becomes."""
    known = vocabulary.signature_index.get((numerator, denominator))
    if known is not None and abs(4 * numerator / denominator - quarters) < 1e-6:
        return [(quarters, known)]
    pieces = []
    while quarters > _LARGEST_SPLIT_QUARTERS:
        pieces.append((_LARGEST_SPLIT_QUARTERS, _nearest(vocabulary, _LARGEST_SPLIT_QUARTERS)))
        quarters -= _LARGEST_SPLIT_QUARTERS
    return [*pieces, (quarters, _nearest(vocabulary, quarters))]


def _nearest(vocabulary: Vocabulary, quarters: float) -> int:
    """Return the time signature of this length, or the shortest longer one; quarters preferred."""
    lengths = np.array([4 * n / d for n, d in vocabulary.signatures])
    denominators = np.array([d for _, d in vocabulary.signatures])
    fitting = lengths >= quarters - 1e-6
    if not fitting.any():
        return int(np.argmax(lengths))
    preference = np.abs(np.log2(denominators / 4.0))
    return int(np.lexsort((preference, np.where(fitting, lengths, np.inf)))[0])


def grid_of(
    vocabulary: Vocabulary,
    piece: Piece,
    bars: ModelBars,
    removed: NDArray[np.bool_] | None = None,
) -> Grid:
    """Return the quantised copy of a piece that the model sees.

    Notes that the vocabulary cannot say (pitch or program out of range) are not in it; several notes of
    one instrument with one pitch and onset are one, and of those a note that stays comes before one that is
    `removed`. ``source`` is the index into ``piece.notes``.
    """
    source = piece.notes
    programs = np.where(source["is_drum"], DRUM_PROGRAM, source["program"])
    pitches = source["pitch"].astype(np.int64)
    sayable = _sayable(vocabulary, programs, pitches)
    chosen = np.flatnonzero(sayable)
    if removed is not None:
        chosen = chosen[np.argsort(removed[chosen], kind="stable")]
    notes = empty_notes(len(chosen))
    notes["source"] = chosen
    notes["bar"], notes["position"] = bars.locate(source["onset_ticks"][chosen].astype(np.int64))
    notes["program"], notes["pitch"] = programs[chosen], pitches[chosen]
    notes["velocity"] = _closest(vocabulary.velocities, source["velocity"][chosen])
    per_position = bars.ticks_per_position[notes["bar"]]
    lengths = source["duration_ticks"][chosen] / per_position
    notes["duration"] = _closest(vocabulary.duration_positions, lengths)
    ranks = program_ranks(piece)
    notes["track"] = [ranks[program] for program in notes["program"].tolist()]
    keys = np.stack([notes[k] for k in ("bar", "position", "track", "pitch")])
    _, first = np.unique(keys, axis=1, return_index=True) if len(notes) else (None, slice(0))
    return Grid.build(bars.signatures, notes[first], _tempos(vocabulary, piece, bars))


def _sayable(vocabulary: Vocabulary, programs: Ids, pitches: Ids) -> NDArray[np.bool_]:
    """Return which notes the vocabulary has tokens for."""
    drums = programs == DRUM_PROGRAM
    low = np.where(drums, vocabulary.drum_pitch_range[0], vocabulary.pitch_range[0])
    high = np.where(drums, vocabulary.drum_pitch_range[1], vocabulary.pitch_range[1])
    inside: NDArray[np.bool_] = (pitches >= low) & (pitches <= high)
    return inside & np.isin(programs, vocabulary.programs)


def _closest(values: NDArray[np.generic], wanted: NDArray[np.generic]) -> Ids:
    """Return the index of the nearest of ascending `values` for every wanted one."""
    edges = (np.asarray(values[1:], float) + np.asarray(values[:-1], float)) / 2
    return np.searchsorted(edges, np.asarray(wanted, float), side="left").astype(np.int64)


def program_ranks(piece: Piece) -> dict[int, int]:
    """Return the rank of every program of a piece: programs of earlier tracks come first."""
    notes = piece.notes
    programs = np.where(notes["is_drum"], DRUM_PROGRAM, notes["program"]).tolist()
    owners = list(zip(notes["track"].tolist(), programs, strict=True))
    owners += [(t.index, DRUM_PROGRAM if t.is_drum else t.program) for t in piece.tracks]
    ranks: dict[int, int] = {}
    for _, program in sorted(set(owners)):
        ranks.setdefault(program, len(ranks))
    return ranks


def _tempos(vocabulary: Vocabulary, piece: Piece, bars: ModelBars) -> NDArray[np.void]:
    """Return the tempo map on the grid: nearest known tempos, repetitions dropped."""
    if not vocabulary.config["use_tempos"]:
        return np.zeros(0, TEMPO_FIELDS)
    per_minute, ticks = piece.tempos.quarters_per_minute, piece.tempos.ticks
    inside = ticks < bars.start_ticks[-1]
    tempos = np.zeros(int(inside.sum()), TEMPO_FIELDS)
    tempos["bar"], tempos["position"] = bars.locate(ticks[inside])
    tempos["tempo"] = _closest(vocabulary.tempos, per_minute[inside])
    last_here = np.ones(len(tempos), bool)
    last_here[:-1] = (np.diff(tempos["bar"]) != 0) | (np.diff(tempos["position"]) != 0)
    tempos = tempos[last_here]
    changed = np.ones(len(tempos), bool)
    changed[1:] = np.diff(tempos["tempo"]) != 0
    return tempos[changed]


def hole_of(bars: ModelBars, start_ticks: int, end_ticks: int, programs: tuple[int, ...]) -> Hole:
    """Return the hole of a span of ticks: grid positions at or behind the start, before the end.

    Raises:
        SettingError: no grid position lies in the span.
    """
    first = int(np.searchsorted(bars.start_ticks, start_ticks, side="right")) - 1
    last = int(np.searchsorted(bars.start_ticks, end_ticks, side="left")) - 1
    first_position = _position_at(bars, first, start_ticks)
    if first_position >= bars.limits[first] and first < last:
        first, first_position = first + 1, 0
    last_position = min(_position_at(bars, last, end_ticks), int(bars.limits[last]))
    if first > last or (first == last and first_position >= last_position):
        raise SettingError(
            f"The region (ticks {start_ticks} to {end_ticks}) is too short: no grid position of the "
            "model lies inside. Choose a longer region."
        )
    whole = last_position >= bars.limits[last]
    return Hole(first, last + 1, programs, first_position, None if whole else last_position)


def _position_at(bars: ModelBars, bar: int, tick: int) -> int:
    """Return the first grid position of a bar at or behind a tick."""
    offset = (tick - int(bars.start_ticks[bar])) / float(bars.ticks_per_position[bar])
    return int(np.ceil(offset - 1e-6))
