"""Samplers against distributions whose exact denoiser, and exact result, are known."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest
from scipy.stats import norm, wasserstein_distance
from tests.known_denoisers import gaussian, gaussian_between, gaussian_end, mixture

from segue.audio.diffusion.denoisers import Counted, inpainted
from segue.audio.diffusion.noise import FrameNoise, noise
from segue.audio.diffusion.samplers import (
    SAMPLERS,
    Sampler,
    SamplerName,
    SamplerSettings,
    ddim,
    ddpm,
    dpm_solver_pp_2m,
    euler,
    heun,
    make_sampler,
    pingpong,
    shortcut,
)
from segue.audio.diffusion.schedules import (
    FlowSchedule,
    Latents,
    Schedule,
    ScheduleSettings,
    make_schedule,
    noised,
    time_grid,
)
from segue.core.config import load
from segue.errors import SettingError

MEAN, DEVIATION = 1.5, 0.5
FLOW = FlowSchedule()
START = noise(0, (1, 1, 300))
NOTHING = FrameNoise(0)
DETERMINISTIC = [euler, heun, dpm_solver_pp_2m, ddim]
NAMES = ["flow", "ddpm", "ddpm-zero-snr", "cosine"]


def schedule_named(name: str, num_steps: int = 500) -> Schedule:
    return make_schedule(load(ScheduleSettings, {"schedule": name, "num_steps": num_steps}))


def sampler(schedule: Schedule = FLOW, **values: Any) -> Sampler:
    return make_sampler(load(SamplerSettings, values), schedule)


def order(function: Callable[..., Latents], grids: list[np.ndarray]) -> float:
    """The power of the number of steps with which the error falls, over rectified flow."""
    exact = gaussian(FLOW, MEAN, DEVIATION)
    errors = []
    for times in grids:
        wanted = gaussian_between(FLOW, MEAN, DEVIATION, START, times[0], times[-1])
        errors.append(np.abs(function(exact, START, times, FLOW, NOTHING) - wanted).max())
    counts = np.log([len(times) - 1 for times in grids])
    return -float(np.polyfit(counts, np.log(errors), 1)[0])


@pytest.mark.parametrize(
    ("function", "wanted"), [(euler, 1), (ddim, 1), (heun, 2), (dpm_solver_pp_2m, 2)]
)
def test_the_error_falls_with_the_order_of_the_method(
    function: Callable[..., Latents], wanted: int
) -> None:
    inner = [1 / (1 + np.exp(np.linspace(-3, 2, count + 1))) for count in (32, 64, 128)]
    assert order(function, inner) == pytest.approx(wanted, abs=0.15)
    whole = [time_grid(count) for count in (64, 128, 256)]
    assert order(function, whole) == pytest.approx(wanted, abs=0.3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("function", "largest"), [(euler, 0.05), (ddim, 0.05), (heun, 2e-3), (dpm_solver_pp_2m, 5e-3)]
)
def test_deterministic_samplers_follow_the_flow_to_its_end(
    function: Callable[..., Latents], largest: float, name: str
) -> None:
    schedule = schedule_named(name)
    times = schedule.snap(time_grid(64, shape="quadratic"))
    result = function(gaussian(schedule, MEAN, DEVIATION), START, times, schedule, NOTHING)
    wanted = gaussian_end(schedule, MEAN, DEVIATION, START, 1.0)
    assert result.dtype == np.float32
    assert np.abs(result - wanted).max() < largest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("eta", [None, 0.5, 1.0])
def test_stochastic_samplers_have_the_right_mean_and_variance(name: str, eta: float | None) -> None:
    schedule = schedule_named(name)
    # Begun with the noisy data that the schedule really ends in, so that nothing else is tested.
    rng = np.random.default_rng(1)
    data = rng.normal(MEAN, DEVIATION, (1, 1, 20_000)).astype(np.float32)
    x = noised(schedule, data, noise(1, data.shape), 1.0)
    times = schedule.snap(time_grid(500))
    exact = gaussian(schedule, MEAN, DEVIATION)
    if eta is None:
        result = ddpm(exact, x, times, schedule, rng)
    else:
        result = ddim(exact, x, times, schedule, rng, eta=eta)
    assert result.dtype == np.float32
    assert result.mean() == pytest.approx(MEAN, abs=0.015)
    assert result.std() == pytest.approx(DEVIATION, abs=0.015)
    assert np.abs(result).max() < MEAN + 6 * DEVIATION


def test_begun_with_pure_noise_the_originals_schedule_is_slightly_off() -> None:
    schedule, rng = schedule_named("ddpm"), np.random.default_rng(2)
    start = noise(2, (1, 1, 1))
    far = gaussian_end(schedule, 8.0, DEVIATION, start, 1.0)
    right = noised(schedule, np.full((1, 1, 1), 8, np.float32), start, 1.0)
    assert abs(far - gaussian_end(schedule, 8.0, DEVIATION, right, 1.0)).item() > 0.1
    result = ddpm(gaussian(schedule, MEAN, DEVIATION), START, time_grid(500), schedule, rng)
    assert result.mean() == pytest.approx(MEAN, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_ddim_with_eta_1_is_ancestral_sampling(name: str) -> None:
    schedule = schedule_named(name)
    times = schedule.snap(time_grid(20))
    exact = gaussian(schedule, MEAN, DEVIATION)
    one = ddpm(exact, START, times, schedule, FrameNoise(4))
    two = ddim(exact, START, times, schedule, FrameNoise(4), eta=1.0)
    np.testing.assert_allclose(one, two, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_ddim_without_noise_is_euler(name: str) -> None:
    schedule = schedule_named(name)
    times = schedule.snap(time_grid(20))
    exact = gaussian(schedule, MEAN, DEVIATION)
    one = euler(exact, START, times, schedule, NOTHING)
    np.testing.assert_allclose(one, ddim(exact, START, times, schedule, NOTHING), atol=1e-6)


def test_euler_over_rectified_flow_adds_the_velocity() -> None:
    times = time_grid(5, shift=2.0)
    exact = gaussian(FLOW, MEAN, DEVIATION)
    x = START.astype(float)
    for t, s in itertools.pairwise(times):
        x = x + (s - t) * (x - exact(x.astype(np.float32), t)) / t
    np.testing.assert_allclose(euler(exact, START, times, FLOW, NOTHING), x, atol=2e-6)


@pytest.mark.parametrize("name", ["euler", "heun", "dpm++2m", "ddim", "ddpm"])
@pytest.mark.parametrize("schedule_name", ["flow", "ddpm-zero-snr"])
def test_a_mixture_is_drawn_as_it_is(name: str, schedule_name: str) -> None:
    schedule = schedule_named(schedule_name)
    means, weights = np.array([-2.0, 0.5, 2.0]), np.array([0.5, 0.2, 0.3])
    draw = sampler(schedule, sampler=name, steps=100 if name == "ddpm" else 50)
    result = draw(mixture(schedule, means, 0.3, weights), noise(6, (1, 1, 5000)), FrameNoise(7))
    shares = [(np.abs(result - mean) < 0.7).mean() for mean in means]
    np.testing.assert_allclose(shares, weights, atol=0.025)
    true = mixture_quantiles(means, 0.3, weights, 5000)
    assert wasserstein_distance(result.ravel(), true) < 0.08


def mixture_quantiles(
    means: np.ndarray, deviation: float, weights: np.ndarray, count: int
) -> np.ndarray:
    """Evenly spaced quantiles of a mixture of Gaussians, by inverting its distribution function."""
    grid = np.linspace(-4, 4, 4001)
    levels = (weights * norm.cdf((grid[:, None] - means) / deviation)).sum(1)
    return np.interp((np.arange(count) + 0.5) / count, levels, grid)


@pytest.mark.parametrize(
    ("name", "distances"),
    [
        ("euler", (0.184, 0.089, 0.045)),
        ("heun", (0.239, 0.068, 0.025)),
        ("dpm++2m", (0.115, 0.037, 0.014)),
        ("ddpm", (0.239, 0.107, 0.056)),
    ],
)
def test_the_table_in_the_explanation(name: str, distances: tuple[float, ...]) -> None:
    means, weights = np.array([-2.0, 0.5, 2.0]) / 1.7, np.array([0.5, 0.2, 0.3])
    count, deviation = 4000, 0.3 / 1.7
    x = norm.ppf((np.arange(count) + 0.5) / count).astype(np.float32)[None, None]
    true = mixture_quantiles(means, deviation, weights, count)
    exact = mixture(FLOW, means, deviation, weights)
    for evaluations, wanted in zip((4, 8, 16), distances, strict=True):
        steps = (evaluations + 1) // 2 if name == "heun" else evaluations
        result = sampler(sampler=name, steps=steps)(exact, x, FrameNoise(1))
        assert wasserstein_distance(result.ravel(), true) == pytest.approx(wanted, abs=0.006)


def test_second_order_pays_at_equal_evaluations() -> None:
    exact = gaussian(FLOW, MEAN, DEVIATION)
    wanted = gaussian_end(FLOW, MEAN, DEVIATION, START, 1.0)
    errors = {
        name: np.abs(sampler(sampler=name, steps=steps)(exact, START, NOTHING) - wanted).max()
        for name, steps in (("euler", 15), ("heun", 8), ("dpm++2m", 15))
    }
    assert max(errors["heun"], errors["dpm++2m"]) < 0.4 * errors["euler"]


def test_shortcut_asks_for_the_whole_step_and_takes_it() -> None:
    told: list[tuple[float, float]] = []

    def average_slope(x: Latents, t: float, step: float) -> Latents:
        """What a perfect shortcut model says, as a prediction of the data."""
        told.append((t, step))
        arrived = gaussian_between(FLOW, MEAN, DEVIATION, x, t, t - step)
        return (x - t * (x - arrived) / step).astype(np.float32)

    wanted = gaussian_end(FLOW, MEAN, DEVIATION, START, 1.0)
    for steps in (1, 2, 4):
        result = shortcut(average_slope, START, time_grid(steps), FLOW, NOTHING)
        np.testing.assert_allclose(result, wanted, atol=1e-5)
    assert told[:3] == [(1, 1), (1, 0.5), (0.5, 0.5)]


def test_pingpong_with_a_distilled_model_draws_from_the_data() -> None:
    def distilled(x: Latents, t: float) -> Latents:
        return gaussian_end(FLOW, MEAN, DEVIATION, x, t).astype(np.float32)

    for steps in (1, 4):
        result = pingpong(
            distilled, noise(0, (1, 1, 20_000)), time_grid(steps), FLOW, FrameNoise(1)
        )
        assert result.mean() == pytest.approx(MEAN, abs=0.015)
        assert result.std() == pytest.approx(DEVIATION, abs=0.015)


def test_pingpong_with_a_plain_model_has_too_little_variance() -> None:
    exact = gaussian(FLOW, MEAN, DEVIATION)
    result = pingpong(exact, noise(0, (1, 1, 20_000)), time_grid(8), FLOW, FrameNoise(1))
    assert result.std() < 0.7 * DEVIATION


def test_pingpong_puts_fresh_noise_on_what_was_predicted() -> None:
    seen: list[Latents] = []

    def watch(x: Latents, t: float) -> Latents:
        seen.append(x)
        return np.full_like(x, 2)

    result = pingpong(watch, START, time_grid(2), FLOW, FrameNoise(9))
    assert (seen[0] == START).all()
    np.testing.assert_allclose(seen[1], 1 + 0.5 * noise(9, START.shape), rtol=1e-6)
    assert (result == 2).all()


@pytest.mark.parametrize("name", get_args(SamplerName))
@pytest.mark.parametrize("schedule_name", NAMES)
def test_inpainting_holds_the_known_part_at_every_step(name: str, schedule_name: str) -> None:
    schedule = schedule_named(schedule_name)
    known, x = noise(1, (2, 3, 12)), noise(2, (2, 3, 12))
    mask = np.arange(12) < 5
    seen: list[tuple[Latents, float]] = []

    def watch(x: Latents, t: float, *step: float) -> Latents:
        seen.append((x, t))
        return gaussian(schedule, MEAN, DEVIATION)(x, t)

    draw = sampler(schedule, sampler=name, steps=9)
    # The schedule may not end in pure noise; the known part begins where it should.
    x = np.where(mask, draw.begin(known, x, start=1.0), x)
    result = draw(inpainted(watch, known, mask), x, FrameNoise(3))
    assert (result[..., :5] == known[..., :5]).all()
    assert not (result[..., 5:] == known[..., 5:]).any()
    for latents, t in seen:
        left = (latents - schedule.alpha(t) * known)[..., :5] / schedule.sigma(t)
        assert np.abs(left).max() < 5
        assert left.std() == pytest.approx(1, abs=0.45)


def test_one_step_is_one_prediction() -> None:
    for name, function in SAMPLERS.items():
        counted = Counted(lambda x, t, *step: 3 + 0 * x)
        result = function(counted, START, time_grid(1), FLOW, FrameNoise(0))
        assert (result == 3).all(), name
        assert counted.evaluations == 1, name


@pytest.mark.parametrize("name", get_args(SamplerName))
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_evaluations_are_as_stated_and_all_reported(name: str, steps: int) -> None:
    done: list[float] = []
    totals: list[float | None] = []

    @contextlib.contextmanager
    def progress(label: str, *, total: float | None = None) -> Iterator[Callable[..., None]]:
        totals.append(total)
        yield lambda count=1: done.append(count)

    one, two = Counted(lambda x, t, *step: x), Counted(lambda x, t, *step: -x)
    draw = sampler(sampler=name, steps=steps, guidance=2.0)
    draw(one, START, FrameNoise(0), unconditional=two, progress=progress)
    assert one.evaluations == two.evaluations == len(done) == draw.settings.evaluations
    assert totals == [draw.settings.evaluations]


def test_every_sampler_is_registered() -> None:
    assert set(SAMPLERS) == set(get_args(SamplerName))


def test_settings_reach_the_sampler() -> None:
    exact = gaussian(FLOW, MEAN, DEVIATION)
    draw = sampler(sampler="ddim", steps=6, eta=0.7, grid="quadratic", shift=2.0)
    wanted = ddim(
        exact, START, time_grid(6, shape="quadratic", shift=2.0), FLOW, FrameNoise(1), eta=0.7
    )
    assert (draw(exact, START, FrameNoise(1)) == wanted).all()


def test_guidance_settings_reach_the_denoiser() -> None:
    high, low = gaussian(FLOW, 1.0, DEVIATION), gaussian(FLOW, -1.0, DEVIATION)
    x = noise(0, (1, 1, 400))

    def mean(**values: Any) -> float:
        draw = sampler(steps=30, **values)
        return float(draw(high, x, NOTHING, unconditional=low).mean())

    assert mean() == pytest.approx(1, abs=0.1)
    assert mean(guidance=0.0) == pytest.approx(-1, abs=0.1)
    assert mean(guidance=2.0) == pytest.approx(3, abs=0.15)
    assert mean(guidance=2.0, guidance_interval=[0.0, 0.0]) == mean()
    assert mean(guidance=2.0) > mean(guidance=2.0, guidance_interval=[0.2, 0.6]) > 1.1


def test_rescaled_guidance_reaches_the_denoiser() -> None:
    x = noise(0, (1, 1, 400))
    wide, narrow = gaussian(FLOW, 0.0, 2.0), gaussian(FLOW, 0.0, 0.2)

    def deviation(share: float) -> float:
        draw = sampler(steps=30, guidance=2.0, guidance_rescale=share)
        return float(draw(wide, x, NOTHING, unconditional=narrow).std())

    assert deviation(0.0) > deviation(0.5) > deviation(1.0)
    assert deviation(1.0) == pytest.approx(2, rel=0.1)


def test_longer_clips_are_shifted_towards_the_noise() -> None:
    draw = sampler(steps=4, base_frames=100, shift=1.5)
    assert (draw.times(400) == time_grid(4, shift=3.0)).all()
    assert (sampler(steps=4, shift=1.5).times(400) == time_grid(4, shift=1.5)).all()


def test_a_variation_keeps_more_the_later_it_begins() -> None:
    schedule = schedule_named("ddpm")
    draw = sampler(schedule, steps=10)
    data = noise(3, (1, 2, 200))
    apart = []
    for start in (0.05, 0.3, 0.9):
        begun = draw.begin(data, noise(4, data.shape), start=start)
        result = draw(gaussian(schedule, 0.0, 1.0), begun, NOTHING, start=start)
        apart.append(float(np.corrcoef(result.ravel(), data.ravel())[0, 1]))
    assert apart[0] > 0.98 > apart[1] > 0.6 > 0.4 > apart[2]


def test_beginning_uses_the_time_that_the_sampler_begins_at() -> None:
    schedule = schedule_named("ddpm", 10)
    draw = sampler(schedule, steps=2)
    data, fresh = noise(3, (1, 2, 9)), noise(4, (1, 2, 9))
    assert (draw.begin(data, fresh, start=0.57) == noised(schedule, data, fresh, 0.6)).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sampler": "eular"}, "sampler"),
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"shift": 0}, "shift"),
        ({"guidance": -1}, "guidance"),
        ({"guidance": float("nan")}, "guidance"),
        ({"guidance_interval": [0.5, 0.2]}, "must rise"),
        ({"guidance_interval": [0.5, 1.2]}, "guidance_interval"),
        ({"eta": 0.5}, "eta is a setting of ddim"),
        ({"eta": 1.5, "sampler": "ddim"}, "eta"),
        ({"base_frames": 0}, "base_frames"),
        ({"step": 8}, "did you mean steps"),
    ],
)
def test_bad_settings_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load(SamplerSettings, values)


@pytest.mark.parametrize("times", [[], [1.0], [0.5, 0.5], [0.2, 0.4], [1.1, 0], [1, -0.1]])
@pytest.mark.parametrize("name", get_args(SamplerName))
def test_times_that_do_not_fall_are_refused(times: list[float], name: SamplerName) -> None:
    with pytest.raises(SettingError, match="two times"):
        SAMPLERS[name](lambda x, t, *step: x, START, np.array(times), FLOW, NOTHING)


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(SettingError, match="shape"):
        sampler()(lambda x, t: x, START[0], NOTHING)
    with pytest.raises(SettingError, match="shape"):
        sampler()(lambda x, t: x, START[:, :, :0], NOTHING)
    with pytest.raises(SettingError, match="without labels"):
        sampler(guidance=2.0)(lambda x, t: x, START, NOTHING)
    with pytest.raises(SettingError, match="Ask for fewer"):
        sampler(schedule_named("ddpm"), steps=501)(lambda x, t: x, START, NOTHING)
    with pytest.raises(SettingError, match="start"):
        sampler()(lambda x, t: x, START, NOTHING, start=0.0)
