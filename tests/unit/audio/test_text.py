"""Vectors of texts."""

import importlib
import json
import logging
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from segue.audio.text import missing_for, open_text_encoder, read_table, to_length_one
from segue.errors import BundleError, MissingExtraError, SettingError


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a text encoder asked the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    open_text_encoder.cache_clear()
    yield
    open_text_encoder.cache_clear()


def words():
    pytest.importorskip("tokenizers")
    if importlib.util.find_spec("wordllama") is None:
        pytest.skip("wordllama is not installed")
    return open_text_encoder()


def test_rows_have_length_one_and_empty_texts_are_zeros() -> None:
    rows = words().encode(["slow sad piano", "", "  ", "drums"])
    assert rows.shape == (4, 256)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0, 0, 1], abs=1e-6)
    assert words().encode([]).shape == (0, 256)
    assert "wordllama" not in sys.modules, "its import sets up logging and brings a web client"
    assert not logging.getLogger("wordllama").handlers


def test_close_in_meaning_is_close_in_space() -> None:
    found = words().encode(
        ["slow sad piano", "a melancholic piano ballad", "fast aggressive drum solo", "drums"]
    )
    near = found @ found.T
    assert near[0, 1] > near[0, 2] + 0.1
    assert near[2, 3] > near[0, 3] + 0.1


def test_a_row_does_not_depend_on_its_company_or_on_case() -> None:
    encoder = words()
    alone = encoder.encode(["Solo piano, in A minor"])[0]
    among = encoder.encode(["x", "solo piano, in a minor", "something far longer than that is"])[1]
    assert np.array_equal(alone, among)


def test_the_vectors_are_those_of_the_package() -> None:
    encoder = words()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "basicConfig", lambda **_: None)
        inference = importlib.import_module("wordllama.inference")
    root = Path(inference.__file__).parent
    tokenizers = importlib.import_module("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(
        str(root / "tokenizers/l2_supercat_tokenizer_config.json")
    )
    safetensors = importlib.import_module("safetensors.numpy")
    table = safetensors.load_file(root / "weights/l2_supercat_256.safetensors")["embedding.weight"]
    assert np.array_equal(table, read_table(root / "weights/l2_supercat_256.safetensors"))
    texts = ["slow sad piano", "string quartet, fast, in g major", "drums"]
    theirs = inference.WordLlamaInference(table, tokenizer).embed(texts, norm=True)
    assert encoder.encode(texts) == pytest.approx(theirs, abs=1e-6)
    for name in [name for name in sys.modules if name.partition(".")[0] == "wordllama"]:
        del sys.modules[name]


def test_what_is_not_known_names_the_nearest() -> None:
    with pytest.raises(SettingError, match="Did you mean wordllama"):
        open_text_encoder("word-llama")
    with pytest.raises(SettingError, match="Did you mean clap:NAME"):
        open_text_encoder("clapp:x")
    for name in ("clap", "clap:", "wordllama:x", ""):
        with pytest.raises(SettingError, match="There are wordllama, sentence-transformers:NAME"):
            open_text_encoder(name)


def test_without_its_package_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setattr("segue.audio.text.find_spec", lambda _: None)
    assert missing_for("wordllama") == "segue[text]"
    assert missing_for("clap:x") == "transformers torch"
    assert missing_for("of-tomorrow") == ""
    with pytest.raises(MissingExtraError, match=r"segue\[text\]"):
        open_text_encoder()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match="pip install sentence-transformers"):
        open_text_encoder("sentence-transformers:x")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="pip install t"):
        open_text_encoder("clap:x")


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    heading = {"embedding.weight": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}
    text = json.dumps(heading).encode()
    whole = len(text).to_bytes(8, "little") + text + np.arange(4, dtype="<f2").tobytes()
    path = tmp_path / "table.safetensors"
    path.write_bytes(whole)
    assert read_table(path).tolist() == [[0, 1], [2, 3]]
    for damaged in (b"", whole[:-1], whole[:20], whole.replace(b"F16", b"F32")):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="does not hold the word vectors"):
            read_table(path)


def test_length_one_of_nothing_is_nothing() -> None:
    rows = to_length_one(np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]]), ["a", "b", " "])
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, 0]]))


def tokenizer_of(folder: Path) -> None:
    """Save a tokenizer that knows a few words."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    known = ["<s>", "<pad>", "</s>", "<unk>", "slow", "piano", "drums", "music"]
    model = tokenizers.models.WordLevel({word: n for n, word in enumerate(known)}, "<unk>")
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", model_max_length=16
    ).save_pretrained(folder)


def test_the_text_half_of_a_clap_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    tokenizer_of(tmp_path)
    torch.manual_seed(0)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ClapTextConfig(
        vocab_size=8, intermediate_size=8, max_position_embeddings=20, projection_dim=6,
        pad_token_id=1, **small,
    )  # fmt: skip
    transformers.ClapTextModelWithProjection(config).save_pretrained(tmp_path)
    encoder = open_text_encoder(f"clap:{tmp_path}")
    rows = encoder.encode(["slow piano", "", "drums"] * 30)
    assert (encoder.dims, rows.shape) == (6, (90, 6))
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0, 1] * 30, abs=1e-5)
    assert rows[:3] == pytest.approx(rows[-3:], abs=1e-5)
    assert abs(rows[0] - rows[2]).max() > 0.01
    assert encoder.encode([]).shape == (0, 6)


def test_a_model_of_sentence_transformers(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    tokenizer_of(tmp_path / "bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=20,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    encoder = open_text_encoder(f"sentence-transformers:{tmp_path / 'bert'}")
    rows = encoder.encode(["slow piano", "", "drums"])
    assert (encoder.dims, rows.shape) == (8, (3, 8))
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0, 1], abs=1e-5)


@pytest.mark.parametrize("kind", ["clap", "sentence-transformers"])
def test_a_model_that_is_not_there_is_not_downloaded(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("sentence_transformers")
    with pytest.raises(MissingExtraError, match="is not on this machine"):
        open_text_encoder(f"{kind}:{tmp_path / 'nothing'}")
    with pytest.raises(MissingExtraError, match="hf download somebody/something"):
        open_text_encoder(f"{kind}:somebody/something")
