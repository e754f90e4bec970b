import numpy as np
import pytest

from segue.audio.evaluate.reconstruction import (
    MEASURES,
    baseline_audio,
    baseline_log_spectral_distance,
    log_spectral_distance,
    measures,
    mel_distance,
    multi_resolution_stft,
    reconstruction_table,
    resampled_spectrum,
    si_sdr,
)
from segue.errors import DataError, SettingError

RATE = 16_000


def music(seed=0, seconds=1.0, channels=1):
    """Some decaying tones over a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    sound = 0.005 * rng.normal(size=(channels, len(time)))
    for _ in range(6):
        start, hz = rng.uniform(0, seconds / 2), rng.uniform(100, 3000)
        sound += 0.1 * np.sin(2 * np.pi * hz * time) * np.exp(-6 * np.abs(time - start))
    return sound.astype(np.float32)


def test_a_perfect_reconstruction_scores_nothing():
    found = measures(music(), music(), RATE)
    assert tuple(found) == MEASURES
    assert found["stft"] == found["mel"] == found["log_spectral_db"] == 0
    assert found["si_sdr_db"] > 60


def test_more_noise_is_worse_in_every_measure():
    clean = music()
    noise = np.random.default_rng(1).normal(size=clean.shape).astype(np.float32)
    rows = [measures(clean, clean + size * noise, RATE) for size in (0.001, 0.01, 0.1)]
    for name in MEASURES:
        values = [row[name] for row in rows]
        assert values == sorted(values, reverse=name == "si_sdr_db")


def test_a_level_of_half_is_six_decibels_and_known_logarithms():
    clean = np.random.default_rng(0).normal(size=(1, RATE)).astype(np.float32) * 0.3
    assert log_spectral_distance(clean, clean / 2) == pytest.approx(20 * np.log10(2), rel=1e-3)
    assert mel_distance(clean, clean / 2, RATE) == pytest.approx(7 * np.log10(2), rel=1e-3)
    assert multi_resolution_stft(clean, clean / 2) == pytest.approx(0.5 + np.log(2), rel=1e-3)
    assert si_sdr(clean, clean / 2) > 60


def test_si_sdr_of_known_noise_is_the_ratio_of_powers():
    rng = np.random.default_rng(0)
    clean, noise = rng.normal(size=(2, 1, 200_000))
    assert si_sdr(clean, clean + noise / 10) == pytest.approx(20, abs=0.05)
    assert si_sdr(clean, 7 * clean + 0.7 * noise + 3) == pytest.approx(20, abs=0.05)
    assert si_sdr(clean, noise) < -30


def test_levels_below_the_floor_do_not_count_in_the_log_spectral_distance():
    loud = music()
    faint = 1e-6 * np.random.default_rng(0).normal(size=loud.shape).astype(np.float32)
    assert log_spectral_distance(np.zeros_like(loud), faint) == 0
    assert log_spectral_distance(loud, loud + faint) < 0.1


def test_what_a_codec_adds_at_the_end_is_cut_off():
    clean = music()
    longer = np.pad(clean, ((0, 0), (0, 300)), mode="reflect")
    assert measures(clean, longer, RATE)["stft"] == 0


@pytest.mark.parametrize(
    ("reference", "estimate"),
    [
        (music(), music()[:, :-1]),
        (music(), music(channels=2)),
        (music()[0], music()[0]),
        (np.zeros((1, RATE)), music()),
        (music(), np.full((1, RATE), np.nan)),
    ],
)
def test_what_cannot_be_compared_is_an_error(reference, estimate):
    with pytest.raises(DataError):
        measures(reference, estimate, RATE)


def test_the_baseline_halves_a_spectrogram_by_averaging_and_stretches_it_linearly():
    line = np.array([[[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]]])
    expected = [1, 2, 4, 6, 8, 9]
    np.testing.assert_allclose(resampled_spectrum(line, "frequency")[0, 0], expected)
    turned = line.transpose(0, 2, 1)
    np.testing.assert_allclose(resampled_spectrum(turned, "time")[0, :, 0], expected)
    np.testing.assert_allclose(resampled_spectrum(turned, "frequency"), turned)


def test_the_baseline_keeps_what_is_even_and_blurs_what_is_not():
    even = np.full((2, 7, 9), 3.0)
    np.testing.assert_allclose(resampled_spectrum(even), even)
    comb = np.tile([0.0, 1.0], (1, 4, 5))
    np.testing.assert_allclose(resampled_spectrum(comb), 0.5)


def test_the_baseline_as_sound_is_as_long_and_resembles_the_original():
    clean = music(seconds=1.01, channels=2)
    made = baseline_audio(clean)
    assert made.shape == clean.shape
    assert 5 < si_sdr(clean, made) < 30
    along_time = si_sdr(clean, baseline_audio(clean, "time"))
    assert along_time > si_sdr(clean, made)
    assert baseline_log_spectral_distance(clean) > baseline_log_spectral_distance(clean, "time") > 0


class Quantiser:
    """Rounds samples to so many bits."""

    def __init__(self, bits):
        self.bits = bits

    @property
    def kbit_per_second(self):
        return self.bits * RATE / 1000

    def __call__(self, audio):
        steps = 2.0 ** (self.bits - 1)
        return np.round(audio * steps).astype(np.float32) / np.float32(steps)


def test_a_table_compares_codecs_on_the_same_recordings():
    clips = [music(seed) for seed in range(4)]
    seen = []
    codecs = {"12 bits": Quantiser(12), "6 bits": Quantiser(6), "nothing": seen_by(seen)}
    rows = reconstruction_table(codecs, clips, rate_hz=RATE, groups=["a", "a", "b", "c"])
    assert [row.name for row in rows] == list(codecs)
    assert [row.kbit_per_second for row in rows] == [192, 96, None]
    assert len(seen) == 4
    assert all(row.num_clips == 4 and row.measures["mel"].num_units == 3 for row in rows)
    assert rows[0].measures["si_sdr_db"].low > rows[1].measures["si_sdr_db"].high
    first = measures(clips[0], codecs["6 bits"](clips[0]), RATE)["mel"]
    second = measures(clips[1], codecs["6 bits"](clips[1]), RATE)["mel"]
    others = [measures(clip, codecs["6 bits"](clip), RATE)["mel"] for clip in clips[2:]]
    expected = np.mean([(first + second) / 2, *others])
    assert rows[1].measures["mel"].mean == pytest.approx(expected)


def seen_by(seen):
    def codec(clip):
        seen.append(clip)
        return clip

    return codec


def test_an_empty_table_is_an_error():
    with pytest.raises(SettingError, match="at least one codec"):
        reconstruction_table({}, [music()])
    with pytest.raises(SettingError, match="one group per clip"):
        reconstruction_table({"a": Quantiser(8)}, [music()], groups=["a", "b"])
