"""Every number of a MidiGPT run in one tree: music, tokenizer, model, objective, optimiser, engine."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from segue.core.config import StrictModel
from segue.symbolic.data.prepare import PrepareSettings
from segue.symbolic.data.windows import WindowSettings
from segue.symbolic.model.gpt import PRESETS, GPTConfig, preset
from segue.symbolic.model.task import TaskSettings
from segue.symbolic.sampling import SamplingSettings
from segue.training.optim import OptimSettings
from segue.training.trainer import TrainerSettings


class ModelSettings(StrictModel):
    """The architecture: a preset of the source deck by name, or every field of a `GPTConfig`.

    What the tokenizer fixes (the size of the vocabulary, the unit of time) is not set here.
    """

    preset: str | None = None
    num_layers: int | None = Field(default=None, gt=0)
    num_heads: int | None = Field(default=None, gt=0)
    width: int | None = Field(default=None, gt=0)
    context_length: int | None = Field(default=None, gt=0)
    positions: Literal["learned", "rotary"] | None = None
    norm: Literal["layer", "rms"] | None = None
    tied_head: bool | None = None
    bias: bool | None = None
    dropout: float | None = Field(default=None, ge=0, lt=1)
    mlp_ratio: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = self.given()
        if self.preset is not None:
            if self.preset not in PRESETS:
                raise ValueError(f"there is no preset {self.preset!r}; known: {', '.join(PRESETS)}")
            if sized := given.keys() & {"num_layers", "num_heads", "width"}:
                raise ValueError(f"the preset {self.preset} fixes {', '.join(sorted(sized))}")
        elif missing := {"num_layers", "num_heads", "width"} - given.keys():
            raise ValueError(f"without a preset, {', '.join(sorted(missing))} must be stated")
        self.to_config(vocab_size=1, units_per_quarter=1)
        return self

    def given(self) -> dict[str, Any]:
        """Return the fields that are stated, the preset apart."""
        return self.model_dump(exclude_none=True, exclude={"preset"})

    def to_config(self, *, vocab_size: int, units_per_quarter: int) -> GPTConfig:
        """Return the architecture for a tokenizer."""
        base = {} if self.preset is None else preset(self.preset, vocab_size=1).model_dump()
        measured = {"vocab_size": vocab_size, "units_per_quarter": units_per_quarter}
        return GPTConfig.model_validate(base | self.given() | measured)


class MidiRecipe(StrictModel):
    """One complete configuration of MidiGPT."""

    kind: Literal["midigpt"]
    name: str
    summary: str = Field(description="what it is, in one sentence")
    hardware: str = Field(description="what it was trained on")
    duration: str = Field(description="how long that took")
    expected: str = Field(description="the score to expect, with its conditions")
    seed: int = Field(default=0, ge=0)
    prepare: PrepareSettings = PrepareSettings()
    model: ModelSettings
    batch_size: int = Field(
        default=64, gt=0, description="rows of a batch of the next_token objective"
    )
    windows: WindowSettings = Field(
        default=WindowSettings(), description="examples of the infill objective"
    )
    task: TaskSettings = TaskSettings()
    optim: OptimSettings = OptimSettings()
    trainer: TrainerSettings
    sampling: SamplingSettings = Field(
        default=SamplingSettings(), description="what an exported bundle draws tokens with"
    )

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        longest = max(self.windows.lengths, default=0)
        context = self.model.to_config(vocab_size=1, units_per_quarter=1).context_length
        if self.task.objective == "infill" and not 0 < longest <= context:
            raise ValueError(
                f"windows.lengths has rows of {longest} tokens, model.context_length is {context}"
            )
        return self
