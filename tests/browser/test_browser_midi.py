"""The symbolic room: from a marked hole to a kept candidate, with mouse and with keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.symbolic_room import mark_of, opened, piece_id, spoken, until, value, written

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

OpenPage = Callable[..., "Page"]
DESK, TABLET = (1280, 720), (820, 1180)
FIRST_NOTES_SECONDS = 6.0


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (DESK, "dark"), (TABLET, "dark")])
def test_first_sight_to_a_candidate(
    open_page: OpenPage, shot: Callable[..., Path], size: tuple[int, int], scheme: str
) -> None:
    page = opened(open_page, candidates=4, size=size, scheme=scheme, touch=size == TABLET)
    assert value(page, "room.desk.piece.tracks.length") == 4
    assert mark_of(page) == ["bars", 9, 12, [0]]
    name = f"midi-{scheme}-{size[0]}"
    shot(page, f"{name}-first")
    page.get_by_role("button", name="Write", exact=True).click()
    until(page, "room.run && room.run.shownAt", seconds=FIRST_NOTES_SECONDS)
    assert value(page, "room.run.shownAt") < 1000 * FIRST_NOTES_SECONDS
    shot(page, f"{name}-writing")
    written(page)
    shot(page, f"{name}-candidates")
    assert page.locator(".candidate").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_notes_are_seen_while_they_are_written(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.evaluate(
        """() => {
          const { roll, results } = window.segue.midi;
          window.seen = [];
          const redraw = roll.redraw.bind(roll);
          roll.redraw = (...parts) => {
            const { run, scene } = window.segue.midi;
            if (run?.state === "running" && parts.includes("lanes")) {
              window.seen.push(scene.lanes[0].fresh?.count ?? 0);
            }
            redraw(...parts);
          };
        }"""
    )
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    seen = page.evaluate("window.seen")
    assert len(seen) >= 2, "notes come in more than one batch"
    assert seen == sorted(seen)
    assert seen[-1] > 0


def test_candidates_are_ranked_and_compared(open_page: OpenPage) -> None:
    page = opened(open_page, candidates=4)
    original = piece_id(page)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    ranks = value(page, "room.run.candidates.map((one) => one.log_prob_per_note)")
    assert ranks == sorted(ranks, reverse=True)
    assert value(page, "room.run.chosen === room.run.candidates[0].number")
    page.locator(".candidate").nth(2).click()
    until(page, "room.scene.shown.id === room.run.candidates[2].piece")
    shown = value(page, "room.scene.shown.id")
    assert value(page, "room.scene.fresh.some((lane) => lane.count)")
    assert value(page, "room.scene.lanes[0].ghost.count") > 0, "the original's notes as outlines"
    page.get_by_role("button", name="A Original").click()
    assert value(page, "room.scene.shown.id") == original
    assert not value(page, "room.scene.lanes[0].fresh")
    page.keyboard.press("b")
    assert value(page, "room.scene.shown.id") == shown
    # Held down, the key shows the original for as long as it is held.
    page.keyboard.down("b")
    page.wait_for_timeout(500)
    assert value(page, "room.side") == "original"
    page.keyboard.up("b")
    assert value(page, "room.side") == "candidate"
    page.locator("body").press("1")
    until(page, "room.scene.shown.id === room.run.candidates[0].piece")
    page.locator(".candidate").first.focus()
    page.keyboard.press("ArrowRight")
    until(page, "room.scene.shown.id === room.run.candidates[1].piece")


def test_keep_undo_redo_and_another_hole(open_page: OpenPage) -> None:
    page = opened(open_page)
    first = piece_id(page)
    undo = page.locator("[aria-label^=Undo]")
    assert undo.is_disabled()
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    best = value(page, "room.run.candidates[0].piece")
    page.get_by_role("button", name="Keep").click()
    until(page, f"room.desk.piece.id === '{best}'")
    assert value(page, "room.run") is None
    page.get_by_label("From bar").fill("3")
    page.get_by_label("From bar").press("Tab")
    page.get_by_label("To bar").fill("4")
    page.get_by_label("To bar").press("Tab")
    page.locator(".track-check").nth(1).click()
    assert mark_of(page) == ["bars", 3, 4, [0, 1]]
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    assert value(page, "room.run.request.body.piece") == best, "the next hole is in the kept piece"
    page.keyboard.press("k")
    until(page, f"room.desk.piece.id !== '{best}'")
    second = piece_id(page)
    assert second not in {first, best}
    undo.click()
    until(page, f"room.desk.piece.id === '{best}'")
    page.keyboard.press("Control+z")
    until(page, f"room.desk.piece.id === '{first}'")
    assert undo.is_disabled()
    page.keyboard.press("Control+Shift+Z")
    until(page, f"room.desk.piece.id === '{best}'")
    page.locator("[aria-label^=Redo]").click()
    until(page, f"room.desk.piece.id === '{second}'")
    page.reload()
    until(page, f"room.desk.piece && room.desk.piece.id === '{second}'")
    assert not page.locator("[aria-label^=Undo]").is_disabled()


def test_discard_leaves_the_piece(open_page: OpenPage) -> None:
    page = opened(open_page)
    first = piece_id(page)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    page.get_by_role("button", name="Discard").click()
    assert piece_id(page) == first
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    page.keyboard.press("Control+z")
    until(page, "room.run === null")
    assert piece_id(page) == first
    assert value(page, "room.scene.shown.id") == first
    assert page.locator(".results").is_hidden()
    assert mark_of(page) == ["bars", 9, 12, [0]]


def test_the_main_job_by_keys_alone(open_page: OpenPage) -> None:
    page = opened(open_page)
    first = piece_id(page)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('roll-lanes')"):
            break
    assert page.evaluate("document.activeElement.classList.contains('roll-lanes')")
    page.keyboard.press("Escape")
    assert mark_of(page) == []
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    assert mark_of(page) == ["bars", 1, 1, [0]]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    assert mark_of(page) == ["bars", 2, 3, [1, 2]]
    assert spoken(page) == "Bars 2 to 3, Violin II, Viola"
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    assert mark_of(page) == ["bars", 2, 2, [1]]
    page.keyboard.press("Control+ArrowRight")
    assert mark_of(page) == ["beats", 6, 9, [1]]
    assert spoken(page) == "Beats 6 to 9, Violin II"
    page.keyboard.press("Enter")
    written(page)
    assert value(page, "room.run.request.body.beats") == "6-9"
    page.keyboard.press(".")
    assert "nats" in page.locator(".note-text").inner_text()
    page.keyboard.press("2")
    page.keyboard.press("k")
    until(page, f"room.desk.piece.id !== '{first}'")
    page.keyboard.press("Control+z")
    until(page, f"room.desk.piece.id === '{first}'")
    page.keyboard.press("Control+a")
    assert mark_of(page) == ["bars", 1, 32, [0, 1, 2, 3]]


@pytest.mark.parametrize(("mode", "first"), [("Continue", 33), ("Lead in", 1)])
def test_continue_and_lead_in(open_page: OpenPage, mode: str, first: int) -> None:
    page = opened(open_page)
    page.get_by_role("button", name=mode).click()
    page.get_by_label("Bars to write").fill("2")
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    assert value(page, "room.run.ticks.first_bar") == first
    assert value(page, "room.scene.shown.numBars") == 34
    page.get_by_role("button", name="Keep").click()
    until(page, "room.desk.piece.numBars === 34")
    assert mark_of(page)[1:3] == [first, first + 1]
    page.keyboard.press("Control+z")
    until(page, "room.desk.piece.numBars === 32")


def test_a_new_piece(open_page: OpenPage) -> None:
    page = opened(open_page)
    first = piece_id(page)
    page.get_by_role("button", name="New", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Instrument", exact=True).select_option("Violin")
    dialog.get_by_role("button", name="Add").click()
    dialog.get_by_role("button", name="Take Bass out").click()
    dialog.get_by_label("Bars").fill("2")
    dialog.get_by_label("Tempo").fill("90")
    dialog.get_by_label("Meter").fill("3/4")
    dialog.get_by_role("button", name="Write it").click()
    written(page)
    assert value(page, "room.scene.shown.numBars") == 2
    assert value(page, "room.scene.shown.numerators[0]") == 3
    assert value(page, "room.scene.shown.tracks.some((track) => track.is_drum)")
    assert value(page, "room.scene.shown.tracks.some((track) => track.program === 40)")
    assert piece_id(page) == first, "nothing is lost before the choice"
    page.get_by_role("button", name="Keep").click()
    until(page, "room.desk.piece.numBars === 2")


def test_settings_go_with_the_request_and_come_back(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator(".settings summary").click()
    page.get_by_role("spinbutton", name="Candidates").fill("2")
    page.get_by_label("Temperature").fill("0.7")
    page.get_by_label("Top-p").fill("0.8")
    page.get_by_label("Top-k").fill("20")
    page.get_by_label("Seed", exact=True).fill("5")
    page.get_by_role("button", name="Another seed").click()
    seed = int(page.get_by_label("Seed", exact=True).input_value())
    page.locator(".seed-lock").click()
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda request: bodies.append(json.loads(request.post_data or "{}"))
            if request.url.endswith("/midi/inpaint") else None)  # fmt: skip
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    asked = bodies[0]
    assert {name: asked[name] for name in ("candidates", "temperature", "top_p", "top_k", "seed")} == {
        "candidates": 2, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "seed": seed,
    }  # fmt: skip
    assert page.locator(".candidate").count() == 2
    assert int(page.get_by_label("Seed", exact=True).input_value()) == seed, "it is locked"
    page.locator(".seed-lock").click()
    page.get_by_role("button", name="Write", exact=True).click()
    assert int(page.get_by_label("Seed", exact=True).input_value()) != seed
    written(page)
    page.get_by_role("button", name="Reset settings").click()
    assert page.get_by_role("spinbutton", name="Candidates").input_value() == "4"
    assert page.get_by_label("Temperature").input_value() == ""


def test_cancel(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator(".roll-lanes").press("Control+a")
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    until(page, "room.run && room.run.state === 'cancelled'")
    assert page.locator(".run-state").inner_text() == "Cancelled."
    page.get_by_role("button", name="Close").click()
    assert page.locator(".results").is_hidden()
    assert page.get_by_role("button", name="Write", exact=True).is_enabled()


def test_busy_is_said_and_asked_again(open_page: OpenPage) -> None:
    page = opened(open_page, allow=["503"])
    told = {"error": {"kind": "busy", "message": "The queue is full. Try again in a minute."}}
    answers = [1]

    def answer(route: "Route") -> None:
        if answers:
            answers.pop()
            route.fulfill(status=503, json=told)
        else:
            route.continue_()

    page.route("**/api/midi/inpaint", answer)
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_text(told["error"]["message"]).first.wait_for()
    assert page.locator(".run-state").inner_text() == "The server is busy"
    page.get_by_role("button", name="Try again").click()
    written(page)


def test_a_refused_setting_is_said(open_page: OpenPage) -> None:
    page = opened(open_page, allow=["422"])
    first = piece_id(page)
    page.locator(".settings summary").click()
    page.get_by_label("Top-p").fill("7")
    page.get_by_role("button", name="Write", exact=True).click()
    until(page, "room.run && room.run.state === 'failed'")
    assert "top_p" in page.locator(".run-error").inner_text()
    page.get_by_role("button", name="Close").click()
    assert piece_id(page) == first


def test_loading_the_page_again_keeps_the_run(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Write", exact=True).click()
    until(page, "room.run && room.run.id")
    job = value(page, "room.run.id")
    page.reload()
    written(page)
    assert value(page, "room.run.id") == job
    assert page.locator(".candidate").count() == 2
    best = value(page, "room.run.candidates[0].piece")
    page.reload()
    written(page)
    page.get_by_role("button", name="Keep").click()
    until(page, f"room.desk.piece.id === '{best}'")
    page.reload()
    until(page, f"room.desk.piece && room.desk.piece.id === '{best}'")
    assert value(page, "room.run") is None


def test_another_room_and_back(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_role("link", name="Audio").click()
    page.locator(".room-audio").wait_for()
    page.get_by_role("link", name="Symbolic").click()
    page.locator(".midi").wait_for()
    written(page)
    assert page.locator(".candidate").count() == 2
    assert mark_of(page) == ["bars", 9, 12, [0]]
