"""Bars, histograms and maps show the numbers that they are given."""

from collections.abc import Callable

import numpy as np
import pytest

from segue.errors import SettingError
from segue.plots.collection import histogram, png_bytes, ranked_bars
from segue.plots.embedding import map_figure


def test_bars_are_as_long_as_their_values_and_the_first_is_on_top() -> None:
    long = "a name that is far too long to be shown beside a bar in full $x$"
    figure = ranked_bars(["Piano", long], [1200, 30], title="T", colours={"Piano": "#ff0000"})
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1200, 30]
    assert axes.patches[0].get_y() > axes.patches[1].get_y()
    assert [text.get_text() for text in axes.texts] == ["1,200", "30"]
    assert axes.patches[0].get_facecolor()[:3] == (1, 0, 0)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "Piano"
    assert len(names[1]) < len(long)
    assert names[1].endswith(r"\$x\$")


def test_a_histogram_counts_into_bars_and_gathers_the_tail() -> None:
    figure = histogram({0: 5, 1: 2, 9: 1, 10: 1, 47: 3}, width=5, top=20, marks={"median": 1})
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [7, 1, 1, 0, 3]
    assert [text.get_text() for text in axes.texts] == ["20 and more"]
    assert axes.get_legend().get_texts()[0].get_text() == "median 1"


def test_whole_numbers_stand_under_their_bars() -> None:
    axes = histogram({3: 1, 4: 2}).axes[0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == [3, 4]
    assert [bar.get_height() for bar in axes.patches] == [1, 2]


def test_parts_of_a_width_fall_into_the_right_bar() -> None:
    axes = histogram({0.3: 1, 0.1 * 3: 1, 0.7: 1}, width=0.1).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [2, 0, 0, 0, 1]


def test_a_map_has_a_mark_for_each_class_and_the_control_beside_it() -> None:
    points = np.random.default_rng(0).normal(size=(40, 2))
    labels = ["a"] * 20 + [f"class {n}" for n in range(20)]
    halves = np.array([1, 2] * 10 + [0] * 20)
    left, right = map_figure(points, labels, halves, title="Map").axes
    named = [text.get_text() for text in left.get_legend().get_texts()]
    assert "a (20)" in named
    assert "all others" in named
    assert len(named) == 16
    drawn = sum(len(scatter.get_offsets()) for scatter in left.collections)
    assert drawn == 40
    assert [len(scatter.get_offsets()) for scatter in right.collections] == [20, 10, 10]


def test_the_same_figure_gives_the_same_bytes() -> None:
    one, other = (png_bytes(ranked_bars(["a"], [1])) for _ in range(2))
    assert one == other
    assert one.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: ranked_bars([], []),
        lambda: ranked_bars(["a"], [1, 2]),
        lambda: histogram({}),
        lambda: histogram({1: 1}, width=0),
        lambda: map_figure(np.zeros((2, 2)), ["a"]),
        lambda: map_figure(np.zeros((0, 2)), []),
    ],
)
def test_what_makes_no_picture_is_said(draw: Callable[[], object]) -> None:
    with pytest.raises(SettingError):
        draw()
