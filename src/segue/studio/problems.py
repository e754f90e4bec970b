"""What the studio answers when it cannot do what was asked: one kind, one status, one paragraph."""

import logging
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

import segue
from segue.errors import BundleError, DataError, MissingExtraError, SegueError, SettingError

logger = logging.getLogger("segue.studio")

STATUS: Final = {
    "setting": 422,
    "data": 400,
    "not_found": 404,
    "too_large": 413,
    "busy": 503,
    "forbidden": 403,
    "unauthorized": 401,
    "gone": 410,
    "internal": 500,
}
"""HTTP status of each kind of error."""

INTERNAL_MESSAGE: Final = (
    "The studio failed at this. Nothing that was there before is lost; what happened is in the "
    "log of the terminal where `segue studio` runs."
)

_ABSOLUTE = re.compile(r"(?<![\w:/.<])(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\":;,()]+){2,}")


class Refusal(SegueError):  # noqa: N818 - a refusal is no failure
    """Something that the studio does not do, said to whoever asked over HTTP.

    Attributes:
        kind: one of the keys of `STATUS`.
    """

    kind: ClassVar[str] = "setting"


class NotFound(Refusal):
    """There is no such item, job, model or page."""

    kind = "not_found"


class Gone(Refusal):
    """It was here once and is no more."""

    kind = "gone"


class TooLarge(Refusal):
    """More bytes, seconds or items than this studio takes."""

    kind = "too_large"


class Forbidden(Refusal):
    """Asked by a page or a name that may not ask."""

    kind = "forbidden"


class Unauthorized(Refusal):
    """The token is missing or wrong."""

    kind = "unauthorized"


class Busy(Refusal):
    """Nothing is wrong, there is too much to do; ask again later.

    Attributes:
        retry_after_seconds: when asking again makes sense.
    """

    kind = "busy"

    def __init__(self, message: str, *, retry_after_seconds: int = 5) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def kind_of(error: BaseException) -> str:
    """Return which kind of error an exception is to the one who asked."""
    match error:
        case Refusal():
            return error.kind
        case SettingError() | MissingExtraError():
            return "setting"
        case DataError() | BundleError():
            return "data"
        case _:
            return "internal"


def describe(error: BaseException, *, folders: Iterable[Path] = ()) -> dict[str, Any]:
    """Return ``{"kind", "message"}`` of an exception; no path of the server, no traceback.

    Args:
        error: anything; what is not a `SegueError` becomes ``internal`` and is logged.
        folders: folders of the server whose names must not be told.
    """
    kind = kind_of(error)
    if kind == "internal":
        logger.error("An unexpected error", exc_info=error)
        return {"kind": kind, "message": INTERNAL_MESSAGE}
    return {"kind": kind, "message": without_paths(str(error), folders=folders)}


def without_paths(message: str, *, folders: Iterable[Path] = ()) -> str:
    """Return a message with every absolute path cut down to its last part.

    Args:
        message: as the library says it.
        folders: folders known by name, which may hold spaces.
    """
    known = [*folders, Path(segue.__file__).parent, Path.home(), Path(tempfile.gettempdir())]
    for folder in sorted({str(folder) for folder in known}, key=len, reverse=True):
        if len(folder) > 1:
            message = re.sub(re.escape(folder) + r"(?:[\\/][^\s'\":;,()]*)?", _last_part, message)
    return _ABSOLUTE.sub(_last_part, message)


def _last_part(match: re.Match[str]) -> str:
    """Return the last part of a path, with the full stop of its sentence."""
    return re.split(r"[\\/]", match.group().rstrip("\\/"))[-1]
