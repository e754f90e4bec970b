"""Pictures of a collection: ranked bars, histograms of counted numbers, and figures as bytes."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from segue.errors import SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST_NAME = 46
_BAR_IN = 0.27


def ranked_bars(
    names: Sequence[str],
    values: Sequence[float],
    *,
    title: str = "",
    x_label: str = "",
    texts: Sequence[str] | None = None,
    colours: Mapping[str, str] | None = None,
) -> "Figure":
    """Draw one bar for each name, in the order given, the first on top.

    Args:
        names: what is counted; long ones are cut in the middle.
        values: length of each bar, from 0.
        title: set above the picture.
        x_label: what the length measures.
        texts: written at the end of each bar; the value itself where none are given.
        colours: colour of some of the bars, by name.

    Raises:
        SettingError: there is nothing to draw, or the lists differ in length.
    """
    texts = [f"{value:,.4g}" for value in values] if texts is None else texts
    if not len(names) == len(values) == len(texts) or not len(names):
        raise SettingError(
            f"Bars need one name, value and text each; given were {len(names)}, {len(values)} and "
            f"{len(texts)}."
        )
    figure = style.new_figure(8.5, 1.15 + _BAR_IN * len(names))
    axes = figure.subplots()
    style.style_axes(axes, grid="x")
    places = np.arange(len(names))[::-1]
    chosen = [(colours or {}).get(name, style.TRACK_COLOURS[0]) for name in names]
    axes.barh(places, np.array(values, float), height=0.72, color=chosen)
    span = max(values) or 1.0
    for place, value, text in zip(places.tolist(), values, texts, strict=True):
        axes.text(value + 0.01 * span, place, text, va="center", fontsize=8, color=style.FAINT_INK)
    axes.set_yticks(places, [_plain(_shortened(name)) for name in names])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_xlim(0, 1.13 * span)
    axes.xaxis.set_major_formatter(_readable)
    axes.set_ylim(-0.7, len(names) - 0.3)
    style.set_titles(axes, title=title, x_label=x_label)
    figure.tight_layout()
    return figure


def _readable(value: float, _: object = None) -> str:
    """Write a number on an axis: thousands apart, never as a power of ten."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def _shortened(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    half = _LONGEST_NAME // 2
    return f"{name[: half - 1]} … {name[2 - half :]}"


def _plain(text: str) -> str:
    """Keep matplotlib from reading a formula out of a name."""
    return text.replace("$", r"\$")


def histogram(
    counts: Mapping[float, float],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    width: float = 1.0,
    top: float | None = None,
    marks: Mapping[str, float] | None = None,
) -> "Figure":
    """Draw how often numbers occur.

    Args:
        counts: how often (or how much) each number occurs.
        title: set above the picture.
        x_label: what the numbers are.
        y_label: what is counted.
        width: of a bar; the bars begin at multiples of it.
        top: what lies at or above is drawn in one last bar, in another colour.
        marks: lines across the picture by name, such as the median.

    Raises:
        SettingError: there is nothing to draw, or the width is not above 0.
    """
    if not counts or width <= 0:
        raise SettingError("A histogram needs numbers, and bars wider than 0.")
    values = np.array(list(counts), float)
    weights = np.array(list(counts.values()), float)
    bins = np.floor(values / width + 1e-9).astype(np.int64)
    last = None if top is None else int(np.floor(top / width + 1e-9))
    if last is not None:
        bins = np.minimum(bins, last)
    first = int(bins.min())
    heights = np.bincount(bins - first, weights)
    figure = style.new_figure(8.5, 3.7)
    axes = figure.subplots()
    style.style_axes(axes)
    lefts = (np.arange(len(heights)) + first) * width
    capped = last is not None and bool((values >= last * width + width).any())
    colours = [style.TRACK_COLOURS[0]] * len(heights)
    if capped:
        colours[-1] = style.FAINT_INK
    shift = 0.5 if width == 1 else 0.0  # whole numbers stand under the middle of their bars
    axes.bar(lefts + width * (0.5 - shift), heights, width=0.92 * width, color=colours)
    for number, (name, value) in enumerate((marks or {}).items()):
        axes.axvline(value, color=style.NEW_COLOUR, linewidth=1.3, linestyle=("-", "--")[number % 2],
                     label=f"{name} {value:,.4g}")  # fmt: skip
    if marks:
        axes.legend(frameon=False, fontsize=9, labelcolor=style.INK)
    if capped:
        axes.annotate(
            f"{lefts[-1]:,.4g} and more", (lefts[-1] + width * (0.5 - shift), heights[-1]),
            textcoords="offset points", xytext=(0, 4), ha="right", fontsize=8, color=style.FAINT_INK,
        )  # fmt: skip
    axes.yaxis.set_major_formatter(_readable)
    style.set_titles(axes, title=title, x_label=x_label, y_label=y_label)
    figure.tight_layout()
    return figure


def png_bytes(figure: "Figure") -> bytes:
    """Return a figure as a PNG file, the same bytes for the same picture."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
