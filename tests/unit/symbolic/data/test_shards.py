"""Shards hold the tokens of their pieces, and are known to be whole or not there."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.corpora import hostile_files, piece, save

from segue.core.files import sha256_of
from segue.symbolic.codec import encode_file
from segue.symbolic.data.shards import Piece, finished, plan_shards, shard_files, write_shard
from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.vocabulary import Vocabulary


def some_pieces(count: int, folder: Path = Path("music")) -> list[Piece]:
    return [Piece(str(folder), f"{n}.mid", f"sha-{n}", f"g{n}", "set", 100) for n in range(count)]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    train_tokenizer(TokenizerConfig(), [], tmp_path / "out" / "tokenizer.json")
    return tmp_path / "out"


def test_pieces_are_dealt_by_their_content() -> None:
    pieces = some_pieces(25)
    plans = plan_shards("train", pieces, notes=400, seed=0)
    assert [len(plan.pieces) for plan in plans] == [4] * 6 + [1]
    assert [plan.name for plan in plans[:2]] == ["train-00000", "train-00001"]
    assert plans == plan_shards("train", pieces[::-1], notes=400, seed=0)
    assert plans != plan_shards("train", pieces, notes=400, seed=1)
    assert plan_shards("valid", [], notes=400, seed=0) == []


def test_a_shard_holds_the_tokens_of_its_pieces(tmp_path: Path, target: Path) -> None:
    music = tmp_path / "music"
    for number in range(3):
        save(music / f"{number}.mid", piece(number, bars=8))
    (plan,) = plan_shards("train", some_pieces(3, music), notes=1000, seed=0)
    content = write_shard(target, plan)
    tokens_path, offsets_path, _ = shard_files(target, plan.name)
    tokens = np.load(tokens_path, mmap_mode="r", allow_pickle=False)
    offsets = np.load(offsets_path, allow_pickle=False)
    assert tokens.dtype == np.uint16
    assert offsets.dtype == np.int64
    vocabulary = Vocabulary.from_file(target / "tokenizer.json")
    for number, line in enumerate(content["pieces"]):
        ids = encode_file(vocabulary, music / line["path"])
        assert np.array_equal(tokens[offsets[number] : offsets[number + 1]], ids)
        assert (line["index"], line["tokens"], line["bars"]) == (number, len(ids), 8)
    assert len(content["pieces"]) == 3


def test_what_cannot_be_encoded_is_left_out(tmp_path: Path, target: Path) -> None:
    music = tmp_path / "music"
    save(music / "0.mid", piece(0, bars=8))
    (music / "1.mid").write_bytes(hostile_files()["no-ticks.mid"])
    (plan,) = plan_shards("train", some_pieces(3, music), notes=1000, seed=0)
    content = write_shard(target, plan)
    assert [line["path"] for line in content["pieces"]] == ["0.mid"]
    assert sorted(line["path"] for line in content["left_out"]) == ["1.mid", "2.mid"]
    assert {line["reason"] for line in content["left_out"]} == {"cannot be encoded"}


def test_only_a_whole_shard_of_this_plan_is_finished(tmp_path: Path, target: Path) -> None:
    music = tmp_path / "music"
    save(music / "0.mid", piece(0, bars=8))
    (plan,) = plan_shards("train", some_pieces(1, music), notes=1000, seed=0)
    sha256 = sha256_of(target / "tokenizer.json")
    assert finished(target, plan, sha256) is None
    content = write_shard(target, plan)
    assert finished(target, plan, sha256) == content
    assert finished(target, plan, "another tokenizer") is None
    (other,) = plan_shards("train", some_pieces(2, music), notes=1000, seed=0)
    assert finished(target, other, sha256) is None
    tokens, _, description = shard_files(target, plan.name)
    whole = tokens.read_bytes()
    tokens.write_bytes(whole[:-2])
    assert finished(target, plan, sha256) is None
    tokens.write_bytes(whole)
    description.write_text(json.dumps(content)[:-5])
    assert finished(target, plan, sha256) is None
