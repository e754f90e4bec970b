"""The source deck's LDMG from sound to sound: both stages trained, exported, and made to write."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.toy_diffusion import prepared_audio

from segue.audio.autoencoder.export import encoder_hash
from segue.audio.autoencoder.fit import fit as fit_autoencoder
from segue.audio.autoencoder.fit import load_autoencoder
from segue.audio.autoencoder.recipe import AutoencoderRecipe
from segue.audio.bundling import export_bundle
from segue.audio.data.latent_cache import encode_folder, torch_encoder
from segue.audio.diffusion.fit import fit as fit_diffusion
from segue.audio.diffusion.recipe import DiffusionRecipe
from segue.audio.generate import Maker, generate
from segue.audio.loaded import AudioModel
from segue.recipes import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

RATE_HZ, FRAMES, HOP = 4_000, 150, 8
FIRST = [
    f"model.rate_hz={RATE_HZ}",
    f"model.hop_samples={HOP}",
    "model.latent_channels=4",
    "model.first_width=4",
    "model.width=16",
    "model.num_heads=2",
    f"model.max_seconds={FRAMES * HOP / RATE_HZ}",
    f"clips.clip_samples={FRAMES * HOP}",
    "objective.patch_width=16",
    "objective.discriminator_pause=3",
    "optim.autoencoder.learning_rate=3e-3",
]
SECOND = [
    "model.latent_channels=4",
    "model.width=16",
    "model.depth=1",
    "model.heads=2",
    f"model.max_frames={FRAMES}",
    f"encode.chunk_s={FRAMES * HOP / RATE_HZ}",
    f"batches.lengths={{{FRAMES}: 1.0}}",
    f"batches.frames_per_batch={4 * FRAMES}",
    "optim.learning_rate=3e-3",
    "sampling.steps=20",
]
ENGINE = [
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "trainer.validation_batches=1",
    "trainer.validate_every=10",
    "trainer.row_every=1",
    "trainer.save_every=10",
]


def column(run: Path, name: str) -> list[float]:
    """One column of a run's metrics, where it is filled."""
    with (run / "metrics.csv").open(newline="") as stream:
        return [float(row[name]) for row in csv.DictReader(stream) if row.get(name)]


def test_from_sound_to_sound(tmp_path: Path) -> None:
    prepared = prepared_audio(tmp_path / "prepared", seconds={"train": [2, 3, 4], "valid": [3]})
    info = json.loads((prepared / "dataset.json").read_text())
    (prepared / "dataset.json").write_text(json.dumps(info | {"rate_hz": RATE_HZ}))
    first, second, latents = tmp_path / "first", tmp_path / "second", tmp_path / "latents"
    recipe = load_recipe(
        "ldmg-original-autoencoder",
        AutoencoderRecipe,
        overrides=[*FIRST, *ENGINE, "trainer.max_steps=20"],
    )
    fit_autoencoder(recipe, prepared, first)
    elbo, judged = column(first, "elbo"), column(first, "discriminator")
    assert np.mean(elbo[-5:]) < 0.9 * np.mean(elbo[:5])
    assert len(judged) == 20 - len(range(0, 20, 3)), "every third step pauses"

    settings = load_recipe(
        "ldmg-original-diffusion",
        DiffusionRecipe,
        overrides=[*SECOND, *ENGINE, "trainer.max_steps=40"],
    )
    model = load_autoencoder(first)
    whose = {"name": "first", "encoder_sha256": encoder_hash(model)}
    encode_folder(
        prepared, latents, torch_encoder(model), autoencoder=whose, settings=settings.encode
    )
    fit_diffusion(settings, latents, second)
    loss = column(second, "loss")
    assert np.mean(loss[-5:]) < 0.9 * np.mean(loss[:5])

    bundle = export_bundle(first, second, tmp_path / "bundle", name="original").bundle
    opened = AudioModel.open(bundle.folder)
    seconds = FRAMES * HOP / RATE_HZ
    sounds = [
        generate(Maker(opened, opened.settings(), seed=seed), seconds).read(0, FRAMES * HOP)
        for seed in (1, 1, 2)
    ]
    assert sounds[0].shape == (1, FRAMES * HOP)
    assert np.isfinite(sounds[0]).all()
    assert np.array_equal(sounds[0], sounds[1])
    assert not np.allclose(sounds[0], sounds[2])
