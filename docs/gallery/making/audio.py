"""The ten clips: eight from nothing, two with a hole, each beside the decoded prior.

The decoded prior is what an autoencoder alone can write: normal noise for latents, decoded. It is what
the diffusion network has to be better than.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from gallery.making.items import Item, Version
from gallery.making.media import OPUS_HZ, played, write_opus, write_spectrogram
from gallery.making.midi import SEED, identity
from numpy.typing import NDArray

from segue.audio.condition import Condition
from segue.audio.generate import level_gain, record
from segue.audio.loaded import DEFAULT_BUNDLE, AudioModel
from segue.audio.overview import overview
from segue.audio.recording import Recording, generate
from segue.audio.signal import resample
from segue.audio.sound import Tape, cut
from segue.core.seeds import generator
from segue.errors import MissingExtraError
from segue.plots.waveform import waveform
from segue.runtime.bundle import Bundle
from segue.symbolic.score import Piece

CLIP_S: Final = 10.0
EDGE_S: Final = 0.02
PEAK: Final = 0.98
_COLUMNS: Final = 600

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """What is asked of a model.

    Attributes:
        slug: name of its files.
        category: where it stands on the page.
        title: heading.
        labels: the first of them that the model knows is asked for.
        text: is asked for as well, of a model that knows text.
        seed: of the model and of the prior; the second clip of a category has the next one.
        piece: slug of a piece of the page that is played and written into; from nothing where empty.
        known: seconds of that piece that are given.
        hole: where new sound goes, in seconds; behind `known` it is an extension.
    """

    slug: str
    category: str
    title: str
    labels: tuple[str, ...]
    text: str
    seed: int = SEED
    piece: str = ""
    known: float = 0.0
    hole: tuple[float, float] = (0.0, CLIP_S)


CLIPS: Final = (
    Clip("clip-drums", "Drums", "Drums", ("drums", "percussion"), "drums alone, a steady groove"),
    Clip("clip-electronic", "Fast electronic", "Fast electronic music",
         ("techno", "dance", "electronic"), "fast electronic dance music with a strong beat"),
    Clip("clip-piano-1", "Piano", "Piano, the first", ("piano",), "slow quiet solo piano"),
    Clip("clip-piano-2", "Piano", "Piano, the second", ("piano",), "fast lively solo piano", seed=1),
    Clip("clip-ensemble", "Ensemble", "Orchestra",
         ("ensemble", "orchestral", "orchestra", "classical"), "an orchestra playing a calm melody"),
    Clip("clip-choir", "Choir", "Choir", ("choir", "choral", "vocal", "voice", "song"),
         "a choir singing slowly"),
    Clip("clip-quartet", "Quartet", "String quartet", ("quartet", "strings", "orchestral"),
         "a string quartet"),
    Clip("clip-band", "Band", "Band", ("rock", "band", "pop"), "a rock band with guitar, bass and drums"),
    Clip("clip-extend", "Before and after", "A waltz goes on", ("piano",), "solo piano, a waltz",
         piece="waltz", known=7.0, hole=(7.0, 12.0)),
    Clip("clip-repair", "Before and after", "A quartet is mended", ("quartet", "strings", "orchestral"),
         "a string quartet", piece="quartet", known=12.0, hole=(5.0, 7.5)),
)  # fmt: skip


def asked(model: AudioModel, clip: Clip) -> Condition:
    """Return what a model is asked for: the first label that it knows, the text where it knows text."""
    folded = {label.casefold(): label for label in model.labels}
    label = next((folded[name] for name in clip.labels if name in folded), None)
    labels = (label,) if label else ()
    condition = Condition(labels, clip.text if model.parts.text is not None else "")
    try:
        model.told(condition)
    except MissingExtraError:
        return Condition(labels)
    return condition


def in_words(condition: Condition) -> str:
    """Return what was asked for, in words."""
    words = [f"label {label}" for label in condition.labels]
    words += [f"text “{condition.text}”"] if condition.text else []
    return ", ".join(words) or "nothing: no label of this category is known to the model"


@dataclass(frozen=True, eq=False)
class Recorder:
    """The model and what the page's clips share.

    Attributes:
        bundle: of the model, or None for the package's own.
        soundfont: what plays the pieces, or None.
        folder: of the page.
        pieces: of the page, by slug.
    """

    bundle: str | None
    soundfont: Path | None
    folder: Path
    pieces: dict[str, Piece]

    @cached_property
    def opened(self) -> Bundle:
        """The model's bundle."""
        return Bundle.open(self.bundle or DEFAULT_BUNDLE)

    @cached_property
    def model(self) -> AudioModel:
        """The model."""
        return AudioModel.open(self.opened)

    @property
    def rate_hz(self) -> int:
        """Rate of the model's sound."""
        return self.model.parts.audio.rate_hz

    def prior(self, clip: Clip, seconds: float) -> Audio:
        """Return the decoded prior, as loud as the model writes. Shape ``channels samples``."""
        codec = self.model.codec
        length = round(seconds * codec.rate_hz)
        frames = codec.spec.samples_to_frames(length)
        if not self.model.parts.codec.length_free:
            frames = self.model.parts.frames
        noise = generator(clip.seed, "prior", clip.slug).standard_normal(
            (codec.spec.channels, frames)
        )
        latents = codec.spec.denormalise(noise.astype(np.float32))
        tape = Tape(codec.rate_hz, codec.channels)
        measured = record(tape, cut(codec.decode_blocks(iter([latents])), skip=0, length=length))
        tape.gain = level_gain(measured, self.model.parts.audio.loudness_lufs)
        return tape.read(0, tape.num_samples)

    def show(self, clip: Clip, key: str, label: str, note: str, recording: Recording) -> Version:
        """Write picture and sound of a version."""
        stem = f"{clip.slug}-{key}"
        figure = waveform(
            *overview(recording.sound, columns=_COLUMNS),
            seconds=recording.seconds,
            highest_hz=recording.rate_hz / 2,
            new=recording.new if clip.piece else (),
        )
        size = write_spectrogram(figure, self.folder / f"{stem}.webp")
        audio = recording.samples
        seconds = write_opus(self.folder / f"{stem}.ogg", audio, recording.rate_hz)
        below = -20 * np.log10(max(_level(audio), 1e-6))
        alt = (
            f"Waveform and spectrogram of {clip.title}, {label.lower()}: {seconds:.1f} seconds, "
            f"on average {below:.0f} decibels below full scale."
        )
        return Version(key, label, note, f"{stem}.webp", size, alt, f"{stem}.ogg", seconds)


