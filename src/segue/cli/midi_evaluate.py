"""`segue midi evaluate`: one model, everything it is compared with, one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli.console import JsonOption, SetOption, print_json, print_table, progress, tell

if TYPE_CHECKING:
    from segue.symbolic.evaluate.evaluation import Evaluation
    from segue.symbolic.evaluate.infilling import EvaluationSettings


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a bundle.")],
    *,
    data: Annotated[
        Path, typer.Option("--data", help="Music to measure on: MIDI files, or a prepared folder.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the page is written.")
    ],
    split: Annotated[str, typer.Option(help="Of a prepared folder: train, valid, test.")] = "test",
    train: Annotated[
        Path | None,
        typer.Option(help="Prepared folder of the training music, for copies and duplicates."),
    ] = None,
    baselines: Annotated[
        Path | None, typer.Option(help="What `segue midi baselines` wrote.")
    ] = None,
    beside: Annotated[
        list[str] | None, typer.Option(help="A further bundle; may be repeated.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Measure these regions (masks.jsonl) instead of new ones.")
    ] = None,
    pieces: Annotated[int | None, typer.Option(min=2, help="Pieces; 200 by default.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Fixes pieces, regions, samples.")] = None,
    listen: Annotated[
        bool, typer.Option("--listen", help="Write a page of blind pairs to judge by ear, too.")
    ] = False,
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs of --listen with each other system; 9 by default."),
    ] = None,
    no_maps: Annotated[
        bool, typer.Option("--no-maps", help="Leave out the embedding maps.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores by default.")
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on held-out music and write a page about it.

    Nine infilling tasks, baselines on the same regions, intervals over pieces. Run again after an
    interruption, it goes on where it stopped.
    """
    from segue.errors import SettingError
    from segue.symbolic.evaluate.evaluation import evaluate as measure
    from segue.symbolic.evaluate.evaluation import numbers, write_results
    from segue.symbolic.evaluate.report import write_report

    if pairs is not None and not listen:
        raise SettingError("--pairs says how many pairs --listen writes. Give --listen, too.")
    found = measure(
        model,
        data,
        output,
        settings=_settings(settings or [], pieces, seed),
        split=split,
        beside=beside or (),
        baselines=baselines,
        train=train,
        masks=masks,
        workers=workers,
        progress=progress,
    )
    write_results(found)
    maps = [] if no_maps else _maps(found, data, split)
    page = write_report(found, maps=maps, progress=progress)
    if listen:
        from segue.symbolic.evaluate.hearing import PAIRS, write_listening_test

        most = PAIRS if pairs is None else pairs
        written = write_listening_test(found, pairs=most, progress=progress)
        tell(f"to judge by ear: {written.page} (its key, to keep from listeners: {written.key})")
    if as_json:
        print_json(numbers(found))
        return
    _print(found)
    print(page)


def _settings(assignments: list[str], pieces: int | None, seed: int | None) -> "EvaluationSettings":
    """Build the settings from --set, --pieces and --seed."""
    from segue.core.config import load
    from segue.symbolic.evaluate.infilling import EvaluationSettings

    given = {"pieces": pieces, "seed": seed}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    origin = "the settings of the evaluation"
    return load(EvaluationSettings, values, overrides=assignments, origin=origin)


def _maps(found: "Evaluation", data: Path, split: str) -> list[tuple[str, bytes, str]]:
    """Draw the embedding maps, where scikit-learn is there."""
    from segue.errors import MissingExtraError, SettingError
    from segue.symbolic.data.windows import Prepared
    from segue.symbolic.evaluate.embedding_map import map_pictures

    prepared = Prepared(data, split) if (data / "dataset.json").is_file() else None
    try:
        return map_pictures(found.bundle, prepared, seed=found.settings.seed, progress=progress)
    except (MissingExtraError, SettingError) as error:
        tell(f"no embedding maps: {error}")
        return []


def _print(found: "Evaluation") -> None:
    """Say the main numbers."""
    from segue.core.plain import shown
    from segue.symbolic.evaluate.summary import ALL_TASKS

    likelihood = found.summary.likelihood.get(ALL_TASKS, {})
    fillings = found.summary.fillings.get(ALL_TASKS, {})
    rows = []
    for system in found.systems:
        cost, row = likelihood.get(system.name), fillings.get(system.name, {})
        cells = [shown(row[name]) if name in row else "" for name in ("note_f1", "seam")]
        bits = "" if cost is None else shown(cost.bits_per_note)
        if bits or any(cells):
            rows.append([system.name, bits, *cells])
    print_table(rows, header=("system", "bits per note", "note F1", "seam, bits per note"))
    tell(f"{len(found.regions)} regions of {len(found.pieces)} pieces")
