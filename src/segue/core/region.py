"""The span that a user marks, for MIDI and audio alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

from segue.errors import SettingError

Unit = Literal["bars", "beats", "seconds"]
"""What the numbers of a region count."""
TrackName = int | str
"""A track by its index from 0, or by a word of its name, its instrument or its family."""
Span = int | float | str | tuple[float, float]
"""A span as a user gives it: ``9``, ``(9, 12)``, ``"9-12"`` or ``"12.5-20"``."""


@dataclass(frozen=True)
class Region:
    """Some tracks of a piece, from `start` to `end`.

    Bars and beats are whole, counted from 1, both ends included: ``Region(None, 9, 12)`` is bars 9,
    10, 11 and 12. Seconds run from `start` up to, not including, `end`.

    Attributes:
        tracks: indices from 0, words of names, instruments or families; None for all.
        start: first bar or beat, or the time it begins at.
        end: last bar or beat, or the time it ends at.
        unit: what `start` and `end` count.

    Raises:
        SettingError: the numbers do not make a span, or no track is named.

    Example:
        >>> Region.parse("9-12", tracks="piano,2")
        Region(tracks=('piano', 2), start=9, end=12, unit='bars')
    """

    tracks: tuple[TrackName, ...] | None
    start: float
    end: float
    unit: Unit = "bars"

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.unit not in get_args(Unit):
            raise SettingError(f"The unit is {self.unit!r}; it can be bars, beats or seconds.")
        if self.tracks is not None and not self.tracks:
            raise SettingError("No track is named. Name at least one, or leave tracks out for all.")
        _check_seconds(self) if self.unit == "seconds" else _check_counts(self)

    @classmethod
    def parse(
        cls,
        span: Span,
        *,
        unit: Unit = "bars",
        tracks: str | int | Sequence[TrackName] | None = None,
    ) -> Self:
        """Make a region of what a user gives.

        Args:
            span: ``"9-12"``, ``"9"``, ``9``, ``(9, 12)``, for seconds ``"12.5-20"``.
            unit: what the numbers count.
            tracks: as in `parse_tracks`.

        Raises:
            SettingError: as the class, or the text is not a span.
        """
        start, end = _read_span(span, unit)
        return cls(parse_tracks(tracks), start, end, unit)

    def __str__(self) -> str:
        """Return the region in words, such as ``bars 9-12``."""
        return f"{self.unit} {self.start:g}-{self.end:g}"


def parse_tracks(
    tracks: str | int | Sequence[TrackName] | None,
) -> tuple[TrackName, ...] | None:
    """Return tracks as a tuple: ``"piano,2"``, ``2`` and ``["piano", 2]`` are understood.

    Parts that are whole numbers become indices. None stays None: all tracks.

    Raises:
        SettingError: no track is named, or something is neither a number nor a word.
    """
    if tracks is None:
        return None
    given: Sequence[object] = [tracks] if isinstance(tracks, int) else tracks
    names: list[TrackName] = []
    for part in given.split(",") if isinstance(given, str) else given:
        if isinstance(part, bool) or not isinstance(part, int | str):
            raise SettingError(f"A track is given as {part!r}; give its number from 0 or a name.")
        text = str(part).strip()
        if text:
            names.append(int(text) if text.isdecimal() else text)
    if not names:
        raise SettingError("No track is named. Name at least one, or leave tracks out for all.")
    return tuple(names)


def _read_span(span: Span, unit: Unit) -> tuple[float, float]:
    """Return both ends of a span as a user gives it."""
    if isinstance(span, str):
        ends = [_read_number(part, span, unit) for part in span.split("-")]
    else:
        ends = list(span) if isinstance(span, tuple | list) else [span]
    if len(ends) == 1 and unit != "seconds":
        ends *= 2
    if len(ends) != 2:
        raise _not_a_span(span, unit)
    return ends[0], ends[1]


def _read_number(text: str, span: str, unit: Unit) -> float:
    """Return one end of a span."""
    try:
        return float(text) if unit == "seconds" else int(text)
    except ValueError as error:
        raise _not_a_span(span, unit) from error


def _not_a_span(span: object, unit: Unit) -> SettingError:
    """Return the error for what is not a span."""
    example = "12.5-20" if unit == "seconds" else "9-12 or 9"
    return SettingError(f"{span!r} is not a span of {unit}. Give it like {example}.")


def _check_counts(region: Region) -> None:
    """Raise SettingError unless the region is a span of whole bars or beats."""
    if not (float(region.start).is_integer() and float(region.end).is_integer()):
        raise SettingError(f"{region}: {region.unit} are whole numbers.")
    if not 1 <= region.start <= region.end:
        raise SettingError(
            f"{region}: {region.unit} are counted from 1, and the first comes before the last."
        )


def _check_seconds(region: Region) -> None:
    """Raise SettingError unless the region is a span of time."""
    if not (math.isfinite(region.end) and 0 <= region.start < region.end):
        raise SettingError(f"{region}: the region begins at 0 or later and ends after it begins.")
