"""Files of all kinds and conditions: the right samples, or an error that says what is wrong."""

import importlib.util
import os
import shutil
import stat
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from tests.sounds import noise, save, save_tagged, tone

from segue.audio import decoding
from segue.audio.decoding import open_decoder
from segue.errors import DataError


def all_frames(path: Path) -> np.ndarray:
    decoder = open_decoder(path)
    try:
        return np.concatenate([np.zeros((0, decoder.channels), np.float32), *decoder.blocks])
    finally:
        decoder.close()


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-24),
        ("a.wav", "FLOAT", 0.0),
        ("a.wav", "DOUBLE", 2**-24),
        ("a.wav", "PCM_U8", 2**-7),
        ("a.aiff", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
        ("a.ogg", "VORBIS", 0.1),
        ("a.mp3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_every_kind_of_sample(tmp_path: Path, name: str, subtype: str, tolerance: float) -> None:
    wanted = np.stack([tone(0.5), tone(0.5, hz=1000)], axis=1).astype(np.float32)
    path = save(tmp_path / name, wanted, subtype=subtype)
    found = all_frames(path)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance


def test_opus_is_read_at_its_own_rate(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.opus", tone(0.5, rate_hz=48_000), 48_000, format="OGG", subtype="OPUS"
    )
    assert all_frames(path).shape == (24_000, 1)


def test_an_artist_is_read(tmp_path: Path) -> None:
    path = save_tagged(tmp_path / "a.flac", tone(0.1), artist=" Clara  Wieck ")
    assert open_decoder(path).artist == "Clara  Wieck"


def test_eight_channels_at_192_khz(tmp_path: Path) -> None:
    wanted = np.stack([tone(0.05, rate_hz=192_000, hz=100 * n) for n in range(1, 9)], axis=1)
    decoder = open_decoder(save(tmp_path / "a.wav", wanted, 192_000))
    assert (decoder.rate_hz, decoder.channels, decoder.num_frames) == (192_000, 8, 9_600)
    assert np.abs(np.concatenate(list(decoder.blocks)) - wanted).max() < 2**-15


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_samples(tmp_path: Path, count: int) -> None:
    assert all_frames(save(tmp_path / "a.wav", tone(1)[:count])).shape == (count, 1)


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("names are Unicode here")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.wav"))
    shutil.copy(save(tmp_path / "a.wav", tone(0.1)), path)
    assert all_frames(path).shape == (1600, 1)


def written(tmp_path: Path) -> bytes:
    return save(tmp_path / "whole.wav", noise(1)).read_bytes()


def changed(tmp_path: Path, offset: int, code: str, value: int) -> bytes:
    body = bytearray(written(tmp_path))
    struct.pack_into(code, body, offset, value)
    return bytes(body)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: b"", "is empty"),
        (lambda _: b"la la la\n" * 500, "holds text"),
        (lambda _: b"#EXTM3U\nfile:///etc/passwd\n", "holds text"),
        (lambda _: bytes(5000), "cannot be read as sound"),
        (lambda _: np.random.default_rng(1).bytes(9000), "cannot be read as sound"),
        (lambda folder: written(folder)[:30], "cannot be read as sound"),
        (lambda folder: changed(folder, 24, "<I", 4_000_000_000), "cannot be read as sound"),
        (lambda folder: changed(folder, 24, "<I", 0), "cannot be read as sound"),
        (lambda folder: changed(folder, 24, "<I", 7), "claims 7 samples a second"),
        (lambda folder: changed(folder, 24, "<I", 900_000), "claims 900000 samples a second"),
        (lambda folder: changed(folder, 22, "<H", 65_535), "cannot be read as sound"),
    ],
)
def test_what_is_no_sound(tmp_path: Path, make: Any, message: str) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(make(tmp_path))
    with pytest.raises(DataError, match=message) as caught:
        all_frames(path)
    assert "a.mp3" in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        open_decoder(tmp_path / "missing.wav")
    with pytest.raises(DataError, match="not a file"):
        open_decoder(tmp_path)
    (tmp_path / "a.wav").symlink_to("nowhere")
    with pytest.raises(DataError, match="No such file"):
        open_decoder(tmp_path / "a.wav")


def test_a_truncated_wav_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(written(tmp_path)[: 44 + 2 * 5000])
    assert all_frames(path).shape == (5000, 1)


def test_a_wav_that_states_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(changed(tmp_path, 40, "<I", 0xFFFFFFFF))
    assert all_frames(path).shape == (16_000, 1)


def test_a_truncated_flac_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    whole = save(tmp_path / "whole.flac", noise(5)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"damaged \(\d\.\d s can be read"):
        all_frames(path)


# ffmpeg, played by a program of our own where it is not installed --------------------------------

