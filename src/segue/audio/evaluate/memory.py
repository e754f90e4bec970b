"""Does a model play its training music again? The nearest training neighbour of every clip.

Two ways to be near are looked at: in an embedding, where a cover of a piece is near it, and by
spectral match, where only the same performance is. Neither number means anything alone: real
clips have neighbours in the same training music too. A clip is flagged where it is nearer than 95 %
of real clips that the training did not see; of real clips one in twenty would be flagged.

A spectral match is the normalised correlation of log-mel patches of three seconds at the best place of
all training music, the mean of each frame and of each band taken out on both sides. That is blind to
gain, to fades and to a fixed equaliser, and finds a copy wherever it was shifted to. *Weakness:* another key or tempo is not found.
Carlini et al., *Extracting Training Data from Diffusion Models*, 2023, compare likewise with the
distances to neighbours; Bralios et al., *Generation or Replication*, 2024, do so for audio.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.filterbank import mel_filters, short_time_spectrum
from segue.core.progress import Progress, silent, track
from segue.core.seeds import generator
from segue.core.statistics import Interval
from segue.errors import DataError, SettingError

Audio = NDArray[np.float32]
Floats = NDArray[np.float32]
Measure = Literal["embedding", "spectral"]

WINDOW_SAMPLES, HOP_SAMPLES, RATE_HZ = 2048, 1024, 16_000
"""Spectra of 128 ms every 64 ms at 16 kHz; at other rates as long in seconds."""

NUM_MELS = 32
PATCH_SECONDS = 3.0
QUANTILE = 0.95

_LOWEST_POWER = 1e-6
_RANGE = 1e-6
_TRANSFORM_FRAMES = 1024
_BLOCKS_AT_ONCE = 8
_TAIL = 0.025


@dataclass(frozen=True)
class Match:
    """The nearest training music of one clip.

    Attributes:
        clip: index of the clip.
        recording: name of the training recording; empty where nothing could be compared.
        closeness: higher is nearer: a correlation (spectral, 1 for a copy) or a distance with a minus
            in front (embedding, 0 for a copy).
        clip_s: where in the clip the match begins; None for embeddings.
        recording_s: where in the training recording it begins; None for embeddings.
    """

    clip: int
    recording: str
    closeness: float
    clip_s: float | None = None
    recording_s: float | None = None


@dataclass(frozen=True)
class Memorisation:
    """How near generated clips are to the training music, beside how near real clips are.

    Attributes:
        measure: ``embedding`` or ``spectral``.
        flag_rate: share of generated clips nearer than 95 % of the real ones, with a 95 % interval
            over generated clips and real recordings; 0.05 is what real clips have.
        threshold: closeness from which a clip is flagged.
        flagged: the flagged clips' matches, nearest first.
        generated_quantiles: 5, 25, 50, 75, 95, 100 % of the generated clips' closeness.
        real_quantiles: the same of the real clips.
        num_generated, num_real: clips.
    """

    measure: Measure
    flag_rate: Interval
    threshold: float
    flagged: tuple[Match, ...]
    generated_quantiles: tuple[float, ...]
    real_quantiles: tuple[float, ...]
    num_generated: int
    num_real: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def memorisation(
    measure: Measure,
    generated: Sequence[Match],
    real: Sequence[Match],
    *,
    recordings: Sequence[str] | None = None,
    seed: int = 0,
    num_draws: int = 1000,
) -> Memorisation:
    """Flag clips that are nearer to the training music than real ones are.

    Args:
        measure: how the matches were made.
        generated: match of each generated clip.
        real: match of each real clip that no training saw, found in the same training music; clips as
            long as the generated ones (a longer one has more chances).
        recordings: recording of each real clip; its clips are drawn together by the bootstrap. Each
            clip its own by default.
        seed: of the bootstrap.
        num_draws: of the bootstrap.

    Raises:
        DataError: there is no generated, or fewer than 20 real clips.
        SettingError: there are not as many recordings as real clips.
    """
    made = np.array([match.closeness for match in generated])
    true = np.array([match.closeness for match in real])
    if not len(made) or len(true) < 20:
        raise DataError(
            f"Memorisation needs a generated clip and 20 real ones to hold it against; {len(made)} "
            f"and {len(true)} were given."
        )
    if recordings is not None and len(recordings) != len(true):
        raise SettingError(f"{len(true)} real clips and {len(recordings)} recordings were given.")
    threshold = float(np.quantile(true, QUANTILE))
    parts = _parts(true, recordings)
    rng = generator(seed, "memorisation")
    rates = []
    for _ in range(num_draws):
        drawn = rng.choice(made, len(made))
        held = np.concatenate([parts[i] for i in rng.integers(len(parts), size=len(parts))])
        rates.append((drawn > np.quantile(held, QUANTILE)).mean())
    low, high = np.quantile(rates, [_TAIL, 1 - _TAIL])
    rate = Interval(float((made > threshold).mean()), float(low), float(high), len(made))
    flagged = sorted(
        (match for match in generated if match.closeness > threshold),
        key=lambda match: (-match.closeness, match.clip),
    )
    return Memorisation(
        measure, rate, threshold, tuple(flagged), _quantiles(made), _quantiles(true),
        len(made), len(true),
    )  # fmt: skip


def _parts(
    values: NDArray[np.float64], recordings: Sequence[str] | None
) -> list[NDArray[np.float64]]:
    """Return the values of each recording."""
    names = np.arange(len(values)) if recordings is None else np.array(recordings)
    return [values[names == name] for name in np.unique(names)]


def _quantiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95, 1]))


# In an embedding --------------------------------------------------------------------------------


def embedding_matches(clips: EmbeddedClips, training: EmbeddedClips) -> list[Match]:
    """Find the nearest training window of each clip: the smallest distance among its windows.

    Args:
        clips: embedded clips, each its own group (``groups`` tells clips apart here).
        training: embedded training music, windows made in the same way.

    Returns:
        A match for each name of `clips.names`, in that order; `Match.clip` is its index there.

    Raises:
        DataError: the dimensions differ.
    """
    if clips.vectors.shape[1] != training.vectors.shape[1]:
        raise DataError("Clips and training music were embedded differently.")
    norms = (training.vectors**2).sum(axis=1)
    found = []
    for index, name in enumerate(clips.names):
        points = clips.vectors[clips.groups == name]
        squares = (points**2).sum(axis=1)[:, None] + norms[None] - 2 * points @ training.vectors.T
        nearest = int(squares.min(axis=0).argmin())
        distance = float(np.sqrt(((points - training.vectors[nearest]) ** 2).sum(axis=1).min()))
        found.append(Match(index, str(training.groups[nearest]), -distance))
    return found


# By spectral match ------------------------------------------------------------------------------


def log_mel(audio: Audio, rate_hz: int) -> Floats:
    """Return the shape of the spectrum: log mel powers without the mean of each frame.

    None counts as more than 60 dB below the loudest. Without the frames' means two pauses, or two
    entries, are no match: they have a course of loudness in common and nothing else.

    Args:
        audio: shape ``channels samples``; channels are averaged.
        rate_hz: its sample rate; windows are as long in seconds at every rate.

    Returns:
        Shape ``frames bands``, a frame every 64 ms.
    """
    window, hop = _sizes(rate_hz)
    spectrum = short_time_spectrum(np.asarray(audio, np.float32).mean(axis=0), window, hop)
    power = (spectrum.real**2 + spectrum.imag**2) @ mel_filters(rate_hz, window, NUM_MELS).T
    least = max(float(power.max()) * _RANGE, _LOWEST_POWER)
    levels = np.log(np.maximum(power, least))
    return (levels - levels.mean(axis=1, keepdims=True)).astype(np.float32)


def spectral_matches(
    clips: Sequence[Audio],
    training: Iterable[tuple[str, Audio]],
    *,
    rate_hz: int,
    patch_s: float = PATCH_SECONDS,
    num_training: int | None = None,
    progress: Progress = silent,
) -> list[Match]:
    """Find where in the training music each clip is played again.

    Args:
        clips: each of shape ``channels samples``, at least one patch long.
        training: name and audio of each training recording; read once, one after another.
        rate_hz: sample rate of all.
        patch_s: length of what is compared; patches begin every half of it.
        num_training: number of recordings, to tell how far it is.
        progress: who listens.

    Returns:
        A match for each clip. Patches without any change (silence) match nothing.

    Raises:
        SettingError: there is no clip, or a clip is shorter than a patch.
    """
    _, hop = _sizes(rate_hz)
    frames = round(patch_s * rate_hz / hop)
    if not clips or frames < 8:
        raise SettingError("A spectral match needs a clip, and patches of half a second or more.")
    patches = _Patches(clips, rate_hz, frames)
    names: list[str] = []
    label = "comparing with training music"
    for name, audio in track(training, label, total=num_training, progress=progress):
        patches.compare(log_mel(audio, rate_hz), len(names))
        names.append(name)
    return patches.matches(names, hop / rate_hz)


def _sizes(rate_hz: int) -> tuple[int, int]:
    """Return window and hop in samples."""
    return round(WINDOW_SAMPLES * rate_hz / RATE_HZ), round(HOP_SAMPLES * rate_hz / RATE_HZ)


class _Patches:
    """Patches of clips and the best place found for each so far."""

    def __init__(self, clips: Sequence[Audio], rate_hz: int, frames: int) -> None:
        self.frames = frames
        cut, self.owners, self.starts = [], list[int](), list[int]()
        for index, clip in enumerate(clips):
            mel = log_mel(clip, rate_hz)
            if len(mel) < frames:
                raise SettingError(f"Clip {index} is shorter than a patch of {frames} frames.")
            for start in [*range(0, len(mel) - frames, frames // 2), len(mel) - frames]:
                patch = mel[start : start + frames]
                cut.append(patch - patch.mean(axis=0))
                self.owners.append(index)
                self.starts.append(start)
        patches = np.stack(cut)
        sizes = np.sqrt((patches**2).sum(axis=(1, 2)))
        self.heard = sizes > 1e-3
        patches /= np.maximum(sizes, 1e-3)[:, None, None]
        # Correlation is multiplication with the conjugate; bins first, so that it is a matrix product.
        spectra = np.fft.rfft(patches, _TRANSFORM_FRAMES, axis=1).conj()
        self._spectra = np.ascontiguousarray(spectra.transpose(1, 0, 2)).astype(np.complex64)
        self.best = np.full(len(patches), -np.inf)
        self.places = np.zeros((len(patches), 2), np.int64)

    def compare(self, mel: Floats, recording: int) -> None:
        """Look for all patches in a recording, whose spectrum is ``frames bands``."""
        last = len(mel) - self.frames
        if last < 0:
            return
        mel = mel - mel.mean(axis=0)
        sizes = np.sqrt(np.maximum(_window_energy(mel, self.frames), 1e-6))
        step = _TRANSFORM_FRAMES - self.frames + 1
        starts = range(0, last + 1, step)
        for first in range(0, len(starts), _BLOCKS_AT_ONCE):
            chosen = starts[first : first + _BLOCKS_AT_ONCE]
            blocks = np.zeros((len(chosen), _TRANSFORM_FRAMES, mel.shape[1]), np.float32)
            for row, start in enumerate(chosen):
                piece = mel[start : start + _TRANSFORM_FRAMES]
                blocks[row, : len(piece)] = piece
            self._take(np.fft.rfft(blocks, axis=1).astype(np.complex64), chosen, sizes, recording)

    def _take(
        self, spectra: NDArray[np.complex64], starts: Sequence[int], sizes: Floats, recording: int
    ) -> None:
        """Correlate all patches with blocks ``blocks bins bands``; keep what is better."""
        product = self._spectra @ spectra.transpose(1, 2, 0)
        step = _TRANSFORM_FRAMES - self.frames + 1
        for row, start in enumerate(starts):
            size = sizes[start : start + step]
            found = np.fft.irfft(product[:, :, row].T, _TRANSFORM_FRAMES)[:, : len(size)] / size
            places = found.argmax(axis=1)
            values = found[np.arange(len(found)), places]
            better = values > self.best
            self.best[better] = values[better]
            self.places[better] = np.stack([np.full(len(places), recording), places + start], 1)[
                better
            ]

    def matches(self, names: Sequence[str], hop_s: float) -> list[Match]:
        """Return the best patch of each clip."""
        owners = np.array(self.owners)
        usable = self.heard & np.isfinite(self.best)
        found = []
        for clip in range(int(owners.max()) + 1):
            own = np.flatnonzero((owners == clip) & usable)
            if not len(own):
                found.append(Match(clip, "", 0.0))
                continue
            best = own[self.best[own].argmax()]
            recording, place = self.places[best]
            closeness = min(float(self.best[best]), 1.0)
            start_s = self.starts[best] * hop_s
            found.append(Match(clip, names[recording], closeness, start_s, float(place * hop_s)))
        return found


def _window_energy(mel: Floats, frames: int) -> Floats:
    """Return the energy of every stretch of frames about the mean of each band. Shape ``starts``."""
    wide = mel.astype(np.float64)
    zeros = np.zeros((1, mel.shape[1]))
    sums, squares = (np.concatenate([zeros, np.cumsum(v, axis=0)]) for v in (wide, wide**2))
    total, power = (part[frames:] - part[:-frames] for part in (sums, squares))
    energy = (power - total**2 / frames).sum(axis=1)
    return energy.astype(np.float32)
