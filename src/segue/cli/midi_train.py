"""`segue midi prepare | train | export`: from a folder of music to a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli.console import JsonOption, SetOption, print_json, progress, tell, tell_recipe

if TYPE_CHECKING:
    from segue.symbolic.model.recipe import MidiRecipe

RecipeOption = Annotated[
    str, typer.Option("--recipe", "-r", help="Name of a recipe, or a YAML file.")
]
PreparedArgument = Annotated[
    Path, typer.Argument(metavar="PREPARED", help="A folder that `segue midi prepare` wrote.")
]


def prepare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of MIDI files.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    recipe: RecipeOption = "midigpt-small",
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Use this tokenizer.json, or that of a bundle (for fine-tuning)."),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option(help="Folders kept for tests; near duplicates of them are left out."),
    ] = None,
    split_list: Annotated[
        list[Path] | None,
        typer.Option(help="Take the split of this list of files, or of this prepared folder."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N files.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores by default.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on the Dask cluster with this scheduler, such as tcp://10.0.0.1:8786.",
        ),
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Scan folders of MIDI, group duplicates, split, train a tokenizer, write token shards.

    Run again after an interruption, it goes on where it stopped.
    """
    from segue.recipes import load_recipe
    from segue.symbolic.data.prepare import prepare as run

    overrides = [*(settings or []), *([f"prepare.limit={limit}"] if limit else [])]
    chosen = load_recipe(recipe, overrides=overrides)
    info = run(
        folders,
        output,
        chosen.prepare,
        tokenizer=None if tokenizer is None else _tokenizer_path(tokenizer),
        held_out=held_out or (),
        split_list=split_list or (),
        workers=workers,
        cluster=cluster,
        progress=progress,
    )
    if as_json:
        print_json(info)
        return
    for name, split in info["splits"].items():
        tell(f"{name}: {split['pieces']:,} pieces, {split['tokens']:,} tokens")
        if split["near_training"]:
            tell(f"{name}: {split['near_training']:,} pieces have a near duplicate in train")
    for reason, count in info.get("left_out", {}).items():
        tell(f"left out: {count:,} {reason}")
    if info["missing"]:
        tell(
            f"missing: {info['missing']:,} pieces of the split list; see {output / 'missing.jsonl'}"
        )
    print(output)


def _tokenizer_path(name: str) -> Path:
    """Return the tokenizer of a file, or of a bundle."""
    from segue.runtime.bundle import Bundle

    path = Path(name)
    return path if path.is_file() else Bundle.open(name).path("tokenizer.json")


def train(
    prepared: PreparedArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.")],
    recipe: RecipeOption = "midigpt-small",
    init_from: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune this bundle, run folder or checkpoint."),
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model; the same command goes on with a run that was interrupted."""
    from segue.recipes import load_recipe
    from segue.symbolic.model.fit import fit

    def report(step: int, total: int, row: Mapping[str, float]) -> None:
        numbers = " ".join(
            f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "split")
        )
        tell(f"{step}/{total} {numbers}")

    chosen = load_recipe(recipe, overrides=settings or [])
    tell_recipe(chosen)
    result = fit(
        chosen,
        prepared,
        output,
        init_from=init_from,
        report=report,
        progress=progress,
    )
    summary: dict[str, Any] = {
        "run": str(output),
        "steps": result.steps,
        "finished": result.finished,
        "validation": result.validation,
    }
    if as_json:
        print_json(summary)
        return
    for name, value in result.validation.items():
        tell(f"{name} {value:.4f}")
    print(output)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or checkpoint.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.")],
    name: Annotated[
        str | None, typer.Option(help="The bundle's name; the folder's where none.")
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Markdown text of the model card."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unstated",
    part: Annotated[
        list[str] | None,
        typer.Option(help="int8, float or safetensors; may be repeated; int8 where none."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export a trained run to a bundle, and check the graphs against the model."""
    from segue.symbolic.model.export import SHIPPED, export_bundle

    recipe = _recipe_of(run)
    bundle, parity = export_bundle(
        run,
        None,
        output,
        name=name or output.name,
        objective=recipe.task.objective,
        extras={
            "licence": licence,
            "sampling": recipe.sampling.model_dump(exclude={"seed"}, exclude_none=True),
            "recipe": recipe.name,
            **({} if recipe.windows.sight == "all" else {"sight": recipe.windows.sight}),
        },
        card=card.read_text(encoding="utf-8") if card else "",
        parts=tuple(part) if part else SHIPPED,  # type: ignore[arg-type]  # checked there
    )
    if as_json:
        print_json({"folder": bundle.folder, "parity": parity.__dict__})
        return
    tell(f"largest difference of the float graph: {parity.float_error:.1e}")
    if parity.int8_nats is not None:
        tell(f"int8 costs {parity.int8_nats:.5f} nats per token")
    print(bundle.folder)


def _recipe_of(run: Path) -> "MidiRecipe":
    """Return the recipe that a run folder, or the run folder of a checkpoint, was made with."""
    from segue.errors import SettingError
    from segue.recipes import load_recipe

    for folder in (run, *run.absolute().parents[:2]):
        if (folder / "recipe.yaml").is_file():
            return load_recipe(folder / "recipe.yaml")
    raise SettingError(f"{run} does not lie in a run folder: there is no recipe.yaml beside it.")