FAKE = f"""#!{sys.executable}
import struct, sys
arguments = sys.argv
path = arguments[arguments.index("-i") + 1]
assert path.startswith("file:/"), path
assert arguments[arguments.index("-protocol_whitelist") + 1] == "file,pipe"
body = open(path[5:], "rb").read()
if not body.startswith(b"\\xff\\xfeown"):
    sys.exit("Invalid data\\nmore words")
kind = struct.pack("<HHIIHH", 3, 2, 8000, 64000, 8, 32)
out = sys.stdout.buffer
out.write(b"RIFF\\xff\\xff\\xff\\xffWAVEfmt " + struct.pack("<I", 16) + kind)
out.write(b"LIST" + struct.pack("<I", 3) + b"abc\\0" + b"data\\xff\\xff\\xff\\xff")
out.write(body[5:])
sys.stderr.write("x" * 300_000)
sys.exit(body.endswith(b"broken"))
"""


@pytest.fixture
def fake_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.usefixtures("fake_ffmpeg")
def test_ffmpeg_reads_what_libsndfile_does_not(tmp_path: Path) -> None:
    wanted = np.arange(8000, dtype="<f4").reshape(-1, 2) / 8000
    path = tmp_path / "a.own"
    path.write_bytes(b"\xff\xfeown" + wanted.tobytes())
    decoder = open_decoder(path)
    assert (decoder.rate_hz, decoder.channels, decoder.num_frames) == (8000, 2, None)
    assert np.array_equal(np.concatenate(list(decoder.blocks)), wanted)
    decoder.close()


@pytest.mark.usefixtures("fake_ffmpeg")
def test_what_ffmpeg_says_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.own"
    path.write_bytes(b"\xff\xfeother")
    with pytest.raises(DataError, match="ffmpeg: Invalid data;"):
        open_decoder(path)


@pytest.mark.usefixtures("fake_ffmpeg")
def test_ffmpeg_that_fails_at_the_end_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.own"
    path.write_bytes(b"\xff\xfeown" + bytes(8000) + b"brbroken")
    with pytest.raises(DataError, match="damaged"):
        all_frames(path)


@pytest.mark.usefixtures("fake_ffmpeg")
def test_a_decoder_that_is_left_early_ends_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.own"
    path.write_bytes(b"\xff\xfeown" + bytes(50_000_000))
    decoder = open_decoder(path)
    next(decoder.blocks)
    decoder.close()  # would hang or warn of an open pipe


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_the_real_ffmpeg_agrees_with_libsndfile(tmp_path: Path) -> None:
    wanted = np.stack([noise(0.5, seed) for seed in range(3)], axis=1)
    path = save(tmp_path / "a.wav", wanted, 44_100)
    ours, theirs = decoding._open_soundfile(path), decoding._open_ffmpeg(path)
    assert theirs[:2] == (44_100, 3)
    assert np.array_equal(np.concatenate(list(ours.blocks)), np.concatenate(list(theirs.blocks)))
    ours.close()
    theirs.close()


# av, played by an object of our own where it is not installed ------------------------------------


@pytest.mark.skipif(not importlib.util.find_spec("av"), reason="av is not installed")
def test_the_real_av_agrees_with_libsndfile(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", np.stack([noise(0.5, seed) for seed in range(8)], axis=1))
    ours, theirs = decoding._open_soundfile(path), decoding._open_av(path)
    assert np.array_equal(np.concatenate(list(ours.blocks)), np.concatenate(list(theirs.blocks)))
    ours.close()
    theirs.close()


class FakeContainer:
    """Stands for a file that av has opened."""

    def __init__(self, num_streams: int) -> None:
        stream = SimpleNamespace(rate=8000, channels=2, layout="stereo")
        self.streams = SimpleNamespace(audio=[stream] * num_streams)
        self.metadata = {"artist": "A"}
        self.is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def decode(self, stream: object) -> Any:
        return iter([np.arange(6, dtype=np.float32), np.arange(4, dtype=np.float32)])


class FakePacker:
    """Stands for av's resampler; gives what it holds at the end."""

    def __init__(self, **options: object) -> None:
        assert options == {"format": "flt", "layout": "stereo", "rate": 8000}

    def resample(self, frame: np.ndarray | None) -> list[SimpleNamespace]:
        samples = np.array([9, 9], np.float32) if frame is None else frame
        return [SimpleNamespace(to_ndarray=lambda: samples[None])]


@pytest.mark.parametrize("num_streams", [1, 0])
def test_av_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_streams: int
) -> None:
    container = FakeContainer(num_streams)
    av = SimpleNamespace(
        open=lambda name: container,
        AudioResampler=FakePacker,
        error=SimpleNamespace(FFmpegError=KeyError),
    )
    monkeypatch.setitem(sys.modules, "av", av)
    monkeypatch.setenv("PATH", "")
    path = tmp_path / "a.own"
    path.write_bytes(bytes(100))
    if not num_streams:
        with pytest.raises(DataError, match="ffmpeg: not installed; av: "):
            open_decoder(path)
        assert not container.is_open
        return
    decoder = open_decoder(path)
    assert (decoder.rate_hz, decoder.channels, decoder.artist) == (8000, 2, "A")
    frames = np.concatenate(list(decoder.blocks))
    assert frames.tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [2, 3], [9, 9]]
    decoder.close()
    assert not container.is_open
