"""Maps of what a model has learnt: its tokens, and whole pieces, drawn in two dimensions by t-SNE.

A map is an illustration, never evidence; what comes with each is told in `segue.core.maps`.

Token embeddings are the rows of the model's embedding table. A piece's embedding is the mean, over the
tokens of a stretch from its middle, of the attention values of the last layer: of all that the
exported graph hands out, this is nearest to the last hidden state (a linear image of the state that
enters the last block). ``method="tokens"`` is the mean of the token embeddings, which knows what a piece
consists of and nothing of its order: the baseline for the other.

Corpora differ in more than music. Tempo, velocity and time signature are written by their editors,
and a map coloured by dataset shows that too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segue.core.maps import EmbeddingMap, embedding_map
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.errors import DataError, SettingError
from segue.runtime.bundle import Bundle
from segue.runtime.onnx_backend import FLOAT_GRAPH, INT8_GRAPH, OnnxDecoder
from segue.runtime.onnx_file import read_weight
from segue.symbolic.data.windows import Prepared
from segue.symbolic.grid import Grid
from segue.symbolic.instruments import instrument_name
from segue.symbolic.stream import Stream, parse, render
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import DRUM_PROGRAM, TokenType

_SPECIAL = {TokenType.PAD, TokenType.BOS, TokenType.EOS, TokenType.SEP, TokenType.HOLE}
_MERGED = "Merged"


# Tokens ------------------------------------------------------------------------------------------


def token_embeddings(bundle: Bundle | str) -> NDArray[np.float64]:
    """Return the embedding table of a bundle. Shape ``tokens width``.

    Raises:
        BundleError: there is no such bundle, or its graph holds no table.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    path = bundle.path(INT8_GRAPH if bundle.has(INT8_GRAPH) else FLOAT_GRAPH)
    return np.asarray(read_weight(path, "embedding.weight"), np.float64)


