"""Resampling: how a stream is cut changes nothing, and lengths are exact."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.audio.signal import resample, resample_blocks

RATES = st.sampled_from([8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])


@settings(max_examples=60)
@given(
    from_hz=RATES,
    to_hz=RATES,
    channels=st.integers(1, 3),
    num_frames=st.integers(0, 30_000),
    cuts=st.lists(st.integers(0, 30_000), max_size=6),
    seed=st.integers(0, 99),
)
def test_cuts_change_nothing(
    from_hz: int, to_hz: int, channels: int, num_frames: int, cuts: list[int], seed: int
) -> None:
    frames = np.random.default_rng(seed).standard_normal((num_frames, channels)).astype(np.float32)
    blocks = np.split(frames, sorted(min(cut, num_frames) for cut in cuts))
    parts = [frames[:0], *resample_blocks(blocks, from_hz, to_hz, channels)]
    whole = resample(frames.T, from_hz, to_hz)
    assert np.array_equal(np.concatenate(parts).T, whole)
    assert abs(whole.shape[1] - num_frames * to_hz / from_hz) <= 0.5
