"""The web application: puts together jobs, the shelf, both generators' routes and the pages."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

import segue
from segue.errors import SegueError
from segue.studio import pages
from segue.studio.answers import ERRORS, JobAnswer, ShelfItem
from segue.studio.context import Studio, StudioSettings, client_of, studio_of
from segue.studio.jobs import Jobs
from segue.studio.problems import Busy
from segue.studio.security import Doors, Guard, problem, refusal
from segue.studio.store import Store

__all__ = ["Studio", "StudioSettings", "client_of", "create_app", "studio_of"]

DESCRIPTION = """The same functions as the page and the commands, over HTTP.

Making music takes a while: such a request is answered at once with a job, which is followed by
server-sent events or asked for now and then, and can be cancelled. Clients take turns; who says
`X-Segue-Client: NAME` takes turns under that name. A studio with a token asks for
`Authorization: Bearer TOKEN`."""

KINDS = {404: "not_found", 405: "not_found", 413: "too_large", 400: "data", 403: "forbidden"}


def create_app(settings: StudioSettings, *, late: bool = False) -> FastAPI:
    """Return the application.

    Args:
        settings: of the studio; its folder is made where missing.
        late: load what makes music after the start, so that the page comes at once; what is asked
            of it meanwhile waits. It needs a server that runs the application's lifespan.

    Raises:
        DataError: the folder cannot be used.
        BundleError: a folder of `settings.bundles` is no bundle that fits.
    """
    limits, private = settings.limits, _private(settings)
    store = Store(
        settings.folder,
        max_bytes=limits.stored_bytes,
        max_items=limits.stored_items,
        max_unlisted=limits.unlisted_items,
    )
    jobs = Jobs(settings.folder / "jobs", limits, private=private, admit=store.check_room)
    app = FastAPI(
        title="Segue studio",
        version=segue.__version__,
        summary="Writes the music that is missing.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        description=DESCRIPTION,
        responses=ERRORS,
        openapi_url="/api/openapi.json",
        lifespan=_lifespan,
    )
    app.state.studio = Studio(settings, limits, jobs, store, None)
    app.state.num_streams = 0
    app.state.failure = None
    app.include_router(router)
    app.include_router(pages.router)
    _handle_errors(app, settings)
    if late:
        app.add_middleware(Late, state=app.state)
    else:
        _complete(app)
    doors = Doors(settings.host, settings.port, settings.allow_hosts, settings.token)
    app.add_middleware(Guard, doors=doors, limits=limits, folders=private)
    return app


def _complete(app: FastAPI) -> None:
    """Load what makes music: the models' names and the routes; half a second of imports."""
    from segue.studio import audio_api, look_api, midi_api
    from segue.studio.models import Models

    studio: Studio = app.state.studio
    app.state.studio = dataclasses.replace(studio, models=Models(studio.settings.bundles))
    for part in (midi_api, audio_api, look_api):
        app.include_router(part.router)


