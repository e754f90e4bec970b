"""Both stages of LDMG, trained until they are healthy and small enough for a test, and copies to break."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tests.tiny_audio import RATE_HZ, music

from segue.audio.autoencoder.export import encoder_hash
from segue.audio.autoencoder.fit import fit as fit_autoencoder
from segue.audio.autoencoder.fit import load_autoencoder
from segue.audio.autoencoder.recipe import AutoencoderRecipe
from segue.audio.data.cache import Recording, write_recordings
from segue.audio.data.latent_cache import CacheSettings, encode_folder, torch_encoder
from segue.audio.diffusion.fit import fit as fit_diffusion
from segue.audio.diffusion.recipe import DiffusionRecipe
from segue.core.config import load
from segue.recipes import load_recipe

LABELS = ["flute", "organ"]

ENGINE = [
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "trainer.precision='32'",
    "trainer.validation_batches=1",
    "trainer.row_every=10",
    "trainer.save_every=500",
    "trainer.ema_decay=null",
]
CODEC = [
    *ENGINE,
    "trainer.max_steps=140",
    "trainer.validate_every=35",
    f"model.rate_hz={RATE_HZ}",
    "model.window_samples=256",
    "model.stft_hop_samples=64",
    "model.latent_channels=6",
    "model.encoder_width=32",
    "model.encoder_depth=1",
    "model.decoder_width=48",
    "model.decoder_depth=1",
    "model.latent_depth=1",
    "model.kernel=3",
    "model.phase_iterations=4",
    "clips.clip_samples=4096",
    "clips.batch_size=4",
    "bottleneck.target_bits_per_second=3000",
    "optim.autoencoder.learning_rate=4e-3",
    "optim.autoencoder.warmup_steps=5",
    "optim.freeze_encoder_from_step=130",
]
MODEL = [
    *ENGINE,
    "trainer.max_steps=240",
    "trainer.validate_every=40",
    "model.width=48",
    "model.depth=2",
    "model.heads=2",
    "batches.frames_per_batch=384",
    "batches.lengths={64: 1.0}",
    "optim.learning_rate=4e-3",
    "optim.warmup_steps=5",
    "sampling.steps=12",
    "sampling.shift=1.0",
    "sampling.spread=1.0",
    "sampling.guidance=1.5",
]


class Stages(NamedTuple):
    prepared: Path
    latents: Path
    codec: Path
    model: Path


def weather(seconds: float, *, seed: int) -> np.ndarray:
    """A hiss in four bands that swell and fade, under gliding tones; float32 [samples]."""
    rng = np.random.default_rng([5, seed])
    length = round(seconds * RATE_HZ)
    hertz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    time = np.arange(length) / RATE_HZ
    wave = 0.3 * music(seconds, seed=seed)[0].astype(np.float64)
    for low in (0, 500, 1000, 2000):
        spectrum = np.fft.rfft(rng.standard_normal(length))
        band = np.fft.irfft(spectrum * ((hertz >= low) & (hertz < max(500, 2 * low))), length)
        beat, phase = rng.uniform(0.3, 1.5), rng.uniform(0, 6)
        swell = 10 ** (0.7 * np.sin(2 * np.pi * beat * time + phase) - 1.6)
        wave += swell * band / band.std()
    return np.clip(wave, -0.9, 0.9).astype(np.float32)


def prepared_music(folder: Path, *, train: int = 24, seconds: float = 5) -> Path:
    """Write a prepared folder of `weather`."""
    folder.mkdir(parents=True)
    splits = {}
    for number, (split, count) in enumerate({"train": train, "valid": 6}.items()):
        audio = [weather(seconds, seed=100 * number + i) for i in range(count)]
        parts = [np.round(part * 32_767).astype("<i2") for part in audio]
        (folder / f"audio.{split}.i16").write_bytes(b"".join(p.tobytes() for p in parts))
        offsets = np.cumsum([0, *map(len, parts)]).tolist()
        rows = [
            Recording(
                f"{split}{i}.wav", LABELS[i % 2], str(i), offsets[i], len(part), -20.0, -8.0, 0.0,
                "0" * 64, 0.0, (LABELS[i % 2],),
            )
            for i, part in enumerate(parts)
        ]  # fmt: skip
        write_recordings(folder / f"recordings.{split}.csv", rows)
        splits[split] = {"recordings": count, "samples": offsets[-1]}
    info = {"format": 1, "rate_hz": RATE_HZ, "channels": 1, "labels": LABELS, "splits": splits}
    (folder / "dataset.json").write_text(json.dumps(info))
    return folder


def codec_recipe(*changes: str) -> AutoencoderRecipe:
    return load_recipe("ldmg-small-autoencoder", AutoencoderRecipe, overrides=[*CODEC, *changes])


def model_recipe(*changes: str) -> DiffusionRecipe:
    return load_recipe("ldmg-small-diffusion", DiffusionRecipe, overrides=[*MODEL, *changes])


def encode(prepared: Path, output: Path, codec: Path, recipe: DiffusionRecipe) -> Path:
    model = load_autoencoder(codec)
    named = {"name": codec.name, "encoder_sha256": encoder_hash(model)}
    settings = load(CacheSettings, recipe.encode.model_dump())
    encode_folder(prepared, output, torch_encoder(model), autoencoder=named, settings=settings)
    return output


def healthy(folder: Path) -> Stages:
    """Train both stages; about ten seconds."""
    prepared = prepared_music(folder / "prepared")
    fit_autoencoder(codec_recipe(), prepared, folder / "codec")
    recipe = model_recipe()
    latents = encode(prepared, folder / "latents", folder / "codec", recipe)
    fit_diffusion(recipe, latents, folder / "model")
    return Stages(prepared, latents, folder / "codec", folder / "model")


def copied(stages: Stages, folder: Path) -> Stages:
    """Copy both runs, to break the copies."""
    shutil.copytree(stages.codec, folder / "codec")
    shutil.copytree(stages.model, folder / "model")
    return stages._replace(codec=folder / "codec", model=folder / "model")


def change_weights(run: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the weights in every checkpoint of a run."""
    for path in (run / "checkpoints").glob("*.ckpt"):
        content: dict[str, Any] = torch.load(path, weights_only=True)
        change(content["state_dict"])
        torch.save(content, path)