def make_clip(clip: Clip, recorder: Recorder) -> Item:
    """Write a clip by the model and by the prior, and their files."""
    condition = asked(recorder.model, clip)
    make = _mended if clip.piece else _from_nothing
    versions, seconds = make(clip, recorder, condition)
    settings = recorder.model.settings()
    facts = [
        ("Bundle", identity(recorder.opened)),
        ("Drawn with", f"seed {clip.seed}, {settings.steps} steps of {settings.sampler}, guidance "
         f"{settings.guidance:g}" + ("" if condition else " (of no effect here)")),
        ("Written in", f"{seconds:.1f} s"),
    ]  # fmt: skip
    about = _about(clip)
    return Item(
        clip.slug, "audio", clip.category, clip.title, about, in_words(condition), facts, versions
    )


def _about(clip: Clip) -> str:
    """Return what a clip is, in words."""
    if not clip.piece:
        return f"{clip.hole[1]:g} seconds from nothing."
    start, stop = clip.hole
    if start >= clip.known:
        return f"{clip.known:g} seconds of the piece above are given, {stop - start:g} are written behind them."
    return f"{clip.known:g} seconds of the piece above, of which {start:g} to {stop:g} are written anew."


def _from_nothing(
    clip: Clip, recorder: Recorder, condition: Condition
) -> tuple[list[Version], float]:
    """Return the versions of a clip that begins with nothing, and how long the model took."""
    model = recorder.model
    began = time.perf_counter()
    made = generate(
        clip.hole[1], labels=condition.labels, text=condition.text, seed=clip.seed, bundle=model
    )
    seconds = time.perf_counter() - began
    prior = Recording.of(recorder.prior(clip, clip.hole[1]), recorder.rate_hz)
    note = "Normal noise through the decoder, no second stage."
    versions = [
        recorder.show(clip, "after", model.name, f"Seed {clip.seed}, the only one made.", made),
        recorder.show(clip, "prior", "Baseline: decoded prior", note, prior),
    ]
    return versions, seconds


