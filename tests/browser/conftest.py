"""The studio in a real Chromium: one server and one browser for all tests of this folder.

Test modules import Playwright for its types alone (`if TYPE_CHECKING:`), so that they are collected
where it is missing. A test takes `open_page` and looks at what it returns; whatever the page then
complains about (errors in the console, requests that fail, requests to another host) fails the test.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

DESK: Final = (1280, 720)
TABLET: Final = (820, 1180)

_FOLDER = Path(__file__).parent
_START_SECONDS = 60.0
_BROWSERS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    # Any name but the studio's address resolves to nothing.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class OpenPage(Protocol):
    """Opens a page of the studio in a browser context of its own."""

    def __call__(
        self,
        path: str = "/",
        *,
        size: tuple[int, int] = DESK,
        scheme: str = "light",
        touch: bool = False,
        reduced_motion: bool = False,
        allow: Sequence[str] = (),
        like: "Page | None" = None,
    ) -> "Page": ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as slow."""
    for item in items:
        if item.path.is_relative_to(_FOLDER):
            item.add_marker(pytest.mark.slow)


def _missing(reason: str) -> NoReturn:
    """Skip, or fail where a browser was promised."""
    if os.environ.get("SEGUE_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{reason} (SEGUE_REQUIRE_BROWSER=1 asks for it)")
    pytest.skip(reason)


def _program() -> str:
    """Return the Chromium of this machine."""
    for name in _BROWSERS:
        found = shutil.which(name)
        if found is not None:
            return found
    _missing("There is no Chromium here: /usr/bin/chromium, or chromium or google-chrome on PATH.")


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium without a window."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("Playwright is not installed: `pip install playwright`.")
    program = _program()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def studio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the server of this session keeps its state."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="session")
def start_studio(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., tuple[str, subprocess.Popen[bytes]]]]:
    """Start servers in processes of their own; returns address and process, ends them all."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        folder: Path, *options: str, port: int | None = None
    ) -> tuple[str, subprocess.Popen[bytes]]:
        port = port or _free_port()
        log = tmp_path_factory.mktemp("log") / "studio.txt"
        command = [sys.executable, "-m", "segue", "studio", "--no-open", "--port", str(port)]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--folder", str(folder), *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        address = f"http://127.0.0.1:{port}"
        _wait(address, process, log)
        return address, process

    yield start
    for process in started:
        _end(process)


@pytest.fixture(scope="session")
def studio(
    browser: "Browser",
    studio_folder: Path,
    start_studio: Callable[..., tuple[str, subprocess.Popen[bytes]]],
) -> str:
    """The address of a running studio; asks for the browser first, so that a skip costs nothing."""
    del browser
    address, _ = start_studio(studio_folder)
    return address


def _free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers at all."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/api/info", timeout=10):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.1)
    _end(process)
    pytest.fail(f"The studio did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to stop, then make it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


class _Watch:
    """What pages complain about."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc
        self.allowed: list[str] = []
        self.problems: list[str] = []

    def attach(self, page: "Page") -> None:
        """Listen to a page."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._note(f"uncaught: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def left(self) -> list[str]:
        """Return the complaints that no test has allowed."""
        return [each for each in self.problems if not any(some in each for some in self.allowed)]

    def _note(self, text: str) -> None:
        self.problems.append(text)

    def _console(self, message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"}:
            self._note(f"console {message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, request: "Request") -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data", "about"} and parts.netloc != self._host:
            self._note(f"another host: {request.url}")

    def _failed(self, request: "Request") -> None:
        # A page that turns to something else gives up what it was loading: that is no failure.
        if "ERR_ABORTED" not in (request.failure or ""):
            self._note(f"failed: {request.url} {request.failure}")

    def _response(self, response: "Response") -> None:
        if response.status >= 400:
            self._note(f"status {response.status}: {response.url}")


@pytest.fixture
def open_page(studio: str, browser: "Browser") -> Iterator[OpenPage]:
    """Return a function that opens a page of the studio and watches it to the end of the test.

    `path` is below the server (`/#/audio`) or a whole address; `allow` are pieces of text: a
    complaint that holds one of them is expected; `like` opens another page in the context of one,
    with its storage and cookies.
    """
    contexts: list[Any] = []
    watches: list[_Watch] = []

    def open_(
        path: str = "/",
        *,
        size: tuple[int, int] = DESK,
        scheme: Any = "light",
        touch: bool = False,
        reduced_motion: bool = False,
        allow: Sequence[str] = (),
        like: "Page | None" = None,
    ) -> "Page":
        address = path if path.startswith("http") else studio + path
        if like is None:
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,
                has_touch=touch,
                is_mobile=touch,
                reduced_motion="reduce" if reduced_motion else "no-preference",
                accept_downloads=True,
            )
            context.set_default_timeout(20_000)
            contexts.append(context)
        else:
            context = like.context
        watch = _Watch(address)
        watch.allowed.extend(allow)
        watches.append(watch)
        page = context.new_page()
        watch.attach(page)
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    left = [each for watch in watches for each in watch.left()]
    assert not left, "\n".join(left)


@pytest.fixture
def shot(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[Page, str], Path]":
    """Return a function that keeps a picture of a page, in SEGUE_SCREENSHOTS or a temporary folder."""
    named = os.environ.get("SEGUE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: "Page", name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        return path

    return take
