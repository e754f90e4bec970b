"""What one sound file is: format, length, loudness, silence, clipping, spectrum.

Whatever is wrong with a file is a result, never an error.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import soundfile

from segue.audio.data.bands import BAND_CENTRES_HZ, LongTermSpectrum
from segue.audio.data.cache import BYTES_PER_SAMPLE
from segue.audio.data.prepare import CANNOT_READ, CRASHED, DAMAGED, NO_SOUND, TOO_SHORT
from segue.audio.decoding import quiet_decoders
from segue.audio.loudness import Measures, SignalMeter
from segue.audio.signal import Audio, AudioReader
from segue.core.files import sha256_of
from segue.errors import DataError
from segue.units import samples_to_seconds

EMPTY_FILE, SILENT = "empty file", "silent"

_BLOCK_SAMPLES = 1 << 17
_SCALE = np.float32(1 / 32_767)
_KINDS = {
    "WAV": "WAV", "WAVEX": "WAV", "RF64": "WAV", "W64": "W64", "AIFF": "AIFF", "AU": "AU", "CAF": "CAF",
    "FLAC": "FLAC", "OGG": "Ogg", "MP3": "MP3", "MPEG": "MP3",
}  # fmt: skip
_CODINGS = {
    "PCM_S8": "8 bit", "PCM_U8": "8 bit", "PCM_16": "16 bit", "PCM_24": "24 bit", "PCM_32": "32 bit",
    "FLOAT": "32 bit float", "DOUBLE": "64 bit float", "VORBIS": "Vorbis", "OPUS": "Opus",
    "MPEG_LAYER_III": "", "MPEG_LAYER_II": "layer 2", "MPEG_LAYER_I": "layer 1",
    "ULAW": "µ-law", "ALAW": "A-law",
}  # fmt: skip
PREPARED_KIND: Final = "prepared folder, 16 bit"


class Clip(NamedTuple):
    """A recording inside a prepared folder's file of samples."""

    rate_hz: int
    channels: int
    offset_samples: int
    num_samples: int


@dataclass(frozen=True)
class Item:
    """Something to measure.

    Attributes:
        name: its path, as it is shown.
        file: where it is.
        key: hash of what decides the result.
        min_seconds: shorter ones are left out.
        clip: where it lies in the file, of a prepared folder.
    """

    name: str
    file: Path
    key: str
    min_seconds: float
    clip: Clip | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured of one file.

    Attributes:
        reason, detail: why it is left out; empty where it is not.
        kind: format and coding.
        rate_hz, channels, seconds: as decoded, not as stated.
        kbps: thousands of bits of the file for each second.
        loudness_lufs: integrated loudness; None where nothing passes the gate at -70.
        peak_dbfs: largest amplitude.
        silent_share: share of the windows of 100 ms below -60 dBFS.
        clipped_share: share of the samples at full scale.
        bandwidth_hz: highest frequency with sound.
        bands_db: third octaves, decibels below the whole; see `segue.audio.data.bands`.
        artist: tag of the file, or empty.
        sha256: of the file; empty in a prepared folder.
        sound_sha256: of its samples.
    """

    reason: str = ""
    detail: str = ""
    kind: str = ""
    rate_hz: int = 0
    channels: int = 0
    seconds: float = 0.0
    kbps: float = 0.0
    loudness_lufs: float | None = None
    peak_dbfs: float = 0.0
    silent_share: float = 0.0
    clipped_share: float = 0.0
    bandwidth_hz: float = 0.0
    bands_db: tuple[float | None, ...] = (None,) * len(BAND_CENTRES_HZ)
    artist: str = ""
    sha256: str = ""
    sound_sha256: str = ""


def measure_item(item: Item) -> Measured:
    """Measure one file; made to be run in a worker."""
    with quiet_decoders():
        try:
            if item.clip is not None:
                return _measure_clip(item, item.clip)
            return _measure_file(item)
        except OSError as error:
            return Measured(CANNOT_READ, str(error.strerror or error))


def crashed(_: Item) -> Measured:
    """Stand in for a file that took its process down."""
    return Measured(CRASHED)


class _Gauges:
    """Everything that listens to the samples as they come."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.rate_hz, self.channels = rate_hz, channels
        self.meter = SignalMeter(rate_hz, channels)
        self.spectrum = LongTermSpectrum(rate_hz)
        self.digest = hashlib.sha256(f"{rate_hz} {channels}".encode())

    def add(self, block: Audio) -> None:
        """Take the next block. Shape ``channels samples``."""
        self.meter.add(block)
        self.spectrum.add(block)
        self.digest.update(np.ascontiguousarray(block.T, "<f4").tobytes())


