"""Published statistics of a reference collection, and the Fréchet distance from them.

The package fadtk (MIT licence) carries means and covariances of FMA-Pop, 4,839 popular tracks of the
Free Music Archive, in many embeddings (Gui, Gamper, Braun and Emmanouilidou, *Adapting Frechet Audio
Distance for Generative Music Evaluation*, 2024). They make numbers comparable that were measured in
different places, with three reservations: the tracks were embedded at the loudness that they have, the
distance is biased by the number of one's own clips, and FMA-Pop is not what a model was trained on.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.weights import FMA_POP, find_file, read_member
from segue.core.config import nearest
from segue.errors import BundleError, DataError, SettingError

Floats = NDArray[np.float64]

_MEMBER = "fadtk/stats/fma_pop.npz"
_SYMMETRY = 1e-6


@dataclass(frozen=True, eq=False)
class ReferenceStatistics:
    """A Gaussian that stands for a collection in an embedding.

    Attributes:
        collection: what was embedded.
        embedding: in which embedding, by its published name.
        mean: shape ``dims``.
        covariance: shape ``dims dims``.
    """

    collection: str
    embedding: str
    mean: Floats
    covariance: Floats

    @classmethod
    def read(cls, file: Path | str | None, embedding: str) -> "ReferenceStatistics":
        """Read the statistics of one embedding.

        Args:
            file: an ``.npz`` with arrays ``NAME.mu`` and ``NAME.cov``; or fadtk's wheel, whose hash is
                checked; None looks where `segue data download fma-pop-statistics` puts it.
            embedding: NAME, see `EmbeddingInfo.statistics`.

        Raises:
            MissingExtraError: there is no wheel.
            SettingError: there are no statistics of that name; the message names the nearest.
            BundleError: the file is not as published, or damaged.
        """
        given = None if file is None else Path(file)
        try:
            if given is not None and given.suffix == ".npz":
                content, name = given.read_bytes(), given.stem
            else:
                content, name = read_member(find_file(FMA_POP, given), _MEMBER), "FMA-Pop"
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                known = sorted(key.removesuffix(".mu") for key in arrays if key.endswith(".mu"))
                if embedding not in known:
                    raise SettingError(_unknown(embedding, known))
                found = (arrays[f"{embedding}.mu"], arrays[f"{embedding}.cov"])
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(
                f"{file or _MEMBER} holds no readable statistics ({error}). Fetch it again."
            ) from error
        return cls.create(name, embedding, *found)

    @classmethod
    def create(
        cls, collection: str, embedding: str, mean: Floats, covariance: Floats
    ) -> "ReferenceStatistics":
        """Return statistics after a check of their numbers.

        Raises:
            BundleError: the shapes do not fit, values are not finite, the matrix is not symmetric.
        """
        mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise BundleError(
                f"A mean of shape {mean.shape} and a covariance of {covariance.shape} do not fit."
            )
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise BundleError(f"The statistics of {collection} hold values that are not finite.")
        if np.abs(covariance - covariance.T).max() > _SYMMETRY * np.abs(covariance).max():
            raise BundleError(f"The covariance of {collection} is not symmetric.")
        return cls(collection, embedding, mean, (covariance + covariance.T) / 2)

    @classmethod
    def of(cls, collection: str, embedding: str, points: Floats) -> "ReferenceStatistics":
        """Return the statistics of points ``points dims``, two or more.

        Raises:
            DataError: there are fewer than two points.
        """
        if points.ndim != 2 or len(points) < 2:
            raise DataError(f"Statistics need two points or more; shape {points.shape} was given.")
        return cls.create(
            collection, embedding, points.mean(axis=0), np.atleast_2d(np.cov(points, rowvar=False))
        )


def frechet_to_statistics(
    clips: EmbeddedClips | ReferenceStatistics, reference: ReferenceStatistics
) -> float:
    """Return the Fréchet distance of embedded clips from published statistics.

    The trace of the root of the product of two covariances is the sum of the singular values of the
    product of their roots, each taken from eigenvalues: real always, whatever rounding did to them.
    Equal to `frechet_distance` where the statistics are those of points.

    Args:
        clips: embedded in the embedding of the statistics, or statistics of their own.
        reference: the other side.

    Raises:
        DataError: the dimensions differ, or there are fewer than two points.
    """
    made = clips
    if isinstance(made, EmbeddedClips):
        made = ReferenceStatistics.of("clips", reference.embedding, made.vectors)
    if len(made.mean) != len(reference.mean):
        raise DataError(
            f"Clips in {len(made.mean)} dimensions cannot be compared with statistics in "
            f"{len(reference.mean)}; embed them with {reference.embedding}."
        )
    one, two = _root(made.covariance), _root(reference.covariance)
    trace = np.linalg.svd(one @ two.T, compute_uv=False).sum()
    shift = ((made.mean - reference.mean) ** 2).sum()
    return float(shift + (one**2).sum() + (two**2).sum() - 2 * trace)


def _root(covariance: Floats) -> Floats:
    """Return A with ``A^T A`` the covariance; eigenvalues below zero are rounding and count as zero."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return root


def _unknown(embedding: str, known: list[str]) -> str:
    """Say that there are no statistics of a name."""
    guess = nearest(embedding, known)
    hint = f"Did you mean {guess}?" if guess else f"Known are {', '.join(known)}."
    return f"There are no statistics of the embedding {embedding!r}. {hint}"
