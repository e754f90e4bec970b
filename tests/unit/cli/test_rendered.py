"""MIDI files as sound: which excerpt, at which rate, the same every time."""

from pathlib import Path

import numpy as np
import pytest
from tests.midi_files import END, meta, number, off, on
from tests.soundfonts import soundfont_bytes

from segue.cli.rendered import midi_material
from segue.errors import DataError

TICKS = 480


def midi(path: Path, onsets_s: list[float], pitch: int = 69) -> Path:
    """A file of one-second notes at 120 quarters a minute."""
    body, now = b"", 0
    for onset in onsets_s:
        start = round(onset * 2 * TICKS)
        body += number(start - now) + on(pitch, 100) + number(2 * TICKS) + off(pitch)
        now = start + 2 * TICKS
    track = body + b"\0" + END
    head = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1]) + TICKS.to_bytes(2, "big")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + b"MTrk" + len(track).to_bytes(4, "big") + track)
    return path


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont_bytes())
    return path


def play(
    path: Path,
    font: Path,
    *,
    seconds: float = 2.0,
    seed: int = 0,
    rate_hz: int = 16_000,
    channels: int = 1,
) -> np.ndarray:
    material = midi_material(font, excerpt_seconds=seconds, seed=seed)
    with material.open(path, rate_hz, channels) as blocks:
        return np.concatenate(list(blocks), axis=1)


def test_a_note_sounds_at_its_pitch(tmp_path: Path, font: Path) -> None:
    audio = play(midi(tmp_path / "a.mid", [0.0]), font)
    assert audio.shape == (1, 32_000)
    assert audio.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(audio[0, :16_000]))
    assert spectrum.argmax() == pytest.approx(441, abs=1)


def test_rate_and_channels(tmp_path: Path, font: Path) -> None:
    path = midi(tmp_path / "a.mid", [0.0])
    assert play(path, font, rate_hz=22_050, channels=2).shape == (2, 44_100)


def test_an_excerpt_begins_with_a_note(tmp_path: Path, font: Path) -> None:
    path = midi(tmp_path / "a.mid", [5.0 + 10 * n for n in range(20)])
    for seed in range(8):
        audio = play(path, font, seed=seed)
        assert audio.shape == (1, 32_000)
        assert np.abs(audio[0, :1600]).max() > 0.01


def test_an_excerpt_is_as_long_as_was_asked_for(tmp_path: Path, font: Path) -> None:
    path = midi(tmp_path / "a.mid", [0.0, 25.0, 50.0, 75.0])
    for seed in range(20):
        assert play(path, font, seed=seed, seconds=20).shape == (1, 320_000)


def test_excerpts_differ_between_seeds_and_not_between_runs(tmp_path: Path, font: Path) -> None:
    # The gaps grow: where the excerpt begins is heard by where its second note does.
    path = midi(tmp_path / "a.mid", [1.02 * n + 0.005 * n * n for n in range(60)])
    drawn = [play(path, font, seed=seed) for seed in range(6)]
    assert np.array_equal(drawn[0], play(path, font, seed=0))
    assert len({audio.tobytes() for audio in drawn}) > 3


def test_where_a_file_lies_does_not_matter(tmp_path: Path, font: Path) -> None:
    one = midi(tmp_path / "a.mid", [1.1 * n for n in range(60)])
    other = midi(tmp_path / "b" / "c.mid", [1.1 * n for n in range(60)])
    assert np.array_equal(play(one, font), play(other, font))


def test_all_of_it(tmp_path: Path, font: Path) -> None:
    audio = play(midi(tmp_path / "a.mid", [3.0, 6.0]), font, seconds=0)
    assert audio.shape[1] == pytest.approx(16_000 * (7 - 3 + 2), abs=2)


def test_a_piece_shorter_than_the_excerpt(tmp_path: Path, font: Path) -> None:
    assert play(midi(tmp_path / "a.mid", [0.0]), font, seconds=60).shape == (1, 48_000)


def test_what_cannot_be_played(tmp_path: Path, font: Path) -> None:
    with pytest.raises(DataError, match="no notes"):
        play(midi(tmp_path / "a.mid", []), font)
    (tmp_path / "b.mid").write_bytes(meta(1, b"no MIDI"))
    with pytest.raises(DataError):
        play(tmp_path / "b.mid", font)
    with pytest.raises(DataError):
        midi_material(tmp_path / "missing.sf2")


def test_another_soundfont_is_another_material(tmp_path: Path, font: Path) -> None:
    other = tmp_path / "other.sf2"
    other.write_bytes(soundfont_bytes(loop=(500, 1000)))
    names = {
        midi_material(path, excerpt_seconds=seconds, seed=seed).name
        for path in (font, other)
        for seconds in (2.0, 3.0)
        for seed in (0, 1)
    }
    assert len(names) == 8
