"""The symbolic room's music and files: playback, loop, gains, downloads, opening."""

import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.browser.symbolic_room import mark_of, opened, piece_id, place, until, value, written
from tests.midi_files import song

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Route

OpenPage = Callable[..., "Page"]
TABLET = (820, 1180)
PATHS = {"midi": "file", "wav": "sound?format=wav", "png": "picture"}
PLAYS = "room.player.playing && !room.player.waiting"


def gains(page: "Page") -> list[float]:
    """Return the gains of the tracks at this moment."""
    return [round(one["gain"], 2) for one in value(page, "room.player.gains()")]


@pytest.mark.parametrize("reduced", [False, True])
def test_play_moves_the_cursor_and_stops(open_page: OpenPage, reduced: bool) -> None:
    page = opened(open_page, reduced_motion=reduced)
    play = page.locator(".midi-transport .play")
    play.click()
    until(page, PLAYS)
    first = value(page, "room.player.position()")
    line = page.locator(".roll-cursor")
    before = line.evaluate("node => node.style.transform")
    until(page, f"room.player.position() > {first} + 0.3")
    assert line.evaluate("node => node.style.transform") != before
    assert page.locator(".clock-time").inner_text().startswith("0:0")
    page.locator(".roll-lanes").focus()
    page.keyboard.press("Space")
    assert not value(page, "room.player.playing")
    assert play.get_attribute("data-state") == "stopped"
    rest = value(page, "room.player.position()")
    assert rest > first
    page.keyboard.press("Space")
    until(page, PLAYS)
    assert value(page, "room.player.position()") >= rest
    page.get_by_role("button", name="To the beginning").click()
    assert value(page, "room.player.position()") < rest


