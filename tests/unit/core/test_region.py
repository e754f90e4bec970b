"""The span that a user marks."""

from typing import Any

import pytest

from segue.core.region import Region, parse_tracks
from segue.errors import SettingError


@pytest.mark.parametrize(
    ("span", "unit", "expected"),
    [
        ("9-12", "bars", (9, 12)),
        ("9", "bars", (9, 9)),
        (9, "bars", (9, 9)),
        ((9, 12), "bars", (9, 12)),
        (" 33 - 48 ", "beats", (33, 48)),
        ("12.5-20", "seconds", (12.5, 20)),
        ("0-.5", "seconds", (0, 0.5)),
        ((1, 2.5), "seconds", (1, 2.5)),
    ],
)
def test_spans_as_users_give_them(span: Any, unit: Any, expected: tuple[float, float]) -> None:
    region = Region.parse(span, unit=unit)
    assert (region.start, region.end) == expected
    assert region.unit == unit
    assert region.tracks is None


@pytest.mark.parametrize(
    ("span", "unit"),
    [
        ("", "bars"),
        ("nine", "bars"),
        ("9-12-15", "bars"),
        ("9.5-12", "bars"),
        ((9.5, 12), "bars"),
        ("-3", "bars"),
        ("0-4", "bars"),
        ("12-9", "beats"),
        ("5", "seconds"),
        ("5-5", "seconds"),
        ("0-inf", "seconds"),
        ("nan-4", "seconds"),
        ((-1, 4), "seconds"),
        ("1-2", "minutes"),
        ((float("nan"), 4), "bars"),
        ((1, float("inf")), "bars"),
    ],
)
def test_what_is_no_span_is_refused(span: Any, unit: Any) -> None:
    with pytest.raises(SettingError):
        Region.parse(span, unit=unit)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (2, (2,)),
        ("piano", ("piano",)),
        ("0,2", (0, 2)),
        ("piano, 2 ,electric bass,", ("piano", 2, "electric bass")),
        (["piano", 2], ("piano", 2)),
        ((0,), (0,)),
    ],
)
def test_tracks_as_users_give_them(given: Any, expected: Any) -> None:
    assert parse_tracks(given) == expected


@pytest.mark.parametrize("given", ["", " , ", [], [1.5], [True], [None]])
def test_what_is_no_track_is_refused(given: Any) -> None:
    with pytest.raises(SettingError):
        parse_tracks(given)
    with pytest.raises(SettingError):
        Region((), 1, 1)


def test_regions_say_what_they_are() -> None:
    assert str(Region.parse("9-12")) == "bars 9-12"
    assert str(Region.parse("12.5-20", unit="seconds")) == "seconds 12.5-20"
