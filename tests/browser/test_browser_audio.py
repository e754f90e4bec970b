"""The audio room: make, open, look, mark, hear, change, keep, download."""

import json
import re
import subprocess
import urllib.request
import wave
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from tests.browser.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

DESK: Final = (1280, 720)
TABLET: Final = (820, 1180)
RATE: Final = 16_000
OPEN: Final = "Sound file"
FACTS: Final = ".audio .facts"

Opener = Callable[..., "Page"]


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a chord that grows."""
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    write_tone(path, 2.0)
    return path


def write_tone(path: Path, seconds: float) -> None:
    """Write a chord that grows from silence."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 330, 1760)) * time / seconds / 5
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())


def opened(open_page: Opener, tone: Path, *, path: str = "/#/audio", **options: Any) -> "Page":
    """Open the room and a recording in it."""
    page = open_page(path, **options)
    page.get_by_label(OPEN).set_input_files(tone)
    page.get_by_role("heading", name=tone.name).wait_for()
    return page


def mark(page: "Page", start: float, end: float) -> None:
    """Mark a span by numbers."""
    for label, value in (("Span from", start), ("to", end)):
        box = page.get_by_label(label, exact=True)
        box.fill(str(value))
        box.press("Tab")


def choose(page: "Page", action: str) -> None:
    """Choose what to do."""
    page.get_by_role("radio", name=action).check(force=True)


def make(page: "Page", name: str) -> str:
    """Press the button that makes sound, wait for the result and return its heading."""
    page.get_by_text("More settings").evaluate("node => node.parentElement.open = true")
    page.get_by_label("Steps").fill("2")
    before = page.locator(".shelf li").count()
    page.get_by_role("button", name=name, exact=True).click()
    page.locator(".shelf li").nth(before).wait_for()
    page.locator(".toast.success").first.wait_for()
    return page.locator(".audio h1").inner_text()


def span(page: "Page") -> list[float]:
    """Return the span that the number fields show."""
    return [float(page.get_by_label(x, exact=True).input_value()) for x in ("Span from", "to")]


def colours(page: "Page", which: int) -> int:
    """Return how many different colours a canvas shows where the spectrogram is."""
    script = """(index) => {
      const canvas = document.querySelectorAll(".wave canvas")[index];
      const [width, height] = [canvas.width - 100, Math.round(0.3 * canvas.height)];
      const top = Math.round(0.6 * canvas.height);
      const data = canvas.getContext("2d").getImageData(100, top, width, height).data;
      return new Set(new Uint32Array(data.buffer)).size; }"""
    return int(page.evaluate(script, which))


def shelved(page: "Page", name: str) -> "Locator":
    """Return the newest item of a name on the shelf."""
    return page.locator(".shelf li").filter(has_text=name).first


def fetched(address: str) -> bytes:
    """Return what the server gives."""
    with urllib.request.urlopen(address, timeout=20) as answer:
        content: bytes = answer.read()
    return content


@pytest.mark.parametrize("size", [DESK, TABLET])
def test_generate_two_seconds(
    open_page: Opener, shot: "Callable[[Page, str], Path]", size: tuple[int, int]
) -> None:
    page = open_page("/#/audio", size=size, touch=size == TABLET)
    page.get_by_label("Duration").fill("2")
    page.get_by_role("checkbox", name="drums").first.check(force=True)
    make(page, "Generate 2.0 s")
    assert page.locator(FACTS).inner_text() == "2.00 s · 16 kHz · mono · all new"
    wait_until(page, "document.querySelector('.wave [role=img]').ariaLabel.includes('dB')")
    page.wait_for_timeout(100)
    assert colours(page, 0) > 100, "the spectrogram is empty"
    about = page.locator("#wave-about").text_content() or ""
    assert "New: 0.00 to 2.00 seconds." in about
    assert page.locator(".shelf li.here .shelf-about").inner_text().startswith("Generated 2 s")
    shot(page, f"audio-generated-{size[0]}")
    page.get_by_role("button", name="Play (Space)").click()
    page.get_by_role("button", name="Pause (Space)").wait_for()
    wait_until(page, "document.querySelector('.time').textContent > '0:00.2'")
    page.get_by_role("button", name="Pause (Space)").click()
    page.get_by_role("button", name="To the beginning").click()
    assert page.locator(".time").inner_text().startswith("0:00.0")


