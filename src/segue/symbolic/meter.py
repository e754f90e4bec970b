"""Bars, beats and seconds of a piece, from its own time signatures, tempos and ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segue.errors import DataError, SettingError
from segue.symbolic.smf import TEMPO, TIME_SIGNATURE, MetaEvent, Smf
from segue.units import MICROSECONDS_PER_SECOND, QUARTERS_PER_WHOLE, SECONDS_PER_MINUTE

MAX_BARS = 100_000
"""Pieces with more bars are refused."""
MAX_DENOMINATOR = 256
"""Largest denominator of a time signature that is read."""
DEFAULT_SIGNATURE = (4, 4)
"""Time signature until the first one in the file, as the format says."""
DEFAULT_TEMPO_MICROSECONDS = 500_000
"""Microseconds per quarter note until the first tempo in the file (120 quarters a minute)."""


class TimeSignature(NamedTuple):
    """A time signature from `tick` on; `denominator` is the note value itself: 4 for a quarter."""

    tick: int
    numerator: int
    denominator: int


@dataclass(frozen=True, eq=False)
class BarTable:
    """All bars of a piece.

    Attributes:
        start_ticks: start of every bar, and end of the last. Shape ``bars + 1``.
        numerators: beats of a whole bar of this signature. Shape ``bars``.
        denominators: note value of a beat (4 = quarter). Shape ``bars``.
        ticks_per_quarter: ticks per quarter note.
    """

    start_ticks: NDArray[np.int64]
    numerators: NDArray[np.int64]
    denominators: NDArray[np.int64]
    ticks_per_quarter: int

    @classmethod
    def build(
        cls,
        signatures: Sequence[TimeSignature],
        *,
        ticks_per_quarter: int,
        end_ticks: int,
        min_bars: int = 1,
    ) -> Self:
        """Lay out the bars from tick 0 until all ticks before `end_ticks` lie in one.

        A new signature begins a new bar where it stands, so that the bar before it may be short.

        Args:
            signatures: by tick, each with a numerator of at least 1. 4/4 until the first one.
            ticks_per_quarter: ticks per quarter note.
            end_ticks: the bars reach at least up to here.
            min_bars: at least as many bars are laid out.

        Raises:
            DataError: more than `MAX_BARS` bars, or bars shorter than a tick.
        """
        ticks, numerators, denominators = _segments(signatures, end_ticks, min_bars)
        whole_bars = QUARTERS_PER_WHOLE * ticks_per_quarter * numerators
        if (whole_bars < denominators).any():
            short = int(np.argmax(whole_bars < denominators))
            raise DataError(
                f"A bar of {numerators[short]}/{denominators[short]} is shorter than a tick at "
                f"{ticks_per_quarter} ticks per quarter note. Export the file at a finer resolution."
            )
        lengths = np.diff(ticks, append=max(end_ticks, int(ticks[-1]) + 1))
        counts = -(-lengths * denominators // whole_bars)
        counts[-1] += max(0, min_bars - int(counts.sum()))
        if counts.sum() > MAX_BARS:
            raise DataError(
                f"The piece would have {counts.sum():,} bars up to its last event at tick "
                f"{end_ticks:,}; pieces of up to {MAX_BARS:,} bars are read. An event far behind "
                "the music is the usual reason: remove it in an editor."
            )
        segment = np.repeat(np.arange(len(ticks)), counts)
        within = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = ticks[segment] + within * whole_bars[segment] // denominators[segment]
        end = int(ticks[-1] + counts[-1] * whole_bars[-1] // denominators[-1])
        return cls(
            np.append(starts, end), numerators[segment], denominators[segment], ticks_per_quarter
        )

    @property
    def num_bars(self) -> int:
        """Number of bars."""
        return len(self.numerators)

    @property
    def beat_counts(self) -> NDArray[np.int64]:
        """Beats that begin in each bar: the numerator, or fewer in a bar cut short. Shape ``bars``."""
        lengths = np.diff(self.start_ticks)
        begun = -(-lengths * self.denominators // (QUARTERS_PER_WHOLE * self.ticks_per_quarter))
        return np.minimum(begun, self.numerators)

    @property
    def num_beats(self) -> int:
        """Number of beats; a beat is one unit of its bar's denominator."""
        return int(self.beat_counts.sum())

    def bar_at(self, ticks: ArrayLike) -> NDArray[np.int64]:
        """Return which bar each tick lies in, counted from 0 (-1 before, ``bars`` after the piece)."""
        return np.searchsorted(self.start_ticks, np.asarray(ticks), side="right") - 1

    def ticks_of_bars(self, first: int, last: int) -> tuple[int, int]:
        """Return start and end of bars `first` to `last`, counted from 1, both included.

        Raises:
            SettingError: the piece does not have these bars.
        """
        _check_span(first, last, self.num_bars, "bars")
        return int(self.start_ticks[first - 1]), int(self.start_ticks[last])

    def ticks_of_beats(self, first: int, last: int) -> tuple[int, int]:
        """Return start and end of beats `first` to `last`, counted from 1, both included.

        Raises:
            SettingError: the piece does not have these beats.
        """
        _check_span(first, last, self.num_beats, "beats")
        return self._beat_start(first - 1), self._beat_start(last)

    def _beat_start(self, beat: int) -> int:
        """Return where a beat begins, counted from 0; the number of beats gives the end."""
        ends = np.cumsum(self.beat_counts)
        bar = int(np.searchsorted(ends, beat, side="right"))
        if bar == self.num_bars:
            return int(self.start_ticks[-1])
        within = beat - int(ends[bar] - self.beat_counts[bar])
        offset = within * QUARTERS_PER_WHOLE * self.ticks_per_quarter // int(self.denominators[bar])
        return int(self.start_ticks[bar]) + offset


