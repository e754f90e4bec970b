"""Merged tokens against MidiTok: training, ids, and back."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.codec_scores import make_score
from tests.codec_tokenizers import pair

from segue.symbolic.bpe import Merges
from segue.symbolic.codec import encode_file
from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.tokenizer import Tokenizer

NUM_PIECES = 12
NUM_REAL_FILES = 40
CONFIGS = {
    "shipped": TokenizerConfig(vocab_size=1000),
    "hardly any": TokenizerConfig(vocab_size=649),
    "original": TokenizerConfig.original().model_copy(update={"vocab_size": 700}),
}


def compose(number: int, path: Path) -> Path:
    """A piece that repeats itself, as music does."""
    rng = random.Random(number)
    riff = [(rng.randrange(16), rng.choice([60, 62, 64, 67]), rng.choice([1, 2])) for _ in range(9)]
    tracks = []
    for program, drums in ((0, False), (33, False), (0, True))[: rng.randint(1, 3)]:
        notes = [
            (bar * 1920 + at * 120, length * 120, pitch, 64)
            for bar in range(12)
            for at, pitch, length in riff
            if rng.random() < 0.9
        ]
        tracks.append((program, drums, notes))
    make_score(480, tracks, [(0, 4, 4)], [(0, 90.0 + number)]).dump_midi(path)
    return path


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pieces")
    return [compose(number, folder / f"{number}.mid") for number in range(NUM_PIECES)]


@pytest.fixture(scope="module", params=CONFIGS)
def trained(
    request: pytest.FixtureRequest, pieces: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path, Path]:
    """MidiTok's trained tokenizer, its file and ours."""
    import miditok

    config = CONFIGS[request.param]
    folder = tmp_path_factory.mktemp("tokenizers")
    remi = miditok.REMI(miditok.TokenizerConfig(**config.to_miditok()))
    remi.train(vocab_size=config.vocab_size, files_paths=pieces)
    remi.save(folder / "theirs.json")
    train_tokenizer(config, pieces, folder / "ours.json")
    return remi, folder / "theirs.json", folder / "ours.json"


def test_training_gives_the_same_file(trained: tuple[Any, Path, Path]) -> None:
    _, theirs, ours = trained
    assert json.loads(ours.read_text()) == json.loads(theirs.read_text())


def test_ids_are_the_same(trained: tuple[Any, Path, Path], pieces: list[Path]) -> None:
    _, _, path = trained
    import miditok

    remi, tokenizer = miditok.REMI(params=path), Tokenizer.from_file(path)
    assert tokenizer.size == len(remi)
    for piece in pieces:
        ids = tokenizer.encode_file(piece)
        base = encode_file(tokenizer.vocabulary, piece)
        assert ids.tolist() == remi(piece).ids
        assert len(ids) < len(base)
        np.testing.assert_array_equal(tokenizer.to_base(ids), base)


def test_expansions_are_the_same(trained: tuple[Any, Path, Path]) -> None:
    remi, _, path = trained
    merges = Merges.from_file(path)
    for token in range(merges.size):
        letters = remi._model.id_to_token(token).removeprefix("▁")
        assert merges.expand(token).tolist() == [ord(letter) - 33 for letter in letters]


def test_order_of_files_does_not_matter(pieces: list[Path], tmp_path: Path) -> None:
    config = CONFIGS["shipped"]
    train_tokenizer(config, pieces, tmp_path / "a.json")
    train_tokenizer(config, pieces[::-1], tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_real_files_have_the_same_ids(music_dir: Path, tmp_path: Path) -> None:
    import miditok

    files = sorted(music_dir.rglob("*.mid"))
    sample = random.Random(1).sample(files, min(len(files), NUM_REAL_FILES))
    path = tmp_path / "tokenizer.json"
    train_tokenizer(TokenizerConfig(vocab_size=2000), sample[: NUM_REAL_FILES // 2], path)
    remi, tokenizer = miditok.REMI(params=path), Tokenizer.from_file(path)
    assert [p.name for p in sample if tokenizer.encode_file(p).tolist() != remi(p).ids] == []


def test_untrained_file_is_the_one_of_miditok(tmp_path: Path) -> None:
    remi, _ = pair("shipped")
    remi.save(tmp_path / "theirs.json")
    train_tokenizer(TokenizerConfig(), [], tmp_path / "ours.json")
    theirs, ours = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("theirs", "ours"))
    assert ours == theirs
