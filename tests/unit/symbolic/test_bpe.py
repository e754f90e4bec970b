"""Merging in rounds over all bars against merging pair by pair."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generation import vocabulary

from segue.errors import BundleError, DataError
from segue.symbolic.bpe import Merges
from segue.symbolic.stream import Stream
from segue.symbolic.vocabulary import TokenType

BAR = vocabulary().first(TokenType.BAR)
SEP = vocabulary().id("SEP_None")
LETTERS = range(BAR, BAR + 5)
NUM_BASE = vocabulary().size
MARK = NUM_BASE


def build(pairs: list[tuple[int, int]]) -> Merges:
    """Merges of given pairs; a token spelt like an earlier one is that token."""
    spelt = {(token,): token for token in range(NUM_BASE)} | {(-1,): MARK}
    expansions = {token: spelling for spelling, token in spelt.items()}
    results = []
    for left, right in pairs:
        spelling = (*expansions[left], *expansions[right])
        token = spelt.setdefault(spelling, len(spelt))
        expansions[token] = spelling
        results.append(token)
    parts = [[p for p in expansions[token] if p >= 0] for token in range(len(spelt))]
    return Merges(
        vocabulary(),
        offsets=np.concatenate([[0], np.cumsum([len(p) for p in parts])]),
        parts=np.array([p for part in parts for p in part], np.int64),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        results=np.array(results, np.int64),
        mark=MARK,
    )


def one_by_one(merges: Merges, word: list[int]) -> list[int]:
    """The definition: the lowest merge there is, at the leftmost place, again and again."""
    ranks: dict[tuple[int, int], tuple[int, int]] = {}
    for rank, (pair, result) in enumerate(zip(merges.pairs, merges.results, strict=True)):
        ranks[tuple(pair.tolist())] = (rank, int(result))
    word = [MARK, *word] if word[0] == BAR else list(word)
    while True:
        found = [
            (*ranks[pair], place) for place, pair in enumerate(pairwise(word)) if pair in ranks
        ]
        if not found:
            return word
        _, result, place = min(found, key=lambda f: (f[0], f[2]))
        word[place : place + 2] = [result]


def words_of(ids: list[int]) -> list[list[int]]:
    words: list[list[int]] = []
    for token in ids:
        if not words or token == BAR:
            words.append([])
        words[-1].append(token)
    return words


@st.composite
def pair_lists(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Merges of few letters, so that several ways lead to one token."""
    pairs: list[tuple[int, int]] = []
    known = [*LETTERS, MARK]
    for _ in range(draw(st.integers(0, 12))):
        pair = (draw(st.sampled_from(known)), draw(st.sampled_from(known)))
        if pair not in pairs and pair[1] != MARK:
            pairs.append(pair)
            known = sorted({*known, *map(int, build(pairs).results)})
    return pairs


@settings(deadline=None, max_examples=150)
@given(pair_lists(), st.lists(st.sampled_from([*LETTERS, BAR + 1, BAR + 1, SEP]), max_size=60))
def test_rounds_give_what_one_by_one_gives(pairs: list[tuple[int, int]], ids: list[int]) -> None:
    merges = build(pairs)
    merged = merges.encode(np.array(ids, np.int64))
    expected = [token for word in words_of(ids) for token in one_by_one(merges, word)]
    assert merged.tolist() == (expected if pairs else ids)
    assert merges.decode(merged).tolist() == ids
    again = merges.encode(np.array(ids, np.int64))
    assert again.tolist() == merged.tolist()  # now from the cache


def test_equal_letters_merge_from_the_left() -> None:
    a = BAR + 1
    merges = build([(a, a), (a, NUM_BASE + 1)])
    assert merges.encode(np.array([a] * 3)).tolist() == [NUM_BASE + 1, a]
    assert merges.encode(np.array([a] * 5)).tolist() == [NUM_BASE + 1, NUM_BASE + 1, a]


def test_a_token_with_two_ways_to_be_made() -> None:
    """*abc* from *a* and *bc* comes late, but *abca*, which reads it, comes before that."""
    a, b, c = BAR + 1, BAR + 2, BAR + 3
    bc, ab, abc, abca = range(MARK + 1, MARK + 5)
    merges = build([(b, c), (a, b), (ab, c), (abc, a), (a, bc)])
    ids = [a, b, c, a, b, c]
    assert one_by_one(merges, ids) == [abca, bc]
    assert merges.encode(np.array(ids)).tolist() == [abca, bc]


def test_a_merged_token_has_the_time_of_its_last_part() -> None:
    a, b = BAR + 1, BAR + 2
    merges = build([(MARK, BAR), (a, b)])
    stream = Stream(np.array([BAR, a, b, SEP, b, BAR]), np.array([0, 0, 7, 7, 9, 24]))
    merged = merges.encode_stream(stream)
    assert merged.ids.tolist() == [NUM_BASE + 1, NUM_BASE + 2, SEP, b, NUM_BASE + 1]
    assert merged.times.tolist() == [0, 7, 7, 9, 24]


