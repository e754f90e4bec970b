"""A few clips out of the whole model: is there anything to hear, and are its latents of the right size?"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.condition import Condition
from segue.audio.evaluate.health import SILENT_LUFS, ClipHealth, clip_health
from segue.audio.generate import Maker, level_gain
from segue.audio.loaded import AudioModel
from segue.audio.loudness import measure
from segue.core.findings import Finding
from segue.core.progress import Progress, silent, track

Array = NDArray[np.float32]

COUNT: Final = 4
MINUTES: Final = 4.0
"""Longer than this nobody waits for clips."""

DEVIATIONS: Final = (0.5, 2.0)
"""Of generated latents, in deviations of real ones."""

_DOUBTFUL = (0.7, 1.4)
_SECONDS = 5.0
_LEVEL_GAP_DB = 15.0


@dataclass(frozen=True)
class Drawn:
    """A clip that a model made.

    Attributes:
        latents: normalised, ``[channels, frames]``.
        audio: as it comes out of the decoder, ``[channels, samples]``.
    """

    latents: Array
    audio: Array


def minutes_needed(model: AudioModel, count: int = COUNT) -> float:
    """Estimate how long clips take, by one call of the network."""
    settings, frames = model.settings(), _frames(model)
    channels = model.parts.codec.latent_channels
    known = np.zeros((1, channels, frames), np.float32)
    told = model.told(Condition(labels=model.labels[:1]))
    denoise = model.denoiser(known, np.zeros((1, 1, frames), bool), told=told)
    begun = time.monotonic()
    denoise(known, float(model.schedule.snap(np.array([1.0, 0.0]))[0]))
    calls = settings.evaluations * (2 if settings.guidance != 1 and model.labels else 1)
    return count * calls * (time.monotonic() - begun) / 60


def draw(model: AudioModel, count: int = COUNT, *, progress: Progress = silent) -> list[Drawn]:
    """Make clips, each asked for another label."""
    found = []
    frames, settings = _frames(model), model.settings()
    for number in track(range(count), "generating", progress=progress):
        labels = model.labels[number % len(model.labels) :][:1] if model.labels else ()
        maker = Maker(model, settings, Condition(labels=labels), seed=number)
        nothing = np.zeros((model.parts.codec.latent_channels, 0), np.float32)
        windows = maker.plan(0, frames, frames)
        rows = list(maker.drawer.fill(windows, before=nothing, after=nothing))
        latents = np.concatenate(rows, axis=1)[:, :frames]
        audio = model.codec.decode(model.codec.spec.denormalise(latents))
        found.append(Drawn(latents, audio))
    return found


def check_clips(
    clips: Sequence[Drawn], *, rate_hz: int, loudness_lufs: float, real_deviation: float = 1.0
) -> list[Finding]:
    """Judge clips by what they hold, and their latents by their deviation.

    Args:
        clips: from `draw`.
        rate_hz: of the sound.
        loudness_lufs: of the music that the model was trained on.
        real_deviation: of real latents on the same scale; 1 where they are normalised.
    """
    ratios = [float(clip.latents.std()) / real_deviation for clip in clips]
    found = [_latents_finding(ratios)]
    if not all(np.isfinite(clip.audio).all() for clip in clips):
        advice = "See the weights and the codec round trip."
        return [*found, Finding("silence", "broken", "the sound is not finite", advice)]
    raw = [measure(clip.audio, rate_hz) for clip in clips]
    levels = [each.loudness_lufs for each in raw]
    # What is written is brought to a level first, so only what is left afterwards is heard.
    heard = [
        clip_health(clip.audio * np.float32(level_gain(each, loudness_lufs)), rate_hz)
        for clip, each in zip(clips, raw, strict=True)
    ]
    return [*found, _sound_finding(heard, levels, loudness_lufs)]


def _latents_finding(ratios: Sequence[float]) -> Finding:
    """Judge the deviation of generated latents against real ones."""
    name = "generated latents"
    detail = (
        f"deviation {min(ratios):.2f} to {max(ratios):.2f} times that of real ones "
        f"({DEVIATIONS[0]:g} to {DEVIATIONS[1]:g} is right)"
    )
    inside = [DEVIATIONS[0] <= ratio <= DEVIATIONS[1] for ratio in ratios]
    advice = "See sampler, guidance and loss by timestep; a model in mid-training gives too little."
    if sum(inside) <= len(inside) // 2:
        return Finding(name, "broken", detail, advice)
    if not all(_DOUBTFUL[0] <= ratio <= _DOUBTFUL[1] for ratio in ratios):
        return Finding(name, "suspicious", detail, advice)
    return Finding(name, "ok", detail)


def _sound_finding(
    measured: Sequence[ClipHealth], raw_lufs: Sequence[float], loudness_lufs: float
) -> Finding:
    """Judge clips by level as they are decoded, and by clipping, silence and offset as written."""
    name = "silence"
    mute = sum(
        clip.is_silent or level < SILENT_LUFS
        for clip, level in zip(measured, raw_lufs, strict=True)
    )
    clipped = sum(clip.is_clipped for clip in measured)
    offset = sum(clip.has_offset for clip in measured)
    levels = [level for level in raw_lufs if math.isfinite(level)]
    level = float(np.mean(levels)) if levels else -math.inf
    detail = (
        f"of {len(measured)} clips {mute} silent, {clipped} clipped, {offset} with an offset; "
        f"{level:.0f} LUFS (training music {loudness_lufs:.0f}), "
        f"{100 * float(np.mean([clip.silent_share for clip in measured])):.0f} % of the time silent"
    )
    advice = (
        "If the codec round trip and the generated latents are sound, the decoder does not know such "
        "latents: train for longer, or with bottleneck.latent_noise=0.1."
    )
    if mute > len(measured) // 2 or clipped == len(measured):
        return Finding(name, "broken", detail, advice)
    if mute or clipped or offset or abs(level - loudness_lufs) > _LEVEL_GAP_DB:
        return Finding(name, "suspicious", detail, advice)
    return Finding(name, "ok", detail)


def _frames(model: AudioModel) -> int:
    """Return how many latent frames a clip has: whole clips where only those can be made."""
    parts = model.parts
    if not parts.codec.length_free:
        return parts.frames
    wanted = model.codec.spec.samples_to_frames(round(_SECONDS * model.codec.rate_hz))
    frames = max(parts.patch, min(parts.frames, wanted))
    return frames - frames % parts.patch
