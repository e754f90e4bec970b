"""Any stretch of any track of a piece as sound, soon enough to be heard while it is marked.

The same notes, SoundFont, hall and mixing as in `segue.symbolic.synthesis`: the sum of all tracks is
what a rendering of the piece sounds like, times one factor.
"""

import itertools
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.soundfont import SoundFont
from segue.symbolic.synthesis import (
    MAX_CACHED_FRAMES,
    PlayedNotes,
    Voice,
    Wave,
    Waves,
    add_voice,
    room_echo,
    voices_of,
)

LOUDEST = 0.5
"""Amplitude that the loudest moment of a piece is likely to have."""
_CREST = 1.1
"""Peak of many voices at once by the root of the sum of their squared amplitudes, as measured."""
_SPARE_SECONDS = 0.1
_MORE = 1.5
_MOST_GAIN = 8.0

Stereo = NDArray[np.float32]


class WaveCache(Waves):
    """The sound of each key of a SoundFont, for any number of pieces; not for several threads."""

    def __init__(
        self, font: SoundFont, rate_hz: int, *, max_frames: int = MAX_CACHED_FRAMES
    ) -> None:
        """Begin empty.

        Args:
            font: what plays.
            rate_hz: frames per second.
            max_frames: what is more is forgotten, the longest unused first.
        """
        super().__init__(font, rate_hz, [])
        self.font, self.rate_hz = font, rate_hz
        self._max_frames = max_frames
        self._kept: OrderedDict[tuple[int, int], tuple[int, Wave]] = OrderedDict()
        self._size = 0

    def get(self, voice: Voice) -> Wave:
        """Return the wave of a voice, at least as long as it sounds where the sample loops."""
        key, needed = (id(voice.region), voice.key), voice.held + voice.release
        asked, wave = self._kept.get(key, (0, np.zeros(0, np.float32)))
        if asked < needed:
            length = max(int(_MORE * asked), needed + int(_SPARE_SECONDS * self.rate_hz))
            self._size -= len(wave)
            wave = self.compute(voice.region, voice.key, length)
            self._kept[key] = (length, wave)
            self._size += len(wave)
        self._kept.move_to_end(key)
        while self._size > self._max_frames and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1][1])
        return wave


@dataclass(frozen=True, eq=False)
class Stems:
    """The tracks of a piece, ready to sound.

    Attributes:
        rate_hz: frames per second.
        gain: factor that brings the loudest moment of the piece near `LOUDEST`.
        num_frames: length, until the last voice has faded; the hall goes on for a second.
    """

    rate_hz: int
    gain: float
    num_frames: int
    _voices: dict[int, list[Voice]]
    _starts: dict[int, NDArray[np.int64]]
    _ends: dict[int, NDArray[np.int64]]

    @classmethod
    def of(
        cls, notes: PlayedNotes, parts: NDArray[np.integer], font: SoundFont, *, rate_hz: int
    ) -> "Stems":
        """Find out what sounds when.

        Args:
            notes: of the whole piece.
            parts: whose each note is. Shape ``notes``.
            font: what plays it.
            rate_hz: frames per second.

        Raises:
            DataError: the SoundFont is damaged where it is needed.
        """
        voices = voices_of(notes, font, rate_hz, parts=parts)
        ends = [voice.start + voice.held + voice.release for voice in voices]
        found: dict[int, list[Voice]] = {}
        for voice in voices:
            found.setdefault(voice.part, []).append(voice)
        return cls(
            rate_hz,
            _gain(voices),
            max(ends, default=0),
            found,
            {part: np.array([v.start for v in own]) for part, own in found.items()},
            {p: np.array([v.start + v.held + v.release for v in own]) for p, own in found.items()},
        )

    @property
    def num_voices(self) -> int:
        """How many voices sound in all."""
        return sum(map(len, self._voices.values()))

    def voice_seconds(self, parts: Iterable[int], start: int, stop: int) -> float:
        """Return how long all voices of some parts sound in a stretch: the work that it takes.

        Args:
            parts: whose voices.
            start: first frame.
            stop: end of the stretch.
        """
        total = 0
        for part in parts:
            if part in self._voices:
                ends, starts = (
                    np.minimum(self._ends[part], stop),
                    np.maximum(self._starts[part], start),
                )
                total += int(np.maximum(ends - starts, 0).sum())
        return total / self.rate_hz

    def read(self, part: int, start: int, stop: int, waves: WaveCache) -> Stereo:
        """Return frames ``[stop - start, 2]`` of a part, in the hall, without the gain.

        Stretches that follow one another join: what began before sounds on, the hall included.

        Args:
            part: whose sound; silence where it has none.
            start: first frame, counted from the beginning of the piece.
            stop: end of the stretch.
            waves: of the same SoundFont and rate.
        """
        echo = room_echo(self.rate_hz)
        before = start - len(echo)
        dry = np.zeros((2, stop - before), np.float32)
        for voice in self._sounding(part, before, stop):
            add_voice(dry, voice, waves.get(voice), offset=voice.start - before)
        if not dry.any():
            return np.zeros((stop - start, 2), np.float32)
        size = _quick_size(dry.shape[1])
        spectrum = np.fft.rfft(dry, size, axis=1)
        wet = np.fft.irfft(spectrum * _echo_spectrum(self.rate_hz, size), size, axis=1)
        heard = dry + wet[:, : dry.shape[1]].astype(np.float32)
        return np.ascontiguousarray(heard[:, len(echo) :].T)

    def _sounding(self, part: int, start: int, stop: int) -> list[Voice]:
        """Return the voices of a part that sound from `start` to `stop`."""
        if part not in self._voices:
            return []
        where = (self._starts[part] < stop) & (self._ends[part] > start)
        return list(itertools.compress(self._voices[part], where))


def pcm(sound: Stereo, gain: float) -> NDArray[np.int16]:
    """Return sound as 16-bit samples of the same shape; what is too loud is cut off."""
    return np.clip(np.rint(sound * np.float32(32767 * gain)), -32768, 32767).astype("<i2")


def _gain(voices: list[Voice]) -> float:
    """Return the factor for a piece, from the amplitudes of its voices alone.

    Found in no time, and nearly the same for pieces that are nearly the same, so that a piece and its
    variants are equally loud.
    """
    if not voices:
        return 1.0
    energy = np.array([voice.left**2 + voice.right**2 for voice in voices]) / 2
    starts = np.array([voice.start for voice in voices])
    ends = starts + np.array([voice.held + 1 for voice in voices])
    moments = np.concatenate([starts, ends])
    order = np.argsort(moments, kind="stable")
    sums = np.cumsum(np.concatenate([energy, -energy])[order])
    loudest = float(np.sqrt(max(sums.max(), 1e-12)))
    return min(_MOST_GAIN, LOUDEST / (_CREST * loudest))


@lru_cache(maxsize=4)
def _echo_spectrum(rate_hz: int, size: int) -> NDArray[np.complexfloating]:
    """Return the transformed echo of the hall, ``[2, size // 2 + 1]``."""
    return np.fft.rfft(room_echo(rate_hz).T, size, axis=1)


@lru_cache(maxsize=64)
def _quick_size(least: int) -> int:
    """Return the smallest product of twos, threes and fives that is not below `least`."""
    best = 1 << (least - 1).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            rest = -(-least // threes)
            best = min(best, threes << max(0, (rest - 1).bit_length()))
            threes *= 3
        fives *= 5
    return best
