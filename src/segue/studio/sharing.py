"""What the routes of both generators share: slow work in turn, files made for one answer."""

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import anyio
import anyio.to_thread
from fastapi import Query, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from segue.studio.context import studio_of
from segue.studio.names import attachment

BINARY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""Describes a request whose body is a file."""

PICTURES: Final = threading.Lock()
"""Held while a picture is drawn: matplotlib is not for several threads."""
SoundKind = Annotated[Literal["wav", "flac"], Query(alias="format")]
Made = TypeVar("Made")

_MAKING = threading.Lock()


def file_answer(*kinds: str, headers: Mapping[str, str] = {}) -> dict[int | str, dict[str, Any]]:
    """Return the description of an answer that is a file.

    Args:
        kinds: types that it may have.
        headers: names of headers that come with it, and what they mean.
    """
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    told = {
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in headers.items()
    }
    return {200: {"content": content, **({"headers": told} if told else {})}}


def of_app(request: Request, name: str, make: Callable[[], Any]) -> Any:
    """Return something of this studio that is made when it is first asked for."""
    state = request.app.state
    with _MAKING:
        if not hasattr(state, name):
            setattr(state, name, make())
    return getattr(state, name)


async def in_turn(request: Request, row: str, work: Callable[[], Made]) -> Made:
    """Do slow work for one request of a row at a time; the others wait without holding a thread.

    Args:
        request: the request.
        row: such as "pictures"; rows do not wait for each other.
        work: runs in a thread.
    """
    limiter = of_app(request, f"row_of_{row}", lambda: anyio.CapacityLimiter(1))
    return await anyio.to_thread.run_sync(work, limiter=limiter)


async def made_file(
    request: Request, make: Callable[[Path], None], file: str, name: str
) -> Response:
    """Answer with a file that is made for this answer alone.

    Args:
        request: the request.
        make: puts the file into a folder; slow.
        file: its name there.
        name: what it is called for whoever asked.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(studio_of(request).store.scratch())
        await in_turn(request, "files", lambda: make(folder))
        kind = {"wav": "audio/wav", "flac": "audio/flac"}[file.rpartition(".")[2]]
        answer = PassingFile(folder / file, media_type=kind, headers=attachment(name))
        answer.closing = stack.pop_all()
    return answer


class PassingFile(FileResponse):
    """A file that is removed when it was sent, or when nobody takes it any more.

    Attributes:
        closing: removes it.
    """

    closing: contextlib.ExitStack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await anyio.to_thread.run_sync(self.closing.close)
