"""An autoencoder, sound and settings small enough to train in a test."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.audio.autoencoder.objectives import ObjectiveSettings
from segue.audio.autoencoder.settings import AutoencoderConfig
from segue.audio.autoencoder.task import AutoencoderOptim, AutoencoderTask, BottleneckSettings
from segue.training.callbacks import Report
from segue.training.data import StepData
from segue.training.run import RunFolder, run_training
from segue.training.trainer import TrainerSettings

RATE_HZ = 8_000


class ToyClips(NamedTuple):
    audio: NDArray[np.float32]
    label: NDArray[np.int64]


class ToySound:
    """Chords of three tones, other ones at every step."""

    def __init__(self, *, rows: int = 4, samples: int = 4096) -> None:
        self.rows = rows
        self.samples = samples

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> ToyClips:
        rng = np.random.default_rng([2, step])
        seconds = np.arange(self.samples) / RATE_HZ
        pitches = rng.uniform(100, 1500, (self.rows, 3, 1))
        audio = 0.2 * np.sin(2 * np.pi * pitches * seconds).sum(axis=1, keepdims=True)
        own = slice(rank, None, world_size)
        labels = np.zeros(self.rows, np.int64)
        return ToyClips(audio.astype(np.float32)[own], labels[own])


def toy_codec_config(**changes: Any) -> AutoencoderConfig:
    sizes = {
        "rate_hz": RATE_HZ,
        "window_samples": 256,
        "stft_hop_samples": 64,
        "latent_channels": 8,
        "encoder_width": 24,
        "encoder_depth": 1,
        "decoder_width": 32,
        "decoder_depth": 1,
        "latent_depth": 1,
        "kernel": 3,
        "phase_iterations": 4,
    }
    return AutoencoderConfig.model_validate(sizes | changes)


SOUND = {
    "kind": "spectral",
    "spectral": {"windows": (256, 64), "mel_bands": (32, 8), "complex_windows": (256,)},
    "discriminators": {
        "windows": (256,),
        "spectral_width": 4,
        "periods": (2, 3),
        "period_width": 4,
    },
}
"""Losses on sound, for heads other than ``magnitude``."""


def toy_codec_task(
    *, max_steps: int = 20, model: dict[str, Any] | None = None, **objective: Any
) -> AutoencoderTask:
    torch.manual_seed(0)
    small = {"discriminators": {"spectral_width": 4}, "adversarial_from_step": 8}
    return AutoencoderTask(
        SpectralAutoencoder(toy_codec_config(**(model or {}))),
        ObjectiveSettings.model_validate(small | {"adversarial_ramp_steps": 4} | objective),
        BottleneckSettings(target_bits_per_second=2000),
        AutoencoderOptim.model_validate(
            {
                "autoencoder": {"learning_rate": 3e-3, "betas": (0.8, 0.99), "warmup_steps": 3},
                "freeze_encoder_from_step": 14,
            }
        ),
        max_steps=max_steps,
        seed=5,
    )


def toy_codec_run(
    folder: Path,
    *,
    report: Report | None = None,
    objective: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    **trainer: Any,
) -> AutoencoderTask:
    """Train, or go on, and return the task."""
    settings = {
        "max_steps": 20,
        "row_every": 2,
        "save_every": 4,
        "validate_every": 5,
        "validation_batches": 2,
        "accelerator": "cpu",
        "threads": 1,
        "nan_restores": 2,
    }
    chosen = TrainerSettings.model_validate(settings | trainer)
    task = toy_codec_task(max_steps=chosen.max_steps, model=model, **(objective or {}))
    folder.mkdir(parents=True, exist_ok=True)
    run_training(
        task,
        StepData(ToySound(), ToySound(rows=2), validation_batches=2),
        chosen,
        RunFolder(folder),
        seed=5,
        monitor=task.monitor,
        report=report,
    )
    return task
