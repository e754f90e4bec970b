"""Planted copies are found wherever they were put; what is not from the training music is not."""

import json

import numpy as np
import pytest

from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.memory import (
    Match,
    embedding_matches,
    memorisation,
    spectral_matches,
)
from segue.errors import DataError, SettingError

RATE = 16_000


def tune(seed, seconds=12.0):
    """Notes of a random melody with harmonics and a beat of noise."""
    rng = np.random.default_rng([5, seed])
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(time))
    start = 0.0
    while start < seconds:
        length, pitch = rng.uniform(0.15, 0.6), rng.integers(40, 80)
        inside = (time >= start) & (time < start + length)
        local = time[inside] - start
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        for part in range(1, 6):
            wave = np.sin(2 * np.pi * hertz * part * local) * np.exp(-4 * local)
            sound[inside] += 0.2 / part * wave
        start += length
    beat = (time % rng.uniform(0.3, 0.7)) < 0.03
    sound += 0.1 * beat * rng.standard_normal(len(time))
    return sound[None].astype(np.float32)


TRAINING = [(f"t{seed}", tune(seed)) for seed in range(12)]


def cut(number, start_s, seconds=5.0):
    first = round(start_s * RATE)
    return TRAINING[number][1][:, first : first + round(seconds * RATE)]


def noise(seed, seconds=5.0):
    rng = np.random.default_rng([9, seed])
    return (0.1 * rng.standard_normal((1, round(seconds * RATE)))).astype(np.float32)


def matches(clips, **options):
    return spectral_matches(clips, TRAINING, rate_hz=RATE, **options)


@pytest.fixture(scope="module")
def real():
    """Matches of music that is not in the training music."""
    return matches([tune(100 + seed, 5.0) for seed in range(20)])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("as it is", lambda a: a),
        ("quiet", lambda a: 0.05 * a),
        ("upside down", lambda a: -a),
        ("late", lambda a: np.pad(a, ((0, 0), (777, 0)))),
        ("hissing", lambda a: a + 0.05 * a.std() * noise(0)[:, : a.shape[1]] / 0.1),
        ("fading", lambda a: a * np.linspace(1, 0.1, a.shape[1], dtype=np.float32)),
        ("stereo", lambda a: np.concatenate([a, a])),
    ],
)
@pytest.mark.parametrize(("number", "start_s"), [(3, 0.0), (7, 4.321)])
def test_a_copy_is_found_where_it_is(real, name, change, number, start_s):
    (found,) = matches([change(cut(number, start_s)).astype(np.float32)])
    assert found.recording == f"t{number}"
    assert found.closeness > max(match.closeness for match in real), name
    delay = 777 / RATE if name == "late" else 0
    assert found.recording_s - found.clip_s == pytest.approx(start_s - delay, abs=0.07)


def test_an_exact_copy_in_step_has_a_correlation_of_one():
    (found,) = matches([cut(4, 1.024)])
    assert found.closeness == pytest.approx(1, abs=2e-3)


def test_a_copy_of_three_seconds_within_a_clip_is_found(real):
    clip = noise(3, 8.0)
    clip[:, 2 * RATE : 6 * RATE] = cut(2, 3.0, 4.0)
    (found,) = matches([clip])
    assert found.recording == "t2"
    assert found.closeness > max(match.closeness for match in real)


def test_noise_silence_and_other_music_are_not_copies(real):
    found = matches([noise(seed) for seed in range(4)] + [np.zeros((1, 5 * RATE), np.float32)])
    level = np.quantile([match.closeness for match in real], 0.95)
    assert all(match.closeness < level for match in found)
    assert found[4] == Match(4, "", 0.0)
    assert max(match.closeness for match in real) < 0.9


