"""Notes become sound at the right pitch, time and level."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from tests.soundfonts import PERIOD_FRAMES, RATE_HZ, soundfont_bytes

from segue.symbolic import synthesis
from segue.symbolic.soundfont import SoundFont
from segue.symbolic.synthesis import PlayedNotes, in_a_room, synthesize

SINE_HZ = RATE_HZ / PERIOD_FRAMES


def play(
    font: SoundFont, *notes: dict[str, float], seconds: float = 2.0, rate_hz: int = RATE_HZ
) -> np.ndarray:
    """Play notes given by what differs from A4 for one second; return `[frames, 2]`."""
    usual = {
        "onset_s": 0.0, "duration_s": 1.0, "pitch": 69, "velocity": 100, "program": 0,
        "is_drum": False, "gain": 1.0, "pan": 0.0,
    }  # fmt: skip
    columns = {k: np.array([{**usual, **note}[k] for note in notes]) for k in usual}
    blocks = list(synthesize(PlayedNotes(**columns), font, rate_hz=rate_hz, duration_s=seconds))
    return np.concatenate(blocks)


def frequency(sound: np.ndarray, rate_hz: int = RATE_HZ) -> float:
    """The strongest frequency, by a parabola through the peak of the spectrum."""
    window = sound.mean(axis=1) if sound.ndim == 2 else sound
    spectrum = np.log(np.abs(np.fft.rfft(window * np.hanning(len(window)), 1 << 18)) + 1e-9)
    at = int(spectrum.argmax())
    left, here, right = spectrum[at - 1 : at + 2]
    return float((at + 0.5 * (left - right) / (left - 2 * here + right)) * rate_hz / (1 << 18))


def rms(sound: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt((sound.astype(float) ** 2).mean()))


@pytest.fixture
def font(tmp_path: Path) -> SoundFont:
    """A looped sine that stops at once, and the same as drums of one exclusive class."""
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont_bytes(presets=((0, 0), (128, 0)), zones=[[(54, 1), (57, 1)]]))
    return SoundFont(path)


@pytest.fixture(scope="module")
def real_font() -> SoundFont:
    """The default SoundFont."""
    return SoundFont()


@pytest.mark.parametrize("pitch", [45, 69, 76, 93])
def test_pitches_are_in_tune_at_any_rate(font: SoundFont, pitch: int) -> None:
    for rate_hz in (RATE_HZ, 48000):
        sound = play(font, {"pitch": pitch}, rate_hz=rate_hz)
        cents = 1200 * np.log2(frequency(sound[:rate_hz], rate_hz) / SINE_HZ) - 100 * (pitch - 69)
        assert abs(cents) < 1


@pytest.mark.parametrize("program", [0, 19, 40, 41, 42, 48, 53, 68, 73])
def test_instruments_of_the_default_font_are_in_tune(real_font: SoundFont, program: int) -> None:
    sound = play(real_font, {"program": program}, rate_hz=44100)[4410:44100].mean(axis=1)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 17))
    candidates = 440 * 2 ** (np.arange(-60, 61) / 1200)
    places = np.rint(np.outer(candidates, np.arange(1, 7)) * (1 << 17) / 44100).astype(int)
    best = int(spectrum[places].sum(axis=1).argmax()) - 60
    assert abs(best) < 16


def test_a_note_sounds_while_it_is_held_and_not_before_or_after(font: SoundFont) -> None:
    sound = play(font, {"onset_s": 0.5, "duration_s": 0.7})
    edges = [int(t * RATE_HZ) for t in (0, 0.5, 1.2, 1.25, 2)]
    before, held, _, after = (rms(sound[a:b]) for a, b in itertools.pairwise(edges))
    assert (before, after) == (0, 0)
    assert held > 0.1
    assert len(sound) == 2 * RATE_HZ


def test_level_follows_velocity_gain_and_number(font: SoundFont) -> None:
    loud = rms(play(font, {"velocity": 127}))
    assert rms(play(font, {"velocity": 64})) / loud == pytest.approx((64 / 127) ** 2, rel=1e-3)
    assert rms(play(font, {"velocity": 127, "gain": 0.5})) / loud == pytest.approx(0.5, rel=1e-3)
    twice = play(font, {"velocity": 127}, {"velocity": 127})
    assert rms(twice) / loud == pytest.approx(2, rel=1e-3)


def test_pan_moves_the_sound(font: SoundFont) -> None:
    left, right = play(font, {"pan": -1.0}).T
    assert rms(left) > 0.1
    assert rms(right) < 1e-6
    left, right = play(font, {}).T
    assert rms(left) == pytest.approx(rms(right))


def test_blocks_and_notes_across_their_borders_change_nothing(
    font: SoundFont, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = [
        {"onset_s": t, "pitch": 60 + int(7 * t) % 12, "duration_s": 0.9} for t in (0, 0.6, 1.4)
    ]
    notes.append({"onset_s": 0.2, "duration_s": 3.5, "pitch": 50})
    whole = play(font, *notes, seconds=5.3)
    monkeypatch.setattr(synthesis, "BLOCK_SECONDS", 1)
    monkeypatch.setattr(synthesis, "MAX_CACHED_FRAMES", 1000)
    assert np.abs(play(font, *notes, seconds=5.3) - whole).max() < 1e-6


def test_an_excerpt_is_what_the_whole_sounds_like_there(real_font: SoundFont) -> None:
    notes = [{"onset_s": 0.0, "duration_s": 2.5, "program": 48}, {"onset_s": 1.2, "pitch": 62}]
    whole = play(real_font, *notes, seconds=3)
    shifted = [{**note, "onset_s": note["onset_s"] - 1.0} for note in notes]
    part = play(real_font, *shifted, seconds=2)
    assert np.abs(part - whole[RATE_HZ:]).max() < 1e-6


def test_a_loop_has_no_click(font: SoundFont) -> None:
    sound = play(font, {"duration_s": 1.9})[200 : int(1.8 * RATE_HZ), 0]
    steepest = 2 * np.pi / PERIOD_FRAMES * np.abs(sound).max()
    assert np.abs(np.diff(sound)).max() < 1.05 * steepest


def test_a_filtered_loop_has_no_click_where_the_filter_was_still_settling(tmp_path: Path) -> None:
    path = tmp_path / "filtered.sf2"
    path.write_bytes(soundfont_bytes(zones=[[(54, 1), (8, 5000)]], loop=(0, PERIOD_FRAMES)))
    sound = play(SoundFont(path), {"duration_s": 1.9})[2000 : int(1.8 * RATE_HZ), 0]
    steepest = 2 * np.pi / PERIOD_FRAMES * np.abs(sound).max()
    assert np.abs(np.diff(sound)).max() < 1.05 * steepest


def test_drums_of_one_exclusive_class_cut_each_other_off(font: SoundFont) -> None:
    alone = play(font, {"is_drum": True, "pitch": 46})
    cut = play(
        font, {"is_drum": True, "pitch": 46}, {"is_drum": True, "pitch": 42, "onset_s": 0.3,
        "duration_s": 0.01},
    )  # fmt: skip
    late = slice(int(0.5 * RATE_HZ), int(0.9 * RATE_HZ))
    assert rms(alone[late]) > 0.1
    assert rms(cut[late]) < 1e-4


def test_the_filter_darkens(tmp_path: Path) -> None:
    levels = []
    for cutoff in (13500, 6000, 5000):  # open, 262 Hz, 147 Hz
        path = tmp_path / f"{cutoff}.sf2"
        path.write_bytes(soundfont_bytes(zones=[[(54, 1), (8, cutoff)]]))
        levels.append(rms(play(SoundFont(path), {})[2000:20000]))
    ratio = np.array([SINE_HZ / (8.176 * 2 ** (c / 1200)) for c in (6000, 5000)])
    expected = 1 / np.sqrt((1 - ratio**2) ** 2 + (ratio / 10 ** (-3.01 / 20)) ** 2)
    assert np.array(levels[1:]) / levels[0] == pytest.approx(expected, rel=0.02)


def test_thousands_of_equal_notes_are_one_voice(font: SoundFont) -> None:
    sound = play(font, *[{"gain": 1e-4}] * 10_000, seconds=1)
    assert rms(sound) == pytest.approx(rms(play(font, {}, seconds=1)), rel=1e-3)


def test_no_notes_are_silence(font: SoundFont) -> None:
    notes = PlayedNotes(*(np.zeros(0) for _ in range(8)))
    (block,) = synthesize(notes, font, rate_hz=8000, duration_s=1)
    assert block.shape == (8000, 2)
    assert not block.any()


def test_the_room_echoes_equally_whatever_the_blocks(rng: np.random.Generator) -> None:
    rate_hz = 4000
    dry = rng.standard_normal((3 * rate_hz, 2)).astype(np.float32)
    dry[2 * rate_hz :] = 0
    wet = np.concatenate(list(in_a_room(iter([dry]), rate_hz=rate_hz)))
    parts = np.split(dry, [10, 700, 5000])
    assert np.abs(np.concatenate(list(in_a_room(iter(parts), rate_hz=rate_hz))) - wet).max() < 1e-5
    assert wet.shape == dry.shape
    assert rms(wet[: 2 * rate_hz] - dry[: 2 * rate_hz]) == pytest.approx(0.21, rel=0.15)
    assert rms(wet[2 * rate_hz : int(2.2 * rate_hz)]) > 10 * rms(wet[int(2.7 * rate_hz) :]) > 0
    assert not np.allclose(wet[2 * rate_hz :, 0], wet[2 * rate_hz :, 1])
