"""Lines at multiples of a rate are found in a hiss, and none where there are none."""

import numpy as np
import pytest

from segue.audio.evaluate.tones import hiss, tones_db
from segue.errors import SettingError


def test_a_hiss_has_no_lines():
    assert tones_db(hiss(320_000), period_samples=256) < 10


@pytest.mark.parametrize("line", [3, 7, 40])
def test_a_weak_buzz_is_found(line: int):
    noise = hiss(320_000)
    tone = 0.008 * np.sin(2 * np.pi * line * np.arange(320_000) / 256)
    found = tones_db(noise + tone.astype(np.float32), period_samples=256)
    assert found > tones_db(noise, period_samples=256) + 6


def test_too_short_is_refused():
    with pytest.raises(SettingError, match="too few"):
        tones_db(hiss(1000), period_samples=256)
