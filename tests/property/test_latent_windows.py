"""Windows over latents: every frame drawn once, each window fed with what is known by then."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segue.audio.windows import OVERLAP_SHARE, plan, plan_backwards

SIZES = {
    "before": st.integers(0, 300),
    "hole": st.integers(1, 1000),
    "after": st.integers(0, 300),
    "frames": st.integers(1, 120),
    "patch": st.sampled_from([1, 2, 4]),
}


@given(**SIZES)
def test_every_frame_is_drawn_once_in_order(before, hole, after, frames, patch) -> None:
    total = before + hole + after
    windows = plan(before, before + hole, total, frames=frames, patch=patch)
    drawn = np.concatenate([np.arange(window.first, window.last) for window in windows])
    assert np.array_equal(drawn, np.arange(before, before + hole))
    for window in windows:
        assert 0 <= window.start <= window.first < window.last <= window.stop
        assert (window.stop - window.start) % patch == 0
        assert window.stop - window.start <= frames * 1.125 + patch
        assert window.stop <= total + patch


@given(**SIZES)
def test_windows_see_what_is_known(before, hole, after, frames, patch) -> None:
    total = before + hole + after
    overlap = min(frames - 1, max(1, int(frames * OVERLAP_SHARE)))
    windows = plan(before, before + hole, total, frames=frames, patch=patch)
    for window in windows:
        assert window.first - window.start >= min(window.first, overlap)
    if frames > 2 * overlap:  # else no window has room for both sides and a frame of its own
        assert windows[-1].stop - windows[-1].last >= min(after, overlap)


@given(hole=SIZES["hole"], after=SIZES["after"], frames=SIZES["frames"], patch=SIZES["patch"])
def test_backwards_is_forwards_in_a_mirror(hole, after, frames, patch) -> None:
    windows = plan_backwards(hole, hole + after, frames=frames, patch=patch)
    drawn = [np.arange(window.first, window.last) for window in reversed(windows)]
    assert np.array_equal(np.concatenate(drawn), np.arange(hole))
    assert windows[0].last == hole
    assert all(window.stop <= hole + after for window in windows)


def test_ten_seconds_are_one_window() -> None:
    assert len(plan(0, 313, 313, frames=312)) == 1
    assert len(plan(0, 312, 312, frames=312)) == 1
    assert len(plan(0, 400, 400, frames=312)) == 2