def test_pauses_in_common_are_no_copy(real):
    """The same course of loudness, of two noises that have nothing else in common."""
    rng = np.random.default_rng(4)
    gate = 0.1 * np.repeat(rng.random(40) < 0.5, RATE // 8) + 1e-3
    clip, other = (gate * rng.standard_normal((2, 1, len(gate)))).astype(np.float32)
    (found,) = spectral_matches([clip], [("other", other)], rate_hz=RATE)
    assert found.closeness < np.quantile([match.closeness for match in real], 0.95)


def test_long_training_recordings_are_searched_to_their_end():
    """Longer than one transform, so that blocks must join without a gap."""
    long = np.concatenate([tune(50 + seed, 30.0) for seed in range(3)], axis=1)
    for start_s in (0.0, 61.3, 63.0, 64.0, 65.0, 86.9):
        first = round(start_s * RATE)
        clip = long[:, first : first + 3 * RATE]  # one patch
        (found,) = spectral_matches([clip], [("short", tune(1, 1.0)), ("long", long)], rate_hz=RATE)
        assert found.recording == "long"
        assert found.recording_s - found.clip_s == pytest.approx(start_s, abs=0.07)


def test_the_rate_makes_no_difference_to_times():
    half = [(name, audio[:, ::2]) for name, audio in TRAINING[:4]]
    (found,) = spectral_matches([cut(2, 3.0)[:, ::2]], half, rate_hz=RATE // 2)
    assert found.recording == "t2"
    assert found.recording_s - found.clip_s == pytest.approx(3.0, abs=0.07)


def test_flags_are_those_beyond_real_clips(real):
    copies = [cut(number, 2.5) for number in range(8)]
    found = memorisation("spectral", matches([*copies, *(noise(s) for s in range(8))]), real)
    assert found.flag_rate.mean == 0.5
    assert 0.2 < found.flag_rate.low < 0.5 < found.flag_rate.high < 0.8
    assert {match.clip for match in found.flagged} == set(range(8))
    assert [m.closeness for m in found.flagged] == sorted(
        (m.closeness for m in found.flagged), reverse=True
    )
    assert json.loads(json.dumps(found.to_dict()))["num_real"] == 20
    assert memorisation("spectral", real, real).flag_rate.mean == 0.05


def test_clips_of_one_recording_are_drawn_together():
    rng = np.random.default_rng(3)
    offsets = np.repeat(rng.normal(size=40), 5)
    held, made = (
        [Match(i, "t", float(value)) for i, value in enumerate(values)]
        for values in (offsets, rng.normal(size=2000))
    )
    alone = memorisation("embedding", made, held).flag_rate
    names = [f"r{number}" for number in np.repeat(np.arange(40), 5)]
    found = memorisation("embedding", made, held, recordings=names).flag_rate
    assert found.mean == alone.mean
    assert found.high - found.low > 1.5 * (alone.high - alone.low)
    own = [str(number) for number in range(200)]
    width = memorisation("embedding", made, held, recordings=own).flag_rate
    assert width.high - width.low == pytest.approx(alone.high - alone.low, rel=0.3)
    with pytest.raises(SettingError, match="200 real clips and 1 recordings"):
        memorisation("embedding", made, held, recordings=["x"])


def test_the_same_call_gives_the_same_numbers(real):
    assert memorisation("spectral", real, real) == memorisation("spectral", real, real)
    assert matches([cut(1, 1.0)]) == matches([cut(1, 1.0)])


def points(rng, names, windows=4, shift=0.0):
    groups = np.repeat(names, windows)
    return EmbeddedClips(rng.normal(size=(len(groups), 8)) + shift, groups, len(names))


def test_the_nearest_training_recording_in_an_embedding():
    rng = np.random.default_rng(0)
    training = points(rng, [f"t{i}" for i in range(30)])
    held_out = embedding_matches(points(rng, [f"h{i:02d}" for i in range(40)]), training)
    copied = EmbeddedClips(
        np.concatenate([training.of(["t7"]).vectors + 0.01, rng.normal(size=(4, 8))]),
        np.repeat(["a", "b"], 4),
        2,
    )
    first, second = embedding_matches(copied, training)
    assert (first.clip, first.recording) == (0, "t7")
    assert first.closeness == pytest.approx(-0.01 * np.sqrt(8))
    assert second.closeness < -0.5
    found = memorisation("embedding", [first, second], held_out)
    assert {match.clip for match in found.flagged} == {0}
    same = memorisation("embedding", held_out, held_out)
    assert same.flag_rate.mean == pytest.approx(0.05)
    far = embedding_matches(points(rng, ["f0", "f1"], shift=20.0), training)
    assert memorisation("embedding", far, held_out).flag_rate.mean == 0


def test_what_cannot_be_compared_is_said(real):
    with pytest.raises(DataError, match="20 real"):
        memorisation("spectral", real, real[:5])
    with pytest.raises(SettingError, match="shorter"):
        matches([cut(0, 0.0, 1.0)])
    with pytest.raises(SettingError, match="needs a clip"):
        matches([])
    rng = np.random.default_rng(0)
    other = EmbeddedClips(np.zeros((2, 3)), np.array(["a", "b"]), 2)
    with pytest.raises(DataError, match="differently"):
        embedding_matches(points(rng, ["a"]), other)
