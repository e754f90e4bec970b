"""Every number of an autoencoder's run in one tree."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.audio.autoencoder.objectives import ObjectiveSettings
from segue.audio.autoencoder.original import OriginalAutoencoder, OriginalAutoencoderConfig
from segue.audio.autoencoder.settings import AutoencoderConfig
from segue.audio.autoencoder.task import Autoencoder, AutoencoderOptim, BottleneckSettings
from segue.audio.data.batches import ClipSettings
from segue.core.config import StrictModel
from segue.training.trainer import TrainerSettings

ModelSettings = Annotated[
    AutoencoderConfig | OriginalAutoencoderConfig, Field(discriminator="kind")
]


class AutoencoderRecipe(StrictModel):
    """One complete configuration of the first stage of LDMG."""

    kind: Literal["ldmg-autoencoder"]
    name: str
    summary: str = Field(description="what it is, in one sentence")
    hardware: str = Field(description="what it was trained on")
    duration: str = Field(description="how long that took")
    expected: str = Field(description="the score to expect, with its conditions")
    seed: int = Field(default=0, ge=0)
    model: ModelSettings
    clips: ClipSettings = Field(default=ClipSettings(), description="batches of sound")
    objective: ObjectiveSettings = ObjectiveSettings()
    bottleneck: BottleneckSettings = BottleneckSettings()
    optim: AutoencoderOptim = AutoencoderOptim()
    trainer: TrainerSettings

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        """Refuse losses that the model's head cannot be trained with."""
        head = getattr(self.model, "head", "")
        if (head == "magnitude") != (self.objective.kind == "magnitude"):
            raise ValueError(
                f"model.head is {head or 'the original'!r} and objective.kind is "
                f"{self.objective.kind!r}: magnitude goes with magnitude only"
            )
        return self


def make_model(config: AutoencoderConfig | OriginalAutoencoderConfig) -> Autoencoder:
    """Return a new autoencoder of either kind."""
    if isinstance(config, OriginalAutoencoderConfig):
        return OriginalAutoencoder(config)
    return SpectralAutoencoder(config)
