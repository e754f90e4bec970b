import math

import numpy as np
import pytest

from segue.audio.diffusion.schedules import (
    DiscreteSchedule,
    FlowSchedule,
    Schedule,
    ScheduleSettings,
    cosine_betas,
    length_shift,
    make_schedule,
    noised,
    time_grid,
    zero_terminal_snr,
)
from segue.core.config import load
from segue.errors import SettingError

NAMES = ["flow", "ddpm", "ddpm-zero-snr", "cosine"]


def schedule_named(name: str) -> Schedule:
    return make_schedule(load(ScheduleSettings, {"schedule": name}))


@pytest.mark.parametrize("name", NAMES)
def test_time_0_is_data_and_noise_grows(name: str) -> None:
    schedule = schedule_named(name)
    assert (schedule.alpha(0.0), schedule.sigma(0.0)) == (1.0, 0.0)
    times = np.linspace(0, 1, 501)
    alphas = np.array([schedule.alpha(t) for t in times])
    sigmas = np.array([schedule.sigma(t) for t in times])
    assert (np.diff(alphas) < 0).all()
    assert (np.diff(sigmas) > 0).all()


@pytest.mark.parametrize("name", NAMES[1:])
def test_ddpm_keeps_the_variance(name: str) -> None:
    schedule = schedule_named(name)
    for t in (0.001, 0.3, 0.9991, 1.0):
        assert schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 == pytest.approx(1)


def test_the_originals_schedule_leaves_what_is_known_of_it() -> None:
    schedule = schedule_named("ddpm")
    assert isinstance(schedule, DiscreteSchedule)
    assert schedule.num_steps == 500
    assert schedule.betas[[0, -1]].tolist() == [1e-4, 0.02]
    np.testing.assert_allclose(np.diff(schedule.betas), (0.02 - 1e-4) / 499)
    assert schedule.alpha_bars[-1] == pytest.approx(0.00635, abs=5e-6)
    snr_db = 10 * math.log10(schedule.alpha_bars[-1] / (1 - schedule.alpha_bars[-1]))
    assert snr_db == pytest.approx(-21.9, abs=0.05)


def test_a_step_is_the_product_of_the_betas_so_far() -> None:
    betas = np.array([0.1, 0.2, 0.5])
    schedule = DiscreteSchedule(betas)
    assert schedule.alpha(2 / 3) == pytest.approx(math.sqrt(0.9 * 0.8))
    assert schedule.step_index(2 / 3) == pytest.approx(1)
    assert schedule.step_index(1.0) == 2
    assert schedule.alpha(0.5) == pytest.approx((math.sqrt(0.9) + math.sqrt(0.9 * 0.8)) / 2)


def test_rescaled_betas_end_in_noise_alone() -> None:
    schedule, plain = schedule_named("ddpm-zero-snr"), schedule_named("ddpm")
    assert schedule.alpha(1.0) == 0
    assert schedule.sigma(1.0) == 1
    assert schedule.alpha(1 / 500) == pytest.approx(plain.alpha(1 / 500), rel=1e-12)
    # In between the square roots keep their proportions.
    roots = [
        (s.alpha(0.4) - s.alpha(1.0)) / (s.alpha(0.002) - s.alpha(1.0)) for s in (schedule, plain)
    ]
    assert roots[0] == pytest.approx(roots[1])
    assert zero_terminal_snr(np.array([0.1, 0.2]))[-1] == 1


def test_cosine_betas_are_capped() -> None:
    betas = cosine_betas(1000)
    assert betas[-1] == 0.999
    assert np.cumprod(1 - betas)[499] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "values",
    [
        {"schedule": "linear"},
        {"num_steps": 1},
        {"first_beta": 0.0},
        {"last_beta": 1.0},
        {"first_beta": 0.5, "last_beta": 0.1},
        {"beta": 3},
    ],
)
def test_bad_schedules_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        load(ScheduleSettings, values)


