"""The recipes in the package, and what is said about wrong ones."""

from pathlib import Path

import pytest
import torch

from segue.errors import SettingError
from segue.recipes import kind_of, load_recipe, recipe_names
from segue.symbolic.data.tokenizer import TokenizerConfig
from segue.symbolic.model.gpt import GPT, preset

VOCAB_SIZE = 645


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_is_complete_and_named_after_its_file(name: str):
    recipe = load_recipe(name, kind_of(name))
    assert recipe.name == name
    assert all([recipe.summary, recipe.hardware, recipe.duration, recipe.expected])


@pytest.mark.parametrize(
    ("name", "millions"),
    [("midigpt-small", 4.9), ("midigpt-finetune", 4.9), ("midigpt-medium", 25.5)],
)
def test_summary_states_the_size(name: str, millions: float):
    recipe = load_recipe(name)
    with torch.device("meta"):
        model = GPT(recipe.model.to_config(vocab_size=VOCAB_SIZE, units_per_quarter=12))
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted / 1e6 == pytest.approx(millions, abs=0.05)
    layers = recipe.model.num_layers
    if "layers" in recipe.summary:
        assert f"{layers} layers of {recipe.model.width} channels" in recipe.summary
        assert f"{millions} million" in recipe.summary


def test_original_is_the_source_decks():
    recipe = load_recipe("midigpt-original")
    config = recipe.model.to_config(vocab_size=5000, units_per_quarter=8)
    assert config.model_copy(update={"units_per_quarter": 48}) == preset(
        "gpt-micro", vocab_size=5000
    )
    assert (config.context_length, config.dropout, config.tied_head) == (1024, 0.1, False)
    optim = recipe.optim
    assert (optim.learning_rate, optim.betas, optim.weight_decay) == (5e-4, (0.9, 0.95), 0.1)
    assert (optim.schedule, optim.warmup_steps) == ("constant", 0)
    assert (recipe.batch_size, recipe.trainer.max_steps) == (64, 50_000)
    assert (recipe.trainer.clip_norm, recipe.trainer.accumulate) == (1.0, 1)
    assert (recipe.task.objective, recipe.prepare.limit) == ("next_token", 10_000)
    assert recipe.prepare.tokenizer == TokenizerConfig.original()


def test_fine_tuning_uses_the_shipped_models_architecture():
    small, fine = load_recipe("midigpt-small"), load_recipe("midigpt-finetune")
    assert fine.model == small.model
    assert fine.optim.learning_rate < small.optim.learning_rate


def test_every_problem_is_told_at_once():
    overrides = ["optim.learning_rat=1", "model.preset=gpt-mycro", "trainer.max_steps=0"]
    with pytest.raises(SettingError) as caught:
        load_recipe("midigpt-original", overrides=overrides)
    message = str(caught.value)
    assert "did you mean learning_rate" in message
    assert "gpt-mycro" in message
    assert "trainer.max_steps" in message


def test_sizes_beside_a_preset_are_refused():
    with pytest.raises(SettingError, match="the preset gpt-micro fixes width"):
        load_recipe("midigpt-original", overrides=["model.width=64"])


def test_rows_longer_than_the_context_are_refused():
    with pytest.raises(SettingError, match="rows of 2048 tokens"):
        load_recipe("midigpt-small", overrides=["model.context_length=1024"])


def test_an_unknown_recipe_is_told_with_the_nearest_name(tmp_path: Path):
    with pytest.raises(SettingError, match="did you mean midigpt-small"):
        load_recipe("midigpt-smal")
    path = tmp_path / "mine.yaml"
    path.write_text("kind: opera\nname: mine\n")
    with pytest.raises(SettingError, match="kind 'opera'; known kinds are midigpt"):
        load_recipe(path)


def test_a_recipe_of_ones_own_is_a_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    words = "summary: x\nhardware: x\nduration: x\nexpected: x\n"
    path.write_text(
        f"kind: midigpt\nname: mine\n{words}model: {{preset: gpt-nano, context_length: 2048}}\n"
        "trainer: {max_steps: 3}\n"
    )
    assert load_recipe(path).model.to_config(vocab_size=9, units_per_quarter=1).width == 48
