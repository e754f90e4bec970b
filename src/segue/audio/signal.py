"""Sound files in and out: any kind of file as float samples at the rate that is wanted.

A recording is a float32 array of the shape ``channels samples``, from -1 to 1. Files of any length are
read and written block by block in bounded memory.

How channels become fewer or more: one channel is the mean of all; two out of one are twice the same;
two out of more are the first two, each with the mean of the others, halved. Nothing is weighted, so
the result never exceeds the largest input, and a stereo pair of opposite phase cancels in mono.

How rates change: libsoxr at its high quality (`soxr`), whose filter is made once for each pair of rates.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from segue.audio.decoding import FRAMES_AT_ONCE, RATES_HZ, Frames, open_decoder
from segue.audio.loudness import loudness_lufs, measure, silent_share
from segue.core.files import atomic_path
from segue.errors import DataError, SettingError
from segue.units import samples_to_seconds

Audio = NDArray[np.float32]
"""A recording or a piece of one: float32, shape ``channels samples``."""

Bits = Literal[16, 24, 32]
"""Size of a sample in a file that is written; 32 are floats."""

__all__ = [
    "Audio",
    "AudioReader",
    "Bits",
    "finite",
    "loudness_lufs",
    "measure",
    "mix",
    "read_audio",
    "resample",
    "resample_blocks",
    "silent_share",
    "write_audio",
]

WRITABLE = {".wav": "WAV", ".flac": "FLAC"}
"""Endings of files that can be written, and libsndfile's names of their kinds."""

QUALITY = "HQ"
MAX_WAV_BYTES = (1 << 32) - (1 << 12)
_SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "PCM_24"}
_MAX_IDLE = 4
_IEEE_FLOAT = 3
_FLOAT_BYTES = 4
_FLOAT_HEADER_BYTES = 58

_idle: dict[tuple[int, int, int], list[soxr.ResampleStream]] = {}


