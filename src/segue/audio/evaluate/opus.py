"""Opus as a yardstick: what everyone's codec does at a few kilobits, through a program of the system."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError, MissingExtraError, SettingError

Audio = NDArray[np.float32]
Program = Literal["ffmpeg", "opusenc"]

RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Sample rates that Opus codes as they are."""

FRAME_MS = 20
_MAX_SHIFT_SECONDS = 0.1
_SECONDS = 600


def find_program(program: Program | None = None) -> Program:
    """Say which program can run Opus: the one asked for, else ffmpeg with libopus, else opusenc.

    Raises:
        MissingExtraError: there is none.
    """
    for name in (program,) if program else ("ffmpeg", "opusenc"):
        if name == "ffmpeg" and _ffmpeg_has_opus():
            return "ffmpeg"
        if name == "opusenc" and shutil.which("opusenc") and shutil.which("opusdec"):
            return "opusenc"
    raise MissingExtraError(
        f"Comparing with Opus needs {program or 'ffmpeg (with libopus) or opusenc and opusdec'} on "
        "the PATH. Install ffmpeg or opus-tools, or leave Opus out."
    )


def _ffmpeg_has_opus() -> bool:
    """Whether ffmpeg is there and was built with libopus."""
    if not shutil.which("ffmpeg"):
        return False
    words = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-encoders"]
    done = subprocess.run(words, capture_output=True, timeout=_SECONDS, check=False)
    return b"libopus" in done.stdout


