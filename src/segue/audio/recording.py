"""The few lines that a user writes: generate sound, or open some and change it.

Example:
    >>> import segue                                                # doctest: +SKIP
    >>> segue.generate(seconds=10, seed=1).save("new.wav")          # doctest: +SKIP
    >>> take = segue.open("old.wav").inpaint("12.5-20", seed=1)     # doctest: +SKIP
    >>> take.save("mended.wav")                                     # doctest: +SKIP
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from segue.audio import generate as making
from segue.audio import joining
from segue.audio.condition import Condition
from segue.audio.generate import Maker
from segue.audio.loaded import AudioModel
from segue.audio.overview import overview
from segue.audio.signal import Bits, write_audio
from segue.audio.sound import Sound, blocks_of, of_array, of_file
from segue.core.files import atomic_path
from segue.core.progress import Progress, silent
from segue.core.region import Region, Span
from segue.errors import DataError, SettingError
from segue.plots.waveform import waveform

Audio = NDArray[np.float32]


class Options(TypedDict, total=False):
    """What every call that writes sound takes.

    Attributes:
        label: one of the model's labels, such as a genre; none by default.
        labels: several of them; what comes is between them.
        text: what is wanted, in free words, for a model that was trained with texts.
        negative: what is not wanted, in free words.
        negative_labels: labels that are not wanted.
        seed: same seed, same sound, on one kind of machine; 0 by default.
        steps: of the sampler; the model's own by default, as all that follow.
        sampler: euler, heun, dpm++2m, ddim, ddpm, pingpong or shortcut.
        guidance: how much what is asked is exaggerated; 1 not at all.
        bundle: a loaded model, a bundle's folder, or the name of a bundle in the package.
        threads: of the networks.
        progress: told of every call of the network.
    """

    label: str | None
    labels: Sequence[str]
    text: str
    negative: str
    negative_labels: Sequence[str]
    seed: int
    steps: int | None
    sampler: str | None
    guidance: float | None
    bundle: AudioModel | Path | str | None
    threads: int | None
    progress: Progress


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound that a model can write into.

    Attributes:
        sound: the samples, read by place.
        bits: size of a sample in files that are written of it.
        new: spans in seconds that a model has written.
        name: what pictures call it.
    """

    sound: Sound
    bits: Bits = 16
    new: tuple[tuple[float, float], ...] = ()
    name: str = ""

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Read a sound file: WAV, FLAC, Ogg, Opus, MP3, and whatever ffmpeg reads where it is.

        Raises:
            DataError: the file cannot be read, is damaged, or holds no sound at all.
        """
        sound = of_file(path)
        return cls(sound, _bits_of(Path(path)), name=Path(path).name)

    @classmethod
    def of(cls, samples: Audio, rate_hz: int, *, bits: Bits = 16) -> Self:
        """Make a recording of an array.

        Args:
            samples: ``[channels, samples]`` or ``[samples]``, from -1 to 1.
            rate_hz: samples per second.
            bits: size of a sample in files that are written of it, 16, 24 or 32 (floats).

        Raises:
            DataError: another shape, no samples at all, or values that are not finite.
        """
        audio = np.atleast_2d(np.asarray(samples, np.float32))
        if audio.ndim != 2 or not audio.size or not np.isfinite(audio).all():
            raise DataError(
                f"Samples of the shape {np.shape(samples)} are no recording: they must be finite "
                "numbers of the shape [channels, samples], one at least."
            )
        return cls(of_array(audio, rate_hz), bits)

    @property
    def samples(self) -> Audio:
        """All samples, float32 ``[channels, samples]``; as large in memory as that takes."""
        return self.sound.read(0, self.sound.num_samples)

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self.sound.rate_hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.sound.channels

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.sound.num_samples / self.sound.rate_hz

    def save(self, path: Path | str) -> None:
        """Write a WAV or FLAC file, by the ending of its name, whole or not at all.

        Raises:
            SettingError: the name ends otherwise.
            DataError: the file cannot be written.
        """
        write_audio(path, blocks_of(self.sound), self.rate_hz, bits=self.bits)

    def save_picture(self, path: Path | str, *, title: str = "") -> None:
        """Draw waveform and spectrogram, what is new marked (PNG).

        Args:
            path: the picture.
            title: set above it; the recording's name by default.

        Raises:
            SettingError: the name does not end in .png.
            DataError: the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise SettingError(f"Pictures are written as .png; {path.name!r} ends otherwise.")
        figure = waveform(
            *overview(self.sound),
            seconds=self.seconds,
            highest_hz=self.rate_hz / 2,
            new=self.new,
            title=title or self.name,
        )
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})

    def vary(self, strength: float = 0.5, **options: Unpack[Options]) -> "Recording":
        """Return sound like this, at the model's rate.

        Args:
            strength: from just above 0, nearly the same, to 1, nothing of it left.
            options: see `Options`.

        Raises:
            SettingError: a number is out of range, or a label is unknown.
            BundleError: the model cannot be used.
        """
        tape = making.vary(maker_of(options), self.sound, strength)
        return Recording(tape, new=_all(tape), name=self._named("varied"))

    def extend(
        self, seconds: float, *, before: bool = False, **options: Unpack[Options]
    ) -> "Recording":
        """Return this with more behind it, or in front; what was there keeps every bit.

        Args:
            seconds: how much to write.
            before: lead in instead of going on.
            options: see `Options`.

        Raises:
            SettingError: a number is out of range, or a label is unknown.
            BundleError: the model cannot be used.
        """
        filled = joining.extend(maker_of(options), self.sound, seconds, before=before)
        return self._with(filled, "extended")

    def inpaint(self, seconds: Span | Region, **options: Unpack[Options]) -> "Recording":
        """Return this with new sound in a span; what lies outside it keeps every bit.

        Args:
            seconds: such as ``(12.5, 20)`` or ``"12.5-20"``.
            options: see `Options`.

        Raises:
            SettingError: the span is not in the recording, or a label is unknown.
            BundleError: the model cannot be used.
        """
        region = seconds if isinstance(seconds, Region) else Region.parse(seconds, unit="seconds")
        return self._with(joining.inpaint(maker_of(options), self.sound, region), "inpainted")

    def reconstruct(self, **options: Unpack[Options]) -> "Recording":
        """Return what the model's autoencoder alone makes of this, at the model's rate.

        Args:
            options: of `Options`, bundle, threads and progress count.

        Raises:
            SettingError: the model cannot take a recording of this length.
            BundleError: the model cannot be used.
        """
        progress = options.get("progress", silent)
        tape = making.reconstruct(_model(options), self.sound, progress=progress)
        return Recording(tape, new=_all(tape), name=self._named("reconstructed"))

    def _with(self, filled: joining.Filled, what: str) -> "Recording":
        """Return the recording that a filled hole makes of this."""
        span = (filled.start / self.rate_hz, filled.stop / self.rate_hz)
        return Recording(filled.sound, self.bits, (span,), self._named(what))

    def _named(self, what: str) -> str:
        return f"{self.name}, {what}" if self.name else what


