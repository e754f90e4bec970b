"""Write sound: generate, vary, extend, inpaint, reconstruct, of any duration in constant memory.

Latents are drawn window by window, decoded as they come and put on a `Tape`; the level is set when
all of it is known. Nothing here knows files or pictures; `segue.audio.recording` does.
"""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.condition import NOTHING, Condition
from segue.audio.diffusion.samplers import SamplerSettings
from segue.audio.loaded import AudioModel
from segue.audio.loudness import Measures, SignalMeter
from segue.audio.sound import Sound, Tape, converted, cut
from segue.audio.windows import Drawer, Window, plan, plan_backwards
from segue.core.progress import Advance, Progress, silent
from segue.errors import SettingError
from segue.units import samples_to_seconds, seconds_to_samples

Audio = NDArray[np.float32]
Latents = NDArray[np.float32]

MOST_SECONDS: Final = 6 * 3600.0
"""More is taken for a slip of the pen."""

PEAK: Final = 0.891
"""Largest amplitude of what is written, -1 dBFS."""

FULL_SCALE: Final = 0.999
"""Largest amplitude of what is put into, or compared with, other sound."""

_MOST_GAIN_DB = 30.0


@dataclass(frozen=True, eq=False)
class Maker:
    """A model with the choices of one call.

    Attributes:
        model: the bundle.
        settings: of the sampler.
        condition: what is asked for.
        negative: what guidance is to lead away from.
        seed: same seed, same sound.
        progress: told of every call of the diffusion network.

    Raises:
        SettingError: a label is unknown, the model knows no text, there is no guidance to lead away
            from anything, or the seed is negative.
        MissingExtraError: what reads texts is not installed.
    """

    model: AudioModel
    settings: SamplerSettings
    condition: Condition = NOTHING
    negative: Condition = NOTHING
    seed: int = 0
    progress: Progress = silent

    def __post_init__(self) -> None:
        """Check all choices before any work is done."""
        if self.negative and self.settings.guidance == 1:
            raise SettingError(
                "What is not wanted is kept away by guidance, and a guidance of 1 is none. "
                "Give more, such as 3."
            )
        _ = self.drawer

    @cached_property
    def drawer(self) -> Drawer:
        """What draws the latents."""
        if self.seed < 0:
            raise SettingError(f"A seed must be 0 or above, but {self.seed} was given.")
        told, negative = self.model.told(self.condition), self.model.told(self.negative)
        return Drawer(self.model, self.settings, told, negative, self.seed)

    def plan(self, first: int, last: int, total: int, *, backwards: bool = False) -> list[Window]:
        """Lay windows of the model's length, see `segue.audio.windows.plan` and `plan_backwards`."""
        parts = self.model.parts
        if not parts.codec.length_free:
            return [Window(0, total, first, last)]
        if backwards:
            return plan_backwards(last, total, frames=parts.frames, patch=parts.patch)
        return plan(first, last, total, frames=parts.frames, patch=parts.patch)

    @contextlib.contextmanager
    def watched(self, label: str, windows: list[Window]) -> Iterator[Progress]:
        """Count the calls of the network over all windows as one piece of work."""
        total = len(windows) * self.settings.evaluations
        with self.progress(label, total=total) as advance:

            @contextlib.contextmanager
            def inner(label: str, *, total: float | None = None) -> Iterator[Advance]:  # noqa: ARG001
                yield advance

            yield inner


def generate(maker: Maker, seconds: float) -> Tape:
    """Write sound from nothing.

    Args:
        maker: model and choices.
        seconds: duration.

    Returns:
        At the model's rate, as loud as its training music where the peaks allow it.

    Raises:
        SettingError: the duration is not possible.
    """
    codec = maker.model.codec
    rate_hz, spec = codec.rate_hz, codec.spec
    num_samples = check_seconds(seconds, rate_hz)
    frames = _whole_frames(maker.model, spec.samples_to_frames(num_samples))
    windows = maker.plan(0, frames, frames)
    nothing = np.zeros((spec.channels, 0), np.float32)
    tape = Tape(rate_hz, codec.channels)
    with maker.watched("generating", windows) as progress:
        drawn = maker.drawer.fill(windows, before=nothing, after=nothing, progress=progress)
        sound = codec.decode_blocks(map(spec.denormalise, drawn))
        measured = record(tape, cut(sound, skip=0, length=num_samples))
    tape.gain = level_gain(measured, maker.model.parts.audio.loudness_lufs)
    return tape


