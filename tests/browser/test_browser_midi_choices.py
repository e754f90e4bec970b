"""The symbolic room where things come between: other pieces, other rooms, candidates that are not kept."""

import json
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.symbolic_room import mark_of, opened, piece_id, spoken, until, value, written
from tests.browser.waiting import wait_until
from tests.midi_files import song

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

OpenPage = Callable[..., "Page"]


def write(page: "Page") -> None:
    """Press the button and wait for the candidates."""
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)


def held(page: "Page", address: str) -> "list[Route]":
    """Hold requests back; returns them as they come."""
    routes: list[Route] = []

    def hold(route: "Route") -> None:
        routes.append(route)

    page.route(address, hold)
    return routes


def mark_bar(page: "Page", bar: int) -> None:
    """Mark one bar by the fields."""
    page.get_by_label("From bar").fill(str(bar))
    page.get_by_label("To bar").fill(str(bar))
    page.get_by_label("To bar").press("Tab")


def test_what_is_silent_is_of_one_piece(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Solo Violoncello").click()
    file: Any = {"name": "other.mid", "mimeType": "audio/midi", "buffer": song()}
    page.locator(".midi-bar input[type=file]").set_input_files(file)
    until(page, "room.desk.piece.name.startsWith('other')")
    # The piece has three tracks: with the fourth soloed, nothing at all would be heard.
    assert value(page, "room.scene.lanes.map((lane) => lane.dim)") == [False] * 3
    assert value(page, "room.player.isAudible(0)")
    assert page.locator(".head-toggle[aria-pressed=true]").count() == 0


def test_rooms_are_changed_while_the_first_piece_comes(open_page: OpenPage) -> None:
    page = open_page("/#/audio")
    page.locator(".room-audio h1").first.wait_for()
    waiting = held(page, "**/api/midi/pieces/demo*")
    for name in ("Symbolic", "Audio", "Symbolic"):
        page.get_by_role("link", name=name).click()
        page.locator(f".room-{'midi' if name == 'Symbolic' else 'audio'} > *").first.wait_for()
    until(page, "room.node.isConnected")
    while not waiting:
        page.wait_for_timeout(25)
    for route in waiting:
        route.continue_()
    until(page, "room.desk.piece && room.region && room.roll.drawn > 0")
    assert page.locator(".room-midi .roll-lanes").is_visible()
    page.keyboard.press("l")
    assert value(page, "room.switches.loop"), "every key is heard once"
    page.get_by_role("link", name="Audio").click()
    page.locator(".room-audio h1").first.wait_for()
    page.keyboard.press("l")
    assert value(page, "room.switches.loop"), "the other room's keys are its own"


def test_the_piece_that_was_asked_for_last_is_opened(open_page: OpenPage) -> None:
    page = opened(open_page)
    late = held(page, "**/api/midi/pieces?name=slow*")
    chooser = page.locator(".midi-bar input[type=file]")
    for name in ("slow.mid", "quick.mid"):
        file: Any = {"name": name, "mimeType": "audio/midi", "buffer": song()}
        chooser.set_input_files(file)
    until(page, "room.desk.piece.name.startsWith('quick')")
    with page.expect_response("**/api/midi/pieces?name=slow*"):
        late[0].continue_()
    page.wait_for_timeout(100)
    assert str(value(page, "room.desk.piece.name")).startswith("quick")


def test_candidates_are_not_lost_by_another_hole(open_page: OpenPage) -> None:
    page = opened(open_page, candidates=1)
    first = piece_id(page)
    write(page)
    write(page)  # The same hole once more: nothing is asked.
    shown = value(page, "room.scene.shown.id")
    mark_bar(page, 3)
    page.get_by_role("button", name="Write", exact=True).click()
    dialog = page.get_by_role("dialog", name="Keep the candidate first?")
    assert "Bars 9 to 12, Violin I" in dialog.inner_text()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    assert value(page, "room.scene.shown.id") == shown
    page.get_by_role("button", name="Write", exact=True).click()
    dialog.get_by_role("button", name="Keep it and write").click()
    until(page, "room.run && room.run.request.label.startsWith('Bar 3')")
    written(page)
    assert piece_id(page) == shown
    assert value(page, "room.run.request.body.piece") == shown
    assert mark_of(page) == ["bars", 3, 3, [0]]
    page.get_by_role("button", name="New", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Write it").click()
    dialog.get_by_role("button", name="Discard it").click()
    until(page, "room.run && room.run.request.kind === 'compose'")
    assert piece_id(page) == shown
    assert first != shown


def test_bars_that_are_not_there_yet_are_not_marked(open_page: OpenPage) -> None:
    page = opened(open_page, candidates=1)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Bars to write").fill("1")
    write(page)
    page.locator(".head-name").nth(1).click()
    told = page.locator(".toast").filter(has_text="Keep or discard the candidates first")
    told.wait_for()
    page.locator(".head-name").nth(2).click()
    assert told.count() == 1


def test_what_is_kept_stands_on_the_shelf_and_says_how_it_was_made(open_page: OpenPage) -> None:
    page = opened(open_page, allow=["404", "405"])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.locator(".settings summary").click()
    page.get_by_label("Seed", exact=True).fill("4321")
    write(page)
    page.locator(".candidate").nth(1).click()
    until(page, "room.scene.shown.id === room.run.candidates[1].piece")
    assert "Seed 4321" in page.locator(".run-settings").inner_text()
    page.keyboard.press("k")
    until(page, "room.run === null && room.desk.piece.origin")
    kept = piece_id(page)
    assert any(one.startswith("PUT") and one.endswith(f"/api/shelf/{kept}") for one in asked)
    said = page.locator(".run-settings").inner_text()
    assert said.startswith("Filled bars 9-12")
    assert "Seed 4321" in said
    assert not page.locator(".toast.error").count()
    page.get_by_role("button", name="Pieces").click()
    row = page.get_by_role("dialog", name="Pieces").locator("li").filter(has_text="seed 4321").first
    row.wait_for()
    count = page.locator(".pieces li").count()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this piece?").get_by_role(
        "button", name="Delete"
    ).click()
    wait_until(page, f"document.querySelectorAll('.pieces li').length === {count - 1}")
    page.get_by_role("button", name="Close").click()


def test_an_address_opens_a_piece_once(open_page: OpenPage, studio: str) -> None:
    request = urllib.request.Request(f"{studio}/api/midi/pieces/demo?name=trio", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        trio = json.loads(answer.read())["id"]
    page = open_page(f"/#/midi/{trio}")
    until(page, f"room.desk.piece && room.desk.piece.id === '{trio}'")
    file: Any = {"name": "next.mid", "mimeType": "audio/midi", "buffer": song()}
    page.locator(".midi-bar input[type=file]").set_input_files(file)
    until(page, "room.desk.piece.name.startsWith('next')")
    assert spoken(page).startswith("Opened next")
    page.reload()
    until(page, "room.desk.piece && room.roll.drawn > 0")
    assert str(value(page, "room.desk.piece.name")).startswith("next")


def test_what_is_done_by_keys_is_said(open_page: OpenPage) -> None:
    page = opened(open_page)
    heads = page.locator(".head-name").evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert heads[0] == "Violin I, Violin, 114 notes"
    page.locator(".roll-lanes").press("Enter")
    written(page)
    assert spoken(page).startswith("2 candidates: Bars 9 to 12, Violin I. Best: ")
    page.locator(".roll-lanes").press("2")
    until(page, "room.scene.shown.id === room.run.candidates[1].piece")
    assert spoken(page).startswith("Candidate 2, ")
    assert "log-likelihood" in spoken(page)
    page.keyboard.press("b")
    assert spoken(page) == "Original"


@pytest.mark.parametrize("size", [(640, 360), (1024, 600), (1280, 720)])
def test_everything_is_reached_on_low_screens(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = opened(open_page, candidates=1, size=size)
    write(page)
    page.get_by_role("switch").click()
    page.locator(".settings summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    side = page.locator(".midi-side").bounding_box()
    assert side is not None
    assert side["height"] > 200
    for part in (
        ".track-check",
        ".write",
        ".seed-lock",
        ".candidate",
        ".choice .primary",
        ".run-settings",
    ):
        node = page.locator(part).first
        node.scroll_into_view_if_needed()
        # Where it is, it is seen: nothing else lies over its middle.
        covered = node.evaluate(
            """(node) => {
              const box = node.getBoundingClientRect();
              const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
              return !node.contains(top);
            }"""
        )
        assert not covered, part
