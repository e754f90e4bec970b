"""What the codec refuses, and what it says besides the ids."""

from pathlib import Path

import numpy as np
import pytest
from symusic import Score
from tests.codec_scores import make_score
from tests.generation import signature, vocabulary
from tests.midi_files import at_ticks, midi, off, on, song
from tests.midi_files import signature as meter_event

from segue.errors import BundleError, DataError
from segue.symbolic.codec import MAX_BARS, encode_file, encode_score, grid_to_notes
from segue.symbolic.grid import Grid
from segue.symbolic.vocabulary import Vocabulary


def notes_of(grid: Grid) -> list[tuple[int, int, int]]:
    return [(int(n["bar"]), int(n["position"]), int(n["pitch"])) for n in grid.notes]


def test_bars_and_positions() -> None:
    score = make_score(
        480,
        [(0, False, [(0, 480, 60, 64), (1440, 480, 62, 64), (1440 + 720, 240, 64, 64)])],
        [(0, 3, 4), (1440, 6, 8)],
    )
    grid = encode_score(vocabulary(), score)
    assert grid.signatures.tolist() == [signature(3, 4), signature(6, 8)]
    assert notes_of(grid) == [(0, 0, 60), (1, 0, 62), (1, 36, 64)]


def test_source_counts_through_the_tracks() -> None:
    score = make_score(
        480,
        [
            (40, False, [(960, 9, 70, 64), (961, 9, 70, 64)]),
            (0, False, [(0, 9, 5, 64), (480, 9, 60, 64)]),
            (40, False, [(0, 9, 72, 64)]),
        ],
    )
    grid = encode_score(vocabulary(), score)
    assert grid.notes["source"].tolist() == [4, 3, 0]
    assert grid.notes["track"].tolist() == [0, 1, 0]


def test_notes_in_time_units() -> None:
    score = make_score(480, [(0, False, [(1440, 720, 60, 127)])], [(0, 3, 4), (1440, 6, 8)])
    (note,) = grid_to_notes(vocabulary(), encode_score(vocabulary(), score))
    per_quarter = vocabulary().units_per_quarter
    assert note["onset"] == 3 * per_quarter
    assert note["duration"] == 1.5 * per_quarter
    assert (note["program"], note["pitch"], note["velocity"]) == (0, 60, 127)


def test_velocity_without_velocity_tokens() -> None:
    words = vocabulary(velocities=False)
    score = make_score(480, [(0, False, [(0, 480, 60, 3)])])
    assert grid_to_notes(words, encode_score(words, score))["velocity"].tolist() == [100]


@pytest.mark.parametrize("ticks_per_quarter", [0, -480])
def test_no_resolution(ticks_per_quarter: int) -> None:
    with pytest.raises(DataError, match="ticks per quarter"):
        encode_score(vocabulary(), Score(ticks_per_quarter))


def test_a_note_before_the_beginning() -> None:
    with pytest.raises(DataError, match="before the beginning"):
        encode_score(vocabulary(), make_score(480, [(0, False, [(-1, 5, 60, 64)])]))


@pytest.mark.parametrize("tick", [2**28, 2**31 - 2])
def test_an_event_far_behind_the_music(tick: int) -> None:
    far = make_score(1, [(0, False, [(0, 1, 60, 64), (tick, 1, 60, 64)])])
    with pytest.raises(DataError, match=f"at most {MAX_BARS:,}"):
        encode_score(vocabulary(), far)
    with pytest.raises(DataError, match="bars"):
        encode_score(vocabulary(), make_score(1, [], [(tick, 3, 4)]))
    with pytest.raises(DataError, match="bars"):
        encode_score(vocabulary(), make_score(1, [], [], [(tick, 100.0)]))


def test_a_vocabulary_without_common_time() -> None:
    config = {**vocabulary().config, "time_signature_range": {4: [3], 8: [6]}}
    words = Vocabulary.from_config(config)
    waltz = make_score(480, [(0, False, [(0, 9, 60, 64)])], [(0, 3, 4)])
    assert encode_score(words, waltz).num_bars == 1
    with pytest.raises(BundleError, match="no 4/4"):
        encode_score(words, make_score(480, []))


HOSTILE = {
    "no file": None,
    "empty": b"",
    "not MIDI": b"hello",
    "cut off": song()[:-20],
    "SMPTE time": midi(at_ticks((0, on(60)), (9, off(60))), division=0xE728),
    "zero ticks": midi(at_ticks((0, on(60)), (9, off(60))), division=0),
    "far": midi(
        at_ticks((0, on(60)), (9, off(60)), (2**28 - 9, on(61)), (2**28 - 1, off(61))), division=1
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_are_refused(tmp_path: Path, case: str) -> None:
    path = tmp_path / "hostile.mid"
    if HOSTILE[case] is not None:
        path.write_bytes(HOSTILE[case])
    with pytest.raises(DataError):
        encode_file(vocabulary(), path)


def test_meters_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "meters.mid"
    meters = [(0, meter_event(0, 2)), (0, meter_event(4, 31)), (0, meter_event(255, 255))]
    path.write_bytes(midi(at_ticks(*meters, (0, on(60)), (480, off(60)))))
    plain = tmp_path / "plain.mid"
    plain.write_bytes(midi(at_ticks((0, on(60)), (480, off(60)))))
    np.testing.assert_array_equal(encode_file(vocabulary(), path), encode_file(vocabulary(), plain))


def test_eighty_thousand_notes_at_once() -> None:
    notes = [(0, 1 + n // 128, n % 128, 1 + n % 127) for n in range(80_000)]
    grid = encode_score(vocabulary(), make_score(480, [(0, False, notes)]))
    low, high = vocabulary().pitch_range
    assert grid.notes["pitch"].tolist() == list(range(low, high + 1))
