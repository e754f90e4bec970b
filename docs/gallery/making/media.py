"""Small files for a page: Opus sound that comes out the same each time, pictures that take little room."""

import io
import struct
import warnings
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from segue.audio.signal import resample
from segue.core.files import write_bytes
from segue.symbolic.render import render_wav
from segue.symbolic.score import Piece

if TYPE_CHECKING:
    from segue.plots.style import Figure

OPUS_HZ: Final = 48_000
COMPRESSION: Final = 0.9
"""Of libsndfile's Opus, 0 to 1: about 28 kbit a second for one channel."""
NUM_COLOURS: Final = 64
WEBP_QUALITY: Final = 72
DOTS_PER_INCH: Final = 150
ROLL_INCHES: Final = 6.8
SPECTROGRAM_INCHES: Final = (6.4, 3.5)
_LANE_NAME_PLACE: Final = -0.062
_MARGIN_IN: Final = 1.86
_CRC_POLYNOMIAL: Final = 0x04C11DB7

Audio = NDArray[np.float32]


def played(piece: Piece, start_s: float, end_s: float, *, soundfont: Path | None) -> Audio:
    """Return an excerpt of a piece as sound, one channel at `OPUS_HZ`.

    Args:
        piece: the piece.
        start_s: where the excerpt begins.
        end_s: where it ends.
        soundfont: what plays it; the one of the installation where None.

    Raises:
        DataError: nothing sounds in the excerpt.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "excerpt.wav"
        render_wav(
            piece,
            path,
            rate_hz=OPUS_HZ,
            start_seconds=start_s,
            end_seconds=end_s,
            soundfont=soundfont,
        )
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Audio = samples.mean(axis=1)
    return mono


def write_opus(path: Path, audio: Audio, rate_hz: int) -> float:
    """Write sound as Ogg Opus and return its seconds.

    Args:
        path: the file; its name numbers the stream, so that the same sound makes the same bytes.
        audio: ``[samples]`` or ``[channels, samples]``.
        rate_hz: of the samples.
    """
    mono = np.atleast_2d(np.asarray(audio, np.float32)).mean(axis=0)
    whole = resample(mono[None], rate_hz, OPUS_HZ)[0] if rate_hz != OPUS_HZ else mono
    stream = io.BytesIO()
    with soundfile.SoundFile(
        stream, "w", OPUS_HZ, 1, format="OGG", subtype="OPUS", compression_level=COMPRESSION
    ) as file:
        file.write(np.clip(whole, -1, 1))
    write_bytes(path, renumbered(stream.getvalue(), zlib.crc32(path.name.encode())))
    return len(mono) / rate_hz


def renumbered(ogg: bytes, serial: int) -> bytes:
    """Return an Ogg stream under another serial number, the checksums of its pages set anew.

    Encoders draw the number at random, which would make every file new each time.
    """
    pages, at = [], 0
    while at < len(ogg):
        num_segments = ogg[at + 26]
        size = 27 + num_segments + sum(ogg[at + 27 : at + 27 + num_segments])
        page = bytearray(ogg[at : at + size])
        page[14:18] = struct.pack("<I", serial)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", _checksum(page))
        pages.append(bytes(page))
        at += size
    return b"".join(pages)


def _table() -> list[int]:
    """Return the checksum of every byte."""
    found = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_CRC_POLYNOMIAL if value & 0x80000000 else 0)
        found.append(value & 0xFFFFFFFF)
    return found


_CHECKSUMS: Final = _table()


def _checksum(page: bytearray) -> int:
    """Return the checksum of an Ogg page (RFC 3533, section 6)."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CHECKSUMS[(value >> 24) ^ byte]
    return value


def write_roll(figure: "Figure", path: Path) -> tuple[int, int]:
    """Write a piano roll as a PNG for half a page's width, and return its pixels."""
    height = float(figure.get_size_inches()[1])
    figure.set_size_inches(ROLL_INCHES, height)
    axes_in = ROLL_INCHES - _MARGIN_IN - 0.15
    for axes in figure.axes:
        place = axes.get_position()
        left, width = _MARGIN_IN / ROLL_INCHES, axes_in / ROLL_INCHES
        axes.set_position((left, place.y0, width, place.height))
        for text in axes.texts:
            x, y = text.get_position()
            if x == _LANE_NAME_PLACE:
                text.set_position((-0.66 / axes_in, y))
    image = _drawn(figure)
    few = image.quantize(NUM_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    few.save(packed, format="png", optimize=True)
    write_bytes(path, packed.getvalue())
    return image.width, image.height


def write_spectrogram(figure: "Figure", path: Path) -> tuple[int, int]:
    """Write a waveform above its spectrogram as WebP for half a page's width; return its pixels.

    A spectrogram is as restless as a photograph: as PNG it would take four times the room.
    """
    figure.set_size_inches(*SPECTROGRAM_INCHES)
    figure.tight_layout()
    image = _drawn(figure)
    packed = io.BytesIO()
    image.save(packed, format="webp", quality=WEBP_QUALITY, method=6)
    write_bytes(path, packed.getvalue())
    return image.width, image.height


def _drawn(figure: "Figure") -> Image.Image:
    """Return a figure as an image."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="png", dpi=DOTS_PER_INCH)
    return Image.open(stream).convert("RGB")
