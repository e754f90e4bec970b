"""The table of a run is judged by what it says: courses of losses, numbers that are none, progress."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.core.findings import Finding, first_broken, guarded, judged, verdict
from segue.errors import DataError, MissingExtraError
from segue.training.checkpoints import check_checkpoints
from segue.training.history import (
    RunRecord,
    check_course,
    check_history,
    check_numbers,
    check_progress,
    check_validation,
)

STEPS = np.arange(10, 1010, 10)


def record(rows: list[dict[str, Any]], *, max_steps: int = 1000) -> RunRecord:
    recipe = {"kind": "midigpt", "trainer": {"max_steps": max_steps, "nan_restores": 3}}
    return RunRecord(Path("run"), "midigpt", recipe, tuple(rows), ())


def rows(**columns: Any) -> list[dict[str, Any]]:
    count = len(next(iter(columns.values())))
    fixed = {"learning_rate": 1e-3, "split": "train"}
    each = ({name: values[i] for name, values in columns.items()} for i in range(count))
    return [{"step": int(STEPS[i]), **fixed, **row} for i, row in enumerate(each)]


def noisy(values: Any, seed: int = 0) -> Any:
    return np.asarray(values) + 0.01 * np.random.default_rng(seed).standard_normal(len(values))


@pytest.mark.parametrize(
    ("values", "state", "said"),
    [
        (noisy(2 * np.exp(-STEPS / 300) + 1), "ok", "at 50"),
        (noisy(np.linspace(0.5, -1.5, 100)), "ok", ""),
        (noisy(np.full(100, 2.0)), "broken", "never learnt"),
        (noisy(np.linspace(2, 3, 100)), "broken", "never learnt"),
        (noisy(np.abs(STEPS - 600) / 300 + 1), "broken", "rises again"),
        (noisy(np.where(STEPS < 800, 2 * np.exp(-STEPS / 150), 0.35)), "suspicious", "rises again"),
        ([2.0, 1.0], "not checked", "too few"),
    ],
)
def test_courses(values: Any, state: str, said: str) -> None:
    found = check_course(STEPS[: len(values)], np.asarray(values), name="loss")
    assert found.state == state, found
    assert said in found.detail


def test_a_flat_course_of_weights_that_were_trained_before_is_not_called_broken() -> None:
    flat = noisy(np.full(100, 0.8))
    assert check_course(STEPS, flat, name="loss", untrained=1.4).state == "suspicious"
    assert check_course(STEPS, flat, name="loss", untrained=0.9).state == "broken"


def test_a_validation_loss_that_rises() -> None:
    steps = np.arange(5)
    assert check_validation(steps, np.array([3.0, 2, 1, 0.9, 0.9]), name="loss")[0].state == "ok"
    rising = check_validation(steps, np.array([3.0, 2, 1, 1.5, 2]), name="loss")[0]
    assert rising.state == "suspicious"
    assert "best 1 at 2" in rising.detail
    assert check_validation(steps[:2], np.array([3.0, 2]), name="loss") == []


@pytest.mark.parametrize(
    ("column", "value", "state"),
    [("loss", math.nan, "broken"), ("loss", math.inf, "broken"), ("norm", math.inf, "suspicious")],
)
def test_numbers_that_are_none(column: str, value: float, state: str) -> None:
    columns = {"loss": [2.0, 1.5, 1.0], "norm": [1.0, 1.0, 1.0]}
    columns[column] = [1.0, value, 1.0]
    found = check_numbers(record(rows(**columns)))
    assert found.state == state
    assert f"{column} from step 20" in found.detail


def test_states_that_were_put_back_are_counted() -> None:
    table = rows(loss=[2.0] * 20)
    assert check_numbers(record(table)).state == "ok"
    for row in table[:2]:
        row["restored"] = 1.0
    found = check_numbers(record(table))
    assert (found.state, found.detail[:45]) == (
        "suspicious",
        "the last good state was put back in 2 rows (3",
    )
    for row in table:
        row["restored"] = 1.0
    assert check_numbers(record(table)).state == "broken"


def test_progress() -> None:
    table = rows(loss=[2.0] * 10)
    assert check_progress(record(table, max_steps=100)).detail == "100 of 100 steps: finished"
    assert check_progress(record(table, max_steps=400)).detail == "100 of 400 steps, 25 %"
    assert check_progress(record(table, max_steps=40_000)).state == "suspicious"


def test_a_learning_rate_of_nothing_comes_before_its_consequence() -> None:
    table = [row | {"learning_rate": 0.0} for row in rows(loss=[2.0] * 50)]
    found = check_history(record(table), columns=("loss",), validation="loss")
    broken = first_broken(found)
    assert broken is not None
    assert broken.name == "learning rate"


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    torch.save({"weights": torch.ones(3)}, tmp_path / "checkpoints" / "last.ckpt")
    assert "not written by a run" in check_checkpoints(tmp_path)[0].detail


def test_a_verdict_names_the_first_broken_thing() -> None:
    fine, odd = Finding("a", "ok", "1"), Finding("b", "suspicious", "2", "Look.")
    bad, worse = Finding("c", "broken", "3", "Mend it."), Finding("d", "broken", "4", "No.")
    assert verdict([fine, odd, bad, worse]) == "Broken: c (3). Mend it."
    assert verdict([fine, odd]) == "Nothing is broken; look at: b. Look."
    assert verdict([fine, Finding("e", "not checked", "")]).endswith("not checked: e.")
    assert verdict([fine]) == "Nothing is broken."


def test_numbers_are_graded_both_ways() -> None:
    assert [judged(x, suspicious=1, broken=2) for x in (1, 1.5, 3)] == [
        "ok",
        "suspicious",
        "broken",
    ]
    assert [judged(x, suspicious=2, broken=1) for x in (3, 1.5, 0.5)] == [
        "ok",
        "suspicious",
        "broken",
    ]
    assert judged(math.nan, suspicious=1, broken=2) == "broken"


def test_what_a_check_raises_becomes_its_finding() -> None:
    def raising(error: Exception) -> Any:
        def check() -> list[Finding]:
            raise error

        return check

    assert guarded("x", raising(DataError("no\ndata")))[0] == Finding("x", "broken", "no data")
    assert guarded("x", raising(MissingExtraError("train")))[0].state == "not checked"
    with pytest.raises(ZeroDivisionError):
        guarded("x", raising(ZeroDivisionError()))