def test_segments_join_without_a_gap(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.evaluate(
        """() => {
          window.starts = [];
          const start = AudioBufferSourceNode.prototype.start;
          AudioBufferSourceNode.prototype.start = function (when, offset, seconds) {
            window.starts.push([when, seconds]);
            return start.call(this, when, offset, seconds);
          };
          window.segue.midi.player.seek(3.2);
          window.segue.midi.player.play();
        }"""
    )
    until(page, "new Set(window.starts.map(([when]) => when)).size >= 3", seconds=30)
    starts = sorted({(when, seconds) for when, seconds in page.evaluate("window.starts")})
    for (when, seconds), (following, _) in pairwise(starts):
        assert following - when == pytest.approx(seconds, abs=0.6 / 44100)


def test_mute_and_solo_are_heard_at_once(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Mute Violin II").click()
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    assert gains(page) == [1, 0, 1, 1]
    page.get_by_role("button", name="Solo Viola").click()
    until(page, "room.player.gains().every((one) => one.gain < 0.02 || one.track === 2)", seconds=3)
    assert gains(page)[2] == 1
    page.get_by_role("button", name="Solo Viola").click()
    page.get_by_role("button", name="Mute Violin II").click()
    until(page, "room.player.gains().every((one) => one.gain > 0.98)", seconds=3)
    page.locator(".midi-volume input").fill("0.5")
    until(page, "Math.abs(room.player.master.gain.value - 0.25 * 1.25) < 0.01", seconds=3)


def test_loop_over_the_mark(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_label("From bar").fill("2")
    page.get_by_label("To bar").fill("2")
    page.get_by_label("To bar").press("Tab")
    assert mark_of(page) == ["bars", 2, 2, [0]]
    page.get_by_role("button", name="Repeat the marked bars (L)").click()
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    start, end = value(page, "room.player.loop")
    assert start == pytest.approx(value(page, "room.scene.piece.secondsAt(1920)"), abs=1e-3)
    latest = 0.0
    went_back = False
    for _ in range(120):
        here = value(page, "room.player.position()")
        assert start - 0.01 <= here <= end + 0.01
        went_back |= here < latest - 0.5
        latest = here
        if went_back:
            break
        page.wait_for_timeout(50)
    assert went_back


def test_a_and_b_while_it_plays(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    start = value(page, "room.player.position()")
    assert start == pytest.approx(value(page, "room.scene.piece.secondsAt(7 * 1920)"), abs=1e-3)
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    playing = "room.player.deck && room.player.deck.piece.id"
    assert value(page, playing) == value(page, "room.run.candidates[0].piece")
    page.get_by_role("button", name="A Original").click()
    until(page, f"({playing}) === room.desk.piece.id")
    assert value(page, "room.player.playing")
    assert value(page, "room.player.position()") > start
    page.get_by_role("button", name="B Candidate").click()
    until(page, f"({playing}) === room.run.candidates[0].piece")
    assert value(page, "room.player.playing")


def test_ruler_places_the_cursor_while_it_plays(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    box = page.locator(".roll-ruler").bounding_box()
    assert box is not None
    page.mouse.click(place(page, 10, 0)[0] + 1, box["y"] + 6)
    until(page, "room.player.position() > room.scene.piece.secondsAt(9 * 1920) - 0.1")
    until(page, PLAYS)
    assert page.locator(".clock-place").inner_text().startswith("10.")


def test_the_view_follows(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.get_by_role("button", name="Follow").click()
    page.evaluate("() => window.segue.midi.player.seek(60)")
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    page.wait_for_timeout(200)
    assert value(page, "room.roll.view.left") == 0, "following is off"
    page.locator("body").press("f")
    until(page, "room.roll.view.left > 0")


def test_downloads_are_the_servers_bytes(open_page: OpenPage, studio: str) -> None:
    page = opened(open_page, size=TABLET)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)
    shown = value(page, "room.scene.shown.id")
    assert shown != piece_id(page), "the candidate, not the original"
    for kind, path in PATHS.items():
        with page.expect_download(timeout=60_000) as caught:
            page.locator(f"[data-download={kind}]").click()
        with urllib.request.urlopen(
            f"{studio}/api/midi/pieces/{shown}/{path}", timeout=60
        ) as answer:
            expected = answer.read()
        assert Path(caught.value.path()).read_bytes() == expected
        assert caught.value.suggested_filename.endswith({"midi": ".mid"}.get(kind, f".{kind}"))


def test_a_file_is_opened_and_a_broken_one_loses_nothing(open_page: OpenPage) -> None:
    page = opened(open_page, allow=["400"])
    chooser = page.locator(".midi-bar input[type=file]")
    file: dict[str, Any] = {"name": "Own Song.mid", "mimeType": "audio/midi", "buffer": song()}
    with page.expect_file_chooser() as caught:
        page.get_by_role("button", name="Open", exact=True).click()
    caught.value.set_files(file)  # type: ignore[arg-type]
    until(page, "room.desk.piece.name.startsWith('Own Song')")
    assert value(page, "room.desk.piece.tracks.length") == 3
    own = piece_id(page)
    page.get_by_label("From bar").fill("2")
    page.get_by_label("To bar").fill("3")
    page.get_by_label("To bar").press("Tab")
    mark = mark_of(page)
    broken = {"name": "broken.mid", "mimeType": "audio/midi", "buffer": b"MThd no music at all"}
    chooser.set_input_files(broken)  # type: ignore[arg-type]
    page.locator(".toast.error").wait_for()
    assert piece_id(page) == own
    assert mark_of(page) == mark
    page.get_by_role("button", name="Close this message").click()
    page.keyboard.press("Control+z")
    until(page, "room.desk.piece.tracks.length === 4")


def test_a_dropped_file_and_earlier_pieces(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "dropped.mid"));
          const target = document.querySelector(".roll-lanes");
          for (const kind of ["dragover", "drop"]) {
            const options = { dataTransfer: data, bubbles: true, cancelable: true };
            target.dispatchEvent(new DragEvent(kind, options));
          }
        }""",
        list(song()),
    )
    until(page, "room.desk.piece.name.startsWith('dropped')")
    page.get_by_role("button", name="Pieces").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("dropped").first.wait_for()
    dialog.locator(".pieces").first.get_by_role("button").nth(1).click()
    until(page, "room.desk.piece.tracks.some((track) => track.is_drum)")
    page.get_by_role("button", name="Pieces").click()
    dialog.get_by_text("dropped").first.click()
    until(page, "room.desk.piece.name.startsWith('dropped')")


def test_only_what_is_heard_and_new_is_fetched(open_page: OpenPage) -> None:
    page = opened(open_page)
    asked: list[tuple[str, str, str]] = []

    def note(request: "Request") -> None:
        if "/stems?" in request.url:
            parts = urlsplit(request.url)
            query = parse_qs(parts.query)
            for track in query["tracks"][0].split(","):
                asked.append((parts.path.split("/")[-2], query["start"][0], track))

    page.on("request", note)
    original = piece_id(page)
    page.get_by_role("button", name="Mute Viola").click()
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    assert {(piece, track) for piece, _, track in asked} == {(original, each) for each in "013"}
    page.get_by_role("button", name="Mute Viola").click()
    until(page, "room.player.plan.at(-1).tracks.has(2)")
    until(page, "room.player.deck.sources.size >= 4")
    assert "2" in {track for _, _, track in asked}, "a track that is heard again joins"
    page.locator(".midi-transport .play").click()
    write = page.get_by_role("button", name="Write", exact=True)
    write.click()
    written(page)
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    best = value(page, "room.run.candidates[0].piece")
    of_candidate = {track for piece, _, track in asked if piece == best}
    assert of_candidate == {"0"}, "the other tracks sound as in the original"
    page.get_by_role("button", name="A Original").click()
    until(page, f"room.player.deck.piece.id === '{original}'")
    assert len(asked) == len(set(asked)), "nothing is fetched twice"


def test_late_sound_is_said_and_does_not_run_on(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    held: list[Route] = []
    released: list[bool] = []

    def hold(route: "Route") -> None:
        if released:
            route.continue_()
        else:
            held.append(route)

    page.route("**/stems?start=6*", hold)
    page.evaluate("() => window.segue.midi.player.seek(60)")
    assert value(page, "room.player.deck") is None, "what was heard ends with the jump"
    page.get_by_text("Loading sound").wait_for()
    assert value(page, "room.player.position()") == 60
    until(page, "room.player.waiting")
    released.append(True)
    for route in held:
        route.continue_()
    until(page, PLAYS)
    assert page.get_by_text("Loading sound").count() == 0
    until(page, "room.player.position() > 60.2")


def test_the_loop_is_gone_back_to(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator("body").press("f")
    page.evaluate("() => window.segue.midi.player.seek(50)")
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    page.locator("body").press("l")
    start, end = value(page, "room.player.loop")
    until(page, PLAYS)
    assert start - 0.01 <= value(page, "room.player.position()") <= end
    # While a mark is being dragged, the loop stays where it is.
    page.mouse.move(*place(page, 2.5, 0.5))
    page.mouse.down()
    page.mouse.move(*place(page, 3.5, 0.5), steps=3)
    assert mark_of(page)[1:3] == [2, 3]
    assert value(page, "room.player.loop") == [start, end]
    page.mouse.up()
    assert value(page, "room.player.loop")[0] == pytest.approx(
        value(page, "room.scene.piece.secondsAt(1920)"), abs=1e-3
    )


def test_volume_counts_before_the_first_sound(open_page: OpenPage) -> None:
    page = opened(open_page)
    page.locator(".midi-volume input").fill("0.2")
    page.locator(".midi-transport .play").click()
    until(page, PLAYS)
    assert value(page, "room.player.master.gain.value") == pytest.approx(0.2**2 * 1.25, abs=1e-4)
