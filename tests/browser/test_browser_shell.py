"""The frame of the page: rooms, colours, help, names, connection, token."""

import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.browser.waiting import wait_until

import segue.studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

DESK: Final = (1280, 720)
TABLET: Final = (820, 1180)
ROOMS: Final = {"midi": "Symbolic", "audio": "Audio", "look": "Look into"}
CONTROLS: Final = {
    "button", "checkbox", "combobox", "link", "listbox", "radio", "searchbox", "slider",
    "spinbutton", "switch", "tab", "textbox", "application", "img", "image", "dialog", "menuitem",
}  # fmt: skip
TOKEN: Final = "open-the-door-12345"
STATIC: Final = Path(segue.studio.__file__).parent / "static"
SCHEMES: Final = {"light": ":root", "dark": ':root[data-theme="dark"]'}


def unnamed(page: "Page") -> list[str]:
    """Return the controls of a page's accessibility tree that have no name."""
    session = page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    found = []
    for node in nodes:
        role = node.get("role", {}).get("value", "")
        if node.get("ignored") or role not in CONTROLS:
            continue
        if not str(node.get("name", {}).get("value", "")).strip():
            found.append(f"{role} {node.get('backendDOMNodeId')}")
    assert len(nodes) > 20
    return found


def ready(page: "Page", room: str) -> None:
    """Wait until a room is there."""
    page.locator(f".room-{room} :is(h1, h2, canvas)").first.wait_for()


@pytest.mark.parametrize("size", [DESK, TABLET])
@pytest.mark.parametrize("room", list(ROOMS))
def test_rooms_open_by_their_address(
    open_page: "Callable[..., Page]", size: tuple[int, int], room: str
) -> None:
    page = open_page(f"/#/{room}", size=size, touch=size == TABLET)
    ready(page, room)
    here = page.locator(".rooms a[aria-current='page']")
    assert here.all_inner_texts() == [ROOMS[room]]
    assert page.title() == f"{ROOMS[room]} · Segue studio"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0], "the page is wider than the window"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, TABLET])
def test_pictures_of_all_rooms(
    open_page: "Callable[..., Page]",
    shot: "Callable[[Page, str], Path]",
    size: tuple[int, int],
    scheme: str,
) -> None:
    page = open_page("/", size=size, scheme=scheme, touch=size == TABLET)
    for room in ROOMS:
        page.goto(f"{page.url.partition('#')[0]}#/{room}")
        ready(page, room)
        path = shot(page, f"{room}-{size[0]}-{scheme}")
        assert path.stat().st_size > 10_000


@pytest.mark.parametrize("size", [DESK, TABLET])
@pytest.mark.parametrize("room", list(ROOMS))
def test_every_control_has_a_name(
    open_page: "Callable[..., Page]", size: tuple[int, int], room: str
) -> None:
    page = open_page(f"/#/{room}", size=size, touch=size == TABLET)
    ready(page, room)
    assert unnamed(page) == []
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Help and shortcuts").wait_for()
    assert unnamed(page) == []


