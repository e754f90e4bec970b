"""Loudness against pyloudnorm, whose filters are run sample by sample by SciPy."""

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.audio.loudness import loudness_lufs


@settings(max_examples=25)
@given(
    rate_hz=st.sampled_from([8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000]),
    channels=st.sampled_from([1, 2]),
    tenths=st.integers(4, 60),
    levels=st.lists(st.sampled_from([1.0, 0.3, 0.1, 0.01, 1e-4, 0.0]), min_size=1, max_size=6),
    seed=st.integers(0, 9),
)
def test_loudness_is_that_of_pyloudnorm(
    rate_hz: int, channels: int, tenths: int, levels: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((tenths * rate_hz // 10, channels)) * 0.2
    frames = np.cumsum(frames, axis=0) * 0.02 if seed % 2 else frames
    frames *= np.repeat(levels, -(-len(frames) // len(levels)))[: len(frames), None]
    # DeMan's are the filters of the standard; pyloudnorm's own defaults differ from them.
    with np.errstate(divide="ignore"):
        wanted = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(frames)
    found = loudness_lufs(frames.T.astype(np.float32), rate_hz)
    assert found == pytest.approx(wanted, abs=1e-4)
