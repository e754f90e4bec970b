"""The recipes of the source deck's LDMG say what the deck and its code say."""

import torch
from torch import nn

from segue.audio.autoencoder.objectives import ObjectiveSettings, make_objective
from segue.audio.autoencoder.original import OriginalAutoencoderConfig
from segue.audio.autoencoder.recipe import AutoencoderRecipe
from segue.audio.autoencoder.recipe import make_model as make_autoencoder
from segue.audio.diffusion.original import OriginalTransformerConfig
from segue.audio.diffusion.recipe import DiffusionRecipe
from segue.audio.diffusion.recipe import make_model as make_transformer
from segue.recipes import load_recipe

SUMMARIES = {
    "autoencoder": "3.4 million",
    "discriminator": "0.4 million",
    "diffusion": "22.7 million",
}


def millions(module: nn.Module) -> str:
    """Number of weights as the recipes' summaries state it."""
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.1f} million"


def discriminator(settings: ObjectiveSettings) -> nn.Module | None:
    return make_objective(settings, rate_hz=16_000, channels=1).discriminator


def test_the_first_stage():
    recipe = load_recipe("ldmg-original-autoencoder", AutoencoderRecipe)
    assert recipe.model == OriginalAutoencoderConfig()
    seconds = recipe.clips.clip_samples / recipe.model.rate_hz
    assert (seconds, recipe.clips.batch_size) == (10, 2)
    assert (recipe.clips.target_lufs, recipe.clips.gain_db, recipe.clips.redraws) == (None, 0, 0)
    objective = recipe.objective
    assert (objective.kind, objective.discriminator_pause) == ("original", 0)
    assert (objective.adversarial_weight, objective.feature_weight) == (1, 1)
    assert (objective.adversarial_from_step, objective.adversarial_ramp_steps) == (0, 0)
    bottleneck = recipe.bottleneck
    assert (bottleneck.kl_weight, bottleneck.target_bits_per_second) == (1e-2, None)
    assert bottleneck.latent_noise == 0
    optim = recipe.optim
    assert (optim.clip_norm, optim.freeze_encoder_from_step) == (1.0, None)
    assert (optim.autoencoder.learning_rate, optim.discriminator.learning_rate) == (1e-4, 2e-4)
    for one in (optim.autoencoder, optim.discriminator):
        assert (one.betas, one.weight_decay, one.schedule) == ((0.9, 0.999), 0, "constant")
        assert one.warmup_steps == 0
    trainer = recipe.trainer
    assert (trainer.max_steps, trainer.precision, trainer.ema_decay) == (62_500, "32", None)


def test_the_vae_alone_differs_by_the_discriminator_alone():
    whole = load_recipe("ldmg-original-autoencoder", AutoencoderRecipe)
    alone = load_recipe("ldmg-original-vae", AutoencoderRecipe)
    weights = {"adversarial_weight": 0.0, "feature_weight": 0.0}
    assert alone.objective == whole.objective.model_copy(update=weights)
    assert discriminator(alone.objective) is None
    assert alone.optim.autoencoder == whole.optim.autoencoder
    for part in ("model", "clips", "bottleneck", "trainer", "seed"):
        assert getattr(alone, part) == getattr(whole, part), part


def test_the_second_stage():
    recipe = load_recipe("ldmg-original-diffusion", DiffusionRecipe)
    assert recipe.model == OriginalTransformerConfig()
    assert (recipe.encode.chunk_s, recipe.encode.whole_clips) == (10, True)
    assert recipe.encode.target_lufs is None
    batches = recipe.batches
    assert batches.lengths == {2500: 1.0}
    assert batches.frames_per_batch // 2500 == 2
    assert (batches.normalise, batches.draw_latents) == (False, True)
    assert recipe.encode.log_variance
    assert batches.masks.shares()["generate"] == 1
    schedule = recipe.task.schedule
    assert (schedule.schedule, schedule.num_steps) == ("ddpm", 500)
    assert (schedule.first_beta, schedule.last_beta) == (1e-4, 0.02)
    optim = recipe.optim
    assert (optim.learning_rate, optim.betas, optim.weight_decay) == (1e-4, (0.9, 0.999), 0)
    assert (optim.schedule, optim.warmup_steps) == ("constant", 0)
    assert (recipe.trainer.clip_norm, recipe.trainer.ema_decay) == (None, None)
    assert (recipe.sampling.sampler, recipe.sampling.steps) == ("ddpm", 500)


def test_summaries_state_the_sizes():
    first = load_recipe("ldmg-original-autoencoder", AutoencoderRecipe)
    alone = load_recipe("ldmg-original-vae", AutoencoderRecipe)
    second = load_recipe("ldmg-original-diffusion", DiffusionRecipe)
    with torch.device("meta"):
        judge = discriminator(first.objective)
        assert judge is not None
        autoencoder = make_autoencoder(first.model)
        transformer = make_transformer(second.model, latent_channels=32, num_labels=0)
    assert millions(autoencoder) == SUMMARIES["autoencoder"]
    assert millions(judge) == SUMMARIES["discriminator"]
    assert millions(transformer) == SUMMARIES["diffusion"]
    assert SUMMARIES["autoencoder"] in first.summary
    assert SUMMARIES["autoencoder"] in alone.summary
    assert SUMMARIES["discriminator"] in first.summary
    assert SUMMARIES["diffusion"] in second.summary
