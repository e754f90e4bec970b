import json

import numpy as np
import pytest
from tests.sounds import noise, tone

from segue.audio.evaluate.health import clip_health, collection_health
from segue.errors import DataError, SettingError

RATE = 16_000


def clip(frames):
    return np.asarray(frames, np.float32)[None]


def test_a_sine_is_measured():
    found = clip_health(clip(tone(2, hz=1000, level=0.5)), RATE)
    assert found.seconds == 2
    assert found.peak == pytest.approx(0.5, abs=1e-3)
    assert found.high_share == pytest.approx(0, abs=1e-6)
    assert found.bandwidth_hz == pytest.approx(1000, abs=2)
    assert found.offset == pytest.approx(0, abs=1e-3)
    assert (found.silent_share, found.clipped_share) == (0, 0)
    assert not any((found.is_silent, found.is_clipped, found.has_offset))


def test_the_share_of_treble_is_that_of_the_power():
    both = tone(1, hz=500, level=0.2) + tone(1, hz=6000, level=0.1)
    assert clip_health(clip(both), RATE).high_share == pytest.approx(0.2, abs=1e-3)
    white = clip_health(clip(noise(4)), RATE)
    assert white.high_share == pytest.approx(0.5, abs=0.02)
    assert white.bandwidth_hz == pytest.approx(0.99 * RATE / 2, rel=0.01)
    quieter = clip_health(clip(0.01 * both), RATE)
    assert quieter.high_share == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        (np.zeros(RATE), "is_silent"),
        (1e-5 * noise(1), "is_silent"),
        (np.concatenate([noise(0.05), np.zeros(RATE)]), "is_silent"),
        (np.clip(4 * tone(1, level=1.0), -1, 1), "is_clipped"),
        (0.05 + tone(1), "has_offset"),
    ],
)
def test_each_fault_is_seen_and_no_other(frames, fault):
    found = clip_health(clip(frames), RATE)
    faults = {name for name in ("is_silent", "is_clipped", "has_offset") if getattr(found, name)}
    assert faults == {fault}


def test_an_offset_is_no_bass():
    assert clip_health(clip(0.5 + 0.01 * tone(1, hz=6000)), RATE).high_share == pytest.approx(1)


def test_a_collection_has_rates_with_intervals_over_recordings():
    clips = [clip(np.zeros(RATE))] * 4 + [clip(tone(1, hz=300 + 10 * i)) for i in range(12)]
    found = collection_health(clips, rate_hz=RATE)
    assert found.silent_rate.mean == 0.25
    assert 0 < found.silent_rate.low < 0.25 < found.silent_rate.high < 0.6
    assert found.clipped_rate.mean == found.offset_rate.mean == 0
    assert found.num_clips == 16
    assert found.loudness_lufs.num_units == 12
    assert found.loudness_quantiles == tuple(sorted(found.loudness_quantiles))
    groups = ["silent"] * 4 + [f"g{i // 6}" for i in range(12)]
    grouped = collection_health(clips, rate_hz=RATE, groups=groups)
    assert grouped.silent_rate.mean == 0.25
    assert grouped.silent_rate.num_units == 3
    assert collection_health(clips, rate_hz=RATE) == found
    assert "Infinity" not in json.dumps(found.to_dict())


def test_a_collection_of_silence_has_no_loudness():
    found = collection_health([clip(np.zeros(RATE))] * 3, rate_hz=RATE)
    assert found.silent_rate.mean == 1
    assert found.loudness_lufs is None
    assert found.high_share is None
    assert found.loudness_quantiles == ()


def test_a_gain_moves_the_loudness_by_its_decibels():
    clips = [clip(noise(1, seed)) for seed in range(3)]
    plain = collection_health(clips, rate_hz=RATE).loudness_lufs.mean
    louder = collection_health([2 * one for one in clips], rate_hz=RATE).loudness_lufs.mean
    assert louder - plain == pytest.approx(20 * np.log10(2), abs=0.01)


def test_what_cannot_be_measured_is_said():
    with pytest.raises(SettingError):
        collection_health([], rate_hz=RATE)
    with pytest.raises(SettingError):
        collection_health([clip(noise(1))], rate_hz=RATE, groups=["a", "b"])
    for wrong in (np.zeros((1, 0), np.float32), np.full((1, 9), np.nan, np.float32), np.zeros(5)):
        with pytest.raises(DataError):
            clip_health(wrong, RATE)