def vary(maker: Maker, sound: Sound, strength: float) -> Tape:
    """Write sound that is like another: put noise on its latents, and take it off again.

    SDEdit (Meng et al., 2022). A strength of 0.3 keeps nearly everything, 0.9 nearly nothing.

    Args:
        maker: model and choices.
        sound: any recording.
        strength: above 0, and 1 at most.

    Returns:
        At the model's rate, as long and as loud as `sound` where the peaks allow it.

    Raises:
        SettingError: the strength is out of range, or the recording is too long for the model.
    """
    if not 0 < strength <= 1:
        raise SettingError(f"strength is {strength:g}; give a number above 0 and at most 1.")
    codec = maker.model.codec
    spec = codec.spec
    entry = Entry.of(maker.model, sound)
    frames = _whole_frames(maker.model, spec.samples_to_frames(entry.num_samples))
    windows = maker.plan(0, frames, frames)
    latents = _Held(map(spec.normalise, codec.encode_blocks(entry.blocks(frames))))
    nothing = np.zeros((spec.channels, 0), np.float32)
    tape = Tape(codec.rate_hz, codec.channels)
    with maker.watched("varying", windows) as progress:
        drawn = maker.drawer.fill(
            windows,
            before=nothing,
            after=nothing,
            base=latents.read,
            strength=strength,
            progress=progress,
        )
        heard = codec.decode_blocks(map(spec.denormalise, drawn))
        measured = record(tape, cut(heard, skip=0, length=entry.num_samples))
    tape.gain = entry.gain_back(measured, match=True)
    return tape


def reconstruct(model: AudioModel, sound: Sound, *, progress: Progress = silent) -> Tape:
    """Encode and decode a recording: what the autoencoder alone makes of it.

    Args:
        model: the bundle.
        sound: any recording.
        progress: told of every second.

    Returns:
        At the model's rate, as long as `sound`.

    Raises:
        SettingError: the recording is too long for the model.
    """
    codec = model.codec
    entry = Entry.of(model, sound)
    frames = _whole_frames(model, codec.spec.samples_to_frames(entry.num_samples))
    tape = Tape(codec.rate_hz, codec.channels)
    total = samples_to_seconds(entry.num_samples, rate_hz=codec.rate_hz)
    with progress("reconstructing", total=round(total, 1)) as advance:
        heard = codec.decode_blocks(codec.encode_blocks(entry.blocks(frames)))

        def told() -> Iterator[Audio]:
            for block in cut(heard, skip=0, length=entry.num_samples):
                yield block
                advance(samples_to_seconds(block.shape[1], rate_hz=codec.rate_hz))

        measured = record(tape, told())
    tape.gain = entry.gain_back(measured, match=False)
    return tape


# What goes in and comes out ---------------------------------------------------------------------


def check_seconds(seconds: float, rate_hz: int) -> int:
    """Return a duration in samples, at least one.

    Raises:
        SettingError: it is no number, zero or below, or longer than six hours.
    """
    if not math.isfinite(seconds) or not 0 < seconds <= MOST_SECONDS:
        raise SettingError(
            f"The duration is {seconds:g} seconds; it can be above 0 and up to {MOST_SECONDS:g}."
        )
    return max(1, seconds_to_samples(seconds, rate_hz=rate_hz))


def record(tape: Tape, blocks: Iterable[Audio]) -> Measures:
    """Put a stream on a tape and return how loud it is."""
    meter = SignalMeter(tape.rate_hz, tape.channels)
    for block in blocks:
        meter.add(block)
        tape.append(block)
    return meter.result()


