"""The sampler alone: its settings with the exact denoiser of a normal distribution in the model's place."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.diffusion.noise import FrameNoise
from segue.audio.diffusion.samplers import SamplerSettings, make_sampler
from segue.audio.diffusion.schedules import Latents, Schedule
from segue.core.findings import Finding, judged, worst

MEANS: Final = (0.0, 0.5, -0.5, 1.0)
DEVIATIONS: Final = (1.0, 0.5, 1.0, 0.7)
"""Of the channels of the known distribution, on the scale of normalised latents."""

_ROWS, _MOST_FRAMES = 8, 512
_MEAN_SUSPICIOUS, _MEAN_BROKEN = 0.12, 0.3
_SCALE_SUSPICIOUS, _SCALE_BROKEN = 0.15, 0.35
_GUIDED_MEAN = 0.25
_GUIDED_SUSPICIOUS, _GUIDED_BROKEN = 2.0, 5.0

Known = Callable[..., Latents]


def exact_denoiser(
    schedule: Schedule, mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> Known:
    """Return the denoiser of channels that are independent and normal.

    Told how far the time is about to fall, it gives what leads to the exact end of that step, as a
    model of long steps should.

    Args:
        schedule: of the training.
        mean: shape ``channels``.
        deviation: shape ``channels``.
    """
    centre, spread = mean[None, :, None], deviation[None, :, None]

    def denoise(x: Latents, t: float, /, *step: float) -> Latents:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        apart = x.astype(np.float64) - alpha * centre
        if not step or not step[0]:
            gain = alpha * spread**2 / (alpha**2 * spread**2 + sigma**2)
            return (centre + gain * apart).astype(np.float32)
        later = t - step[0]
        alpha_s, sigma_s = schedule.alpha(later), schedule.sigma(later)
        scale = np.sqrt((alpha_s**2 * spread**2 + sigma_s**2) / (alpha**2 * spread**2 + sigma**2))
        held = sigma_s / sigma
        end = alpha_s * centre + scale * apart
        return ((end - held * x) / (alpha_s - held * alpha)).astype(np.float32)

    return denoise


def check_sampler(settings: SamplerSettings, schedule: Schedule, *, frames: int) -> list[Finding]:
    """Draw from a known normal distribution with the sampler's settings, and then with guidance.

    Args:
        settings: of a recipe or a bundle.
        schedule: of the training.
        frames: length that is drawn at once, for the shift of the times.
    """
    name = "sampler"
    told = f"{settings.sampler}, {settings.steps} steps"
    if settings.sampler == "pingpong":
        detail = f"{told}: right for distilled models only, which no formula stands for"
        return [Finding(name, "not checked", detail)]
    mean, deviation = np.array(MEANS), np.array(DEVIATIONS)
    plain = settings.model_copy(update={"guidance": 1.0})
    known = exact_denoiser(schedule, mean, deviation)
    drawn = _draw(plain, schedule, known, known, frames=frames)
    off = float(np.abs(drawn.mean(axis=(0, 2)) - mean).max())
    ratios = drawn.std(axis=(0, 2)) / deviation
    furthest = float(ratios[np.abs(np.log(np.maximum(ratios, 1e-9))).argmax()])
    states = [
        judged(off, suspicious=_MEAN_SUSPICIOUS, broken=_MEAN_BROKEN),
        judged(abs(furthest - 1), suspicious=_SCALE_SUSPICIOUS, broken=_SCALE_BROKEN),
    ]
    state = worst(states)
    detail = (
        f"{told}: of a known normal distribution the means come out {off:.2f} off at most, the "
        f"deviations {furthest:.2f} times what they are"
    )
    advice = (
        "Raise sampling.steps, or choose euler, heun or dpm++2m for few steps; ddpm needs a step for "
        "every step of its schedule."
    )
    found = [Finding(name, state, detail, "" if state == "ok" else advice)]
    return found + _check_guidance(settings, schedule, frames=frames)


def _check_guidance(settings: SamplerSettings, schedule: Schedule, *, frames: int) -> list[Finding]:
    """See where guidance leads when the label says a little."""
    if settings.guidance == 1:
        return []
    mean, deviation = np.full(len(MEANS), _GUIDED_MEAN), np.ones(len(MEANS))
    asked = exact_denoiser(schedule, mean, deviation)
    unasked = exact_denoiser(schedule, 0 * mean, deviation)
    drawn = _draw(settings, schedule, asked, unasked, frames=frames)
    reached = float(np.abs(drawn).mean())
    level = float(np.sqrt(np.square(drawn, dtype=np.float64).mean()))
    usual = float(np.sqrt(1 + _GUIDED_MEAN**2))
    state = judged(level / usual, suspicious=_GUIDED_SUSPICIOUS, broken=_GUIDED_BROKEN)
    detail = (
        f"{settings.guidance:g}: a label that moves the mean by {_GUIDED_MEAN:g} deviations gives latents "
        f"of {level / usual:.2f} times the right level"
    )
    advice = "Lower sampling.guidance (1.5 to 4 is usual), or set sampling.guidance_rescale=0.7."
    if settings.guidance == 0 or not np.isfinite(reached):
        return [Finding("guidance", "suspicious", f"{detail}; labels are not heard", advice)]
    return [Finding("guidance", state, detail, "" if state == "ok" else advice)]


def _draw(
    settings: SamplerSettings, schedule: Schedule, asked: Known, unasked: Known, *, frames: int
) -> Latents:
    """Draw rows. Shape ``rows channels frames``."""
    sampler = make_sampler(settings, schedule)
    rng = FrameNoise(seed=0)
    size = (_ROWS, len(MEANS), min(frames, _MOST_FRAMES))
    return sampler(asked, rng.standard_normal(size), rng, unconditional=unasked)
