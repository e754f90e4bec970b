"""The only conversions between units: small pure functions, the units in their names.

Conventions used everywhere:

* A *beat* is one denominator unit of the time signature (an eighth in 6/8); a *quarter* is a quarter
  note. MIDI ticks divide quarters.
* Beats and bars are numbered from 1 when a person says them, from 0 in code (``*_index``).
* A tempo is in quarters per minute, as MIDI means it.
* Positions in ticks, samples and token time units are integers; rounding is half up, in one place,
  so that neighbouring spans neither overlap nor leave a gap.
"""

import math
from fractions import Fraction

SECONDS_PER_MINUTE = 60
MICROSECONDS_PER_SECOND = 1_000_000
QUARTERS_PER_WHOLE = 4


def round_half_up(value: float | Fraction) -> int:
    """Round to the nearest integer, halves upwards (Python rounds halves to even)."""
    return (
        math.floor(value + Fraction(1, 2))
        if isinstance(value, Fraction)
        else math.floor(value + 0.5)
    )


def seconds_to_samples(time_s: float, *, rate_hz: int) -> int:
    """Return the sample index nearest to a time."""
    return round_half_up(time_s * rate_hz)


def samples_to_seconds(num_samples: int, *, rate_hz: int) -> float:
    """Return the duration of a number of samples."""
    return num_samples / rate_hz


def milliseconds_to_samples(time_ms: float, *, rate_hz: int) -> int:
    """Return the sample index nearest to a time in milliseconds."""
    return round_half_up(time_ms * rate_hz / 1000)


def tempo_to_microseconds(tempo_qpm: float) -> int:
    """Return the microseconds per quarter that a MIDI tempo event holds.

    Args:
        tempo_qpm: quarters per minute, above 0.
    """
    return round_half_up(SECONDS_PER_MINUTE * MICROSECONDS_PER_SECOND / tempo_qpm)


def microseconds_to_tempo(quarter_us: int) -> float:
    """Return quarters per minute of a MIDI tempo event's microseconds per quarter."""
    return SECONDS_PER_MINUTE * MICROSECONDS_PER_SECOND / quarter_us


def ticks_to_quarters(num_ticks: int, *, ticks_per_quarter: int) -> Fraction:
    """Return a length in quarters, exactly."""
    return Fraction(num_ticks, ticks_per_quarter)


def quarters_to_ticks(quarters: float | Fraction, *, ticks_per_quarter: int) -> int:
    """Return the tick nearest to a position in quarters."""
    return round_half_up(Fraction(quarters) * ticks_per_quarter)


def beats_to_quarters(beats: float | Fraction, *, denominator: int) -> Fraction:
    """Return quarters of a number of beats under a meter, exactly (a beat of 6/8 is half a quarter)."""
    return Fraction(beats) * QUARTERS_PER_WHOLE / denominator


def quarters_to_beats(quarters: float | Fraction, *, denominator: int) -> Fraction:
    """Return beats of a number of quarters under a meter, exactly."""
    return Fraction(quarters) * denominator / QUARTERS_PER_WHOLE


def beats_to_ticks(beats: float | Fraction, *, denominator: int, ticks_per_quarter: int) -> int:
    """Return the tick nearest to a position in beats under one meter."""
    quarters = beats_to_quarters(beats, denominator=denominator)
    return quarters_to_ticks(quarters, ticks_per_quarter=ticks_per_quarter)


def bar_quarters(*, numerator: int, denominator: int) -> Fraction:
    """Return the length of one bar in quarters, exactly (6/8 is 3, 7/16 is 7/4)."""
    return Fraction(numerator * QUARTERS_PER_WHOLE, denominator)


def quarters_to_seconds(quarters: float | Fraction, *, tempo_qpm: float) -> float:
    """Return the duration of a number of quarters at one tempo."""
    return float(quarters) * SECONDS_PER_MINUTE / tempo_qpm


def seconds_to_quarters(time_s: float, *, tempo_qpm: float) -> float:
    """Return the number of quarters that pass in a time at one tempo."""
    return time_s * tempo_qpm / SECONDS_PER_MINUTE


def ticks_to_seconds(num_ticks: int, *, ticks_per_quarter: int, tempo_qpm: float) -> float:
    """Return the duration of a number of ticks at one tempo."""
    quarters = ticks_to_quarters(num_ticks, ticks_per_quarter=ticks_per_quarter)
    return quarters_to_seconds(quarters, tempo_qpm=tempo_qpm)


def nats_to_bits(nats: float) -> float:
    """Return an amount of information in bits."""
    return nats / math.log(2)


def bytes_to_megabytes(num_bytes: int) -> float:
    """Return a size in MB (10**6 bytes)."""
    return num_bytes / 1_000_000
