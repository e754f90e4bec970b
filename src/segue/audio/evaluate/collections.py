"""The collections that an evaluation compares: real clips, what a codec makes of them, what is new.

A collection is a folder of FLAC clips, made once in units of a few clips and kept: run again after an
interruption, an evaluation goes on where it stopped, and what costs minutes a clip (the original
recipe's 500 steps) is never made twice. Latents lie beside clips that went through them.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.condition import Condition
from segue.audio.data.clips import Clips
from segue.audio.evaluate.opus import OpusCodec
from segue.audio.evaluate.reconstruction import baseline_audio
from segue.audio.generate import Entry, Maker, level_gain, record
from segue.audio.loaded import AudioModel
from segue.audio.loudness import Measures
from segue.audio.signal import mix, read_audio, resample, write_audio
from segue.audio.sound import Tape, cut, of_array
from segue.core.files import atomic_path, safe_name, write_text
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.errors import DataError
from segue.units import seconds_to_samples

Audio = NDArray[np.float32]

FORMAT: Final = 1
"""Goes up where the same collection would be made otherwise; older clips are then made again."""

CLIPS_PER_UNIT: Final = 8
ENDINGS: Final = frozenset({".flac", ".mp3", ".ogg", ".opus", ".wav"})
"""Of clips that were made elsewhere."""

_QUIET = 1e-3
_TRIES = 8
_TOLERANCE_S = 0.05


@dataclass(frozen=True)
class RealClip:
    """A stretch of a recording of a prepared folder.

    Attributes:
        folder, split: where it is from.
        index: number of the recording.
        start_sample: where it begins.
        name: of the recording.
        sha256: of the recording's samples.
        work: what it shares with other recordings of its artist or folder.
        labels: of the recording.
        captions: of the recording.
    """

    folder: str
    split: str
    index: int
    start_sample: int
    name: str
    sha256: str
    work: str
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collection:
    """A folder of clips to be made.

    Attributes:
        name: of the folder, and in tables.
        title: for people.
        kind: ``real``, ``generated``, ``prior``, ``codec``, ``opus``, ``half`` or ``files``.
        source: bundle, bit rate or folder, as the kind needs it.
        stamp: what changes when the source does.
        real: the real clips that it copies or passes through a codec; for generated ones, those whose
            labels are asked for. Empty for the others.
        count: clips.
        asked: what of `real` generated clips are asked for: ``labels``, ``text`` (a caption), or
            nothing where it is empty.
        options: of the sampler.
        single: whether every clip counts for itself, whatever recording it is of.
    """

    name: str
    title: str
    kind: str
    source: str = ""
    stamp: str = ""
    real: tuple[RealClip, ...] = ()
    count: int = 0
    asked: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    single: bool = False

    @property
    def is_paired(self) -> bool:
        """Whether every clip has a real one that it was made of."""
        return self.kind in ("codec", "opus", "half")

    @property
    def music(self) -> str:
        """A short hash of the real music in it; the same wherever the same stretches were drawn."""
        text = "\n".join(f"{clip.sha256} {clip.start_sample}" for clip in self.real)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _drawn(self) -> list[Any]:
        """Return what clips take from the real ones: their sound, or what is asked for."""
        if self.kind != "generated":
            return [[clip.sha256, clip.start_sample] for clip in self.real]
        if not self.asked:
            return []
        return [clip.captions if self.asked == "text" else clip.labels for clip in self.real]

    def identity(self, settings: "ClipSettings") -> str:
        """Return a hash of everything that its clips depend on: contents, never paths or titles."""
        rate = self.source if self.kind == "opus" else ""
        parts = [FORMAT, CLIPS_PER_UNIT, self.name, self.kind, rate, self.stamp, self.count]
        text = json.dumps(
            [*parts, self.asked, self.options, self._drawn(), asdict(settings)], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ClipSettings:
    """What all clips have in common.

    Attributes:
        rate_hz: samples a second.
        channels: of the clips.
        seconds: length.
        seed: of what is drawn.
    """

    rate_hz: int
    channels: int
    seconds: float
    seed: int

    @property
    def num_samples(self) -> int:
        """Samples of a clip."""
        return round(self.seconds * self.rate_hz)


@dataclass(frozen=True)
class Unit:
    """A few clips of a collection, made by one process."""

    collection: Collection
    settings: ClipSettings
    folder: str
    numbers: tuple[int, ...] = field(default=())

    @property
    def done(self) -> Path:
        """A file that is written when all its clips are there."""
        return Path(self.folder) / f"unit-{self.numbers[0]:05d}.json"


def draw_real(
    clips: Clips, count: int, *, seconds: float, seed: int, parts: int = 2
) -> tuple[tuple[RealClip, ...], ...]:
    """Draw real clips in several parts of equal number that share no recording.

    Recordings are dealt out in a random order, label by label, so that the parts are alike; a recording
    gives a second clip only after all have given one. Clips that are nearly silent are drawn again.

    Args:
        clips: a split of a prepared folder.
        count: clips of each part; fewer where the recordings are too short.
        seconds: length of a clip.
        seed: of the draw.
        parts: how many.

    Raises:
        DataError: there are fewer recordings long enough than parts.
    """
    length = round(seconds * clips.rate_hz)
    long = [i for i, row in enumerate(clips.recordings) if row.num_samples >= length]
    if len(long) < parts:
        raise DataError(
            f"{clips.folder} has {len(long)} recordings of {seconds:g} s or more in its split "
            f"{clips.split!r}; {parts} are needed at least. Ask for shorter clips, or another split."
        )
    rng = generator(seed, "real clips", clips.split)
    order = sorted(rng.permutation(long).tolist(), key=lambda i: clips.recordings[i].label)
    dealt = [order[part::parts] for part in range(parts)]
    # The same number on all sides: distances of small samples depend on it.
    most = min(sum(clips.recordings[i].num_samples // length for i in part) for part in dealt)
    return tuple(_stretches(clips, part, min(count, most), length, rng) for part in dealt)


def _stretches(
    clips: Clips, recordings: Sequence[int], count: int, length: int, rng: np.random.Generator
) -> tuple[RealClip, ...]:
    """Return so many stretches of recordings, each in turn, no two of one recording overlapping."""
    order = rng.permutation(recordings).tolist()
    rooms = {i: rng.permutation(clips.recordings[i].num_samples // length).tolist() for i in order}
    found: list[RealClip] = []
    while len(found) < count:
        for index in order:
            if rooms[index] and len(found) < count:
                found.append(_real(clips, index, rooms[index], length))
    return tuple(found)


def _real(clips: Clips, index: int, rooms: list[int], length: int) -> RealClip:
    """Take a stretch out of those that are left, a silent one only where there is no other."""
    start = rooms.pop() * length
    for _ in range(_TRIES):
        if not rooms or float(np.abs(clips.read(index, start, length)).mean()) > _QUIET:
            break
        start = rooms.pop() * length
    row = clips.recordings[index]
    return RealClip(
        str(clips.folder),
        clips.split,
        index,
        start,
        row.name,
        row.sha256,
        row.group,
        tuple(row.labels),
        tuple(row.captions),
    )


def make_clips(
    collections: Sequence[Collection],
    settings: ClipSettings,
    folder: Path,
    *,
    workers: int,
    progress: Progress = silent,
) -> None:
    """Write the clips of collections into ``folder/<name>/<number>.flac``; what is there is kept.

    Args:
        collections: what is made.
        settings: of all clips.
        folder: for the folders of the collections.
        workers: processes; 0 works in this one.
        progress: who listens.
    """
    plan = [unit for each in collections for unit in _units(each, settings, folder)]
    missing = [unit for unit in plan if not unit.done.is_file()]
    with progress("making clips", total=len(plan)) as advance:
        advance(len(plan) - len(missing))
        for _ in run_jobs(_make_unit, missing, workers=workers):
            advance(1)


def _units(collection: Collection, settings: ClipSettings, folder: Path) -> Iterator[Unit]:
    path = clip_folder(collection, settings, folder)
    for start in range(0, collection.count, CLIPS_PER_UNIT):
        numbers = range(start, min(start + CLIPS_PER_UNIT, collection.count))
        yield Unit(collection, settings, str(path), tuple(numbers))


def clip_folder(collection: Collection, settings: ClipSettings, folder: Path) -> Path:
    """Return where the clips of a collection lie."""
    return folder / f"{safe_name(collection.name)}-{collection.identity(settings)}"


def clip_paths(collection: Collection, settings: ClipSettings, folder: Path) -> list[Path]:
    """Return the clips of a collection in order."""
    path = clip_folder(collection, settings, folder)
    return [path / f"{number:05d}.flac" for number in range(collection.count)]


def load_clips(collection: Collection, settings: ClipSettings, folder: Path) -> list[Audio]:
    """Return the clips of a collection. Each of shape ``channels samples``."""
    return [read_audio(path, None, None) for path in clip_paths(collection, settings, folder)]


def load_latents(
    collection: Collection, settings: ClipSettings, folder: Path
) -> list[NDArray[np.float32]]:
    """Return the normalised latents of a collection's clips. Each of shape ``frames channels``."""
    found = []
    for path in clip_paths(collection, settings, folder):
        stored = np.load(path.with_suffix(".npy"), allow_pickle=False)
        found.append(stored.astype(np.float32))
    return found


