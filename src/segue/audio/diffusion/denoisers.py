"""Denoisers: what a network answers as a prediction of the data, with guidance, with known parts.

A *denoiser* tells from noisy latents ``x`` and a time ``t`` what the clean latents are thought to
be. All arrays are float32 ``batch channels frames``; factors are computed in double precision.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from segue.audio.diffusion.schedules import FlowSchedule, Latents, Schedule
from segue.errors import BundleError, SettingError

Denoiser = Callable[[Latents, float], Latents]
"""``(x, t) -> x0``."""
Prediction = Literal["velocity", "noise", "v", "data"]


class StepDenoiser(Protocol):
    """A denoiser that may also be told the size of the coming step, which shortcut models need."""

    def __call__(self, x: Latents, t: float, /, *step: float) -> Latents:
        """Return what the clean latents are thought to be.

        Args:
            x: noisy latents. Shape ``batch channels frames``.
            t: their time.
            step: nothing, or how much the time is about to fall.
        """


class Counted:
    """Wrap a network or a denoiser and count how often it is called.

    Args:
        call: what is counted.
        then: called after each call, to report progress.
    """

    def __init__(
        self, call: Callable[..., Latents], *, then: Callable[[], object] | None = None
    ) -> None:
        self._call = call
        self._then = then
        self.evaluations = 0
        """Calls so far; a batch is one."""

    def __call__(self, x: Latents, t: float, /, *step: float) -> Latents:
        """Call and count."""
        self.evaluations += 1
        result = self._call(x, t, *step)
        if self._then is not None:
            self._then()
        return result


def data_prediction(
    network: Callable[..., Latents], prediction: Prediction, schedule: Schedule
) -> StepDenoiser:
    """Make a denoiser of a network.

    Args:
        network: called with ``(x, t)``, by shortcut sampling with ``(x, t, step)``; `t` and `step`
            in 0..1. One that wants step numbers gets them from `DiscreteSchedule.step_index`.
        prediction: what it answers: ``velocity`` ``e - x0`` (rectified flow only), ``noise``
            ``e``, ``v`` ``alpha e - sigma x0`` (Salimans and Ho 2202.00512) or ``data`` ``x0``.
        schedule: that of its training.

    Raises:
        SettingError: the schedule does not allow this prediction.
        BundleError: raised by the denoiser where the network's answer has another shape, or is
            not finite.
    """
    if prediction == "velocity" and not isinstance(schedule, FlowSchedule):
        raise SettingError(
            "Velocity is the prediction of rectified flow, but another schedule was given. "
            "Use the prediction noise, v or data, or the schedule flow."
        )
    if prediction == "noise" and schedule.alpha(1.0) == 0:
        raise SettingError(
            "A model that predicts noise cannot begin where there is nothing but noise, and the "
            "schedule begins there. Use the prediction velocity, v or data, or the schedule ddpm."
        )

    def denoise(x: Latents, t: float, /, *step: float) -> Latents:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        answer = _checked(network(x, t, *step), x)
        if prediction == "data":
            return answer
        if prediction == "velocity":
            return mix(1.0, x, -t, answer)
        if prediction == "noise":
            return mix(1.0 / alpha, x, -sigma / alpha, answer)
        power = alpha * alpha + sigma * sigma
        return mix(alpha / power, x, -sigma / power, answer)

    return denoise


def guided(
    conditional: Callable[..., Latents],
    unconditional: Callable[..., Latents],
    scale: float,
    *,
    rescale: float = 0.0,
    interval: tuple[float, float] = (0.0, 1.0),
) -> StepDenoiser:
    """Push a denoiser away from what it would say without its label (Ho and Salimans 2207.12598).

    ``x0 = u + scale (c - u)``. Predictions of data, noise, v and velocity differ by a map that is
    the same for `c` and `u`, so this is guidance of any of them.

    Args:
        conditional: says `c`.
        unconditional: says `u`.
        scale: 0 gives `u`, 1 gives `c`, more exaggerates; `u` is asked only where it is needed.
        rescale: share of the way back to the standard deviation that `c` has per item, against
            over-driven results (Lin et al. 2305.08891, eq. 15-16, there of the network's answer,
            here of the data prediction).
        interval: lowest and highest time at which guidance acts; elsewhere `c` is returned
            (Kynkaanniemi et al. 2404.07724).
    """
    low, high = interval

    def denoise(x: Latents, t: float, /, *step: float) -> Latents:
        if scale == 0 and low <= t <= high:
            return unconditional(x, t, *step)
        wanted = conditional(x, t, *step)
        if scale == 1 or not low <= t <= high:
            return wanted
        pushed = mix(scale, wanted, 1.0 - scale, unconditional(x, t, *step))
        if rescale == 0:
            return pushed
        factor = _deviation(wanted) / np.maximum(_deviation(pushed), np.finfo(np.float32).tiny)
        factor = np.where(_deviation(pushed) > 0, factor, 1.0)
        return (pushed * (1.0 + rescale * (factor - 1.0))).astype(np.float32)

    return denoise


def inpainted(
    denoiser: Callable[..., Latents], known: Latents, mask: NDArray[np.bool_]
) -> StepDenoiser:
    """Hold a part of the latents fixed, for models that were not trained to fill holes.

    Where the mask is set the prediction is replaced by what is known. Every sampler here moves to
    ``alpha x0 + (noise)``, so the known part of ``x`` is at each step the known latents with the
    right amount of noise, and at the end the known latents to the last bit. This is the
    replacement method (Song et al. 2011.13456, appendix I.2; Lugmayr et al. 2201.09865 without
    resampling): the rest hears the known part only through the noisy `x`, so a model that is
    trained with masks fits better.

    The sampler must begin with ``noised(schedule, known, noise, t)`` at the known places, which at
    a time of nothing but noise is the noise alone.

    Args:
        denoiser: what says the rest.
        known: normalised latents; any value where unknown. Shape ``batch channels frames``.
        mask: true where known; broadcast over `known`.
    """

    def denoise(x: Latents, t: float, /, *step: float) -> Latents:
        return np.where(mask, known, denoiser(x, t, *step)).astype(np.float32, copy=False)

    return denoise


def mix(first: float, x: Latents, second: float, y: Latents) -> Latents:
    """Return ``first x + second y`` in float32."""
    return (first * x + second * y).astype(np.float32, copy=False)


def _deviation(x: Latents) -> NDArray[Any]:
    """Return the standard deviation of each item. Shape ``batch 1 1``."""
    return np.std(x, axis=(1, 2), keepdims=True, dtype=np.float64)


def _checked(answer: Latents, x: Latents) -> Latents:
    """Return a network's answer as float32, after a check."""
    if answer.shape != x.shape:
        raise BundleError(
            f"The model answered latents of shape {x.shape} with shape {answer.shape}. The bundle "
            "is damaged or of another kind: check it with `segue models verify`."
        )
    if not np.isfinite(answer).all():
        raise BundleError(
            "The model answered with numbers that are not finite, so it cannot be used. Check the "
            "bundle with `segue models verify`."
        )
    return answer.astype(np.float32, copy=False)