@dataclass(frozen=True, eq=False)
class TempoMap:
    """Tempo changes of a piece, the first at tick 0.

    Attributes:
        ticks: where each tempo begins, strictly rising. Shape ``tempos``.
        microseconds: microseconds per quarter note. Shape ``tempos``.
        ticks_per_quarter: ticks per quarter note.
    """

    ticks: NDArray[np.int64]
    microseconds: NDArray[np.int64]
    ticks_per_quarter: int

    @property
    def quarters_per_minute(self) -> NDArray[np.float64]:
        """Quarter notes per minute. Shape ``tempos``."""
        return np.asarray(
            SECONDS_PER_MINUTE * MICROSECONDS_PER_SECOND / self.microseconds, np.float64
        )

    def seconds_at(self, ticks: ArrayLike) -> NDArray[np.float64]:
        """Return the time of each tick in seconds from the beginning."""
        ticks = np.asarray(ticks, np.float64)
        which = np.maximum(np.searchsorted(self.ticks, ticks, side="right") - 1, 0)
        since = (ticks - self.ticks[which]) * self._seconds_per_tick[which]
        return np.asarray(self._starts[which] + since, np.float64)

    def ticks_at(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Return the tick of each time in seconds, with its fraction."""
        seconds = np.asarray(seconds, np.float64)
        which = np.maximum(np.searchsorted(self._starts, seconds, side="right") - 1, 0)
        since = (seconds - self._starts[which]) / self._seconds_per_tick[which]
        return np.asarray(self.ticks[which] + since, np.float64)

    @property
    def _seconds_per_tick(self) -> NDArray[np.float64]:
        return np.asarray(
            self.microseconds / (MICROSECONDS_PER_SECOND * self.ticks_per_quarter), np.float64
        )

    @property
    def _starts(self) -> NDArray[np.float64]:
        """Seconds at which each tempo begins."""
        spans = np.diff(self.ticks) * self._seconds_per_tick[:-1]
        return np.concatenate([[0.0], np.cumsum(spans)])


def read_signatures(smf: Smf, *, name: str = "The file") -> list[TimeSignature]:
    """Return the time signatures of a file by tick; the last of several at one tick holds.

    Raises:
        DataError: a signature without beats, with an absurd denominator, or cut short; or more
            signatures than a piece can have bars.
    """
    found: dict[int, TimeSignature] = {}
    metas = smf.metas(TIME_SIGNATURE)
    if len(metas) > MAX_BARS:
        raise DataError(
            f"{name} has {len(metas):,} time signatures; up to {MAX_BARS:,} are read. It is damaged."
        )
    for meta in metas:
        if len(meta.payload) < 2:
            raise _unreadable(name, "time signature", meta)
        numerator, power = meta.payload[:2]
        if numerator == 0 or 1 << power > MAX_DENOMINATOR:
            denominator = f"{1 << power}" if power < 16 else f"2^{power}"
            raise DataError(
                f"{name} has the time signature {numerator}/{denominator} at tick {meta.tick:,}, "
                f"which makes no bars (numerators from 1, denominators up to {MAX_DENOMINATOR}). "
                "Correct it in an editor."
            )
        found[meta.tick] = TimeSignature(meta.tick, numerator, 1 << power)
    return list(found.values())


def read_tempos(smf: Smf, *, name: str = "The file") -> TempoMap:
    """Return the tempo map of a file; the last of several tempos at one tick holds.

    Raises:
        DataError: a tempo of zero microseconds per quarter note, or one cut short.
    """
    found = {0: DEFAULT_TEMPO_MICROSECONDS}
    for meta in smf.metas(TEMPO):
        microseconds = int.from_bytes(meta.payload[:3], "big")
        if len(meta.payload) < 3 or microseconds == 0:
            raise _unreadable(name, "tempo", meta)
        found[meta.tick] = microseconds
    ticks = np.array(list(found), np.int64)
    return TempoMap(ticks, np.array(list(found.values()), np.int64), smf.ticks_per_quarter)


def _segments(
    signatures: Sequence[TimeSignature], end_ticks: int, min_bars: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return tick, numerator and denominator of the signatures in force, the first at tick 0."""
    used = [s for s in signatures if s.tick < end_ticks or s.tick == 0 or min_bars > 1]
    if not used or used[0].tick > 0:
        used.insert(0, TimeSignature(0, *DEFAULT_SIGNATURE))
    ticks, numerators, denominators = np.array(used, np.int64).T
    return ticks, numerators, denominators


def _check_span(first: int, last: int, count: int, unit: str) -> None:
    """Raise SettingError unless 1 <= first <= last <= count."""
    if not 1 <= first <= last <= count:
        span = f"{first}" if first == last else f"{first}-{last}"
        raise SettingError(
            f"{unit.capitalize()} {span} were asked for, but the piece has {unit} 1-{count}."
        )


def _unreadable(name: str, what: str, meta: MetaEvent) -> DataError:
    """Return the error for a meta event with a payload that makes no sense."""
    return DataError(
        f"{name} has an unreadable {what} at tick {meta.tick:,} (bytes "
        f"{meta.payload[:8].hex(' ') or 'none'}). Correct it in an editor."
    )
