"""`segue audio evaluate | compare`: a bundle beside everything it is compared with, one page."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli.console import JsonOption, SetOption, print_json, print_table, progress, tell

if TYPE_CHECKING:
    from segue.audio.evaluate.evaluation import AudioEvaluation
    from segue.audio.evaluate.plan import AudioEvaluationSettings


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a bundle.")],
    *,
    data: Annotated[
        Path, typer.Option("--data", help="The prepared folder that it was trained on.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the page is written.")
    ],
    split: Annotated[
        str | None,
        typer.Option(help="Of the folder, for real clips: train (default), valid, test."),
    ] = None,
    clips: Annotated[int | None, typer.Option(min=8, help="Of everything; 200 by default.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of a clip; 10 by default.")] = None,
    embedding: Annotated[
        list[str] | None,
        typer.Option(help="musicnn by default; may be repeated. See segue data list."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of the sampler.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How much labels are exaggerated.")] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]BUNDLE", help="A further bundle; may be repeated."),
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--clips-of", metavar="NAME=FOLDER", help="Clips made elsewhere; may be repeated."
        ),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="A run folder whose loss curve is shown; may be repeated."),
    ] = None,
    no_maps: Annotated[
        bool, typer.Option("--no-maps", help="Leave out the maps of the latent space.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Fixes everything drawn.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores by default.")
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model beside real music, its codec, its prior and Opus, and write a page about it.

    Run again after an interruption, it goes on where it stopped.
    """
    from segue.audio.evaluate.evaluation import evaluate as measure
    from segue.audio.evaluate.evaluation import numbers, write_results
    from segue.audio.evaluate.report import write_report

    given = {
        "split": split,
        "clips": clips,
        "seconds": seconds,
        "embeddings": embedding,
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
    }
    found = measure(
        model,
        data,
        output,
        settings=_settings(settings or [], given),
        beside=_bundles(beside or []),
        outside=_folders(others or []),
        workers=workers,
        progress=progress,
    )
    pictures, reasons = _pictures(found, run or [], no_maps)
    found = replace(found, left_out=(*found.left_out, *reasons))
    write_results(found)
    page = write_report(found, pictures=pictures, progress=progress)
    if as_json:
        print_json(numbers(found))
        return
    _print(found)
    print(page)


def compare(
    first: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of an evaluation.")],
    second: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of another one.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page, .html.")
    ] = Path("comparison.html"),
    as_json: JsonOption = False,
) -> None:
    """Put two evaluations side by side: what differs, with intervals, and whether they can be compared."""
    from segue.audio.evaluate.compare import compare as side_by_side
    from segue.audio.evaluate.compare import write_comparison

    found = side_by_side(first, second)
    write_comparison(found, output)
    if as_json:
        print_json(found.numbers())
        return
    for warning in found.warnings:
        tell(warning)
    print_table(found.rows(), header=("measure", *found.names, "better"))
    print(output)


def _settings(assignments: list[str], given: dict[str, Any]) -> "AudioEvaluationSettings":
    """Build the settings from --set and the options that have names of their own."""
    from segue.audio.evaluate.plan import AudioEvaluationSettings
    from segue.core.config import load

    values = {name: value for name, value in given.items() if value is not None}
    origin = "the settings of the evaluation"
    return load(AudioEvaluationSettings, values, overrides=assignments, origin=origin)


def _folders(pairs: list[str]) -> dict[str, Path]:
    """Read NAME=FOLDER."""
    from segue.errors import SettingError

    found = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not equals or not name.strip() or not Path(folder).is_dir():
            raise SettingError(
                f"--clips-of was given {pair!r}; give a name and a folder that exists, such as "
                "original=clips/original."
            )
        if name.strip() in found:
            raise SettingError(f"--clips-of names {name.strip()} twice. Give each its own name.")
        found[name.strip()] = Path(folder)
    return found


def _bundles(given: list[str]) -> dict[str, str]:
    """Read NAME=BUNDLE; without a name, a bundle has that of its folder."""
    from segue.errors import SettingError

    found: dict[str, str] = {}
    for each in given:
        name, equals, bundle = ("", "", each) if Path(each).exists() else each.partition("=")
        if not equals:
            bundle = each
            name = Path(each).name.strip(".") or Path(each).resolve().name
        if not name.strip() or not bundle.strip():
            raise SettingError(
                f"--beside was given {each!r}; give a bundle, or a name and a bundle, such as "
                "long=bundles/ldmg-small."
            )
        if name.strip() in found:
            raise SettingError(
                f"--beside names {name.strip()} twice. Give each its own name: NAME=BUNDLE."
            )
        found[name.strip()] = bundle.strip()
    return found


def _pictures(
    found: "AudioEvaluation", runs: list[Path], no_maps: bool
) -> tuple[list[tuple[str, bytes, str]], list[str]]:
    """Draw the maps of the latent space, where that can be done, and the curves of runs.

    Returns:
        The pictures, and why there are no maps.
    """
    from segue.audio.evaluate.pictures import curve_of, maps_of
    from segue.errors import DataError, MissingExtraError, SettingError

    pictures: list[tuple[str, bytes, str]] = []
    reasons: list[str] = []
    if not no_maps:
        try:
            pictures += maps_of(found)
        except (DataError, MissingExtraError, SettingError) as error:
            reasons.append(f"maps of the latent space: {error}")
    return [*pictures, *(curve_of(run) for run in runs)], reasons


def _print(found: "AudioEvaluation") -> None:
    """Say the main numbers."""
    from segue.core.plain import shown

    for table in found.distances.values():
        rows = [
            [row.name, str(row.num_clips), shown(row.kernel, 1), shown(row.frechet, 1)]
            for row in sorted(table.rows, key=lambda row: row.kernel.mean)
        ]
        print_table(rows, header=("collection", "clips", "kernel x 1000", "Fréchet"))
        tell(
            f"{table.embedding}; real against real: kernel {table.kernel_floor.mean:.1f}, 97.5 % below "
            f"{table.kernel_floor.high:.1f}"
        )
    for reason in found.left_out:
        tell(f"left out: {reason}")
