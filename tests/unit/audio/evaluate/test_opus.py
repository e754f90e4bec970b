import shutil

import numpy as np
import pytest

from segue.audio.evaluate import opus
from segue.audio.evaluate.opus import OpusCodec, aligned, find_program, packet_bytes
from segue.errors import DataError, MissingExtraError, SettingError

RATE = 16_000


def sound(seconds=2.0):
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 330, 555))
    beats = rng.normal(size=len(time)) * np.exp(-20 * (time % 0.5))
    return (0.1 * chord + 0.1 * beats)[None].astype(np.float32)


def programs():
    found = []
    for name in ("ffmpeg", "opusenc"):
        try:
            found.append(find_program(name))
        except MissingExtraError:
            continue
    return found


@pytest.mark.skipif(not programs(), reason="neither ffmpeg with libopus nor opusenc is installed")
@pytest.mark.parametrize("program", ["ffmpeg", "opusenc"])
def test_opus_gives_back_the_same_sound_in_step_and_tells_its_real_rate(program):
    if program not in programs():
        pytest.skip(f"{program} is not installed")
    audio = sound()
    errors = []
    for rate in (8, 96):
        codec = OpusCodec(rate, program=program)
        assert codec.kbit_per_second is None
        heard = codec(audio)
        assert heard.shape == audio.shape
        assert heard.dtype == np.float32
        assert abs(codec.shifts[0]) < 40
        assert 0.5 * rate < codec.kbit_per_second < 1.7 * rate
        errors.append(np.abs(heard - audio).mean() / np.abs(audio).mean())
    assert errors[1] < 0.35
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("shift", [-37, 0, 1, 250])
def test_a_delay_is_found_and_taken_out(shift):
    audio = sound(1.0)
    late = np.roll(np.pad(audio, ((0, 0), (400, 400))), shift)[:, 400:]
    heard, found = aligned(audio, late, 400)
    assert found == shift
    assert heard.shape == audio.shape
    inside = slice(300, -300)
    np.testing.assert_allclose(heard[:, inside], audio[:, inside], atol=1e-6)


def test_a_turned_phase_of_the_bass_is_not_taken_for_a_delay():
    audio = sound(1.0)
    time = np.arange(audio.shape[1]) / RATE
    before = audio + 0.8 * np.sin(2 * np.pi * 40 * time).astype(np.float32)
    after = audio + 0.8 * np.sin(2 * np.pi * 40 * time + 0.2).astype(np.float32)
    assert aligned(before, after, 100)[1] == 0


def page(segments, content):
    return b"OggS" + bytes(22) + bytes([len(segments), *segments]) + content


def test_only_audio_packets_count_as_sent():
    head, tags = page([19], bytes(19)), page([255, 10], bytes(265))
    audio = page([100, 255, 255], bytes(610)) + page([3, 7], bytes(10))
    assert packet_bytes(head + tags + audio) == 100 + 513 + 7
    with pytest.raises(DataError, match="not an Ogg file"):
        packet_bytes(b"RIFF" + bytes(50))


def test_without_a_program_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingExtraError, match="opus-tools"):
        OpusCodec(8)
    with pytest.raises(MissingExtraError, match="ffmpeg on the PATH"):
        find_program("ffmpeg")


@pytest.mark.parametrize(
    "settings",
    [
        {"kbit_per_second": 3},
        {"kbit_per_second": 8, "rate_hz": 44_100},
        {"kbit_per_second": 8, "channels": 5},
    ],
)
def test_what_opus_cannot_do_is_refused_before_anything_runs(settings):
    with pytest.raises(SettingError):
        OpusCodec(**settings)


def test_a_clip_of_other_channels_and_a_failing_program_are_errors(monkeypatch):
    monkeypatch.setattr(opus, "find_program", lambda program: "opusenc")
    codec = OpusCodec(8)
    with pytest.raises(DataError, match=r"\[1, samples\]"):
        codec(np.zeros((2, 100), np.float32))
    with pytest.raises(DataError, match="false could not run Opus"):
        opus._run(["false"], b"")
