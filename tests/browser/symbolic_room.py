"""The symbolic room as a test sees it: waiting, asking, dragging."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

OpenPage = Callable[..., "Page"]
ROOM = "window.segue?.midi"


def value(page: "Page", expression: str) -> Any:
    """Return what an expression of the room gives, such as ``room.region``."""
    return page.evaluate(f"() => {{ const room = {ROOM}; return {expression}; }}")


def until(page: "Page", expression: str, *, seconds: float = 20.0) -> Any:
    """Wait until an expression of the room holds, and return it."""
    end = time.monotonic() + seconds
    while True:
        found = page.evaluate(
            f"() => {{ const room = {ROOM}; return room ? {expression} : null; }}"
        )
        if found or time.monotonic() > end:
            assert found, f"not within {seconds:g} s: {expression}"
            return found
        page.wait_for_timeout(25)


def opened(open_page: OpenPage, *, candidates: int = 2, **options: Any) -> "Page":
    """Open the room, wait for its first piece, and choose how many candidates are written."""
    page = open_page("/#/midi", **options)
    until(page, "room.desk.piece && room.region && room.roll.drawn > 0")
    value(page, f"room.settings.set('candidates', {candidates}) ?? room.settings.build()")
    return page


def piece_id(page: "Page") -> str:
    """Return which piece is open."""
    return str(value(page, "room.desk.piece.id"))


def mark_of(page: "Page") -> list[Any]:
    """Return the mark: unit, first and last from 1, tracks; empty where there is none."""
    return list(
        value(
            page,
            "room.region ? [room.region.unit, room.region.first + 1, room.region.last + 1,"
            " room.region.tracks] : []",
        )
    )


def place(page: "Page", bar: float, track: float) -> tuple[float, float]:
    """Return the point of the page at a bar (from 1, with its fraction) of a track (from 0, likewise)."""
    x, y = page.evaluate(
        """([bar, track]) => {
          const { roll } = window.segue.midi;
          const { view, scene, canvas } = roll;
          const whole = Math.floor(bar) - 1;
          const [start, end] = [scene.piece.starts[whole], scene.piece.starts[whole + 1]];
          const tick = start + (bar - whole - 1) * (end - start);
          const box = canvas.getBoundingClientRect();
          return [box.left + (tick - view.left) * view.scale, box.top + track * view.laneHeight - view.top];
        }""",
        [bar, track],
    )
    return float(x), float(y)


def drag(page: "Page", start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the mouse from one point to another."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def written(page: "Page", *, seconds: float = 60.0) -> None:
    """Wait until the candidates are there."""
    until(page, "room.run && room.run.state === 'done' && room.scene.fresh", seconds=seconds)


def spoken(page: "Page") -> str:
    """Return what a screen reader was told last."""
    return page.locator(".midi > [role=status]").inner_text()
