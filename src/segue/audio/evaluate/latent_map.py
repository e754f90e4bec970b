"""Maps of the autoencoder's latents: clips by their mean, and single frames, coloured by a label.

The deck shows one such map. Here each comes with what tells whether it shows anything
(`segue.core.maps`): its trustworthiness, how often neighbours share a label beside chance, and a
control of real against real. Frames of one recording are never each other's neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.latents import LatentSpec
from segue.core.maps import EmbeddingMap, embedding_map
from segue.core.seeds import generator
from segue.errors import DataError, SettingError

Floats = NDArray[np.floating]

FRAMES_PER_CLIP = 8


@dataclass(frozen=True, eq=False)
class LatentMaps:
    """Two maps of the same latents.

    Attributes:
        clips: one point for each clip, its mean over time.
        frames: some frames of every clip.
    """

    clips: EmbeddingMap
    frames: EmbeddingMap

    def to_dict(self) -> dict[str, Any]:
        """Return what the maps are worth, without the points, for JSON."""
        return {
            name: {
                "num_points": len(found.points),
                "trustworthiness": found.trustworthiness,
                "agreement": vars(found.agreement),
                "control": vars(found.control),
                "perplexity": found.perplexity,
                "seed": found.seed,
            }
            for name, found in (("clips", self.clips), ("frames", self.frames))
        }


def latent_maps(
    latents: Sequence[Floats],
    labels: Sequence[str],
    *,
    spec: LatentSpec | None = None,
    groups: Sequence[str] | None = None,
    coloured_by: str = "label",
    frames_per_clip: int = FRAMES_PER_CLIP,
    seed: int = 0,
    perplexity: float = 30.0,
) -> LatentMaps:
    """Draw the latents of clips.

    Args:
        latents: of each clip, ``channels frames``.
        labels: what colours each clip: its genre, its package, the collection that it is of.
        spec: given latents are as a decoder sees them and are normalised by it; without it they are
            taken as normalised.
        groups: recording of each clip, of one label each; every clip its own by default.
        coloured_by: what the labels are, for the captions.
        frames_per_clip: frames drawn at random from each clip; fewer where a map would be too large.
        seed: draws the frames; see also `segue.core.maps.embedding_map`.
        perplexity: of t-SNE, below the number of clips.

    Raises:
        SettingError: too few clips, lists that differ in length, or a group of two labels.
        DataError: latents of different channels, empty, or not finite.
        MissingExtraError: scikit-learn is not installed.
    """
    names = [str(number) for number in range(len(latents))] if groups is None else list(groups)
    if not len(latents) == len(labels) == len(names) or not latents:
        raise SettingError(
            f"{len(latents)} clips, {len(labels)} labels and {len(names)} groups were given; a map "
            "needs one label and one group for each clip."
        )
    normal = [_normalised(one, spec) for one in latents]
    if len({one.shape[0] for one in normal}) > 1:
        raise DataError("The latents of the clips have different numbers of channels.")
    means = np.array([one.mean(axis=1) for one in normal])
    count = max(1, min(frames_per_clip, 4000 // len(normal)))
    drawn = [
        _frames(one, count, generator(seed, "frames of the map", i)) for i, one in enumerate(normal)
    ]
    owners = [index for index, rows in enumerate(drawn) for _ in rows]
    return LatentMaps(
        clips=embedding_map(
            means, labels, groups=names, seed=seed, perplexity=perplexity,
            kind=f"clips (mean of their latents) by {coloured_by}",
        ),
        frames=embedding_map(
            np.concatenate(drawn), [labels[i] for i in owners], groups=[names[i] for i in owners],
            seed=seed, perplexity=perplexity, kind=f"frames of latents by {coloured_by}",
        ),
    )  # fmt: skip


def latent_map_pictures(maps: LatentMaps) -> list[tuple[str, bytes, str]]:
    """Draw both maps.

    Returns:
        Name, PNG file and caption of each picture.
    """
    from segue.plots.collection import png_bytes
    from segue.plots.embedding import map_figure

    named = (("Clips", maps.clips), ("Frames", maps.frames))
    return [
        (name, png_bytes(map_figure(one.points, one.labels, one.halves, title=name)), one.caption())
        for name, one in named
    ]


def _normalised(latents: Floats, spec: LatentSpec | None) -> NDArray[np.float64]:
    """Return latents as diffusion sees them. Shape ``channels frames``."""
    given = np.asarray(latents)
    if given.ndim != 2 or not given.size or not np.isfinite(given).all():
        raise DataError(
            f"Latents must be finite, of shape [channels, frames]; shape {given.shape} was given."
        )
    if spec is not None:
        if spec.channels != len(given):
            raise DataError(f"Latents of {len(given)} channels, but a spec of {spec.channels}.")
        given = spec.normalise(given.astype(np.float32))
    return np.asarray(given, np.float64)


def _frames(
    latents: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw frames without repetition, in their order. Shape ``count channels``."""
    size = min(count, latents.shape[1])
    rows: NDArray[np.float64] = latents[
        :, np.sort(rng.choice(latents.shape[1], size, replace=False))
    ].T
    return rows
