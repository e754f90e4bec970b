"""Every number of a diffusion run in one tree: latents, model, objective, optimiser, engine."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segue.audio.condition import TextSettings
from segue.audio.data.latent_batches import LatentBatchSettings
from segue.audio.data.latent_cache import CacheSettings
from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.diffusion.samplers import SamplerSettings
from segue.audio.diffusion.task import TaskSettings
from segue.audio.diffusion.transformer import (
    LatentTransformer,
    TransformerConfig,
    TransformerSettings,
)
from segue.core.config import StrictModel
from segue.errors import SettingError
from segue.training.optim import OptimSettings
from segue.training.trainer import TrainerSettings

DiffusionModel = LatentTransformer | OriginalTransformer
"""What can be trained as the second stage."""

ModelSettings = Annotated[
    TransformerSettings | OriginalTransformerConfig, Field(discriminator="kind")
]


class DiffusionRecipe(StrictModel):
    """One complete configuration of the second stage of LDMG."""

    kind: Literal["ldmg-diffusion"]
    name: str
    summary: str = Field(description="what it is, in one sentence")
    hardware: str = Field(description="what it was trained on")
    duration: str = Field(description="how long that took")
    expected: str = Field(description="the score to expect, with its conditions")
    seed: int = Field(default=0, ge=0)
    encode: CacheSettings = Field(
        default=CacheSettings(), description="how audio becomes latents, once"
    )
    model: ModelSettings
    text: TextSettings | None = Field(
        default=None, description="what makes vectors of captions; none: the model knows no text"
    )
    batches: LatentBatchSettings = Field(
        default=LatentBatchSettings(), description="crops of latents"
    )
    task: TaskSettings = TaskSettings()
    optim: OptimSettings = OptimSettings()
    trainer: TrainerSettings
    sampling: SamplerSettings = Field(
        default=SamplerSettings(), description="how an exported bundle draws latents"
    )

    @model_validator(mode="after")
    def _check_original(self) -> Self:
        """Refuse what the original's network has no inputs for."""
        if not isinstance(self.model, OriginalTransformerConfig):
            return self
        if self.task.objective != "ddpm":
            raise ValueError("the original predicts noise: set task.schedule.schedule to ddpm")
        if self.batches.masks.shares()["generate"] < 1:
            raise ValueError(
                "the original sees no mask: all of batches.masks but generate must be 0"
            )
        if self.text is not None:
            raise ValueError("the original sees no text: leave out text")
        return self

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        """Refuse rows that are no whole tokens, and objectives that cannot be learnt."""
        patch = getattr(self.model, "patch", 1)
        if wrong := [length for length in self.batches.lengths if length < 1 or length % patch]:
            raise ValueError(f"batches.lengths has {wrong}, not a multiple of model.patch {patch}")
        if self.task.shortcut.share and self.task.objective != "flow":
            raise ValueError("task.shortcut.share needs task.schedule.schedule to be flow")
        if self.task.schedule.schedule == "ddpm-zero-snr":
            raise ValueError(
                "with ddpm-zero-snr the noisiest latents are nothing but noise, and predicting that "
                "tells nothing about the music; set task.schedule.schedule to flow or ddpm"
            )
        return self


def make_model(
    settings: TransformerSettings | OriginalTransformerConfig,
    *,
    latent_channels: int,
    num_labels: int,
    text_dims: int = 0,
) -> DiffusionModel:
    """Return a new model of either kind.

    Args:
        settings: its architecture.
        latent_channels: of the latents that it is to work on.
        num_labels: labels; the original has none.
        text_dims: of the vectors of texts, 0 for a model that knows none.

    Raises:
        SettingError: the original is set for other latents.
    """
    if isinstance(settings, OriginalTransformerConfig):
        if settings.latent_channels != latent_channels:
            raise SettingError(
                f"model.latent_channels is {settings.latent_channels}, but the latents have "
                f"{latent_channels} channels. Set it to that, or use other latents."
            )
        return OriginalTransformer(settings)
    measured = {
        "latent_channels": latent_channels,
        "num_labels": num_labels,
        "text_dims": text_dims,
    }
    return LatentTransformer(TransformerConfig.model_validate(settings.model_dump() | measured))
