"""The loss by time against what can be said without knowing any music.

With data and noise independent, ``x_t = alpha x0 + sigma e`` and channels of variance ``s^2``, the best
answer that knows the level of the latents and nothing else is linear in ``x_t``, and exact for normal
data. Its mean squared error is, for the velocity ``e - x0`` of rectified flow and for the noise ``e``:

    flow:   s^2 / ((1 - t)^2 s^2 + t^2)
    noise:  alpha^2 s^2 / (alpha^2 s^2 + sigma^2)

Music is no noise, so a model that learnt anything of it is below. docs/howto/doctor.md derives both.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.diffusion.schedules import FlowSchedule, ScheduleSettings, make_schedule
from segue.core.config import load
from segue.core.findings import Finding, State

Floats = NDArray[np.float64]

QUARTERS: Final = ("t0_25", "t25_50", "t50_75", "t75_100")

SHIPPED_CURVE: Final = (1.0212, 0.7616, 0.6632, 0.6883)
"""Validation loss by quarters of time of the shipped ldmg-small: 10,700 steps in four runs on 14.9 hours with labels
and captions, latents of 64 channels every 32 ms."""

_SHIPPED_OBJECTIVE = "flow"
_GRID = 4_000
_TAIL = 1e-5
_SLACK = 1.02
_EARLY = 0.4
_TINY = 0.1
_PLACES = ("0 to 0.25", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 1")


def training_times(task: Mapping[str, Any]) -> Floats:
    """Return times as training spreads them, of equal weight. Shape ``times``.

    Args:
        task: the part ``task`` of a diffusion recipe.
    """
    uniform = (np.arange(_GRID) + 0.5) / _GRID
    schedule = _schedule(task)
    if schedule.schedule != "flow":
        steps = schedule.num_steps
        return (np.floor(uniform * steps) + 1) / steps
    if task.get("time_shape", "logit-normal") == "uniform":
        return uniform
    normal = NormalDist()
    logits = np.array([normal.inv_cdf(min(max(u, _TAIL), 1 - _TAIL)) for u in uniform])
    scaled = task.get("time_mean", 0.0) + task.get("time_deviation", 1.0) * logits
    times: Floats = 1 / (1 + np.exp(-scaled))
    return times


def reference_loss(
    times: Floats, task: Mapping[str, Any], variance: Floats | float = 1.0
) -> Floats:
    """Return the loss of the best answer that knows only the level of the latents. Shape ``times``.

    Args:
        times: 0 is data, 1 noise. Shape ``times``.
        task: the part ``task`` of a diffusion recipe.
        variance: of the latents as the model sees them, one for all or one for each channel; the
            loss is the mean over channels.

    Example:
        >>> reference_loss(np.array([0.0, 0.5, 1.0]), {}).tolist()
        [1.0, 2.0, 1.0]
    """
    schedule = make_schedule(_schedule(task))
    data, noise = (
        np.array([factor(float(t)) for t in times]) ** 2
        for factor in (schedule.alpha, schedule.sigma)
    )
    levels = np.atleast_1d(np.asarray(variance, np.float64))[:, None]
    power = data * levels + noise
    gain = levels if isinstance(schedule, FlowSchedule) else data * levels
    found: Floats = (gain / power).mean(axis=0)
    return found


def reference_quarters(task: Mapping[str, Any], variance: Floats | float = 1.0) -> Floats:
    """Return the mean of `reference_loss` in every quarter of time, as training spreads times."""
    times = training_times(task)
    losses = reference_loss(times, task, variance)
    places = np.clip(np.ceil(times * len(QUARTERS)).astype(int) - 1, 0, len(QUARTERS) - 1)
    counts = np.bincount(places, minlength=len(QUARTERS))
    sums = np.bincount(places, losses, minlength=len(QUARTERS))
    found: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found


def last_quarters(rows: Sequence[Mapping[str, Any]]) -> Floats | None:
    """Return the newest validation loss by quarters of time; None where there is none."""
    names = [f"loss_{name}" for name in QUARTERS]
    held = [row for row in rows if row["split"] == "val" and any(name in row for name in names)]
    if not held:
        return None
    return np.array([float(held[-1].get(name, np.nan)) for name in names])


def check_levels(
    found: Floats,
    task: Mapping[str, Any],
    *,
    share_done: float = 1.0,
    variance: Floats | float = 1.0,
    measured: str = "validation",
) -> Finding:
    """Hold the loss by quarters of time against `reference_quarters` and the shipped model's.

    Args:
        found: loss in every quarter; not a number where none was measured.
        task: the part ``task`` of the recipe.
        share_done: of the recipe's steps; a run that has just begun is not called broken.
        variance: see `reference_loss`.
        measured: what it was measured on, in a word.
    """
    name = "loss by timestep"
    reference = reference_quarters(task, variance)
    known = np.isfinite(reference) & np.isfinite(found)
    shipped = np.array(SHIPPED_CURVE)
    comparable = _schedule(task).schedule == _SHIPPED_OBJECTIVE and np.allclose(variance, 1.0)
    detail = (
        f"{measured}, by quarters of time from data to noise: {_numbers(found)}; knowing only the "
        f"level: {_numbers(reference)}"
    ) + (f"; the shipped model: {_numbers(shipped)}" if comparable else "")
    if np.isinf(found).any() or not known.any():
        advice = "See NaN history."
        return Finding(name, "broken", f"{detail}: not finite", advice)
    above = [
        place for place, bad in zip(_PLACES, _above(found, reference, known), strict=True) if bad
    ]
    if above:
        state: State = "suspicious" if share_done < _EARLY else "broken"
        advice = (
            "Let it train on."
            if state == "suspicious"
            else "See one-batch overfit and latent statistics; else train for longer."
        )
        return Finding(
            name, state, f"{detail}: worse than that for times {', '.join(above)}", advice
        )
    if (found[known] < _TINY * reference[known]).any():
        advice = (
            "Are the latents far smaller than the noise, or learnt by heart? See latent statistics."
        )
        return Finding(name, "suspicious", f"{detail}: too good to be true", advice)
    if comparable and (found[known] > ((shipped + reference) / 2)[known]).any():
        advice = "Train for longer, or with a larger model; latents of another codec may differ."
        told = f"{detail}: nearer to knowing nothing than to the shipped model"
        return Finding(name, "suspicious", told, advice)
    return Finding(name, "ok", detail)


def measure_quarters(trained: Any, rows: Sequence[NDArray[np.float32]]) -> Floats:
    """Measure the loss by quarters of time on normalised latents, each at four times.

    Args:
        trained: from `segue.audio.diffusion.weights.load_diffusion`.
        rows: each ``[channels, frames]``, of one length.

    Returns:
        Not a number for quarters that no time fell into.
    """
    import torch

    from segue.audio.diffusion.task import DiffusionTask
    from segue.audio.evaluate.checks.one_batch import latent_batch

    recipe = trained.recipe
    task = DiffusionTask(trained.model, recipe.task, recipe.optim, max_steps=1)
    sums = np.zeros((2, len(QUARTERS)))
    for number, row in enumerate(rows):
        batch = latent_batch([row] * len(QUARTERS), trained.model.config, seed=number)
        tensors = {name: torch.from_numpy(part) for name, part in batch._asdict().items()}
        with torch.inference_mode():
            question = task.question(tensors, shortcut=False)
            errors, frames = task.errors(question, tensors)
        places = np.clip(np.ceil(question.time.numpy() * len(QUARTERS)).astype(int) - 1, 0, 3)
        np.add.at(sums[0], places, errors.double().numpy())
        np.add.at(sums[1], places, frames.double().numpy())
    return np.where(sums[1] > 0, sums[0] / np.maximum(sums[1], 1), np.nan)


def _above(found: Floats, reference: Floats, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say in which quarters a loss is above the reference."""
    return known & (np.nan_to_num(found) > _SLACK * np.nan_to_num(reference))


def _schedule(task: Mapping[str, Any]) -> ScheduleSettings:
    return load(ScheduleSettings, task.get("schedule", {}), origin="task.schedule")


def _numbers(values: Floats) -> str:
    return " ".join("-" if np.isnan(value) else f"{value:.3g}" for value in values)
