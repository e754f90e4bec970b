"""One look for every picture: colours that colour-blind readers can tell apart, quiet axes.

Figures are made with `matplotlib.figure.Figure` and the Agg canvas, never with pyplot: nothing
global is touched, nothing needs a display, nothing has to be closed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure  # noqa: PLC0414 - callers name the type

# After the palettes of Okabe and Ito (2008) and of Paul Tol ("muted"), reordered so that
# neighbours differ in lightness as well as in hue. Vermilion is kept for what is new.
TRACK_COLOURS = (
    "#0072B2",  # blue
    "#117733",  # green
    "#AA4499",  # purple
    "#2A9D8F",  # teal
    "#332288",  # indigo
    "#7A8B2A",  # olive
    "#4A90D9",  # sky
    "#7B4B94",  # violet
)
DRUM_COLOUR = "#5B6470"
NEW_COLOUR = "#D55E00"
NEW_EDGE = "#6E2F00"
REGION_COLOUR = "#F4A259"
GHOST_COLOUR = "#6F7782"
INK = "#22262B"
FAINT_INK = "#6B727B"
GRID_COLOUR = "#D9DCE0"
PAPER = "#FFFFFF"
SHADE = "#F3F4F6"
STRIPE = "#E8EAED"


def track_colour(index: int, *, is_drum: bool = False) -> str:
    """Return the colour of the track with this index; the palette repeats after eight."""
    return DRUM_COLOUR if is_drum else TRACK_COLOURS[index % len(TRACK_COLOURS)]


def new_figure(width_in: float, height_in: float, *, dpi: int = 110) -> "Figure":
    """Return an empty figure of this size in inches with an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=dpi, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: "Axes", *, grid: str | None = "y") -> None:
    """Quieten `axes`: no box, small grey ticks, and a faint grid along "x", "y", "both" or None."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID_COLOUR)
    axes.tick_params(colors=FAINT_INK, labelsize=8.5, length=3, color=GRID_COLOUR)
    axes.set_axisbelow(True)
    if grid in {"both", "x"}:
        axes.xaxis.grid(visible=True, color=GRID_COLOUR, linewidth=0.7)
    if grid in {"both", "y"}:
        axes.yaxis.grid(visible=True, color=GRID_COLOUR, linewidth=0.7)


def set_titles(axes: "Axes", *, title: str = "", x_label: str = "", y_label: str = "") -> None:
    """Set the title (left, bold) and the axis labels in the house's sizes and colours."""
    title_style: dict[str, Any] = {"fontsize": 11.5, "fontweight": "bold", "color": INK}
    if title:
        axes.set_title(title, loc="left", pad=10, **title_style)
    if x_label:
        axes.set_xlabel(x_label, fontsize=9, color=FAINT_INK)
    if y_label:
        axes.set_ylabel(y_label, fontsize=9, color=FAINT_INK)
