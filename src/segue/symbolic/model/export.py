"""Export of a trained GPT to a bundle, with the proof that the bundle says what the model says."""

import copy
import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from segue.errors import BundleError, SettingError
from segue.runtime.backend import Decoder, Ids, Logits
from segue.runtime.bundle import FORMAT, Bundle, write_bundle
from segue.runtime.onnx_backend import FLOAT_GRAPH, INT8_GRAPH, OnnxDecoder
from segue.runtime.torch_backend import TorchDecoder
from segue.symbolic.model.gpt import GPT
from segue.symbolic.model.onnx_graph import build_graph
from segue.symbolic.tokenizer import Tokenizer

Part = Literal["int8", "float", "safetensors"]

PARTS: Final[tuple[Part, ...]] = ("int8", "float", "safetensors")
"""What a bundle may hold: the graph that ships, the exact graph, weights for GPUs and tuning."""

SHIPPED: Final[tuple[Part, ...]] = ("int8",)
"""What goes into the wheel."""

SAFETENSORS_NAME: Final = "model.safetensors"

_FLOAT_TOLERANCE = 1e-4
_INT8_TOLERANCE_NATS = 0.05
_CHECK_TOKENS = 320
_CHECK_STEPS = 16


@dataclass(frozen=True)
class Parity:
    """How far the exported graphs are from the model that they were made of.

    Attributes:
        float_error: largest difference of a logit between PyTorch and the float graph, teacher
            forced and step by step, relative to the largest logit.
        int8_nats: mean Kullback-Leibler divergence of the int8 graph's next-token distribution
            from the model's, in nats; None where no int8 graph was made.
    """

    float_error: float
    int8_nats: float | None


def export_bundle(
    source: GPT | Path | str,
    tokenizer_path: Path | str | None,
    target: Path | str,
    *,
    name: str,
    objective: Literal["infill", "next_token"],
    extras: Mapping[str, Any] | None = None,
    card: str = "",
    parts: Collection[Part] = SHIPPED,
    sample: tuple[Ids, Ids] | None = None,
) -> tuple[Bundle, Parity]:
    """Write a bundle of a model and check it against the model.

    Args:
        source: the model itself, or a run folder, checkpoint or bundle to read it from.
        tokenizer_path: the ``tokenizer.json`` of its ids; None takes the one beside the source.
        target: folder of the bundle; a bundle that stands there is replaced.
        name: the bundle's name.
        objective: what the model was trained to do.
        extras: further keys of ``config.json``, such as ``training``, ``scores``, ``sampling``.
        card: text of the model card, ``README.md``.
        parts: which of :data:`PARTS` to write.
        sample: ids and times, int64 [batch, tokens], to compare on; random ones where None.

    Raises:
        SettingError: no tokenizer, an unknown part, or a tokenizer that does not fit the model.
        BundleError: the source cannot be read, the target cannot be written, or an exported
            graph differs from the model.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown or not parts:
        raise SettingError(f"A bundle cannot hold {unknown}; choose from {', '.join(PARTS)}.")
    model, tokenizer = _read(source, tokenizer_path)
    _check_tokenizer(tokenizer, model.config.vocab_size)
    with tempfile.TemporaryDirectory() as folder:
        files = _write_weights(model, parts, Path(folder))
        parity = check_parity(model, Path(folder), sample=sample, int8="int8" in parts)
        config = {
            "format": FORMAT,
            "kind": "midigpt",
            "name": name,
            "objective": objective,
            "model": model.config.model_dump(),
            "licence": "CC-BY-4.0",
            **(extras or {}),
            "export": {"float_error": parity.float_error, "int8_nats": parity.int8_nats},
        }
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        files |= {"config.json": text, "tokenizer.json": tokenizer, "README.md": card}
        return write_bundle(target, files), parity


def export_graph(model: GPT, path: Path | str, *, int8: bool) -> None:
    """Write one ONNX graph of a model.

    Args:
        model: the model.
        path: the file to write.
        int8: as 8-bit integers, otherwise float32.
    """
    graph = build_graph(model.config, graph_weights(model), int8=int8)
    Path(path).write_bytes(graph.SerializeToString())


def graph_weights(model: GPT) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights by the names that `build_graph` reads, as float32 arrays."""
    tensors = dict(model.state_dict())
    if model.rotary is not None:
        tensors["rotary.index_frequencies"] = model.rotary.index_frequencies
        tensors["rotary.time_frequencies"] = model.rotary.time_frequencies
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()}