def test_a_mark_on_its_own_has_the_time_of_its_bar() -> None:
    merges = build([(BAR + 1, BAR + 2)])
    merged = merges.encode_stream(Stream(np.array([BAR, BAR + 1, BAR]), np.array([3, 5, 27])))
    assert merged.ids.tolist() == [MARK, BAR, BAR + 1, MARK, BAR]
    assert merged.times.tolist() == [3, 3, 5, 27, 27]


def test_without_merges_nothing_changes() -> None:
    merges = Merges.none(vocabulary())
    ids = np.array([BAR, SEP, BAR + 3])
    assert (len(merges), merges.size) == (0, NUM_BASE)
    assert merges.encode(ids).tolist() == merges.decode(ids).tolist() == ids.tolist()
    assert merges.encode(np.zeros(0, np.int64)).tolist() == []
    assert merges.expand(BAR).tolist() == [BAR]


def test_expansions() -> None:
    merges = build([(MARK, BAR), (NUM_BASE + 1, BAR + 2)])
    assert merges.size == NUM_BASE + 3
    assert merges.expand(MARK).tolist() == []
    assert merges.expand(NUM_BASE + 2).tolist() == [BAR, BAR + 2]
    assert merges.lengths[-3:].tolist() == [0, 1, 2]


@pytest.mark.parametrize("token", [-1, NUM_BASE + 2])
def test_ids_of_another_tokenizer(token: int) -> None:
    with pytest.raises(DataError, match="another tokenizer"):
        build([(BAR + 1, BAR + 2)]).decode(np.array([BAR, token]))


# Files -------------------------------------------------------------------------------------------


def content(**changes: Any) -> dict[str, Any]:
    """A trained tokenizer.json by hand: the mark, and one merge with it."""
    letters = {chr(33 + n): n for n in range(NUM_BASE)}
    bar = chr(33 + BAR)
    core = {
        "type": "BPE",
        "dropout": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "vocab": letters | {"▁": NUM_BASE, "▁" + bar: NUM_BASE + 1},
        "merges": [["▁", bar]],
    }
    model = {
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        **changes.get("model", {}),
        "model": core | changes.get("core", {}),
    }
    return {
        "config": {**vocabulary().config, "encode_ids_split": "bar"} | changes.get("config", {}),
        "_vocab_base": {token: n for n, token in enumerate(vocabulary().tokens)},
        "_vocab_base_byte_to_token": {chr(33 + n): t for n, t in enumerate(vocabulary().tokens)},
        "_model": json.dumps(model),
    } | changes.get("top", {})


def read(folder: Path, value: Any) -> Merges:
    path = folder / "tokenizer.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return Merges.from_file(path, vocabulary())


def test_reading_a_file(tmp_path: Path) -> None:
    merges = read(tmp_path, content())
    assert (len(merges), merges.mark, merges.by_bar) == (1, MARK, True)
    assert merges.encode(np.array([BAR, BAR + 1])).tolist() == [NUM_BASE + 1, BAR + 1]


def test_older_files_write_merges_as_text(tmp_path: Path) -> None:
    merges = read(tmp_path, content(core={"merges": [f"▁ {chr(33 + BAR)}"]}))
    assert merges.pairs.tolist() == [[MARK, BAR]]


def test_whole_pieces_as_words(tmp_path: Path) -> None:
    bar = chr(33 + BAR)
    letters = {chr(33 + n): n for n in range(NUM_BASE)}
    core = {"vocab": letters | {bar + bar: NUM_BASE}, "merges": [[bar, bar]]}
    values = content(core=core, config={"encode_ids_split": "no"}, model={"pre_tokenizer": None})
    merges = read(tmp_path, values)
    assert (merges.mark, merges.by_bar) == (-1, False)
    assert merges.encode(np.array([BAR, BAR, SEP])).tolist() == [NUM_BASE, SEP]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": {"type": "Unigram"}}, "model Unigram"),
        ({"core": {"dropout": 0.1}}, "dropout"),
        ({"config": {"encode_ids_split": "beat"}}, "encode_ids_split beat"),
        ({"model": {"pre_tokenizer": {"type": "Whitespace"}}}, "pre-tokenizer Whitespace"),
        ({"top": {"_vocab_base": {"PAD_None": 0}}}, "numbers its tokens otherwise"),
        (
            {
                "core": {
                    "vocab": {chr(33 + n): n for n in range(NUM_BASE)} | {"!!": NUM_BASE},
                    "merges": [["!", "!"]],
                }
            },
            "merges special tokens",
        ),
        ({"core": {"merges": [["a"]]}}, "not a readable tokenizer"),
        ({"core": {"merges": [["▁", "▁"]]}}, "not a readable tokenizer"),
        ({"top": {"_model": "{"}}, "not a readable tokenizer"),
        ({"top": {"_model": "[]"}}, "not a readable tokenizer"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read(tmp_path, content(**changes))


def test_not_json(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a readable"):
        read(tmp_path, "{")
