"""Pictures of a collection of sound: its average spectrum, a tree of genres, a map of the world."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from segue.core.world import world
from segue.errors import SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_ROW_IN = 0.25
_LONGEST_NAME = 40
_MAP_LATITUDES = (-58.0, 84.0)


class Band(NamedTuple):
    """A band of the average spectrum: its name, three quartiles in decibels, and files that have it."""

    name: str
    low: float
    middle: float
    high: float
    files: int


class Branch(NamedTuple):
    """A row of a tree: name, depth from 0, length of its bar and the text at its end."""

    name: str
    depth: int
    value: float
    text: str


def spectrum_figure(bands: Sequence[Band], *, title: str = "") -> "Figure":
    """Draw the median and the quartiles of each band over the files that have it.

    Raises:
        SettingError: there is no band.
    """
    if not bands:
        raise SettingError("A spectrum needs at least one band.")
    figure = style.new_figure(8.5, 3.9)
    axes = figure.subplots()
    style.style_axes(axes)
    places = np.arange(len(bands))
    middle = [band.middle for band in bands]
    axes.fill_between(
        places, [band.low for band in bands], [band.high for band in bands],
        color=style.TRACK_COLOURS[0], alpha=0.22, linewidth=0, label="half of the files",
    )  # fmt: skip
    axes.plot(places, middle, color=style.TRACK_COLOURS[0], linewidth=1.8, label="median",
              marker="o", markersize=3.2)  # fmt: skip
    _mark_fewer(axes, bands)
    axes.set_xticks(places, [band.name for band in bands], rotation=60, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    axes.set_xlim(-0.6, len(bands) - 0.4)
    axes.legend(frameon=False, fontsize=9, labelcolor=style.INK, loc="lower left")
    style.set_titles(
        axes, title=title, x_label="Third octave, Hz", y_label="dB against the whole recording"
    )
    figure.tight_layout()
    return figure


def _mark_fewer(axes: "Axes", bands: Sequence[Band]) -> None:
    """Say where bands begin that not all files have."""
    most = max(band.files for band in bands)
    first = next((at for at, band in enumerate(bands) if band.files < most), None)
    if first is None:
        return
    axes.axvline(first - 0.5, color=style.FAINT_INK, linewidth=0.8, linestyle=":")
    axes.annotate(
        f"from here {bands[first].files:,}\nof {most:,} files", (first - 0.5, 1.0),
        xycoords=("data", "axes fraction"), textcoords="offset points", xytext=(-4, -3),
        ha="right", va="top", fontsize=8, color=style.FAINT_INK,
    )  # fmt: skip


def tree_figure(branches: Sequence[Branch], *, title: str = "", x_label: str = "") -> "Figure":
    """Draw one bar for each row, names indented by their depth, the first on top.

    Raises:
        SettingError: there is no row.
    """
    if not branches:
        raise SettingError("A tree needs at least one row.")
    figure = style.new_figure(8.5, 1.15 + _ROW_IN * len(branches))
    axes = figure.subplots()
    style.style_axes(axes, grid="x")
    places = np.arange(len(branches))[::-1]
    span = max(branch.value for branch in branches) or 1.0
    colours = [style.TRACK_COLOURS[0 if branch.depth == 0 else 6] for branch in branches]
    axes.barh(places, [branch.value for branch in branches], height=0.72, color=colours)
    axes.set_yticks(places, [" "] * len(branches))
    axes.tick_params(axis="y", length=0)
    names: list[Text] = []
    for place, branch in zip(places.tolist(), branches, strict=True):
        name = axes.text(
            0.012 + 0.022 * branch.depth, place, _cut(branch.name), va="center", fontsize=8.5,
            transform=_beside(axes, figure), color=style.INK,
            fontweight="bold" if branch.depth == 0 else "normal",
        )  # fmt: skip
        names.append(name)
        axes.text(branch.value + 0.01 * span, place, branch.text, va="center", fontsize=8,
                  color=style.FAINT_INK)  # fmt: skip
    axes.set_xlim(0, 1.28 * span)
    axes.set_ylim(-0.7, len(branches) - 0.3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    style.set_titles(axes, title=title, x_label=x_label)
    figure.tight_layout()
    longest = max(name.get_window_extent().x1 for name in names)
    figure.subplots_adjust(left=min(0.65, longest / figure.bbox.width + 0.012))
    return figure


def _beside(axes: "Axes", figure: "Figure") -> "object":
    """Return places measured across the figure and along the rows."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(figure.transFigure, axes.transData)


def _cut(name: str) -> str:
    """Shorten a name, and keep matplotlib from reading a formula out of it."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 2]} …"
    return short.replace("$", r"\$")


def world_figure(
    cells: Mapping[tuple[int, int], int], *, cell_degrees: float, title: str = "", label: str = ""
) -> "Figure":
    """Draw how many of something are in each cell of the world, on a logarithmic scale of colours.

    Args:
        cells: counts by latitude and longitude of the south-western corner, in degrees.
        cell_degrees: side of a cell.
        title: set above the picture.
        label: what is counted.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure = style.new_figure(11.6, 5.7)
    axes = figure.subplots()
    shape = round(180 / cell_degrees), round(360 / cell_degrees)
    grid = np.zeros(shape)
    for (south, west), count in cells.items():
        grid[round((south + 90) / cell_degrees), round((west + 180) / cell_degrees)] += count
    lines = world()
    axes.set_facecolor("#F7F9FB")
    axes.add_collection(LineCollection(lines.borders, colors="#C5CBD3", linewidths=0.5, zorder=1))
    if cells:
        most = max(10.0, float(grid.max()))
        mesh = axes.pcolormesh(
            np.linspace(-180, 180, shape[1] + 1), np.linspace(-90, 90, shape[0] + 1),
            np.ma.masked_equal(grid, 0), cmap="viridis_r", norm=LogNorm(1, most), zorder=2,
        )  # fmt: skip
        bar = figure.colorbar(mesh, ax=axes, fraction=0.025, pad=0.015)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        bar.ax.tick_params(colors=style.FAINT_INK, labelsize=8.5)
        bar.set_label(label, fontsize=9, color=style.FAINT_INK)
        bar.outline.set_visible(False)
    axes.add_collection(LineCollection(lines.coasts, colors="#7C858F", linewidths=0.6, zorder=3))
    axes.set_xlim(-180, 180)
    axes.set_ylim(min(_MAP_LATITUDES[0], *[south for south, _ in cells], 90), _MAP_LATITUDES[1])
    axes.set_aspect(1.2)
    style.style_axes(axes, grid=None)
    axes.set_xticks(range(-180, 181, 60), [_degrees(x, "W", "E") for x in range(-180, 181, 60)])
    axes.set_yticks(range(-30, 61, 30), [_degrees(y, "S", "N") for y in range(-30, 61, 30)])
    style.set_titles(axes, title=title)
    figure.tight_layout()
    return figure


def _degrees(value: int, below: str, above: str) -> str:
    side = "" if value in (0, 180, -180) else below if value < 0 else above
    return f"{abs(value)}°{side}"
