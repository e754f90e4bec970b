"""A bundle ready to write sound: autoencoder, diffusion network and what belongs to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.audio.codec import Codec, CodecSettings
from segue.audio.condition import Condition, TextSettings, Told, shares
from segue.audio.diffusion.denoisers import StepDenoiser, data_prediction
from segue.audio.diffusion.samplers import SamplerSettings
from segue.audio.diffusion.schedules import (
    DiscreteSchedule,
    FlowSchedule,
    Latents,
    ScheduleSettings,
    make_schedule,
)
from segue.audio.latents import BUNDLE_KIND
from segue.core.config import StrictModel, load, nearest
from segue.errors import BundleError, SettingError
from segue.runtime.bundle import Bundle
from segue.runtime.graph import Graph, Runner

DEFAULT_BUNDLE: Final = "ldmg-small"
"""Name of the bundle that commands for sound use when none is named."""


_MOST_SHOWN = 20
"""Labels that a message lists."""


class AudioFormat(StrictModel):
    """What the model's sound is like."""

    rate_hz: int = Field(ge=4_000, le=192_000)
    channels: int = Field(ge=1, le=2)
    loudness_lufs: float = Field(default=-18.0, ge=-60, le=0)
    """Of the music that it was trained on; sound is brought to it before it is encoded."""


class Parts(StrictModel):
    """The parts of a bundle's config that running it needs."""

    objective: Literal["flow", "ddpm"]
    audio: AudioFormat
    codec: CodecSettings
    frames: int = Field(ge=1, le=100_000)
    """Latent frames of a training clip."""
    patch: int = Field(default=1, ge=1)
    """Lengths are multiples of so many latent frames."""
    labels: tuple[str, ...] = ()
    text: TextSettings | None = None
    """What makes vectors of texts; none where the model knows no text."""
    sampling: SamplerSettings = SamplerSettings()
    schedule: ScheduleSettings | None = None
    """Of the training; by default that of the objective."""


