"""The grammar against MidiTok: its error count of what we write, our check of what it writes."""

import numpy as np
import pytest
from tests.generation import (
    REMI_OPTIONS,
    FakeDecoder,
    grammar,
    problems,
    prompt,
    random_spec,
    vocabulary,
)

from segue.symbolic.bpe import Merges
from segue.symbolic.generate import generate
from segue.symbolic.grammar import Grammar
from segue.symbolic.sampling import SamplingSettings

NUM_FILES = 25


@pytest.fixture(scope="module")
def miditok():
    from miditok import REMI, TokenizerConfig

    tokenizer = REMI(TokenizerConfig(**REMI_OPTIONS))
    assert tuple(tokenizer.vocab) == vocabulary().tokens
    return tokenizer


def errors(miditok, ids: np.ndarray) -> int:
    """MidiTok's own count of errors; its table of types does not know EOS."""
    assert vocabulary().tokens[ids[-1]] == "EOS_None"
    return miditok._tokens_errors([vocabulary().tokens[token] for token in ids[:-1]])


def invalid(miditok, number: int) -> list[str]:
    """What is wrong with one generation from random logits at temperature 2."""
    spec = random_spec(np.random.default_rng(number))
    least = grammar().start(spec).tokens_to_end
    (candidate,) = generate(
        FakeDecoder(seed=number, scale=(0.0, 0.5, 2.0, 8.0)[number % 4]),
        grammar(),
        prompt(),
        spec,
        settings=SamplingSettings(temperature=2.0, seed=number),
        max_tokens=least + (20, 100, 300)[number % 3],
    )
    count = errors(miditok, candidate.ids)
    return problems(candidate.ids, spec) + [f"MidiTok counts {count} errors"] * bool(count)


def test_miditok_counts_no_error(miditok) -> None:
    assert {n: wrong for n in range(300) if (wrong := invalid(miditok, n))} == {}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_miditok_counts_no_error_in_ten_thousand(miditok) -> None:
    assert {n: wrong for n in range(10_000) if (wrong := invalid(miditok, n))} == {}


def test_miditok_counts_errors_where_there_are_some(miditok) -> None:
    """The count is not blind: each of these breaks one rule."""
    good = [
        "Bar_None",
        "TimeSig_4/4",
        "Position_3",
        "Program_0",
        "Pitch_60",
        "Velocity_15",
        "Duration_0.1.12",
    ]
    assert miditok._tokens_errors(good) == 0
    assert miditok._tokens_errors([*good, *good[3:]]) == 1
    assert miditok._tokens_errors([*good, *good[2:]]) == 1
    assert miditok._tokens_errors([*good, "Velocity_15"]) == 1
    ids = [vocabulary().id(token) for token in [*good, *good[3:]]]
    assert "Pitch_60, may not follow" in grammar().check(ids)[0]


def test_what_miditok_writes_is_valid(miditok, music_dir) -> None:
    files = sorted(music_dir.rglob("*.mid"))
    chosen = np.random.default_rng(0).permutation(len(files))[:NUM_FILES]
    assert len(chosen)
    wrong = {}
    for number in chosen:
        ids = miditok(files[number]).ids
        wrong |= {files[number]: found} if (found := grammar().check(ids)) else {}
    assert wrong == {}


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_everything_miditok_writes_is_valid(miditok, music_dir) -> None:
    wrong, num_files = {}, 0
    for path in sorted(music_dir.rglob("*.mid")):
        ids = miditok(path).ids
        num_files += 1
        wrong |= {path: found} if (found := grammar().check(ids)) else {}
    assert num_files
    assert wrong == {}


@pytest.fixture(scope="module")
def trained(music_dir, tmp_path_factory):
    """A tokenizer with merges, trained by MidiTok on a few real files."""
    from miditok import REMI, TokenizerConfig

    tokenizer = REMI(TokenizerConfig(**REMI_OPTIONS))
    files = sorted(music_dir.rglob("*.mid"))
    chosen = [files[n] for n in np.random.default_rng(2).permutation(len(files))[:30]]
    tokenizer.train(vocab_size=1500, files_paths=chosen)
    path = tmp_path_factory.mktemp("trained") / "tokenizer.json"
    tokenizer.save(path)
    return tokenizer, Merges.from_file(path), chosen


def test_merged_streams_of_miditok_are_valid(trained) -> None:
    tokenizer, merges, files = trained
    rules = Grammar(merges.vocabulary, merges)
    assert rules.size == 1500
    wrong = {path: found for path in files[:10] if (found := rules.check(tokenizer(path).ids))}
    assert wrong == {}


def test_holes_with_trained_merges_are_valid(trained) -> None:
    merges = trained[1]
    rules = Grammar(merges.vocabulary, merges)
    num_merged = 0
    for number in range(100):
        spec = random_spec(np.random.default_rng(number))
        (candidate,) = generate(
            FakeDecoder(vocab_size=merges.size, seed=number),
            rules,
            prompt(),
            spec,
            settings=SamplingSettings(temperature=2.0, seed=number),
            max_tokens=rules.start(spec).tokens_to_end + 100,
        )
        num_merged += int((candidate.tokens >= merges.vocabulary.size).sum())
        assert problems(candidate.ids, spec) == []
        assert merges.decode(candidate.tokens).tolist() == candidate.ids.tolist()
    assert num_merged > 500
