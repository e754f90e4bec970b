"""Read trained weights, wherever they lie: a run, a checkpoint, or a bundle."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # the type of an error only; nothing is unpickled
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segue.errors import BundleError, SettingError
from segue.runtime.bundle import Bundle
from segue.symbolic.model.gpt import GPT, GPTConfig
from segue.training.run import RunFolder

_UNREADABLE = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError, UnpicklingError,
)  # fmt: skip
_PREFIX = "model."
_INT8_ZERO = 128.0
_MAY_DIFFER = {"dropout", "context_length", "units_per_quarter"}


class Weights(NamedTuple):
    """A model without its code.

    Attributes:
        config: the architecture.
        state: `GPT.state_dict()`, float32.
        tokenizer: the ``tokenizer.json`` that the ids belong to; None beside a bare checkpoint.
        origin: what the weights were read from, in words.
    """

    config: GPTConfig
    state: dict[str, Tensor]
    tokenizer: Path | None
    origin: str

    def build(self) -> GPT:
        """Return the model, ready for inference."""
        with torch.random.fork_rng(devices=[]):
            model = GPT(self.config)
        model.load_state_dict(self.state)
        return model.eval()


def read_weights(source: Path | str) -> Weights:
    """Read the weights of a run folder (its best ones), a ``.ckpt`` file or a bundle.

    A bundle gives its ``model.safetensors`` where it has one, otherwise the weights inside its
    ONNX graph: those are rounded to 8 bits, which is close enough to go on training from.

    Args:
        source: a path, or the name of a bundle in the package.

    Raises:
        SettingError: there is nothing of the kind.
        BundleError: the bundle or the checkpoint is damaged or of another kind.
    """
    path = Path(source)
    run = RunFolder(path)
    for candidate in (run.best, run.last):
        if candidate.is_file():
            return _from_checkpoint(candidate, path / "tokenizer.json")
    if run.recipe.is_file():
        raise SettingError(f"The run in {path} has no checkpoint yet. Let it train for longer.")
    if path.is_file():
        return _from_checkpoint(path, path.parent.parent / "tokenizer.json")
    return _from_bundle(Bundle.open(source).require(kind="midigpt"))


def load_into(model: GPT, weights: Weights) -> None:
    """Put weights into a model of the same architecture.

    Raises:
        SettingError: the architectures differ; the message names how.
    """
    wanted, given = model.config.model_dump(), weights.config.model_dump()
    free = set(_MAY_DIFFER)
    if wanted["positions"] == "learned":
        free.discard("context_length")
    differing = [
        f"{name}: {given[name]} there, {wanted[name]} in the recipe"
        for name in wanted
        if wanted[name] != given[name] and name not in free
    ]
    if differing:
        raise SettingError(
            f"The weights of {weights.origin} do not fit the recipe ({'; '.join(differing)}). "
            "Choose the recipe they were trained with, and its tokenizer."
        )
    model.load_state_dict(weights.state)


def same_tokens(one: Path, other: Path) -> bool:
    """Say whether two ``tokenizer.json`` give the same meaning to the same ids."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in (one, other)]
    told = [{n: v for n, v in content.items() if "version" not in n} for content in contents]
    return told[0] == told[1]


def _from_checkpoint(path: Path, tokenizer: Path) -> Weights:
    """Read a checkpoint of ours; nothing in it is executed."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        config = GPTConfig.model_validate(content["model_config"])
        state = {
            name.removeprefix(_PREFIX): tensor.float()
            for name, tensor in content["state_dict"].items()
            if name.startswith(_PREFIX)
        }
    except _UNREADABLE as error:
        raise BundleError(
            f"{path} is not a checkpoint of MidiGPT, or is damaged ({type(error).__name__})."
        ) from error
    return Weights(config, state, tokenizer if tokenizer.is_file() else None, str(path))


def _from_bundle(bundle: Bundle) -> Weights:
    fields = set(GPTConfig.model_fields)
    stated = {n: v for n, v in bundle.config["model"].items() if n in fields}
    config = GPTConfig.model_validate(stated)
    if bundle.has("model.safetensors"):
        state = _read_safetensors(bundle.path("model.safetensors"))
    elif bundle.has("model.onnx"):
        state = _read_graph(bundle.path("model.onnx"), config)
    else:
        state = _read_graph(bundle.path("model.int8.onnx"), config)
    if config.tied_head:
        state["head.weight"] = state["embedding.weight"]
    return Weights(config, state, bundle.path("tokenizer.json"), f"the bundle {bundle.name}")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return {name: tensor.float() for name, tensor in load_file(path).items()}


def _read_graph(path: Path, config: GPTConfig) -> dict[str, Tensor]:
    """Take the weights out of an ONNX graph as `onnx_graph.build_graph` writes it.

    Raises:
        BundleError: the graph was not written by this package.
    """
    import onnx
    from onnx import numpy_helper

    arrays = {c.name: numpy_helper.to_array(c) for c in onnx.load(path).graph.initializer}
    with torch.device("meta"):
        shapes = {name: tuple(p.shape) for name, p in GPT(config).state_dict().items()}
    try:
        return {
            name: torch.from_numpy(_weight(name, shape, arrays, config))
            for name, shape in shapes.items()
            if not (config.tied_head and name == "head.weight")
        }
    except (KeyError, ValueError) as error:
        raise BundleError(
            f"The weights cannot be read out of {path}: {error}. Use a bundle that has a "
            "model.safetensors; the repository keeps one for every shipped model."
        ) from error


def _weight(
    name: str,
    shape: tuple[int, ...],
    arrays: Mapping[str, NDArray[Any]],
    config: GPTConfig,
) -> NDArray[np.float32]:
    """Return one weight of the state dictionary from the constants of a graph."""
    stem, _, part = name.rpartition(".")
    if f"{stem}.integers" in arrays and part == "weight":
        scaled = (arrays[f"{stem}.integers"] - _INT8_ZERO) * arrays[f"{stem}.scales"][..., None]
        array = scaled.reshape(shape[0], -1)[:, : shape[1]]
    elif f"{stem}.transposed" in arrays and part == "weight":
        array = arrays[f"{stem}.transposed"].T
    else:
        array = arrays[name]
    array = array.astype(np.float32).reshape(shape)
    if stem.endswith(".qkv"):
        # The graph has the queries divided by the square root of the head's channels already.
        array[: config.width] *= math.sqrt(config.head_dim)
    return array
