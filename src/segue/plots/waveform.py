"""Waveform and spectrogram of a recording, what is new in it marked."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE_SIZE_IN = (11.0, 5.6)
RANGE_DB = 80.0
"""What lies this far below the loudest spot is drawn like silence."""

_LOWEST_HZ = 40.0
_MARKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
_PICTURE_ROWS = 300

Values = NDArray[np.floating]


def waveform(
    low: Values,
    high: Values,
    decibels: Values,
    *,
    seconds: float,
    highest_hz: float,
    new: Sequence[tuple[float, float]] = (),
    title: str = "",
) -> "style.Figure":
    """Draw a waveform above a spectrogram with a logarithmic frequency axis.

    Args:
        low: smallest sample of each column of the picture. Shape ``columns``.
        high: largest sample likewise.
        decibels: power spectra, rows evenly from 0 to `highest_hz`. Shape ``rows columns``.
        seconds: duration of all columns together.
        highest_hz: half the sample rate.
        new: spans in seconds that are marked.
        title: set above the picture.

    Raises:
        SettingError: there are no columns, or the arrays do not fit each other.

    Example:
        >>> flat = np.zeros(100, np.float32)
        >>> figure = waveform(
        ...     flat, flat, np.full((65, 100), -90, np.float32), seconds=1, highest_hz=8000
        ... )
        >>> len(figure.axes)
        2
    """
    if not len(low) or not len(low) == len(high) == decibels.shape[-1] or len(decibels) < 2:
        raise SettingError(
            f"A waveform needs as many low, high and spectra; given were {len(low)}, {len(high)} and "
            f"the shape {decibels.shape}."
        )
    figure = style.new_figure(*FIGURE_SIZE_IN)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    edges = np.linspace(0, seconds, len(low) + 1)
    _draw_wave(above, edges, low, high, new)
    _draw_spectra(below, decibels, seconds, highest_hz)
    for start, stop in new:
        for edge in (start, stop):
            below.axvline(edge, color=style.NEW_COLOUR, linewidth=1.2)
    above.set_xlim(0, seconds)
    style.set_titles(above, title=title, y_label="amplitude")
    style.set_titles(below, x_label="seconds", y_label="hertz")
    figure.tight_layout()
    return figure


def _draw_wave(
    axes: "Axes",
    edges: Values,
    low: Values,
    high: Values,
    new: Sequence[tuple[float, float]],
) -> None:
    """Fill what lies between the smallest and the largest samples; new columns in their colour."""
    style.style_axes(axes)
    centres = (edges[:-1] + edges[1:]) / 2
    thin = np.maximum(high, low + 0.004)
    is_new = np.zeros(len(low), bool)
    for start, stop in new:
        axes.axvspan(start, stop, color=style.REGION_COLOUR, alpha=0.18, linewidth=0)
        is_new |= (centres >= start) & (centres < stop)
    for chosen, colour, label in (
        (~is_new, style.TRACK_COLOURS[0], "kept"),
        (is_new, style.NEW_COLOUR, "new"),
    ):
        if chosen.any():
            axes.fill_between(
                centres, low, thin, where=chosen, step="mid", color=colour, linewidth=0, label=label
            )
    if new and not is_new.all():
        axes.legend(loc="upper right", frameon=False, fontsize=8.5, ncols=2)
    axes.set_ylim(-1.02, 1.02)


def _draw_spectra(axes: "Axes", decibels: Values, seconds: float, highest_hz: float) -> None:
    """Draw power spectra as shades, the loudest spot brightest, an octave everywhere as high."""
    style.style_axes(axes, grid=None)
    lowest_hz = min(_LOWEST_HZ, highest_hz / 4)
    heights = np.geomspace(lowest_hz, highest_hz, _PICTURE_ROWS)
    place = heights / highest_hz * (len(decibels) - 1)
    below = np.minimum(place.astype(int), len(decibels) - 2)
    share = (place - below)[:, None]
    picture = decibels[below] * (1 - share) + decibels[below + 1] * share
    top = max(float(decibels.max()), -60.0)
    axes.imshow(
        picture,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - RANGE_DB,
        vmax=top,
        extent=(0, seconds, math.log10(lowest_hz), math.log10(highest_hz)),
    )
    marks = [hertz for hertz in _MARKS_HZ if lowest_hz <= hertz <= highest_hz]
    axes.set_yticks(np.log10(marks), [f"{hertz:,}" for hertz in marks])
