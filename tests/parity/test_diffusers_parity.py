"""Schedules and samplers against the schedulers of diffusers, with one made-up network for both."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers and what it imports warn about their own future
    from diffusers import (
        DDIMScheduler,
        DDPMScheduler,
        DPMSolverMultistepScheduler,
        FlowMatchEulerDiscreteScheduler,
    )
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
    from diffusers.utils.torch_utils import randn_tensor

from segue.audio.diffusion.denoisers import data_prediction
from segue.audio.diffusion.noise import noise
from segue.audio.diffusion.samplers import (
    SAMPLERS,
    SamplerSettings,
    ddim,
    dpm_solver_pp_2m,
    make_sampler,
)
from segue.audio.diffusion.schedules import (
    DiscreteSchedule,
    FlowSchedule,
    Latents,
    ScheduleSettings,
    cosine_betas,
    make_schedule,
    time_grid,
    zero_terminal_snr,
)

# Theirs, with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (2, 4, 33)
START = noise(0, SIZE)
LINEAR = {"num_train_timesteps": 500, "beta_start": 1e-4, "beta_end": 0.02}
PLAIN = {"clip_sample": False} | LINEAR


def network(x: np.ndarray, place: float) -> np.ndarray:
    """Stand in for a model: smooth, bounded, mixing channels, different at every step."""
    return np.tanh(np.roll(x, 1, axis=1) * 0.7 + place) * 0.9 + 0.1 * np.roll(x, 1, axis=2)


def discrete(name: str) -> DiscreteSchedule:
    schedule = make_schedule(ScheduleSettings(schedule=name))
    assert isinstance(schedule, DiscreteSchedule)
    return schedule


class Replayed:
    """The noise that diffusers drew, in the same order."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def standard_normal(self, size: tuple[int, ...], /, dtype: Any) -> np.ndarray:
        return randn_tensor(size, generator=self._generator).numpy().astype(dtype)


def theirs(scheduler: Any, steps: int, **options: Any) -> np.ndarray:
    scheduler.set_timesteps(steps)
    x = torch.from_numpy(START)
    for timestep in scheduler.timesteps:
        answer = torch.from_numpy(network(x.numpy(), timestep.item() / 500))
        x = scheduler.step(answer, timestep, x, **options).prev_sample
    return x.numpy()


def ours(
    schedule: DiscreteSchedule,
    prediction: str,
    steps: int,
    function: Callable[..., Latents],
    rng: Any,
) -> Latents:
    denoiser = data_prediction(
        lambda x, t: network(x, schedule.step_index(t) / 500), prediction, schedule
    )
    return function(denoiser, START, schedule.snap(time_grid(steps)), schedule, rng)


def close(one: np.ndarray, two: np.ndarray, tolerance: float = 2e-5) -> None:
    scale = np.abs(two).max()
    assert np.abs(one - two).max() <= tolerance * scale


def test_betas_are_theirs() -> None:
    linear = DDPMScheduler(**PLAIN)
    cosine = DDPMScheduler(num_train_timesteps=500, beta_schedule="squaredcos_cap_v2")
    np.testing.assert_allclose(discrete("ddpm").betas, linear.betas, rtol=1e-5)
    np.testing.assert_allclose(discrete("ddpm").alpha_bars, linear.alphas_cumprod, rtol=1e-4)
    np.testing.assert_allclose(cosine_betas(500), cosine.betas, rtol=1e-4, atol=1e-7)
    betas = np.linspace(1e-4, 0.02, 500)
    rescaled = rescale_zero_terminal_snr(torch.from_numpy(betas)).numpy()
    np.testing.assert_allclose(zero_terminal_snr(betas), rescaled, rtol=1e-9)


@pytest.mark.parametrize("steps", [10, 50, 500])
@pytest.mark.parametrize("prediction", ["noise", "v", "data"])
def test_ddpm(steps: int, prediction: str) -> None:
    kind = {"noise": "epsilon", "v": "v_prediction", "data": "sample"}[prediction]
    scheduler = DDPMScheduler(
        variance_type="fixed_small", prediction_type=kind, timestep_spacing="trailing", **PLAIN
    )
    wanted = theirs(scheduler, steps, generator=torch.Generator().manual_seed(7))
    close(ours(discrete("ddpm"), prediction, steps, SAMPLERS["ddpm"], Replayed(7)), wanted, 1e-4)


@pytest.mark.parametrize("steps", [1, 10, 50])  # Their step back is a whole number of steps.
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_ddim(steps: int, eta: float, prediction: str) -> None:
    kind = {"noise": "epsilon", "v": "v_prediction"}[prediction]
    scheduler = DDIMScheduler(prediction_type=kind, timestep_spacing="trailing", **PLAIN)
    wanted = theirs(scheduler, steps, eta=eta, generator=torch.Generator().manual_seed(3))

    def function(*arguments: Any) -> Latents:
        return ddim(*arguments, eta=eta)

    close(ours(discrete("ddpm"), prediction, steps, function, Replayed(3)), wanted)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim_with_zero_terminal_snr(eta: float) -> None:
    scheduler = DDIMScheduler(
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        **PLAIN,
    )
    wanted = theirs(scheduler, 25, eta=eta, generator=torch.Generator().manual_seed(3))

    def function(*arguments: Any) -> Latents:
        return ddim(*arguments, eta=eta)

    close(ours(discrete("ddpm-zero-snr"), "v", 25, function, Replayed(3)), wanted)


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 50])
@pytest.mark.parametrize("prediction", ["noise", "v", "data"])
def test_dpm_solver(steps: int, prediction: str) -> None:
    kind = {"noise": "epsilon", "v": "v_prediction", "data": "sample"}[prediction]
    scheduler = DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        solver_order=2,
        prediction_type=kind,
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        **LINEAR,
    )
    wanted = theirs(scheduler, steps)
    got = ours(discrete("ddpm"), prediction, steps, dpm_solver_pp_2m, None)
    close(got, wanted, 1e-4)


def _their_flow_times(scheduler: Any) -> Iterator[tuple[float, torch.Tensor]]:
    for sigma, timestep in zip(scheduler.sigmas, scheduler.timesteps, strict=False):
        yield sigma.item(), timestep


@pytest.mark.parametrize("steps", [1, 4, 30])
@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("name", ["euler", "ddim"])
def test_flow_euler(steps: int, shift: float, name: str) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=list(time_grid(steps)[:-1]))
    x = torch.from_numpy(START)
    for sigma, timestep in _their_flow_times(scheduler):
        x = scheduler.step(torch.from_numpy(network(x.numpy(), sigma)), timestep, x).prev_sample
    schedule = FlowSchedule()
    draw = make_sampler(SamplerSettings(sampler=name, steps=steps, shift=shift), schedule)
    got = draw(data_prediction(network, "velocity", schedule), START, Replayed(0))
    close(got, x.numpy())


def test_flow_dpm_solver() -> None:
    scheduler = DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        solver_order=2,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=2.0,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(12)
    x = torch.from_numpy(START)
    for sigma, timestep in _their_flow_times(scheduler):
        x = scheduler.step(torch.from_numpy(network(x.numpy(), sigma)), timestep, x).prev_sample
    schedule = FlowSchedule()
    denoiser = data_prediction(network, "velocity", schedule)
    times = scheduler.sigmas.numpy().astype(float)
    close(dpm_solver_pp_2m(denoiser, START, times, schedule, Replayed(0)), x.numpy())
