"""Bundles of LDMG with tiny networks and random weights, written without PyTorch, and sound for them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from segue.runtime.bundle import Bundle, write_bundle

RATE_HZ = 8_000
HOP_SAMPLES = 128
LATENTS = 6
FRAMES = 48
LABELS = ("Jazz", "Rock", "Hip-Hop")
CONTEXT_FRAMES = 2

_WINDOW, _STFT_HOP, _WIDTH = 256, 64, 12
_ROWS = 2 * (_WINDOW // 2 + 1)


class _Net:
    """A graph that grows node by node, with random weights."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        output = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def conv(self, x: str, size: tuple[int, int, int], name: str = "", **attributes: Any) -> str:
        weight = self.rng.standard_normal(size) / np.sqrt(size[1] * size[2])
        return self.node("Conv", [x, self.constant(weight.astype(np.float32))], name, **attributes)

    def raise_rate(self, x: str, size: tuple[int, int, int], stride: int) -> str:
        weight = (self.rng.standard_normal(size) / np.sqrt(size[0])).astype(np.float32)
        return self.node("ConvTranspose", [x, self.constant(weight)], strides=[stride])

    def table(self, x: str, rows: int) -> str:
        weight = self.rng.standard_normal((rows, _WIDTH)).astype(np.float32)
        return self.node("MatMul", [x, self.constant(weight)])

    def model(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> bytes:
        def ports(shapes: dict[str, Any]) -> list[Any]:
            return [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in shapes.items()
            ]

        graph = helper.make_graph(
            self.nodes, "tiny", ports(inputs), ports(outputs), initializer=self.weights
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        made.ir_version = 8
        return made.SerializeToString()


def encoder(front: str = "spectrum") -> bytes:
    net = _Net(1)
    if front != "waveform":
        x = net.node("Tanh", [net.conv("spectrum", (_WIDTH, _ROWS, 3), pads=[1, 1])])
        x = net.conv(x, (_WIDTH, _WIDTH, 2), strides=[2])
        inputs: dict[str, Any] = {"spectrum": ["batch", _ROWS, "steps"]}
    else:
        x = net.conv("audio", (_WIDTH, 1, HOP_SAMPLES), strides=[HOP_SAMPLES])
        inputs = {"audio": ["batch", 1, "samples"]}
    x = net.node("Tanh", [x])
    net.conv(x, (LATENTS, _WIDTH, 3), "mean", pads=[1, 1])
    net.conv(x, (LATENTS, _WIDTH, 1), "log_variance")
    shape = ["batch", LATENTS, "frames"]
    return net.model(inputs, {"mean": shape, "log_variance": shape})


def decoder(front: str = "spectrum") -> bytes:
    net = _Net(2)
    x = net.node("Tanh", [net.conv("latents", (_WIDTH, LATENTS, 3), pads=[1, 1])])
    if front == "spectrum":
        x = net.node("Tanh", [net.raise_rate(x, (_WIDTH, _WIDTH, 2), 2)])
        net.conv(x, (_ROWS, _WIDTH, 3), "spectrum", pads=[1, 1])
        shape: Any = {"spectrum": ["batch", _ROWS, "steps"]}
    elif front == "magnitude":
        x = net.node("Tanh", [net.raise_rate(x, (_WIDTH, _WIDTH, 2), 2)])
        for name in ("magnitude", "spread"):
            net.node("Exp", [net.conv(x, (_ROWS // 2, _WIDTH, 3), pads=[1, 1])], name)
        shape = {name: ["batch", _ROWS // 2, "steps"] for name in ("magnitude", "spread")}
    else:
        x = net.raise_rate(x, (_WIDTH, 1, HOP_SAMPLES), HOP_SAMPLES)
        net.node("Tanh", [x], "audio")
        shape = {"audio": ["batch", 1, "samples"]}
    return net.model({"latents": ["batch", LATENTS, "frames"]}, shape)


def transformer(*, fills_holes: bool = True, text_dims: int = 0) -> bytes:
    net = _Net(3)
    free: dict[str, Any] = {"latents": ["batch", LATENTS, "frames"], "time": ["batch"]}
    seen = ["latents"]
    if fills_holes:
        free |= {"known": ["batch", LATENTS, "frames"], "mask": ["batch", 1, "frames"]}
        free |= {"step": ["batch"], "labels": ["batch", len(LABELS)]}
        seen += ["known", "mask"]
    axes = net.constant(np.array([1, 2], np.int64))
    time = net.node("Unsqueeze", ["time", axes])
    width = sum(1 if name == "mask" else LATENTS for name in seen)
    x = net.conv(net.node("Concat", seen, axis=1), (_WIDTH, width, 5), pads=[2, 2])
    x = net.node("Add", [x, time])
    if fills_holes:
        last = net.constant(np.array([2], np.int64))
        x = net.node("Add", [x, net.node("Unsqueeze", [net.table("labels", len(LABELS)), last])])
        if text_dims:
            free |= {"text": ["batch", text_dims]}
            x = net.node("Add", [x, net.node("Unsqueeze", [net.table("text", text_dims), last])])
        x = net.node("Add", [x, net.node("Unsqueeze", ["step", axes])])
    net.conv(net.node("Tanh", [x]), (LATENTS, _WIDTH, 5), "output", pads=[2, 2])
    return net.model(free, {"output": ["batch", LATENTS, "frames"]})


def config(*, front: str = "spectrum", objective: str = "flow", **changes: Any) -> dict[str, Any]:
    codec = {
        "front": "waveform" if front == "waveform" else "spectrum",
        "phase_iterations": 1,
        "window_samples": _WINDOW,
        "stft_hop_samples": _STFT_HOP,
        "compression": 0.3,
        "hop_samples": HOP_SAMPLES,
        "latent_channels": LATENTS,
        "context_frames": 1 if front == "waveform" else CONTEXT_FRAMES,
        "mean": [0.1] * LATENTS,
        "deviation": [0.4] * LATENTS,
        "length_free": True,
    }
    return {
        "format": 1,
        "kind": "ldmg",
        "name": "tiny",
        "objective": objective,
        "audio": {"rate_hz": RATE_HZ, "channels": 1},
        "codec": codec,
        "model": {"frames": FRAMES},
        "labels": list(LABELS),
        "sampling": {"sampler": "euler", "steps": 3},
        "licence": "CC0-1.0",
    } | changes


def write_tiny_bundle(
    folder: Path, *, front: str = "spectrum", fills_holes: bool = True, **changes: Any
) -> Bundle:
    """Write a bundle; further arguments replace keys of its config."""
    text_dims = changes.get("text", {}).get("dims", 0)
    files: dict[str, bytes | str | Path] = {
        "config.json": json.dumps(config(front=front, **changes)),
        "encoder.onnx": encoder(front),
        "decoder.onnx": decoder(front),
        "transformer.onnx": transformer(fills_holes=fills_holes, text_dims=text_dims),
        "README.md": "# tiny\n",
    }
    return write_bundle(folder, files)


def music(
    seconds: float, *, rate_hz: int = RATE_HZ, channels: int = 1, seed: int = 0
) -> np.ndarray:
    """Return a few gliding tones with a little noise, float32 [channels, samples]."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = np.zeros((channels, len(time)))
    for _ in range(4):
        pitch, glide, phase = (
            rng.uniform(80, 900),
            rng.uniform(-20, 20),
            rng.uniform(0, 6, (channels, 1)),
        )
        wave += np.sin(2 * np.pi * (pitch * time + glide * time**2 / 2) + phase)
    wave = 0.1 * wave * (1 + 0.5 * np.sin(2 * np.pi * 2 * time))
    return (wave + 0.003 * rng.standard_normal(wave.shape)).astype(np.float32)


class Samples:
    """An autoencoder that keeps everything: a latent frame is its samples. Encoder and decoder at once."""

    def __init__(self, hop_samples: int, *, decodes: bool) -> None:
        self.hop_samples, self.decodes = hop_samples, decodes
        self.inputs = ("latents",) if decodes else ("audio",)
        self.outputs = ("audio",) if decodes else ("mean", "log_variance")

    def __call__(self, feeds: Any) -> dict[str, np.ndarray]:
        if self.decodes:
            latents = feeds["latents"]
            return {"audio": latents.transpose(0, 2, 1).reshape(len(latents), 1, -1)}
        audio = feeds["audio"]
        latents = audio.reshape(len(audio), -1, self.hop_samples).transpose(0, 2, 1)
        return {"mean": latents.copy(), "log_variance": np.zeros_like(latents)}


class SineNetwork:
    """A flow network that goes on with the sine that it is shown, at a frequency that it knows."""

    inputs = ("latents", "known", "mask", "time", "step", "labels")
    outputs = ("output",)

    def __init__(self, cycles_per_sample: float) -> None:
        self.angle = 2 * np.pi * cycles_per_sample

    def __call__(self, feeds: Any) -> dict[str, np.ndarray]:
        x, known, mask = feeds["latents"], feeds["known"], feeds["mask"]
        hop, frames = x.shape[1:]
        wave = known[0].T.ravel()
        seen = np.repeat(mask[0, 0] > 0, hop)
        phase = self.angle * np.arange(hop * frames)
        basis = np.stack([np.cos(phase), np.sin(phase)], axis=1)
        weights = np.linalg.lstsq(basis[seen], wave[seen], rcond=None)[0]
        clean = (basis @ weights).reshape(frames, hop).T[None].astype(np.float32)
        return {"output": (x - clean) / feeds["time"][:, None, None]}


def sine_model(
    hertz: float, *, rate_hz: int = RATE_HZ, hop_samples: int = 40, frames: int = 60
) -> Any:
    """Return a model whose every step is known: see `Samples` and `SineNetwork`."""
    from segue.audio.loaded import AudioModel, read_parts

    settings = config(front="waveform")
    settings["audio"]["rate_hz"] = rate_hz
    settings["codec"] |= {
        "hop_samples": hop_samples,
        "latent_channels": hop_samples,
        "context_frames": 0,
        "mean": [0.0] * hop_samples,
        "deviation": [0.5] * hop_samples,
    }
    settings["model"] = {"frames": frames}
    return AudioModel.of(
        read_parts(settings, where="a test"),
        encoder=Samples(hop_samples, decodes=False),
        decoder=Samples(hop_samples, decodes=True),
        transformer=SineNetwork(hertz / rate_hz),
    )
