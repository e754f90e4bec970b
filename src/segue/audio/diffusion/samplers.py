"""From noise to latents: samplers as pure functions, their settings, and a registry by name.

A sampler walks from a high time to a low one with a denoiser (`segue.audio.diffusion.denoisers`).
Guidance and inpainting change the denoiser, so they work with every sampler.
docs/explanation/sampling.md has the equations and says when to use which.

All arrays are float32 ``batch channels frames``; factors are computed in double precision.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from segue.audio.diffusion.denoisers import Counted, Denoiser, StepDenoiser, guided, mix
from segue.audio.diffusion.noise import Normals
from segue.audio.diffusion.schedules import (
    GridShape,
    Latents,
    Schedule,
    Times,
    length_shift,
    noised,
    time_grid,
)
from segue.core.config import StrictModel
from segue.core.progress import Progress, silent
from segue.errors import SettingError

SamplerName = Literal["euler", "heun", "dpm++2m", "ddim", "ddpm", "pingpong", "shortcut"]


def euler(
    denoiser: Denoiser,
    x: Latents,
    times: Times,
    schedule: Schedule,
    rng: Normals,  # noqa: ARG001 - one signature for all
) -> Latents:
    """Follow the probability flow with first-order steps; deterministic.

    One step holds the predicted data and noise fixed, which is Euler's method in the coordinates
    ``x / (alpha + sigma)`` over ``sigma / (alpha + sigma)``: for rectified flow
    ``x + (s - t) velocity``, for every schedule DDIM with eta 0.

    Args:
        denoiser: says what the clean latents are.
        x: latents at the first time; not changed. Shape ``batch channels frames``.
        times: falling, from 1 at most to 0 at least. Shape ``steps + 1``.
        schedule: that of the denoiser.
        rng: not asked.

    Returns:
        Latents at the last time. Shape ``batch channels frames``.

    Raises:
        SettingError: the times do not fall, or leave 0..1. So do all samplers.
    """
    for t, s in _steps(times):
        x = _toward(x, denoiser(x, t), t, s, schedule)
    return x


def shortcut(
    denoiser: StepDenoiser,
    x: Latents,
    times: Times,
    schedule: Schedule,
    rng: Normals,  # noqa: ARG001 - one signature for all
) -> Latents:
    """Euler's method with a model that is told its step, and answers for the whole of it.

    Source: Frans et al. 2410.12557; also fits mean-flow models. Arguments as for `euler`; the
    denoiser is called with ``(x, t, t - s)``.
    """
    for t, s in _steps(times):
        x = _toward(x, denoiser(x, t, t - s), t, s, schedule)
    return x


def heun(
    denoiser: Denoiser,
    x: Latents,
    times: Times,
    schedule: Schedule,
    rng: Normals,  # noqa: ARG001 - one signature for all
) -> Latents:
    """Follow the probability flow with second-order steps of two evaluations; deterministic.

    Heun's method in the coordinates of `euler`; a last step to time 0 is Euler's, as the slope is
    not defined there (Karras et al. 2206.00364, algorithm 1). Arguments as for `euler`.
    """
    for t, s in _steps(times):
        data = denoiser(x, t)
        x = _toward(x, data, t, s, schedule)
        if schedule.sigma(s) > 0:
            change = mix(1.0, denoiser(x, s), -1.0, data)
            x = mix(1.0, x, _correction(t, s, schedule), change)
    return x


def dpm_solver_pp_2m(
    denoiser: Denoiser,
    x: Latents,
    times: Times,
    schedule: Schedule,
    rng: Normals,  # noqa: ARG001 - one signature for all
) -> Latents:
    """Second-order steps of one evaluation, DPM-Solver++(2M); deterministic.

    Source: Lu et al. 2211.01095, algorithm 2. The prediction is extended linearly in
    ``log(alpha / sigma)`` from the last two; the first step, one after a time of nothing but
    noise and one to time 0, where that logarithm is infinite, are first-order. Arguments as for
    `euler`.
    """
    previous: Latents | None = None
    last_rise = math.inf
    for t, s in _steps(times):
        data = denoiser(x, t)
        rise = _log_ratio(schedule, s) - _log_ratio(schedule, t)
        extended = data
        if previous is not None and math.isfinite(rise):
            weight = rise / (2.0 * last_rise)
            extended = mix(1.0 + weight, data, -weight, previous)
        x = _toward(x, extended, t, s, schedule)
        previous, last_rise = data, rise
    return x


def ddpm(denoiser: Denoiser, x: Latents, times: Times, schedule: Schedule, rng: Normals) -> Latents:
    """Ancestral sampling with the variance of the posterior; stochastic.

    Draws from ``q(x_s | x_t, x0)`` with the predicted data (Ho et al. 2006.11239, eq. 6-7); over
    every step of a `DiscreteSchedule` it is the original's sampler. Arguments as for `euler`, but
    fresh noise is drawn from `rng` at every step but one to time 0.
    """
    for t, s in _steps(times):
        data = denoiser(x, t)
        kept, added = _transition(schedule, t, s)
        variance_t, variance_s = schedule.sigma(t) ** 2, schedule.sigma(s) ** 2
        x = mix(kept * variance_s / variance_t, x, schedule.alpha(s) * added / variance_t, data)
        x = _noisier(x, math.sqrt(added * variance_s / variance_t), rng)
    return x


def ddim(
    denoiser: Denoiser,
    x: Latents,
    times: Times,
    schedule: Schedule,
    rng: Normals,
    *,
    eta: float = 0.0,
) -> Latents:
    """Walk between the probability flow (eta 0) and ancestral sampling (eta 1).

    Source: Song et al. 2010.02502, eq. 12 and 16. Arguments as for `euler`; noise is drawn from
    `rng` where `eta` is above 0.
    """
    for t, s in _steps(times):
        data = denoiser(x, t)
        sigma_t, sigma_s = schedule.sigma(t), schedule.sigma(s)
        _, added = _transition(schedule, t, s)
        deviation = eta * math.sqrt(added) * sigma_s / sigma_t
        held = math.sqrt(max(sigma_s**2 - deviation**2, 0.0)) / sigma_t
        x = mix(held, x, schedule.alpha(s) - held * schedule.alpha(t), data)
        x = _noisier(x, deviation, rng)
    return x


def pingpong(
    denoiser: Denoiser, x: Latents, times: Times, schedule: Schedule, rng: Normals
) -> Latents:
    """Denoise to the end, put fresh noise on, again and again; stochastic, for distilled models.

    Sources: consistency models, Song et al. 2303.01469, algorithm 1; Novack et al. 2505.08175. With a
    model that was not distilled the results are blurred: one answer is a mean. Arguments as for
    `ddpm`.
    """
    for t, s in _steps(times):
        x = denoiser(x, t)
        if schedule.sigma(s) > 0:
            fresh = rng.standard_normal(x.shape, dtype=np.float32)
            x = mix(schedule.alpha(s), x, schedule.sigma(s), fresh)
    return x


SAMPLERS: Mapping[SamplerName, Callable[..., Latents]] = MappingProxyType(
    {
        "euler": euler,
        "heun": heun,
        "dpm++2m": dpm_solver_pp_2m,
        "ddim": ddim,
        "ddpm": ddpm,
        "pingpong": pingpong,
        "shortcut": shortcut,
    }
)
"""Every sampler by the name that settings give it."""


class SamplerSettings(StrictModel):
    """How latents are drawn."""

    sampler: SamplerName = "euler"
    """Which sampler; docs/explanation/sampling.md says when to use which."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 8
    """Steps from noise to data; heun asks the model twice for each but the last."""
    grid: GridShape = "uniform"
    """How the steps are spread: evenly, smaller near the data, or smaller at both ends."""
    shift: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Above 1 more of the steps are spent near the noise."""
    base_frames: Annotated[int, Field(ge=1)] | None = None
    """Length in latent frames for which `shift` holds; other lengths are shifted by the root of
    their ratio to it. None: all lengths alike."""
    guidance: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How much the label is exaggerated; 1 not at all, at half the cost."""
    guidance_rescale: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the way back to the loudness without guidance."""
    guidance_interval: tuple[
        Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]
    ] = (0.0, 1.0)
    """Lowest and highest time at which guidance acts."""
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of fresh noise of ddim, from none to that of ddpm."""
    spread: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on what is drawn from noise alone, for a model whose latents lie too near to their
    mean; where drawing begins at a lower time, this to the power of that time."""

    @model_validator(mode="after")
    def _fits_together(self) -> "SamplerSettings":
        """Refuse what would be ignored."""
        if self.eta > 0 and self.sampler != "ddim":
            raise ValueError(f"eta is a setting of ddim, but the sampler is {self.sampler}")
        low, high = self.guidance_interval
        if low > high:
            raise ValueError(f"guidance_interval must rise, but {low:g} to {high:g} was given")
        return self

    @property
    def evaluations(self) -> int:
        """How often a denoiser is called, guidance counted as one call."""
        return 2 * self.steps - 1 if self.sampler == "heun" else self.steps


@dataclass(frozen=True)
class Sampler:
    """A sampler with its settings and its schedule; see `make_sampler`."""

    settings: SamplerSettings
    schedule: Schedule

    def times(self, frames: int, *, start: float = 1.0) -> Times:
        """Return the times that are visited for a length in latent frames, beginning at `start`.

        Raises:
            SettingError: the schedule has fewer steps than were asked for; `start` is not above 0
                and at most 1.
        """
        settings = self.settings
        shift = settings.shift
        if settings.base_frames is not None:
            shift *= length_shift(frames, settings.base_frames)
        grid = time_grid(settings.steps, shape=settings.grid, shift=shift, start=start)
        return self.schedule.snap(grid)

    def begin(self, data: Latents, fresh: Latents, *, start: float) -> Latents:
        """Return existing latents with the noise of the time at which a variation begins.

        Args:
            data: latents to vary. Shape ``batch channels frames``.
            fresh: standard normal noise of the same shape.
            start: above 0 (hardly changed) and at most 1 (anew).

        Raises:
            SettingError: as `times`.
        """
        return noised(self.schedule, data, fresh, self.times(data.shape[2], start=start)[0])

    def __call__(
        self,
        denoiser: Callable[..., Latents],
        x: Latents,
        rng: Normals,
        *,
        unconditional: Callable[..., Latents] | None = None,
        start: float = 1.0,
        progress: Progress = silent,
    ) -> Latents:
        """Draw latents.

        Args:
            denoiser: from `data_prediction`; with a label where one is wanted.
            x: noise, or what `begin` gives for the same `start`. Shape ``batch channels frames``.
            rng: fresh noise for samplers that want it.
            unconditional: the denoiser without a label; needed where guidance is not 1.
            start: time of `x`, above 0 and at most 1.
            progress: told of every call of the denoiser.

        Returns:
            Shape ``batch channels frames``.

        Raises:
            SettingError: guidance without `unconditional`; steps or start do not fit; `x` is not
                an array of three axes.
        """
        settings = self.settings
        if x.ndim != 3 or not x.shape[2]:
            raise SettingError(
                "Sampling needs latents of the shape (batch, channels, frames) with one frame at "
                f"least, but {x.shape} was given."
            )
        times = self.times(x.shape[2], start=start)
        function: Callable[..., Latents] = SAMPLERS[settings.sampler]
        if settings.sampler == "ddim":
            function = partial(ddim, eta=settings.eta)
        with progress("sampling", total=settings.evaluations) as advance:
            told = Counted(self._guided(denoiser, unconditional), then=advance)
            return function(told, x.astype(np.float32, copy=False), times, self.schedule, rng)

    def _guided(
        self, denoiser: Callable[..., Latents], unconditional: Callable[..., Latents] | None
    ) -> Callable[..., Latents]:
        """Return the denoiser with the guidance of the settings."""
        settings = self.settings
        if settings.guidance == 1:
            return denoiser
        if unconditional is None:
            raise SettingError(
                f"A guidance of {settings.guidance:g} needs a model that was also trained without "
                "labels. Use guidance 1 with this one."
            )
        return guided(
            denoiser,
            unconditional,
            settings.guidance,
            rescale=settings.guidance_rescale,
            interval=settings.guidance_interval,
        )


def make_sampler(settings: SamplerSettings, schedule: Schedule) -> Sampler:
    """Return the sampler that settings describe, for the schedule a model was trained with.

    Example:
        >>> from segue.audio.diffusion.noise import FrameNoise
        >>> from segue.audio.diffusion.schedules import FlowSchedule
        >>> sample = make_sampler(SamplerSettings(sampler="heun", steps=4), FlowSchedule())
        >>> source = FrameNoise(seed=0)
        >>> x = source.standard_normal((1, 2, 5))
        >>> sample(lambda x, t: 0 * x, x, source).tolist() == (0 * x).tolist()
        True
    """
    return Sampler(settings, schedule)


def _steps(times: Times) -> Iterator[tuple[float, float]]:
    """Give pairs of time and next time, after a check that they fall inside 0..1."""
    values = [float(time) for time in times]
    falls = all(later < earlier for earlier, later in itertools.pairwise(values))
    if len(values) < 2 or not falls or values[0] > 1 or values[-1] < 0:
        raise SettingError(
            "A sampler needs two times at least, falling from 1 at most to 0 at least, but "
            f"{values[:4]}{' ...' if len(values) > 4 else ''} was given."
        )
    yield from itertools.pairwise(values)


def _toward(x: Latents, data: Latents, t: float, s: float, schedule: Schedule) -> Latents:
    """Go from time `t` to `s` with data and noise held fixed: ``alpha_s x0 + sigma_s e``."""
    held = schedule.sigma(s) / schedule.sigma(t)
    return mix(held, x, schedule.alpha(s) - held * schedule.alpha(t), data)


def _correction(t: float, s: float, schedule: Schedule) -> float:
    """Return how Heun's step from `t` to `s` differs from Euler's, per change of the prediction.

    With ``z = x / (alpha + sigma)`` and ``tau = sigma / (alpha + sigma)`` the slope is
    ``(z - x0) / tau``, and the mean of both slopes adds ``(tau_t - tau_s) / (2 tau_s)`` times the
    change of ``x0`` to where Euler's step ends: no small difference of large numbers.
    """
    scale_t, scale_s = (schedule.alpha(time) + schedule.sigma(time) for time in (t, s))
    tau_t, tau_s = schedule.sigma(t) / scale_t, schedule.sigma(s) / scale_s
    return scale_s * (tau_t - tau_s) / (2.0 * tau_s)


def _transition(schedule: Schedule, t: float, s: float) -> tuple[float, float]:
    """Return factor and added variance of ``q(x_t | x_s)``."""
    kept = schedule.alpha(t) / schedule.alpha(s)
    return kept, max(schedule.sigma(t) ** 2 - (kept * schedule.sigma(s)) ** 2, 0.0)


def _noisier(x: Latents, deviation: float, rng: Normals) -> Latents:
    """Add fresh noise; none is drawn where there is none to add."""
    if deviation == 0:
        return x
    return mix(1.0, x, deviation, rng.standard_normal(x.shape, dtype=np.float32))


def _log_ratio(schedule: Schedule, t: float) -> float:
    """Return ``log(alpha / sigma)``, infinite at the ends."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if alpha == 0:
        return -math.inf
    return math.log(alpha / sigma) if sigma > 0 else math.inf
