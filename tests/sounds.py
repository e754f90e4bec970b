"""Sound and sound files made in code, written and read by soundfile, not by the package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Frames = NDArray[np.float64]
"""Shape ``samples`` or ``samples channels``."""


def tone(seconds: float, *, rate_hz: int = 16_000, hz: float = 440.0, level: float = 0.3) -> Frames:
    """A sine."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def noise(seconds: float, seed: int = 0, *, rate_hz: int = 16_000, level: float = 0.1) -> Frames:
    """White noise."""
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def save(path: Path, frames: Frames, rate_hz: int = 16_000, **options: Any) -> Path:
    """Write a sound file of the kind that its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, frames, rate_hz, **options)
    return path


def save_tagged(path: Path, frames: Frames, *, artist: str, rate_hz: int = 16_000) -> Path:
    """Write a FLAC file that names its artist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
        file.artist = artist
        file.write(frames)
    return path


def music(
    folder: Path,
    names: Sequence[str],
    *,
    seconds: float = 1.0,
    lengths: Mapping[str, float] | None = None,
) -> Path:
    """Write different sounds under the names given; return the folder."""
    for seed, name in enumerate(names):
        length = (lengths or {}).get(name, seconds)
        save(folder / name, noise(length, seed) + tone(length, hz=200 + 10 * seed))
    return folder
