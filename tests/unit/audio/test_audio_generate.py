"""Generating, varying and reconstructing sound with tiny networks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests import toy_text
from tests.tiny_audio import FRAMES, HOP_SAMPLES, RATE_HZ, music, sine_model, write_tiny_bundle

from segue.audio.condition import NOTHING, Condition
from segue.audio.generate import (
    PEAK,
    Maker,
    check_seconds,
    generate,
    level_gain,
    reconstruct,
    vary,
)
from segue.audio.loaded import AudioModel
from segue.audio.loudness import Measures, loudness_lufs, measure
from segue.audio.sound import of_array
from segue.errors import SettingError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AudioModel:
    return AudioModel.open(write_tiny_bundle(tmp_path_factory.mktemp("generate") / "b"), threads=1)


def sound_of(model: AudioModel, seconds: float, **choices) -> np.ndarray:
    settings = model.settings(**choices.pop("settings", {}))
    tape = generate(Maker(model, settings, **choices), seconds)
    return tape.read(0, tape.num_samples)


@pytest.mark.parametrize("seconds", [1 / RATE_HZ, 0.001, 0.5, 0.768, 1.0, 3.3])
def test_any_duration(model: AudioModel, seconds: float) -> None:
    found = sound_of(model, seconds)
    assert found.shape == (1, max(1, round(seconds * RATE_HZ)))
    assert np.isfinite(found).all()
    assert 0 < np.abs(found).max() <= PEAK + 1e-6


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e6, 21_601])
def test_impossible_durations_are_refused(model: AudioModel, seconds: float) -> None:
    with pytest.raises(SettingError, match="duration"):
        sound_of(model, seconds)


def test_same_seed_same_sound_another_seed_another(model: AudioModel) -> None:
    first, again, other = (sound_of(model, 2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm++2m", "ddim", "pingpong", "shortcut"])
def test_every_sampler(model: AudioModel, sampler: str) -> None:
    found = sound_of(model, 1, settings={"sampler": sampler, "steps": 2})
    assert np.isfinite(found).all()


def test_labels_and_guidance_matter(model: AudioModel) -> None:
    wanted = [NOTHING, Condition(("jazz",)), Condition(("ROCK",))]
    plain, jazz, rock = (sound_of(model, 1, condition=condition) for condition in wanted)
    guided = sound_of(model, 1, condition=wanted[1], settings={"guidance": 3.0})
    for one, other in ((plain, jazz), (jazz, rock), (jazz, guided)):
        assert not np.allclose(one, other)
    assert np.array_equal(plain, sound_of(model, 1, settings={"guidance": 3.0}))


def test_an_unknown_label_names_the_nearest(model: AudioModel) -> None:
    with pytest.raises(SettingError, match="did you mean Hip-Hop"):
        Maker(model, model.settings(), Condition(("hiphop",)))
    with pytest.raises(SettingError, match="did you mean Hip-Hop"):
        Maker(model, model.settings(guidance=2), negative=Condition(("hiphop",)))


def test_guidance_leads_away_from_what_is_not_wanted(model: AudioModel) -> None:
    jazz, rock = Condition(("jazz",)), Condition(("rock",))

    def sound(guidance: float, **choices: Condition) -> np.ndarray:
        return sound_of(model, 1, settings={"guidance": guidance}, **choices)

    guided, away = sound(3, condition=jazz), sound(3, condition=jazz, negative=rock)
    assert not np.allclose(guided, away)
    # Away from what is wanted is not away at all: both sides say the same.
    same = sound(3, condition=jazz, negative=jazz)
    np.testing.assert_allclose(same, sound(1, condition=jazz), atol=1e-5)
    assert not np.allclose(sound(3, negative=rock), sound(3))
    with pytest.raises(SettingError, match="a guidance of 1 is none"):
        sound(1, condition=jazz, negative=rock)


def test_spread_moves_what_is_drawn_from_the_mean_and_nothing_known(model: AudioModel) -> None:
    channels, frames = model.parts.codec.latent_channels, 24
    known = np.full((channels, frames), 0.5, np.float32)
    mask = np.arange(frames) < 9

    def drawn(spread: float, strength: float = 1.0) -> np.ndarray:
        maker = Maker(model, model.settings(spread=spread))
        base = np.zeros_like(known) if strength < 1 else None
        return maker.drawer.draw(known, mask, start_frame=0, base=base, strength=strength)

    plain, wide = drawn(1.0), drawn(1.5)
    np.testing.assert_array_equal(wide[:, mask], plain[:, mask])
    np.testing.assert_allclose(wide[:, ~mask], 1.5 * plain[:, ~mask], rtol=1e-6)
    plain, wide = drawn(1.0, 0.25), drawn(1.5, 0.25)
    np.testing.assert_allclose(wide[:, ~mask], 1.5**0.25 * plain[:, ~mask], rtol=1e-6)


def test_the_network_runs_once_a_step_without_guidance(model: AudioModel) -> None:
    calls = []

    class Counting:
        inputs, outputs = model.network.inputs, model.network.outputs

        def __call__(self, feeds):
            calls.append(feeds["labels"].tolist())
            return model.network(feeds)

    counted = dataclasses.replace(model, network=Counting())
    for guidance, count in ((1.0, 3), (2.0, 6)):
        calls.clear()
        sound_of(counted, 0.5, condition=Condition(("rock",)), settings={"guidance": guidance})
        assert len(calls) == count
    assert calls[:2] == [[[0, 1, 0]], [[0, 0, 0]]]
    calls.clear()
    sound_of(counted, 0.5, settings={"guidance": 2.0})
    assert len(calls) == 3


def test_texts_matter_alone_and_beside_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = toy_text.ToyTexts()
    toy_text.install(monkeypatch, encoder)
    text = {"encoder": "toy", "dims": toy_text.DIMS}
    model = AudioModel.open(write_tiny_bundle(tmp_path / "b", text=text), threads=1)
    plain = sound_of(model, 2)
    assert encoder.asked == []
    sad = sound_of(model, 2, condition=Condition(text="sad piano"))
    assert encoder.asked == ["sad piano"]
    both = sound_of(model, 2, condition=Condition(("jazz",), "sad piano"))
    label = sound_of(model, 2, condition=Condition(("jazz",)))
    found = [plain, sad, both, label]
    for index, one in enumerate(found):
        assert not any(np.allclose(one, other) for other in found[index + 1 :])


def test_a_negative_seed_is_refused(model: AudioModel) -> None:
    with pytest.raises(SettingError, match="seed"):
        Maker(model, model.settings(), seed=-1)


def test_the_level_is_that_of_the_training_music(model: AudioModel) -> None:
    found = sound_of(model, 5)
    peak = np.abs(found).max()
    assert peak == pytest.approx(PEAK, rel=1e-4) or loudness_lufs(found, RATE_HZ) == (
        pytest.approx(model.parts.audio.loudness_lufs, abs=0.2)
    )


def test_the_gain_keeps_below_the_peak_and_leaves_silence_alone() -> None:
    def gain(lufs: float, peak: float) -> float:
        return level_gain(Measures(1, lufs, peak, 0, 0, 0), -18)

    assert gain(-24, 0.1) == pytest.approx(10 ** (6 / 20))
    assert gain(-24, 0.8) == pytest.approx(PEAK / 0.8)
    assert gain(-10, 0.5) == pytest.approx(10 ** (-8 / 20))
    assert gain(-90, 1e-5) == pytest.approx(10 ** (30 / 20))
    assert gain(float("-inf"), 0) == 1
    assert gain(float("-inf"), 1e-4) == 1


def test_a_long_generation_is_decoded_without_seams(model: AudioModel) -> None:
    """The blocks that come out are those of all latents decoded at once."""
    maker = Maker(model, model.settings())
    codec, spec = model.codec, model.codec.spec
    windows = maker.plan(0, 400, 400)
    assert len(windows) > 5
    nothing = np.zeros((spec.channels, 0), np.float32)
    latents = np.concatenate(
        list(maker.drawer.fill(windows, before=nothing, after=nothing)), axis=1
    )
    tape = generate(maker, 400 * HOP_SAMPLES / RATE_HZ)
    whole = codec.decode(spec.denormalise(latents)) * np.float32(tape.gain)
    np.testing.assert_allclose(tape.read(0, tape.num_samples), whole, atol=1e-4)


def test_progress_counts_every_call_of_the_network(model: AudioModel) -> None:
    import contextlib

    told: list[tuple[str, float | None]] = []
    done: list[float] = []

    @contextlib.contextmanager
    def progress(label, *, total=None):
        told.append((label, total))
        yield lambda count=1: done.append(count)

    generate(Maker(model, model.settings(steps=4), Condition(("Jazz",)), progress=progress), 5)
    assert told == [("generating", sum(done))]
    assert sum(done) == 4 * 9


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.1, float("nan")])
def test_impossible_strengths_are_refused(model: AudioModel, strength: float) -> None:
    with pytest.raises(SettingError, match="strength"):
        vary(Maker(model, model.settings()), of_array(music(1), RATE_HZ), strength)


def test_variation_grows_with_its_strength(model: AudioModel) -> None:
    audio = of_array(music(3), RATE_HZ)
    base = reconstruct(model, audio)
    base.gain = 1.0
    distances = []
    for strength in (0.01, 0.2, 0.9):
        tape = vary(Maker(model, model.settings(steps=4)), audio, strength)
        tape.gain = 1.0
        distances.append(np.square(tape.read(0, 24_000) - base.read(0, 24_000)).mean())
    assert distances == sorted(distances)
    assert distances[0] < 0.05 * distances[2]


def test_variation_is_as_loud_as_what_it_varies(model: AudioModel) -> None:
    audio = music(4, rate_hz=44_100, channels=2) * np.float32(0.1)
    tape = vary(Maker(model, model.settings()), of_array(audio, 44_100), 0.5)
    found = measure(tape.read(0, tape.num_samples), RATE_HZ)
    wanted = loudness_lufs(audio.mean(axis=0, keepdims=True), 44_100)
    assert found.loudness_lufs == pytest.approx(wanted, abs=0.5)
    assert tape.num_samples == 4 * RATE_HZ


@pytest.mark.parametrize("samples", [1, HOP_SAMPLES, 5_000, FRAMES * HOP_SAMPLES * 3 + 7])
@pytest.mark.parametrize("silent", [False, True])
def test_any_length_of_sound_and_silence(model: AudioModel, samples: int, silent: bool) -> None:
    audio = music(3)[:, :samples] * np.float32(not silent)
    for tape in (
        vary(Maker(model, model.settings()), of_array(audio, RATE_HZ), 0.5),
        reconstruct(model, of_array(audio, RATE_HZ)),
    ):
        found = tape.read(0, tape.num_samples)
        assert found.shape == audio.shape
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= 1


def test_reconstruction_takes_the_gain_back() -> None:
    model = sine_model(100.0)
    for gain in (0.02, 1.0):
        audio = music(2) * np.float32(gain)
        found = reconstruct(model, of_array(audio, RATE_HZ)).read(0, audio.shape[1])
        np.testing.assert_allclose(found, audio, rtol=1e-4, atol=1e-6)


def test_a_model_of_one_length(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.tiny_audio import config

    folder = tmp_path_factory.mktemp("fixed") / "b"
    fixed = config(front="waveform")["codec"] | {"length_free": False}
    model = AudioModel.open(
        write_tiny_bundle(
            folder, front="waveform", fills_holes=False, labels=[], objective="ddpm", codec=fixed
        )
    )
    clip = FRAMES * HOP_SAMPLES / RATE_HZ
    settings = {"sampler": "ddpm", "steps": 4}
    assert sound_of(model, clip, settings=settings).shape == (1, FRAMES * HOP_SAMPLES)
    short = sound_of(model, clip / 2, settings=settings)
    assert short.shape == (1, FRAMES * HOP_SAMPLES // 2)
    with pytest.raises(SettingError, match=r"clips of 0\.768 seconds"):
        sound_of(model, clip + 0.1)
    maker = Maker(model, model.settings(**settings))
    assert vary(maker, of_array(music(0.5), RATE_HZ), 0.5).num_samples == 4_000
    with pytest.raises(SettingError, match="no longer ones"):
        vary(maker, of_array(music(2), RATE_HZ), 0.5)
    with pytest.raises(SettingError, match="no longer ones"):
        reconstruct(model, of_array(music(2), RATE_HZ))


def test_durations_in_samples() -> None:
    assert check_seconds(1e-9, 16_000) == 1
    assert check_seconds(2.5, 16_000) == 40_000
