"""Curves and bars: the loss of a training run, and figures with their intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.errors import DataError, SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPLIT_NAMES = {"train": "Training", "validation": "Validation", "val": "Validation"}
MIN_POINTS_SMOOTHED = 40


def loss_curve(
    rows: Iterable[Mapping[str, Any]],
    *,
    name: str = "loss",
    title: str = "",
    y_label: str = "Nats per token",
) -> "Figure":
    """Draw how a quantity fell during training, one line per split.

    Training values are noisy: they are drawn faintly, with a running mean above them; validation
    values are drawn as they are, with a dot each, and the best one is named.

    Args:
        rows: mappings with `step`, `split`, `name` and `value`, as read from a run's CSV file.
        name: which quantity is drawn; rows with another name are left out.
        title: set above the picture.
        y_label: what the value measures.

    Raises:
        DataError: no row has this name, or a step or value is not a number.
    """
    series = _by_split(rows, name)
    figure = style.new_figure(8.5, 4.6)
    axes = figure.subplots()
    style.style_axes(axes)
    for index, (split, points) in enumerate(series.items()):
        _draw_split(axes, split, points, colour=style.track_colour(index))
    _limit_to_data(axes, [points[:, 1] for points in series.values()])
    style.set_titles(axes, title=title, x_label="Step", y_label=y_label)
    axes.legend(frameon=False, fontsize=9, labelcolor=style.INK)
    figure.tight_layout()
    return figure


def loss_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str = "", y_label: str = ""
) -> "Figure":
    """Draw the same quantity of several runs in one picture.

    Args:
        curves: step and value of every point, by the name of the run.
        title: set above the picture.
        y_label: what the value measures.

    Raises:
        DataError: there is no run, or one without points.
    """
    if not curves or not all(len(points) for points in curves.values()):
        raise DataError("Curves need one run or more, each with a point.")
    figure = style.new_figure(8.5, 4.6)
    axes = figure.subplots()
    style.style_axes(axes)
    drawn = []
    for index, (name, points) in enumerate(curves.items()):
        steps, values = np.asarray(sorted(points), float).T
        smoothed = len(values) >= MIN_POINTS_SMOOTHED
        smooth = running_mean(values, width=max(5, len(values) // 50)) if smoothed else values
        marker = "" if smoothed else "o"
        axes.plot(
            steps, smooth, color=style.track_colour(index), linewidth=1.8, label=name,
            marker=marker, markersize=4,
        )  # fmt: skip
        drawn.append(smooth)
    _limit_to_data(axes, drawn)
    style.set_titles(axes, title=title, x_label="Step", y_label=y_label)
    axes.legend(frameon=False, fontsize=9, labelcolor=style.INK)
    figure.tight_layout()
    return figure


def _by_split(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, np.ndarray]:
    """Return per split the points `[points, (step, value)]` in order of the steps."""
    found: dict[str, list[tuple[float, float]]] = {}
    names = set()
    for row in rows:
        names.add(str(row["name"]))
        if row["name"] != name:
            continue
        try:
            point = (float(row["step"]), float(row["value"]))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The curve {name!r} holds step {row['step']!r} with value {row['value']!r}; "
                f"both must be numbers. Is the CSV file damaged?"
            ) from error
        if np.isfinite(point[1]):
            found.setdefault(str(row["split"]), []).append(point)
    if not found:
        known = ", ".join(sorted(names)) or "none at all"
        raise DataError(f"There is no curve named {name!r} to draw; the rows hold: {known}.")
    return {split: np.array(sorted(points)) for split, points in sorted(found.items())}


def _draw_split(axes: "Axes", split: str, points: np.ndarray, *, colour: str) -> None:
    """Draw one split: smoothed above the raw values where there are many points, else with dots."""
    label = SPLIT_NAMES.get(split, split)
    steps, values = points.T
    if split == "train" and len(points) >= MIN_POINTS_SMOOTHED:
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
        smooth = running_mean(values, width=max(5, len(values) // 50))
        axes.plot(steps, smooth, color=colour, linewidth=1.8, label=f"{label} (running mean)")
        return
    if split != "train":
        label = f"{label}, best {values.min():.3f} at step {int(steps[values.argmin()]):,}"
    axes.plot(steps, values, color=colour, linewidth=1.8, marker="o", markersize=4, label=label)


def running_mean(values: np.ndarray, *, width: int) -> np.ndarray:
    """Return the mean over `width` neighbours, of fewer of them at both ends; same length."""
    kernel = np.ones(width)
    total = np.convolve(values, kernel, mode="full")
    count = np.convolve(np.ones(len(values)), kernel, mode="full")
    start = (width - 1) // 2
    return (total / count)[start : start + len(values)]


def _limit_to_data(axes: "Axes", values: Sequence[np.ndarray]) -> None:
    """Cut the first steep fall off the y axis where it would flatten everything after it."""
    everything = np.concatenate(values)
    low, high = float(everything.min()), float(everything.max())
    bend = float(np.quantile(everything, 0.95))
    if high - low > 2.5 * (bend - low) > 0:
        high = bend + 0.25 * (bend - low)
    margin = 0.05 * (high - low) or 0.05
    axes.set_ylim(low - margin, high + margin)


def bars_with_intervals(
    names: Sequence[str],
    values: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    title: str = "",
    x_label: str = "",
    highlight: Sequence[str] = (),
    decimals: int = 2,
) -> "Figure":
    """Draw horizontal bars with an interval each, the first on top, the value written beside.

    Args:
        names: what is compared.
        values: the length of each bar.
        low: lower end of each interval, at most the value.
        high: upper end of each interval, at least the value.
        title: set above the picture.
        x_label: what the value measures, and its unit.
        highlight: names whose bar has the highlight colour.
        decimals: digits after the point.

    Raises:
        SettingError: the lists differ in length, are empty, or a value lies outside its interval.
    """
    if not len(names) == len(values) == len(low) == len(high) or not len(names):
        raise SettingError(
            f"Bars need one name, value, low and high each; given were {len(names)}, "
            f"{len(values)}, {len(low)} and {len(high)}."
        )
    centre, ends = np.array(values, float), np.array([low, high], float)
    if (ends[0] > centre).any() or (ends[1] < centre).any():
        raise SettingError("A value lies outside its interval; check the order of low and high.")
    figure = style.new_figure(8.5, 1.3 + 0.42 * len(names))
    axes = figure.subplots()
    style.style_axes(axes, grid="x")
    places = np.arange(len(names))[::-1]
    colours = [style.NEW_COLOUR if n in highlight else style.TRACK_COLOURS[0] for n in names]
    axes.barh(places, centre, height=0.62, color=colours, alpha=0.85)
    axes.errorbar(
        centre, places, xerr=np.abs(ends - centre), fmt="none", ecolor=style.INK, elinewidth=1.3,
        capsize=3.5,
    )  # fmt: skip
    _write_values(axes, places, centre, ends, decimals=decimals)
    axes.set_yticks(places, list(names))
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=9)
    style.set_titles(axes, title=title, x_label=x_label)
    figure.tight_layout()
    return figure


def _write_values(
    axes: "Axes", places: np.ndarray, values: np.ndarray, ends: np.ndarray, *, decimals: int
) -> None:
    """Write each value with its interval at the right of the bars, aligned in one column."""
    edge = max(float(ends[1].max()), 0.0)
    span = edge - min(float(ends[0].min()), 0.0) or 1.0
    for place, value, low, high in zip(places, values, *ends, strict=True):
        text = f"{value:.{decimals}f}  [{low:.{decimals}f}, {high:.{decimals}f}]"
        axes.text(edge + 0.025 * span, place, text, va="center", fontsize=8.5, color=style.INK)
    axes.set_xlim(min(float(ends[0].min()), 0.0) * 1.05, edge + 0.3 * span)