def check_parity(
    model: GPT, folder: Path, *, sample: tuple[Ids, Ids] | None = None, int8: bool = True
) -> Parity:
    """Compare the graphs in a folder with the model.

    Args:
        model: the model, in PyTorch.
        folder: holds ``model.onnx`` (written here where missing) and ``model.int8.onnx``.
        sample: ids and times, int64 [batch, tokens]; random ones where None.
        int8: whether the int8 graph is to be compared as well.

    Raises:
        BundleError: a graph differs by more than rounding explains.
    """
    exact_path = folder / FLOAT_GRAPH
    if not exact_path.is_file():
        export_graph(model, exact_path, int8=False)
    ids, times = _random_sample(model) if sample is None else sample
    wanted = TorchDecoder(model).logits(ids, times)
    exact = OnnxDecoder(exact_path)
    error = np.abs(exact.logits(ids, times) - wanted).max()
    error = max(error, _stepwise_error(exact, ids[0], times[0], wanted[0]))
    parity = Parity(
        float_error=float(error / max(1.0, float(np.abs(wanted).max()))),
        int8_nats=_divergence(wanted, OnnxDecoder(folder / INT8_GRAPH).logits(ids, times))
        if int8
        else None,
    )
    if not parity.float_error < _FLOAT_TOLERANCE:
        raise BundleError(
            f"The exported graph differs from the model: logits by {parity.float_error:.2g} of the "
            f"largest, {_FLOAT_TOLERANCE:.0e} is allowed. The weights may hold infinite values."
        )
    if parity.int8_nats is not None and not parity.int8_nats < _INT8_TOLERANCE_NATS:
        raise BundleError(
            f"The int8 graph differs from the model by {parity.int8_nats:.3g} nats per token, "
            f"{_INT8_TOLERANCE_NATS} is allowed. Export the float graph of this model instead."
        )
    return parity


def _read(source: GPT | Path | str, tokenizer_path: Path | str | None) -> tuple[GPT, Path]:
    """Return the model in evaluation mode on the CPU and the path of its tokenizer."""
    if isinstance(source, GPT):
        model, beside = copy.deepcopy(source), None
    else:
        from segue.symbolic.model.weights import read_weights  # brings Lightning, seconds

        weights = read_weights(source)
        model, beside = weights.build(), weights.tokenizer
    tokenizer = beside if tokenizer_path is None else Path(tokenizer_path)
    if tokenizer is None:
        raise SettingError(
            "The model has no tokenizer.json beside it; name the one it was trained with."
        )
    return model.cpu().eval(), tokenizer


def _check_tokenizer(path: Path, vocab_size: int) -> None:
    """Raise SettingError unless the tokenizer has the model's number of tokens."""
    size = Tokenizer.from_file(path).size
    if size != vocab_size:
        raise SettingError(
            f"{path} has {size} tokens, the model {vocab_size}. Give the tokenizer.json that the "
            "model was trained with."
        )


def _write_weights(
    model: GPT, parts: Collection[Part], folder: Path
) -> dict[str, bytes | str | Path]:
    """Write the parts asked for into a folder and return them by name."""
    names = {"int8": INT8_GRAPH, "float": FLOAT_GRAPH, "safetensors": SAFETENSORS_NAME}
    if "int8" in parts:
        export_graph(model, folder / INT8_GRAPH, int8=True)
    if "float" in parts:
        export_graph(model, folder / FLOAT_GRAPH, int8=False)
    if "safetensors" in parts:
        _write_safetensors(model, folder / SAFETENSORS_NAME)
    return {names[part]: folder / names[part] for part in parts}


def _write_safetensors(model: GPT, path: Path) -> None:
    """Write the weights as float16; a tied head is left out, it is the embedding."""
    from safetensors.torch import save_file

    state = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if not (model.config.tied_head and name == "head.weight")
    }
    save_file(state, path)


def _random_sample(model: GPT) -> tuple[Ids, Ids]:
    """Return random ids and rising times, as long as the context allows, always the same."""
    generator = np.random.default_rng(0)
    tokens = min(_CHECK_TOKENS, model.config.context_length)
    ids = generator.integers(0, model.config.vocab_size, (2, tokens))
    return ids, np.cumsum(generator.integers(0, 13, ids.shape), axis=1)


def _stepwise_error(decoder: Decoder, ids: Ids, times: Ids, wanted: Logits) -> float:
    """Return the largest difference of a logit when the last tokens are decoded one by one."""
    split = max(1, len(ids) - _CHECK_STEPS)
    session = decoder.start(ids[:split], times[:split], num_candidates=2)
    worst = np.abs(session.logits - wanted[split - 1]).max()
    for index in range(split, len(ids)):
        logits = session.step(ids[[index, index]], times[[index, index]])
        worst = max(worst, np.abs(logits - wanted[index]).max())
    return float(worst)


def _divergence(wanted: Logits, found: Logits) -> float:
    """Return the mean Kullback-Leibler divergence of `found` from `wanted`, in nats."""
    log_wanted, log_found = _log_softmax(wanted), _log_softmax(found)
    return float((np.exp(log_wanted) * (log_wanted - log_found)).sum(axis=-1).mean())


def _log_softmax(logits: Logits) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
