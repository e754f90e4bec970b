"""What holds for every sampler, schedule, grid and size."""

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.audio.diffusion.denoisers import data_prediction, inpainted
from segue.audio.diffusion.noise import FrameNoise
from segue.audio.diffusion.samplers import SAMPLERS, SamplerName, SamplerSettings, make_sampler
from segue.audio.diffusion.schedules import (
    DiscreteSchedule,
    FlowSchedule,
    GridShape,
    Latents,
    Schedule,
    ScheduleName,
    ScheduleSettings,
    make_schedule,
)

SCHEDULES = {
    name: make_schedule(ScheduleSettings(schedule=name)) for name in get_args(ScheduleName)
}
STOCHASTIC = {"ddpm", "pingpong", "ddim"}
sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 70))
sampler_settings = st.builds(
    SamplerSettings,
    sampler=st.sampled_from(get_args(SamplerName)),
    steps=st.integers(1, 12),
    grid=st.sampled_from(get_args(GridShape)),
    shift=st.floats(0.1, 10),
)
schedules = st.sampled_from(sorted(SCHEDULES))


def network(x: Latents, t: float, *step: float) -> Latents:
    """Something that is no denoiser, mixes channels and knows where frames lie, as networks do."""
    rolled = np.roll(x, 1, axis=1) + np.float32(0.3) * np.roll(x, 1, axis=2)
    return np.tanh(rolled + np.float32(t + sum(step)))


def constant(x: Latents, value: float) -> Latents:
    """The same value everywhere."""
    return np.full_like(x, value)


def run(
    chosen: SamplerSettings, name: str, x: Latents, source: FrameNoise, *, start: float = 1.0
) -> Latents:
    schedule = SCHEDULES[name]
    denoiser = data_prediction(network, "v", schedule)
    return make_sampler(chosen, schedule)(denoiser, x, source, start=start)


@given(sampler_settings, schedules, sizes, st.sampled_from([1.0, 0.6]))
def test_results_are_finite_float32_repeatable_and_leave_the_input_alone(
    chosen: SamplerSettings, name: str, size: tuple[int, int, int], start: float
) -> None:
    source = FrameNoise(1)
    x = source.standard_normal(size)
    before = x.copy()
    result = run(chosen, name, x, FrameNoise(2), start=start)
    assert result.shape == size
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert (x == before).all()
    assert (run(chosen, name, x, FrameNoise(2), start=start) == result).all()


@given(sampler_settings, schedules, sizes)
def test_an_item_is_the_same_in_a_batch_and_alone(
    chosen: SamplerSettings, name: str, size: tuple[int, int, int]
) -> None:
    x = FrameNoise(1).standard_normal(size)
    together = run(chosen, name, x, FrameNoise(2))
    for item in range(size[0]):
        alone = run(chosen, name, x[item : item + 1], FrameNoise(2, first_item=item))
        np.testing.assert_array_equal(alone[0], together[item])


@given(sampler_settings, schedules, sizes)
def test_another_seed_is_another_result_where_noise_is_drawn(
    chosen: SamplerSettings, name: str, size: tuple[int, int, int]
) -> None:
    chosen = chosen.model_copy(update={"eta": 1.0 if chosen.sampler == "ddim" else 0.0})
    x = FrameNoise(1).standard_normal(size)
    one, two = (run(chosen, name, x, FrameNoise(seed)) for seed in (2, 3))
    drawn = chosen.sampler in STOCHASTIC and chosen.steps > 1
    assert bool((one != two).any()) == drawn


@given(sampler_settings, schedules, st.integers(-500, 500), st.integers(1, 60))
def test_windows_agree_where_the_network_sees_one_frame_at_a_time(
    chosen: SamplerSettings, name: str, start_frame: int, shared: int
) -> None:
    def frame_by_frame(x: Latents, t: float, *step: float) -> Latents:
        return np.tanh(x + np.float32(t))

    draw = make_sampler(chosen, SCHEDULES[name])
    results = []
    for begin, frames in ((start_frame, 40 + shared), (start_frame + 40, shared + 17)):
        source = FrameNoise(5, start_frame=begin)
        x = source.standard_normal((1, 2, frames))
        results.append(draw(data_prediction(frame_by_frame, "v", draw.schedule), x, source))
    np.testing.assert_allclose(results[0][..., 40:], results[1][..., :shared], atol=1e-5)


@given(sampler_settings, schedules, st.integers(0, 30))
def test_the_known_part_comes_back_to_the_bit(
    chosen: SamplerSettings, name: str, num_known: int
) -> None:
    schedule = SCHEDULES[name]
    known = 5 * FrameNoise(8).standard_normal((2, 3, 30))
    mask = np.arange(30) < num_known
    denoiser = inpainted(data_prediction(network, "v", schedule), known, mask)
    x = FrameNoise(9).standard_normal(known.shape)
    result = make_sampler(chosen, schedule)(denoiser, x, FrameNoise(10))
    np.testing.assert_array_equal(result[..., :num_known], known[..., :num_known])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("name", get_args(SamplerName))
def test_loud_quiet_and_constant_latents_stay_finite(name: SamplerName, scale: float) -> None:
    for schedule_name, schedule in SCHEDULES.items():
        chosen = SamplerSettings(sampler=name, steps=500, grid="quadratic", shift=0.05)
        if isinstance(schedule, DiscreteSchedule):
            chosen = chosen.model_copy(update={"steps": 100})
        denoiser = data_prediction(lambda x, t, *step: constant(x, scale), "data", schedule)
        x = FrameNoise(1).standard_normal((1, 1, 3))
        result = make_sampler(chosen, schedule)(denoiser, x, FrameNoise(2))
        np.testing.assert_allclose(result, scale, rtol=1e-6, err_msg=schedule_name)


@settings(max_examples=40)
@given(st.floats(1e-7, 1), st.just(0.0) | st.floats(1e-3, 0.999), schedules)
def test_one_step_between_any_two_times_is_finite(t: float, share: float, name: str) -> None:
    schedule: Schedule = SCHEDULES[name]
    s = t * share
    x = FrameNoise(1).standard_normal((1, 2, 5))
    for function in SAMPLERS.values():
        result = function(
            data_prediction(network, "v", schedule), x, np.array([t, s]), schedule, FrameNoise(2)
        )
        assert result.dtype == np.float32
        assert np.isfinite(result).all()


def test_the_same_numbers_for_any_python_or_numpy_float() -> None:
    schedule = FlowSchedule()
    for first, second in itertools.pairwise([0.25, np.float64(0.25), np.float32(0.25)]):
        assert schedule.alpha(first) == schedule.alpha(second)
