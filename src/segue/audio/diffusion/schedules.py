"""Noise schedules and time grids: how much data and how much noise there is at a time.

Everywhere time runs from 0 (data) to 1 (noise) and

    x_t = alpha(t) x_0 + sigma(t) e,    e ~ N(0, 1).

Sources: rectified flow, Liu et al. 2209.03003 and Lipman et al. 2210.02747; DDPM, Ho et al.
2006.11239; zero terminal SNR, Lin et al. 2305.08891; cosine, Nichol and Dhariwal 2102.09672; shift
of the times, Esser et al. 2403.03206.
"""

import math
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from segue.core.config import StrictModel
from segue.errors import SettingError

Latents = NDArray[np.float32]
"""Latents, or noise of their shape: float32 ``batch channels frames``."""
Times = NDArray[np.float64]
"""Falling times between 1 and 0."""

ScheduleName = Literal["flow", "ddpm", "ddpm-zero-snr", "cosine"]
GridShape = Literal["uniform", "quadratic", "cosine"]

_LARGEST_BETA = 0.999
_COSINE_OFFSET = 0.008


class Schedule(Protocol):
    """How data and noise are mixed at each time."""

    def alpha(self, t: float) -> float:
        """Factor of the data at time `t`; 1 at 0."""

    def sigma(self, t: float) -> float:
        """Factor of the noise at time `t`; 0 at 0."""

    def snap(self, times: Times) -> Times:
        """Move times to those that the model was trained with.

        Raises:
            SettingError: there are more times than the schedule has.
        """


class FlowSchedule:
    """Rectified flow: ``alpha = 1 - t``, ``sigma = t``; at 1 nothing of the data is left."""

    def alpha(self, t: float) -> float:
        """Factor of the data."""
        return 1.0 - t

    def sigma(self, t: float) -> float:
        """Factor of the noise."""
        return t

    def snap(self, times: Times) -> Times:
        """Return the times as they are; every time is allowed."""
        return times


class DiscreteSchedule:
    """DDPM: ``alpha(t)^2 = prod (1 - beta)`` over the first ``t x num_steps`` steps, variance kept.

    Step ``index`` of the literature, 0 to ``num_steps - 1``, is the time
    ``(index + 1) / num_steps``. Between two steps `alpha` is interpolated.

    Args:
        betas: added variance of each step, above 0 and at most 1. Shape ``steps``.

    Raises:
        SettingError: the betas are none, or out of range.
    """

    def __init__(self, betas: NDArray[np.float64]) -> None:
        if betas.ndim != 1 or not betas.size or not ((betas > 0) & (betas <= 1)).all():
            raise SettingError(
                f"The betas of a diffusion schedule must be a list of numbers above 0 and at most 1, "
                f"but the shape {betas.shape} with values from {betas.min(initial=1):g} to "
                f"{betas.max(initial=0):g} was given."
            )
        self.betas = betas
        self.alpha_bars: NDArray[np.float64] = np.cumprod(1.0 - betas, dtype=np.float64)
        self._alphas = np.concatenate([[1.0], np.sqrt(self.alpha_bars)])

    @property
    def num_steps(self) -> int:
        """Number of steps that the model was trained with."""
        return len(self.betas)

    def alpha(self, t: float) -> float:
        """Factor of the data."""
        return float(np.interp(t * self.num_steps, np.arange(self.num_steps + 1), self._alphas))

    def sigma(self, t: float) -> float:
        """Factor of the noise."""
        return math.sqrt(1.0 - self.alpha(t) ** 2)

    def step_index(self, t: float) -> float:
        """Return the step that a time stands for: what a model trained on step numbers is told."""
        return t * self.num_steps - 1.0

    def snap(self, times: Times) -> Times:
        """Move falling times to whole steps, all different; the last stays 0 if it was 0.

        Raises:
            SettingError: there are more times than steps.
        """
        count = len(times) - 1
        indices = np.rint(np.asarray(times) * self.num_steps)
        if indices[0] - indices[-1] < count:
            raise SettingError(
                f"{count} sampling steps were asked for, but between the first and the last time "
                f"the schedule has {int(indices[0] - indices[-1])}. Ask for fewer."
            )
        above_last = np.maximum(indices, indices[-1] + np.arange(count, -1, -1))
        for place in range(1, count + 1):
            above_last[place] = min(above_last[place], above_last[place - 1] - 1)
        return above_last / self.num_steps