@dataclass(frozen=True, eq=False)
class AudioModel:
    """Everything that generation needs of a bundle.

    Attributes:
        name: of the bundle.
        parts: its settings.
        codec: sound to latents and back.
        network: the diffusion network.
    """

    name: str
    parts: Parts
    codec: Codec
    network: Runner

    @classmethod
    def open(cls, bundle: Bundle | Path | str | None = None, *, threads: int | None = None) -> Self:
        """Open a bundle, by default the one that ships with the package.

        Args:
            bundle: a bundle, its folder, or the name of a shipped one.
            threads: of the networks; by default one for each processor, eight at most.

        Raises:
            BundleError: there is no such bundle, it is of another kind, or it is damaged.
            SettingError: `threads` is not from 1 to 256.
        """
        opened = (
            bundle
            if isinstance(bundle, Bundle)
            else Bundle.open(DEFAULT_BUNDLE if bundle is None else bundle)
        )
        opened.require(kind=BUNDLE_KIND)
        parts = read_parts(opened.config, where=str(opened.folder))
        graphs = {
            name: Graph(opened.path(f"{name}.onnx"), threads=threads)
            for name in ("encoder", "decoder", "transformer")
        }
        return cls.of(parts, name=opened.name, **graphs)

    @classmethod
    def of(
        cls,
        parts: Parts,
        *,
        encoder: Runner,
        decoder: Runner,
        transformer: Runner,
        name: str = "unnamed",
    ) -> Self:
        """Put a model together from its parts.

        Raises:
            BundleError: a network has not the inputs and outputs of the kind that the config says.
        """
        sound = "audio" if parts.codec.front == "waveform" else "spectrum"
        told = {"labels": bool(parts.labels), "text": parts.text is not None}
        for what, graph, needed in (
            ("encoder", encoder, {sound}),
            ("decoder", decoder, {"latents"}),
            ("transformer", transformer, {"latents", "time"} | {n for n in told if told[n]}),
        ):
            if missing := needed - set(graph.inputs):
                raise BundleError(
                    f"The {what} of the bundle {name} has no input {', '.join(sorted(missing))}. "
                    "Its config and its graphs do not belong together: export the bundle again."
                )
        codec = Codec(
            parts.codec,
            parts.audio.rate_hz,
            parts.audio.channels,
            encoder,
            decoder,
            clip_frames=parts.frames,
        )
        return cls(name, parts, codec, transformer)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that can be asked for, such as genres."""
        return self.parts.labels

    @property
    def fills_holes(self) -> bool:
        """Whether the network was trained to see what is known around a hole."""
        return "known" in self.network.inputs

    @property
    def schedule(self) -> FlowSchedule | DiscreteSchedule:
        """The noise schedule of the training."""
        settings = self.parts.schedule
        return make_schedule(settings or ScheduleSettings(schedule=self.parts.objective))

    def told(self, condition: Condition) -> Told:
        """Return a condition as the network sees it.

        Raises:
            SettingError: the model does not know a label, or knows no text.
            MissingExtraError: what reads texts is not installed.
        """
        named = [label for label in condition.labels if label.strip()]
        indices = dict.fromkeys(self._label_index(label) for label in named)
        return Told(shares(list(indices), len(self.labels)), self._text_vector(condition.text))

    def _label_index(self, label: str) -> int:
        """Return the place of a label among the model's."""
        folded = [known.casefold() for known in self.labels]
        if label.strip().casefold() in folded:
            return folded.index(label.strip().casefold())
        if not self.labels:
            raise SettingError(
                f"The model {self.name} knows no labels, so {label!r} cannot be asked for. Leave it "
                "out, or choose another model."
            )
        guess = nearest(label, self.labels)
        hint = f"did you mean {guess}?" if guess else f"it knows {_listed(self.labels)}."
        raise SettingError(
            f"The model {self.name} does not know the label {label!r}; {hint} "
            f"`segue models show {self.name}` lists all that it knows."
        )

    def _text_vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text, zeros for none; the encoder is opened where it is needed."""
        settings = self.parts.text
        if not text.strip():
            return np.zeros(settings.dims if settings else 0, np.float32)
        if settings is None:
            instead = (
                f"labels: {_listed(self.labels)}" if self.labels else "neither text nor labels"
            )
            raise SettingError(
                f"The model {self.name} was not trained with text, so {text!r} means nothing to it. "
                f"It knows {instead}."
            )
        from segue.audio.text import open_text_encoder

        encoder = open_text_encoder(settings.encoder)
        if encoder.dims != settings.dims:
            raise BundleError(
                f"The model {self.name} wants texts of {settings.dims} numbers, but "
                f"{encoder.name} gives {encoder.dims}. Export the bundle again."
            )
        found = np.asarray(encoder.encode([text.strip()])[0], np.float32)
        if not found.any():
            raise SettingError(
                f"The text encoder {encoder.name} knows no word of {text.strip()!r}, so nothing would be "
                "asked for. Say it in other words, in English."
            )
        return found

    def settings(self, **values: Any) -> SamplerSettings:
        """Return the bundle's sampling settings with a user's own in their place; None is unset.

        Raises:
            SettingError: a value is out of range.
        """
        given = {name: value for name, value in values.items() if value is not None}
        mapping = self.parts.sampling.model_dump() | given
        return load(SamplerSettings, mapping, origin="the sampling settings")

    def denoiser(self, known: Latents, mask: NDArray[np.bool_], *, told: Told) -> StepDenoiser:
        """Return the network as a denoiser.

        Args:
            known: normalised latents, ``[batch, channels, frames]``; any value where unknown.
            mask: true where known, ``[batch, 1, frames]``.
            told: what is asked, from `told`.
        """
        batch = len(known)
        schedule = self.schedule
        shown: dict[str, NDArray[Any]] = {
            "known": np.where(mask, known, np.float32(0)).astype(np.float32),
            "mask": mask.astype(np.float32),
            "labels": np.repeat(told.labels[None], batch, axis=0),
            "text": np.repeat(told.text[None], batch, axis=0),
        }
        counts_steps = not self.fills_holes and isinstance(schedule, DiscreteSchedule)

        def network(x: Latents, t: float, step: float = 0.0) -> Latents:
            time = schedule.step_index(t) if counts_steps else t  # type: ignore[union-attr]
            feeds = shown | {
                "latents": x,
                "time": np.full(batch, time, np.float32),
                "step": np.full(batch, step, np.float32),
            }
            return next(iter(self.network(feeds).values()))

        prediction = "velocity" if self.parts.objective == "flow" else "noise"
        return data_prediction(network, prediction, schedule)  # type: ignore[arg-type]


def read_parts(config: Mapping[str, Any], *, where: str) -> Parts:
    """Return the settings in a bundle's config, after a check of all of them.

    Args:
        config: the content of ``config.json``.
        where: the bundle, for the message.

    Raises:
        BundleError: something is missing, unknown or out of range.
    """
    model = config.get("model", {})
    mapping = {
        name: config[name]
        for name in ("objective", "audio", "codec", "labels", "text", "sampling", "schedule")
        if name in config
    }
    mapping |= {name: model[name] for name in ("frames", "patch") if name in model}
    try:
        parts = load(Parts, mapping, origin="its config.json")
    except SettingError as error:
        raise BundleError(f"The bundle {where} is damaged. {error} Export it again.") from error
    _check_labels(parts.labels, where)
    return parts


def _listed(labels: Sequence[str]) -> str:
    """Return some labels, and how many there are besides."""
    shown = ", ".join(labels[:_MOST_SHOWN])
    more = len(labels) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _check_labels(labels: Sequence[str], where: str) -> None:
    """Raise BundleError where labels cannot be told apart."""
    if len({label.strip().casefold() for label in labels} - {""}) < len(labels):
        raise BundleError(
            f"The bundle {where} is damaged: its labels are empty or stand twice. Export it again."
        )
