"""`segue midi evaluate` with models of other kinds: one of the past alone, and one of next tokens."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation import midi_files

from segue.cli.main import main
from segue.runtime.bundle import Bundle, write_bundle
from segue.symbolic.data.prepare import PrepareSettings, prepare
from segue.symbolic.data.tokenizer import TokenizerConfig
from segue.symbolic.model.export import export_bundle
from segue.symbolic.model.gpt import GPT, GPTConfig
from segue.symbolic.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

DECK, PAST = "tiny-deck", "past-alone"
SETTINGS = (
    *("regions=3", "filled=2", "samples=2", "length=128", "pieces=5"),
    *('tasks=["four_bars", "one_bar"]', 'ablated=["one_bar"]'),
)
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    midi_files(folder, range(5), bars=12)
    return folder


@pytest.fixture(scope="module")
def deck(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained model of next tokens, in the vocabulary of the recipe ``midigpt-original``."""
    folder = tmp_path_factory.mktemp("deck")
    words = TokenizerConfig.original().model_copy(update={"vocab_size": 800})
    prepare([music], folder / "prepared", PrepareSettings(tokenizer=words), workers=0)
    tokenizer = folder / "prepared" / "tokenizer.json"
    size = Tokenizer.from_file(tokenizer).size
    config = GPTConfig(
        vocab_size=size, num_layers=1, num_heads=2, width=16, context_length=1024,
        positions="learned", norm="layer", tied_head=False, bias=True,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(config).eval()
    bundle, _ = export_bundle(model, tokenizer, folder / DECK, name=DECK, objective="next_token")
    return bundle


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped model, said to have been trained on the past alone."""
    shipped = Bundle.open("midigpt-small")
    config = shipped.config | {"name": PAST, "sight": "past"}
    files = {name: shipped.path(name) for name in shipped.manifest if name != "config.json"}
    folder = tmp_path_factory.mktemp("past") / PAST
    return write_bundle(folder, files | {"config.json": json.dumps(config)})


@pytest.fixture(scope="module")
def evaluated(music, deck, past, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "out"
    words = ["--data", music, "-o", folder, "--beside", deck.folder, "--workers", "0"]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in ("midi", "evaluate", past.folder, *words)])
    assert not left.value.code
    return folder


def test_a_model_of_next_tokens_stands_beside(evaluated: Path) -> None:
    found = json.loads((evaluated / "metrics.json").read_text("utf-8"))
    assert [system["name"] for system in found["systems"]] == [PAST, DECK]
    costs = found["bits_per_note"]
    for task in ("four_bars", "one_bar"):
        mine, theirs = (costs[task][name] for name in (PAST, DECK))
        assert theirs["num_regions"] == mine["num_regions"] == 3
        # Untrained: about as likely as any of 800 tokens, of which one or two make a note.
        assert 0.8 * np.log2(800) < theirs["bits_per_note"]["mean"] < 2 * np.log2(800)
    assert list(found["above_the_model"]) == [DECK]
    assert set(found["fillings"]["four_bars"]) == {PAST, DECK}
    assert set(found["fillings"]["one_bar"]) == {PAST}
    assert set(found["fillings"]["all tasks"]) == {PAST}
    page = (evaluated / "index.html").read_text("utf-8")
    assert page.count(f'aria-label="{DECK}"') == 1


def test_a_model_of_the_past_has_no_column_that_it_was_not_trained_for(evaluated: Path) -> None:
    found = json.loads((evaluated / "metrics.json").read_text("utf-8"))
    sights = found["sights"]["one_bar"]
    assert list(sights) == ["none", "past"]
    costs = found["bits_per_note"]["one_bar"][PAST]["bits_per_note"]
    assert sights["past"] == costs
    page = (evaluated / "index.html").read_text("utf-8")
    assert re.search(r"bits per note</th><th[^>]*>none</th><th[^>]*>past</th></tr>", page)
    assert f"{PAST} was trained to see no more than the last column has" in page


@pytest.mark.skipif(not HAS_SKLEARN, reason="maps need scikit-learn")
def test_the_command_draws_maps(evaluated: Path) -> None:
    assert (evaluated / "pictures" / "tokens-by-type.png").stat().st_size > 5_000
    page = (evaluated / "index.html").read_text("utf-8")
    assert 'alt="Tokens by type"' in page
    assert "trustworthiness" in page


@pytest.mark.skipif(HAS_SKLEARN, reason="scikit-learn is there")
def test_without_scikit_learn_the_page_has_no_maps(evaluated: Path) -> None:
    assert "Embedding maps" not in (evaluated / "index.html").read_text("utf-8")
