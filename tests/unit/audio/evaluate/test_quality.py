import numpy as np
import pytest

from segue.audio.evaluate.quality import Judge, kernel_distance_of

RATE = 8000


class Bands:
    """Log energies of eight bands, in windows of a quarter of a second."""

    name, rate_hz, dims = "bands", RATE, 8

    def embed(self, audio):
        windows = audio[: len(audio) // 2000 * 2000].reshape(-1, 2000)
        power = np.abs(np.fft.rfft(windows))[:, 1:] ** 2
        return np.log(power.reshape(len(windows), 8, -1).sum(axis=-1) + 1e-3)


def clips(seed, num=24, tilt=0.0):
    """Noise with a random colour, `tilt` more of it for all."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(num):
        noise = np.fft.rfft(rng.normal(size=8000))
        slope = rng.normal() + tilt
        shaped = np.fft.irfft(noise * np.linspace(0.05, 1, len(noise)) ** slope)
        found.append((0.1 * shaped[None] / np.abs(shaped).max()).astype(np.float32))
    return found


def muffled(clip):
    spectrum = np.fft.rfft(clip)
    spectrum[:, 2000:] *= 0.1
    return np.fft.irfft(spectrum).astype(np.float32)


@pytest.fixture(scope="module")
def judge():
    return Judge(clips(0), rate_hz=RATE, embedding=Bands())


def test_more_different_music_is_farther_and_real_music_is_at_the_floor(judge):
    real, near, far = (judge.distance(clips(seed, tilt=t)) for seed, t in ((1, 0), (2, 1), (3, 3)))
    assert real.low < judge.floor.high
    assert judge.floor.high < near.mean < far.mean
    assert real.num_units == 24


def test_a_perfect_codec_is_at_zero_and_a_bad_one_is_not(judge):
    assert judge.ceiling(lambda clip: clip * 0.3).mean == pytest.approx(0, abs=1e-3)
    assert judge.ceiling(muffled).mean > 2 * judge.floor.high


def test_a_report_says_how_many_clips_it_rests_on():
    made = [*clips(1, num=9), np.zeros((1, 8000), np.float32)]
    report = kernel_distance_of(
        made, clips(0), rate_hz=RATE, codec=muffled, embedding=Bands(), seed=3
    )
    assert (report.num_generated, report.num_reference, report.num_silent) == (10, 24, 1)
    assert report.ceiling is not None
    text = str(report)
    assert "10 generated (1 silent) and 24 real clips" in text
    assert "codec alone" in text
    assert "bands" in text


def test_the_same_seed_gives_the_same_report(judge):
    made = judge.embed(clips(5))
    assert judge.report(made) == judge.report(made)
    assert judge.report(made).ceiling is None


def test_reference_clips_of_one_recording_count_once():
    both = [half for clip in clips(0, num=12) for half in (clip[:, :4000], clip[:, 4000:])]
    names = [str(i // 2) for i in range(24)]
    judge = Judge(both, rate_hz=RATE, groups=names, embedding=Bands())
    assert judge.floor.num_recordings == 6
    assert judge.ceiling(lambda clip: clip).mean == pytest.approx(0, abs=1e-6)