def generate(seconds: float = 10.0, **options: Unpack[Options]) -> Recording:
    """Write sound from nothing.

    Args:
        seconds: duration, up to six hours; memory does not grow with it.
        options: see `Options`.

    Raises:
        SettingError: a number is out of range, or a label is unknown.
        BundleError: the model cannot be used.
    """
    tape = making.generate(maker_of(options), seconds)
    return Recording(tape, new=_all(tape), name="generated")


def _all(sound: Sound) -> tuple[tuple[float, float], ...]:
    """Return the one span that is all of a recording."""
    return ((0.0, sound.num_samples / sound.rate_hz),)


@lru_cache(maxsize=2)
def _opened(name: str | None, threads: int | None) -> AudioModel:
    return AudioModel.open(name, threads=threads)


def _model(options: Options) -> AudioModel:
    """Return the model that was asked for."""
    given = options.get("bundle")
    if isinstance(given, AudioModel):
        return given
    return _opened(None if given is None else str(given), options.get("threads"))


def maker_of(options: Options) -> Maker:
    """Return the model with the choices of a call, all of them checked.

    Args:
        options: see `Options`.

    Raises:
        SettingError: a choice is not possible, or two contradict each other.
        BundleError: the model cannot be used.
    """
    model, guidance = _model(options), options.get("guidance")
    settings = model.settings(
        steps=options.get("steps"), sampler=options.get("sampler"), guidance=guidance
    )
    condition, negative = conditions(options)
    maker = Maker(
        model,
        settings,
        condition,
        negative,
        options.get("seed", 0),
        options.get("progress", silent),
    )
    if guidance is not None and guidance != 1 and not condition and not negative:
        raise SettingError(
            f"A guidance of {guidance:g} exaggerates what is asked, but nothing was. "
            "Name a label or give a text, or leave guidance out."
        )
    return maker


def conditions(options: Options) -> tuple[Condition, Condition]:
    """Return what is wanted, and what is not."""
    label = options.get("label")
    labels = (*([label] if label else []), *_several(options.get("labels")))
    away = _several(options.get("negative_labels"))
    return (
        Condition(labels, options.get("text") or ""),
        Condition(away, options.get("negative") or ""),
    )


def _several(labels: Sequence[str] | None) -> tuple[str, ...]:
    """Return labels; one that is given bare is one."""
    return (labels,) if isinstance(labels, str) else tuple(labels or ())


def _bits_of(path: Path) -> Bits:
    """Return 16 for files of 16 bits or fewer, 32 for floats, otherwise 24."""
    import soundfile

    try:
        subtype = str(soundfile.info(str(path)).subtype)
    except (soundfile.SoundFileError, OSError):
        return 24
    if subtype in {"FLOAT", "DOUBLE"}:
        return 32
    return 16 if subtype in {"PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW"} else 24
