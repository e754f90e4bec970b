"""Pictures of an evaluation: estimates with intervals, costs by kind, and what context gives."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from segue.core.statistics import Interval
from segue.errors import SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_IN = 0.34


def intervals(
    values: Mapping[str, Interval],
    *,
    title: str = "",
    x_label: str = "",
    highlight: str | None = None,
) -> "Figure":
    """Draw one bar per name with its interval, the first on top.

    Args:
        values: estimate of every name.
        title: set above the picture.
        x_label: what is measured.
        highlight: the name that is drawn in another colour.

    Raises:
        SettingError: there is nothing to draw.
    """
    _require(values)
    figure = style.new_figure(8.5, 1.2 + _ROW_IN * len(values))
    axes = figure.subplots()
    style.style_axes(axes, grid="x")
    places = np.arange(len(values))[::-1]
    means = np.array([value.mean for value in values.values()])
    errors = np.abs(np.array([[v.mean - v.low, v.high - v.mean] for v in values.values()], float).T)
    colours = [style.NEW_COLOUR if name == highlight else style.TRACK_COLOURS[0] for name in values]
    axes.barh(places, means, height=0.66, color=colours)
    axes.errorbar(
        means, places, xerr=errors, fmt="none", ecolor=style.INK, elinewidth=1.2, capsize=3
    )
    reach = float(np.max(np.abs(means) + errors.max(axis=0))) or 1.0
    for place, value in zip(places.tolist(), values.values(), strict=True):
        axes.text(
            max(value.high, 0) + 0.015 * reach, place, f"{value.mean:.2f}",
            va="center", fontsize=8.5, color=style.FAINT_INK,
        )  # fmt: skip
    axes.set_yticks(places, list(values))
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(-0.7, len(values) - 0.3)
    axes.set_xlim(min(0.0, 1.1 * float((means - errors[0]).min())), 1.12 * reach)
    style.set_titles(axes, title=title, x_label=x_label)
    figure.tight_layout()
    return figure


def stacked(
    values: Mapping[str, Mapping[str, float]], *, title: str = "", x_label: str = ""
) -> "Figure":
    """Draw one bar per name, made of parts.

    Args:
        values: parts of every name; all have the same parts.
        title: set above the picture.
        x_label: what is measured.

    Raises:
        SettingError: there is nothing to draw.
    """
    _require(values)
    parts = list(next(iter(values.values())))
    figure = style.new_figure(8.5, 1.5 + _ROW_IN * len(values))
    axes = figure.subplots()
    style.style_axes(axes, grid="x")
    places = np.arange(len(values))[::-1]
    left = np.zeros(len(values))
    for number, part in enumerate(parts):
        widths = np.array([row[part] for row in values.values()])
        colour = style.track_colour(number)
        axes.barh(places, widths, left=left, height=0.66, color=colour, label=part)
        left += widths
    axes.set_yticks(places, list(values))
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(-0.7, len(values) - 0.3)
    axes.legend(
        ncols=len(parts), loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8.5
    )
    style.set_titles(axes, x_label=x_label)
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=11.5, fontweight="bold")
    figure.tight_layout()
    return figure


def steps(
    values: Mapping[str, Mapping[str, Interval]],
    order: Sequence[str],
    *,
    title: str = "",
    y_label: str = "",
) -> "Figure":
    """Draw one line per name over the same ordered steps, with intervals.

    Args:
        values: estimates of every name by step.
        order: the steps from left to right.
        title: set above the picture.
        y_label: what is measured.

    Raises:
        SettingError: there is nothing to draw.
    """
    _require(values)
    figure = style.new_figure(7.0, 4.0)
    axes = figure.subplots()
    style.style_axes(axes)
    for number, (name, row) in enumerate(values.items()):
        shown = [step for step in order if step in row]
        places = np.array([order.index(step) for step in shown], float)
        places += 0.04 * (number - (len(values) - 1) / 2)
        means = np.array([row[step].mean for step in shown])
        errors = np.abs(
            np.array([[row[s].mean - row[s].low, row[s].high - row[s].mean] for s in shown]).T
        )
        colour = style.track_colour(number)
        axes.errorbar(
            places, means, yerr=errors, marker="o", capsize=3, color=colour, label=name, lw=1.6
        )
    axes.set_xticks(range(len(order)), [step.replace("_", " + ") for step in order])
    axes.legend(frameon=False, fontsize=8.5)
    style.set_titles(axes, title=title, y_label=y_label)
    figure.tight_layout()
    return figure


def _require(values: Mapping[str, object]) -> None:
    if not values:
        raise SettingError("There is nothing to draw: no values were given.")
