"""Estimates, parts and steps are drawn as they are given."""

import numpy as np
import pytest

from segue.core.statistics import Interval
from segue.errors import SettingError
from segue.plots import style
from segue.plots.evaluation import intervals, stacked, steps


def estimate(mean: float, low: float, high: float) -> Interval:
    return Interval(mean, low, high, 5)


def spans(axes) -> list[list[float]]:
    """Ends of the error bars, along the axis that they run on."""
    (lines,) = [c for container in axes.containers for c in getattr(container, "lines", ())[2:]]
    along = 0 if np.ptp(lines[0].get_segments()[0][:, 0]) else 1
    return [segment[:, along].tolist() for segment in lines[0].get_segments()]


def test_estimates_are_bars_with_their_intervals_the_first_on_top() -> None:
    values = {"ours": estimate(5.5, 5.0, 6.5), "theirs": estimate(9.25, 9.0, 10.0)}
    axes = intervals(values, title="T", x_label="bits", highlight="ours").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [5.5, 9.25]
    assert axes.patches[0].get_y() > axes.patches[1].get_y()
    assert spans(axes) == [[5.0, 6.5], [9.0, 10.0]]
    assert [text.get_text() for text in axes.texts] == ["5.50", "9.25"]
    middles = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
    assert axes.get_yticks().tolist() == pytest.approx(middles)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "theirs"]
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] != colours[1]
    low, high = axes.get_xlim()
    assert low == 0
    assert high > 10


def test_negative_estimates_have_room() -> None:
    values = {"less": estimate(-2.0, -3.0, -1.0), "more": estimate(1.0, 0.5, 1.5)}
    axes = intervals(values).axes[0]
    low, high = axes.get_xlim()
    assert low < -3
    assert high > 1.5
    axes = intervals({"nothing": estimate(0.0, 0.0, 0.0)}).axes[0]
    low, high = axes.get_xlim()
    assert low <= 0 < high


def test_an_estimate_outside_its_interval_is_drawn_all_the_same() -> None:
    axes = intervals({"odd": estimate(1.0, 1.1, 1.2)}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1.0]


def test_parts_stand_end_to_end() -> None:
    values = {
        "a": {"onset": 1.0, "pitch": 2.0, "velocity": 0.25},
        "b": {"onset": 0.5, "pitch": 4.0, "velocity": 1.0},
    }
    figure = stacked(values, title="What costs what", x_label="bits")
    axes = figure.axes[0]
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert bars == [(0, 1.0), (0, 0.5), (1.0, 2.0), (0.5, 4.0), (3.0, 0.25), (4.5, 1.0)]
    parts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert parts == ["onset", "pitch", "velocity"]
    assert figure.get_suptitle() == "What costs what"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_steps_stand_in_their_order_and_missing_ones_are_left_out() -> None:
    order = ("none", "past", "past_future", "all")
    full = {step: estimate(9.0 - n, 8.5 - n, 9.5 - n) for n, step in enumerate(order)}
    part = {step: full[step] for step in ("all", "past")}
    axes = steps({"4 bars": full, "1 bar": part}, order, y_label="bits").axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["none", "past", "past + future", "all"]
    lines = [container.lines[0] for container in axes.containers]
    assert [line.get_ydata().tolist() for line in lines] == [[9, 8, 7, 6], [8, 6]]
    assert np.rint(lines[1].get_xdata()).tolist() == [1, 3]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["4 bars", "1 bar"]


@pytest.mark.parametrize("draw", [intervals, stacked, lambda values: steps(values, ("a",))])
def test_nothing_cannot_be_drawn(draw) -> None:
    with pytest.raises(SettingError, match="nothing to draw"):
        draw({})


def test_the_model_has_the_colour_of_what_is_new() -> None:
    from matplotlib.colors import to_rgba

    values = {"ours": estimate(1, 1, 1), "b": estimate(2, 2, 2)}
    bars = intervals(values, highlight="ours").axes[0].patches
    assert bars[0].get_facecolor() == to_rgba(style.NEW_COLOUR)
