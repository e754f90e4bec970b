"""Planted classes separate, random halves do not, and the same call gives the same map."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.generation import vocabulary
from tests.prepared import composed_grid, prepared_folder, saved_tokenizer

from segue.errors import DataError, SettingError
from segue.runtime.bundle import Bundle
from segue.runtime.onnx_backend import OnnxDecoder
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate import embedding_map as maps
from segue.symbolic.evaluate.embedding_map import (
    draw_pieces,
    main_instrument,
    map_pictures,
    piece_embeddings,
    piece_map,
    token_embeddings,
    token_map,
)
from segue.symbolic.grid import empty_notes

MODEL = "midigpt-small"


def test_tokens_of_the_bundled_model_lie_by_type() -> None:
    found = token_map(MODEL, perplexity=10)
    kinds = Counter(found.labels)
    assert kinds["Pitch"] == vocabulary().pitch_range[1] - vocabulary().pitch_range[0] + 1
    assert not {"PAD", "BOS", "EOS", "SEP", "Hole"} & set(kinds)
    assert found.agreement.value > 2 * found.agreement.chance
    assert found.agreement.p_value < 0.01


def test_the_table_is_the_one_the_model_reads() -> None:
    assert token_embeddings(MODEL).shape == (Bundle.open(MODEL).config["model"]["vocab_size"], 256)


def test_a_piece_is_the_mean_of_its_tokens_without_the_beginning() -> None:
    grids = [composed_grid(seed, bars=2) for seed in range(2)]
    table = token_embeddings(MODEL)
    tokenizer_ids = maps._begun(
        maps.Tokenizer.from_file(Bundle.open(MODEL).path("tokenizer.json")), grids[0], 50
    ).ids
    found = piece_embeddings(MODEL, grids, method="tokens", tokens=50)
    np.testing.assert_allclose(found[0], table[tokenizer_ids[1:]].mean(axis=0))
    context = piece_embeddings(MODEL, grids, tokens=50)
    assert context.shape == (2, 256)
    assert not np.allclose(context[0], context[1])


def test_last_values_depend_on_what_came_before() -> None:
    decoder = OnnxDecoder(MODEL)
    ids = np.array([1, 20, 300, 40, 20])
    values = decoder.last_values(ids, np.arange(5))
    assert values.shape == (5, 256)
    shorter = decoder.last_values(ids[:3], np.arange(3))
    np.testing.assert_allclose(values[:3], shorter, atol=1e-5)
    assert not np.allclose(values[1], values[4])


def test_pieces_of_two_kinds_separate_and_are_drawn() -> None:
    grids = [composed_grid(seed, bars=2) for seed in range(44)]
    for grid in grids[22:]:
        grid.notes["program"] = 19
        grid.notes["track"] = 0
    labels = [main_instrument(grid) for grid in grids]
    assert set(labels[22:]) == {"Church Organ"}
    found = piece_map(MODEL, grids, labels, method="tokens", tokens=60, perplexity=5)
    assert found.agreement.value > 0.95
    assert "44 piece embeddings by dataset" in found.caption()


def test_no_notes_have_no_instrument() -> None:
    with pytest.raises(DataError):
        main_instrument(composed_grid(0, bars=2).with_notes(empty_notes()))


@pytest.mark.parametrize("tokens", [0, 2048])
def test_tokens_must_fit_the_context(tokens: int) -> None:
    with pytest.raises(SettingError, match="context"):
        piece_embeddings(MODEL, [composed_grid(0, bars=2)], tokens=tokens)


def test_pictures_of_a_prepared_folder(tmp_path: Path) -> None:
    folder = prepared_folder(tmp_path / "prepared", saved_tokenizer(tmp_path), valid=44)
    prepared = Prepared(folder, "valid")
    drawn = draw_pieces(prepared, count=42, tokens=60)
    assert Counter(drawn.sources) == {"a": 21, "b": 21}
    assert all(grid.num_bars < 24 for grid in drawn.grids)
    pictures = map_pictures(MODEL, prepared, pieces=42, perplexity=10)
    names = [name for name, _, _ in pictures]
    assert names[:2] == ["Tokens by type", "Pieces by dataset"]
    assert all(png.startswith(b"\x89PNG") for _, png, _ in pictures)
    assert all("Control" in caption for _, _, caption in pictures)