def has_latents(collection: Collection) -> bool:
    """Whether latents lie beside the clips."""
    return collection.kind in ("codec", "generated", "prior")


# Making ------------------------------------------------------------------------------------------


def _make_unit(unit: Unit) -> None:
    folder = Path(unit.folder)
    folder.mkdir(parents=True, exist_ok=True)
    make = _MAKERS[unit.collection.kind]
    for number in unit.numbers:
        audio, latents = make(unit, number)
        path = folder / f"{number:05d}.flac"
        write_audio(path, audio, unit.settings.rate_hz)
        if latents is not None:
            with atomic_path(path.with_suffix(".npy")) as temporary, temporary.open("wb") as stream:
                np.save(stream, latents.T.astype(np.float16), allow_pickle=False)
    write_text(unit.done, json.dumps(unit.numbers) + "\n")


Made = tuple[Audio, NDArray[np.float32] | None]


def real_audio(clip: RealClip, settings: ClipSettings) -> Audio:
    """Return the samples of a real clip. Shape ``channels samples``."""
    clips = _clips(clip.folder, clip.split)
    length = round(settings.seconds * clips.rate_hz)
    audio = mix(clips.read(clip.index, clip.start_sample, length).T, settings.channels).T
    return _exactly(resample(audio, clips.rate_hz, settings.rate_hz), settings.num_samples)


