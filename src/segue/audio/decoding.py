"""Any sound file as blocks of float samples, at its own rate and with its own channels.

Three decoders are tried, the first that knows the file wins: libsndfile (inside the package
`soundfile`: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF and more), the program ``ffmpeg`` where it is
installed, and the Python package ``av`` where that is. `segue.audio.signal` is the way in.
"""

import contextlib
import importlib
import itertools
import multiprocessing
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from segue.errors import DataError
from segue.units import samples_to_seconds

Frames = NDArray[np.float32]
"""Samples as files have them: float32, shape ``frames channels``."""

FRAMES_AT_ONCE = 1 << 16
RATES_HZ = (1_000, 768_000)
"""Rates that are taken for true; a header outside them is damage."""
MAX_CHANNELS = 64

_PLAIN_KINDS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU"}
_PLAIN_SAMPLES = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}

_FORMAT_EXTENSIBLE = 0xFFFE
_FORMAT_FLOAT = 3
_MAX_CHUNK = 1 << 16
_TEXT_BYTES = 2048
_TEXT = bytes([9, 10, 12, 13, *range(32, 127)])


class Decoder(NamedTuple):
    """A file that is being decoded.

    Attributes:
        rate_hz, channels: of the file.
        num_frames: length that the file states, or None; it may be wrong.
        artist: tag of the file, or empty.
        blocks: the samples; may be gone through once.
        close: lets go of the file; may be called at any time.
    """

    rate_hz: int
    channels: int
    num_frames: int | None
    artist: str
    blocks: Iterator[Frames]
    close: Callable[[], None]


class Header(NamedTuple):
    """What a file says of itself.

    Attributes:
        artist: tag of the file, or empty.
        seconds: its length, or None where it does not say; it may be wrong.
    """

    artist: str
    seconds: float | None


class _NotForMeError(Exception):
    """A decoder does not know the file; the text says why."""


def open_decoder(path: Path) -> Decoder:
    """Open a sound file with the first decoder that knows it.

    Raises:
        DataError: there is no such file, it is empty, or no decoder knows it.
    """
    _check_file(path)
    reasons: list[str] = []
    for opener in (_open_soundfile, _open_ffmpeg, _open_av):
        try:
            decoder = opener(path)
        except _NotForMeError as error:
            reasons.append(str(error))
            continue
        try:
            _check_header(path, decoder)
        except DataError:
            decoder.close()
            raise
        return decoder
    raise DataError(
        f"{path} cannot be read as sound ({'; '.join(reasons)}). Give WAV, FLAC, Ogg, Opus or MP3; "
        "other kinds need the program ffmpeg on the path."
    )


def open_places(path: Path) -> soundfile.SoundFile | None:
    """Open a sound file whose every sample can be gone to at once; None where that is not so.

    Uncompressed kinds only: elsewhere going to a place means decoding up to it, and a file that is
    cut off would be noticed too late.
    """
    try:
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path))
    except (soundfile.SoundFileError, TypeError, OSError):
        return None
    if file.format in _PLAIN_KINDS and file.subtype in _PLAIN_SAMPLES and file.seekable():
        return file
    file.close()
    return None


def read_header(path: Path) -> Header:
    """Return what a file says of itself; nothing where libsndfile does not know it."""
    try:
        decoder = _open_soundfile(path)
    except _NotForMeError:
        return Header("", None)
    decoder.close()
    if decoder.num_frames is None or decoder.rate_hz < 1:
        return Header(decoder.artist, None)
    return Header(decoder.artist, samples_to_seconds(decoder.num_frames, rate_hz=decoder.rate_hz))


