"""The folder of fitted baselines: tokenizer, arrays and one list of them; nothing in it is ever unpickled.

::

    tokenizer.json    of the data that they were fitted on
    baselines.json    what was fitted, how, and the SHA-256 of every file
    counts.npz        n-grams and trusts
    logistic.npz, mlp.npz, gru.npz
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.core.files import atomic_path, sha256_of, write_bytes, write_text
from segue.errors import DataError
from segue.symbolic.baselines.copying import (
    Copyist,
    RepeatToken,
    copies,
    matched_copies,
    matched_fill,
    previous_tokens,
    repeated_fill,
)
from segue.symbolic.baselines.markov import MarkovChain, MarkovDecoder
from segue.symbolic.baselines.players import (
    Baseline,
    ChainBaseline,
    CopyBaseline,
    DecoderBaseline,
    HumanOriginal,
    ShuffledOriginal,
)
from segue.symbolic.baselines.recent import RecentTokens, RecentWeights
from segue.symbolic.baselines.recurrent import Recurrent, RecurrentWeights
from segue.symbolic.grammar import Grammar
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType, Vocabulary

FORMAT: Final = 1
LIST_NAME: Final = "baselines.json"
TRUSTS: Final = {"token": previous_tokens, "bars": copies, "match": matched_copies}
"""What each copyist of ``counts.npz`` expects."""

Arrays = Mapping[str, NDArray[Any]]


def read_list(folder: Path) -> dict[str, Any]:
    """Return what ``baselines.json`` says of every fitted kind; empty where there is none yet.

    Raises:
        DataError: the list is damaged or newer than this release.
    """
    path = folder / LIST_NAME
    if not path.exists():
        return {}
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        version, fitted = listed["format"], dict(listed["fitted"])
        for entry in fitted.values():
            str(entry["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}). Fit the baselines again.") from error
    if version != FORMAT:
        raise DataError(f"{path} has the format {version}; this release reads {FORMAT}.")
    return fitted


def write_baseline(folder: Path, kind: str, arrays: Arrays, **about: Any) -> None:
    """Add a fitted kind to a folder, or put it in the place of an older one.

    Args:
        folder: of the baselines; ``tokenizer.json`` is there already.
        kind: ``counts``, ``logistic``, ``mlp`` or ``gru``.
        arrays: what was learnt.
        about: what the list says of it besides.
    """
    target = folder / f"{kind}.npz"
    with atomic_path(target) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    fitted = read_list(folder) | {kind: {"sha256": sha256_of(target), **about}}
    text = json.dumps({"format": FORMAT, "fitted": fitted}, indent=1, sort_keys=True)
    write_text(folder / LIST_NAME, text + "\n")


def keep_tokenizer(folder: Path, tokenizer: Path) -> None:
    """Copy the tokenizer into a folder of baselines."""
    write_bytes(folder / "tokenizer.json", tokenizer.read_bytes())


def is_whole(folder: Path, kind: str) -> bool:
    """Return whether a listed kind's file is there as it was written."""
    entry, path = read_list(folder).get(kind), folder / f"{kind}.npz"
    return entry is not None and path.is_file() and sha256_of(path) == entry["sha256"]


def load_baselines(folder: Path | str) -> dict[str, Baseline]:
    """Return the baselines of a folder by name, human original and shuffled original with them.

    Args:
        folder: as `segue midi baselines` wrote it.

    Raises:
        DataError: nothing was fitted there, or a file is missing or damaged.
    """
    folder = Path(folder)
    fitted = read_list(folder)
    if not fitted:
        raise DataError(
            f"There are no fitted baselines in {folder}. Make them with "
            "`segue midi baselines PREPARED -o FOLDER`."
        )
    vocabulary = Tokenizer.from_file(folder / "tokenizer.json").vocabulary
    grammar = Grammar(vocabulary)
    found: list[Baseline] = []
    for kind, build in _BUILDERS.items():
        if kind in fitted:
            found += build(_read_arrays(folder, kind), vocabulary, grammar)
    found += [HumanOriginal(), ShuffledOriginal()]
    return {baseline.name: baseline for baseline in found}


def _read_arrays(folder: Path, kind: str) -> Arrays:
    path = folder / f"{kind}.npz"
    if not is_whole(folder, kind):
        raise DataError(f"{path} is missing or is not the file that was written. Fit it again.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read ({error}). Fit it again.") from error


def _counted(arrays: Arrays, vocabulary: Vocabulary, grammar: Grammar) -> list[Baseline]:
    """Return the unigram model, the copyists and the Markov chains."""
    chain = MarkovChain.from_arrays(arrays, vocab_size=vocabulary.size)
    unigram = chain.lower(0)
    copyists = {}
    for name, expect in TRUSTS.items():
        trust = arrays.get(f"trust_{name}")
        if (
            trust is None
            or trust.shape != (len(TokenType),)
            or not ((trust > 0) & (trust < 1)).all()
        ):
            raise DataError(
                f"The trust of {name!r} is missing or damaged. Fit the baselines again."
            )
        copyists[name] = Copyist(vocabulary, trust, unigram, expect)
    return [
        _chain("unigram", unigram, vocabulary, grammar),
        DecoderBaseline("repeat the previous token", RepeatToken(copyists["token"]), grammar),
        CopyBaseline("repeat the previous bars", copyists["bars"], repeated_fill),
        CopyBaseline("repeat the best-matching bars", copyists["match"], matched_fill),
        *(
            _chain(f"Markov chain, order {order}", chain.lower(order), vocabulary, grammar)
            for order in range(1, chain.order + 1)
        ),
    ]


def _chain(name: str, chain: MarkovChain, vocabulary: Vocabulary, grammar: Grammar) -> Baseline:
    return ChainBaseline(name, MarkovDecoder(vocabulary, chain), grammar, chain=chain)


def _recent(name: str) -> Callable[[Arrays, Vocabulary, Grammar], list[Baseline]]:
    def build(arrays: Arrays, vocabulary: Vocabulary, grammar: Grammar) -> list[Baseline]:
        weights = _weights(RecentWeights, arrays)
        return [DecoderBaseline(name, RecentTokens(vocabulary, weights), grammar)]

    return build


def _recurrent(arrays: Arrays, vocabulary: Vocabulary, grammar: Grammar) -> list[Baseline]:
    decoder = Recurrent(_weights(RecurrentWeights, arrays))
    if decoder.vocab_size != vocabulary.size:
        raise DataError("The recurrent baseline was fitted with another tokenizer. Fit it again.")
    return [DecoderBaseline("GRU", decoder, grammar)]


def _weights(build: Callable[..., Any], arrays: Arrays) -> Any:
    """Build weights of arrays by name; half-precision files become single precision."""
    try:
        return build(**{name: array.astype(np.float32) for name, array in arrays.items()})
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The weights of a baseline are damaged ({error}). Fit it again."
        ) from error


_BUILDERS: Final[dict[str, Callable[[Arrays, Vocabulary, Grammar], list[Baseline]]]] = {
    "counts": _counted,
    "logistic": _recent("logistic regression"),
    "mlp": _recent("multi-layer perceptron"),
    "gru": _recurrent,
}