def asked_of(collection: Collection, number: int) -> Condition:
    """Return what the model of a collection was asked for in a clip."""
    if not collection.asked:
        return Condition()
    model = _model(collection.source)
    return condition_of(model, collection.real[number], collection.asked, number)


def _copied(unit: Unit, number: int) -> Made:
    return real_audio(unit.collection.real[number], unit.settings), None


def _from_file(unit: Unit, number: int) -> Made:
    path = outside_clips(Path(unit.collection.source))[number]
    audio = read_audio(path, unit.settings.rate_hz, unit.settings.channels)
    return _exactly(audio, unit.settings.num_samples), None


def _through_codec(unit: Unit, number: int) -> Made:
    """Encode and decode, as `segue.audio.generate.reconstruct` does; keep the latents."""
    model = _model(unit.collection.source)
    spec = model.codec.spec
    audio = real_audio(unit.collection.real[number], unit.settings)
    entry = Entry.of(model, of_array(audio, unit.settings.rate_hz))
    frames = _frames(model, unit.settings)
    latents = np.concatenate(list(model.codec.encode_blocks(entry.blocks(frames))), axis=1)
    tape, measured = _on_tape(model, latents, unit.settings)
    tape.gain = entry.gain_back(measured, match=False)
    kept = _kept_frames(model, unit.settings)
    return _heard(tape, unit.settings), spec.normalise(latents)[:, :kept]


def _through_opus(unit: Unit, number: int) -> Made:
    audio = real_audio(unit.collection.real[number], unit.settings)
    codec = OpusCodec(
        float(unit.collection.source),
        rate_hz=unit.settings.rate_hz,
        channels=unit.settings.channels,
    )
    return codec(audio), None


def _halved(unit: Unit, number: int) -> Made:
    return baseline_audio(real_audio(unit.collection.real[number], unit.settings)), None


def _generated(unit: Unit, number: int) -> Made:
    collection, settings = unit.collection, unit.settings
    model = _model(collection.source)
    maker = Maker(
        model,
        model.settings(**dict(collection.options)),
        condition=asked_of(collection, number),
        seed=settings.seed + number,
    )
    spec = model.codec.spec
    frames = _frames(model, settings)
    windows = maker.plan(0, frames, frames)
    nothing = np.zeros((spec.channels, 0), np.float32)
    drawn = maker.drawer.fill(windows, before=nothing, after=nothing)
    latents = np.concatenate(list(drawn), axis=1)[:, :frames]
    return _decoded(model, latents, settings), latents[:, : _kept_frames(model, settings)]


def _prior(unit: Unit, number: int) -> Made:
    """Decode what the autoencoder's prior draws: the baseline of a VAE without a second stage."""
    model = _model(unit.collection.source)
    rng = generator(unit.settings.seed, "prior", number)
    shape = (model.codec.spec.channels, _frames(model, unit.settings))
    latents = rng.standard_normal(shape).astype(np.float32)
    kept = _kept_frames(model, unit.settings)
    return _decoded(model, latents, unit.settings), latents[:, :kept]


