"""Strict settings: values, overrides, and messages that list every problem."""

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from segue.core.config import (
    StrictModel,
    dump_yaml,
    fields_of,
    load,
    nearest,
    parse_yaml,
    read_mapping,
)
from segue.errors import SettingError


class Optim(StrictModel):
    learning_rate: float = Field(3e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)


class Schedule(StrictModel):
    kind: Literal["cosine", "constant"] = "cosine"


class Recipe(StrictModel):
    steps: int
    optim: Optim = Optim()
    schedules: tuple[Schedule, ...] = ()
    note: str | None = None


def test_a_yaml_file_fills_the_class(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 5\noptim:\n  learning_rate: 1e-3\nschedules:\n  - kind: constant\n")
    recipe = load(Recipe, path)
    assert recipe.steps == 5
    assert recipe.optim.learning_rate == 0.001
    assert recipe.schedules == (Schedule(kind="constant"),)


def test_settings_cannot_be_changed() -> None:
    recipe = load(Recipe, {"steps": 1})
    with pytest.raises(ValidationError, match="frozen"):
        recipe.steps = 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("2E5", 2e5),
        ("-1.5e+2", -150.0),
        ("3", 3),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("null", None),
        ("", None),
        ("plain words", "plain words"),
        ("1e", "1e"),
        ("e5", "e5"),
    ],
)
def test_yaml_values(text: str, value: object) -> None:
    parsed = parse_yaml(text, origin="here")
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300))
def test_every_float_survives_as_an_override(value: float) -> None:
    recipe = load(Recipe, {"steps": 1}, overrides=[f"optim.learning_rate={value!r}"])
    assert recipe.optim.learning_rate == value


def test_overrides_win_and_do_not_touch_the_source() -> None:
    source = {"steps": 1, "optim": {"betas": [0.5, 0.6]}}
    recipe = load(Recipe, source, overrides=["steps=7", "steps=8", "optim.learning_rate=2"])
    assert (recipe.steps, recipe.optim.learning_rate, recipe.optim.betas) == (8, 2, (0.5, 0.6))
    assert source == {"steps": 1, "optim": {"betas": [0.5, 0.6]}}


def test_one_message_lists_every_problem_and_the_nearest_name() -> None:
    source = {"stepz": 1, "optim": {"learning_rat": 1}, "schedules": [{"kidn": "x"}]}
    with pytest.raises(SettingError) as caught:
        load(Recipe, source, overrides=["optim.learning_rate=-1", "nonsense"], origin="my.yaml")
    message = str(caught.value)
    assert "In my.yaml, 6 settings are wrong" in message
    assert "stepz is unknown (did you mean steps?)" in message
    assert "optim.learning_rat is unknown (did you mean learning_rate?)" in message
    assert "schedules.0.kidn is unknown (did you mean kind?)" in message
    assert "optim.learning_rate: input should be greater than 0, given -1" in message
    assert "steps is missing" in message
    assert "--set nonsense: write it as" in message


def test_an_unknown_name_like_nothing_lists_what_is_known() -> None:
    with pytest.raises(SettingError, match="known here: steps, optim, schedules, note"):
        load(Recipe, {"steps": 1, "zzzzzz": 1})


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(SettingError, match="finite"):
        load(Optim, {"learning_rate": value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "stands twice"),
        ("[1, 2]", "holds a list"),
        ("a: [", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
    ],
)
def test_bad_files_are_setting_errors(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message):
        read_mapping(path)


def test_missing_and_binary_files_are_setting_errors(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        read_mapping(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="not a UTF-8 text"):
        read_mapping(tmp_path / "binary.yaml")


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_mapping(tmp_path / "empty.yaml") == {}


def test_dump_and_load_give_the_same(tmp_path: Path) -> None:
    recipe = load(Recipe, {"steps": 3, "note": "Für Elise: 1e-3", "schedules": [{}]})
    path = tmp_path / "out.yaml"
    path.write_text(dump_yaml(recipe), encoding="utf-8")
    assert load(Recipe, path) == recipe


def test_fields_of_walks_nested_classes_once() -> None:
    assert sorted((owner.__name__, name) for owner, name in fields_of(Recipe)) == [
        ("Optim", "betas"),
        ("Optim", "learning_rate"),
        ("Recipe", "note"),
        ("Recipe", "optim"),
        ("Recipe", "schedules"),
        ("Recipe", "steps"),
        ("Schedule", "kind"),
    ]


def test_nearest() -> None:
    assert nearest("Piano", ["drums", "piano"]) == "piano"
    assert nearest("qqq", ["drums", "piano"]) is None
