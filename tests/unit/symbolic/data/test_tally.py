"""What is planted in a piece is what is counted, and counts of pieces add up."""

from collections import Counter
from pathlib import Path

import pytest
from symusic import Note, Score, Tempo, TimeSignature, Track
from symusic.core import ScoreTick

from segue.core.counts import quantile
from segue.errors import DataError
from segue.symbolic.data.tally import PARTS_PER_QUARTER, Tally, add_to, measure

Q = 480


def planted() -> ScoreTick:
    """Four bars of 3/4 at 90, then two of 4/4 at 150: piano in thirds, a bass, a drum on every beat."""
    score = Score(Q)
    score.tempos.append(Tempo(0, 90.0))
    score.tempos.append(Tempo(12 * Q, 150.0))
    score.time_signatures.append(TimeSignature(0, 3, 4))
    score.time_signatures.append(TimeSignature(12 * Q, 4, 4))
    piano, bass, drums = Track("", 0), Track("", 33), Track("", 0, True)
    for beat in range(20):
        drums.notes.append(Note(beat * Q, Q, 36, 99))
        if beat < 12:
            piano.notes.append(Note(beat * Q, Q, 60, 70))
            piano.notes.append(Note(beat * Q, Q, 64, 70))
    bass.notes.append(Note(0, 6 * Q, 40, 71))
    score.tracks.extend([piano, bass, drums])
    return score


def content(score: ScoreTick, folder: Path) -> bytes:
    score.dump_midi(folder / "piece.mid")
    return (folder / "piece.mid").read_bytes()


def test_planted_answers(tmp_path: Path) -> None:
    row, tally = measure(content(planted(), tmp_path))
    assert (row.notes, row.tracks, row.bars) == (45, 3, 6)
    assert (row.tempo, row.signature, row.instrument) == (90, "3/4", "Acoustic Grand Piano")
    assert row.minutes == pytest.approx(12 / 90 + 8 / 150, abs=0.005)
    assert (row.lowest, row.highest, row.velocities) == (40, 64, 3)
    assert (row.mean_polyphony, row.most_polyphony) == (2.5, 3)
    assert tally["signature_bars"] == {"3/4": 4, "4/4": 2}
    assert tally["signature_files"] == {"3/4": 1, "4/4": 1}
    assert tally["tempo_files"] == {"90": 1}
    assert tally["tempo_changes"] == {"1": 1}
    assert tally["stated"] == {"signature": 1, "tempo": 1}
    names = ("Acoustic Grand Piano", "Electric Bass (finger)", "Drums")
    assert tally["instrument_notes"] == dict(zip(names, (24, 1, 20), strict=True))
    assert tally["instrument_files"] == dict.fromkeys(names, 1)
    assert tally["polyphony"] == {"3": 6 * PARTS_PER_QUARTER, "2": 6 * PARTS_PER_QUARTER}
    assert tally["notes_per_bar"] == {"10": 1, "9": 3, "4": 2}
    assert tally["pitch_notes"] == {"60": 12, "64": 12, "40": 1}
    assert tally["velocity_notes"] == {"70": 24, "71": 1, "99": 20}
    assert tally["pitch_range"] == {"24": 1}


def test_what_a_file_does_not_state_is_as_the_format_says(tmp_path: Path) -> None:
    score = Score(Q)
    score.tracks.append(Track("", 5))
    score.tracks[0].notes.append(Note(0, 4 * Q, 60, 1))
    row, tally = measure(content(score, tmp_path))
    assert (row.tempo, row.signature, row.bars, row.minutes) == (120, "4/4", 1, 0.03)
    assert tally["stated"] == {"signature": 0, "tempo": 0}


def test_drums_alone_have_no_pitches(tmp_path: Path) -> None:
    score = planted()
    score.tracks = score.tracks[2:]
    row, tally = measure(content(score, tmp_path))
    assert (row.mean_polyphony, row.lowest, row.highest) == (0, 0, 0)
    assert not any(tally[name] for name in ("pitch_notes", "pitch_range", "polyphony"))


def test_the_program_at_the_beginning_of_a_track_names_it(tmp_path: Path) -> None:
    score = planted()
    for track in score.tracks:
        track.notes = track.notes[:1]
    _, tally = measure(content(score, tmp_path))
    assert tally["instrument_tracks"].total() == 3


@pytest.mark.parametrize("bad", [b"", b"no music", b"MThd\x00\x00\x00\x06\x00\x00\x00\x00\x01\xe0"])
def test_what_is_no_music_is_said(bad: bytes) -> None:
    with pytest.raises(DataError):
        measure(bad)


def test_counters_add_up() -> None:
    total: Tally = {}
    add_to(total, {"a": {"x": 1}, "b": {"y": 2}})
    add_to(total, {"a": Counter(x=2, z=1)})
    assert total == {"a": {"x": 3, "z": 1}, "b": {"y": 2}}


@pytest.mark.parametrize(
    ("share", "value"), [(0, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 2), (0.76, 10), (1, 10)]
)
def test_quantiles_of_counts(share: float, value: float) -> None:
    assert quantile({"10": 1, "2": 2, "1": 1}, share) == value


def test_nothing_has_no_quantile() -> None:
    with pytest.raises(DataError):
        quantile({}, 0.5)
