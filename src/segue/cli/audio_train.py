"""`segue audio train-autoencoder | train-diffusion | export`: from a prepared folder to a bundle."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segue.cli.console import (
    JsonOption,
    SetOption,
    print_json,
    print_table,
    progress,
    tell,
    tell_recipe,
)

if TYPE_CHECKING:
    from segue.training.result import FitResult

_POLL_S = 2.0

PreparedArgument = Annotated[
    Path, typer.Argument(metavar="PREPARED", help="A folder that `segue audio prepare` wrote.")
]
RunOption = Annotated[Path, typer.Option("--output", "-o", help="The run folder.")]
RecipeOption = Annotated[
    str, typer.Option("--recipe", "-r", help="Name of a recipe, or a YAML file.")
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", help="Begin with the weights of this run folder, checkpoint or bundle."),
]


def train_autoencoder(
    prepared: PreparedArgument,
    *,
    output: RunOption,
    recipe: RecipeOption = "ldmg-small-autoencoder",
    init_from: FromOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the first stage; the same command goes on with a run that was interrupted."""
    from segue.audio.autoencoder.fit import fit
    from segue.audio.autoencoder.recipe import AutoencoderRecipe
    from segue.recipes import load_recipe

    chosen = load_recipe(recipe, overrides=settings or [], of=AutoencoderRecipe)
    tell_recipe(chosen)
    result = fit(chosen, prepared, output, init_from=init_from, report=_report, progress=progress)
    _say(result, output, as_json=as_json)


def train_diffusion(
    prepared: Annotated[
        Path,
        typer.Argument(
            metavar="PREPARED", help="A folder that `segue audio prepare` wrote, or one of latents."
        ),
    ],
    *,
    output: RunOption,
    recipe: RecipeOption = "ldmg-small-diffusion",
    autoencoder: Annotated[
        Path | None,
        typer.Option(
            "--autoencoder", "-a", help="Run folder, checkpoint or bundle of the first stage."
        ),
    ] = None,
    latents: Annotated[
        Path | None,
        typer.Option("--latents", help="Where latents are kept; PREPARED-latents by default."),
    ] = None,
    init_from: FromOption = None,
    device: Annotated[
        str | None, typer.Option("--device", help="What encodes: cuda where there is one, or cpu.")
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode a prepared folder once, then train the second stage on its latents.

    The same command goes on with what was interrupted.
    """
    from segue.audio.diffusion.fit import check_text_encoder, fit, knows_text
    from segue.audio.diffusion.recipe import DiffusionRecipe
    from segue.recipes import load_recipe

    chosen = load_recipe(recipe, overrides=settings or [], of=DiffusionRecipe)
    tell_recipe(chosen)
    check_text_encoder(chosen, prepared)
    folder = _latents_of(prepared, autoencoder, latents, chosen.encode, device)
    if chosen.text is not None and not knows_text(chosen, folder):
        tell("no recording has a caption: the model will know labels, and no text")
    result = fit(chosen, folder, output, init_from=init_from, report=_report, progress=progress)
    _say(result, output, as_json=as_json)


def export(
    autoencoder: Annotated[
        Path,
        typer.Argument(metavar="AUTOENCODER", help="Run folder of the first stage, or a bundle."),
    ],
    diffusion: Annotated[
        Path, typer.Argument(metavar="DIFFUSION", help="Run folder of the second stage.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.")],
    name: Annotated[
        str | None, typer.Option(help="The bundle's name; the folder's where none.")
    ] = None,
    storage: Annotated[
        str, typer.Option("--weights", help="How weights are stored: float16, int8 or float32.")
    ] = "float16",
    checkpoint: Annotated[
        str | None, typer.Option(help="best or last of the second stage.")
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Markdown text of the model card."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unstated",
    part: Annotated[
        list[str] | None,
        typer.Option(help="graphs or safetensors; may be repeated; graphs where none."),
    ] = None,
    sampling: Annotated[
        list[str] | None,
        typer.Option(
            help="steps=8, guidance=2 and the like: how the bundle draws unless asked otherwise, "
            "where not as the run's recipe says; may be repeated."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export both stages to a bundle, and check the graphs against the models."""
    from segue.audio.bundling import SHIPPED, export_bundle
    from segue.units import bytes_to_megabytes

    exported = export_bundle(
        autoencoder,
        diffusion,
        output,
        name=name or output.name,
        storage=storage,  # type: ignore[arg-type]  # checked there
        checkpoint=checkpoint,
        extras={"licence": licence},
        card=card.read_text(encoding="utf-8") if card else "",
        parts=tuple(part) if part else SHIPPED,  # type: ignore[arg-type]  # checked there
        sampling=sampling or (),
    )
    if as_json:
        print_json(
            {
                "folder": exported.bundle.folder,
                "errors": exported.errors,
                "bytes": exported.sizes,
            }
        )
        return
    for what, error in exported.errors.items():
        tell(f"{what.replace('_', ' ')}: {error:.1e} of the output")
    rows = [[file, f"{bytes_to_megabytes(size):.2f}"] for file, size in exported.sizes.items()]
    total = bytes_to_megabytes(sum(exported.sizes.values()))
    print_table([*rows, ["together", f"{total:.2f}"]], header=("file", "megabytes"))
    print(exported.bundle.folder)


def _latents_of(
    prepared: Path,
    autoencoder: Path | None,
    latents: Path | None,
    settings: object,
    device: str | None,
) -> Path:
    """Return a folder of latents; encode the prepared folder first where it is not one.

    Raises:
        SettingError: latents are to be made and no autoencoder is named.
        DataError: the folder is neither of the two.
    """
    from segue.audio.autoencoder.export import encoder_hash
    from segue.audio.autoencoder.fit import load_autoencoder
    from segue.audio.data.latent_cache import encode_folder, torch_encoder
    from segue.errors import DataError, SettingError
    from segue.training.run import is_first_process

    if (prepared / "latents.json").is_file():
        return prepared
    if not (prepared / "dataset.json").is_file():
        raise DataError(
            f"{prepared} is neither a prepared folder nor one of latents. Make one with `segue audio "
            "prepare FOLDER -o PREPARED`; interrupted, the same command goes on where it stopped."
        )
    if autoencoder is None:
        raise SettingError(
            f"{prepared} holds sound, and the second stage learns from latents. Name the run folder "
            "of the first stage with --autoencoder."
        )
    folder = latents or prepared.with_name(f"{prepared.name}-latents")
    if not is_first_process():
        _wait_for(folder / "latents.json")
    model = load_autoencoder(autoencoder)
    encode_folder(
        prepared,
        folder,
        torch_encoder(model, device=device),
        autoencoder={"name": autoencoder.name, "encoder_sha256": encoder_hash(model)},
        settings=settings,  # type: ignore[arg-type]  # a CacheSettings, whose module brings torch
        progress=progress,
        told=tell if is_first_process() else None,
    )
    return folder


def _wait_for(path: Path) -> None:
    """Wait until the first of several processes has written a file."""
    while not path.is_file():
        time.sleep(_POLL_S)


def _report(step: int, total: int, row: Mapping[str, float]) -> None:
    """Print a row of the metrics."""
    numbers = " ".join(
        f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "split")
    )
    tell(f"{step}/{total} {numbers}")


def _say(result: "FitResult", output: Path, *, as_json: bool) -> None:
    """Print how a training ended."""
    if as_json:
        print_json(
            {
                "run": str(output),
                "steps": result.steps,
                "finished": result.finished,
                "validation": result.validation,
            }
        )
        return
    for name, value in result.validation.items():
        tell(f"{name} {value:.4f}")
    print(output)
