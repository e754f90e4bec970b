"""The forms of what the studio's own routes answer, for their description."""

import operator
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from segue.studio.jobs import State
from segue.studio.problems import STATUS

ErrorKind = Literal[
    "setting", "data", "not_found", "too_large", "busy", "forbidden", "unauthorized", "gone",
    "internal",
]  # fmt: skip


class _Answer(BaseModel):
    """Base of the forms: what a field means stands below it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Told(_Answer):
    """What went wrong."""

    kind: ErrorKind
    """For programs."""

    message: str
    """For people: what happened, what was given, what to do."""


class ErrorAnswer(_Answer):
    """Every answer that is not as asked."""

    error: Told


class JobAnswer(_Answer):
    """A job."""

    id: str
    """16 hexadecimal digits."""

    kind: str
    """Such as midi.inpaint."""

    state: State
    """The last four are final."""

    position: int | None
    """Jobs before it in its queue; null where it does not wait."""

    settings: dict[str, Any]
    """As asked for."""

    progress: float | None
    """Share that is done, 0 to 1; null where unknown."""

    created: str
    """ISO 8601, UTC."""

    started: str | None
    finished: str | None
    error: Told | None
    """Where it failed or was interrupted."""

    result: dict[str, Any] | None
    """Where it is done: of notes `before` (id of the piece that was filled), `region` and `candidates`,
    the likeliest first, each with `piece` (an id), `rank`, `number`, `num_notes` and
    `log_prob_per_note`; of sound `recording` (an id)."""


class ShelfItem(BaseModel):
    """A piece or recording that is kept; more fields by kind."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    id: str
    kind: Literal["piece", "recording"]
    created: str
    """ISO 8601, UTC."""

    size_bytes: int


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "model": ErrorAnswer,
        "description": "An error; the status goes with the kind: "
        + ", ".join(
            f"{status} {kind}"
            for kind, status in sorted(STATUS.items(), key=operator.itemgetter(1))
        )
        + ". With 503 comes Retry-After.",
    }
}
"""What every route may answer besides its own."""
