"""Bars, beats and seconds."""

from itertools import pairwise

import numpy as np
import pytest
from tests.midi_files import at_ticks, meta, midi, on, signature, tempo

from segue.errors import DataError, SettingError
from segue.symbolic import meter
from segue.symbolic.meter import (
    BarTable,
    TimeSignature,
    read_signatures,
    read_tempos,
)
from segue.symbolic.smf import parse


def bars(*signatures: tuple[int, int, int], end: int, tpq: int = 480, least: int = 1) -> BarTable:
    """A bar table."""
    return BarTable.build(
        [TimeSignature(*s) for s in signatures],
        ticks_per_quarter=tpq,
        end_ticks=end,
        min_bars=least,
    )


def test_four_four_is_the_default() -> None:
    table = bars(end=1921)
    assert table.start_ticks.tolist() == [0, 1920, 3840]
    assert table.numerators.tolist() == [4, 4]
    assert bars(end=1920).num_bars == 1
    assert bars(end=0).num_bars == 1


def test_a_pick_up_bar_is_the_first() -> None:
    table = bars((0, 1, 4), (480, 4, 4), end=5000)
    assert table.start_ticks.tolist() == [0, 480, 2400, 4320, 6240]
    assert table.ticks_of_bars(1, 1) == (0, 480)
    assert table.ticks_of_beats(2, 5) == (480, 2400)


def test_a_change_within_a_bar_begins_a_new_one() -> None:
    table = bars((0, 4, 4), (1200, 6, 8), end=3000)
    assert table.start_ticks.tolist() == [0, 1200, 2640, 4080]
    assert table.numerators.tolist() == [4, 6, 6]
    assert table.beat_counts.tolist() == [3, 6, 6]
    assert table.ticks_of_beats(3, 3) == (960, 1200)
    assert table.ticks_of_beats(4, 4) == (1200, 1440)


def test_the_first_signature_may_come_late() -> None:
    table = bars((960, 3, 4), end=2400)
    assert table.start_ticks.tolist() == [0, 960, 2400]
    assert table.numerators.tolist() == [4, 3]


def test_changes_behind_the_end_make_no_bars() -> None:
    assert bars((5000, 3, 4), end=1900).num_bars == 1


def test_bars_that_are_no_whole_number_of_ticks() -> None:
    table = bars((0, 3, 64), end=90, tpq=24)
    assert table.start_ticks[:5].tolist() == [0, 4, 9, 13, 18]
    assert table.start_ticks[-1] >= 90
    assert np.all(np.diff(table.start_ticks) > 0)


def test_more_bars_can_be_asked_for() -> None:
    table = bars((0, 4, 4), (1920, 3, 4), end=1920, least=4)
    assert table.start_ticks.tolist() == [0, 1920, 3360, 4800, 6240]
    assert bars((0, 4, 4), end=9600, least=3).num_bars == 5


def test_which_bar_a_tick_lies_in() -> None:
    assert bars(end=3840).bar_at([-1, 0, 1919, 1920, 3839, 3840]).tolist() == [-1, 0, 0, 1, 1, 2]


def test_every_beat_begins_where_the_last_ended() -> None:
    table = bars((0, 4, 4), (1000, 7, 8), (5000, 5, 16), end=20_000, tpq=97)
    spans = [table.ticks_of_beats(beat, beat) for beat in range(1, table.num_beats + 1)]
    assert spans[0][0] == 0
    assert spans[-1][1] == table.start_ticks[-1]
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize("span", [(0, 1), (2, 1), (1, 3), (3, 3), (-1, -1)])
def test_spans_outside_are_refused_with_the_length(span: tuple[int, int]) -> None:
    with pytest.raises(SettingError, match="the piece has bars 1-2"):
        bars(end=3840).ticks_of_bars(*span)
    with pytest.raises(SettingError, match="the piece has beats 1-2"):
        bars((0, 2, 4), end=960).ticks_of_beats(*span)


def test_too_many_bars_are_refused_at_once() -> None:
    with pytest.raises(DataError, match="67,108,865 bars"):
        bars(end=(1 << 28) + 1, tpq=1)


def test_too_many_signatures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MAX_BARS", 3)
    file = parse(midi([(5, signature(4, 2))] * 4))
    with pytest.raises(DataError, match="4 time signatures; up to 3"):
        read_signatures(file)
    with pytest.raises(DataError, match="would have 4 bars"):
        bars(*[(tick, 4, 4) for tick in range(4)], end=4)


def test_bars_below_a_tick_are_refused() -> None:
    with pytest.raises(DataError, match="1/8 is shorter than a tick at 1 ticks"):
        bars((0, 1, 8), end=10, tpq=1)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\x00\x02\x18\x08", "0/4 at tick 7"),
        (b"\x04\x1f\x18\x08", r"4/2\^31 at tick 7"),
        (b"\x04\x09\x18\x08", "4/512"),
        (b"\x04", "unreadable time signature at tick 7"),
    ],
)
def test_signatures_that_make_no_bars_are_refused(payload: bytes, message: str) -> None:
    file = parse(midi([(7, meta(0x58, payload))]))
    with pytest.raises(DataError, match=message):
        read_signatures(file, name="song.mid")


@pytest.mark.parametrize("payload", [b"\x00\x00\x00", b"\x01\x02"])
def test_tempos_that_make_no_time_are_refused(payload: bytes) -> None:
    with pytest.raises(DataError, match="unreadable tempo at tick 0"):
        read_tempos(parse(midi([(0, meta(0x51, payload))])))


def test_signatures_of_all_tracks_count_and_the_last_at_a_tick_holds() -> None:
    first = at_ticks((0, signature(3, 2)), (0, signature(6, 3)), (960, signature(2, 1)))
    file = parse(midi(first, [(480, signature(5, 2))]))
    assert read_signatures(file) == [(0, 6, 8), (480, 5, 4), (960, 2, 2)]


def test_seconds() -> None:
    data = midi(at_ticks((0, tempo(500_000)), (960, tempo(1_000_000)), (1440, on(60))))
    tempos = read_tempos(parse(data))
    assert tempos.quarters_per_minute.tolist() == [120, 60]
    assert tempos.seconds_at([0, 480, 960, 1440, 1920]).tolist() == [0, 0.5, 1, 2, 3]
    assert tempos.ticks_at([0, 0.5, 1, 2, 2.5]).tolist() == [0, 480, 960, 1440, 1680]


def test_the_tempo_is_120_until_the_first() -> None:
    tempos = read_tempos(parse(midi([(480, tempo(250_000))])))
    assert tempos.seconds_at([480, 960]).tolist() == [0.5, 0.75]
