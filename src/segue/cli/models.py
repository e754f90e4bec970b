"""`segue models`: which models there are, what they are, and whether they are whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli.console import JsonOption, print_json, print_table
from segue.errors import BundleError

if TYPE_CHECKING:
    from segue.runtime.bundle import Bundle

app = typer.Typer(
    help="List, show and verify model bundles.", no_args_is_help=True, rich_markup_mode=None
)

BundleArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a bundled model, or a bundle's folder.")
]


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models inside the package."""
    from segue.runtime.bundle import list_bundles

    rows = [summary(bundle) for bundle in list_bundles()]
    if as_json:
        print_json(rows)
    elif rows:
        header = ("name", "kind", "objective", "megabytes", "licence")
        print_table([[str(row[key]) for key in header] for row in rows], header=header)
    else:
        print("No models are inside this package.")


@app.command("show")
def show(model: BundleArgument, as_json: JsonOption = False) -> None:
    """Show what a model is, and its card."""
    from segue.runtime.bundle import Bundle

    bundle = Bundle.open(model)
    card = read_card(bundle)
    if as_json:
        print_json({"folder": bundle.folder, "config": bundle.config, "card": card})
        return
    print_table([[key, str(value)] for key, value in summary(bundle).items()])
    print(f"folder     {bundle.folder}")
    if labels := bundle.config.get("labels"):
        print(f"labels     {', '.join(map(str, labels))}")
    if card:
        print(f"\n{card.strip()}")


@app.command("verify")
def verify(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Names or folders; all bundled where none."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every file of a model with the hashes in its manifest."""
    from segue.runtime.bundle import Bundle, list_bundles

    bundles = [Bundle.open(name) for name in models] if models else list_bundles()
    if not bundles:
        raise BundleError("There is no model inside this package; name the folder of a bundle.")
    checked = {str(bundle.folder): list(bundle.verify()) for bundle in bundles}
    if as_json:
        print_json(checked)
        return
    for bundle in bundles:
        print(f"{bundle.name}: {len(checked[str(bundle.folder)])} files as the manifest says")


def summary(bundle: "Bundle") -> dict[str, Any]:
    """Say the few facts of a bundle that choosing needs."""
    from segue.units import bytes_to_megabytes

    sizes = [path.stat().st_size for path in bundle.folder.iterdir() if path.is_file()]
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "objective": bundle.objective,
        "megabytes": round(bytes_to_megabytes(sum(sizes)), 1),
        "licence": bundle.config.get("licence", ""),
    }


def read_card(bundle: "Bundle") -> str:
    """Return the text of a bundle's model card, or nothing where it has none."""
    path: Path = bundle.folder / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
