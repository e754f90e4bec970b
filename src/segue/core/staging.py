"""A folder of results that appears when all is done, and whose making survives an interruption."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from segue.errors import DataError

STATISTICS = "statistics.json"
"""A folder that holds this file was written here and may be replaced."""


class Staging(NamedTuple):
    """Where to work.

    Attributes:
        stage: for what a later run takes up; kept where the work is interrupted.
        result: empty at the beginning; becomes the target.
    """

    stage: Path
    result: Path


@contextlib.contextmanager
def staged(target: Path, *, command: str) -> Iterator[Staging]:
    """Give folders to work in, beside the target; put the result in its place at the end.

    Args:
        target: new, empty, or written by an earlier run.
        command: what writes it, for the message where it holds something else.

    Raises:
        DataError: the target holds other things, or cannot be written.
    """
    _check(target, command)
    work = target.absolute().parent / f".{target.name}.exploring"
    stage, result = work / "stage", work / "result"
    _make_empty(result)
    shutil.rmtree(work / "earlier", ignore_errors=True)
    stage.mkdir(exist_ok=True)
    yield Staging(stage, result)
    try:
        if target.exists():
            target.rename(work / "earlier")
        result.rename(target)
    except OSError as error:
        raise DataError(f"Cannot write {target}: {error.strerror or error}.") from error
    shutil.rmtree(work, ignore_errors=True)


def _check(target: Path, command: str) -> None:
    """Refuse a folder that holds other things."""
    holds = list(target.iterdir()) if target.is_dir() else [target] if target.exists() else []
    if holds and not (target / STATISTICS).is_file():
        raise DataError(
            f"{target} is there already and was not written by `{command}`. Name a new folder."
        )


def _make_empty(folder: Path) -> None:
    """Make an empty folder, whatever an interrupted run left there."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {folder}: {error.strerror or error}.") from error