class AudioReader:
    """A sound file of any length, read block by block at the rate and with the channels wanted.

    Args:
        path: any file that libsndfile reads (WAV, FLAC, Ogg, Opus, MP3, AIFF), or that the program
            ffmpeg or the package av reads where one is installed.
        rate_hz: rate of what is given; that of the file where None.
        channels: 1, 2, or as many as the file has where None.

    Attributes:
        rate_hz, channels: of what is given.
        source_rate_hz, source_channels: of the file.
        stated_s: length that the file states, in seconds, or None; it may be wrong.
        artist: tag of the file, or empty.

    Raises:
        DataError: the file cannot be read. While reading: it is damaged, or holds values that are
            not finite.
        SettingError: a rate or a number of channels that is not possible.

    Example:
        >>> with AudioReader("long.mp3") as reader:  # doctest: +SKIP
        ...     loudest = max(abs(block).max() for block in reader.blocks(16_000))
    """

    def __init__(
        self, path: Path | str, *, rate_hz: int | None = 16_000, channels: int | None = 1
    ) -> None:
        if rate_hz is not None:
            _check_rate(rate_hz)
        if channels not in (None, 1, 2):
            raise SettingError(f"Sound is read as 1 or 2 channels, but {channels} were asked for.")
        self._path = Path(path)
        self._decoder = open_decoder(self._path)
        self.source_rate_hz = self._decoder.rate_hz
        self.source_channels = self._decoder.channels
        self.rate_hz = rate_hz or self.source_rate_hz
        self.channels = channels or self.source_channels
        self.artist = self._decoder.artist
        frames = self._decoder.num_frames
        self.stated_s = (
            None if frames is None else samples_to_seconds(frames, rate_hz=self.source_rate_hz)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._decoder.close()

    def __iter__(self) -> Iterator[Audio]:
        """Give the whole file once, in blocks of whatever size comes."""
        frames = (mix(finite(block, self._path), self.channels) for block in self._decoder.blocks)
        for block in resample_blocks(frames, self.source_rate_hz, self.rate_hz, self.channels):
            yield np.ascontiguousarray(block.T)

    def blocks(self, num_samples: int) -> Iterator[Audio]:
        """Give the whole file once, in blocks of one size; the last may be shorter.

        Args:
            num_samples: samples of a block, 1 or more.
        """
        waiting: list[Audio] = []
        held = 0
        for block in self:
            waiting.append(block)
            held += block.shape[1]
            if held < num_samples:
                continue
            joined = np.concatenate(waiting, axis=1)
            whole = held - held % num_samples
            for start in range(0, whole, num_samples):
                yield joined[:, start : start + num_samples]
            waiting, held = [joined[:, whole:]], held - whole
        if held:
            yield np.concatenate(waiting, axis=1)


def finite(frames: Frames, path: Path) -> Frames:
    """Return what was read of a file, unless there are values in it that are no numbers.

    Raises:
        DataError: there are: nothing that follows could be right.
    """
    if not np.isfinite(frames).all():
        raise DataError(
            f"{path} holds values that are not finite numbers. Write it anew from its source."
        )
    return frames


def read_audio(path: Path | str, rate_hz: int | None = 16_000, channels: int | None = 1) -> Audio:
    """Return a whole sound file; for files of hours see `AudioReader`.

    Args:
        path: any sound file.
        rate_hz: rate of the result; that of the file where None.
        channels: 1, 2, or as many as the file has where None.

    Returns:
        Samples of the shape ``channels samples``; ``samples`` may be 0.

    Raises:
        DataError: the file cannot be read.
        SettingError: a rate or a number of channels that is not possible.
    """
    with AudioReader(path, rate_hz=rate_hz, channels=channels) as reader:
        blocks = [np.zeros((reader.channels, 0), np.float32), *reader]
    return np.concatenate(blocks, axis=1)


def mix(frames: Frames, channels: int) -> Frames:
    """Return samples with another number of channels, by the rule at the top of this file.

    Args:
        frames: shape ``frames channels``.
        channels: 1, 2 or the number that there is.
    """
    given = frames.shape[1]
    if given == channels:
        return frames
    if channels == 1:
        return _mean(frames)
    if given == 1:
        return np.repeat(frames, channels, axis=1)
    rest = _mean(frames[:, 2:])
    mixed: Frames = (frames[:, :2] + rest) * np.float32(0.5)
    return mixed


def _mean(frames: Frames) -> Frames:
    """Return the mean of all channels; column by column is ten times as fast as NumPy's mean."""
    total = frames[:, :1].copy()
    for channel in range(1, frames.shape[1]):
        total += frames[:, channel : channel + 1]
    total *= np.float32(1 / frames.shape[1])
    return total


# Other rates ------------------------------------------------------------------------------------


def resample(audio: Audio, from_hz: int, to_hz: int) -> Audio:
    """Return a recording at another rate, ``round(samples * to_hz / from_hz)`` samples long.

    Args:
        audio: shape ``channels samples``.
        from_hz: its rate.
        to_hz: the rate wanted.

    Raises:
        SettingError: a rate that is not possible.
    """
    if from_hz == to_hz:
        return audio
    frames = np.ascontiguousarray(audio.T, dtype=np.float32)
    parts = (frames[at : at + FRAMES_AT_ONCE] for at in range(0, len(frames), FRAMES_AT_ONCE))
    blocks = [frames[:0], *resample_blocks(parts, from_hz, to_hz, audio.shape[0])]
    return np.ascontiguousarray(np.concatenate(blocks).T)


def resample_blocks(
    blocks: Iterable[Frames], from_hz: int, to_hz: int, channels: int
) -> Iterator[Frames]:
    """Give a stream of frames at another rate; how it is cut makes no difference.

    Args:
        blocks: arrays of the shape ``frames channels``.
        from_hz: their rate.
        to_hz: the rate wanted.
        channels: number of channels.

    Raises:
        SettingError: a rate that is not possible.
    """
    if from_hz == to_hz:
        yield from blocks
        return
    _check_rate(from_hz)
    _check_rate(to_hz)
    key = (from_hz, to_hz, channels)
    waiting = _idle.setdefault(key, [])
    try:
        stream = waiting.pop()
    except IndexError:
        stream = _make(*key)
    for block in blocks:
        resampled = stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
        if len(resampled):
            yield resampled
    rest = stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
    # Only a stream that came to its end is used again; an abandoned one is left to the collector.
    stream.clear()
    if len(waiting) < _MAX_IDLE:
        waiting.append(stream)
    if len(rest):
        yield rest


def _make(from_hz: int, to_hz: int, channels: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality=QUALITY)


def _check_rate(rate_hz: int) -> None:
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise SettingError(f"A rate of {rate_hz} Hz is not possible; {low} to {high} Hz are.")


# Writing ----------------------------------------------------------------------------------------


def write_audio(
    path: Path | str, audio: Audio | Iterable[Audio], rate_hz: int, *, bits: Bits = 16
) -> int:
    """Write a WAV or FLAC file, whole or not at all.

    Values beyond -1 and 1 are cut off, but for floats. The same samples give the same bytes.

    Args:
        path: the file; its ending, ``.wav`` or ``.flac``, decides the kind.
        audio: a recording of the shape ``channels samples``, or its blocks one after another.
        rate_hz: rate of the samples.
        bits: size of a sample in the file; 32 are floats, which FLAC does not have: there they
            become 24.

    Returns:
        The number of samples (of one channel) that were written.

    Raises:
        SettingError: another ending, an impossible rate, or no block at all.
        DataError: the file cannot be written, there are values that are not finite, the blocks differ
            in their channels, or there is more than a WAV file can hold.
    """
    path = Path(path)
    kind = WRITABLE.get(path.suffix.lower())
    if kind is None:
        raise SettingError(
            f"{path} must end in {' or '.join(WRITABLE)}; other kinds of sound are not written."
        )
    _check_rate(rate_hz)
    blocks = iter([audio] if isinstance(audio, np.ndarray) else audio)
    first = next(blocks, None)
    if first is None:
        raise SettingError(f"There is no sound to write to {path}.")
    with atomic_path(path) as temporary:
        try:
            with _open_new(temporary, rate_hz, first.shape[0], kind, bits) as file:
                return _write_blocks(file, path, first, blocks, limit=_most_frames(file, bits))
        except soundfile.SoundFileError as error:
            raise DataError(f"Cannot write {path}: {error}") from error


def _open_new(path: Path, rate_hz: int, channels: int, kind: str, bits: Bits) -> Any:
    """Return a new file, to be written."""
    if bits == 32 and kind == "WAV":
        return _FloatFile(path, rate_hz, channels)
    return soundfile.SoundFile(path, "w", rate_hz, channels, _SUBTYPES[bits], format=kind)


def _most_frames(file: Any, bits: int) -> int | None:
    """Return how many frames a file can hold; a WAV file counts its bytes with 32 bits."""
    return MAX_WAV_BYTES * 8 // (bits * file.channels) if file.format == "WAV" else None


def _write_blocks(
    file: Any, path: Path, first: Audio, others: Iterator[Audio], *, limit: int | None
) -> int:
    """Write blocks to an open file; return the number of samples."""
    done, block = 0, first
    while True:
        if block.ndim != 2 or block.shape[0] != first.shape[0]:
            raise DataError(
                f"A block for {path} has the shape {block.shape}, not ({first.shape[0]}, samples)."
            )
        done += block.shape[1]
        if limit is not None and done > limit:
            raise DataError(
                f"{path} would be larger than a WAV file can be (4 GiB). Write a .flac file."
            )
        for start in range(0, block.shape[1], FRAMES_AT_ONCE):
            part = np.asarray(block[:, start : start + FRAMES_AT_ONCE], np.float32)
            if not np.isfinite(part).all():
                raise DataError(f"The sound for {path} has values that are not finite numbers.")
            file.write(np.ascontiguousarray(part.T))
        following = next(others, None)
        if following is None:
            return done
        block = following


class _FloatFile:
    """A WAV file of floats that is being written.

    libsndfile would put the time of writing into it: the same samples would not give the same bytes.

    Attributes:
        channels: of the samples.
        format: ``WAV``.
    """

    format = "WAV"

    def __init__(self, path: Path, rate_hz: int, channels: int) -> None:
        """Begin a file.

        Args:
            path: where; what stands there is replaced.
            rate_hz: of the samples.
            channels: of the samples.
        """
        self.channels = channels
        self._rate_hz = rate_hz
        self._num_frames = 0
        self._stream = path.open("wb")
        self._stream.write(bytes(_FLOAT_HEADER_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with self._stream:
            if error is None:
                self._stream.seek(0)
                self._stream.write(self._header())

    def write(self, frames: Frames) -> None:
        """Add samples of the shape ``frames channels``."""
        self._stream.write(np.ascontiguousarray(frames, "<f4").data)
        self._num_frames += len(frames)

    def _header(self) -> bytes:
        """Return everything in front of the samples."""
        width = _FLOAT_BYTES * self.channels
        size = self._num_frames * width
        kind = struct.pack(
            "<HHIIHHH",
            *(_IEEE_FLOAT, self.channels, self._rate_hz, self._rate_hz * width),
            *(width, 8 * _FLOAT_BYTES, 0),
        )
        return b"".join(
            [
                struct.pack("<4sI4s", b"RIFF", _FLOAT_HEADER_BYTES - 8 + size, b"WAVE"),
                struct.pack("<4sI", b"fmt ", len(kind)),
                kind,
                struct.pack("<4sII", b"fact", 4, self._num_frames),
                struct.pack("<4sI", b"data", size),
            ]
        )
