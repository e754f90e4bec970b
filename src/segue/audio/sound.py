"""Recordings of any length in bounded memory: short ones in memory, long ones in a file.

A `Sound` is read by place, so that files of hours can be spliced, varied and written without ever
being held whole.
"""

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from segue.audio.decoding import open_places
from segue.audio.signal import AudioReader, finite, mix, resample_blocks
from segue.errors import DataError

Audio = NDArray[np.float32]

IN_MEMORY_VALUES: Final = 16_000_000
"""Longer recordings go to a temporary file: 64 MB, at 16 kHz and one channel 17 minutes."""

BLOCK_SAMPLES: Final = 1 << 17


class Sound(Protocol):
    """A recording that is read by place."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def num_samples(self) -> int:
        """Length."""

    def read(self, start: int, stop: int) -> Audio:
        """Return samples ``[channels, stop - start]``; both ends lie inside the recording."""


class Tape:
    """A recording that grows at its end; not for several threads at once.

    Attributes:
        rate_hz, channels: of the samples.
        num_samples: how many there are by now.
        gain: factor of everything that is read.
    """

    def __init__(
        self, rate_hz: int, channels: int, *, in_memory_values: int = IN_MEMORY_VALUES
    ) -> None:
        """Begin an empty recording.

        Args:
            rate_hz: of the samples.
            channels: of every block.
            in_memory_values: what is more than this goes to a temporary file without a name, which
                the system deletes with the object or the process.
        """
        self.rate_hz, self.channels, self.num_samples = rate_hz, channels, 0
        self.gain = 1.0
        self._limit = in_memory_values
        self._held = np.zeros((0, channels), np.float32)
        self._file: IO[bytes] | None = None

    def append(self, block: Audio) -> None:
        """Add samples ``[channels, samples]`` at the end.

        Raises:
            DataError: the temporary file cannot be written: the disk is full.
        """
        frames = np.ascontiguousarray(block.T, dtype=np.float32)
        before, self.num_samples = self.num_samples, self.num_samples + len(frames)
        if self._file is None and self.num_samples * self.channels <= self._limit:
            self._hold(frames, before)
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="segue-")  # noqa: SIM115 - kept open
                weakref.finalize(self, self._file.close)
                self._file.write(self._held[:before].data)
                self._held = self._held[:0].copy()
            self._file.seek(0, 2)
            self._file.write(frames.data)
        except OSError as error:
            raise DataError(
                f"A temporary file in {tempfile.gettempdir()} cannot be written: "
                f"{error.strerror or error}. Make room there, or name another place in TMPDIR."
            ) from error

    def _hold(self, frames: Audio, at: int) -> None:
        """Keep samples in memory, in one piece that doubles.

        Many small ones among the large arrays of the networks would break the free memory up, until
        the process has several times as much as it uses.
        """
        if self.num_samples > len(self._held):
            most = self._limit // self.channels
            larger = np.empty((min(most, max(self.num_samples, 2 * at)), self.channels), np.float32)
            larger[:at] = self._held[:at]
            self._held = larger
        self._held[at : self.num_samples] = frames

    def extend(self, blocks: Iterable[Audio]) -> "Tape":
        """Add many blocks; return the recording itself."""
        for block in blocks:
            self.append(block)
        return self

    def read(self, start: int, stop: int) -> Audio:
        """Return samples ``[channels, stop - start]``, times the gain."""
        if self._file is None:
            frames = self._held[start : min(stop, self.num_samples)]
        else:
            width = 4 * self.channels
            self._file.seek(start * width)
            raw = self._file.read((stop - start) * width)
            frames = np.frombuffer(raw, np.float32).reshape(-1, self.channels)
        return np.ascontiguousarray(frames.T) * np.float32(self.gain)


class Filed:
    """A recording that stays in its own file, where every place can be gone to at once.

    Attributes:
        rate_hz, channels: of the samples.
        num_samples: how many there are.
    """

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        """Begin with an open file, see `segue.audio.decoding.open_places`."""
        self.rate_hz: int = file.samplerate
        self.channels: int = file.channels
        self.num_samples: int = file.frames
        self._path, self._file = path, file
        weakref.finalize(self, file.close)

    def read(self, start: int, stop: int) -> Audio:
        """Return samples ``[channels, stop - start]``.

        Raises:
            DataError: the file has become shorter, or holds values that are not finite.
        """
        try:
            self._file.seek(start)
            frames = self._file.read(stop - start, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise DataError(f"{self._path} can no longer be read ({error}).") from error
        if len(frames) < stop - start:
            raise DataError(f"{self._path} became shorter while it was read.")
        return np.ascontiguousarray(finite(frames, self._path).T)


class Part(NamedTuple):
    """Samples from `start` to `stop` of a recording."""

    sound: Sound
    start: int
    stop: int


@dataclass(frozen=True)
class Joined:
    """Parts of recordings one after another.

    Attributes:
        parts: at least one, all with the same rate and channels.
    """

    parts: Sequence[Part]

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self.parts[0].sound.rate_hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.parts[0].sound.channels

    @property
    def num_samples(self) -> int:
        """Length of all parts together."""
        return sum(part.stop - part.start for part in self.parts)

    def read(self, start: int, stop: int) -> Audio:
        """Return samples ``[channels, stop - start]``."""
        found, at = [np.zeros((self.channels, 0), np.float32)], 0
        for sound, first, last in self.parts:
            low, high = max(start, at), min(stop, at + last - first)
            if low < high:
                found.append(sound.read(first + low - at, first + high - at))
            at += last - first
        return np.concatenate(found, axis=1)


def of_array(audio: Audio, rate_hz: int) -> Tape:
    """Return a recording of an array ``[channels, samples]``."""
    tape = Tape(rate_hz, audio.shape[0])
    tape.append(audio)
    return tape


def of_file(path: Path | str, *, in_memory_values: int = IN_MEMORY_VALUES) -> Sound:
    """Open a sound file at its own rate and with its own channels.

    Long ones stay where they are if they are not compressed; what else there is is decoded at once.

    Args:
        path: the file.
        in_memory_values: a file of more than this is a long one.

    Raises:
        DataError: the file cannot be read, is damaged, or holds no sound at all.
    """
    with AudioReader(path, rate_hz=None, channels=None) as reader:
        long = (reader.stated_s or 0) * reader.rate_hz * reader.channels > in_memory_values
        # On Windows nobody could write over a file that is open.
        if long and os.name == "posix" and (file := open_places(Path(path))) is not None:
            return Filed(Path(path), file)
        tape = Tape(reader.rate_hz, reader.channels).extend(reader)
    if not tape.num_samples:
        raise DataError(f"{path} holds no sound: it has 0 samples. Give another file.")
    return tape


def blocks_of(sound: Sound, *, size: int = BLOCK_SAMPLES) -> Iterator[Audio]:
    """Go through a recording in blocks ``[channels, samples]``."""
    for start in range(0, sound.num_samples, size):
        yield sound.read(start, min(start + size, sound.num_samples))


def converted(sound: Sound, rate_hz: int, channels: int) -> Iterator[Audio]:
    """Go through a recording at another rate and with other channels, in blocks.

    Args:
        sound: the recording.
        rate_hz: the rate wanted.
        channels: 1, 2 or its own.
    """
    frames = (mix(block.T, channels) for block in blocks_of(sound))
    for block in resample_blocks(frames, sound.rate_hz, rate_hz, channels):
        yield np.ascontiguousarray(block.T)


def cut(blocks: Iterable[Audio], *, skip: int, length: int) -> Iterator[Audio]:
    """Leave out the first `skip` samples of a stream and give exactly `length` after them.

    What the stream lacks is filled with silence.
    """
    channels, missing = 1, length
    for block in blocks:
        channels = block.shape[0]
        kept = block[:, skip : skip + missing]
        skip = max(0, skip - block.shape[1])
        missing -= kept.shape[1]
        if kept.shape[1]:
            yield kept
        if not missing:
            break
    if missing:
        yield np.zeros((channels, missing), np.float32)