def test_same_seed_same_sound(open_page: Opener, studio: str) -> None:
    page = open_page("/#/audio")
    page.get_by_label("Duration").fill("1")
    page.get_by_label("Seed", exact=True).fill("5")
    sounds = []
    for _ in range(2):
        make(page, "Generate 1.0 s")
        page.locator(".toast").last.get_by_role("button").click()
        item = page.evaluate("sessionStorage.getItem('segue.audio.current')")
        sounds.append(fetched(f"{studio}/api/audio/recordings/{item}/file?format=wav"))
    assert sounds[0] == sounds[1]


def test_inpaint_the_span_and_compare(
    open_page: Opener, tone: Path, shot: "Callable[[Page, str], Path]"
) -> None:
    page = opened(open_page, tone)
    choose(page, "Inpaint")
    assert page.get_by_role("button", name="Inpaint", exact=True).is_disabled()
    assert "Mark a span" in page.locator(".span-note").inner_text()
    mark(page, 0.5, 1.25)
    make(page, "Inpaint 0.75 s")
    assert page.locator(FACTS).inner_text().endswith("new 0:00.50–0:01.25")
    assert span(page) == [0.5, 1.25], "the mark is kept for another try"
    shot(page, "audio-inpainted")
    source = page.get_by_role("button", name="Source")
    wait_until(page, "!document.querySelector('[aria-label=Compare] button:last-child').disabled")
    page.locator(".wave").press("End")
    before = page.locator(".time").inner_text()
    source.click()
    page.get_by_role("button", name="Source", pressed=True).wait_for()
    assert page.locator(".time").inner_text() == before
    page.keyboard.press("b")
    page.get_by_role("button", name="Result", pressed=True).wait_for()


def test_extend_before_and_vary_and_reconstruct(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone)
    choose(page, "Extend")
    page.get_by_label("Duration").fill("0.5")
    page.get_by_label("Where").select_option("before")
    make(page, "Extend by 0.5 s")
    assert page.locator(FACTS).inner_text() == "2.50 s · 16 kHz · mono · new 0:00.00–0:00.50"
    page.locator(".wave").press("End")
    page.get_by_role("button", name="Source").click()
    page.get_by_role("button", name="Source", pressed=True).wait_for()
    assert page.locator(".time").inner_text() == "0:02.5 / 0:02.5", "the source begins later"
    shelved(page, "Opened").get_by_role("button").first.click()
    page.get_by_role("heading", name=tone.name, exact=True).wait_for()
    choose(page, "Vary")
    page.get_by_label(re.compile("^Strength")).fill("0.2")
    make(page, "Vary")
    assert page.locator(FACTS).inner_text().endswith("all new")
    assert "strength 0.2" in page.locator(".shelf li.here").inner_text()
    choose(page, "Reconstruct")
    assert not page.get_by_label("Seed", exact=True).is_visible()
    count = page.locator(".shelf li").count()
    page.get_by_role("button", name="Reconstruct", exact=True).click()
    page.locator(".shelf li").nth(count).wait_for()
    page.locator(".shelf li.here").filter(has_text="Reconstructed").wait_for()


def test_marking_by_dragging_and_seeking_by_a_click(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone)
    box = page.locator(".wave").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2

    def to(share: float) -> None:
        page.mouse.move(box["x"] + box["width"] * share, y, steps=4)

    to(0.25)
    page.mouse.down()
    to(0.5)
    page.mouse.up()
    assert span(page) == pytest.approx([0.5, 1.0], abs=0.02)
    page.mouse.down()
    to(0.75)
    page.mouse.up()
    assert span(page) == pytest.approx([0.5, 1.5], abs=0.02), "an edge is moved"
    to(0.1)
    page.mouse.down()
    page.mouse.up()
    assert page.locator(".time").inner_text() == "0:00.2 / 0:02.0"
    assert span(page) == pytest.approx([0.5, 1.5], abs=0.02), "a click keeps the mark"
    page.get_by_role("button", name="Take the mark away (Esc)").click()
    assert page.get_by_label("Span from").input_value() == ""


