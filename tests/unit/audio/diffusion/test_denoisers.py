import numpy as np
import pytest

from segue.audio.diffusion.denoisers import Counted, data_prediction, guided, inpainted
from segue.audio.diffusion.noise import noise
from segue.audio.diffusion.schedules import (
    Latents,
    Schedule,
    ScheduleSettings,
    make_schedule,
    noised,
)
from segue.core.config import load
from segue.errors import BundleError, SettingError

DATA, NOISE = noise(0, (2, 3, 8)), noise(1, (2, 3, 8))


def schedule_named(name: str) -> Schedule:
    return make_schedule(load(ScheduleSettings, {"schedule": name}))


def answer(prediction: str, schedule: Schedule, t: float) -> Latents:
    """What a perfect network answers at a time, by the definitions."""
    return {
        "velocity": NOISE - DATA,
        "noise": NOISE,
        "v": (schedule.alpha(t) * NOISE - schedule.sigma(t) * DATA).astype(np.float32),
        "data": DATA,
    }[prediction]


@pytest.mark.parametrize(
    ("prediction", "name"),
    [
        ("velocity", "flow"),
        ("v", "flow"),
        ("data", "flow"),
        ("noise", "ddpm"),
        ("v", "ddpm"),
        ("data", "ddpm"),
        ("noise", "cosine"),
        ("v", "ddpm-zero-snr"),
        ("data", "ddpm-zero-snr"),
    ],
)
@pytest.mark.parametrize("t", [1e-6, 0.002, 0.3, 0.9])
def test_predictions_all_give_the_data(prediction: str, name: str, t: float) -> None:
    schedule = schedule_named(name)
    denoise = data_prediction(lambda x, t: answer(prediction, schedule, t), prediction, schedule)
    result = denoise(noised(schedule, DATA, NOISE, t), t)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, DATA, atol=2e-5)


@pytest.mark.parametrize(("prediction", "name"), [("velocity", "flow"), ("v", "ddpm-zero-snr")])
def test_from_pure_noise_the_data_is_still_told(prediction: str, name: str) -> None:
    schedule = schedule_named(name)
    denoise = data_prediction(lambda x, t: answer(prediction, schedule, t), prediction, schedule)
    np.testing.assert_allclose(denoise(NOISE, 1.0), DATA, atol=1e-6)


def test_the_network_is_told_time_and_step() -> None:
    seen: list[tuple[float, ...]] = []

    def network(x: Latents, t: float, *step: float) -> Latents:
        seen.append((t, *step))
        return x

    denoise = data_prediction(network, "data", schedule_named("flow"))
    denoise(DATA, 0.5)
    denoise(DATA, 0.5, 0.25)
    assert seen == [(0.5,), (0.5, 0.25)]


@pytest.mark.parametrize(
    ("prediction", "name"),
    [("velocity", "ddpm"), ("noise", "flow"), ("noise", "ddpm-zero-snr")],
)
def test_what_does_not_fit_is_refused(prediction: str, name: str) -> None:
    with pytest.raises(SettingError, match="Use the prediction"):
        data_prediction(lambda x, t: x, prediction, schedule_named(name))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda x, t: x[:, :, 1:], "shape"),
        (lambda x, t: x * np.float32(np.nan), "not finite"),
        (lambda x, t: np.full_like(x, np.inf), "not finite"),
    ],
)
def test_a_broken_network_is_named(network: object, message: str) -> None:
    denoise = data_prediction(network, "velocity", schedule_named("flow"))
    with pytest.raises(BundleError, match=message):
        denoise(DATA, 0.5)


def test_a_network_of_double_precision_is_brought_back() -> None:
    denoise = data_prediction(lambda x, t: x.astype(float), "data", schedule_named("flow"))
    assert denoise(DATA, 0.5).dtype == np.float32


def test_calls_are_counted_and_told() -> None:
    told: list[int] = []
    counted = Counted(lambda x, t, *step: x, then=lambda: told.append(1))
    counted(DATA, 0.5)
    assert counted(DATA, 0.2, 0.1) is DATA
    assert counted.evaluations == len(told) == 2


def test_guidance_pushes_away_from_the_unconditional() -> None:
    denoise = guided(lambda x, t: DATA, lambda x, t: NOISE, 3.0)
    np.testing.assert_allclose(denoise(DATA, 0.5), NOISE + 3 * (DATA - NOISE), rtol=1e-4, atol=1e-5)
    assert denoise(DATA, 0.5).dtype == np.float32


@pytest.mark.parametrize(
    ("scale", "t", "calls"),
    [
        (1.0, 0.5, (1, 0)),
        (0.0, 0.5, (0, 1)),
        (2.0, 0.5, (1, 1)),
        (2.0, 0.9, (1, 0)),
        (0.0, 0.1, (1, 0)),
    ],
)
def test_guidance_asks_only_for_what_it_needs(
    scale: float, t: float, calls: tuple[int, int]
) -> None:
    one, two = Counted(lambda x, t: DATA), Counted(lambda x, t: NOISE)
    guided(one, two, scale, interval=(0.2, 0.8))(DATA, t)
    assert (one.evaluations, two.evaluations) == calls


def test_rescaled_guidance_has_the_deviation_of_the_conditional() -> None:
    quiet = (0.1 * NOISE).astype(np.float32)
    plain = guided(lambda x, t: DATA, lambda x, t: quiet, 4.0)(DATA, 0.5)
    half, full = (
        guided(lambda x, t: DATA, lambda x, t: quiet, 4.0, rescale=share)(DATA, 0.5)
        for share in (0.5, 1.0)
    )
    wanted = DATA.std(axis=(1, 2))
    np.testing.assert_allclose(full.std(axis=(1, 2)), wanted, rtol=1e-5)
    np.testing.assert_allclose(half, (plain + full) / 2, atol=1e-5)
    assert (plain.std(axis=(1, 2)) > 2 * wanted).all()
    assert full.dtype == np.float32


def test_rescaling_silence_stays_silent() -> None:
    silence = np.zeros_like(DATA)
    denoise = guided(lambda x, t: silence, lambda x, t: silence, 4.0, rescale=1.0)
    assert not denoise(DATA, 0.5).any()


def test_rescaling_leaves_a_constant_alone() -> None:
    one = np.ones_like(DATA)
    denoise = guided(lambda x, t: one, lambda x, t: -one, 2.0, rescale=1.0)
    np.testing.assert_allclose(denoise(DATA, 0.5), 3 * one)


def test_known_places_are_held_even_where_unknown_is_no_number() -> None:
    mask = np.zeros((1, 1, 8), bool)
    mask[..., :3] = True
    known = np.where(mask, DATA, np.nan).astype(np.float32)
    result = inpainted(lambda x, t: NOISE, known, mask)(DATA, 0.5)
    assert (result[..., :3] == DATA[..., :3]).all()
    assert (result[..., 3:] == NOISE[..., 3:]).all()
    assert result.dtype == np.float32