def test_a_control_without_a_name_is_found(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look")
    ready(page, "look")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert len(unnamed(page)) == 1


@pytest.mark.parametrize(("touch", "least"), [(False, 32), (True, 44)])
@pytest.mark.parametrize("room", ["audio", "look"])
def test_targets_are_large_enough(
    open_page: "Callable[..., Page]", room: str, *, touch: bool, least: int
) -> None:
    page = open_page(f"/#/{room}", size=TABLET if touch else DESK, touch=touch)
    ready(page, room)
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, header a, .room a, select, summary, .chip, .action, input:not([type=checkbox], [type=radio], [type=range], [type=file])")]
        .filter((node) => node.offsetParent && !node.closest("p, .card"))
        .filter((node) => node.getBoundingClientRect().height < least - 0.5 || node.getBoundingClientRect().width < least - 0.5)
        .map((node) => node.outerHTML.slice(0, 120))""",
        least,
    )
    assert small == []


def test_first_page_is_there_at_once(open_page: "Callable[..., Page]") -> None:
    open_page("/#/audio")
    begun = time.monotonic()
    page = open_page("/#/audio")
    ready(page, "audio")
    assert time.monotonic() - begun < 3.0


def test_nothing_is_asked_of_another_host(open_page: "Callable[..., Page]", studio: str) -> None:
    page = open_page("/#/audio")
    ready(page, "audio")
    names = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 5
    assert all(name.startswith(studio) for name in names)


def test_the_colours_are_kept(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look", scheme="light")
    theme = "document.documentElement.dataset.theme"
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(theme) == "light"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(theme) == "dark"
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Dark colours", pressed=True).wait_for()
    page.get_by_role("button", name="Colours as the system has them").click()
    assert page.evaluate(theme) == "light"
    page.emulate_media(color_scheme="dark")
    wait_until(page, f"{theme} === 'dark'")


def test_help_lists_the_shortcuts_of_the_room(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/audio")
    ready(page, "audio")
    page.get_by_role("button", name="Help and shortcuts (?)").focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Help and shortcuts")
    assert "Play or pause" in dialog.inner_text()
    assert "Show this help" in dialog.inner_text()
    assert dialog.evaluate("node => getComputedStyle(node).position") == "fixed"
    box = dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= DESK[1]
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "Help and shortcuts (?)"
    page.get_by_role("button", name="Help and shortcuts (?)").click()
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="detached")


def test_help_stays_away_while_one_types(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/audio")
    page.get_by_label("Seed", exact=True).focus()
    page.keyboard.press("?")
    assert page.get_by_role("dialog").count() == 0


def test_the_page_by_keyboard_alone(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look")
    ready(page, "look")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the room"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "room"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "look-entry"
    page.keyboard.press("Alt+2")
    ready(page, "audio")
    wait_until(page, "document.activeElement.id === 'room'")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.innerText || document.activeElement.type")
        )
        outline = page.evaluate(
            "(node => getComputedStyle(node).outlineStyle !== 'none' || node.matches('input'))"
            "(document.activeElement)"
        )
        assert outline, f"no ring around {seen[-1]}"
    assert "Open" in seen
    assert len(set(seen)) > 3
    page.keyboard.press("Alt+3")
    ready(page, "look")
    page.keyboard.press("Alt+1")
    ready(page, "midi")


def test_rooms_keep_what_is_in_them(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/audio")
    page.get_by_label("Duration").fill("3.25")
    page.get_by_role("link", name="Look into").click()
    ready(page, "look")
    page.get_by_role("link", name="Audio").click()
    assert page.get_by_label("Duration").input_value() == "3.25"


def test_nothing_moves_where_that_is_unwanted(open_page: "Callable[..., Page]") -> None:
    moving = "getComputedStyle(document.querySelector('.button')).transitionDuration"
    assert open_page("/#/audio").evaluate(moving) != "0s"
    assert open_page("/#/audio", reduced_motion=True).evaluate(moving) == "0s"


def test_a_lost_connection_is_told_and_found_again(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/audio", allow=["ERR_FAILED", "failed: "])
    page.get_by_label("Duration").fill("1")
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_role("button", name=re.compile("^Generate")).click()
    banner = page.locator("#banner")
    banner.get_by_text("The studio does not answer").wait_for()
    assert "does not answer" in page.locator(".audio-form [role=alert]").inner_text()
    page.unroute("**/api/**")
    banner.get_by_text("The studio answers again").wait_for()
    assert page.get_by_label("Duration").input_value() == "1"


def test_a_room_that_cannot_be_opened_says_so(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/audio", allow=["ERR_FAILED", "failed: "])
    ready(page, "audio")
    page.route("**/look.js", lambda route: route.abort())
    page.get_by_role("link", name="Look into").click()
    page.get_by_role("alert").filter(has_text="This room could not be opened").wait_for()
    page.get_by_role("button", name="Try again").wait_for()


@pytest.fixture(scope="module")
def locked_studio(
    start_studio: Callable[..., tuple[str, "subprocess.Popen[bytes]"]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A studio that asks for a token."""
    address, process = start_studio(tmp_path_factory.mktemp("locked"), "--token", TOKEN)
    yield address
    process.terminate()
    process.wait(10)


def test_the_door_opens_with_the_token(
    open_page: "Callable[..., Page]", locked_studio: str
) -> None:
    page = open_page(locked_studio + "/", allow=["401"])
    assert "?token=" in page.inner_text("body")
    page.goto(f"{locked_studio}/?token={TOKEN}#/look")
    ready(page, "look")
    assert "token" not in page.url
    page.reload()
    ready(page, "look")


def test_the_page_asks_for_the_token(
    open_page: "Callable[..., Page]", locked_studio: str, shot: "Callable[[Page, str], Path]"
) -> None:
    page = open_page(f"{locked_studio}/?token={TOKEN}", allow=["401"])
    refusal = {"error": {"kind": "unauthorized", "message": "No."}}
    page.route("**/api/info", lambda route: route.fulfill(status=401, json=refusal))
    page.reload()
    page.get_by_role("heading", name="This studio asks for a token").wait_for()
    shot(page, "token")
    page.unroute("**/api/info")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open the studio").click()
    page.locator(".rooms a[aria-current]").wait_for()
    assert "token" not in page.url


# What needs no browser


def test_scripts_read_no_text_as_markup() -> None:
    for path in sorted(STATIC.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|document\.write|new Function", text
        )
        assert found == [], path.name
        assert len(text.splitlines()) <= 600, path.name


def test_the_page_fetches_nothing_from_outside() -> None:
    namespace = "http://www.w3.org/2000/svg"
    for path in sorted(STATIC.iterdir()):
        text = path.read_text(encoding="utf-8").replace(namespace, "")
        found = re.findall(r"https?://[a-z0-9]\S*|@import|@font-face", text)
        assert found == [], path.name
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script>", page) == []
    for name in re.findall(r'(?:src|href)="static/([^"]+)"', page):
        assert (STATIC / name).is_file(), name


# Colours, computed from the sheet itself


def variables(scheme: str) -> dict[str, str]:
    """Return the variables of studio.css in a scheme."""
    sheet = (STATIC / "studio.css").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for selector in dict.fromkeys([SCHEMES["light"], SCHEMES[scheme]]):
        block = re.search(rf"(?m)^{re.escape(selector)} \{{(.*?)^\}}", sheet, re.DOTALL)
        assert block is not None
        found |= dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block.group(1)))
    return found