def test_everything_by_keys(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone)
    wave_view = page.locator(".wave")
    wave_view.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert page.locator(".time").inner_text() == "0:00.2 / 0:02.0"
    page.keyboard.press("[")
    page.keyboard.press("End")
    page.keyboard.press("]")
    assert span(page) == pytest.approx([0.2, 2.0])
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    for _ in range(25):
        page.keyboard.press("Shift+ArrowRight")
    assert span(page) == pytest.approx([0.0, 0.5])
    assert "Marked: 0.00 to 0.50 seconds." in (page.locator("#wave-about").text_content() or "")
    page.keyboard.press("l")
    page.get_by_role("button", name=re.compile("^Loop"), pressed=True).wait_for()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.get_by_role("button", name="Pause (Space)").wait_for()
    page.wait_for_timeout(900)
    assert float(page.locator(".time").inner_text()[2:6]) < 0.6, "it does not stay in the loop"
    page.keyboard.press(" ")
    page.get_by_role("button", name="Play (Space)").wait_for()


def test_zoom_asks_for_more_detail(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone)
    wait_until(page, "document.querySelector('.wave [role=img]').ariaLabel.includes('dB')")
    page.locator(".wave").hover()
    with page.expect_response(re.compile(r"/overview\?.*start=0\.[1-9]")) as answer:
        page.mouse.wheel(0, -900)
    told = answer.value.json()
    assert told["end"] - told["start"] < 0.8
    assert told["columns"] >= 800
    scroll = page.get_by_role("slider", name="Scroll")
    assert scroll.is_enabled()
    text = scroll.get_attribute("aria-valuetext")
    with page.expect_response(re.compile("/overview")):
        page.locator(".wave").press("PageDown")
    assert scroll.get_attribute("aria-valuetext") != text
    page.keyboard.press("0")
    assert scroll.is_disabled()
    mark(page, 0.5, 1.0)
    page.get_by_role("button", name="Show the span").click()
    assert scroll.get_attribute("aria-valuetext") == "0.5 to 1.1 seconds"
    for name in ("Zoom in (+)", "Zoom out (-)", "Show all of it (0)"):
        page.locator(f"[title='{name}']").click()
    assert scroll.is_disabled()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "Picture"])
def test_downloads(open_page: Opener, tone: Path, kind: str) -> None:
    page = opened(open_page, tone)
    with page.expect_download() as found:
        page.get_by_role("group", name="Download").get_by_role("button", name=kind).click()
    ending = {"WAV": "wav", "FLAC": "flac", "Picture": "png"}[kind]
    assert found.value.suggested_filename == f"tone.{ending}"
    content = Path(found.value.path()).read_bytes()
    magic = {"wav": b"RIFF", "flac": b"fLaC", "png": b"\x89PNG"}[ending]
    assert content.startswith(magic)
    if kind == "WAV":
        assert content == tone.read_bytes()


