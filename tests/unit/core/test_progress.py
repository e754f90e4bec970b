"""The progress protocol: silent by default, told after each item."""

import contextlib
from collections.abc import Iterator

import pytest

from segue.core.progress import Advance, silent, track


class Recorder:
    """A progress that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[object] = []

    @contextlib.contextmanager
    def __call__(self, label: str, *, total: float | None = None) -> Iterator[Advance]:
        self.events.append((label, total))
        try:
            yield lambda count=1: self.events.append(count)
        finally:
            self.events.append("closed")


def test_track_tells_after_each_item() -> None:
    recorder = Recorder()
    for item in track("ab", "spelling", progress=recorder):
        recorder.events.append(item)
    assert recorder.events == [("spelling", 2), "a", 1, "b", 1, "closed"]


def test_track_of_an_iterator_has_no_total_unless_given() -> None:
    recorder = Recorder()
    assert list(track(iter("ab"), "x", progress=recorder)) == ["a", "b"]
    assert list(track(iter("ab"), "y", total=2, progress=recorder)) == ["a", "b"]
    assert [event for event in recorder.events if isinstance(event, tuple)] == [
        ("x", None),
        ("y", 2),
    ]


def test_a_failure_closes_the_work() -> None:
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError), recorder("x"):
        1 / 0  # noqa: B018
    assert recorder.events[-1] == "closed"


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with silent("x", total=3) as advance:
        advance()
        advance(2)
    assert capsys.readouterr() == ("", "")
