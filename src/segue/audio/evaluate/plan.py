"""What an evaluation of an audio bundle compares: its settings, and its collections by name."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.audio.data.clips import Clips
from segue.audio.evaluate.collections import (
    ClipSettings,
    Collection,
    RealClip,
    check_lengths,
    draw_real,
    known_labels,
    load_clips,
    load_latents,
    outside_clips,
)
from segue.audio.evaluate.opus import RATES_HZ, find_program
from segue.audio.latents import BUNDLE_KIND
from segue.audio.loaded import AudioModel, read_parts
from segue.audio.text import open_text_encoder
from segue.core.config import StrictModel
from segue.core.files import sha256_of
from segue.core.seeds import generator
from segue.errors import DataError, MissingExtraError, SettingError
from segue.runtime.bundle import Bundle

REFERENCE, REAL = "reference", "real"
CODEC, HALF, PRIOR, GENERATED = "codec", "half", "prior", "generated"
TRAINING, HELD_OUT = "training", "held-out"
WORK: Final = "work"

_FEWEST_RECORDINGS: Final = 4
_HELD_OUT_CLIPS: Final = 40
"""At least, where there are so many: how near real music comes to other music is a quantile."""


class AudioEvaluationSettings(StrictModel):
    """How much is measured."""

    clips: int = Field(default=200, ge=8, description="of every collection")
    seconds: float = Field(default=10.0, gt=0.5, le=60, description="length of a clip")
    split: str = Field(default="train", description="of the prepared folder, for real clips")
    embeddings: tuple[str, ...] = Field(
        default=("musicnn",), min_length=1, description="names; the first one's table leads"
    )
    opus: tuple[float, ...] = Field(default=(8.0, 12.0), description="kilobits a second")
    steps: int | None = Field(default=None, ge=1, description="of the sampler; null: the bundle's")
    sampler: str | None = Field(default=None, description="null: the bundle's")
    guidance: float | None = Field(default=None, description="null: the bundle's")
    training_clips: int = Field(
        default=600, ge=0, description="of the training music, embedded to look for copies"
    )
    examples: int = Field(default=4, ge=0, le=50, description="clips of each collection to hear")
    seed: int = Field(default=0, ge=0, description="of everything that is drawn")


@dataclass(frozen=True, eq=False)
class Plan:
    """What an evaluation is made of.

    Attributes:
        bundle: the model that is evaluated.
        model: the same, opened.
        settings: how much is measured.
        clip_settings: what all clips have in common.
        collections: by name, in the order of tables; `reference` and `real` first.
        folder: where everything lies.
        left_out: what cannot be made, and why.
    """

    bundle: Bundle
    model: AudioModel
    settings: AudioEvaluationSettings
    clip_settings: ClipSettings
    collections: dict[str, Collection]
    folder: Path
    left_out: tuple[str, ...] = ()

    @property
    def work(self) -> Path:
        """Where clips and points are kept."""
        return self.folder / WORK

    @property
    def compared(self) -> list[str]:
        """Names of what is held against the reference."""
        aside = (REFERENCE, TRAINING, HELD_OUT)
        return [name for name in self.collections if name not in aside]

    @property
    def written(self) -> list[str]:
        """Names of what was written from nothing: by models, by the prior, elsewhere."""
        kinds = ("generated", "prior", "files")
        return [name for name, each in self.collections.items() if each.kind in kinds]

    def clips(self, name: str) -> list[NDArray[np.float32]]:
        """Return the clips of a collection."""
        return load_clips(self.collections[name], self.clip_settings, self.work)

    def latents(self, name: str) -> list[NDArray[np.float32]]:
        """Return the normalised latents of a collection. Each of shape ``frames channels``."""
        return load_latents(self.collections[name], self.clip_settings, self.work)


def make_plan(
    model: str,
    data: Path,
    folder: Path,
    settings: AudioEvaluationSettings,
    *,
    beside: Sequence[str] | Mapping[str, str] = (),
    outside: Mapping[str, Path] | None = None,
) -> Plan:
    """Decide which clips are compared.

    Args:
        model: name or folder of the bundle that is evaluated.
        data: the prepared folder that it was trained on.
        folder: where results are kept; made where missing.
        settings: how much is measured.
        beside: further bundles, which generate clips as well; by the name that tables give them, or
            under the names of their folders.
        outside: folders of clips that were made elsewhere, by the name that tables give them.

    Raises:
        BundleError: a bundle is missing, or not of this kind.
        DataError: the folders do not hold what they should.
        SettingError: two collections of one name, or clips longer than a bundle can write.
    """
    bundle = Bundle.open(model).require(kind=BUNDLE_KIND)
    opened = AudioModel.open(bundle, threads=1)
    common = ClipSettings(
        opened.parts.audio.rate_hz, opened.parts.audio.channels, settings.seconds, settings.seed
    )
    prepared = Clips(data, settings.split)
    reference, real = draw_real(
        prepared, settings.clips, seconds=settings.seconds, seed=settings.seed
    )
    _check_real(reference, real)
    _check_length(bundle, settings)
    left_out: list[str] = []
    count = len(real)
    stamp = stamp_of(bundle)
    options = options_of(settings)
    source = str(bundle.folder)
    found = [
        Collection(REFERENCE, "real clips, the reference", "real", real=reference, count=count),
        Collection(REAL, "real clips of other recordings (floor)", "real", real=real, count=count),
        Collection(
            CODEC,
            f"{bundle.name}, encoded and decoded (ceiling)",
            "codec",
            source,
            stamp,
            real,
            count,
        ),
        *_opus(settings, common, real, left_out),
        Collection(
            HALF, "half the spectrogram, the deck's baseline", "half", real=real, count=count
        ),
        Collection(PRIOR, "decoded prior, no second stage", "prior", source, stamp, count=count),
    ]
    found += _generated(bundle, GENERATED, f"{bundle.name}, generated", real, options, left_out)
    for given, other in _by_name(beside):
        each = Bundle.open(other).require(kind=BUNDLE_KIND)
        _check_length(each, settings)
        name = given or Path(other).name.strip(".") or each.folder.resolve().name
        own = name == each.name != bundle.name
        called = each.name if own else f"{each.name} ({name})"
        found += _generated(each, name, f"{called}, generated", real, options, left_out)
    found += _outside(outside or {}, count, settings.seconds)
    found += _for_memory(data, settings)
    return Plan(bundle, opened, settings, common, _named(found), folder, tuple(left_out))


def _by_name(beside: Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return names, empty where none was given, and bundles."""
    if isinstance(beside, Mapping):
        return list(beside.items())
    return [("", other) for other in beside]