def linear(colour: str) -> list[float]:
    """Return red, green and blue as light, from 0 to 1."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def contrast(one: str, two: str) -> float:
    """Return the contrast ratio of WCAG 2, from 1 to 21."""
    weights = (0.2126, 0.7152, 0.0722)
    bright = sorted(sum(w * v for w, v in zip(weights, linear(c), strict=True)) for c in (one, two))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def oklab(colour: str) -> tuple[float, float, float]:
    """Return a colour in Oklab (Ottosson, 2020), where distances are as the eye sees them."""
    r, g, b = linear(colour)
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def test_contrast_is_measured_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_text_has_enough_contrast(scheme: str) -> None:
    colour = variables(scheme)
    pairs = [
        (text, ground)
        for text in ("ink", "soft", "accent", "new", "danger", "good")
        for ground in ("paper", "panel", "raised")
    ]
    pairs += [("ink", "accent-wash"), ("soft", "accent-wash"), ("accent-ink", "accent")]
    pairs += [("danger", "danger-wash"), ("ink", "new-wash"), ("new", "new-wash")]
    low = {pair: round(contrast(colour[pair[0]], colour[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_edges_and_tracks_stand_out(scheme: str) -> None:
    colour = variables(scheme)
    tracks = [f"track-{index}" for index in range(16)]
    shapes = ["edge", "focus", *tracks]
    faint = [name for name in shapes if contrast(colour[name], colour["panel"]) < 3]
    assert faint == []
    seen = [oklab(colour[name]) for name in [*tracks, "new"]]
    assert min(math.dist(one, two) for one, two in combinations(seen, 2)) > 0.09
