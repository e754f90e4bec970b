"""Which autoencoder to build a generator on: heads and rates, judged by a small fixed diffusion probe.

Reconstruction alone does not tell: latents that carry everything may be hard to generate. So every
variant is trained for the same steps on the same music, then the same small diffusion model is trained
on its latents for the same steps, and what comes out is compared with real music.

    python benchmarks/codec/run.py PREPARED WORK --variant rate-4k --variant rate-8k
"""

import argparse
import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from segue.audio.autoencoder.fit import fit as fit_autoencoder
from segue.audio.autoencoder.fit import load_autoencoder
from segue.audio.autoencoder.recipe import AutoencoderRecipe
from segue.audio.data.clips import Clips
from segue.audio.data.latent_cache import CacheSettings, encode_folder, loudness_gain, torch_encoder
from segue.audio.diffusion.fit import fit as fit_diffusion
from segue.audio.diffusion.recipe import DiffusionRecipe
from segue.audio.diffusion.weights import load_diffusion
from segue.audio.evaluate.quality import Judge
from segue.audio.evaluate.tones import hiss, tones_db
from segue.core.config import load
from segue.core.files import sha256_of
from segue.core.seeds import generator
from segue.recipes import load_recipe

SECONDS = 10
SHARED = [
    "optim.freeze_encoder_from_step=null",
    "trainer.ema_decay=0.98",
]
SOUND = ["objective.kind=spectral", "model.sees=complex"]
VARIANTS = {
    "rate-2500": ["bottleneck.target_bits_per_second=2500"],
    "rate-5000": [],
    "rate-10000": ["bottleneck.target_bits_per_second=10000"],
    "channels-32": ["model.latent_channels=32"],
    "fixed-1e-3": ["bottleneck.target_bits_per_second=null", "bottleneck.kl_weight=1e-3"],
    "texture-none": [
        "model.texture=false",
        "objective.magnitude.likelihood_weight=0",
        "objective.magnitude.log_weight=1",
    ],
    "head-istft": [*SOUND, "model.head=istft"],
    "head-resize": [*SOUND, "model.head=resize"],
    "head-transposed": [*SOUND, "model.head=transposed"],
}


def probe_recipe(steps: int) -> DiffusionRecipe:
    """Return the same small diffusion model for every variant."""
    settings = {
        "kind": "ldmg-diffusion",
        "name": "probe",
        "summary": "a small fixed model that tells how easily latents are generated",
        "hardware": "one core",
        "duration": "minutes",
        "expected": "see benchmarks/codec",
        "seed": 1,
        "model": {"kind": "transformer", "width": 192, "depth": 4, "heads": 3},
        "batches": {"frames_per_batch": 5008, "lengths": {313: 1.0}},
        "optim": {"learning_rate": 2e-3, "warmup_steps": 30, "schedule": "cosine"},
        "trainer": {
            "max_steps": steps,
            "precision": "bf16-mixed",
            "validate_every": steps,
            "validation_batches": 4,
            "row_every": 20,
            "save_every": steps,
            "ema_decay": 0.98,
        },
    }
    return load(DiffusionRecipe, settings, overrides=[], origin="the probe")


def real_clips(prepared: Path, split: str, count: int, seed: int) -> tuple[list, list[str]]:
    """Return clips of a split at the loudness of training, and the recordings that they are from."""
    clips = Clips(prepared, split)
    rng, found, groups = generator(seed, "clips"), [], []
    length = SECONDS * clips.rate_hz
    weights = np.array([max(0, r.num_samples - length) for r in clips.recordings], float)
    for index in rng.choice(len(weights), size=count, p=weights / weights.sum()):
        recording = clips.recordings[index]
        start = int(rng.integers(recording.num_samples - length))
        gain = loudness_gain(recording, CacheSettings())
        found.append(gain * clips.read(int(index), start, length))
        groups.append(recording.group)
    return found, groups