def _check_real(reference: Sequence[RealClip], real: Sequence[RealClip]) -> None:
    """Refuse music of which no distance can be taken, before anything is made."""
    fewest = min(len({clip.name for clip in part}) for part in (reference, real))
    if fewest < _FEWEST_RECORDINGS:
        raise DataError(
            f"There are {fewest} recordings for each side of real against real, and "
            f"{_FEWEST_RECORDINGS} are needed at least. Give more music, or ask for shorter clips."
        )


def _check_length(bundle: Bundle, settings: AudioEvaluationSettings) -> None:
    """Refuse clips that are longer than a bundle of one length writes."""
    parts = read_parts(bundle.config, where=str(bundle.folder))
    most = parts.frames * parts.codec.hop_samples / parts.audio.rate_hz
    if not parts.codec.length_free and settings.seconds > most:
        raise SettingError(
            f"{bundle.name} writes clips of {most:g} seconds and no longer ones, but seconds is "
            f"{settings.seconds:g}. Set it to {most:g} or less."
        )


def _generated(
    bundle: Bundle,
    base: str,
    title: str,
    real: tuple[RealClip, ...],
    options: tuple[tuple[str, Any], ...],
    left_out: list[str],
) -> list[Collection]:
    """Return what a bundle writes: with the labels or captions of real clips, where it can, and without."""
    source, stamp, count = str(bundle.folder), stamp_of(bundle), len(real)
    kinds = []
    if any(known_labels(bundle.config.get("labels", ()), clip.labels) for clip in real):
        kinds.append((base, f"{title}, labels as in real clips", "labels"))
    captions = sorted({words for clip in real for words in clip.captions})
    if captions and _reads_text(bundle, base, captions, left_out):
        kinds.append((f"{base}-text", f"{title}, captions as of real clips", "text"))
    free = f"{base}-free" if kinds else base
    kinds.append((free, f"{title}, nothing asked for" if kinds else title, ""))
    return [
        Collection(
            each, words, "generated", source, stamp, real if asked else (), count, asked, options
        )
        for each, words, asked in kinds
    ]