def _mended(clip: Clip, recorder: Recorder, condition: Condition) -> tuple[list[Version], float]:
    """Return the versions of a piece that is played and written into, and how long the model took."""
    rate, model = recorder.rate_hz, recorder.model
    start, stop = clip.hole
    sound = played(
        recorder.pieces[clip.piece], 0.0, max(clip.known, stop), soundfont=recorder.soundfont
    )
    whole = resample(sound[None], OPUS_HZ, rate)
    whole *= 0.5
    given = whole[:, : round(clip.known * rate)]
    took = Recording.of(given, rate)
    options = {
        "labels": condition.labels,
        "text": condition.text,
        "seed": clip.seed,
        "bundle": model,
    }
    began = time.perf_counter()
    is_extension = start >= clip.known
    if is_extension:
        made = took.extend(stop - start, **options)  # type: ignore[arg-type]
    else:
        made = took.inpaint(clip.hole, **options)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    span = ((start, stop),)
    empty = _with_hole(whole, None, clip.hole, rate)
    noise = _with_hole(whole, recorder.prior(clip, stop - start), clip.hole, rate)
    versions = [
        recorder.show(clip, "before", "Before", "The piece as the player plays it.",
                      Recording.of(whole, rate)),
        recorder.show(clip, "hole", "With the hole", "What the model is given.",
                      _marked(empty, rate, span)),
        recorder.show(clip, "after", f"After: {model.name}", f"Seed {clip.seed}, the only one made.", made),
        recorder.show(clip, "prior", "Baseline: decoded prior in the hole",
                      "Normal noise through the decoder, at the level of what surrounds it.",
                      _marked(noise, rate, span)),
    ]  # fmt: skip
    return versions, seconds


def _marked(audio: Audio, rate_hz: int, new: tuple[tuple[float, float], ...]) -> Recording:
    """Return a recording with a span marked."""
    plain = Recording.of(audio, rate_hz)
    return Recording(plain.sound, new=new)


def _with_hole(audio: Audio, new: Audio | None, hole: Sequence[float], rate_hz: int) -> Audio:
    """Return sound with silence, or with other sound at the same level, in a span.

    Args:
        audio: Shape ``channels samples``.
        new: what goes in; silence where None.
        hole: the span in seconds.
        rate_hz: of both.
    """
    start, stop = (round(moment * rate_hz) for moment in hole)
    stop = min(stop, audio.shape[1])
    inside = np.zeros_like(audio[:, start:stop])
    if new is not None:
        outside = np.concatenate([audio[:, :start], audio[:, stop:]], axis=1)
        gain = _level(outside) / max(_level(new), 1e-6)
        gain = min(gain, PEAK / max(float(np.abs(new).max()), 1e-6))
        inside[:] = gain * new[:, : stop - start]
    edge = min(round(EDGE_S * rate_hz), (stop - start) // 2)
    fade = np.linspace(0, 1, edge, dtype=np.float32)
    inside[:, :edge] *= fade
    inside[:, inside.shape[1] - edge :] *= fade[::-1]
    return np.concatenate([audio[:, :start], inside, audio[:, stop:]], axis=1)


def _level(audio: Audio) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
