"""New sound inside a recording or at its ends; every other sample stays as it is, to the last bit.

The model hears what lies outside the hole and nothing of what is in it: at the hole's edges the
recording is mirrored before it is encoded, so that neither silence nor the old content leaks in. The
new sound is brought to the recording's own rate, level and number of channels (the model's channel in
each of them) and fades in from the same mirror image inside the hole's edges.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.generate import (
    FULL_SCALE,
    Maker,
    check_seconds,
    entry_gain,
    record,
)
from segue.audio.loudness import measure
from segue.audio.signal import mix, resample, resample_blocks
from segue.audio.sound import Joined, Part, Sound, Tape, cut, of_array
from segue.core.region import Region
from segue.errors import SettingError
from segue.units import seconds_to_samples

Audio = NDArray[np.float32]
Latents = NDArray[np.float32]

FADE_SECONDS: Final = 0.02
"""Length of the cross-fade inside each edge of a hole."""

_LEAD_FRAMES = 2
"""Latent frames beside a hole that are decoded with it, for the filters of the resampling; drawn with it
and thrown away where nothing is known there."""


@dataclass(frozen=True)
class Filled:
    """A recording with new sound in it.

    Attributes:
        sound: all of it, at the recording's own rate and with its channels.
        start, stop: samples that are new.
    """

    sound: Sound
    start: int
    stop: int


def inpaint(maker: Maker, sound: Sound, region: Region) -> Filled:
    """Write new sound into a region of a recording.

    Args:
        maker: model and choices.
        sound: the recording.
        region: in seconds; what lies beyond the end of the recording is left out.

    Raises:
        SettingError: the region is not in seconds or not in the recording, names tracks, or the model
            cannot fill holes.
    """
    if region.unit != "seconds" or region.tracks is not None:
        raise SettingError(
            f"Sound is inpainted by seconds and has no tracks, but {region} was given. "
            "Give seconds such as 12.5-20."
        )
    start = seconds_to_samples(region.start, rate_hz=sound.rate_hz)
    stop = min(seconds_to_samples(region.end, rate_hz=sound.rate_hz), sound.num_samples)
    if start >= stop:
        raise SettingError(
            f"The region {region} is empty, or lies behind the end of the recording, which is "
            f"{sound.num_samples / sound.rate_hz:.6g} seconds long."
        )
    return _filled(maker, sound, start, stop, stop - start)


def extend(maker: Maker, sound: Sound, seconds: float, *, before: bool = False) -> Filled:
    """Go on after the end of a recording, or lead in before its beginning.

    Args:
        maker: model and choices.
        sound: the recording.
        seconds: how much to write.
        before: write it in front.

    Raises:
        SettingError: the duration is not possible, or the model cannot go on from something.
    """
    num_new = check_seconds(seconds, sound.rate_hz)
    edge = 0 if before else sound.num_samples
    return _filled(maker, sound, edge, edge, num_new)


def _filled(maker: Maker, sound: Sound, start: int, stop: int, num_new: int) -> Filled:
    """Replace the samples from `start` to `stop` by `num_new` new ones."""
    if not maker.model.parts.codec.length_free:
        raise SettingError(
            f"The model {maker.model.name} knows whole clips only and cannot fill a part of one. "
            "Choose another model."
        )
    hole = Hole(maker, sound, start, stop, num_new)
    new = hole.write()
    parts = [
        Part(sound, 0, start),
        *hole.faded(new),
        Part(sound, stop, sound.num_samples),
    ]
    return Filled(
        Joined([part for part in parts if part.start < part.stop]), start, start + num_new
    )


@dataclass(frozen=True, eq=False)
class Hole:
    """A place for new sound.

    Attributes:
        maker: model and choices.
        sound: the recording.
        start, stop: samples of it that are replaced; equal where nothing is.
        num_new: samples that take their place, at the recording's rate.
    """

    maker: Maker
    sound: Sound
    start: int
    stop: int
    num_new: int

    def write(self) -> Tape:
        """Return the new sound, at the recording's rate and with its channels."""
        codec, spec = self.maker.model.codec, self.maker.model.codec.spec
        left, right = self._left(), self._right()
        known = np.concatenate([left.known, right.known], axis=1)
        gain = entry_gain(self.maker.model, measure(known, codec.rate_hz))
        before, after = self._latents(left, gain), self._latents(right, gain)
        edges = [0 if side.frames else _LEAD_FRAMES for side in (left, right)]
        first = before.shape[1]
        last = first + edges[0] + self._num_frames + edges[1]
        leads_in = not first and after.shape[1] > 0
        windows = self.maker.plan(first, last, last + after.shape[1], backwards=leads_in)
        context = codec.settings.context_frames
        lead = min(_LEAD_FRAMES + context, first)
        tape = Tape(self.sound.rate_hz, self.sound.channels)
        label = "extending" if self.start == self.stop else "inpainting"
        with self.maker.watched(label, windows) as progress:
            drawer = self.maker.drawer
            drawn = (
                drawer.fill_backwards(windows, after=after, progress=progress)
                if leads_in
                else drawer.fill(windows, before=before, after=after, progress=progress)
            )
            latents = itertools.chain(
                [before[:, first - lead :]], drawn, [after[:, : context + _LEAD_FRAMES]]
            )
            heard = codec.decode_blocks(spec.denormalise(block) for block in latents)
            measured = record(tape, self._at_own_rate(heard, (lead + edges[0]) * spec.hop_samples))
        tape.gain = min(1.0 / gain, FULL_SCALE / max(measured.peak, 1e-9))
        return tape

    @property
    def _units(self) -> tuple[int, int]:
        """Numbers of samples, of the recording and of the model, that last equally long."""
        own, models = self.sound.rate_hz, self.maker.model.codec.rate_hz
        common = math.gcd(own, models)
        return own // common, models // common

    @property
    def _num_frames(self) -> int:
        """Latent frames that cover the hole; the last may reach beyond it."""
        own, models = self._units
        return -(-self.num_new * models // (own * self.maker.model.codec.spec.hop_samples))

    @property
    def _mirror_frames(self) -> int:
        """Latent frames of mirror image that what is known is encoded with."""
        return self.maker.model.codec.settings.context_frames + _LEAD_FRAMES

    def _left(self) -> "Side":
        """Return what is known in front of the hole."""
        own, models = self._units
        hop = self.maker.model.codec.spec.hop_samples
        frames = min(self.maker.model.parts.frames, self.start * models // (own * hop))
        units = -(-frames * hop // models)
        mirror = self._mirror_frames * hop
        audio = self._read(self.start - units * own, self.start)
        beyond = -(-mirror // models) * own + own
        padded = self._mirrored(audio, after=beyond)
        edge = units * models
        heard = padded[:, edge - frames * hop : edge + mirror]
        return Side(heard, 0, frames, hop)

    def _right(self) -> "Side":
        """Return what is known behind the hole, from its first whole frame on."""
        own, models = self._units
        hop = self.maker.model.codec.spec.hop_samples
        size, left_over = self._num_frames * hop, self.sound.num_samples - self.stop
        reach = (self.num_new + left_over) * models // own - size
        frames = max(0, min(self.maker.model.parts.frames, reach // hop))
        mirror = self._mirror_frames * hop if frames else 0
        origin = (self.num_new * models - mirror * own) // (own * models)
        needed = -(-(size + frames * hop) * own // models) - self.num_new + own
        audio = self._read(self.stop, self.stop + needed)
        padded = self._mirrored(audio, before=self.num_new - origin * own)
        start = size - mirror - origin * models
        heard = padded[:, start : start + mirror + frames * hop]
        return Side(heard, mirror // hop, frames, hop)

    def _read(self, start: int, stop: int) -> Audio:
        """Return samples of the recording with the model's channels; silence beyond its ends."""
        low, high = max(0, start), min(stop, self.sound.num_samples)
        if low >= high:
            return np.zeros((self.maker.model.codec.channels, stop - start), np.float32)
        found = mix(self.sound.read(low, high).T, self.maker.model.codec.channels).T
        return np.pad(found, ((0, 0), (low - start, stop - high)))

    def _mirrored(self, audio: Audio, *, before: int = 0, after: int = 0) -> Audio:
        """Continue sound by its mirror image and return it at the model's rate."""
        if audio.shape[1]:
            audio = np.pad(audio, ((0, 0), (before, after)), mode="symmetric")
        return resample(audio, self.sound.rate_hz, self.maker.model.codec.rate_hz)

    def _latents(self, side: "Side", gain: float) -> Latents:
        """Return the normalised latents of what is known on one side."""
        codec = self.maker.model.codec
        if not side.frames:
            return np.zeros((codec.spec.channels, 0), np.float32)
        latents = codec.encode(side.heard * np.float32(gain))
        return codec.spec.normalise(latents[:, side.skip : side.skip + side.frames])

    def _at_own_rate(self, heard: Iterable[Audio], lead: int) -> Iterator[Audio]:
        """Give the hole's samples out of what was decoded from `lead` samples before it on."""
        own, models = self._units
        units = lead // models
        channels = self.sound.channels
        mixed = (mix(block.T, 1) if channels != block.shape[0] else block.T for block in heard)
        frames = _skipped(mixed, lead - units * models)
        width = 1 if channels != self.maker.model.codec.channels else channels
        stream = resample_blocks(frames, self.maker.model.codec.rate_hz, self.sound.rate_hz, width)
        blocks = (np.broadcast_to(block.T, (channels, len(block))) for block in stream)
        return cut(blocks, skip=units * own, length=self.num_new)

    def faded(self, new: Tape) -> Iterator[Part]:
        """Give the new sound with its edges faded into the mirror image of what is outside."""
        sound, length = self.sound, new.num_samples
        fade = min(seconds_to_samples(FADE_SECONDS, rate_hz=sound.rate_hz), length // 2)
        head, tail = min(fade, self.start), min(fade, sound.num_samples - self.stop)
        rise = _rise(head)
        first = sound.read(self.start - head, self.start)[:, ::-1] * (1 - rise)
        first = first + new.read(0, head) * rise
        fall = _rise(tail)[::-1]
        last = sound.read(self.stop, self.stop + tail)[:, ::-1] * (1 - fall)
        last = last + new.read(length - tail, length) * fall
        yield Part(of_array(first.astype(np.float32), sound.rate_hz), 0, head)
        yield Part(new, head, length - tail)
        yield Part(of_array(last.astype(np.float32), sound.rate_hz), 0, tail)


@dataclass(frozen=True, eq=False)
class Side:
    """What the model hears of one side of a hole.

    Attributes:
        heard: ``[channels, samples]``, mirror image included.
        skip: latent frames of mirror image in front.
        frames: latent frames that are known.
        hop_samples: of a latent frame.
    """

    heard: Audio
    skip: int
    frames: int
    hop_samples: int

    @property
    def known(self) -> Audio:
        """What is heard, without the mirror image."""
        start = self.skip * self.hop_samples
        return self.heard[:, start : start + self.frames * self.hop_samples]


def _skipped(blocks: Iterable[Audio], count: int) -> Iterator[Audio]:
    """Leave out the first rows of a stream of ``[samples, channels]``."""
    for block in blocks:
        yield block[count:]
        count = max(0, count - len(block))


def _rise(num_samples: int) -> Audio:
    """Return the weights of new sound over a cross-fade, from nearly 0 to nearly 1."""
    phase = (np.arange(num_samples) + 0.5) / max(1, num_samples)
    return np.asarray(np.sin(phase * math.pi / 2) ** 2, np.float32)
