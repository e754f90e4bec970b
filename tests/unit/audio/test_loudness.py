"""Loudness, peak, silence: closed forms, and blocks that change nothing."""

import math

import numpy as np
import pytest
from tests.sounds import noise, tone

from segue.audio.loudness import Measures, SignalMeter, loudness_lufs, measure, silent_share


def audio_of(*channels: np.ndarray) -> np.ndarray:
    return np.stack(channels).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000, 96_000])
def test_the_tone_that_defines_the_scale(rate_hz: int) -> None:
    # BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LKFS. The filters are made for
    # 48 kHz; at 16 kHz the bilinear transform bends them by 0.04 dB there.
    full = audio_of(tone(5, rate_hz=rate_hz, hz=997, level=1.0))
    assert loudness_lufs(full, rate_hz) == pytest.approx(-3.01, abs=0.05)
    both = np.concatenate([full, full])
    assert loudness_lufs(both, rate_hz) == pytest.approx(0.0, abs=0.05)


def test_half_as_large_is_six_decibels_less() -> None:
    audio = audio_of(noise(3))
    assert loudness_lufs(audio / 2, 16_000) - loudness_lufs(audio, 16_000) == pytest.approx(-6.0206)


def test_silence_does_not_count_for_the_gate_either() -> None:
    # Counted in, the silence would lower the mean, and with it the gate that the soft part fails.
    loud, soft, silence = noise(2), 0.17 * noise(2, 1), 1e-5 * noise(36, 2)
    alone = loudness_lufs(audio_of(loud), 16_000)
    together = loudness_lufs(audio_of(np.concatenate([loud, soft, silence])), 16_000)
    assert together == pytest.approx(alone, abs=0.8)


def test_a_part_ten_decibels_below_the_mean_does_not_count() -> None:
    loud, soft = noise(8), 0.1 * noise(8, 1)
    alone = loudness_lufs(audio_of(loud), 16_000)
    assert loudness_lufs(audio_of(np.concatenate([loud, soft])), 16_000) == pytest.approx(
        alone, abs=0.2
    )


@pytest.mark.parametrize("count", [0, 1, 100, 1600, 5000, 6399])
def test_less_than_a_block(count: int) -> None:
    found = measure(audio_of(tone(1, level=0.5)[:count]), 16_000)
    assert found.num_samples == count
    assert found.silent_share == (0.0 if count > 1 else 1.0)
    assert math.isfinite(found.loudness_lufs) == (count > 1)


def test_silence() -> None:
    found = measure(np.zeros((2, 48_000), np.float32), 16_000)
    assert found == Measures(48_000, -math.inf, 0.0, -math.inf, 1.0, 0.0)


def test_peak_and_clipping() -> None:
    frames = np.clip(tone(1, level=4.0), -1, 1)
    found = measure(audio_of(frames, 0 * frames), 16_000)
    assert found.peak == 1.0
    assert found.peak_dbfs == 0.0
    assert found.clipped_share == pytest.approx((np.abs(frames) >= 0.999).mean() / 2)
    assert measure(audio_of(tone(1, level=0.5)), 16_000).clipped_share == 0.0


def test_the_share_of_silence_is_that_of_windows() -> None:
    frames = np.concatenate([tone(3), 0 * tone(1), 5e-4 * tone(1)])  # the last at -73 dBFS
    assert silent_share(audio_of(frames), 16_000) == pytest.approx(0.4)
    assert measure(audio_of(frames), 16_000).silent_share == pytest.approx(0.4)
    assert silent_share(audio_of(2e-3 * tone(1) / 0.3), 16_000) == 0.0  # -57 dBFS
    assert silent_share(audio_of(1.3e-3 * tone(1) / 0.3), 16_000) == 1.0  # -61 dBFS


def test_how_a_recording_is_cut_makes_no_difference(rng: np.random.Generator) -> None:
    audio = audio_of(noise(3), tone(3))
    wanted = measure(audio, 16_000)
    for _ in range(5):
        cuts = np.sort(rng.integers(0, audio.shape[1], 12))
        meter = SignalMeter(16_000, 2)
        for block in np.split(audio, cuts, axis=1):
            meter.add(block)
        found = meter.result()
        assert found == pytest.approx(wanted, rel=1e-9)


def test_a_gain_afterwards_is_a_gain_before() -> None:
    audio = audio_of(noise(3), tone(3))
    meter = SignalMeter(16_000, 2)
    meter.add(audio)
    assert meter.result(0.25)[:5] == pytest.approx(measure(audio * 0.25, 16_000)[:5], rel=1e-6)