def test_the_shelf_survives(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone)
    mark(page, 0.5, 1.0)
    choose(page, "Inpaint")
    page.get_by_label("Seed", exact=True).fill("77")
    page.get_by_role("checkbox", name="piano").first.check(force=True)
    name = make(page, "Inpaint 0.50 s")
    page.reload()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    item = page.locator(".shelf li.here")
    assert "seed 77" in item.inner_text()
    page.get_by_label("Seed", exact=True).fill("3")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/audio/recordings/*", hold, times=1)
    item.get_by_role("button", name=f"Use the settings of {name}").click()
    # Settings come at once: what is typed while the recording is still opened is not written over.
    assert page.get_by_label("Seed", exact=True).input_value() == "77"
    while not held:
        page.wait_for_timeout(25)
    held[0].continue_()
    page.get_by_role("heading", name=tone.name, exact=True).wait_for()
    assert page.get_by_role("checkbox", name="piano").first.is_checked()
    assert span(page) == [0.5, 1.0]
    assert page.get_by_role("button", name="Inpaint 0.50 s").is_enabled()
    assert page.get_by_label("Steps").input_value() == "2"


def test_delete_asks_first(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone)
    remove = page.locator(".shelf li.here").get_by_role("button", name=f"Delete {tone.name}")
    remove.wait_for()  # the shelf is read anew after the recording is shown
    count = page.locator(".shelf li").count()
    remove.click()
    dialog = page.get_by_role("dialog", name="Delete this recording?")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    assert page.locator(".shelf li").count() == count
    remove.click()
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Audio", exact=True).wait_for()
    wait_until(page, f"document.querySelectorAll('.shelf li').length === {count - 1}")
    assert page.get_by_text("Generate a clip, or drop a sound file here.").is_visible()


def test_two_jobs_wait_in_a_row_and_can_be_cancelled(open_page: Opener) -> None:
    page = open_page("/#/audio")
    page.get_by_label("Duration").fill("60")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("150")
    for _ in range(2):
        page.get_by_role("button", name="Generate 60.0 s").click()
        wait_until(page, "!document.querySelector('.make').disabled")
    jobs = page.locator(".jobs li")
    jobs.nth(1).wait_for()
    jobs.filter(has_text="Running").wait_for()
    jobs.filter(has_text="Next in the queue").wait_for()
    assert page.get_by_role("progressbar", name="Progress").count() == 2
    for _ in range(2):
        jobs.first.get_by_role("button", name="Cancel").click()
        page.locator(".toast", has_text="Cancelled").first.wait_for()
        page.locator(".toast", has_text="Cancelled").first.get_by_role("button").click()
    jobs.first.wait_for(state="detached")


def test_many_jobs_leave_the_page_its_connections(open_page: Opener) -> None:
    page = open_page("/#/audio")
    page.get_by_label("Duration").fill("60")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("150")
    jobs = page.locator(".jobs li")
    for number in range(7):
        page.get_by_role("button", name="Generate 60.0 s").click()
        jobs.nth(number).wait_for()
        wait_until(page, "!document.querySelector('.make').disabled")
    page.get_by_role("link", name="Look into").click()
    page.locator(".look-entry", has_text="ldmg-small").click()
    page.get_by_role("heading", name="ldmg-small", level=1).wait_for()
    page.get_by_role("link", name="Audio").click()
    for number in range(7, 0, -1):
        jobs.last.get_by_role("button", name="Cancel").click()
        wait_until(page, f"document.querySelectorAll('.jobs li').length < {number}")


def test_a_job_is_followed_after_a_reload(open_page: Opener) -> None:
    page = open_page("/#/audio")
    page.get_by_label("Duration").fill("40")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("150")
    page.get_by_role("button", name="Generate 40.0 s").click()
    page.locator(".jobs li").filter(has_text="Running").wait_for()
    page.reload()
    job = page.locator(".jobs li").filter(has_text="Running")
    job.wait_for()
    job.get_by_role("button", name="Cancel").click()
    page.locator(".toast", has_text="Cancelled").wait_for()


def test_a_studio_that_is_killed_and_started_again(
    open_page: Opener,
    start_studio: Callable[..., tuple[str, "subprocess.Popen[bytes]"]],
    tmp_path: Path,
    tone: Path,
) -> None:
    address, process = start_studio(tmp_path)
    lost = ["ERR_", "failed: ", "net::"]
    page = opened(open_page, tone, path=f"{address}/#/audio", allow=lost)
    page.get_by_label("Duration").fill("60")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("150")
    page.get_by_role("button", name="Generate 60.0 s").click()
    page.locator(".jobs li").filter(has_text="Running").wait_for()
    process.kill()
    process.wait(10)
    page.locator("#banner").get_by_text("The studio does not answer").wait_for()
    start_studio(tmp_path, port=int(address.rpartition(":")[2]))
    page.locator(".jobs li.failed").filter(has_text="The studio was stopped").wait_for()
    page.get_by_role("button", name="Take this note away").click()
    assert page.locator(".jobs li").count() == 0
    assert page.get_by_role("heading", name=tone.name).is_visible()
    assert page.locator(".shelf li").count() == 1


def test_what_is_refused_is_said_and_nothing_is_lost(open_page: Opener, tone: Path) -> None:
    page = opened(open_page, tone, allow=["422", "413"])
    choose(page, "Generate")
    page.get_by_label("Duration").fill("100000")
    page.get_by_role("button", name="Generate 100000.0 s").click()
    alert = page.locator(".audio-form [role=alert]")
    alert.wait_for()
    assert "seconds" in alert.inner_text()
    assert page.get_by_label("Duration").input_value() == "100000"
    assert page.get_by_role("heading", name=tone.name).is_visible()
    page.get_by_label("Duration").fill("-1")
    page.get_by_role("button", name=re.compile("^Generate -1")).click()
    assert page.locator(".jobs li").count() == 0


def test_a_hostile_file_is_refused_in_words(open_page: Opener, tmp_path: Path) -> None:
    page = open_page("/#/audio", allow=["400"])
    hostile = tmp_path / "<img src=x onerror=alert(1)>.wav"
    hostile.write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(range(256)))
    page.get_by_label(OPEN).set_input_files(hostile)
    toast = page.locator("[aria-live=assertive] .toast.error")
    toast.wait_for()
    assert len(toast.inner_text()) > 20
    assert page.locator("main img").count() == 0
    toast.get_by_role("button", name="Close this message").click()
    assert toast.count() == 0


def test_a_hostile_name_is_shown_as_it_stands(open_page: Opener, tone: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>&amp;.wav"
    page = opened(open_page, tone)
    for path in ("**/api/shelf", "**/api/audio/recordings/*"):
        page.route(path, lambda route: rename(route, hostile))
    page.reload()
    page.get_by_role("heading", name=hostile, exact=True).wait_for()
    assert page.locator(".shelf-name").first.inner_text() == hostile
    page.get_by_role("button", name=f"Delete {hostile}").first.click()
    assert hostile in page.get_by_role("dialog").inner_text()
    assert page.locator("main img, dialog img").count() == 0


def rename(route: "Route", name: str) -> None:
    """Answer as the server does, but with a name that it would not let pass."""
    content = route.fetch().json()
    for item in content if isinstance(content, list) else [content]:
        item["name"] = name
    route.fulfill(json=content)


def test_a_file_that_is_dropped_is_opened(open_page: Opener, tone: Path) -> None:
    page = open_page("/#/audio")
    data = page.evaluate_handle(
        """(bytes) => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.wav", { type: "audio/wav" }));
        return data; }""",
        list(tone.read_bytes()),
    )
    page.locator(".audio").dispatch_event("drop", {"dataTransfer": data})
    page.get_by_role("heading", name="dropped.wav").wait_for()


def test_text_is_asked_for_only_where_the_model_knows_it(open_page: Opener, studio: str) -> None:
    page = open_page("/#/audio")
    words = page.get_by_label("In words", exact=True)
    words.fill("slow strings")
    info = json.loads(fetched(f"{studio}/api/info"))
    info["models"]["audio"][0]["text"] = False
    page.route("**/api/info", lambda route: route.fulfill(json=info))
    page.reload()
    words = page.get_by_label("In words", exact=True)
    assert words.is_disabled()
    assert page.get_by_text("was trained without texts").is_visible()
    info["models"]["audio"][0] |= {"text": True, "text_needs": "segue[text]"}
    page.reload()
    page.get_by_text("pip install 'segue[text]'").wait_for()
    assert words.is_disabled()


