"""Pictures of recordings."""

import io

import numpy as np
import pytest
from tests.tiny_audio import RATE_HZ, music

from segue.audio.overview import overview
from segue.audio.sound import of_array
from segue.errors import SettingError
from segue.plots import style
from segue.plots.waveform import waveform


def test_columns_hold_the_extremes_and_the_spectrum() -> None:
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time) + 0.1
    wave = np.where(time < 1, tone, 0).astype(np.float32)[None]
    seen = overview(of_array(wave, RATE_HZ), columns=20)
    np.testing.assert_allclose(seen.high[:10], 0.6, atol=0.01)
    np.testing.assert_allclose(seen.low[:10], -0.4, atol=0.01)
    assert not seen.high[10:].any()
    assert (seen.decibels[:, 1:9].argmax(axis=0) == 128).all()
    np.testing.assert_allclose(seen.decibels[:, 1:9].max(axis=0), 20 * np.log10(0.5), atol=0.1)
    assert seen.decibels[:, 12:].max() < -100


@pytest.mark.parametrize("samples", [1, 3, 2000])
def test_short_recordings_have_fewer_columns(samples: int) -> None:
    seen = overview(of_array(music(1)[:, :samples], RATE_HZ))
    assert len(seen.low) == len(seen.high) == seen.decibels.shape[1] == min(samples, 1000)


@pytest.mark.parametrize("new", [(), ((0.0, 2.0),), ((0.5, 0.9), (1.5, 2.0))])
def test_what_is_new_is_marked(new: tuple[tuple[float, float], ...]) -> None:
    seen = overview(of_array(music(2), RATE_HZ), columns=100)
    figure = waveform(*seen, seconds=2, highest_hz=RATE_HZ / 2, new=new, title="A title")
    above, below = figure.axes
    colours = {tuple(band.get_facecolor()[0][:3]) for band in above.collections}
    import matplotlib.colors

    wanted = matplotlib.colors.to_rgb(style.NEW_COLOUR)
    assert any(np.allclose(colour, wanted) for colour in colours) == bool(new)
    assert len(below.lines) == 2 * len(new)
    assert above.get_title(loc="left") == "A title"
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    assert stream.getvalue()[:4] == b"\x89PNG"


def test_silence_and_one_sample_can_be_drawn() -> None:
    for wave in (np.zeros((2, 5000), np.float32), np.ones((1, 1), np.float32)):
        sound = of_array(wave, RATE_HZ)
        figure = waveform(*overview(sound), seconds=wave.shape[1] / RATE_HZ, highest_hz=4000)
        figure.savefig(io.BytesIO(), format="png")


def test_arrays_that_do_not_fit_are_refused() -> None:
    ten = np.zeros(10, np.float32)
    for low, high, spectra in ((ten[:0], ten[:0], ten[None]), (ten, ten[:9], np.zeros((3, 10)))):
        with pytest.raises(SettingError, match="as many low"):
            waveform(low, high, spectra, seconds=1, highest_hz=100)
