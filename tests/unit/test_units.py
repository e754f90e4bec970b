"""Conversions: round trips, known values, and no drift between neighbours."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue import units


@given(st.integers(0, 10**9), st.sampled_from([8000, 16000, 22050, 44100, 48000]))
def test_samples_survive_seconds(num_samples: int, rate_hz: int) -> None:
    seconds = units.samples_to_seconds(num_samples, rate_hz=rate_hz)
    assert units.seconds_to_samples(seconds, rate_hz=rate_hz) == num_samples


@given(st.integers(0, 2**28), st.integers(1, 32767))
def test_ticks_survive_quarters(num_ticks: int, resolution: int) -> None:
    quarters = units.ticks_to_quarters(num_ticks, ticks_per_quarter=resolution)
    assert units.quarters_to_ticks(quarters, ticks_per_quarter=resolution) == num_ticks


@given(st.integers(1, 16_777_215))
def test_midi_tempo_survives_quarters_per_minute(quarter_us: int) -> None:
    assert units.tempo_to_microseconds(units.microseconds_to_tempo(quarter_us)) == quarter_us


@given(st.fractions(0, 1000), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_beats_survive_quarters_exactly(beats: Fraction, denominator: int) -> None:
    quarters = units.beats_to_quarters(beats, denominator=denominator)
    assert units.quarters_to_beats(quarters, denominator=denominator) == beats


@given(st.floats(0, 1e6), st.floats(1, 1000))
def test_seconds_survive_quarters(time_s: float, tempo_qpm: float) -> None:
    quarters = units.seconds_to_quarters(time_s, tempo_qpm=tempo_qpm)
    assert units.quarters_to_seconds(quarters, tempo_qpm=tempo_qpm) == pytest.approx(time_s)


@pytest.mark.parametrize(
    ("numerator", "denominator", "quarters"),
    [(4, 4, 4), (3, 4, 3), (6, 8, 3), (7, 16, Fraction(7, 4)), (2, 2, 4)],
)
def test_bars(numerator: int, denominator: int, quarters: Fraction) -> None:
    assert units.bar_quarters(numerator=numerator, denominator=denominator) == quarters


def test_known_values() -> None:
    assert units.tempo_to_microseconds(120) == 500_000
    assert units.ticks_to_seconds(960, ticks_per_quarter=480, tempo_qpm=120) == 1.0
    assert units.beats_to_ticks(3, denominator=8, ticks_per_quarter=480) == 720
    assert units.milliseconds_to_samples(20, rate_hz=16_000) == 320
    assert units.nats_to_bits(1) == pytest.approx(1.442695)
    assert units.bytes_to_megabytes(2_500_000) == 2.5


@pytest.mark.parametrize("half", [0.5, 1.5, 2.5, Fraction(1, 2), Fraction(5, 2)])
def test_halves_go_up_for_floats_and_fractions(half: float | Fraction) -> None:
    assert units.round_half_up(half) == int(half) + 1
    assert units.round_half_up(-half) == -int(half)
