"""`segue audio explore`: a page about a folder of sound."""

from pathlib import Path
from typing import Annotated

import typer

from segue.cli.console import JsonOption, print_json, progress, tell


def explore(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Sound files, a prepared folder, or FMA's tables.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    metadata: Annotated[
        Path | None,
        typer.Option(help="FMA's tables, fma_metadata; found where they lie in DIR or beside it."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N files, by their paths.")
    ] = None,
    min_seconds: Annotated[float, typer.Option(min=0, help="Shorter files are left out.")] = 1.0,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a folder of sound holds: a page with pictures, tables, and what is there twice.

    Run again after an interruption, it goes on where it stopped.
    """
    from segue.audio.data.collection import AudioExploreSettings
    from segue.audio.data.explore import explore as run

    settings = AudioExploreSettings(limit=limit, min_seconds=min_seconds)
    statistics = run(
        folder, output, settings, metadata=metadata, workers=workers, progress=progress
    )
    if as_json:
        print_json(statistics)
        return
    if statistics["files"]:
        tell(
            f"{statistics['used']:,} of {statistics['files']:,} files, "
            f"{statistics['hours']:,.2f} hours"
        )
    for reason, count in statistics["left_out"].items():
        tell(f"left out: {count:,} {reason}")
    for kind, copies in statistics["copies"].items():
        if copies["groups"]:
            tell(f"{kind}: {copies['files']:,} files in {copies['groups']:,} groups")
    if statistics["fma"]:
        tell(
            f"FMA: {statistics['fma']['tracks']:,} tracks, {statistics['fma']['artists']:,} artists"
        )
    if statistics["note"]:
        tell(statistics["note"])
    print(output / "index.html")