class OpusCodec:
    """Encode to Opus and decode again, in step with the input.

    Variable rate, 20 ms frames, the "audio" application, complexity 10: the encoder's defaults. A
    delay that the programs leave is found by cross-correlation and taken out.

    Args:
        kbit_per_second: the rate asked for; what it became is `kbit_per_second` after some calls.
        rate_hz: sample rate of the audio, one that Opus knows.
        channels: 1 or 2.
        program: which program; see `find_program`.

    Attributes:
        shifts: delay in samples that was taken out, for each clip.

    Raises:
        MissingExtraError: no program can run Opus.
        SettingError: the sample rate is not one of Opus, or the bit rate is out of its range.

    Example:
        >>> codec = OpusCodec(12)  # doctest: +SKIP
        >>> heard = codec(audio)  # doctest: +SKIP
    """

    def __init__(
        self,
        kbit_per_second: float,
        *,
        rate_hz: int = 16_000,
        channels: int = 1,
        program: Program | None = None,
    ) -> None:
        if rate_hz not in RATES_HZ:
            raise SettingError(f"Opus knows {RATES_HZ} Hz; {rate_hz} Hz was given. Resample first.")
        if not 5 <= kbit_per_second <= 256 or channels not in (1, 2):
            raise SettingError(
                f"Opus takes 5 to 256 kbit/s and 1 or 2 channels; {kbit_per_second:g} kbit/s and "
                f"{channels} were given."
            )
        self.wanted = kbit_per_second
        self.rate_hz, self.channels = rate_hz, channels
        self.program = find_program(program)
        self.shifts: list[int] = []
        self._bits = self._seconds = 0.0

    @property
    def kbit_per_second(self) -> float | None:
        """Rate of all clips so far: bits of Opus packets, without Ogg's pages, per second."""
        return self._bits / self._seconds / 1000 if self._seconds else None

    def __call__(self, audio: Audio) -> Audio:
        """Return what a listener gets. Shape ``channels samples``, as given.

        Raises:
            DataError: the audio has other channels, or the program fails.
        """
        if audio.ndim != 2 or len(audio) != self.channels or not audio.size:
            raise DataError(
                f"This Opus codec takes [{self.channels}, samples]; shape {audio.shape} was given."
            )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "clip.opus"
            self._encode(audio, file)
            decoded = self._decode(file)
            self._bits += 8 * packet_bytes(file.read_bytes())
        self._seconds += audio.shape[1] / self.rate_hz
        heard, shift = aligned(audio, decoded, int(_MAX_SHIFT_SECONDS * self.rate_hz))
        self.shifts.append(shift)
        return heard

    def _encode(self, audio: Audio, file: Path) -> None:
        """Write an Opus file."""
        rate, channels = str(self.rate_hz), str(self.channels)
        if self.program == "ffmpeg":
            words = [
                *("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "s16le"),
                *("-ar", rate, "-ac", channels, "-i", "pipe:0", "-c:a", "libopus"),
                *("-b:a", f"{self.wanted}k", "-frame_duration", str(FRAME_MS), str(file)),
            ]
        else:
            words = [
                *("opusenc", "--quiet", "--raw", "--raw-rate", rate, "--raw-chan", channels),
                *("--bitrate", f"{self.wanted}", "--framesize", str(FRAME_MS), "-", str(file)),
            ]
        numbers = np.clip(np.round(audio.T * 32_767), -32_768, 32_767).astype("<i2")
        _run(words, numbers.tobytes())

    def _decode(self, file: Path) -> Audio:
        """Read an Opus file at the codec's sample rate."""
        rate = str(self.rate_hz)
        if self.program == "ffmpeg":
            words = [
                *("ffmpeg", "-hide_banner", "-loglevel", "error", "-i", str(file)),
                *("-f", "s16le", "-ar", rate, "-ac", str(self.channels), "pipe:1"),
            ]
        else:
            words = ["opusdec", "--quiet", "--no-dither", "--rate", rate, str(file), "-"]
        content = _run(words, b"")
        if content[:4] == b"RIFF":
            content = content[content.index(b"data") + 8 :]
        numbers = np.frombuffer(content[: len(content) // 2 * 2], "<i2")
        return numbers.reshape(-1, self.channels).T.astype(np.float32) / np.float32(32_767)


def _run(words: list[str], given: bytes) -> bytes:
    """Run a program on bytes and return what it writes."""
    done = subprocess.run(words, input=given, capture_output=True, timeout=_SECONDS, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise DataError(
            f"{words[0]} could not run Opus over a clip (status {done.returncode}: "
            f"{reason[-1] if reason else 'no message'}). Try the other program."
        )
    return done.stdout


def aligned(reference: Audio, decoded: Audio, max_shift: int) -> tuple[Audio, int]:
    """Take out the delay of decoded audio.

    Every frequency has the same say (the phase transform of Knapp and Carter, 1976): Opus turns the
    phases of the lowest ones, where music is loudest, and plain correlation follows those.

    Args:
        reference: shape ``channels samples``.
        decoded: the same channels, any length.
        max_shift: largest delay looked for, either way.

    Returns:
        Audio of the reference's length, filled with zeros at the ends where it is missing, and the
        delay in samples at which the two correlate best (positive: decoded is late).
    """
    num_samples = reference.shape[1]
    size = 1 << (num_samples + decoded.shape[1]).bit_length()
    spectra = [np.fft.rfft(side, size).conj() for side in (reference, decoded)]
    cross = (spectra[0] * spectra[1].conj()).sum(axis=0)
    correlation = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-9), size)
    shifts = np.arange(-max_shift, max_shift + 1)
    shift = int(shifts[np.argmax(correlation[shifts])])
    padded = np.pad(decoded, ((0, 0), (max(0, -shift), num_samples + max(0, shift))))
    start = max(0, shift)
    return padded[:, start : start + num_samples], shift


def packet_bytes(ogg: bytes) -> int:
    """Return the bytes of all audio packets of an Ogg Opus file, without pages and headers.

    Raises:
        DataError: this is not an Ogg file.

    Source: RFC 3533 (pages), RFC 7845 (the first two packets are headers).
    """
    sizes, size, position = list[int](), 0, 0
    while position < len(ogg):
        if ogg[position : position + 4] != b"OggS":
            raise DataError("What the Opus encoder wrote is not an Ogg file.")
        num_segments = ogg[position + 26]
        lacing = ogg[position + 27 : position + 27 + num_segments]
        for length in lacing:
            size += length
            if length < 255:
                sizes.append(size)
                size = 0
        position += 27 + num_segments + sum(lacing)
    return sum(sizes[2:])
