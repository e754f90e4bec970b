"""Latents, a tiny autoencoder and settings small enough to train a diffusion model in a test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segue.audio.data.cache import Recording, write_recordings
from segue.audio.data.latent_cache import CacheSettings, Encoded, encode_folder, torch_encoder
from segue.audio.diffusion.fit import fit
from segue.audio.diffusion.recipe import DiffusionRecipe
from segue.core.config import load
from segue.training.callbacks import Report

RATE_HZ = 1_000
HOP = 20
CHANNELS = 4
LABELS = ["flute", "organ"]


class ToyConfig(NamedTuple):
    rate_hz: int = RATE_HZ
    channels: int = 1
    hop_samples: int = HOP
    latent_channels: int = CHANNELS
    context_frames: int = 3


class ToyPosterior(NamedTuple):
    mean: Tensor
    log_variance: Tensor


class ToyAutoencoder(nn.Module):
    """Two convolutions, the first with a stride of a frame, the second over three frames on each side."""

    def __init__(self) -> None:
        super().__init__()
        self.config = ToyConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Conv1d(1, 8, HOP, stride=HOP, bias=False)
            self.second = nn.Conv1d(8, 2 * CHANNELS, 7, padding=3, bias=False)

    def encode(self, audio: Tensor) -> ToyPosterior:
        mean, log_variance = self.second(torch.tanh(self.first(audio))).chunk(2, dim=1)
        return ToyPosterior(mean, log_variance - 4)


def tone(seed: int, seconds: float) -> NDArray[np.int16]:
    """A tone with a beat; int16."""
    rng = np.random.default_rng([8, seed])
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch, beat = rng.uniform(30, 200), rng.uniform(1, 4)
    wave = np.sin(2 * np.pi * pitch * time) * (1.2 + np.sin(2 * np.pi * beat * time)) * 0.4
    return np.round(wave * 30_000).astype("<i2")


Words = Callable[[int], tuple[tuple[str, ...], tuple[str, ...]]]
"""Labels and captions of a recording, by its number."""


def prepared_audio(
    folder: Path, *, seconds: dict[str, list[float]], words: Words | None = None
) -> Path:
    """Write a prepared folder of tones; labels alternate, and there are no captions, unless told."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {}
    told = words or (lambda number: ((LABELS[number % 2],), ()))
    for number, (split, lengths) in enumerate(seconds.items()):
        audio = [tone(100 * number + i, length) for i, length in enumerate(lengths)]
        (folder / f"audio.{split}.i16").write_bytes(b"".join(part.tobytes() for part in audio))
        offsets = np.cumsum([0, *map(len, audio)])
        rows = []
        for i, part in enumerate(audio):
            labels, captions = told(i)
            place = (int(offsets[i]), len(part))
            measured = (-14.0 - i, -1.5, 0.0, "0" * 64, 0.0)
            first = labels[0] if labels else ""
            rows.append(
                Recording(f"{split}{i}.wav", first, str(i), *place, *measured, labels, captions)
            )
        write_recordings(folder / f"recordings.{split}.csv", rows)
        splits[split] = {"recordings": len(audio), "samples": int(offsets[-1])}
    info = {"format": 1, "rate_hz": RATE_HZ, "channels": 1, "labels": LABELS, "splits": splits}
    (folder / "dataset.json").write_text(json.dumps(info))
    return folder


def toy_encode(
    folder: Path,
    output: Path,
    encoder: Any = None,
    *,
    told: Callable[[str], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Encode a prepared folder with the toy autoencoder, or with another encoder."""
    return encode_folder(
        folder,
        output,
        encoder or torch_encoder(ToyAutoencoder()),
        autoencoder={"name": "toy", "sha256": "0" * 64},
        settings=CacheSettings.model_validate({"chunk_s": 1.0} | settings),
        told=told,
    )


class CountingEncoder:
    """The toy encoder, stopping with an error after so many chunks."""

    def __init__(self, limit: int) -> None:
        self.inner = torch_encoder(ToyAutoencoder())
        self.limit = limit
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, audio: NDArray[np.float32]) -> Encoded:
        if self.calls == self.limit:
            raise KeyboardInterrupt
        self.calls += 1
        return self.inner(audio)


def toy_latents(
    folder: Path, *, train: int = 6, words: Words | None = None, **settings: Any
) -> Path:
    """Make a folder of latents; recordings of 2 to 5 seconds, 50 frames each second."""
    seconds = {"train": [2 + i % 4 for i in range(train)], "valid": [3, 2]}
    prepared_audio(folder / "prepared", seconds=seconds, words=words)
    toy_encode(folder / "prepared", folder / "latents", **settings)
    return folder / "latents"


def toy_recipe(**changes: Any) -> DiffusionRecipe:
    """A recipe; changes are given as ``a__b=value``."""
    words = dict.fromkeys(("name", "summary", "hardware", "duration", "expected"), "toy")
    tree: dict[str, Any] = words | {
        "kind": "ldmg-diffusion",
        "seed": 3,
        "model": {"kind": "transformer", "width": 32, "depth": 2, "heads": 2, "modulation_rank": 4},
        "batches": {"frames_per_batch": 192, "lengths": {16: 0.5, 24: 0.5}},
        "optim": {"learning_rate": 3e-3, "warmup_steps": 3, "weight_decay": 0.01},
        "trainer": {
            "max_steps": 12,
            "accelerator": "cpu",
            "threads": 1,
            "validate_every": 5,
            "validation_batches": 2,
            "row_every": 1,
            "save_every": 3,
        },
    }
    for path, value in changes.items():
        branch = tree
        *above, last = path.split("__")
        for name in above:
            branch = branch.setdefault(name, {})
        branch[last] = value
    return load(DiffusionRecipe, tree)


def toy_fit(latents: Path, run: Path, report: Report | None = None, **changes: Any) -> None:
    """Train the toy recipe."""
    fit(toy_recipe(**changes), latents, run, report=report)