def test_a_model_that_knows_text_is_told(open_page: Opener, studio: str) -> None:
    info = json.loads(fetched(f"{studio}/api/info"))
    info["models"]["audio"][0] |= {"text": True, "text_needs": ""}
    page = open_page("/#/audio")
    page.route("**/api/info", lambda route: route.fulfill(json=info))
    sent: list[Any] = []

    def refuse(route: Any) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(
            status=200,
            json={
                "id": "0" * 16,
                "kind": "audio.generate",
                "state": "queued",
                "position": 0,
                "settings": {},
            },
        )

    page.route("**/api/audio/generate", refuse)
    page.route(
        "**/api/jobs/**",
        lambda route: route.fulfill(
            status=200,
            content_type="text/event-stream",
            body='id: 1\nevent: end\ndata: {"state": "cancelled"}\n\n',
        ),
    )
    page.reload()
    page.get_by_label("In words", exact=True).fill("a bell")
    page.get_by_label("Not wanted, in words").fill("noise")
    page.get_by_text("More settings").click()
    page.get_by_label("Sampler").select_option("heun")
    page.get_by_label("Guidance").fill("2.5")
    page.get_by_label("Seed", exact=True).fill("9")
    page.get_by_role("button", name=re.compile("^Generate")).click()
    page.locator(".toast", has_text="Cancelled").wait_for()
    assert sent[0] | {"bundle": ""} == {
        "seconds": 10, "labels": [], "negative_labels": [], "text": "a bell", "negative": "noise",
        "seed": 9, "sampler": "heun", "guidance": 2.5, "bundle": "",
    }  # fmt: skip


