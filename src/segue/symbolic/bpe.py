"""Byte-pair merges of a trained MidiTok tokenizer, applied to whole pieces at once.

A trained ``tokenizer.json`` holds a Hugging Face BPE model whose letters are the base tokens. Bars are
its words: each begins with a mark that stands for no base token, so ids differ between "a bar line and
what follows" and the same tokens elsewhere. Base tokens keep their ids; the mark and the merged tokens
follow.

Reference: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016;
Fradet et al., "Byte Pair Encoding for Symbolic Music", 2023. Merging in rounds over all bars is ours:
bars do not touch each other, so each round applies the first merge that every bar still has.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import BundleError, DataError
from segue.symbolic.stream import Ids, Stream
from segue.symbolic.vocabulary import TokenType, Vocabulary

_SPECIAL = (
    TokenType.PAD,
    TokenType.BOS,
    TokenType.EOS,
    TokenType.SEP,
    TokenType.HOLE,
    TokenType.OTHER,
)
Ranks = NDArray[np.int32]
_NEVER = np.iinfo(np.int32).max
_CACHED_BARS = 1 << 14


@dataclass(frozen=True, eq=False)
class Merges:
    """The merges of a tokenizer; empty for a tokenizer that was not trained.

    Attributes:
        vocabulary: the base tokens.
        offsets: where the base tokens of each token begin in `parts`. Shape ``tokens + 1``.
        parts: base ids of all tokens, one token after another.
        pairs: left and right id of every merge, in the order of application. Shape ``merges 2``.
        results: id of the merged token. Shape ``merges``.
        mark: id of the mark before each bar, -1 if there is none.
        by_bar: whether merges stop at bar lines.
    """

    vocabulary: Vocabulary
    offsets: Ids
    parts: Ids
    pairs: Ids
    results: Ids
    mark: int = -1
    by_bar: bool = True
    _cache: dict[bytes, Ids] = field(default_factory=dict, repr=False)

    @classmethod
    def from_file(cls, path: Path | str, vocabulary: Vocabulary | None = None) -> Self:
        """Read the merges of a ``tokenizer.json``; there are none if it was not trained.

        Args:
            path: the file that MidiTok saved.
            vocabulary: its base vocabulary, where it has been read already.

        Raises:
            BundleError: the file is not a readable tokenizer, or not a BPE model as MidiTok trains it.
        """
        vocabulary = vocabulary or Vocabulary.from_file(path)
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if "_model" not in content:
                return cls.none(vocabulary)
            return cls._from_model(vocabulary, content, str(path))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise BundleError(f"{path} is not a readable tokenizer.json: {error!r}.") from error

    @classmethod
    def none(cls, vocabulary: Vocabulary) -> Self:
        """Return the merges of an untrained tokenizer: every token stands for itself."""
        ids = np.arange(vocabulary.size + 1)
        no_pairs = np.zeros((0, 2), np.int64)
        return cls(vocabulary, ids, ids[:-1], no_pairs, np.zeros(0, np.int64))

    @classmethod
    def _from_model(cls, vocabulary: Vocabulary, content: Mapping[str, Any], where: str) -> Self:
        model = json.loads(content["_model"])
        mark = _check_model(model, content["config"], where)
        base: dict[str, int] = content["_vocab_base"]
        letters = {
            letter: base.get(token)
            for letter, token in content["_vocab_base_byte_to_token"].items()
        }
        ids: dict[str, int] = model["model"]["vocab"]
        spellings = sorted(ids, key=ids.__getitem__)
        if (
            tuple(base) != vocabulary.tokens
            or sorted(ids.values()) != list(range(len(ids)))
            or [letters.get(letter) for letter in spellings[: len(base)]] != list(range(len(base)))
        ):
            raise BundleError(
                f"{where} numbers its tokens otherwise than MidiTok's REMI does. Train it anew with "
                "`segue midi prepare`."
            )
        expansions = [[letters[c] for c in s.removeprefix(mark)] for s in spellings]
        special = set(np.flatnonzero(np.isin(vocabulary.types, _SPECIAL)).tolist())
        if any(special.intersection(parts) for parts in expansions if len(parts) > 1):
            raise BundleError(
                f"{where} merges special tokens, which have to stand for themselves. Train it anew "
                "with `segue midi prepare`."
            )
        pairs = [_pair(merge) for merge in model["model"]["merges"]]
        return cls(
            vocabulary,
            offsets=np.concatenate([[0], np.cumsum([len(e) for e in expansions])]),
            parts=np.array([part for e in expansions for part in e], np.int64),
            pairs=np.array([[ids[a], ids[b]] for a, b in pairs], np.int64).reshape(-1, 2),
            results=np.array([ids[a + b] for a, b in pairs], np.int64),
            mark=ids.get(mark, -1) if mark else -1,
            by_bar=content["config"]["encode_ids_split"] == "bar",
        )

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def size(self) -> int:
        """Number of tokens in all: base tokens, the mark and merged tokens."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Ids:
        """Number of base tokens in every token; 0 for the mark. Shape ``tokens``."""
        return np.diff(self.offsets)

    def expand(self, token: int) -> Ids:
        """Return the base ids of one token."""
        return self.parts[self.offsets[token] : self.offsets[token + 1]]

    def decode(self, ids: Ids) -> Ids:
        """Return the base ids of a sequence of tokens.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        ids = np.asarray(ids, np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.size:
            raise DataError(
                f"Token ids lie between {ids.min()} and {ids.max()}, the tokenizer has {self.size} "
                "tokens. They come from another tokenizer."
            )
        lengths = self.lengths[ids]
        starts = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(starts, lengths)
        return self.parts[np.repeat(self.offsets[ids], lengths) + within]

    def encode(self, ids: Ids) -> Ids:
        """Return base ids with the merges applied, those that MidiTok gives.

        MidiTok encodes whole pieces only. In other streams special tokens stay as they are, and what
        comes before the first bar line is a word without the mark.
        """
        ids = np.asarray(ids, np.int64)
        if not len(self) or not len(ids):
            return ids.copy()
        words = np.split(ids, self._word_starts(ids)[1:])
        keys = [word.tobytes() for word in words]
        new = {k: w for k, w in zip(keys, words, strict=True) if k not in self._cache}
        if len(self._cache) + len(new) > _CACHED_BARS:
            self._cache.clear()
            new = dict(zip(keys, words, strict=True))
        if new:
            self._cache.update(zip(new, self._merge(list(new.values())), strict=True))
        return np.concatenate([self._cache[key] for key in keys])

    def encode_stream(self, stream: Stream) -> Stream:
        """Return the merged stream; a merged token has the time of its last base token."""
        ids = self.encode(stream.ids)
        lengths = self.lengths[ids]
        last = np.cumsum(lengths) - 1 + (lengths == 0)
        return Stream(ids, stream.times[last])

    # Merging ----------------------------------------------------------------------------------

    def _word_starts(self, ids: Ids) -> Ids:
        """Return where words begin: at bars, where merges stop at them."""
        if not self.by_bar:
            return np.zeros(1, np.int64)
        bars = np.flatnonzero(ids == self.vocabulary.first(TokenType.BAR))
        return bars if len(bars) and bars[0] == 0 else np.insert(bars, 0, 0)

    @cached_property
    def _ranks(self) -> tuple[Ids, Ranks]:
        """Return the merges' keys, sorted, and the rank of each."""
        keys = self.pairs[:, 0] * self.size + self.pairs[:, 1]
        order = np.argsort(keys, kind="stable")
        return keys[order], order.astype(np.int32)

    @cached_property
    def _first_ranks(self) -> Ranks:
        """Return the rank of every pair of unmerged tokens. Shape ``unmerged unmerged``."""
        count = self.vocabulary.size + (self.mark >= 0)
        table = np.full((count, count), _NEVER, np.int32)
        unmerged = (self.pairs < count).all(axis=1)
        left, right = self.pairs[unmerged].T
        table[left, right] = np.flatnonzero(unmerged)
        return table

    @cached_property
    def _one_at_a_time(self) -> NDArray[np.bool_]:
        """Which merges make a token that an earlier merge reads. Shape ``merges``.

        That happens where one token has two ways to be made. Such a merge is applied once per round.
        """
        first_use = np.full(self.size, _NEVER, np.int64)
        np.minimum.at(first_use, self.pairs, np.arange(len(self))[:, None])
        return first_use[self.results] <= np.arange(len(self))

    def _rank_of(self, left: Ids, right: Ids) -> Ranks:
        """Return the rank of the merge of each pair, `_NEVER` for pairs that are not merged."""
        keys, ranks = self._ranks
        wanted = left * self.size + right
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[place] == wanted, ranks[place], np.int32(_NEVER))

    def _merge(self, words: Sequence[Ids]) -> list[Ids]:
        """Apply the merges to words of base ids."""
        symbols, counts = self._with_marks(words)
        ranks = np.full(len(symbols), _NEVER, np.int32)
        ranks[:-1] = self._first_ranks[symbols[:-1], symbols[1:]]
        ranks[np.cumsum(counts) - 1] = _NEVER
        merged: list[Ids] = [symbols[:0]] * len(words)
        number = np.arange(len(words))
        while len(number):
            ends = np.cumsum(counts)
            lowest = np.minimum.reduceat(ranks, ends - counts)
            going = lowest != _NEVER
            if 2 * going.sum() <= len(going):
                for n, end, count in zip(number[~going], ends[~going], counts[~going], strict=True):
                    merged[n] = symbols[end - count : end]
                left = np.repeat(going, counts)
                symbols, ranks = symbols[left], ranks[left]
                number, counts = number[going], counts[going]
            else:
                lowest[~going] = -1
                symbols, ranks, counts = self._round(symbols, ranks, counts, lowest)
        return merged

    def _with_marks(self, words: Sequence[Ids]) -> tuple[Ids, Ids]:
        """Return the symbols of all words, bars with the mark before them, and the words' lengths."""
        counts = np.array([len(word) for word in words])
        symbols = np.concatenate(words)
        if self.mark >= 0:
            firsts = np.cumsum(counts) - counts
            bars = symbols[firsts] == self.vocabulary.first(TokenType.BAR)
            symbols = np.insert(symbols, firsts[bars], self.mark)
            counts += bars
        return symbols, counts

    def _round(
        self, symbols: Ids, ranks: Ranks, counts: Ids, lowest: Ranks
    ) -> tuple[Ids, Ranks, Ids]:
        """Apply the first merge of every word at each place where it stands."""
        where = _not_touching(np.flatnonzero(ranks == np.repeat(lowest, counts)))
        ends = np.cumsum(counts)
        found = ranks[where]
        word = np.searchsorted(ends, where, side="right")
        single = self._one_at_a_time[found]
        if single.any():
            first = np.ones(len(where), bool)
            first[1:] = word[1:] != word[:-1]
            chosen = first | ~single
            where, found, word = where[chosen], found[chosen], word[chosen]
        symbols[where] = self.results[found]
        kept = np.ones(len(symbols), bool)
        kept[where + 1] = False
        symbols, ranks = symbols[kept], ranks[kept]
        counts = counts - np.bincount(word, minlength=len(counts))
        where -= np.arange(len(where))
        changed = np.concatenate([where, where[where > 0] - 1])
        following = np.minimum(changed + 1, len(symbols) - 1)
        ranks[changed] = self._rank_of(symbols[changed], symbols[following])
        ranks[np.cumsum(counts) - 1] = _NEVER
        return symbols, ranks, counts


