"""From notes to sound: a small SoundFont player for rendering, not for playing live.

Every key of an instrument is computed once, with its envelope and filter, and then added wherever a
note needs it: some hundred times faster than real time, in memory that does not grow with the
length of the piece.

Of the SoundFont model this plays: layers, tuning, loops, the volume envelope, the low-pass filter
with its envelope, pan, attenuation and exclusive classes. It leaves out the two low-frequency
oscillators, pitch bend and the chorus and reverb sends; a small hall can be added to the mix. Volume, expression and pan controllers count as they
stand when a note begins.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError
from segue.symbolic import soundfont as sf
from segue.symbolic.soundfont import Envelope, Region, Sample, SoundFont

BLOCK_SECONDS = 20
MAX_NOTE_SECONDS = 40
MAX_RELEASE_SECONDS = 2.0
CHOKE_SECONDS = 0.03
MIN_RELEASE_SECONDS = 0.02
SILENCE_DB = 60.0
DECAY_RANGE_DB = 100.0
MAX_CACHED_FRAMES = 24_000_000
LOOP_MARGIN_FRAMES = 256
SETTLING_FRAMES = 4096
MAX_LAYERS = 64
ROOM_SECONDS = 1.0
ROOM_DELAY_SECONDS = 0.012
ROOM_BRIGHTNESS_HZ = 2500
ROOM_LEVEL = 0.28
OPEN_FILTER_CENTS = 13000
MAX_CACHED_SPECTRA = 16

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class PlayedNotes:
    """Notes as parallel arrays `[notes]`, in seconds, with all that decides how they sound.

    Attributes:
        onset_s: when each note starts, counted from the start of the rendering; may be negative.
        duration_s: how long its key, or the pedal, is held.
        pitch: MIDI pitch.
        velocity: 1 to 127.
        program: 0 to 127; of a drum track its kit.
        is_drum: whether the pitch is a drum.
        gain: amplitude factor of volume and expression.
        pan: -1 (left) to 1 (right).
    """

    onset_s: np.ndarray
    duration_s: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    program: np.ndarray
    is_drum: np.ndarray
    gain: np.ndarray
    pan: np.ndarray

    def __len__(self) -> int:
        return len(self.pitch)

    def select(self, keep: np.ndarray) -> "PlayedNotes":
        """Return the notes at these indices, or under this mask."""
        return PlayedNotes(*(getattr(self, field.name)[keep] for field in fields(self)))

    def shifted(self, by_s: float) -> "PlayedNotes":
        """Return the notes later by so many seconds."""
        return replace(self, onset_s=self.onset_s + by_s)


@dataclass(frozen=True)
class Voice:
    """One region of a SoundFont sounding, in frames from the start of the rendering.

    Attributes:
        region: what sounds.
        key: MIDI pitch.
        start: when it begins.
        held: how long the key is held.
        release: how long it fades afterwards.
        left: amplitude on the left.
        right: amplitude on the right.
        choke_group: a later voice of the same group ends it; empty for none.
        part: whose it is, such as a track's.
    """

    region: Region
    key: int
    start: int
    held: int
    release: int
    left: float
    right: float
    choke_group: tuple[float, ...] = ()
    part: int = 0


def synthesize(
    notes: PlayedNotes, font: SoundFont, *, rate_hz: int, duration_s: float
) -> Iterator[NDArray[np.float32]]:
    """Yield the sound in blocks `[frames, 2]` of up to 20 seconds, `duration_s` in all.

    Args:
        notes: what is played. A note is held for at most 40 seconds.
        font: what plays it.
        rate_hz: frames per second.
        duration_s: how long the rendering is; what sounds longer is cut.

    Raises:
        DataError: the SoundFont is damaged where it is needed.
    """
    total = round(duration_s * rate_hz)
    block = BLOCK_SECONDS * rate_hz
    tail = int((MAX_NOTE_SECONDS + MAX_RELEASE_SECONDS + 1) * rate_hz)
    voices = voices_of(notes, font, rate_hz)
    waves = Waves(font, rate_hz, voices)
    mix = np.zeros((2, block + tail), np.float32)
    at = 0
    for begin in range(0, total, block):
        while at < len(voices) and voices[at].start < begin + block:
            add_voice(mix, voices[at], waves.get(voices[at]), offset=voices[at].start - begin)
            at += 1
        yield mix[:, : min(block, total - begin)].T.copy()
        mix[:, :tail] = mix[:, block:]
        mix[:, tail:] = 0


def voices_of(
    notes: PlayedNotes,
    font: SoundFont,
    rate_hz: int,
    *,
    parts: NDArray[np.integer] | None = None,
) -> list[Voice]:
    """Return what sounds, in order of time; equal notes of a part at one time are one louder voice.

    Args:
        notes: what is played.
        font: what plays it.
        rate_hz: frames per second.
        parts: whose each note is; all of one part by default. Shape ``notes``.

    Raises:
        DataError: the SoundFont is damaged where it is needed.
    """
    voices: list[Voice] = []
    rows = _merged(notes, np.zeros(len(notes), np.int64) if parts is None else parts, rate_hz)
    layers = lru_cache(maxsize=4096)(partial(_layers, font, rate_hz))
    for note in rows:
        start, held, pitch, velocity, program, is_drum, gain, pan, part = note
        loud = gain * (velocity / 127) ** 2
        for layer in layers((int(program), bool(is_drum)), int(pitch), int(velocity)):
            angle = (1 + min(max(pan + layer.pan, -1.0), 1.0)) * math.pi / 4
            left, right = loud * layer.gain * math.cos(angle), loud * layer.gain * math.sin(angle)
            voices.append(
                Voice(
                    layer.region, int(pitch), int(start), int(held), layer.release, left, right,
                    layer.choke_group, int(part),
                )
            )  # fmt: skip
        if len(voices) > MAX_LAYERS * len(rows):
            raise DataError(
                f"The SoundFont {font.path} sounds more than {MAX_LAYERS} samples for one note. It "
                f"is damaged, or not meant to be played: name another one."
            )
    return _choke(voices, int(CHOKE_SECONDS * rate_hz))


class _Layer(NamedTuple):
    """What one region does for all notes of a key and velocity; see `Voice`."""

    region: Region
    gain: float
    pan: float
    release: int
    choke_group: tuple[float, ...]


def _layers(
    font: SoundFont, rate_hz: int, kit: tuple[int, bool], pitch: int, velocity: int
) -> list[_Layer]:
    """Return what sounds when a key is struck; `kit` is the program, and whether it has drums."""
    program, is_drum = kit
    found = []
    for region in font.regions(program, is_drum=is_drum):
        if not region.keys[0] <= pitch <= region.keys[1]:
            continue
        if not region.velocities[0] <= velocity <= region.velocities[1]:
            continue
        release_s = region.volume_envelope(pitch).release_s * SILENCE_DB / DECAY_RANGE_DB
        release = int(np.clip(release_s, MIN_RELEASE_SECONDS, MAX_RELEASE_SECONDS) * rate_hz)
        group = (program, is_drum, region.exclusive_class) if region.exclusive_class else ()
        found.append(_Layer(region, region.gain, region.pan, release, group))
    return found


def _merged(
    notes: PlayedNotes, parts: NDArray[np.integer], rate_hz: int
) -> list[tuple[float, ...]]:
    """Return the notes as rows, in frames and in order of time, equal ones as one."""
    if not len(notes):
        return []
    start = np.round(notes.onset_s * rate_hz)
    held = np.round(np.clip(notes.duration_s, 0.001, MAX_NOTE_SECONDS) * rate_hz)
    rows = np.stack(
        [start, held, notes.pitch, notes.velocity, notes.program, notes.is_drum, notes.pan, parts],
        1,
    )
    unique, inverse = np.unique(rows.astype(float), axis=0, return_inverse=True)
    gain = np.bincount(inverse.ravel(), weights=notes.gain)
    return np.concatenate([unique[:, :6], gain[:, None], unique[:, 6:]], axis=1).tolist()


def _choke(voices: list[Voice], choke: int) -> list[Voice]:
    """End voices where a later one of the same exclusive class begins."""
    result = list(voices)
    sounding: dict[tuple[float, ...], list[int]] = {}
    for index, voice in enumerate(voices):
        if not voice.choke_group:
            continue
        group = sounding.setdefault(voice.choke_group, [])
        for earlier in [i for i in group if result[i].start < voice.start]:
            old = result[earlier]
            if old.start + old.held + old.release > voice.start:
                held = min(old.held, voice.start - old.start)
                result[earlier] = replace(old, held=held, release=choke)
            group.remove(earlier)
        group.append(index)
    return result


def add_voice(mix: NDArray[np.float32], voice: Voice, wave: Wave, *, offset: int) -> None:
    """Add a voice to a mix: its wave while the key is held, then fading.

    Args:
        mix: ``[2, frames]``; what lies outside is left out.
        voice: what sounds.
        wave: its sound, as `Waves` gives it.
        offset: frame of the mix at which it begins; may be negative.
    """
    first = max(0, -offset)
    length = min(voice.held + voice.release, len(wave), mix.shape[1] - offset)
    held = min(voice.held, length)
    parts = [(first, wave[first:held])]
    if length > held:
        skip = max(first, held)
        curve = _release_curve(voice.release)[skip - held : length - held]
        parts.append((skip, wave[skip:length] * curve))
    for begin, part in parts:
        if len(part):
            where = slice(offset + begin, offset + begin + len(part))
            mix[0, where] += part * np.float32(voice.left)
            mix[1, where] += part * np.float32(voice.right)


@lru_cache(maxsize=64)
def _release_curve(num_frames: int) -> Wave:
    """Return the fall to silence over `num_frames`, straight in decibels, ending at zero."""
    ramp = np.linspace(0, 1, num_frames, dtype=np.float32)
    return 10 ** (-SILENCE_DB / 20 * ramp) * np.minimum(1, 20 * (1 - ramp))


class Waves:
    """The sound of each key of each region, computed once and as long as any note needs it."""

    def __init__(self, font: SoundFont, rate_hz: int, voices: list[Voice]) -> None:
        self._font = font
        self._rate_hz = rate_hz
        self._lengths: dict[tuple[int, int], int] = {}
        self._waves: OrderedDict[tuple[int, int], Wave] = OrderedDict()
        self._num_frames = 0
        for voice in voices:
            key = (id(voice.region), voice.key)
            self._lengths[key] = max(self._lengths.get(key, 0), voice.held + voice.release)

    def get(self, voice: Voice) -> Wave:
        """Return the wave of a voice, at least as long as it sounds where the sample loops."""
        key = (id(voice.region), voice.key)
        if key not in self._waves:
            wave = self.compute(voice.region, voice.key, self._lengths[key])
            self._waves[key] = wave
            self._num_frames += len(wave)
            while self._num_frames > MAX_CACHED_FRAMES and len(self._waves) > 1:
                self._num_frames -= len(self._waves.popitem(last=False)[1])
        self._waves.move_to_end(key)
        return self._waves[key]

    def compute(self, region: Region, key: int, length: int) -> Wave:
        """Return `length` frames of a key's sound with volume envelope and filter.

        Of a sample that does not loop, no more than it has. The beginning is the same whatever the
        length.
        """
        sample = self._font.sample(region)
        step = _pitch_step(region, sample, key) * sample.rate_hz / self._rate_hz
        if sample.loop is None:
            length = min(length, int((len(sample.frames) - 1) / step))
        base = region.value(sf.CUTOFF)
        swing = region.value(sf.ENVELOPE_TO_CUTOFF)
        index, x = _places(sample, step, length)
        wave = _interpolated(self._filtered(region, sample, step, base), index, x)
        if swing and (base < OPEN_FILTER_CENTS or base + swing < OPEN_FILTER_CENTS):
            opened = _interpolated(self._filtered(region, sample, step, base + swing), index, x)
            opened -= wave
            opened *= _filter_curve(region.filter_envelope, length, self._rate_hz)
            wave += opened
        wave *= _volume_curve(region.volume_envelope(key), length, self._rate_hz)
        return wave

    def _filtered(self, region: Region, sample: Sample, step: float, cutoff_cents: int) -> Wave:
        """Return the frames of a sample, unrolled, as they are filtered to be read at `step`."""
        return _filtered(
            sample,
            cutoff=_hertz(cutoff_cents) / (self._rate_hz * step),
            resonance_db=region.value(sf.RESONANCE) / 10,
            limit=0.5 / step,
        )


def _pitch_step(region: Region, sample: Sample, key: int) -> float:
    """Return the ratio of the pitch wanted to the pitch recorded."""
    root, fixed = region.value(sf.ROOT_KEY), region.value(sf.FIXED_KEY)
    root = root if 0 <= root <= 127 else sample.key
    key = fixed if 0 <= fixed <= 127 else key
    cents = (
        (key - root) * region.value(sf.KEY_SCALE)
        + 100 * region.value(sf.COARSE_TUNE)
        + region.value(sf.FINE_TUNE)
        + sample.correction_cents
    )
    return float(2 ** (np.clip(cents, -9600, 9600) / 1200))


def _hertz(absolute_cents: int) -> float:
    """Return the frequency of absolute cents: 8.176 Hz, the lowest key, is 0."""
    return float(8.176 * 2 ** (np.clip(absolute_cents, 1500, 13500) / 1200))


def _places(sample: Sample, step: float, length: int) -> tuple[NDArray[np.intp], Wave]:
    """Return the frames of an unrolled sample that are read, whole numbers and what is beyond."""
    place = np.arange(length, dtype=np.float64)
    place *= step
    if sample.loop is not None:
        start, end = (frame + SETTLING_FRAMES for frame in sample.loop)
        looped = place[int(np.searchsorted(place, end)) :]
        looped -= start
        np.remainder(looped, end - start, out=looped)
        looped += start
    index = place.astype(np.intp)
    place -= index
    return index, place.astype(np.float32)


def _unrolled(sample: Sample) -> Wave:
    """Return the frames with more of the loop behind them.

    The loop is read from that part: the filter has settled by then, so it closes without a click.
    """
    if sample.loop is None:
        return sample.frames
    start, end = sample.loop
    place = np.arange(end + SETTLING_FRAMES + LOOP_MARGIN_FRAMES)
    place[end:] = start + (place[end:] - start) % (end - start)
    return sample.frames[place]


@lru_cache(maxsize=MAX_CACHED_SPECTRA)
def _spectrum(sample: Sample) -> tuple[Wave, int, NDArray[np.complexfloating]]:
    """Return the frames of a sample, unrolled, and their transform with its size."""
    frames = _unrolled(sample)
    size = 1 << (len(frames) + 512).bit_length()
    return frames, size, np.fft.rfft(frames, size)


def _filtered(sample: Sample, *, cutoff: float, resonance_db: float, limit: float) -> Wave:
    """Return an unrolled sample through a resonant low-pass of second order, and without aliases.

    Args:
        sample: sound.
        cutoff: corner frequency in cycles per frame.
        resonance_db: height of the peak at the corner above the passband.
        limit: nothing above this frequency, in cycles per frame, is kept.
    """
    is_open = cutoff >= min(limit, 0.45)
    if is_open and limit >= 0.5:
        return _unrolled(sample)
    frames, size, spectrum = _spectrum(sample)
    frequency = np.fft.rfftfreq(size)
    spectrum = spectrum.copy()
    if not is_open:
        ratio = frequency / cutoff
        quality = 10 ** ((np.clip(resonance_db, 0, 96) - 3.01) / 20)
        spectrum /= 1 - ratio**2 + 1j * ratio / quality
    spectrum *= np.clip((limit - frequency) / (0.1 * limit), 0, 1)
    return np.fft.irfft(spectrum, size)[: len(frames)].astype(np.float32)


def _interpolated(frames: Wave, index: NDArray[np.intp], x: Wave) -> Wave:
    """Return the sound between the frames, by cubic Hermite interpolation.

    Args:
        frames: of the sound.
        index: the frames at or before the places that are read.
        x: how far behind them, 0 to 1.
    """
    padded = np.concatenate([frames[:1], frames, np.zeros(3, np.float32)])
    before, here, after, beyond = (padded[i : len(frames) + i] for i in range(4))
    slope = 0.5 * (after - before)
    end_slope = 0.5 * (beyond - here)
    rise = here - after
    cubic = 2 * rise + slope + end_slope
    square = -3 * rise - 2 * slope - end_slope
    result = cubic[index]
    for term in (square, slope, here):
        result *= x
        result += term[index]
    return result


def _volume_curve(envelope: Envelope, length: int, rate_hz: int) -> Wave:
    """Return amplitudes: a straight attack, then a decay that is straight in decibels."""
    time = np.arange(length, dtype=np.float32) / rate_hz - envelope.delay_s
    attack_s = max(envelope.attack_s, 0.001)
    fall = (time - attack_s - envelope.hold_s) * (DECAY_RANGE_DB / max(envelope.decay_s, 0.001))
    decibels = np.clip(fall, 0, envelope.sustain)
    return (np.clip(time / attack_s, 0, 1) * 10 ** (decibels * np.float32(-0.05))).astype(
        np.float32
    )


def _filter_curve(envelope: Envelope, length: int, rate_hz: int) -> Wave:
    """Return how far the filter is open, from 0 to 1, straight from point to point."""
    corners = np.cumsum(
        [envelope.delay_s, max(envelope.attack_s, 0.001), envelope.hold_s,
         max((1 - envelope.sustain) * envelope.decay_s, 0.001)]
    )  # fmt: skip
    time = np.arange(length) / rate_hz
    return np.interp(time, corners, [0, 1, 1, envelope.sustain]).astype(np.float32)


def in_a_room(
    blocks: Iterator[NDArray[np.float32]], *, rate_hz: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the blocks as they sound in a small hall; same lengths, the echo cut at the end.

    The hall is noise that falls by 60 dB in a second, darker than the sound itself, different for
    both ears, and always the same.

    Args:
        blocks: sound, `[frames, 2]` each.
        rate_hz: frames per second.
    """
    echo = room_echo(rate_hz)
    carry = np.zeros((len(echo), 2), np.float32)
    transformed: dict[int, NDArray[np.complexfloating]] = {}
    for block in blocks:
        size = 1 << (len(block) + len(echo)).bit_length()
        if size not in transformed:
            transformed[size] = np.fft.rfft(echo, size, axis=0)
        spectrum = np.fft.rfft(block, size, axis=0) * transformed[size]
        wet = np.fft.irfft(spectrum, size, axis=0).astype(np.float32)
        wet[: len(carry)] += carry
        carry = wet[len(block) : len(block) + len(echo)].copy()
        yield block + wet[: len(block)]


@lru_cache(maxsize=4)
def room_echo(rate_hz: int) -> NDArray[np.float32]:
    """Return the impulse response of the hall, without the direct sound, `[frames, 2]`."""
    num_frames = int(ROOM_SECONDS * rate_hz)
    time = np.arange(num_frames)[:, None] / rate_hz
    noise = np.random.default_rng(0).standard_normal((num_frames, 2))
    noise *= 10 ** (-3 * time / ROOM_SECONDS) * (time > ROOM_DELAY_SECONDS)
    frequency = np.fft.rfftfreq(num_frames, 1 / rate_hz)[:, None]
    noise *= ROOM_LEVEL / np.sqrt((noise**2).sum(axis=0))
    dark = np.fft.rfft(noise, axis=0) / (1 + (frequency / ROOM_BRIGHTNESS_HZ) ** 2)
    return np.fft.irfft(dark, num_frames, axis=0).astype(np.float32)