def sample(run: Path, codec: torch.nn.Module, count: int, steps: int) -> list[np.ndarray]:
    """Draw clips from a trained probe, decoded."""
    trained = load_diffusion(run)
    spec, frames = trained.spec, 313
    torch.manual_seed(7)
    x = torch.randn(count, spec.channels, frames)
    known, mask = torch.zeros_like(x), torch.zeros(count, 1, frames)
    label, zero = torch.zeros(count, dtype=torch.long), torch.zeros(count)
    times = torch.linspace(1, 0, steps + 1)
    with torch.no_grad():
        for t, s in itertools.pairwise(times):
            velocity = trained.model(x, known, mask, t.expand(count), zero, label)
            x = x + (s - t) * velocity
        latents = torch.from_numpy(spec.denormalise(x.numpy()))
        return [codec.decode(latent[None])[0].numpy() for latent in latents]


def one(name: str, prepared: Path, work: Path, options: argparse.Namespace, judge: Judge) -> dict:
    """Train and judge one variant."""
    overrides = [
        *SHARED,
        *VARIANTS[name],
        f"trainer.max_steps={options.steps}",
        f"trainer.validate_every={options.steps}",
        f"trainer.save_every={options.steps}",
        f"trainer.threads={options.threads}",
    ]
    recipe = load_recipe("ldmg-small-autoencoder", AutoencoderRecipe, overrides=overrides)
    run = work / name / "autoencoder"
    start = time.monotonic()
    result = fit_autoencoder(recipe, prepared, run)
    row = {"variant": name, "steps": result.steps, "train_s": round(time.monotonic() - start)}
    row |= {k.removeprefix("val_"): round(v, 4) for k, v in result.validation.items()}
    codec = load_autoencoder(run)
    row["parameters"] = sum(p.numel() for p in codec.parameters())

    def through(audio: np.ndarray) -> np.ndarray:
        hop = codec.config.hop_samples
        whole = np.pad(audio, ((0, 0), (0, -audio.shape[-1] % hop)))
        with torch.no_grad():
            back = codec.decode(codec.encode(torch.from_numpy(whole)[None]).mean)
        return back[0, :, : audio.shape[-1]].numpy()

    start = time.monotonic()
    row["ceiling_kad"] = asdict(judge.ceiling(through))
    row["ceiling_s"] = round(time.monotonic() - start)
    period = getattr(codec.config, "stft_hop_samples", codec.config.hop_samples)
    row["tones_db"] = round(tones_db(through(hiss(20 * 16_000)), period_samples=period), 1)
    if options.probe_steps:
        checkpoint = {"name": name, "sha256": sha256_of(run / "checkpoints/last.ckpt")}
        latents = work / name / "latents"
        encode_folder(
            options.probe_data or prepared, latents, torch_encoder(codec), autoencoder=checkpoint
        )
        probe = probe_recipe(options.probe_steps)
        probe = probe.model_copy(
            update={"trainer": probe.trainer.model_copy(update={"threads": options.threads})}
        )
        start = time.monotonic()
        fitted = fit_diffusion(probe, latents, work / name / "probe")
        row["probe_s"] = round(time.monotonic() - start)
        row |= {f"probe_{k}": round(v, 4) for k, v in fitted.validation.items()}
        clips = sample(work / name / "probe", codec, options.clips, 16)
        row["probe_kad"] = asdict(judge.distance(clips))
        row["probe_rms"] = round(float(np.median([c.std() for c in clips])), 4)
    return row


def main() -> None:
    """Run the variants that are asked for and append one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--variant", action="append", choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--probe-steps", type=int, default=300)
    parser.add_argument("--probe-data", type=Path, help="a smaller prepared folder for the probe")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--references", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    real, groups = real_clips(options.prepared, "train", options.references, 3)
    judge = Judge(real, groups=groups)
    for name in options.variant or list(VARIANTS):
        row = one(name, options.prepared, options.work, options, judge)
        row |= {"floor_kad": judge.floor.mean, "references": len(real), "clips": options.clips}
        with options.output.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row))


if __name__ == "__main__":
    main()
