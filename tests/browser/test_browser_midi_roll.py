"""The piano roll: marking, scrolling, zooming, tracks, likelihoods, and twenty thousand notes."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.symbolic_room import (
    drag,
    mark_of,
    opened,
    place,
    spoken,
    until,
    value,
    written,
)
from tests.midi_files import at_ticks, midi, name, off, on, program, tempo

if TYPE_CHECKING:
    from playwright.sync_api import Page

OpenPage = Callable[..., "Page"]
DESK, TABLET = (1280, 720), (820, 1180)
BAR = 4 * 480
FRAME_MS = 16.0


def generated(
    num_notes: int, num_tracks: int, num_bars: int, *, label: str = "Part", num_empty: int = 0
) -> bytes:
    """A piece of random notes; the last track that has notes is the drums."""
    numbers = random.Random(6)
    changes = [(bar * BAR, tempo(400_000 + 1000 * bar)) for bar in range(0, num_bars, 16)]
    tracks = [at_ticks(*changes)]
    for index in range(num_tracks + num_empty):
        channel = 9 if index == num_tracks - 1 else index % 9
        events = [(0, name(f"{label} {index + 1}")), (0, program(index % 128, channel))]
        for _ in range(num_notes // num_tracks if index < num_tracks else 0):
            start = 60 * numbers.randrange(num_bars * BAR // 60 - 8)
            pitch = numbers.randrange(36, 50) if channel == 9 else numbers.randrange(40, 84)
            events.append((start, on(pitch, numbers.randrange(10, 127), channel)))
            events.append((start + numbers.randrange(1, 8) * 55, off(pitch, 0, channel)))
        tracks.append(at_ticks(*events))
    return midi(*tracks)


def open_bytes(page: "Page", data: bytes, label: str) -> None:
    """Open a file in the room."""
    file = {"name": label, "mimeType": "audio/midi", "buffer": data}
    page.locator(".midi-bar input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    until(page, f"room.desk.piece.name.includes({label.removesuffix('.mid')!r})")


def test_drag_marks_bars_and_lanes(open_page: OpenPage) -> None:
    page = opened(open_page)
    drag(page, place(page, 2.5, 1.5), place(page, 4.4, 2.5))
    assert mark_of(page) == ["bars", 2, 4, [1, 2]]
    assert spoken(page) == "Bars 2 to 4, Violin II, Viola"
    assert page.get_by_label("From bar").input_value() == "2"
    assert page.get_by_label("To bar").input_value() == "4"
    checked = page.locator(".track-check input").evaluate_all(
        "all => all.map((one) => one.checked)"
    )
    assert checked == [False, True, True, False]
    drag(page, place(page, 6.6, 3.5), place(page, 5.2, 0.5))
    assert mark_of(page) == ["bars", 5, 6, [0, 1, 2, 3]], "backwards too"
    page.mouse.click(*place(page, 7.5, 2.5))
    assert mark_of(page) == ["bars", 7, 7, [2]]
    page.keyboard.down("Shift")
    page.mouse.click(*place(page, 9.5, 1.5))
    page.keyboard.up("Shift")
    assert mark_of(page) == ["bars", 7, 9, [1, 2]]
    page.keyboard.down("Control")
    drag(page, place(page, 3.3, 0.5), place(page, 4.1, 0.6))
    page.keyboard.up("Control")
    assert mark_of(page) == ["beats", 10, 13, [0]]
    assert page.get_by_label("From beat").input_value() == "10"
    page.get_by_label("Counted in").select_option("bars")
    assert mark_of(page) == ["bars", 3, 4, [0]]


def test_heads_ruler_and_fields_mark_too(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator(".head-name").nth(2).click()
    assert mark_of(page) == ["bars", 9, 12, [2]]
    page.locator(".head-name").nth(0).click(modifiers=["Shift"])
    assert mark_of(page) == ["bars", 9, 12, [0, 2]]
    box = page.locator(".roll-ruler").bounding_box()
    assert box is not None
    page.mouse.click(place(page, 5.5, 0)[0], box["y"] + box["height"] - 8)
    assert mark_of(page) == ["bars", 5, 5, [0, 1, 2, 3]]
    lower = box["y"] + box["height"] - 8
    drag(page, (place(page, 3.5, 0)[0], lower), (place(page, 6.5, 0)[0], lower))
    assert mark_of(page) == ["bars", 3, 6, [0, 1, 2, 3]]
    page.get_by_label("To bar").fill("8")
    page.get_by_label("To bar").press("Tab")
    assert mark_of(page) == ["bars", 3, 8, [0, 1, 2, 3]]
    page.get_by_label("To bar").fill("900")
    page.get_by_label("To bar").press("Tab")
    assert mark_of(page) == ["bars", 3, 32, [0, 1, 2, 3]]
    page.get_by_title("Mark no track").click()
    assert mark_of(page) == []
    assert page.get_by_role("button", name="Write", exact=True).is_disabled()
    page.get_by_title("Mark all tracks").click()
    assert mark_of(page)[3] == [0, 1, 2, 3]
    # The upper part of the ruler places the cursor, and marks nothing.
    before = mark_of(page)
    page.mouse.click(place(page, 6, 0)[0] + 1, box["y"] + 6)
    assert mark_of(page) == before
    assert (
        value(page, "room.scene.piece.barAt(room.scene.piece.tickAt(room.player.position()))") == 5
    )


def test_zoom_and_scroll(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Zoom in in time (+)").click()
    wider = value(page, "room.roll.view.scale")
    page.get_by_role("button", name="Zoom out in time (−)").click()
    assert value(page, "room.roll.view.scale") < wider
    x, y = place(page, 8, 1.5)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    until(page, f"room.roll.view.scale > {wider}")
    near = place(page, 8, 1.5)[0]
    assert near == pytest.approx(x, abs=2), "what is under the pointer stays there"
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 300)
    page.keyboard.up("Shift")
    until(page, "room.roll.view.left > 0")
    left = value(page, "room.roll.view.left")
    page.locator(".roll-lanes").press("PageDown")
    assert value(page, "room.roll.view.left") > left
    page.get_by_role("button", name="Show the whole piece (0)").click()
    assert value(page, "room.roll.view.left") == 0
    assert value(page, "room.roll.view.width / room.roll.view.scale >= room.scene.piece.endTicks")
    height = value(page, "room.roll.view.laneHeight")
    page.get_by_role("button", name="Taller lanes (])").click()
    assert value(page, "room.roll.view.laneHeight") > height
    page.mouse.move(*place(page, 8, 1.5))
    page.mouse.wheel(0, 200)
    until(page, "room.roll.view.top > 0")
    page.locator(".roll-lanes").press("[")
    page.locator(".roll-lanes").press("+")
    strip = page.locator(".overview")
    box = strip.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 10)
    assert value(page, "room.roll.view.left") > 0
    strip.press("Home")
    assert value(page, "room.roll.view.left") == 0
    until(
        page,
        "document.querySelector('.overview').getAttribute('aria-valuetext').startsWith('Bars 1 to')",
    )
    page.get_by_role("button", name="Move").click()
    before = mark_of(page)
    drag(page, place(page, 8, 1.5), place(page, 6, 1.5))
    assert value(page, "room.roll.view.left") > 0
    assert mark_of(page) == before, "moving marks nothing"


def test_touch_marks_and_pinches(open_page: OpenPage) -> None:
    page = opened(open_page, size=TABLET, touch=True)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    (x, y), (right, _) = place(page, 2.5, 1.5), place(page, 4.5, 1.5)
    touch("touchStart", (x, y))
    for part in (0.3, 0.7, 1.0):
        touch("touchMove", (x + part * (right - x), y))
    touch("touchEnd")
    until(page, "room.region.first === 1")
    assert mark_of(page) == ["bars", 2, 4, [1]]
    scale = value(page, "room.roll.view.scale")
    touch("touchStart", (x, y), (x + 80, y))
    touch("touchMove", (x - 40, y), (x + 120, y))
    touch("touchMove", (x - 60, y), (x + 160, y))
    touch("touchEnd")
    until(page, f"room.roll.view.scale > {1.5 * scale}")
    assert mark_of(page) == ["bars", 2, 4, [1]]


def test_likelihood_is_colour_and_text(open_page: OpenPage, shot: Callable[..., Path]) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    switch = page.get_by_role("switch", name="Show how likely each note was")
    assert page.locator(".likelihood-legend").is_hidden()
    switch.click()
    assert page.locator(".likelihood-legend").is_visible()
    assert value(page, "room.scene.logProbs.size") == value(
        page, "room.scene.shown.origin.num_notes"
    )
    point: list[float] = page.evaluate(
        """() => {
          const { roll, scene } = window.segue.midi;
          const { view, canvas } = roll;
          const lane = scene.lanes[0];
          const shade = lane.fresh.shades.find((one) => one.onset.length);
          const box = canvas.getBoundingClientRect();
          const row = lane.layout.rows[shade.pitch[0]] + 0.5;
          const y = 5 + (row * (view.laneHeight - 10)) / lane.layout.count - view.top;
          return [box.left + (shade.onset[0] + 10 - view.left) * view.scale, box.top + y];
        }"""
    )
    page.mouse.move(*point)
    tip = page.locator(".roll-tip")
    tip.wait_for()
    assert "nats" in tip.inner_text()
    page.mouse.click(*point)
    chosen = page.locator(".note-text").inner_text()
    assert "Violin I" in chosen
    assert "nats" in chosen
    assert mark_of(page) == ["bars", 9, 12, [0]], "a click on a new note marks nothing"
    page.locator(".roll-lanes").press(".")
    page.locator(".roll-lanes").press(".")
    assert page.locator(".note-text").inner_text() != chosen
    shot(page, "midi-likelihood")


def test_mute_and_solo(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Mute Viola").click()
    dim = "room.scene.lanes.map((lane) => lane.dim)"
    assert value(page, dim) == [False, False, True, False]
    page.get_by_role("button", name="Solo Violin II").click()
    page.get_by_role("button", name="Solo Viola").click()
    assert value(page, dim) == [True, False, True, True]
    page.get_by_role("button", name="Mute Viola").click()
    assert value(page, dim) == [True, False, False, True]
    pressed = page.get_by_role("button", name="Solo Viola").get_attribute("aria-pressed")
    assert pressed == "true"


def test_twenty_thousand_notes_stay_quick(open_page: OpenPage, shot: Callable[..., Path]) -> None:
    page = opened(open_page)
    open_bytes(page, generated(20_000, 8, 500), "many.mid")
    assert value(page, "room.desk.piece.numNotes") > 19_500
    shot(page, "midi-many")
    for whole in (False, True):
        found: dict[str, Any] = page.evaluate(
            """async (whole) => {
              const { roll } = window.segue.midi;
              roll.fit();
              if (!whole) roll.zoom(10);
              roll.scrollTo(0);
              roll.times.length = 0;
              for (let i = 0; i < 90; i += 1) {
                roll.scrollBy(whole ? 0 : 20);
                roll.redraw("lanes");
                await new Promise(requestAnimationFrame);
              }
              const times = [...roll.times].sort((a, b) => a - b);
              return { median: times[times.length >> 1], frames: times.length, drawn: roll.drawn };
            }""",
            whole,
        )
        assert found["frames"] >= 80
        assert found["median"] < FRAME_MS
        # Only what is in view is drawn; of the whole piece, no note twice.
        assert found["drawn"] < (20_001 if whole else 5_000)


def test_many_tracks_long_names_and_empty_ones(
    open_page: OpenPage, shot: Callable[..., Path]
) -> None:
    page = opened(open_page)
    label = (
        "A part whose name is far longer than any head or list could ever hold, whatever one does"
    )
    open_bytes(page, generated(2_000, 40, 120, label=label, num_empty=3), "wide.mid")
    heads = page.locator(".head")
    assert heads.count() == value(page, "room.desk.piece.tracks.length")
    assert page.evaluate("document.documentElement.scrollWidth") <= DESK[0]
    heads.last.scroll_into_view_if_needed()
    until(page, "room.roll.view.top > 0")
    heads.last.locator(".head-name").click()
    assert mark_of(page)[3] == [heads.count() - 1]
    shot(page, "midi-wide")
    canvas = page.locator(".roll-lanes")
    assert canvas.get_attribute("role") == "application"
    assert label in page.locator("#roll-summary").inner_text()


def test_a_hole_where_there_is_no_note(open_page: OpenPage) -> None:
    page = opened(open_page)
    open_bytes(page, generated(60, 2, 8, num_empty=1), "thin.mid")
    count = value(page, "room.desk.piece.tracks.length")
    page.locator(".head-name").nth(count - 1).click()
    page.get_by_label("To bar").fill("2")
    page.get_by_label("To bar").press("Tab")
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    assert page.locator(".candidate").count() >= 1
