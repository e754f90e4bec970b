"""Maps of embeddings: points in the plane with a colour and a mark for each class."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = ("o", "^", "s", "D", "v", "P", "X", "*")
_NARROW = 22
_MOST_CLASSES = 15
_REST = "all others"


def map_figure(
    points: NDArray[np.float64],
    labels: Sequence[str],
    halves: NDArray[np.int64] | None = None,
    *,
    title: str = "",
) -> "Figure":
    """Draw a map, and beside it the same map with two random halves of one class.

    Args:
        points: places. Shape ``points 2``.
        labels: class of each point; classes beyond the fifteen most frequent are drawn as one.
        halves: 1 or 2 for points of the control, 0 for all others; no second picture where None.
        title: set above the picture.

    Raises:
        SettingError: there are no points, or the lists differ in length.
    """
    if not len(points) or not len(points) == len(labels) == len(
        halves if halves is not None else labels
    ):
        raise SettingError(
            f"A map needs a place and a label for each point; given were {len(points)} places and "
            f"{len(labels)} labels."
        )
    columns = 1 if halves is None else 2
    figure = style.new_figure(5.6 * columns, 6.0)
    found = figure.subplots(1, columns, squeeze=False)[0]
    _draw_classes(found[0], points, labels)
    style.set_titles(found[0], title=title)
    if halves is not None:
        _draw_halves(found[1], points, halves)
        style.set_titles(found[1], title="Control: one class, two random halves")
    figure.tight_layout()
    return figure


def _draw_classes(axes: "Axes", points: NDArray[np.float64], labels: Sequence[str]) -> None:
    """Draw each class, the most frequent first, and its name below the map."""
    counts = sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))
    names = [name for name, _ in counts[:_MOST_CLASSES]]
    classes = np.array([label if label in names else _REST for label in labels], object)
    if len(counts) > _MOST_CLASSES:
        _scatter(axes, points[classes == _REST], style.GRID_COLOUR, "o", _REST)
    palette = (*style.TRACK_COLOURS, style.NEW_COLOUR)
    for number, name in enumerate(names):
        mark = _MARKS[number % len(_MARKS)]
        colour = palette[number % len(palette)]
        _scatter(axes, points[classes == name], colour, mark, f"{name} ({dict(counts)[name]})")
    _finish(axes)


def _draw_halves(axes: "Axes", points: NDArray[np.float64], halves: NDArray[np.int64]) -> None:
    _scatter(axes, points[halves == 0], style.GRID_COLOUR, "o", "not in the control")
    _scatter(axes, points[halves == 1], style.TRACK_COLOURS[0], "o", "first half")
    _scatter(axes, points[halves == 2], style.NEW_COLOUR, "^", "second half")
    _finish(axes)


def _scatter(axes: "Axes", points: NDArray[np.float64], colour: str, mark: str, label: str) -> None:
    if len(points):
        axes.scatter(
            points[:, 0], points[:, 1], s=20, c=colour, marker=mark, alpha=0.8, linewidths=0,
            label=label.replace("$", r"\$"),
        )  # fmt: skip


def _finish(axes: "Axes") -> None:
    """Take away the axes, whose numbers mean nothing, and put the legend below."""
    style.style_axes(axes, grid=None)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="box")
    longest = max((len(text) for text in axes.get_legend_handles_labels()[1]), default=0)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3 if longest <= _NARROW else 2, frameon=False, fontsize=8,
        labelcolor=style.INK, markerscale=1.3, handletextpad=0.2, columnspacing=1.0,
    )  # fmt: skip