def _measure_file(item: Item) -> Measured:
    size = item.file.stat().st_size
    if not size:
        return Measured(EMPTY_FILE)
    reason = CANNOT_READ
    try:
        with AudioReader(item.file, rate_hz=None, channels=None) as reader:
            reason = DAMAGED
            gauges = _Gauges(reader.rate_hz, reader.channels)
            for block in reader:
                gauges.add(block)
            artist = reader.artist
    except DataError as error:
        return Measured(reason, str(error))
    return _result(
        gauges,
        item,
        kind=kind_of(item.file),
        size=size,
        artist=" ".join(artist.split()),
        sha256=sha256_of(item.file),
    )


def _measure_clip(item: Item, clip: Clip) -> Measured:
    gauges = _Gauges(clip.rate_hz, clip.channels)
    for block in _clip_blocks(item.file, clip):
        gauges.add(block)
    size = clip.num_samples * clip.channels * BYTES_PER_SAMPLE
    return _result(gauges, item, kind=PREPARED_KIND, size=size)


def _clip_blocks(path: Path, clip: Clip) -> Iterator[Audio]:
    """Give the samples of a recording in a prepared folder. Shape ``channels samples``."""
    samples = np.memmap(path, "<i2", "r").reshape(-1, clip.channels)
    end = clip.offset_samples + clip.num_samples
    for start in range(clip.offset_samples, end, _BLOCK_SAMPLES):
        part = samples[start : min(end, start + _BLOCK_SAMPLES)]
        yield np.ascontiguousarray(part.T) * _SCALE


def _result(
    gauges: _Gauges, item: Item, *, kind: str, size: int, artist: str = "", sha256: str = ""
) -> Measured:
    """Put together what was measured, or say why the file is left out."""
    found = gauges.meter.result()
    seconds = samples_to_seconds(found.num_samples, rate_hz=gauges.rate_hz)
    if reason := _judge(found, seconds, item.min_seconds):
        return Measured(reason)
    finite = math.isfinite(found.loudness_lufs)
    return Measured(
        kind=kind,
        rate_hz=gauges.rate_hz,
        channels=gauges.channels,
        seconds=round(seconds, 3),
        kbps=round(size * 8 / 1000 / seconds, 1),
        loudness_lufs=round(found.loudness_lufs, 2) if finite else None,
        peak_dbfs=round(found.peak_dbfs, 2),
        silent_share=round(found.silent_share, 4),
        clipped_share=round(found.clipped_share, 7),
        bandwidth_hz=gauges.spectrum.bandwidth_hz(),
        bands_db=tuple(gauges.spectrum.bands_db()),
        artist=artist,
        sha256=sha256,
        sound_sha256=gauges.digest.hexdigest(),
    )


def _judge(found: Measures, seconds: float, min_seconds: float) -> str:
    if not found.num_samples:
        return NO_SOUND
    if seconds < min_seconds:
        return TOO_SHORT
    return SILENT if found.silent_share == 1 else ""


def kind_of(path: Path) -> str:
    """Return format and coding of a file as people name them: "WAV, 24 bit", "Ogg Vorbis", "MP3"."""
    try:
        info = soundfile.info(os.fsencode(path) if os.name == "posix" else str(path))
    except (soundfile.SoundFileError, TypeError, OSError):
        return path.suffix.lower().removeprefix(".") or "unknown"
    kind = _KINDS.get(info.format, info.format)
    coding = _CODINGS.get(info.subtype, info.subtype)
    return f"{kind}{' ' if kind == 'Ogg' else ', '}{coding}" if coding else kind