@pytest.mark.parametrize("betas", [[], [0.0, 0.1], [0.1, 1.1], [[0.1]], [math.nan]])
def test_bad_betas_are_refused(betas: list[float]) -> None:
    with pytest.raises(SettingError, match="betas"):
        DiscreteSchedule(np.array(betas, float))


def test_noised_mixes_and_stays_float32() -> None:
    data, noise = np.full((1, 1, 2), 2, np.float32), np.full((1, 1, 2), 10, np.float32)
    mixed = noised(FlowSchedule(), data, noise, 0.25)
    assert mixed.dtype == np.float32
    assert mixed.tolist() == [[[4.0, 4.0]]]
    assert noised(FlowSchedule(), data, noise, np.float64(0.25)).dtype == np.float32


def test_grids() -> None:
    assert time_grid(4).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert time_grid(2, shape="quadratic").tolist() == [1, 0.25, 0]
    np.testing.assert_allclose(
        time_grid(4, shape="cosine")[1:4], [0.853553, 0.5, 0.146447], atol=1e-6
    )
    np.testing.assert_allclose(time_grid(2, shift=3.0), [1, 0.75, 0])
    np.testing.assert_allclose(time_grid(2, shift=3.0, start=0.4), [0.4, 0.3, 0])
    assert time_grid(1).tolist() == [1, 0]


@pytest.mark.parametrize("shape", ["uniform", "quadratic", "cosine"])
@pytest.mark.parametrize("shift", [0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_grids_fall_strictly_from_start_to_0(shape: str, shift: float, steps: int) -> None:
    times = time_grid(steps, shape=shape, shift=shift, start=0.7)
    assert len(times) == steps + 1
    assert times[0] == 0.7
    assert times[-1] == 0
    assert (np.diff(times) < 0).all()


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"shift": 0.0},
        {"shift": math.inf},
        {"shift": math.nan},
        {"start": 0.0},
        {"start": 1.1},
    ],
)
def test_bad_grids_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="time grid"):
        time_grid(**{"steps": 4} | bad)


def test_the_shift_by_length_is_the_root_of_the_ratio() -> None:
    assert length_shift(1200, 300) == 2
    assert length_shift(300, 300) == 1
    with pytest.raises(SettingError, match="length"):
        length_shift(0, 300)


@pytest.mark.parametrize("shape", ["uniform", "quadratic", "cosine"])
@pytest.mark.parametrize("shift", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("steps", [1, 7, 250, 499, 500])
def test_snapping_visits_whole_different_steps(shape: str, shift: float, steps: int) -> None:
    times = schedule_named("ddpm").snap(time_grid(steps, shape=shape, shift=shift))
    indices = times * 500
    np.testing.assert_allclose(indices, np.rint(indices), atol=1e-9)
    assert times[0] == 1
    assert times[-1] == 0
    assert (np.diff(np.rint(indices)) <= -1).all()


def test_snapping_takes_the_nearest_step() -> None:
    schedule = DiscreteSchedule(np.full(10, 0.1))
    np.testing.assert_allclose(schedule.snap(np.array([1.0, 0.52, 0.27, 0.0])), [1, 0.5, 0.3, 0])
    np.testing.assert_allclose(schedule.snap(np.array([0.61, 0.33])), [0.6, 0.3])


def test_all_steps_of_the_original_are_its_steps() -> None:
    schedule = schedule_named("ddpm")
    assert isinstance(schedule, DiscreteSchedule)
    times = schedule.snap(time_grid(500))
    indices = [schedule.step_index(t) for t in times[:-1]]
    np.testing.assert_allclose(indices, np.arange(499, -1, -1), atol=1e-9)


@pytest.mark.parametrize(("steps", "start"), [(501, 1.0), (10, 0.01), (1, 0.0005)])
def test_more_times_than_steps_are_refused(steps: int, start: float) -> None:
    with pytest.raises(SettingError, match="Ask for fewer"):
        schedule_named("ddpm").snap(time_grid(steps, start=start))


def test_flow_leaves_times_alone() -> None:
    times = time_grid(7, shift=2.0)
    assert FlowSchedule().snap(times) is times
