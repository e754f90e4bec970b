"""Make ``docs/pictures/studio.png``: start the studio, write into a hole, take a picture of the page.

Needs Chromium and Playwright (``pip install -e '.[dev]'``). Run it from the repository root::

    python docs/make_studio_picture.py [/path/to/chromium]
"""

import io
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURE: Final = Path(__file__).parent / "pictures" / "studio.png"
SIZE: Final = {"width": 1280, "height": 720}
PORT: Final = 8799
SEED: Final = 7
NUM_COLOURS: Final = 256
MOST_BYTES: Final = 200_000


def main() -> None:
    """Start the studio, take the picture, and end the studio."""
    program = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "segue", "studio", "--no-open", "--port", str(PORT)]
        studio = subprocess.Popen([*command, "--folder", folder])
        try:
            address = f"http://127.0.0.1:{PORT}"
            _wait(address)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=program, args=["--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
                page.goto(address)
                _write(page)
                _keep(page.screenshot())
                browser.close()
        finally:
            studio.terminate()
            studio.wait(20)


def _wait(address: str) -> None:
    """Wait until the studio answers."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/api/info", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("The studio did not start.")


def _write(page: "Page") -> None:
    """Mark two tracks of the first piece and write into them."""
    page.locator(".track-check").nth(1).click()
    page.locator(".settings summary").click()
    page.get_by_label("Seed", exact=True).fill(str(SEED))
    page.locator(".settings summary").click()
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_role("button", name="Keep").wait_for(timeout=60_000)
    page.locator(".piece-name").hover()
    page.wait_for_timeout(500)


def _keep(screen: bytes) -> None:
    """Keep a picture with few colours."""
    image = Image.open(io.BytesIO(screen)).convert("RGB")
    few = image.quantize(NUM_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{PICTURE} has {size} bytes; it should have at most {MOST_BYTES}.")


if __name__ == "__main__":
    main()