def token_map(bundle: Bundle | str, *, seed: int = 0, perplexity: float = 30.0) -> EmbeddingMap:
    """Draw the tokens of a bundle, coloured by their type; special tokens are left out.

    Args:
        bundle: a bundle, its folder or name.
        seed: see `embedding_map`.
        perplexity: see `embedding_map`.

    Raises:
        BundleError: there is no such bundle, or its graph holds no table.
        SettingError: more tokens than a map can hold.
        MissingExtraError: scikit-learn is not installed.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    table = token_embeddings(bundle)
    vocabulary = Tokenizer.from_file(bundle.path("tokenizer.json")).vocabulary
    names = [*vocabulary.names_of_types, *[_MERGED] * (len(table) - vocabulary.size)]
    kept = np.array(
        [TokenType(kind) not in _SPECIAL for kind in vocabulary.types]
        + [True] * (len(table) - vocabulary.size)
    )
    labels = [name for name, keep in zip(names, kept, strict=True) if keep]
    kind = "token embeddings by type"
    return embedding_map(table[kept], labels, kind=kind, seed=seed, perplexity=perplexity)


# Pieces ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LabelledPieces:
    """Stretches of pieces with what they can be coloured by.

    Attributes:
        grids: one of each piece, from its middle.
        sources: the dataset of each.
        instruments: the instrument of most of its notes.
    """

    grids: list[Grid]
    sources: list[str]
    instruments: list[str]


def draw_pieces(
    prepared: Prepared, *, count: int = 300, tokens: int = 256, seed: int = 0
) -> LabelledPieces:
    """Draw pieces of a prepared folder, as many of each dataset as there are, up to equal shares.

    Args:
        prepared: a split of a prepared folder.
        count: at most so many pieces.
        tokens: each gives the bars around its middle that hold about so many base tokens.
        seed: draws the pieces.

    Raises:
        DataError: the folder is not a prepared one.
    """
    rng = generator(seed, "pieces of the map")
    order = rng.permutation(len(prepared.sources))
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, int, int]] = []
    for number in order.tolist():
        source = prepared.sources[number]
        ranked.append((seen[source], len(ranked), number))
        seen[source] += 1
    chosen = sorted(number for _, _, number in sorted(ranked)[:count])
    both = [(_middle(prepared, number, tokens), prepared.sources[number]) for number in chosen]
    both = [(grid, source) for grid, source in both if len(grid.notes)]
    grids = [grid for grid, _ in both]
    return LabelledPieces(
        grids, [source for _, source in both], [main_instrument(g) for g in grids]
    )


def _middle(prepared: Prepared, number: int, tokens: int) -> Grid:
    """Return the bars around the middle of a piece."""
    tokenizer = prepared.tokenizer
    ids = np.asarray(prepared.piece(number), np.int64)
    if tokenizer.merges is not None:
        ids = tokenizer.merges.decode(ids)
    bars = np.flatnonzero(ids == tokenizer.vocabulary.first(TokenType.BAR))
    begin = max(0, (len(ids) - tokens) // 2)
    first = max(0, int(np.searchsorted(bars, begin, side="right")) - 1)
    last = max(first + 1, int(np.searchsorted(bars, begin + tokens)))
    end = bars[last] if last < len(bars) else len(ids)
    return parse(tokenizer.vocabulary, ids[bars[first] : end])


def main_instrument(grid: Grid) -> str:
    """Return the instrument of most notes of a grid.

    Raises:
        DataError: there are no notes.
    """
    if not len(grid.notes):
        raise DataError("There are no notes, so there is no main instrument.")
    programs, counts = np.unique(grid.notes["program"], return_counts=True)
    program = int(programs[counts.argmax()])
    return instrument_name(max(program, 0), is_drum=program == DRUM_PROGRAM)


def piece_embeddings(
    bundle: Bundle | str,
    grids: Sequence[Grid],
    *,
    method: Literal["context", "tokens"] = "context",
    tokens: int = 256,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Return the embedding of each piece. Shape ``pieces width``.

    Args:
        bundle: a bundle, its folder or name.
        grids: stretches of pieces, on the grid of the bundle's tokenizer.
        method: see the top of this module.
        tokens: the first so many tokens of each are read.
        progress: who listens.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        SettingError: `tokens` is below 1 or above the model's context.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    tokenizer = Tokenizer.from_file(bundle.path("tokenizer.json"))
    table = token_embeddings(bundle) if method == "tokens" else np.zeros((0, 0))
    decoder = OnnxDecoder(bundle)
    if not 1 <= tokens < decoder.context_length:
        raise SettingError(
            f"tokens is {tokens}; give 1 to {decoder.context_length - 1}, the model's context."
        )
    found = []
    with progress("embedding pieces", total=len(grids)) as advance:
        for grid in grids:
            ids, times = _begun(tokenizer, grid, tokens)
            rows = table[ids] if method == "tokens" else decoder.last_values(ids, times)
            found.append(np.asarray(rows[1:], np.float64).mean(axis=0))
            advance()
    return np.array(found)


def _begun(tokenizer: Tokenizer, grid: Grid, tokens: int) -> Stream:
    """Return BOS and the first tokens of a grid."""
    stream = tokenizer.encode_stream(render(tokenizer.vocabulary, grid))
    first = tokenizer.vocabulary.first(TokenType.BOS)
    return Stream(
        np.concatenate([[first], stream.ids[:tokens]]),
        np.concatenate([[0], stream.times[:tokens]]),
    )


def piece_map(
    bundle: Bundle | str,
    grids: Sequence[Grid],
    labels: Sequence[str],
    *,
    coloured_by: str = "dataset",
    method: Literal["context", "tokens"] = "context",
    tokens: int = 256,
    seed: int = 0,
    perplexity: float = 30.0,
    progress: Progress = silent,
) -> EmbeddingMap:
    """Draw pieces as a bundle sees them.

    Args:
        bundle: a bundle, its folder or name.
        grids: stretches of pieces; see `draw_pieces`.
        labels: what colours each.
        coloured_by: what the labels are, for the caption.
        method: see the top of this module.
        tokens: the first so many tokens of each are read.
        seed: see `embedding_map`.
        perplexity: see `embedding_map`.
        progress: who listens.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        SettingError: too few pieces for a map, or another number of labels.
        MissingExtraError: scikit-learn is not installed.
    """
    rows = piece_embeddings(bundle, grids, method=method, tokens=tokens, progress=progress)
    kind = f"piece embeddings by {coloured_by}"
    return embedding_map(rows, labels, kind=kind, seed=seed, perplexity=perplexity)


def map_pictures(
    bundle: Bundle | str,
    prepared: Prepared | None = None,
    *,
    pieces: int = 300,
    seed: int = 0,
    perplexity: float = 30.0,
    progress: Progress = silent,
) -> list[tuple[str, bytes, str]]:
    """Draw all maps of a bundle: tokens by type, pieces by dataset and by instrument.

    Args:
        bundle: a bundle, its folder or name.
        prepared: pieces that the model has not seen; without it only tokens are drawn.
        pieces: at most so many.
        seed: draws the pieces; see also `embedding_map`.
        perplexity: see `embedding_map`; lower for few pieces.
        progress: who listens.

    Returns:
        Name, PNG file and caption of each picture. Pieces are coloured by dataset only where there
        is more than one.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        SettingError: too few pieces for a map.
        MissingExtraError: scikit-learn is not installed.
    """
    from segue.plots.collection import png_bytes
    from segue.plots.embedding import map_figure

    maps = [("Tokens by type", token_map(bundle, seed=seed, perplexity=perplexity))]
    if prepared is not None:
        drawn = draw_pieces(prepared, count=pieces, seed=seed)
        rows = piece_embeddings(bundle, drawn.grids, progress=progress)
        for colour, labels in (("dataset", drawn.sources), ("main instrument", drawn.instruments)):
            if len(set(labels)) > 1:
                kind = f"piece embeddings by {colour}"
                found = embedding_map(rows, labels, kind=kind, seed=seed, perplexity=perplexity)
                maps.append((f"Pieces by {colour}", found))
    return [
        (name, png_bytes(map_figure(one.points, one.labels, one.halves, title=name)), one.caption())
        for name, one in maps
    ]
