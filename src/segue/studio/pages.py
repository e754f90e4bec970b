"""The pages and what belongs to them: the files of one folder, and the description of the API."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from segue.studio.api_page import described
from segue.studio.problems import NotFound

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".woff2": "font/woff2",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")

router = APIRouter(include_in_schema=False)


@router.get("/")
async def first_page(request: Request) -> Response:
    """Give the page."""
    return file_answer(request, "index.html")


@router.get("/static/{name}")
async def static_file(request: Request, name: str) -> Response:
    """Give a file of the page."""
    return file_answer(request, name)


@router.get("/api")
def api_page(request: Request) -> Response:
    """Give the description of the HTTP interface, for people."""
    app: FastAPI = request.app
    return Response(described(app.openapi()), media_type=TYPES[".html"])


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """Give the picture in the tab."""
    return file_answer(request, "favicon.svg")


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int) -> tuple[bytes, str]:
    """Return the content of a file and its tag; read once for each time of its last change."""
    del changed, size
    content = path.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def file_answer(request: Request, name: str) -> Response:
    """Return a file of the folder, or 304 where the browser has it already.

    Raises:
        NotFound: there is no such file in the folder.
    """
    path = FOLDER / name
    if not _NAME.fullmatch(name) or path.suffix not in TYPES or not path.is_file():
        raise NotFound("There is no such page.")
    known = path.stat()
    content, etag = _read(path, known.st_mtime_ns, known.st_size)
    headers = {"etag": etag, "cache-control": "no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=TYPES[path.suffix], headers=headers)
