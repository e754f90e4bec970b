"""Trained weights as tensors: out of a checkpoint, and in and out of a bundle.

A bundle's ``model.safetensors``, for GPUs and for training further, holds the weights of its networks
in float16, each under its own prefix. Nothing in either kind of file is ever executed.
"""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # the type of an error only; nothing is unpickled
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segue.errors import BundleError, DataError
from segue.runtime.bundle import CONFIG_NAME, Bundle, list_bundles
from segue.training.run import RunFolder

SAFETENSORS_NAME: Final = "model.safetensors"

_MODEL = "model."
"""Prefix of the weights that are exported, in a checkpoint; a discriminator's are beside them."""

_UNREADABLE = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError, UnpicklingError,
)  # fmt: skip


def read_checkpoint(path: Path | str, *, of: str) -> tuple[Any, dict[str, Tensor]]:
    """Return the architecture and the weights, in float32, that a checkpoint of a run holds.

    Args:
        path: the file.
        of: what it should be the checkpoint of, for the message.

    Raises:
        DataError: there is no such file, it is damaged, or not one of ours.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights = {
            name.removeprefix(_MODEL): tensor.float()
            for name, tensor in content["state_dict"].items()
            if name.startswith(_MODEL)
        }
        return content["model_config"], weights
    except FileNotFoundError as error:
        raise DataError(f"There is no checkpoint {path} of {of}.") from error
    except _UNREADABLE as error:
        raise DataError(
            f"{path} is not the checkpoint of {of}, or it is damaged ({type(error).__name__}). Name "
            "the folder of a run."
        ) from error


def write_tensors(networks: Mapping[str, nn.Module], path: Path | str) -> None:
    """Write networks into one file, in float16.

    Args:
        networks: by the prefix of their names.
        path: the file.

    Raises:
        BundleError: a weight is not finite, or too large for float16.
    """
    halves = {
        f"{prefix}.{name}": tensor.detach().to("cpu", torch.float16).contiguous()
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise BundleError(
                f"The weights {name} hold values that float16 cannot hold, or that are no numbers. "
                "Train with a lower learning rate."
            )
    save_file(halves, path)


def read_tensors(bundle: Bundle, prefix: str) -> dict[str, Tensor]:
    """Return the weights of one network of a bundle, by its own names, in float32.

    Args:
        bundle: a bundle.
        prefix: as `write_tensors` was given it.

    Raises:
        BundleError: the bundle has no such file or no such network, or the file is damaged.
    """
    if not bundle.has(SAFETENSORS_NAME):
        raise BundleError(
            f"The bundle {bundle.name} ({bundle.folder}) has no {SAFETENSORS_NAME}, only graphs, "
            "which cannot be trained. The repository keeps such a file for every shipped model, "
            "under bundles/; of your own runs, export one with --part safetensors."
        )
    path = bundle.path(SAFETENSORS_NAME)
    start = f"{prefix}."
    try:
        with safe_open(path, framework="pt") as stream:
            names = [name for name in stream.keys() if name.startswith(start)]  # noqa: SIM118
            found = {name.removeprefix(start): stream.get_tensor(name).float() for name in names}
    except (OSError, SafetensorError) as error:
        raise BundleError(
            f"{path} is damaged ({error}). Copy or export the bundle again."
        ) from error
    if not found:
        raise BundleError(f"{path} holds no weights of the {prefix}. Export the bundle again.")
    return found


def find_bundle(source: Path | str, *, kind: str) -> Bundle | None:
    """Return the bundle that a user names as the source of weights; None for a run or checkpoint.

    Args:
        source: a path, or the name of a bundle in the package.
        kind: that the bundle must have.

    Raises:
        BundleError: it is a bundle of another kind, or a damaged one.
    """
    path = Path(source)
    run = RunFolder(path)
    if path.is_file() or run.recipe.is_file() or run.checkpoints.is_dir():
        return None
    shipped = not path.exists() and str(source) in [b.folder.name for b in list_bundles()]
    if not shipped and not (path / CONFIG_NAME).is_file():
        return None
    return Bundle.open(str(source)).require(kind=kind)