@pytest.mark.parametrize("size", [DESK, TABLET])
def test_every_button(open_page: Opener, tone: Path, size: tuple[int, int]) -> None:
    page = opened(open_page, tone, size=size, touch=size == TABLET)
    press = "tap" if size == TABLET else "click"
    mark(page, 0.5, 1.0)
    names = page.locator(".editor button:visible").evaluate_all(
        "nodes => nodes.map((node) => node.title || node.innerText)"
    )
    plain = [name for name in names if not name.startswith(("Download", "Open"))]
    assert len(plain) >= 10
    for name in plain:
        button = page.locator(f".editor button[title='{name}']")
        if button.is_enabled():
            getattr(button, press)()
    for action in ("Generate", "Inpaint", "Extend", "Vary", "Reconstruct"):
        getattr(page.locator(".action", has_text=action), press)()
        assert page.get_by_role("radio", name=action).is_checked()
    getattr(page.locator(".action", has_text="Generate"), press)()
    getattr(page.locator(".chips .chip", has_text="piano").first, press)()
    assert page.get_by_role("checkbox", name="piano").first.is_checked()
    seed = page.get_by_label("Seed", exact=True)
    before = seed.input_value()
    getattr(page.get_by_role("button", name="Another seed"), press)()
    assert seed.input_value() != before
    with page.expect_file_chooser():
        getattr(page.get_by_role("button", name="Open", exact=True), press)()
    for kind in ("WAV", "FLAC", "Picture"):
        with page.expect_download():
            getattr(
                page.get_by_role("group", name="Download").get_by_role("button", name=kind), press
            )()


def test_progress_is_shown_and_not_told_at_every_step(open_page: Opener) -> None:
    page = open_page("/#/audio")
    page.get_by_label("Duration").fill("10")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("12")
    page.evaluate(
        """() => {
          window.told = [];
          window.shares = [];
          new MutationObserver(() => {
            const told = document.querySelector(".jobs [role=status]")?.textContent;
            const bar = document.querySelector(".jobs progress")?.value;
            if (told && told !== window.told.at(-1)) window.told.push(told);
            if (bar && bar !== window.shares.at(-1)) window.shares.push(bar);
          }).observe(document.body, { childList: true, subtree: true, characterData: true });
        }"""
    )
    page.get_by_role("button", name="Generate 10.0 s").click()
    wait_until(page, "document.querySelector('.jobs').hidden && window.told.length > 0", seconds=60)
    assert len(page.evaluate("window.shares")) >= 3
    assert len(page.evaluate("window.told")) <= 3
