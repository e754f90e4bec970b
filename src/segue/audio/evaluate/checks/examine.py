"""An audio run or bundle, stage after stage in the order of the pipeline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segue.audio.codec import Codec
from segue.audio.data.latent_cache import CacheSettings
from segue.audio.diffusion.schedules import make_schedule
from segue.audio.evaluate.checks import generated, levels
from segue.audio.evaluate.checks.codec import check_codec
from segue.audio.evaluate.checks.gaussian import check_sampler
from segue.audio.evaluate.checks.latents import (
    check_encoder,
    check_kept_file,
    check_statistics,
    read_info,
)
from segue.audio.evaluate.checks.material import (
    Array,
    Sound,
    cached_rows,
    composed,
    drawn,
    imagined_rows,
    is_latents,
    posterior,
    real_clips,
)
from segue.audio.evaluate.checks.models import FirstStage, codec_of, model_of, open_first_stage
from segue.audio.evaluate.checks.one_batch import (
    autoencoder_task,
    check_overfit,
    clip_batch,
    diffusion_task,
    latent_batch,
)
from segue.audio.loaded import AudioModel
from segue.core.config import load
from segue.core.findings import Finding, first_broken, guarded
from segue.core.progress import Progress, silent
from segue.errors import BundleError, SegueError
from segue.runtime.bundle import Bundle, list_bundles
from segue.training.checkpoints import check_checkpoints
from segue.training.history import RunRecord, check_history

if TYPE_CHECKING:
    from segue.audio.autoencoder.recipe import AutoencoderRecipe
    from segue.audio.diffusion.recipe import DiffusionRecipe
    from segue.audio.diffusion.weights import TrainedDiffusion

CLIPS: Final = 48
"""Clips that latents are measured on."""

HEARD: Final = 4
"""Clips that are decoded too, which takes longer."""

_SECONDS = 4.0
_WHOLE_CLIPS = 2
_ROWS = 4
_MOST_FRAMES = 320
_CROPS, _CROP_FRAMES = 256, 64
_NO_DATA = "Name the prepared folder with --data."
_NO_CODEC = "Name the run or bundle of the first stage with --autoencoder."
_NO_TIME = "Run it again without --quick."


@dataclass(frozen=True)
class Choices:
    """What a person asks of an examination.

    Attributes:
        data: a prepared folder, or one of latents; None for none.
        autoencoder: run, checkpoint or bundle of the first stage, for a diffusion run.
        quick: leave out what takes minutes: training on one batch, and making clips.
        progress: who listens.
    """

    data: Path | None = None
    autoencoder: str | None = None
    quick: bool = False
    progress: Progress = field(default=silent)

    @property
    def sound(self) -> Path | None:
        """The folder of data, where it holds sound."""
        return None if self.data is None or is_latents(self.data) else self.data


def clips_for(
    codec: Codec, choices: Choices, settings: CacheSettings, count: int, *, split: str = "valid"
) -> Sound:
    """Return clips for a codec: of the data where it holds sound, else composed ones.

    Args:
        codec: gives rate, channels and length.
        choices: the data.
        settings: how loud recordings are when they are encoded.
        count: clips; fewer for a codec of whole clips, which are long.
        split: of the data, if it holds any.

    Raises:
        DataError: the data is of another rate, or silent.
    """
    hop, rate = codec.settings.hop_samples, codec.rate_hz
    frames = math.ceil(_SECONDS * rate / hop)
    if not codec.settings.length_free:
        frames, count = codec.clip_frames, min(count, _WHOLE_CLIPS)
    samples = frames * hop
    if choices.sound is None:
        return composed(samples=samples, rate_hz=rate, channels=codec.channels)
    return real_clips(
        choices.sound,
        count=count,
        samples=samples,
        settings=settings,
        rate_hz=rate,
        channels=codec.channels,
        split=split,
    )


# First stage ------------------------------------------------------------------------------------


def examine_autoencoder(record: RunRecord, choices: Choices) -> list[Finding]:
    """Examine the run of an autoencoder."""
    from segue.audio.autoencoder.recipe import AutoencoderRecipe

    recipe = load(AutoencoderRecipe, record.recipe, origin=str(record.path))
    found = check_history(record, columns=("elbo", "loss"), validation="reconstruction")
    found += guarded("checkpoint", lambda: check_checkpoints(record.path))
    hop = recipe.model.hop_samples
    level = CacheSettings(
        target_lufs=recipe.clips.target_lufs, max_boost_db=recipe.clips.max_boost_db
    )
    if first_broken(found):
        found.append(Finding("codec round trip", "not checked", "it needs whole weights"))
    else:
        found += guarded(
            "codec round trip",
            lambda: _codec_findings(
                open_first_stage(record.path, clip_frames=recipe.clips.clip_samples // hop).codec,
                choices,
                level,
            ),
        )
    found += _overfit_autoencoder(recipe, choices, level)
    return found


def _codec_findings(codec: Codec, choices: Choices, level: CacheSettings) -> list[Finding]:
    """Judge a first stage on the clips that there are."""
    sound = clips_for(codec, choices, level, HEARD)
    return check_codec(codec, sound, progress=choices.progress)


def _overfit_autoencoder(
    recipe: "AutoencoderRecipe", choices: Choices, level: CacheSettings
) -> list[Finding]:
    """Let a fresh autoencoder learn a few clips."""
    name = "one-batch overfit"
    if choices.quick:
        return [Finding(name, "not checked", "left out by --quick", _NO_TIME)]

    def check() -> list[Finding]:
        from segue.audio.autoencoder.recipe import make_model

        hop = recipe.model.hop_samples
        codec = codec_of(
            make_model(recipe.model), clip_frames=max(1, recipe.clips.clip_samples // hop)
        )
        batch = clip_batch(clips_for(codec, choices, level, HEARD).clips, hop)
        task = autoencoder_task(recipe)
        return [check_overfit(task, batch, recipe.trainer, progress=choices.progress)]

    return guarded(name, check)


# Second stage -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Diffusion:
    """A diffusion run with what was found for it; what cannot be had is None."""

    record: RunRecord
    recipe: "DiffusionRecipe"
    info: Mapping[str, Any]
    trained: "TrainedDiffusion | None"
    choices: Choices

    @property
    def task(self) -> Mapping[str, Any]:
        """The objective, as the recipe states it."""
        task: Mapping[str, Any] = self.recipe.task.model_dump()
        return task

    @property
    def frames(self) -> int:
        """Frames of a row for small trainings and measurements."""
        patch = getattr(self.recipe.model, "patch", 1)
        frames = min(_MOST_FRAMES, *self.recipe.batches.lengths)
        return max(patch, frames - frames % patch)

    @cached_property
    def opened(self) -> FirstStage | SegueError | None:
        """The autoencoder, named or of the name that the run states, or why it cannot be opened."""
        source = self.choices.autoencoder or self._beside()
        if source is None:
            return None
        try:
            return open_first_stage(source, clip_frames=max(self.recipe.batches.lengths))
        except SegueError as error:
            return error

    @property
    def first_stage(self) -> FirstStage | None:
        """The autoencoder, where it can be opened and makes such latents."""
        opened = self.opened
        if not isinstance(opened, FirstStage) or made_by(opened) != self.shape:
            return None
        return opened

    @property
    def shape(self) -> tuple[int, int]:
        """Channels of the latents, and samples of a frame."""
        return len(self.info["mean"]), int(self.info["hop_samples"])

    def _beside(self) -> str | None:
        """Look for the autoencoder beside the run, and among the shipped bundles."""
        name = str(self.info.get("autoencoder", {}).get("name") or "")
        folder = self.record.path.resolve().parent / name
        if name and any((folder / inner).exists() for inner in ("checkpoints", "config.json")):
            return str(folder)
        return name if name in [bundle.name for bundle in list_bundles()] else None

    @cached_property
    def rows(self) -> list[Array]:
        """Latents of the data, not normalised, each ``[channels, frames]``; none without data."""
        draws = self.recipe.batches.draw_latents
        data = self.choices.data
        if data is not None and is_latents(data):
            frames = max(_CROP_FRAMES, self.frames)
            count = max(_ROWS, _CROPS * _CROP_FRAMES // frames)
            return cached_rows(data, count=count, frames=frames, draws=draws)
        if data is None or self.first_stage is None:
            return []
        codec = self.first_stage.codec
        sound = clips_for(codec, self.choices, self.recipe.encode, CLIPS, split="train")
        found = [posterior(codec, clip) for clip in sound.clips]
        return [drawn(mean, logs) if draws else mean for mean, logs in found]

    @cached_property
    def normalised(self) -> list[Array]:
        """Rows of `frames` as the model sees them."""
        assert self.trained is not None
        long = [row for row in self.rows if row.shape[1] >= self.frames]
        return [self.trained.spec.normalise(row)[:, : self.frames] for row in long]

    @cached_property
    def variance(self) -> Any:
        """Variance of the channels as the model sees them: 1 where latents are normalised."""
        if self.recipe.batches.normalise:
            return 1.0
        joined = np.concatenate(self.rows, axis=1)
        return joined.astype(np.float64).var(axis=1)


def examine_diffusion(record: RunRecord, choices: Choices) -> list[Finding]:
    """Examine the run of a diffusion model, its first stage where it can be found."""
    from segue.audio.diffusion.recipe import DiffusionRecipe
    from segue.audio.diffusion.weights import load_diffusion

    recipe = load(DiffusionRecipe, record.recipe, origin=str(record.path))
    untrained = float(
        np.nanmean(levels.reference_quarters(recipe.task.model_dump()))
        if recipe.batches.normalise
        else 1.0
    )
    found = check_history(record, columns=("loss",), validation="loss", untrained=untrained)
    found += guarded("checkpoint", lambda: check_checkpoints(record.path))
    info = read_info(record.path)
    readable = not any(
        f.state == "broken" and f.name.startswith(("checkpoint", "weights")) for f in found
    )
    trained = load_diffusion(record.path) if readable else None
    run = _Diffusion(record, recipe, info, trained, choices)
    found += check_kept_file(record.path, record.starts)
    found += guarded("encoder", lambda: _first_stage(run), advice=_NO_CODEC)
    found += guarded("latent statistics", lambda: _statistics(run), advice=_NO_DATA)
    found += guarded("one-batch overfit", lambda: _overfit_diffusion(run))
    found += guarded("loss by timestep", lambda: _levels(run))
    found += guarded("sampler", lambda: _sampler(recipe))
    found += guarded("silence", lambda: _clips(run))
    return found


def _first_stage(run: _Diffusion) -> list[Finding]:
    """Judge the autoencoder of a diffusion run."""
    opened = run.opened
    if opened is None:
        name = run.info.get("autoencoder", {}).get("name")
        detail = f"the autoencoder {name!r} is not at hand"
        return [Finding("codec round trip", "not checked", detail, _NO_CODEC)]
    if isinstance(opened, SegueError):
        return [Finding("encoder", "broken", str(opened), _NO_CODEC)]
    if (made := made_by(opened)) != run.shape:
        detail = (
            f"{opened.name} makes {made[0]} channels every {made[1]} samples, the latents have "
            f"{run.shape[0]} every {run.shape[1]}"
        )
        return [Finding("encoder", "broken", detail, _NO_CODEC)]
    found = [check_encoder(run.info, opened.encoder_sha256, name=opened.name)]
    return found + _codec_findings(opened.codec, run.choices, run.recipe.encode)


def made_by(stage: FirstStage) -> tuple[int, int]:
    """Return the channels of the latents that an autoencoder makes, and samples of a frame."""
    return stage.codec.settings.latent_channels, stage.codec.settings.hop_samples


def _statistics(run: _Diffusion) -> list[Finding]:
    """Judge the scale of the latents of a diffusion run."""
    from segue.audio.latents import LatentSpec

    if not run.rows:
        advice = _NO_DATA if run.choices.data is None else _NO_CODEC
        detail = "there are no latents of its data at hand"
        return [Finding("latent statistics", "not checked", detail, advice)]
    spec = LatentSpec.from_config(run.info)
    normalises = run.recipe.batches.normalise
    if not normalises:
        one = np.ones(spec.channels, np.float32)
        spec = LatentSpec(spec.rate_hz, spec.hop_samples, 0 * one, one)
    return [check_statistics(run.rows, spec, normalises=normalises)]


def _overfit_diffusion(run: _Diffusion) -> list[Finding]:
    """Let a fresh diffusion model learn a few rows."""
    if run.choices.quick:
        return [Finding("one-batch overfit", "not checked", "left out by --quick", _NO_TIME)]
    channels = len(run.info["mean"])
    rows = imagined_rows(count=_ROWS, channels=channels, frames=run.frames)
    if run.trained is not None and run.normalised:
        rows = run.normalised[:_ROWS]
    sizes = SimpleNamespace(
        latent_channels=channels,
        num_labels=len(run.info["labels"]),
        text_dims=run.recipe.text.dims if run.recipe.text is not None else 0,
    )
    task = diffusion_task(run.recipe, sizes)
    batch = latent_batch(rows, sizes)
    return [check_overfit(task, batch, run.recipe.trainer, progress=run.choices.progress)]


def _levels(run: _Diffusion) -> list[Finding]:
    """Judge the loss by time: that of the last validation, else measured on the data."""
    name = "loss by timestep"
    known = levels.last_quarters(run.record.rows)
    measured = "validation"
    if not run.recipe.batches.normalise and not run.rows:
        return [Finding(name, "not checked", "the deviation of the latents is not known", _NO_DATA)]
    if known is None:
        if run.trained is None or not run.rows or not run.normalised:
            detail = "the run made no validation, and there are no latents to measure it on"
            return [Finding(name, "not checked", detail, _NO_DATA)]
        known = levels.measure_quarters(run.trained, run.normalised[: 2 * _ROWS])
        measured = "measured on the data"
    return [
        levels.check_levels(
            known,
            run.task,
            share_done=run.record.share_done,
            variance=run.variance,
            measured=measured,
        )
    ]


def _sampler(recipe: "DiffusionRecipe") -> list[Finding]:
    """Judge the settings of the sampler."""
    schedule = make_schedule(recipe.task.schedule)
    return check_sampler(recipe.sampling, schedule, frames=max(recipe.batches.lengths))


def _clips(run: _Diffusion) -> list[Finding]:
    """Make clips with both stages of a run."""
    if run.trained is None or run.first_stage is None:
        detail = "it needs whole weights of both stages"
        advice = _NO_CODEC if run.first_stage is None else ""
        return [Finding("silence", "not checked", detail, advice)]
    model = model_of(run.first_stage.codec, run.trained)
    scaled = run.recipe.batches.normalise or not run.rows
    deviation = 1.0 if scaled else math.sqrt(float(np.mean(run.variance)))
    return clip_findings(model, run.choices, real_deviation=deviation)


def clip_findings(
    model: AudioModel, choices: Choices, *, real_deviation: float = 1.0
) -> list[Finding]:
    """Make a few clips and judge them, unless that takes longer than anybody waits."""
    if choices.quick:
        return [Finding("silence", "not checked", "left out by --quick", _NO_TIME)]
    count = generated.COUNT
    while (minutes := generated.minutes_needed(model, count)) > generated.MINUTES and count > 1:
        count //= 2
    if minutes > generated.MINUTES:
        detail = f"a clip would take {minutes:.0f} minutes here"
        advice = "Set sampling.steps lower, or examine it on a faster machine."
        return [Finding("silence", "not checked", detail, advice)]
    return generated.check_clips(
        generated.draw(model, count, progress=choices.progress),
        rate_hz=model.codec.rate_hz,
        loudness_lufs=model.parts.audio.loudness_lufs,
        real_deviation=real_deviation,
    )


# Bundles ----------------------------------------------------------------------------------------


def examine_bundle(bundle: Bundle, choices: Choices) -> list[Finding]:
    """Examine a bundle of both stages, as far as graphs can be examined."""
    found = guarded(
        "files",
        lambda: [Finding("files", "ok", f"{len(bundle.verify())} files as the manifest says")],
        advice="Copy or export the bundle again.",
    )
    if first_broken(found):
        return found
    try:
        model = AudioModel.open(bundle)
    except BundleError as error:
        return [*found, Finding("model", "broken", str(error), "Export the bundle again.")]
    level = CacheSettings(target_lufs=model.parts.audio.loudness_lufs)
    found += guarded("codec round trip", lambda: _codec_findings(model.codec, choices, level))
    found += guarded("latent statistics", lambda: _bundle_statistics(model, choices, level))
    found += guarded("sampler", lambda: _bundle_sampler(model))
    found += guarded("silence", lambda: clip_findings(model, choices))
    return found


def _bundle_statistics(
    model: AudioModel, choices: Choices, level: CacheSettings
) -> Sequence[Finding]:
    """Judge the scale that a bundle states."""
    if choices.sound is None:
        detail = "there is no sound of its data at hand"
        return [Finding("latent statistics", "not checked", detail, _NO_DATA)]
    clips = clips_for(model.codec, choices, level, CLIPS, split="train").clips
    rows = [posterior(model.codec, clip)[0] for clip in clips]
    return [check_statistics(rows, model.codec.spec)]


def _bundle_sampler(model: AudioModel) -> list[Finding]:
    """Judge the sampler's settings of a bundle."""
    return check_sampler(model.settings(), model.schedule, frames=model.parts.frames)