def _not_touching(where: Ids) -> Ids:
    """Return every second of neighbouring places, from the left: in *aaa* the first two merge."""
    touching = np.zeros(len(where), bool)
    touching[1:] = where[1:] - where[:-1] == 1
    if not touching.any():
        return where
    number = np.arange(len(where))
    run_start = np.maximum.accumulate(np.where(touching, 0, number))
    return where[(number - run_start) % 2 == 0]


def _pair(merge: str | Sequence[str]) -> Sequence[str]:
    """Return both halves of a merge, which older files write as one string."""
    return merge.split(" ") if isinstance(merge, str) else merge


def _check_model(model: Mapping[str, Any], config: Mapping[str, Any], where: str) -> str:
    """Return the mark before each word, and raise where the model is not MidiTok's kind of BPE."""
    core = model["model"]
    unusual = [
        name
        for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
        if core.get(name)
    ]
    splitter = model.get("pre_tokenizer") or {"prepend_scheme": "never", "type": "Metaspace"}
    unusual += [f"model {core['type']}"] if core["type"] != "BPE" else []
    unusual += [f"pre-tokenizer {splitter['type']}"] if splitter["type"] != "Metaspace" else []
    scheme, split = splitter.get("prepend_scheme", "always"), config["encode_ids_split"]
    unusual += [f"prepend_scheme {scheme}"] if scheme not in ("always", "never") else []
    unusual += [f"encode_ids_split {split}"] if split not in ("bar", "no") else []
    if unusual:
        raise BundleError(
            f"{where} was trained in a way that Segue's codec does not know ({', '.join(unusual)}). "
            "Train a BPE tokenizer with `segue midi prepare`."
        )
    return str(splitter.get("replacement", "▁")) if scheme == "always" else ""