@contextlib.contextmanager
def quiet_decoders(*, everywhere: bool = False) -> Iterator[None]:
    """Keep libraries in C from writing their remarks on files to the terminal.

    Args:
        everywhere: also in a process that is no worker, whose standard error is somebody's own.
    """
    if not everywhere and multiprocessing.parent_process() is None:
        yield
        return
    try:
        saved = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _check_file(path: Path) -> None:
    """Refuse what is not a file with something in it."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {reason}.") from error
    if not path.is_file():
        raise DataError(f"{path} is not a file. Give a sound file.")
    if size == 0:
        raise DataError(f"{path} is empty (0 bytes). Give a sound file.")
    try:
        with path.open("rb") as stream:
            start = stream.read(_TEXT_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    # Also keeps ffmpeg from taking a play list for sound and opening what it names.
    if not start.translate(None, _TEXT):
        raise DataError(f"{path} holds text, not sound. Give a sound file.")


def _check_header(path: Path, decoder: Decoder) -> None:
    """Refuse a header that no recording has."""
    low, high = RATES_HZ
    if not low <= decoder.rate_hz <= high or not 1 <= decoder.channels <= MAX_CHANNELS:
        raise DataError(
            f"{path} claims {decoder.rate_hz} samples a second and {decoder.channels} channels; "
            f"{low} to {high} and 1 to {MAX_CHANNELS} can be read. The file is damaged."
        )


# libsndfile -------------------------------------------------------------------------------------


def _open_soundfile(path: Path) -> Decoder:
    """Open with libsndfile."""
    # soundfile cannot encode names that are not Unicode; as bytes they pass.
    name = os.fsencode(path) if os.name == "posix" else str(path)
    try:
        file = soundfile.SoundFile(name)
    except (soundfile.SoundFileError, TypeError, OSError) as error:
        reason = str(error).partition(": ")[2] or str(error)
        if "possibly a pipe" in reason:  # what it says of an MP3 file that has no sound in it
            reason = "no sound found"
        raise _NotForMeError(f"libsndfile: {reason.rstrip('.')}") from error

    def blocks() -> Iterator[Frames]:
        done = 0
        while True:
            try:
                block = file.read(FRAMES_AT_ONCE, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError) as error:
                reason = f"{done / file.samplerate:.1f} s can be read, then: {error}"
                raise DataError(f"{path} is damaged ({reason.rstrip('.')}).") from error
            if not len(block):
                return
            done += len(block)
            yield block

    return Decoder(
        rate_hz=file.samplerate,
        channels=file.channels,
        num_frames=file.frames if 0 <= file.frames < 1 << 40 else None,
        artist=(file.artist or "").strip(),
        blocks=blocks(),
        close=file.close,
    )


# ffmpeg -----------------------------------------------------------------------------------------


def _open_ffmpeg(path: Path) -> Decoder:
    """Open with the program ffmpeg, which writes float WAV into a pipe.

    It may read this one local file and nothing else: play lists lead nowhere.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise _NotForMeError("ffmpeg: not installed")
    # The errors go to a file: a pipe that nobody empties would stop a chatty decoder for ever.
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    words = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    words += ["-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", "-bitexact"]
    words += ["-f", "wav", "pipe:1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors)
    pipe = process.stdout
    assert pipe is not None

    def close() -> None:
        process.kill()
        pipe.close()
        process.wait()
        errors.close()

    def complaint() -> str:
        errors.seek(0)
        lines = errors.read(4096).decode("utf-8", "replace").strip().splitlines()
        line = lines[0].replace(f"file:{path}", path.name) if lines else "no sound"
        return re.sub(r"^\[.*? @ 0x[0-9a-f]+\] ", "", line).rstrip(".")

    header = _read_wav_header(pipe)
    if header is None:
        process.wait()
        reason = complaint()
        close()
        raise _NotForMeError(f"ffmpeg: {reason}")
    rate_hz, channels = header

    def blocks() -> Iterator[Frames]:
        yield from _read_frames(pipe, channels)
        if process.wait() != 0:
            raise DataError(f"{path} is damaged ({complaint()}).")

    return Decoder(rate_hz, channels, None, "", blocks(), close)


def _read_wav_header(pipe: IO[bytes]) -> tuple[int, int] | None:
    """Read a WAV header up to the samples; return rate and channels, or None where it is none."""
    if pipe.read(12)[:4] != b"RIFF":
        return None
    found = None
    while len(head := pipe.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            return found
        if size > _MAX_CHUNK:
            return None
        body = pipe.read(size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            kind, channels, rate_hz = struct.unpack_from("<HHI", body)
            if kind not in (_FORMAT_FLOAT, _FORMAT_EXTENSIBLE):
                return None
            found = rate_hz, channels
    return None


def _read_frames(pipe: IO[bytes], channels: int) -> Iterator[Frames]:
    """Read 32-bit float frames until the pipe ends."""
    size = 4 * channels
    while body := pipe.read(FRAMES_AT_ONCE * size):
        whole = len(body) - len(body) % size
        yield np.frombuffer(body[:whole], "<f4").reshape(-1, channels).astype(np.float32)


# av ---------------------------------------------------------------------------------------------


def _open_av(path: Path) -> Decoder:
    """Open with the package av (the libraries of ffmpeg), where it is installed."""
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        raise _NotForMeError("av: not installed") from error
    stack = contextlib.ExitStack()
    try:
        # A path that is absolute is never taken for an address.
        container: Any = stack.enter_context(av.open(str(path.absolute())))
        stream = container.streams.audio[0]
        rate_hz, channels = int(stream.rate), int(stream.channels)
    except (av.error.FFmpegError, IndexError, TypeError, ValueError) as error:
        stack.close()
        raise _NotForMeError(f"av: {error}") from error

    def blocks() -> Iterator[Frames]:
        # Interleaved, since av 18 crashes on planes of 8 channels.
        packer = av.AudioResampler(format="flt", layout=stream.layout, rate=rate_hz)
        try:
            for frame in itertools.chain(container.decode(stream), [None]):
                for part in packer.resample(frame):
                    yield part.to_ndarray().reshape(-1, channels)
        except (av.error.FFmpegError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}).") from error

    artist = str(container.metadata.get("artist", "")).strip()
    return Decoder(rate_hz, channels, None, artist, blocks(), stack.close)
