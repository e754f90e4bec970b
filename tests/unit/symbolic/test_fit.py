"""From a recipe and a prepared folder to a run folder, and on from other weights."""

from pathlib import Path

import pytest
import torch
from tests.prepared import prepared_folder, saved_tokenizer
from tests.toy_training import trace

from segue.errors import BundleError, SettingError
from segue.recipes import load_recipe
from segue.symbolic.model.export import export_bundle
from segue.symbolic.model.fit import fit, notes_per_token
from segue.symbolic.model.recipe import MidiRecipe
from segue.symbolic.model.weights import read_weights
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType

TINY = ["model.num_layers=1", "model.num_heads=2", "model.width=24", "trainer.accelerator=cpu"]
SHORT = ["trainer.max_steps=2", "trainer.row_every=1", "trainer.validate_every=2"]
ROWS = ["windows.tokens_per_batch=1024", "windows.lengths={256: 1.0}", "trainer.threads=1"]


def _tiny(*overrides: str, name: str = "midigpt-small") -> MidiRecipe:
    fixed = [*TINY, *SHORT, *ROWS, "trainer.validation_batches=1", "trainer.precision='32'"]
    return load_recipe(name, overrides=[*fixed, *overrides])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    return prepared_folder(folder, saved_tokenizer(folder))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    result = fit(_tiny(), prepared, folder)
    assert result.finished
    assert result.steps == 2
    assert result.validation["bits_per_note"] > 0
    return folder


def test_run_folder_holds_everything(run: Path):
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert names == {
        "recipe.yaml", "run.json", "metrics.csv", "loss.png", "tokenizer.json",
        "checkpoints/last.ckpt", "checkpoints/best.ckpt",
    }  # fmt: skip
    assert load_recipe(run / "recipe.yaml") == _tiny()
    splits = [(row["step"], row["split"]) for row in trace(run)]
    assert splits == [(1, "train"), (2, "train"), (2, "val")]


def test_original_objective_trains_on_whole_blocks(tmp_path: Path, prepared: Path):
    overrides = ["model.preset=gpt-nano", "model.context_length=96", "batch_size=4"]
    shared = [
        *SHORT,
        "trainer.threads=1",
        "trainer.validation_batches=1",
        "trainer.accelerator=cpu",
    ]
    recipe = load_recipe("midigpt-original", overrides=[*overrides, *shared])
    result = fit(recipe, prepared, tmp_path / "run")
    assert "hole_nats" not in result.validation
    assert result.validation["bits_per_note"] > 0


def test_fine_tuning_begins_where_the_other_run_ended(tmp_path: Path, prepared: Path, run: Path):
    start = read_weights(run)
    fit(
        _tiny("trainer.max_steps=1", "optim.learning_rate=1e-30"), prepared, tmp_path, init_from=run
    )
    end = read_weights(tmp_path)
    assert start.config == end.config
    for name, value in start.state.items():
        torch.testing.assert_close(end.state[name], value, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("part", "error"), [("safetensors", 1e-3), ("float", 0), ("int8", 6e-3)])
def test_weights_come_back_out_of_a_bundle(tmp_path: Path, run: Path, part: str, error: float):
    export_bundle(run, None, tmp_path / "b", name="b", objective="infill", parts=["int8", part])
    if part == "int8":
        assert not (tmp_path / "b" / "model.onnx").exists()
    expected, found = read_weights(run), read_weights(tmp_path / "b")
    assert found.config == expected.config
    assert found.state.keys() == expected.state.keys()
    for name, value in expected.state.items():
        difference = (found.state[name] - value).abs().max() / value.abs().max()
        assert difference <= max(error, 1e-6), name
    assert (
        found.build()(torch.zeros(1, 3, dtype=int), torch.zeros(1, 3, dtype=int)).isfinite().all()
    )


def test_weights_of_another_model_are_refused(tmp_path: Path, prepared: Path, run: Path):
    with pytest.raises(SettingError, match="width: 24 there, 48 in the recipe"):
        fit(_tiny("model.width=48"), prepared, tmp_path / "a", init_from=run)
    assert not (tmp_path / "a").exists()


def test_weights_of_another_tokenizer_are_refused(tmp_path: Path, prepared: Path, run: Path):
    text = (run / "tokenizer.json").read_text()
    other = tmp_path / "other"
    (other / "checkpoints").mkdir(parents=True)
    (other / "tokenizer.json").write_text(text.replace('"REMI"', '"TSD"'))
    (other / "checkpoints" / "best.ckpt").write_bytes((run / "checkpoints/best.ckpt").read_bytes())
    with pytest.raises(SettingError, match="another tokenizer than"):
        fit(_tiny(), prepared, tmp_path / "a", init_from=other)


def test_a_file_that_is_no_checkpoint_is_refused_without_running_it(tmp_path: Path):
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "model_config": pytest.raises}, path)
    with pytest.raises(BundleError, match="not a checkpoint of MidiGPT"):
        read_weights(path)
    path.write_bytes(b"nothing")
    with pytest.raises(BundleError, match="not a checkpoint of MidiGPT"):
        read_weights(path)


def test_other_music_is_refused_on_resuming(tmp_path: Path, prepared: Path, run: Path):
    other = prepared_folder(tmp_path / "other", prepared / "tokenizer.json", train=7)
    with pytest.raises(SettingError, match=r"other inputs \(dataset.json\)"):
        fit(_tiny(), other, run)


def test_notes_are_pitches(prepared: Path):
    tokenizer = Tokenizer.from_file(prepared / "tokenizer.json")
    notes = notes_per_token(tokenizer)
    assert len(notes) == tokenizer.size
    types = tokenizer.vocabulary.types
    assert {t for t, n in zip(types, notes, strict=True) if n} == {
        TokenType.PITCH,
        TokenType.PITCH_DRUM,
    }
