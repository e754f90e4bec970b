"""The symbolic room in all its states: waiting, empty, by address; named controls, large enough."""

import json
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.symbolic_room import mark_of, opened, piece_id, until, value, written
from tests.midi_files import midi, song, tempo

if TYPE_CHECKING:
    from playwright.sync_api import Page

OpenPage = Callable[..., "Page"]
DESK, TABLET = (1280, 720), (820, 1180)
CONTROLS = {
    "button", "checkbox", "combobox", "link", "radio", "slider", "spinbutton", "switch", "textbox",
    "application", "dialog", "radiogroup",
}  # fmt: skip


def post(studio: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the server itself."""
    request = urllib.request.Request(
        f"{studio}/api/midi/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, Any] = json.loads(answer.read())
    return told


def unnamed(page: "Page") -> list[str]:
    """Return the roles of controls that a screen reader finds without a name."""
    session = page.context.new_cdp_session(page)
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value", "")
        named = str(node.get("name", {}).get("value", "")).strip()
        if not node.get("ignored") and role in CONTROLS and not named:
            found.append(f"{role} {node.get('backendDOMNodeId')}")
    return found


def test_the_place_in_the_queue_is_said(open_page: OpenPage, studio: str) -> None:
    page = opened(open_page)
    body = {"piece": piece_id(page), "bars": "1-32", "candidates": 16, "seed": 3}
    others = [post(studio, "inpaint", body) for _ in range(3)]
    try:
        page.get_by_role("button", name="Write", exact=True).click()
        until(page, "room.run && room.run.state === 'queued' && room.run.position > 0")
        said = page.locator(".run-state").inner_text()
        assert said.startswith("Waiting: ")
        assert "before this one" in said
        assert page.get_by_role("button", name="Cancel").is_visible()
    finally:
        for job in others:
            request = urllib.request.Request(f"{studio}/api/jobs/{job['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=60).close()
    written(page)


@pytest.mark.parametrize("size", [DESK, TABLET])
def test_controls_have_names_and_room(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = opened(open_page, size=size, touch=size == TABLET)
    page.locator(".settings summary").click()
    assert not unnamed(page)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    page.get_by_role("switch").click()
    assert not unnamed(page)
    least = 44 if size == TABLET else 32
    sizes = page.locator(".midi button:visible, .midi select:visible").evaluate_all(
        "all => all.map((one) => [one.className, one.offsetWidth, one.offsetHeight])"
    )
    small = [one for one in sizes if min(one[1:]) < least]
    assert not small
    page.get_by_role("button", name="New", exact=True).click()
    assert not unnamed(page)


def test_without_a_piece(open_page: OpenPage) -> None:
    page = open_page("/#/audio", allow=["500", "404"])
    page.route("**/api/midi/pieces/demo*", lambda route: route.fulfill(status=500, json={}))
    page.get_by_role("link", name="Symbolic").click()
    page.locator(".roll-empty").wait_for()
    assert page.locator(".piece-name").inner_text() == "No piece is open"
    page.locator(".toast.error").first.wait_for()
    assert page.get_by_role("button", name="Write", exact=True).is_disabled()
    assert page.locator("[data-download=midi]").is_disabled()
    page.keyboard.press("Space")
    assert not value(page, "room.player.playing")


def test_a_piece_by_its_address(open_page: OpenPage, studio: str) -> None:
    request = urllib.request.Request(f"{studio}/api/midi/pieces/demo?name=trio", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        trio = json.loads(answer.read())["id"]
    page = open_page(f"/#/midi/{trio}")
    until(page, f"room.desk.piece && room.desk.piece.id === '{trio}'")
    assert mark_of(page) == []


def test_the_drums_have_rows_of_their_own(open_page: OpenPage, studio: str) -> None:
    request = urllib.request.Request(f"{studio}/api/midi/pieces/demo?name=trio", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        piece = json.loads(answer.read())
    page = open_page(f"/#/midi/{piece['id']}")
    until(page, "room.desk.piece && room.roll.drawn > 0")
    drums = next(track["index"] for track in piece["tracks"] if track["is_drum"])
    notes = piece["notes"]
    used = {
        pitch for track, pitch in zip(notes["track"], notes["pitch"], strict=True) if track == drums
    }
    keys = value(page, f"room.scene.lanes[{drums}].layout.keys")
    assert keys == sorted(used, reverse=True)


def test_meters_and_tempos_are_shown_where_they_change(open_page: OpenPage) -> None:
    page = opened(open_page)
    file = {"name": "two.mid", "mimeType": "audio/midi", "buffer": song(8)}
    page.locator(".midi-bar input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    until(page, "room.desk.piece.name.startsWith('two')")
    assert value(page, "room.roll.scene.changes.meters") == [
        {"bar": 0, "text": "4/4"},
        {"bar": 4, "text": "3/4"},
    ]
    assert value(page, "room.roll.scene.changes.tempos") == [
        {"tick": 0, "bpm": "120"},
        {"tick": 4 * 1920, "bpm": "100"},
    ]
    # Bars and beats of both meters, as the server counts them.
    place = "JSON.stringify(room.desk.piece.placeOf(4 * 1920 + 1440 + 480))"
    assert value(page, place) == '{"bar":6,"beat":2}'
    assert value(page, "room.desk.piece.beatTick(4 * 4 + 3)") == 4 * 1920 + 1440
    assert value(page, "room.desk.piece.beatAt(4 * 1920 + 1440)") == 19


def test_a_file_without_notes(open_page: OpenPage) -> None:
    page = opened(open_page)
    file = {"name": "none.mid", "mimeType": "audio/midi", "buffer": midi([(0, tempo(500_000))])}
    page.locator(".midi-bar input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    until(page, "room.desk.piece.name.startsWith('none')")
    page.locator(".roll-lanes").press("ArrowRight")
    assert mark_of(page) == []
    assert page.locator(".midi-transport .play").is_disabled()
    assert page.get_by_text("This piece has no tracks to write on.").is_visible()
    page.keyboard.press("Control+z")
    until(page, "room.desk.piece.numNotes > 0")


def test_help_lists_the_rooms_keys(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator("body").press("?")
    listed = page.get_by_role("dialog").inner_text()
    for text in (
        "Play or stop",
        "Keep the candidate",
        "Undo and redo",
        "Place the cursor at the mark",
    ):
        assert text in listed
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("p")
    assert value(page, "room.scene.piece.tickAt(room.player.position())") == pytest.approx(
        8 * 1920, abs=1
    )


DROPPED = """async () => {
  const { Run } = await import("/static/midi_job.js");
  let hear = null;
  const api = {
    post: async () => ({ id: "0123456789abcdef", state: "running", position: null }),
    follow: (id, { onEvent }) => { hear = onEvent; return { stop() {} }; },
    remove: async () => undefined,
  };
  const heard = [];
  const run = new Run(api, { kind: "inpaint", body: { candidates: 2 } }, (what) => heard.push(what));
  await run.start(null);
  hear("notes", { candidate: 1, notes: [[0, 60, 0, 10, 80], [2, 64, 0, 10, 80]] });
  hear("drop", { candidate: 1, track: 2 });
  const left = run.live.get(1);
  sessionStorage.clear();
  return { left, told: heard.includes("drop") };
}"""


def test_notes_that_are_written_once_more_are_taken_away_first(open_page: OpenPage) -> None:
    page = opened(open_page)
    assert page.evaluate(DROPPED) == {"left": [[0, 60, 0, 10, 80]], "told": True}
