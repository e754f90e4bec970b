"""Embeddings by name: what each is, where its weights come from, and opening one.

The default is ``musicnn``. Networks are imported when one is opened, so that a list of names costs
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from segue.audio.evaluate.embedding import Embedding
from segue.audio.evaluate.weights import CDPAM, MUSICNN
from segue.core.config import nearest
from segue.errors import SettingError

DEFAULT_EMBEDDING: Final = "musicnn"


@dataclass(frozen=True)
class EmbeddingInfo:
    """What is known of an embedding before it is opened.

    Attributes:
        name: what a person types; with ``:PATH`` behind it, weights are taken from there.
        rate_hz: sample rate that it expects.
        dims: length of a point.
        window_s: seconds that a point stands for.
        learnt: what it was trained on.
        source: where its weights come from.
        licence: of the weights.
        num_bytes: size of the file with the weights, about.
        statistics: name of its published statistics of FMA-Pop, where there are any.
        checked: whether the port was compared with the original network.
        open: makes it; takes where the weights are, or None.
    """

    name: str
    rate_hz: int
    dims: int
    window_s: float
    learnt: str
    source: str
    licence: str
    num_bytes: int
    statistics: str | None
    checked: bool
    open: Callable[[str | None], Embedding]


def _musicnn(path: str | None) -> Embedding:
    from segue.audio.evaluate.musicnn import MusicnnEmbedding

    return MusicnnEmbedding(path)


def _musicnn_pool(path: str | None) -> Embedding:
    from segue.audio.evaluate.musicnn import MusicnnEmbedding

    return MusicnnEmbedding(path, layer="mean_pool")


def _cdpam_acoustic(path: str | None) -> Embedding:
    from segue.audio.evaluate.cdpam import CdpamEmbedding

    return CdpamEmbedding("acoustic", path)


def _cdpam_content(path: str | None) -> Embedding:
    from segue.audio.evaluate.cdpam import CdpamEmbedding

    return CdpamEmbedding("content", path)


def _vggish(path: str | None) -> Embedding:
    from segue.audio.evaluate.vggish import VggishEmbedding

    return VggishEmbedding(path)


def _clap(path: str | None) -> Embedding:
    from segue.audio.evaluate.clap import ClapEmbedding

    return ClapEmbedding(path)


_MUSIC_TAGS = "tags of 200,000 songs (Million Song Dataset)"
_DIFFERENCES = "which differences of sounds people hear"
_MUSICNN_SOURCE = "segue data download musicnn"
_CDPAM_SOURCE = "segue data download cdpam"

EMBEDDINGS: Final = {
    info.name: info
    for info in (
        EmbeddingInfo(
            "musicnn", 16_000, 200, 3.0, _MUSIC_TAGS, _MUSICNN_SOURCE, MUSICNN.licence,
            MUSICNN.num_bytes, None, True, _musicnn,
        ),
        EmbeddingInfo(
            "musicnn-mean-pool", 16_000, 753, 3.0, _MUSIC_TAGS, _MUSICNN_SOURCE, MUSICNN.licence,
            MUSICNN.num_bytes, None, True, _musicnn_pool,
        ),
        EmbeddingInfo(
            "cdpam-acoustic", 22_050, 512, 1.0, _DIFFERENCES, _CDPAM_SOURCE, CDPAM.licence,
            CDPAM.num_bytes, "cdpam-acoustic", True, _cdpam_acoustic,
        ),
        EmbeddingInfo(
            "cdpam-content", 22_050, 512, 1.0, _DIFFERENCES, _CDPAM_SOURCE, CDPAM.licence,
            CDPAM.num_bytes, "cdpam-content", True, _cdpam_content,
        ),
        EmbeddingInfo(
            "vggish", 16_000, 128, 0.96, "tags of 70 million videos (YouTube)",
            "a file that you have: vggish:FILE", "Apache 2.0 licence", 288_000_000, "vggish", False, _vggish,
        ),
        EmbeddingInfo(
            "clap", 48_000, 512, 10.0, "sounds with their descriptions",
            "a folder that you have: clap:FOLDER", "that of the model", 780_000_000, None, True,
            _clap,
        ),
    )
}  # fmt: skip
"""All embeddings by name."""


def open_embedding(name: str = DEFAULT_EMBEDDING) -> Embedding:
    """Open an embedding.

    Args:
        name: one of `EMBEDDINGS`; ``NAME:PATH`` takes the weights from a file or folder.

    Raises:
        SettingError: there is none of that name; the message names the nearest.
        MissingExtraError: its weights or a package are missing; the message says how to get them.
        BundleError: the weights are not those that are known.

    Example:
        >>> open_embedding("musicnn")  # doctest: +SKIP
    """
    first, _, path = name.partition(":")
    if first not in EMBEDDINGS:
        guess = nearest(first, list(EMBEDDINGS))
        hint = f"Did you mean {guess}?" if guess else f"Known are {', '.join(EMBEDDINGS)}."
        raise SettingError(f"There is no embedding {first!r}. {hint}")
    return EMBEDDINGS[first].open(path or None)
