"""Sound and latents to examine with: out of a prepared folder, a folder of latents, or composed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.codec import Codec
from segue.audio.data.clips import Clips
from segue.audio.data.latent_cache import CacheSettings, Latents, loudness_gain
from segue.audio.spectrum import Spectrum
from segue.core.seeds import generator
from segue.errors import DataError, SettingError

Array = NDArray[np.float32]

_QUIET = 1e-2
_TRIES = 20
_CHIRPS = 5


@dataclass(frozen=True)
class Sound:
    """Clips to examine with.

    Attributes:
        clips: each of shape ``channels samples``, none silent.
        real: whether they are of recordings; otherwise they are composed.
    """

    clips: tuple[Array, ...]
    real: bool


def real_clips(
    folder: Path,
    *,
    count: int,
    samples: int,
    settings: CacheSettings,
    rate_hz: int,
    channels: int,
    split: str = "valid",
) -> Sound:
    """Draw clips of a prepared folder, as loud as the model is given them; always the same.

    Args:
        folder: as `segue audio prepare` wrote it.
        count: clips.
        samples: of a clip.
        settings: how loud recordings are when they are encoded.
        rate_hz: that the model takes.
        channels: that the model takes.
        split: where clips come from, if it holds any; else from what was trained on.

    Raises:
        DataError: the folder is none, of another rate, or (nearly) silent.
    """
    clips = _split(folder, split)
    if (clips.rate_hz, clips.channels) != (rate_hz, channels):
        raise DataError(
            f"{folder} holds {clips.rate_hz} Hz and {clips.channels} channel(s), the model is for "
            f"{rate_hz} Hz and {channels}. Name the folder that it was trained with."
        )
    found: list[Array] = []
    rng = generator(0, "doctor", "clips")
    for _ in range(count * _TRIES):
        index = int(rng.integers(len(clips)))
        spare = max(0, int(clips.lengths[index]) - samples)
        clip = clips.read(index, int(rng.integers(spare + 1)), samples)
        clip = clip * np.float32(loudness_gain(clips.recordings[index], settings))
        if np.abs(clip).max() > _QUIET:
            found.append(clip)
        if len(found) == count:
            return Sound(tuple(found), real=True)
    raise DataError(f"{folder} is silent nearly everywhere. Prepare other music.")


def _split(folder: Path, split: str) -> Clips:
    """Open a split, or what there is."""
    try:
        return Clips(folder, split)
    except DataError:
        return Clips(folder, "train")


def composed(*, samples: int, rate_hz: int, channels: int) -> Sound:
    """Compose a chord, clicks, a hiss and gliding tones. Shape of each ``channels samples``."""
    rng = generator(0, "doctor", "composed")
    seconds = np.arange(samples) / rate_hz
    chord = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (220.0, 277.2, 329.6, 440.0))
    chord = chord * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * seconds))
    clicks = np.zeros(samples)
    clicks[:: max(1, rate_hz // 4)] = 8.0
    clicks += 0.05 * rng.standard_normal(samples)
    glides = np.zeros(samples)
    for hertz in rng.uniform(100, rate_hz / 8, _CHIRPS):
        glides += np.sin(2 * np.pi * (hertz * seconds + 40 * np.sin(seconds)))
    hiss = rng.standard_normal(samples)
    waves = (np.asarray(wave) for wave in (chord, clicks, hiss, glides))
    return Sound(tuple(_levelled(wave, channels) for wave in waves), real=False)


def _levelled(wave: NDArray[np.float64], channels: int) -> Array:
    """Bring a wave to -20 dBFS, without clipping."""
    scale = min(0.1 / wave.std(), 0.95 / np.abs(wave).max())
    return np.repeat((wave * scale)[None], channels, axis=0).astype(np.float32)


def is_latents(folder: Path) -> bool:
    """Say whether a folder holds latents instead of sound."""
    return (folder / "latents.json").is_file()


def posterior(codec: Codec, audio: Array) -> tuple[Array, Array]:
    """Return mean and log variance of the latents of a clip, both ``[latent, frames]``.

    Args:
        codec: of a bundle or a run.
        audio: ``[channels, samples]``, a whole number of frames.
    """
    settings = codec.settings
    if settings.front == "waveform":
        feeds: dict[str, Any] = {"audio": audio[None]}
    else:
        spectrum = Spectrum(
            settings.window_samples, settings.stft_hop_samples, settings.compression
        )
        feeds = {"spectrum": spectrum.compress(spectrum.analyse(audio))[None]}
    given = codec.encoder(feeds)
    return given["mean"][0], given["log_variance"][0]


def drawn(mean: Array, log_variance: Array) -> Array:
    """Draw latents from a posterior, as training does where the recipe asks for it."""
    rng = generator(0, "doctor", "drawn")
    return mean + np.exp(0.5 * log_variance) * rng.standard_normal(mean.shape, np.float32)


def cached_rows(folder: Path, *, count: int, frames: int, draws: bool = False) -> list[Array]:
    """Return crops of a folder of latents, not normalised, each ``[channels, frames]`` or shorter.

    Args:
        folder: as `segue.audio.data.latent_cache.encode_folder` wrote it.
        count: crops; long recordings give more.
        frames: of a crop.
        draws: whether to draw from the posterior instead of taking its mean.

    Raises:
        DataError: the folder is none of latents, or keeps no posterior where one is needed.
    """
    latents = Latents(folder, "train")
    rng = generator(0, "doctor", "latents")
    sizes = np.array([recording.num_frames for recording in latents.recordings], np.float64)
    found = []
    for index in rng.choice(len(sizes), count, p=sizes / sizes.sum()).tolist():
        start = int(rng.integers(max(0, int(sizes[index]) - frames) + 1))
        row = latents.read(index, start, frames)
        found.append(drawn(row, latents.read_log_variance(index, start, frames)) if draws else row)
    return found


def imagined_rows(*, count: int, channels: int, frames: int) -> list[Array]:
    """Make latents of deviation 1 that change slowly, as those of music do."""
    if frames < 1:
        raise SettingError(f"Latents of {frames} frames were asked for; give one at least.")
    rng = generator(0, "doctor", "imagined")
    raw = rng.standard_normal((count, channels, frames + 8))
    smooth = np.cumsum(raw, axis=2)
    smooth = (smooth[:, :, 8:] - smooth[:, :, :-8]) / np.sqrt(8)
    return [row.astype(np.float32) for row in smooth]
