"""Denoisers of distributions whose samples are known in closed form."""

from collections.abc import Callable

import numpy as np

from segue.audio.diffusion.schedules import Latents, Schedule

Known = Callable[[Latents, float], Latents]


def gaussian(schedule: Schedule, mean: float, deviation: float) -> Known:
    """The exact denoiser of independent numbers from N(mean, deviation^2)."""

    def denoise(x: Latents, t: float) -> Latents:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        gain = alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2)
        return (mean + gain * (x.astype(float) - alpha * mean)).astype(np.float32)

    return denoise


def gaussian_end(
    schedule: Schedule, mean: float, deviation: float, x: Latents, t: float
) -> np.ndarray:
    """Where the probability flow takes `x` from time `t` to time 0, in double precision."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    now = np.sqrt(alpha**2 * deviation**2 + sigma**2)
    return mean + deviation * (x.astype(float) - alpha * mean) / now


def mixture(schedule: Schedule, means: np.ndarray, deviation: float, weights: np.ndarray) -> Known:
    """The exact denoiser of independent numbers from a mixture of Gaussians of one deviation."""

    def denoise(x: Latents, t: float) -> Latents:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        variance = alpha**2 * deviation**2 + sigma**2
        apart = x.astype(float)[..., None] - alpha * means
        log_share = np.log(weights) - apart**2 / (2 * variance)
        share = np.exp(log_share - log_share.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        answers = means + alpha * deviation**2 / variance * apart
        return (share * answers).sum(-1).astype(np.float32)

    return denoise


def gaussian_between(
    schedule: Schedule, mean: float, deviation: float, x: Latents, t: float, s: float
) -> np.ndarray:
    """Where the probability flow takes `x` from time `t` to time `s`, in double precision."""
    data = gaussian_end(schedule, mean, deviation, x, t)
    then = np.sqrt((schedule.alpha(s) * deviation) ** 2 + schedule.sigma(s) ** 2)
    return schedule.alpha(s) * mean + then * (data - mean) / deviation
