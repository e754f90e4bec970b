import numpy as np
import pytest
from scipy.stats import kstest

from segue.audio.diffusion.noise import NOISE_BLOCK_FRAMES, FrameNoise, noise
from segue.errors import SettingError


def test_windows_see_the_same_noise_at_the_same_frames() -> None:
    whole = noise(5, (1, 3, 400), start_frame=-100)
    for start, frames in ((-100, 1), (-37, 200), (0, 64), (63, 2), (299, 1)):
        window = noise(5, (1, 3, frames), start_frame=start)
        assert (window == whole[:, :, start + 100 : start + 100 + frames]).all()


def test_an_item_is_the_same_in_every_batch() -> None:
    batch = noise(5, (4, 2, 90))
    assert (noise(5, (2, 2, 90), first_item=2) == batch[2:]).all()
    assert not (batch[0] == batch[1]).any()


def test_seeds_draws_and_blocks_are_independent() -> None:
    size = (1, 8, 4 * NOISE_BLOCK_FRAMES)
    first = noise(1, size)
    blocks = first.reshape(8, 4, NOISE_BLOCK_FRAMES).transpose(1, 0, 2).reshape(4, -1)
    others = [noise(2, size), noise(1, size, draw=1), noise(1, size, first_item=1)]
    rows = np.concatenate([blocks, *[other.reshape(4, -1) for other in others]])
    assert np.abs(np.corrcoef(rows) - np.eye(len(rows))).max() < 0.2
    assert kstest(rows.ravel(), "norm").pvalue > 0.01


def test_noise_is_float32_and_any_size() -> None:
    assert noise(0, (1, 1, 1)).dtype == np.float32
    assert noise(0, (2, 3, 0)).shape == (2, 3, 0)
    assert noise(0, (0, 3, 5)).shape == (0, 3, 5)


def test_a_source_gives_new_noise_each_time_and_repeats_itself() -> None:
    one, two = FrameNoise(3, start_frame=10), FrameNoise(3, start_frame=20)
    first, second = one.standard_normal((1, 2, 30)), one.standard_normal((1, 2, 30))
    assert not (first == second).any()
    assert (two.standard_normal((1, 2, 30))[:, :, :20] == first[:, :, 10:]).all()
    assert (two.standard_normal((1, 2, 30))[:, :, :20] == second[:, :, 10:]).all()
    assert one.draw == 2


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SettingError, match="seed"):
        noise(-1, (1, 1, 5))
