"""A known spectrum is measured as what it is, whatever the blocks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.audio.data.bands import BAND_NAMES, LOWEST_DB, LongTermSpectrum

RATE = 44_100


def noise_below(hz: float, seconds: float = 4.0) -> NDArray[np.float32]:
    """White noise that ends at a frequency."""
    values = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    spectrum = np.fft.rfft(values)
    spectrum[np.fft.rfftfreq(len(values), 1 / RATE) > hz] = 0
    sound = np.fft.irfft(spectrum, len(values))
    return (0.1 * sound / sound.std()).astype(np.float32)[None]


def measured(audio: NDArray[np.float32], block: int = 65_536) -> LongTermSpectrum:
    spectrum = LongTermSpectrum(RATE)
    for start in range(0, audio.shape[1], block):
        spectrum.add(audio[:, start : start + block])
    return spectrum


def sine(hz: float) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)).astype(np.float32)[None]


def test_a_sine_is_in_its_band_alone() -> None:
    levels = dict(zip(BAND_NAMES, measured(sine(1000)).bands_db(), strict=True))
    assert levels["1k"] == pytest.approx(0, abs=0.05)
    assert max(db for name, db in levels.items() if name != "1k" and db is not None) < -50


def test_white_noise_has_three_decibels_an_octave() -> None:
    levels = measured(noise_below(22_000, 20.0)).bands_db()
    octaves = [levels[number] for number in (10, 13, 16, 19, 22, 25)]
    steps = np.diff(np.array(octaves, float))
    assert steps == pytest.approx(3.01, abs=0.35)


@pytest.mark.parametrize("edge_hz", [4_000, 8_000, 16_000])
def test_low_passed_noise_has_its_bandwidth(edge_hz: int) -> None:
    sound = noise_below(edge_hz)
    rounded = np.round(sound * 32_767).astype(np.float32) / 32_767  # as in a file of 16 bits
    for audio in (sound, rounded):
        assert measured(audio).bandwidth_hz() == pytest.approx(edge_hz, abs=60)


def test_blocks_do_not_matter_and_two_equal_channels_are_one() -> None:
    sound = noise_below(8_000)
    whole = measured(sound, sound.shape[1])
    for other in (measured(sound, 777), measured(np.concatenate([sound, sound]))):
        assert other.bands_db() == whole.bands_db()
        assert other.bandwidth_hz() == whole.bandwidth_hz()


def test_silence_and_snippets_have_a_spectrum_too() -> None:
    silent = measured(np.zeros((1, RATE), np.float32))
    assert silent.bandwidth_hz() == 0
    assert set(silent.bands_db()) == {LOWEST_DB}
    short = measured(sine(1000)[:, :1000]).bands_db()
    assert short[BAND_NAMES.index("1k")] == max(db for db in short if db is not None)


def test_bands_above_half_the_rate_are_absent() -> None:
    spectrum = LongTermSpectrum(16_000)
    spectrum.add(np.random.default_rng(0).standard_normal((1, 16_000)).astype(np.float32))
    present = [
        name for name, db in zip(BAND_NAMES, spectrum.bands_db(), strict=True) if db is not None
    ]
    assert present[-1] == "6.3k"
