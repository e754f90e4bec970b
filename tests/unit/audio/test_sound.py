"""Recordings that are read by place, in memory and on disk."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sounds import save
from tests.tiny_audio import RATE_HZ, music

from segue.audio.signal import resample, write_audio
from segue.audio.sound import (
    Filed,
    Joined,
    Part,
    Tape,
    blocks_of,
    converted,
    cut,
    of_array,
    of_file,
)
from segue.errors import DataError


@given(
    lengths=st.lists(st.integers(0, 50), max_size=8),
    channels=st.integers(1, 3),
    limit=st.sampled_from([0, 40, 10_000]),
    data=st.data(),
)
def test_a_tape_gives_back_what_it_was_given(lengths, channels, limit, data) -> None:
    audio = np.random.default_rng(0).uniform(-1, 1, (channels, sum(lengths))).astype(np.float32)
    tape = Tape(8_000, channels, in_memory_values=limit)
    at = 0
    for length in lengths:
        tape.append(audio[:, at : at + length])
        at += length
        start = data.draw(st.integers(0, at))
        stop = data.draw(st.integers(start, at))
        assert np.array_equal(tape.read(start, stop), audio[:, start:stop])
    assert tape.num_samples == audio.shape[1]
    tape.gain = 0.5
    assert np.array_equal(tape.read(0, at), audio * np.float32(0.5))


def test_a_long_tape_is_kept_on_disk() -> None:
    tape = Tape(8_000, 1, in_memory_values=100)
    tape.append(np.ones((1, 101), np.float32))
    assert tape._file is not None
    assert not tape._held.size


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(DataError, match=r"No space left on device.*TMPDIR"):
        Tape(8_000, 1, in_memory_values=0).append(np.ones((1, 1), np.float32))


@given(cuts=st.lists(st.integers(0, 99), min_size=2, max_size=8), data=st.data())
def test_joined_parts_are_one_recording(cuts, data) -> None:
    audio = music(100 / 8_000)
    sound = of_array(audio, 8_000)
    spans = [(min(pair), max(pair)) for pair in zip(cuts[::2], cuts[1::2], strict=False)]
    wanted = np.concatenate([audio[:, low:high] for low, high in spans], axis=1)
    joined = Joined([Part(sound, low, high) for low, high in spans])
    assert joined.num_samples == wanted.shape[1]
    start = data.draw(st.integers(0, wanted.shape[1]))
    stop = data.draw(st.integers(start, wanted.shape[1]))
    assert np.array_equal(joined.read(start, stop), wanted[:, start:stop])


def test_conversion_is_that_of_the_whole() -> None:
    audio = music(1.3, rate_hz=44_100, channels=2)
    found = np.concatenate(list(converted(of_array(audio, 44_100), 16_000, 1)), axis=1)
    wanted = resample(audio.mean(axis=0, keepdims=True), 44_100, 16_000)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@given(skip=st.integers(0, 60), length=st.integers(0, 60), sizes=st.lists(st.integers(0, 20)))
def test_cutting_a_stream(skip: int, length: int, sizes: list[int]) -> None:
    values = np.arange(1, sum(sizes) + 1, dtype=np.float32)[None]
    edges = np.cumsum([0, *sizes])
    blocks = [values[:, a:b] for a, b in itertools.pairwise(edges)]
    found = np.concatenate(
        [np.zeros((1, 0), np.float32), *cut(blocks, skip=skip, length=length)], axis=1
    )
    kept = values[:, skip : skip + length]
    assert found.shape == (1, length)
    assert np.array_equal(found[:, : kept.shape[1]], kept)
    assert not found[:, kept.shape[1] :].any()


def test_files_come_at_their_own_rate_and_with_their_channels(tmp_path: Path) -> None:
    audio = np.round(music(0.4, rate_hz=48_000, channels=3) * 32768) / np.float32(32768)
    write_audio(tmp_path / "x.wav", audio, 48_000)
    tape = of_file(tmp_path / "x.wav")
    assert (tape.rate_hz, tape.channels) == (48_000, 3)
    assert np.array_equal(np.concatenate(list(blocks_of(tape, size=999)), axis=1), audio)


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.wav", np.zeros((1, 0), np.float32), 48_000)
    with pytest.raises(DataError, match="no sound"):
        of_file(tmp_path / "x.wav")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be replaced")
def test_a_long_plain_file_stays_where_it_is(tmp_path: Path, subtype: str) -> None:
    path = save(tmp_path / "x.wav", music(0.5, channels=2).T, RATE_HZ, subtype=subtype)
    filed, tape = of_file(path, in_memory_values=4_000), of_file(path, in_memory_values=8_000)
    assert isinstance(filed, Filed)
    assert isinstance(tape, Tape)
    assert (filed.rate_hz, filed.channels, filed.num_samples) == (RATE_HZ, 2, 4_000)
    for start, stop in ((0, 4_000), (3_999, 4_000), (17, 1_234), (5, 5)):
        assert np.array_equal(filed.read(start, stop), tape.read(start, stop))
    path.unlink()
    assert filed.read(10, 20).shape == (2, 10)


@pytest.mark.parametrize("name", ["x.flac", "x.ogg", "x.mp3"])
def test_a_compressed_file_is_decoded_at_once(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, music(0.5)[0], RATE_HZ)
    assert isinstance(of_file(path, in_memory_values=100), Tape)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be replaced")
def test_a_long_file_that_is_damaged_is_told(tmp_path: Path) -> None:
    wave = music(1)[0]
    wave[5_000] = np.nan
    path = save(tmp_path / "x.wav", wave, RATE_HZ, subtype="FLOAT")
    filed = of_file(path, in_memory_values=100)
    assert filed.read(0, 5_000).shape == (1, 5_000)
    with pytest.raises(DataError, match="not finite"):
        list(blocks_of(filed, size=999))
    os.truncate(path, 9_000)
    with pytest.raises(DataError, match="became shorter"):
        filed.read(0, 5_000)
