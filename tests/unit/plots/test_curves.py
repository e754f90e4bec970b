"""Curves and bars."""

import numpy as np
import pytest

from segue.errors import DataError, SettingError
from segue.plots.curves import bars_with_intervals, loss_curve, running_mean

Row = dict[str, object]


def make_rows(num: int = 200) -> list[Row]:
    """A falling loss as a CSV reader gives it: every value a string."""
    rows: list[Row] = []
    for step in range(num):
        value = 1 + 4 * np.exp(-step / 30)
        rows.append({"step": str(step), "split": "train", "name": "loss", "value": str(value)})
        if step % 50 == 49:
            row = {"step": str(step), "split": "validation", "name": "loss", "value": str(value)}
            rows.append(row)
    rows.append({"step": "3", "split": "train", "name": "speed", "value": "99"})
    return rows


def test_loss_curve_smooths_training_and_names_the_best_validation() -> None:
    figure = loss_curve(make_rows(), title="A run")
    axes = figure.axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [200, 200, 4]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0] == "Training (running mean)"
    assert labels[1].startswith("Validation, best 1.005 at step 199")
    assert axes.get_title(loc="left") == "A run"
    low, high = axes.get_ylim()
    assert low < 1.01
    assert high < 5.5


def test_rows_may_come_in_any_order_and_hold_what_is_not_finite() -> None:
    rows = make_rows(60)[::-1]
    rows.append({"step": "70", "split": "train", "name": "loss", "value": "nan"})
    figure = loss_curve(rows)
    steps = figure.axes[0].lines[0].get_xdata()
    assert len(steps) == 60
    assert (np.diff(steps) > 0).all()


def test_missing_and_damaged_curves_are_said() -> None:
    with pytest.raises(DataError, match=r"'lost'.*loss, speed"):
        loss_curve(make_rows(), name="lost")
    with pytest.raises(DataError, match="damaged"):
        loss_curve([{"step": "1", "split": "train", "name": "loss", "value": "x"}])


def test_running_mean_is_plain_inside_and_shorter_at_the_ends() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0, 5.0])
    assert running_mean(values, width=3).tolist() == pytest.approx([1.5, 2, 5, 6, 7.5])
    assert running_mean(values, width=1).tolist() == values.tolist()


def test_bars_with_intervals() -> None:
    figure = bars_with_intervals(
        ["Model", "Markov"], [6.0, 10.0], [5.5, 9.0], [6.5, 12.0], highlight=["Model"], decimals=1
    )
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [6.0, 10.0]
    assert axes.patches[0].get_y() > axes.patches[1].get_y()
    assert [text.get_text() for text in axes.texts] == ["6.0  [5.5, 6.5]", "10.0  [9.0, 12.0]"]
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()


@pytest.mark.parametrize(
    "arguments",
    [([], [], [], []), (["a"], [1.0], [0.0], []), (["a"], [1.0], [1.1], [2.0])],
)
def test_bars_that_make_no_sense_are_said(arguments: tuple[list[object], ...]) -> None:
    with pytest.raises(SettingError):
        bars_with_intervals(*arguments)  # type: ignore[arg-type]
