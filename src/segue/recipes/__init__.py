"""Complete configurations by name, and the one way to read them.

A recipe is a YAML file in this folder, or anywhere else; its ``kind`` says which generator it trains.
"""

import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, overload

from segue.audio.autoencoder.recipe import AutoencoderRecipe
from segue.audio.diffusion.recipe import DiffusionRecipe
from segue.core.config import StrictModel, load, nearest, read_mapping
from segue.errors import SettingError
from segue.symbolic.model.recipe import MidiRecipe

Recipe = MidiRecipe | AutoencoderRecipe | DiffusionRecipe
"""What a recipe can be; one class per kind."""

R = TypeVar("R", bound=StrictModel)

_KINDS: dict[str, type[Recipe]] = {
    "midigpt": MidiRecipe,
    "ldmg-autoencoder": AutoencoderRecipe,
    "ldmg-diffusion": DiffusionRecipe,
}


def recipe_names() -> list[str]:
    """Return the names of the recipes in the package, sorted."""
    folder = importlib.resources.files(__package__)
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


@overload
def load_recipe(name_or_path: Path | str, *, overrides: Sequence[str] = ()) -> MidiRecipe: ...


@overload
def load_recipe(name_or_path: Path | str, of: type[R], *, overrides: Sequence[str] = ()) -> R: ...


def load_recipe(
    name_or_path: Path | str, of: type[StrictModel] = MidiRecipe, *, overrides: Sequence[str] = ()
) -> StrictModel:
    """Read a recipe and check all of it.

    Args:
        name_or_path: a name out of `recipe_names`, or the path of a YAML file.
        of: the kind that is needed.
        overrides: ``optim.learning_rate=1e-3`` and the like, set on top.

    Raises:
        SettingError: there is no such recipe, it is of another kind, or settings in it are wrong;
            the message lists all.

    Example:
        >>> load_recipe("midigpt-original").model.preset
        'gpt-micro'
    """
    path = _path_of(name_or_path)
    mapping = read_mapping(path)
    found = kind_of(path)
    if found is not of:
        wanted = next(name for name, kind in _KINDS.items() if kind is of)
        raise SettingError(
            f"The recipe {name_or_path} has the kind {mapping['kind']!r}, but this needs one of the "
            f"kind {wanted!r}."
        )
    return load(of, mapping, overrides=overrides, origin=f"the recipe {name_or_path}")


def kind_of(name_or_path: Path | str) -> type[Recipe]:
    """Return the class of a recipe.

    Raises:
        SettingError: there is no such recipe, or its ``kind`` is unknown.
    """
    path = _path_of(name_or_path)
    kind = read_mapping(path).get("kind")
    if kind not in _KINDS:
        raise SettingError(
            f"The recipe {path} has the kind {kind!r}; known kinds are {', '.join(_KINDS)}."
        )
    return _KINDS[kind]


def _path_of(name_or_path: Path | str) -> Path:
    """Return the file of a recipe."""
    text = str(name_or_path)
    names = recipe_names()
    if text in names:
        with importlib.resources.as_file(
            importlib.resources.files(__package__) / f"{text}.yaml"
        ) as path:
            return path
    path = Path(name_or_path)
    if path.is_file():
        return path
    guess = nearest(text, names)
    hint = f"did you mean {guess}?" if guess else f"known: {', '.join(names)}"
    raise SettingError(f"There is no recipe and no file named {text!r} ({hint}).")
