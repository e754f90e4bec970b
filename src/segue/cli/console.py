"""What the commands share: how they speak to people, to machines, and of progress."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.core.progress import Advance

if TYPE_CHECKING:
    from segue.audio.autoencoder.recipe import AutoencoderRecipe
    from segue.audio.diffusion.recipe import DiffusionRecipe
    from segue.symbolic.model.recipe import MidiRecipe

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


def tell_recipe(recipe: "MidiRecipe | AutoencoderRecipe | DiffusionRecipe") -> None:
    """Say what a training is going to be, and what the machine makes of it."""
    from segue.training.trainer import precision

    tell(f"{recipe.name}: {recipe.summary}")
    tell(f"hardware: {recipe.hardware}; duration: {recipe.duration}; expected: {recipe.expected}")
    if precision(recipe.trainer) != recipe.trainer.precision:
        tell("this processor computes bfloat16 in software: training with 32-bit numbers instead")


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
