"""What every route works with: the settings, the limits, the jobs, the shelf, the models.

Routes take these names from here; `segue.studio.app`, which puts all together, hands them on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from pydantic import Field

from segue.core.config import StrictModel
from segue.studio.jobs import Jobs
from segue.studio.limits import Limits
from segue.studio.store import Store


class StudioSettings(StrictModel):
    """How one studio is set up; whoever asks over HTTP changes none of it."""

    folder: Path
    """Where jobs and the shelf are kept."""

    host: str = "127.0.0.1"
    """The address that the server is bound to."""

    port: int = Field(8765, ge=1, le=65535)
    """The port that the server is bound to."""

    token: str | None = Field(None, min_length=16)
    """What everyone has to know who asks; None on this computer alone."""

    allow_hosts: tuple[str, ...] = ()
    """Further names that the server is asked by, for instance behind a proxy."""

    bundles: tuple[Path, ...] = ()
    """Folders of models that are offered besides the shipped ones."""

    reports: tuple[Path, ...] = ()
    """Folders of evaluation reports that are shown."""

    warm_up: bool = True
    """Open the models in the background at the start."""

    limits: Limits = Limits()


@dataclass(frozen=True)
class Studio:
    """What the routes work with; ``request.app.state.studio``.

    Attributes:
        settings: of this studio.
        limits: of this studio.
        jobs: all jobs.
        store: the shelf.
        models: the bundles that are offered.
    """

    settings: StudioSettings
    limits: Limits
    jobs: Jobs
    store: Store
    models: Any


def studio_of(request: Request) -> Studio:
    """Return the studio that a request is for."""
    studio: Studio = request.app.state.studio
    return studio


def client_of(request: Request) -> str:
    """Return who asks, for taking turns: the header ``X-Segue-Client``, else the address."""
    given = request.headers.get("x-segue-client", "")
    if 0 < len(given) <= 64 and given.isascii() and given.isprintable():
        return given
    return request.client.host if request.client else "unknown"
