"""Reading at a rate, mixing, resampling, writing."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.sounds import noise, save, tone

from segue.audio import signal
from segue.audio.signal import AudioReader, mix, read_audio, resample, resample_blocks, write_audio
from segue.errors import DataError, SettingError


def test_a_file_comes_at_the_rate_and_with_the_channels_wanted(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.wav",
        np.stack([tone(1, rate_hz=44_100), 0 * tone(1, rate_hz=44_100)], 1),
        44_100,
    )
    audio = read_audio(path)
    assert audio.shape == (1, 16_000)
    assert audio.dtype == np.float32
    middle = slice(2000, -2000)
    assert np.abs(audio[0, middle] - 0.5 * tone(1)[middle]).max() < 1e-3
    assert read_audio(path, None, None).shape == (2, 44_100)
    assert read_audio(path, 48_000, 2).shape == (2, 48_000)


def test_a_reader_says_what_the_file_is(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", np.stack([tone(2, rate_hz=8000)] * 3, 1), 8000)
    with AudioReader(path) as reader:
        assert (reader.rate_hz, reader.channels) == (16_000, 1)
        assert (reader.source_rate_hz, reader.source_channels) == (8000, 3)
        assert reader.stated_s == 2.0


@pytest.mark.parametrize("size", [1, 777, 1000, 40_000])
def test_blocks_have_one_size_and_are_the_whole(tmp_path: Path, size: int) -> None:
    path = save(tmp_path / "a.wav", noise(0.3, rate_hz=44_100), 44_100)
    with AudioReader(path) as reader:
        blocks = list(reader.blocks(size))
    assert {block.shape[1] for block in blocks[:-1]} <= {size}
    assert 0 < blocks[-1].shape[1] <= size
    assert np.array_equal(np.concatenate(blocks, axis=1), read_audio(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    frames = noise(0.1)
    frames[700] = value
    path = save(tmp_path / "a.wav", frames, subtype="FLOAT")
    with pytest.raises(DataError, match="not finite"):
        read_audio(path)


def test_impossible_wishes_are_refused_before_the_file_is_opened(tmp_path: Path) -> None:
    for rate_hz in (0, -1, 999, 10**9):
        with pytest.raises(SettingError, match="not possible"):
            AudioReader(tmp_path / "missing.wav", rate_hz=rate_hz)
    with pytest.raises(SettingError, match="1 or 2 channels"):
        AudioReader(tmp_path / "missing.wav", channels=3)


def test_the_rule_of_channels() -> None:
    frames = np.array([[1, 2, 4, 8]], np.float32) / 16
    assert mix(frames, 1).tolist() == [[15 / 64]]
    assert mix(frames, 2).tolist() == [[(1 + 6) / 32, (2 + 6) / 32]]
    assert mix(frames, 4) is frames
    assert mix(frames[:, :1], 2).tolist() == [[1 / 16, 1 / 16]]
    opposite = np.array([[0.5, -0.5]], np.float32)
    assert mix(opposite, 1).tolist() == [[0.0]]


def test_a_resampled_tone_is_the_tone_and_what_is_too_high_is_gone() -> None:
    low, high = tone(1, rate_hz=48_000, hz=1000), tone(1, rate_hz=48_000, hz=12_000)
    audio = np.stack([low, high]).astype(np.float32)
    found = resample(audio, 48_000, 16_000)
    middle = slice(500, -500)
    assert np.abs(found[0, middle] - tone(1, hz=1000)[middle]).max() < 1e-4
    assert np.abs(found[1, middle]).max() < 1e-4


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    audio = noise(0.1).astype(np.float32)[None]
    assert resample(audio, 16_000, 16_000) is audio


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(SettingError, match="not possible"):
        resample(np.zeros((1, 5), np.float32), 16_000, 0)


def test_a_filter_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = signal._make
    monkeypatch.setattr(signal, "_make", lambda *key: made.append(key) or make(*key))
    monkeypatch.setattr(signal, "_idle", {})
    audio = noise(0.1).astype(np.float32)[None]
    results = [resample(audio, 44_100, 16_000) for _ in range(3)]
    assert made == [(44_100, 16_000, 1)]
    assert all(np.array_equal(result, results[0]) for result in results)


def test_two_streams_at_once_do_not_mix() -> None:
    first, second = (noise(1, seed).astype(np.float32)[:, None] for seed in (1, 2))

    def stream(frames: np.ndarray) -> Iterator[np.ndarray]:
        return resample_blocks(
            (frames[at : at + 999] for at in range(0, 16_000, 999)), 16_000, 8000, 1
        )

    together = list(zip(stream(first), stream(second), strict=True))
    alone = np.concatenate(list(stream(first)))
    assert np.array_equal(np.concatenate([pair[0] for pair in together]), alone)


def test_a_stream_that_is_left_early_spoils_nothing() -> None:
    frames = noise(1).astype(np.float32)[:, None]
    whole = np.concatenate(list(resample_blocks([frames], 16_000, 11_025, 1)))
    left = resample_blocks([frames, frames], 16_000, 11_025, 1)
    next(left)
    left.close()
    assert np.array_equal(np.concatenate(list(resample_blocks([frames], 16_000, 11_025, 1))), whole)


def test_threads_share_without_harm() -> None:
    audio = [noise(1, seed).astype(np.float32)[None] for seed in range(8)]
    wanted = [resample(one, 44_100, 16_000) for one in audio]
    found: list[np.ndarray] = [audio[0]] * 8

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = resample(audio[number], 44_100, 16_000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))


# Writing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".wav", ".flac", ".WAV"])
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read(tmp_path: Path, ending: str, bits: int, channels: int) -> None:
    audio = np.stack([noise(0.2, seed) for seed in range(channels)]).astype(np.float32)
    path = tmp_path / f"a{ending}"
    assert write_audio(path, audio, 22_050, bits=bits) == 3200  # type: ignore[arg-type]
    found, rate_hz = soundfile.read(path, always_2d=True)
    assert rate_hz == 22_050
    assert soundfile.info(path).subtype == f"PCM_{bits}"
    assert np.abs(found.T - audio).max() <= 2.0 ** (1 - bits)


def test_blocks_give_the_same_file(tmp_path: Path) -> None:
    audio = np.stack([noise(0.2, seed) for seed in range(2)]).astype(np.float32)
    write_audio(tmp_path / "whole.flac", audio, 16_000)
    blocks = (audio[:, at : at + 700] for at in range(0, 3200, 700))
    assert write_audio(tmp_path / "parts.flac", blocks, 16_000) == 3200
    whole, parts = ((tmp_path / name).read_bytes() for name in ("whole.flac", "parts.flac"))
    assert whole == parts


def test_what_is_too_loud_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, np.array([[2, -2, 0.5]], np.float32), 16_000)
    assert soundfile.read(path)[0] == pytest.approx([1, -1, 0.5], abs=1e-4)


def test_a_recording_without_samples_is_a_file_without_samples(tmp_path: Path) -> None:
    assert write_audio(tmp_path / "a.wav", np.zeros((2, 0), np.float32), 16_000) == 0
    assert read_audio(tmp_path / "a.wav", None, None).shape == (2, 0)


def blocks_that_fail() -> Iterator[np.ndarray]:
    yield np.zeros((1, 100), np.float32)
    raise DataError("the model gave up")


@pytest.mark.parametrize(
    ("audio", "error", "message"),
    [
        (np.array([[0, np.nan]], np.float32), DataError, "not finite"),
        ([np.zeros((1, 5), np.float32), np.zeros((2, 5), np.float32)], DataError, "shape"),
        ([np.zeros(5, np.float32)], DataError, "shape"),
        ([], SettingError, "no sound"),
        (blocks_that_fail(), DataError, "gave up"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, audio: object, error: type[Exception], message: str
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(error, match=message):
        write_audio(path, audio, 16_000)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.wav"]


def test_other_endings_and_rates_are_refused(tmp_path: Path) -> None:
    audio = np.zeros((1, 5), np.float32)
    with pytest.raises(SettingError, match=r"must end in \.wav or \.flac"):
        write_audio(tmp_path / "a.mp3", audio, 16_000)
    with pytest.raises(SettingError, match="not possible"):
        write_audio(tmp_path / "a.wav", audio, 0)
    with pytest.raises(DataError, match="Cannot write"):
        write_audio(tmp_path / "a.wav", np.zeros((1025, 5), np.float32), 16_000)
    assert list(tmp_path.iterdir()) == []


def test_a_wav_that_would_be_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "MAX_WAV_BYTES", 10_000)
    blocks = [np.zeros((2, 1000), np.float32)] * 3
    with pytest.raises(DataError, match=r"4 GiB.*\.flac"):
        write_audio(tmp_path / "a.wav", blocks, 16_000)
    assert write_audio(tmp_path / "a.wav", blocks[:2], 16_000) == 2000
    assert write_audio(tmp_path / "a.flac", blocks, 16_000) == 3000


def test_a_long_file_needs_little_memory(tmp_path: Path) -> None:
    minute = noise(60, rate_hz=8000).astype(np.float32)[None]
    tracemalloc.start()
    try:
        write_audio(tmp_path / "a.wav", (minute for _ in range(20)), 8000)
        with AudioReader(tmp_path / "a.wav") as reader:
            samples = sum(block.shape[1] for block in reader.blocks(160_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples == 20 * 60 * 16_000
    assert peak < 8e6  # the whole is 77 MB
