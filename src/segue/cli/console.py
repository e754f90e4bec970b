"""What the commands share: how they speak to people, to machines, and of progress."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from segue.core.progress import Advance

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for machines instead of text.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change one setting, such as optim.learning_rate=1e-3. May be repeated.",
    ),
]


def print_json(value: Any) -> None:
    """Print one JSON value to standard output, and nothing else."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> None:
    """Print rows in columns as wide as their widest cell.

    Args:
        rows: cells as text, the same number in every row.
        header: names of the columns; none are printed where it is empty.
    """
    lines = [list(header)] * bool(header) + [list(row) for row in rows]
    if not lines:
        return
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def tell(message: str) -> None:
    """Say something to the person at the terminal; standard output stays for results."""
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(label: str, *, total: float | None = None) -> Iterator[Advance]:
    """Draw a progress bar on standard error; nothing where that is not a terminal.

    It is a `segue.core.progress.Progress`: commands hand it to library functions.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(label, total=total)

        def advance(count: float = 1) -> None:
            bars.advance(task, count)

        yield advance
