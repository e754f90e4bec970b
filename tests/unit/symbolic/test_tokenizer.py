"""The tokenizer in one object."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.generation import vocabulary
from tests.midi_files import song
from tests.unit.symbolic.test_bpe import BAR, MARK, content

from segue.errors import BundleError, DataError
from segue.symbolic.codec import encode_file
from segue.symbolic.stream import Stream
from segue.symbolic.tokenizer import Tokenizer


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    path = tmp_path / "song.mid"
    path.write_bytes(song())
    return path


def write(path: Path, *, trained: bool) -> Path:
    values = content()
    if not trained:
        values = {"config": values["config"]}
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_untrained(tmp_path: Path, piece: Path) -> None:
    tokenizer = Tokenizer.from_file(write(tmp_path / "a.json", trained=False))
    assert tokenizer.merges is None
    assert tokenizer.size == vocabulary().size
    ids = tokenizer.encode_file(piece)
    np.testing.assert_array_equal(ids, encode_file(vocabulary(), piece))
    np.testing.assert_array_equal(tokenizer.to_base(ids), ids)
    stream = Stream(ids, np.arange(len(ids)))
    assert tokenizer.encode_stream(stream) is stream
    with pytest.raises(DataError, match="another tokenizer"):
        tokenizer.to_base(np.array([tokenizer.size]))


def test_trained(tmp_path: Path, piece: Path) -> None:
    tokenizer = Tokenizer.from_file(write(tmp_path / "b.json", trained=True))
    assert tokenizer.merges is not None
    assert tokenizer.size == vocabulary().size + 2
    base = encode_file(vocabulary(), piece)
    ids = tokenizer.encode_file(piece)
    assert (ids == MARK + 1).sum() == (base == BAR).sum() > 0
    np.testing.assert_array_equal(tokenizer.to_base(ids), base)
    stream = tokenizer.encode_stream(Stream(base, np.arange(len(base))))
    np.testing.assert_array_equal(stream.ids, ids)


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "tokenizer.json", trained=True)
    first = Tokenizer.from_file(path)
    assert Tokenizer.from_file(path).vocabulary is first.vocabulary
    write(path, trained=False)
    os.utime(path, ns=(1, 1))
    assert Tokenizer.from_file(path).merges is None


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a readable"):
        Tokenizer.from_file(tmp_path / "missing.json")
