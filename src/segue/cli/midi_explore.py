"""`segue midi explore`: a page about a folder of MIDI."""

from pathlib import Path
from typing import Annotated

import typer

from segue.cli.console import JsonOption, print_json, progress, tell


def explore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of MIDI files.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N files, by their paths.")
    ] = None,
    token_files: Annotated[
        int, typer.Option(min=1, help="Files that the tokenizer learns from, drawn at random.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Draws the files for the tokenizer.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a folder of MIDI holds: a page with pictures, tables, and what is there twice.

    Run again after an interruption, it goes on where it stopped.
    """
    from segue.symbolic.data.collection import ExploreSettings
    from segue.symbolic.data.explore import explore as run

    settings = ExploreSettings(limit=limit, token_files=token_files, seed=seed)
    statistics = run(folder, output, settings, workers=workers, progress=progress)
    if as_json:
        print_json(statistics)
        return
    tell(f"{statistics['used']:,} of {statistics['files']:,} files, {statistics['hours']:,} hours")
    for reason, count in statistics["left_out"].items():
        tell(f"left out: {count:,} {reason}")
    for kind, copies in statistics["copies"].items():
        tell(f"{kind}: {copies['files']:,} files in {copies['groups']:,} groups")
    if statistics["tokens"] and statistics["tokens"]["missing"]:
        tell(statistics["tokens"]["missing"])
    print(output / "index.html")