class ScheduleSettings(StrictModel):
    """Which schedule a model was trained with; the model is useless with another."""

    schedule: ScheduleName = "flow"
    """flow: rectified flow. ddpm: betas that rise linearly, the original's. ddpm-zero-snr: the same,
    rescaled so that nothing of the data is left at the end. cosine: betas of a cosine."""
    num_steps: Annotated[int, Field(ge=2, le=10_000)] = 500
    """Steps of the discrete schedules."""
    first_beta: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    """Variance that the first step adds; of ddpm and ddpm-zero-snr."""
    last_beta: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Variance that the last step adds, before rescaling."""

    @model_validator(mode="after")
    def _betas_rise(self) -> "ScheduleSettings":
        """Refuse betas that fall."""
        if self.first_beta > self.last_beta:
            raise ValueError(
                f"first_beta ({self.first_beta:g}) must not exceed last_beta ({self.last_beta:g})"
            )
        return self


def make_schedule(settings: ScheduleSettings) -> FlowSchedule | DiscreteSchedule:
    """Return the schedule that settings describe."""
    if settings.schedule == "flow":
        return FlowSchedule()
    if settings.schedule == "cosine":
        return DiscreteSchedule(cosine_betas(settings.num_steps))
    betas = np.linspace(settings.first_beta, settings.last_beta, settings.num_steps)
    rescaled = settings.schedule == "ddpm-zero-snr"
    return DiscreteSchedule(zero_terminal_snr(betas) if rescaled else betas)


def cosine_betas(num_steps: int) -> NDArray[np.float64]:
    """Return the betas whose ``alpha_bar`` follows a squared cosine (Nichol and Dhariwal, eq. 17).

    Returns:
        Shape ``steps``; capped at 0.999, as there.
    """
    times = np.arange(num_steps + 1) / num_steps
    bars = np.cos((times + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * math.pi / 2) ** 2
    return np.minimum(1.0 - bars[1:] / bars[:-1], _LARGEST_BETA)


def zero_terminal_snr(betas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rescale betas so that at the last step nothing but noise is left (Lin et al., algorithm 1).

    The first ``sqrt(alpha_bar)`` is kept, the last becomes 0, the others in proportion. A model
    for it cannot predict noise, which says nothing about the data where there is only noise.

    Args:
        betas: two at least. Shape ``steps``.

    Returns:
        Shape ``steps``; the last is 1.
    """
    roots = np.sqrt(np.cumprod(1.0 - betas))
    roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    bars = roots**2
    return 1.0 - bars / np.concatenate([[1.0], bars[:-1]])


def noised(schedule: Schedule, data: Latents, noise: Latents, t: float) -> Latents:
    """Return ``alpha(t) data + sigma(t) noise``. Shapes ``batch channels frames``."""
    mixed = schedule.alpha(t) * data + schedule.sigma(t) * noise
    return mixed.astype(np.float32, copy=False)


def time_grid(
    steps: int, *, shape: GridShape = "uniform", shift: float = 1.0, start: float = 1.0
) -> Times:
    """Return the times that a sampler visits.

    With ``u`` falling evenly from 1 to 0, ``uniform`` is ``u``, ``quadratic`` is ``u^2`` (small
    steps near the data) and ``cosine`` is ``sin^2(pi u / 2)`` (small steps at both ends). They are
    then shifted, ``t -> shift t / (1 + (shift - 1) t)``: above 1 more steps are spent near the
    noise (Esser et al., eq. 23).

    Args:
        steps: number of steps, 1 or more.
        shape: how the steps are spread.
        shift: above 0; 1 leaves the times alone.
        start: first time, above 0 and at most 1; below 1 to vary what exists. All times are
            scaled by it.

    Returns:
        Shape ``steps + 1``; falls from `start` to 0.

    Raises:
        SettingError: a number is out of range.

    Example:
        >>> time_grid(2, shape="quadratic").tolist()
        [1.0, 0.25, 0.0]
    """
    if steps < 1 or not 0 < shift < math.inf or not 0 < start <= 1:
        raise SettingError(
            "A time grid needs at least 1 step, a shift above 0 and a start above 0 and at most 1, "
            f"but steps {steps}, shift {shift:g} and start {start:g} were given."
        )
    even = np.linspace(1.0, 0.0, steps + 1)
    if shape == "quadratic":
        even = even**2
    elif shape == "cosine":
        even = np.sin(even * math.pi / 2) ** 2
    return start * (shift * even / (shift * even + (1.0 - even)))


def length_shift(frames: int, base_frames: int) -> float:
    """Return the shift for a length: ``sqrt(frames / base_frames)`` (Esser et al., section 5.3.2).

    The same share of noise hides less of a longer clip, so it needs more of its steps there.

    Args:
        frames: length to be made.
        base_frames: length for which no shift is needed, mostly that of training.

    Raises:
        SettingError: a length is below 1.
    """
    if frames < 1 or base_frames < 1:
        raise SettingError(
            f"A shift by length needs lengths of at least 1 frame, but {frames} and {base_frames} "
            "were given."
        )
    return math.sqrt(frames / base_frames)
