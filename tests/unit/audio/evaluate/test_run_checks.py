"""Every check of a run against an answer that is known beforehand."""

from typing import Any

import numpy as np
import pytest

from segue.audio.diffusion.samplers import SamplerSettings
from segue.audio.diffusion.schedules import FlowSchedule, ScheduleSettings, make_schedule
from segue.audio.evaluate.checks.codec import channel_nats, check_channels, check_round_trip
from segue.audio.evaluate.checks.gaussian import check_sampler
from segue.audio.evaluate.checks.generated import Drawn, check_clips
from segue.audio.evaluate.checks.latents import check_encoder, check_statistics
from segue.audio.evaluate.checks.levels import (
    SHIPPED_CURVE,
    check_levels,
    reference_loss,
    reference_quarters,
    training_times,
)
from segue.audio.evaluate.checks.material import composed
from segue.audio.latents import LatentSpec

DDPM = {"schedule": {"schedule": "ddpm", "num_steps": 500}}
FLOW: dict[str, Any] = {}


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("task", [FLOW, DDPM], ids=["flow", "ddpm"])
@pytest.mark.parametrize("deviation", [1.0, 0.3, 2.0])
def test_the_reference_is_the_error_of_the_best_linear_answer(task: Any, deviation: float) -> None:
    schedule = make_schedule(ScheduleSettings.model_validate(task.get("schedule", {})))
    data, noise = deviation * _rng().standard_normal(200_000), _rng().standard_normal(200_001)[1:]
    for time in (0.1, 0.5, 0.9):
        noisy = schedule.alpha(time) * data + schedule.sigma(time) * noise
        target = noise - data if isinstance(schedule, FlowSchedule) else noise
        factor = (noisy @ target) / (noisy @ noisy)
        error = np.mean((target - factor * noisy) ** 2)
        known = reference_loss(np.array([time]), task, deviation**2)[0]
        assert known == pytest.approx(error, rel=0.02)


def test_the_reference_of_unit_variance_is_one_at_the_ends_and_two_between() -> None:
    assert reference_loss(np.array([0, 0.5, 1]), FLOW) == pytest.approx([1, 2, 1])
    channels = np.array([0.25, 4.0])
    each = [reference_loss(np.array([0.3]), FLOW, level)[0] for level in channels]
    assert reference_loss(np.array([0.3]), FLOW, channels)[0] == pytest.approx(np.mean(each))


def test_times_are_those_of_the_training() -> None:
    times = training_times({"time_mean": 0.0, "time_deviation": 1.0})
    assert np.mean(times < 0.25) == pytest.approx(0.136, abs=2e-3)  # normal below log(1 / 3)
    assert np.unique(training_times(DDPM)).tolist() == [(i + 1) / 500 for i in range(500)]


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (SHIPPED_CURVE, "ok", "the shipped model"),
        ((1.0, 1.95, 0.8, 0.8), "broken", "for times 0.25 to 0.5"),
        ((1.3, 1.7, 1.7, 1.3), "suspicious", "nearer to knowing nothing"),
        ((0.9, 0.5, 0.1, 0.05), "suspicious", "too good"),
        ((np.nan, 0.8, 0.8, 0.8), "ok", "-"),
        ((np.inf, 0.8, 0.8, 0.8), "broken", "not finite"),
    ],
)
def test_losses_by_time_are_judged_against_the_reference(found: Any, state: str, said: str) -> None:
    judged = check_levels(np.array(found), FLOW)
    assert judged.state == state, judged
    assert said in judged.detail


def test_a_run_that_has_just_begun_may_still_be_above() -> None:
    above = reference_quarters(FLOW) * 1.2
    assert check_levels(above, FLOW, share_done=0.1).state == "suspicious"
    assert check_levels(above, FLOW, share_done=0.5).state == "broken"


@pytest.mark.parametrize(
    ("settings", "objective", "state"),
    [
        ({"sampler": "dpm++2m", "steps": 8}, "flow", "ok"),
        ({"sampler": "heun", "steps": 8}, "flow", "ok"),
        ({"sampler": "euler", "steps": 32}, "flow", "ok"),
        ({"sampler": "shortcut", "steps": 1}, "flow", "ok"),
        ({"sampler": "ddpm", "steps": 500}, "ddpm", "ok"),
        ({"sampler": "ddpm", "steps": 1}, "ddpm", "broken"),
        ({"sampler": "euler", "steps": 1}, "flow", "broken"),
        ({"sampler": "pingpong", "steps": 4}, "flow", "not checked"),
    ],
)
def test_samplers_on_a_known_distribution(settings: Any, objective: str, state: str) -> None:
    schedule = make_schedule(ScheduleSettings.model_validate({"schedule": objective}))
    found = check_sampler(SamplerSettings(**settings), schedule, frames=128)[0]
    assert found.state == state, found


@pytest.mark.parametrize(
    ("guidance", "state"), [(1.5, "ok"), (4.0, "ok"), (15.0, "suspicious"), (60.0, "broken")]
)
def test_guidance_that_drives_too_far(guidance: float, state: str) -> None:
    settings = SamplerSettings(sampler="dpm++2m", steps=8, guidance=guidance)
    found = check_sampler(settings, FlowSchedule(), frames=128)
    assert [f.name for f in found] == ["sampler", "guidance"]
    assert found[1].state == state, found[1]


def _spec(scale: float = 1.0, channels: int = 4) -> LatentSpec:
    return LatentSpec.create(
        rate_hz=8000, hop_samples=128, mean=[0.5] * channels, deviation=[0.7 * scale] * channels
    )