class Late:
    """Lets requests for what makes music wait until it is loaded."""

    def __init__(self, app: ASGIApp, *, state: State) -> None:
        """Stand before `app`."""
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait where needed, then pass on."""
        if scope["type"] == "http" and scope["path"].startswith("/api"):
            await self._state.loaded.wait()
        await self._app(scope, receive, send)


router = APIRouter(prefix="/api")


@router.get("/jobs", tags=["jobs"], response_model=list[JobAnswer])
async def list_jobs(request: Request) -> list[dict[str, Any]]:
    """List the jobs, newest first."""
    return [job.answer() for job in studio_of(request).jobs.all()]


@router.get("/jobs/{job_id}", tags=["jobs"], response_model=JobAnswer)
async def get_job(request: Request, job_id: str) -> dict[str, Any]:
    """Return one job."""
    return studio_of(request).jobs.get(job_id).answer()


@router.delete("/jobs/{job_id}", tags=["jobs"], status_code=202, response_model=JobAnswer)
def cancel_job(request: Request, job_id: str) -> dict[str, Any]:
    """Cancel a job that waits or runs; one that has ended stays as it is."""
    return studio_of(request).jobs.cancel(job_id).answer()


@router.get(
    "/jobs/{job_id}/events",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: {"description": "The job has ended, and its last event was seen before."},
    },
)
async def follow_job(request: Request, job_id: str) -> Response:
    """Follow a job by server-sent events: everything from the beginning, then live, to its end.

    Their data is JSON: `state` {state, position}; `begin` {piece, region}, where a piece is
    written; `notes` {candidate, notes}; `drop` {candidate, track}, whose notes so far are to be
    forgotten, for they are written once more; `progress` {done, total}; `result`; `error` {kind,
    message}; the last is `end` {state}. Their ids count up, and `Last-Event-ID` is honoured.
    Of a job that has told very much, the oldest notes and progress are not kept; the result is
    always whole.
    """
    job = studio_of(request).jobs.get(job_id)
    last = _last_event_id(request)
    if request.app.state.num_streams >= studio_of(request).limits.streams:
        raise Busy("Too many streams of events are open. Ask for the job itself now and then.")
    ended = job.log is None or job.log.closed
    if ended and last and last >= job.last_event > 0:
        return Response(status_code=204)
    body = _streamed(request.app, job.log.stream(last)) if job.log else _replayed(job.replay(last))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


@router.get("/shelf", tags=["shelf"], response_model=list[ShelfItem])
async def list_shelf(request: Request) -> list[dict[str, Any]]:
    """List what is on the shelf, newest first."""
    return studio_of(request).store.listed()


@router.put("/shelf/{item}", tags=["shelf"], status_code=204)
def put_on_shelf(request: Request, item: str) -> None:
    """Put an item on the shelf, such as a candidate that is not the likeliest one.

    What stands on no shelf is there for a while: the newest of it, as many as the limit
    `unlisted_items` says.
    """
    studio_of(request).store.keep(item)


@router.delete("/shelf/{item}", tags=["shelf"], status_code=204)
def remove_from_shelf(request: Request, item: str) -> None:
    """Remove an item from the shelf and from the disk."""
    studio_of(request).store.remove(item)


async def _streamed(app: FastAPI, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Count the streams that are open."""
    app.state.num_streams += 1
    try:
        async for event in events:
            yield event
    finally:
        app.state.num_streams -= 1


async def _replayed(events: list[Any]) -> AsyncIterator[bytes]:
    """Give the last events of a job that ended before."""
    for event in events:
        yield event.encoded()


def _last_event_id(request: Request) -> int:
    """Return the number of the last event that a client has seen; 0 where it says none."""
    given = request.headers.get("last-event-id", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load and warm up what makes music; bound the threads; end the jobs when the server stops."""
    studio: Studio = app.state.studio
    anyio.to_thread.current_default_thread_limiter().total_tokens = studio.limits.threads
    app.state.loaded = asyncio.Event()
    loading = asyncio.create_task(_load(app))
    yield
    await loading
    await anyio.to_thread.run_sync(studio.jobs.stop)


async def _load(app: FastAPI) -> None:
    """Load what is not loaded, then warm it up in a thread; a failure is kept for the server."""
    studio: Studio = app.state.studio
    try:
        if studio.models is None:
            await anyio.to_thread.run_sync(_complete, app)
    except Exception as error:  # noqa: BLE001 - `Server.check` raises it again
        app.state.failure = error
        return
    finally:
        app.state.loaded.set()
    if studio.settings.warm_up:
        models = app.state.studio.models
        app.state.warming = threading.Thread(target=models.warm_up, name="warm-up", daemon=True)
        app.state.warming.start()


def _private(settings: StudioSettings) -> tuple[Path, ...]:
    """Return the folders whose names are not told."""
    return (settings.folder, *settings.bundles, *settings.reports)


def _handle_errors(app: FastAPI, settings: StudioSettings) -> None:
    """Turn what is raised into answers of one form."""

    async def of_segue(_: Request, error: Exception) -> Response:
        return refusal(error, folders=_private(settings))

    app.add_exception_handler(SegueError, of_segue)
    app.add_exception_handler(HTTPException, _of_routes)
    app.add_exception_handler(RequestValidationError, _of_values)


async def _of_routes(_: Request, error: Exception) -> Response:
    """Answer where there is no such route or method."""
    assert isinstance(error, HTTPException)
    kind = KINDS.get(error.status_code, "data")
    headers = dict(error.headers or {})
    told = {"kind": kind, "message": f"{error.detail}."}
    return problem(told, error.status_code, headers=headers)


async def _of_values(_: Request, error: Exception) -> Response:
    """Answer where settings are missing, unknown or out of range."""
    assert isinstance(error, RequestValidationError)
    told = "; ".join(
        f"{'.'.join(map(str, item['loc'][1:])) or 'the request'}: {item['msg']}"
        for item in error.errors()
    )
    return problem({"kind": "setting", "message": f"The settings are not right: {told}."}, 422)