def _reads_text(bundle: Bundle, name: str, captions: Sequence[str], left_out: list[str]) -> bool:
    """Say whether a bundle knows texts, and what reads them is here and knows something of each."""
    text = bundle.config.get("text")
    if not text:
        return False
    try:
        encoder = open_text_encoder(text["encoder"])
    except MissingExtraError as error:
        left_out.append(f"{name}-text: {error}")
        return False
    known = np.asarray(encoder.encode(captions)).any(axis=1)
    if not known.all():
        odd = captions[int(known.argmin())]
        left_out.append(f"{name}-text: the text encoder knows no word of {odd!r}")
        return False
    return True


def options_of(settings: AudioEvaluationSettings) -> tuple[tuple[str, Any], ...]:
    """Return what is asked of the sampler instead of the bundle's own."""
    given = {
        "steps": settings.steps, "sampler": settings.sampler, "guidance": settings.guidance
    }  # fmt: skip
    return tuple((name, value) for name, value in given.items() if value is not None)


def _opus(
    settings: AudioEvaluationSettings,
    common: ClipSettings,
    real: tuple[RealClip, ...],
    left_out: list[str],
) -> list[Collection]:
    """Return Opus at some rates, where the system has it and it knows the sample rate."""
    if not settings.opus:
        return []
    if common.rate_hz not in RATES_HZ:
        left_out.append(f"Opus: it does not know {common.rate_hz} Hz")
        return []
    try:
        find_program()
    except MissingExtraError as error:
        left_out.append(f"Opus: {error}")
        return []
    return [
        Collection(
            f"opus-{rate:g}", f"Opus, {rate:g} kbit/s", "opus", f"{rate:g}", "", real, len(real)
        )
        for rate in settings.opus
    ]


def _outside(outside: Mapping[str, Path], most: int, seconds: float) -> list[Collection]:
    found = []
    for name, folder in outside.items():
        paths = outside_clips(folder)[:most]
        check_lengths(paths, seconds)
        parts = [f"{path.name} {sha256_of(path)}" for path in paths]
        stamp = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        found.append(Collection(name, name, "files", str(folder), stamp, count=len(paths)))
    return found


def _for_memory(data: Path, settings: AudioEvaluationSettings) -> list[Collection]:
    """Return training clips to look for copies in, and clips of held-out recordings."""
    if not settings.training_clips:
        return []
    (training,) = draw_real(
        Clips(data, "train"),
        settings.training_clips,
        seconds=settings.seconds,
        seed=settings.seed + 1,
        parts=1,
    )
    held = _held_out(data, settings)
    return [
        Collection(TRAINING, "training music", "real", real=training, count=len(training)),
        Collection(
            HELD_OUT, "held-out recordings", "real", real=tuple(held), count=len(held), single=True
        ),
    ]


def _held_out(data: Path, settings: AudioEvaluationSettings) -> list[RealClip]:
    """Return clips of valid and test together, dealt in a random order.

    As in one split, a recording gives a second clip only after all recordings of both have given one.
    """
    most = max(settings.clips, _HELD_OUT_CLIPS)
    found: list[tuple[int, RealClip]] = []
    for split in ("valid", "test"):
        with contextlib.suppress(DataError):
            music = Clips(data, split)
            seconds, seed = settings.seconds, settings.seed
            (drawn,) = draw_real(music, most, seconds=seconds, seed=seed, parts=1)
            names = [clip.name for clip in drawn]
            found += [(names[:i].count(clip.name), clip) for i, clip in enumerate(drawn)]
    order = generator(settings.seed, "held-out clips").permutation(len(found)).tolist()
    return [found[i][1] for i in sorted(order, key=lambda i: found[i][0])][:most]


def stamp_of(bundle: Bundle) -> str:
    """Return a short hash of everything in a bundle."""
    text = json.dumps(bundle.manifest, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _named(collections: Sequence[Collection]) -> dict[str, Collection]:
    """Return collections by name, none of which has another's."""
    names = [each.name for each in collections]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(
            f"Two collections are called {twice[0]}, which tables could not tell apart. Give one of "
            "them another name."
        )
    return {each.name: each for each in collections if each.count}