def _rows(channels: int = 4) -> list[Any]:
    rng = _rng()
    return [
        (0.5 + 0.7 * rng.standard_normal((channels, 100))).astype(np.float32) for _ in range(20)
    ]


@pytest.mark.parametrize(
    ("scale", "state"), [(1.0, "ok"), (1.4, "suspicious"), (5.0, "broken"), (0.2, "broken")]
)
def test_the_scale_of_latents(scale: float, state: str) -> None:
    found = check_statistics(_rows(), _spec(scale))
    assert found.state == state, found
    told = float(found.detail.partition("median deviation ")[2].split()[0])
    assert told == pytest.approx(1 / scale, rel=0.03)


def test_latents_that_are_no_numbers_or_of_other_channels() -> None:
    odd = _rows()
    odd[3][0, 0] = np.nan
    assert check_statistics(odd, _spec()).detail == "the latents of the data are not finite"
    assert check_statistics(_rows(5), _spec()).state == "broken"
    wild = _rows()
    wild[0][0, 0] = 50.0
    assert check_statistics(wild, _spec()).state == "suspicious"


def test_latents_that_are_not_normalised_on_purpose_are_told() -> None:
    one = LatentSpec.create(rate_hz=8000, hop_samples=128, mean=[0.0] * 4, deviation=[1.0] * 4)
    small = [0.2 * row for row in _rows()]
    found = check_statistics(small, one, normalises=False)
    assert (found.state, found.detail[:14]) == ("suspicious", "not normalised")


def test_encoders_are_told_apart_by_their_hash() -> None:
    info = {"autoencoder": {"name": "mine", "encoder_sha256": "a" * 64}}
    assert check_encoder(info, "a" * 64, name="x").state == "ok"
    assert check_encoder(info, "b" * 64, name="x").state == "broken"
    assert check_encoder(info, None, name="x").state == "not checked"
    assert check_encoder({"autoencoder": {}}, "b" * 64, name="x").state == "not checked"


def test_nats_of_a_channel_are_the_divergence_from_a_standard_normal() -> None:
    mean = np.array([[0.0] * 5, [2.0] * 5, [0.0] * 5], np.float32)
    logs = np.array([[0.0] * 5, [0.0] * 5, [np.log(0.25)] * 5], np.float32)
    expected = [0, 2, 0.5 * (0.25 - 1 - np.log(0.25))]
    assert channel_nats([mean], [logs]) == pytest.approx(expected)


def test_channels_that_carry_nothing_are_named() -> None:
    mean = _rng().standard_normal((5, 50)).astype(np.float32)
    logs = np.full((5, 50), -4.0, np.float32)
    assert check_channels([mean], [logs]).state == "ok"
    mean[3], logs[3] = 0.0, 0.0
    mean[1] = 1.0  # constant: it says something, but always the same
    found = check_channels([mean], [logs])
    assert (found.state, found.detail[-12:]) == ("suspicious", "channel 1, 3")
    assert check_channels([0 * mean], [0 * logs]).state == "broken"
    mean[0, 0] = np.nan
    assert check_channels([mean], [logs]).detail == "the latents are not finite"


@pytest.mark.parametrize(
    ("noise", "state", "said"),
    [(0.001, "ok", ""), (None, "broken", "decodes silence"), (np.nan, "broken", "not finite")],
)
def test_round_trips(noise: float | None, state: str, said: str) -> None:
    sound = composed(samples=8192, rate_hz=8000, channels=1)
    rng = _rng()
    decoded = [
        np.zeros_like(clip)
        if noise is None
        else (clip + noise * rng.standard_normal(clip.shape)).astype(np.float32)
        for clip in sound.clips
    ]
    found = check_round_trip(sound, decoded)
    assert found.state == state, found
    assert said in found.detail


def test_other_music_is_no_round_trip() -> None:
    sound = composed(samples=8192, rate_hz=8000, channels=1)
    assert check_round_trip(sound, sound.clips[::-1]).state != "ok"


def test_the_same_sound_whatever_is_put_in_is_no_round_trip() -> None:
    sound = composed(samples=8192, rate_hz=8000, channels=1)
    found = check_round_trip(sound, [sound.clips[2]] * 4)
    assert found.state == "broken", found


def _clip(scale: float, level: float) -> Drawn:
    rng = _rng()
    latents = (scale * rng.standard_normal((4, 60))).astype(np.float32)
    return Drawn(latents, (level * rng.standard_normal((1, 16_000))).astype(np.float32))


@pytest.mark.parametrize(
    ("clips", "states"),
    [
        ([(1.0, 0.1)] * 4, ("ok", "ok")),
        ([(1.0, 0.1)] * 3 + [(1.0, 0.0)], ("ok", "suspicious")),
        ([(1.0, 0.0)] * 4, ("ok", "broken")),
        ([(0.3, 0.1)] * 4, ("broken", "ok")),
        ([(3.0, 0.1)] * 4, ("broken", "ok")),
        ([(1.6, 0.1)] * 4, ("suspicious", "ok")),
        ([(1.0, 3.0)] * 4, ("ok", "suspicious")),
        ([(1.0, np.nan)] * 4, ("ok", "broken")),
    ],
)
def test_generated_clips(clips: list[tuple[float, float]], states: tuple[str, str]) -> None:
    made = [_clip(*each) for each in clips]
    found = check_clips(made, rate_hz=8000, loudness_lufs=-20)
    assert tuple(f.state for f in found) == states, found


def test_latents_that_are_not_finite_are_broken() -> None:
    assert check_clips([_clip(np.nan, 0.1)], rate_hz=8000, loudness_lufs=-20)[0].state == "broken"