def level_gain(measured: Measures, lufs: float) -> float:
    """Return the factor that brings sound to a loudness, as far as its peak allows.

    Silence is left alone, and nothing is raised by more than 30 dB.
    """
    most = PEAK / measured.peak if measured.peak > 0 else 1.0
    if not math.isfinite(measured.loudness_lufs):
        return min(1.0, most)
    wanted = min(_MOST_GAIN_DB, lufs - measured.loudness_lufs)
    return min(10.0 ** (wanted / 20), most)


@dataclass(frozen=True, eq=False)
class Entry:
    """A recording on its way into a model, brought to the loudness of the training music.

    Attributes:
        model: where it goes.
        sound: the recording.
        measured: how loud it is, as the model hears it.
        num_samples: its length at the model's rate.
        gain: factor on the way in.
    """

    model: AudioModel
    sound: Sound
    measured: Measures
    num_samples: int
    gain: float

    @classmethod
    def of(cls, model: AudioModel, sound: Sound) -> "Entry":
        """Measure a recording.

        Raises:
            SettingError: it is longer than six hours.
        """
        codec = model.codec
        num_samples = check_seconds(sound.num_samples / sound.rate_hz, codec.rate_hz)
        meter = SignalMeter(codec.rate_hz, codec.channels)
        for block in converted(sound, codec.rate_hz, codec.channels):
            meter.add(block)
        measured = meter.result()
        return cls(model, sound, measured, num_samples, entry_gain(model, measured))

    def blocks(self, frames: int) -> Iterator[Audio]:
        """Go through the recording as the model hears it, filled up to a number of latent frames."""
        codec = self.model.codec
        length = codec.spec.frames_to_samples(frames)
        stream = converted(self.sound, codec.rate_hz, codec.channels)
        heard = cut(stream, skip=0, length=self.num_samples)
        fill = np.zeros((codec.channels, length - self.num_samples), np.float32)
        for block in itertools.chain(heard, [fill]):
            yield block * np.float32(self.gain)

    def gain_back(self, measured: Measures, *, match: bool) -> float:
        """Return the factor on the way out.

        Args:
            measured: what came out of the model.
            match: whether to reach the loudness that went in; otherwise the factor on the way in is
                taken back.
        """
        if match and math.isfinite(self.measured.loudness_lufs):
            return level_gain(measured, self.measured.loudness_lufs)
        return min(1.0 / self.gain, FULL_SCALE / max(measured.peak, 1e-9))


def entry_gain(model: AudioModel, measured: Measures) -> float:
    """Return the factor that brings a recording to the loudness of the training music."""
    if not math.isfinite(measured.loudness_lufs):
        return 1.0
    wanted = model.parts.audio.loudness_lufs - measured.loudness_lufs
    return 10.0 ** (max(-_MOST_GAIN_DB, min(_MOST_GAIN_DB, wanted)) / 20)


class _Held:
    """A stream of latents, read forwards by windows that overlap."""

    def __init__(self, blocks: Iterator[Latents]) -> None:
        self._blocks = blocks
        self._held: Latents | None = None
        self._start = 0

    def read(self, start: int, stop: int) -> Latents:
        """Return ``[channels, stop - start]``; the stream's end is filled with zeros."""
        held = self._held
        while held is None or self._start + held.shape[1] < stop:
            block = next(self._blocks, None)
            if block is None:
                break
            held = block if held is None else np.concatenate([held, block], axis=1)
            passed = max(0, min(start - self._start, held.shape[1]))
            held, self._start = held[:, passed:], self._start + passed
        if held is None:
            raise SettingError("There is no sound to vary: it has 0 samples.")
        self._held = held
        found = held[:, start - self._start : stop - self._start]
        return np.pad(found, ((0, 0), (0, stop - start - found.shape[1])))


def _whole_frames(model: AudioModel, frames: int) -> int:
    """Return how many frames to draw; a model of one length draws all of it.

    Raises:
        SettingError: the model cannot draw as much.
    """
    parts = model.parts
    if parts.codec.length_free:
        return frames
    if frames > parts.frames:
        most = model.codec.spec.frames_to_seconds(parts.frames)
        raise SettingError(
            f"The model {model.name} knows clips of {most:g} seconds and no longer ones. "
            "Ask for less, or choose another model."
        )
    return parts.frames