def _decoded(model: AudioModel, latents: NDArray[np.float32], settings: ClipSettings) -> Audio:
    """Return normalised latents as sound, as loud as the model writes it."""
    tape, measured = _on_tape(model, model.codec.spec.denormalise(latents), settings)
    tape.gain = level_gain(measured, model.parts.audio.loudness_lufs)
    return _heard(tape, settings)


def _on_tape(
    model: AudioModel, latents: NDArray[np.float32], settings: ClipSettings
) -> tuple[Tape, Measures]:
    """Decode latents and measure how loud they are."""
    tape = Tape(model.codec.rate_hz, model.codec.channels)
    heard = model.codec.decode_blocks(iter([latents]))
    return tape, record(tape, cut(heard, skip=0, length=_num_samples(model, settings)))


def _num_samples(model: AudioModel, settings: ClipSettings) -> int:
    """Return the samples of a clip at the model's rate, which need not be that of the clips."""
    return seconds_to_samples(settings.seconds, rate_hz=model.codec.rate_hz)


def _frames(model: AudioModel, settings: ClipSettings) -> int:
    """Return how many latent frames a clip has, a whole number of patches."""
    frames = model.codec.spec.samples_to_frames(_num_samples(model, settings))
    if not model.parts.codec.length_free:
        return model.parts.frames
    return -(-frames // model.parts.patch) * model.parts.patch


def _kept_frames(model: AudioModel, settings: ClipSettings) -> int:
    """Return how many of these latents are kept: what a model of one length adds is no part of a clip."""
    frames = _frames(model, settings)
    if model.parts.codec.length_free:
        return frames
    return min(frames, model.codec.spec.samples_to_frames(_num_samples(model, settings)))


def _heard(tape: Tape, settings: ClipSettings) -> Audio:
    """Return a tape as a clip, at the rate and with the channels of all clips."""
    audio = mix(tape.read(0, tape.num_samples).T, settings.channels).T
    return _exactly(resample(audio, tape.rate_hz, settings.rate_hz), settings.num_samples)


def _exactly(audio: Audio, num_samples: int) -> Audio:
    """Return audio of a length, cut or filled with silence."""
    missing = max(0, num_samples - audio.shape[1])
    return np.pad(audio, ((0, 0), (0, missing)))[:, :num_samples].astype(np.float32)


def condition_of(model: AudioModel, clip: RealClip, asked: str, number: int = 0) -> Condition:
    """Return what a model is asked for that is to write something like a real clip.

    Args:
        model: whose labels can be asked for.
        clip: the real clip.
        asked: ``labels`` asks for its first label that the model knows, ``text`` for a caption.
        number: decides which caption.
    """
    if asked == "text":
        return Condition(text=clip.captions[number % len(clip.captions)] if clip.captions else "")
    return Condition(labels=tuple(known_labels(model.labels, clip.labels)[:1]))


def known_labels(labels: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those of some names that are among a model's labels, as the model spells them."""
    known = {label.casefold(): label for label in labels}
    return [known[name.casefold()] for name in names if name.casefold() in known]


def outside_clips(folder: Path) -> list[Path]:
    """Return the sound files of a folder, sorted by name.

    Raises:
        DataError: there are none.
    """
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in ENDINGS)
    if not found:
        raise DataError(f"{folder} holds no sound files ({', '.join(sorted(ENDINGS))}).")
    return found


def check_lengths(paths: Sequence[Path], seconds: float) -> None:
    """Refuse clips that are too short: filled up with silence, they would be judged for it.

    Args:
        paths: sound files.
        seconds: what they last at least, but for 50 ms.

    Raises:
        DataError: one is shorter, or cannot be read.
    """
    lengths = [(_seconds_of(path), path) for path in paths]
    shortest, path = min(lengths)
    if shortest < seconds - _TOLERANCE_S:
        raise DataError(
            f"{path} lasts {shortest:.2f} seconds, but clips of {seconds:g} are compared. Ask for "
            f"--seconds {shortest:.2f} or less, or give longer clips."
        )


def _seconds_of(path: Path) -> float:
    import soundfile

    try:
        return float(soundfile.info(str(path)).duration)
    except (OSError, soundfile.SoundFileError) as error:
        raise DataError(f"{path} cannot be read ({error}).") from error


@lru_cache(maxsize=4)
def _model(source: str) -> AudioModel:
    return AudioModel.open(source, threads=1)


@lru_cache(maxsize=4)
def _clips(folder: str, split: str) -> Clips:
    return Clips(folder, split)


_MAKERS: Final[dict[str, Callable[[Unit, int], Made]]] = {
    "real": _copied,
    "files": _from_file,
    "codec": _through_codec,
    "opus": _through_opus,
    "half": _halved,
    "generated": _generated,
    "prior": _prior,
}
