"""Piano rolls: every track in its own lane, the region and the new notes marked.

All notes of a kind are one collection, so a picture of 20,000 notes takes well under a second
and a half. Times are ticks; the caller gives the ticks at which bars begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segue.errors import SettingError
from segue.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PITCH_CLASS_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
BLACK_KEYS = (1, 3, 6, 8, 10)
# The General MIDI percussion map, shortened to fit beside a row.
DRUM_NAMES = {
    35: "Kick 2", 36: "Kick", 37: "Side stick", 38: "Snare", 39: "Clap", 40: "Snare 2",
    41: "Low tom 2", 42: "Closed hat", 43: "Low tom", 44: "Pedal hat", 45: "Mid tom 2",
    46: "Open hat", 47: "Mid tom", 48: "High tom 2", 49: "Crash", 50: "High tom", 51: "Ride",
    52: "China", 53: "Ride bell", 54: "Tambourine", 55: "Splash", 56: "Cowbell", 57: "Crash 2",
    59: "Ride 2", 60: "Bongo high", 61: "Bongo low", 62: "Conga mute", 63: "Conga high",
    64: "Conga low", 69: "Cabasa", 70: "Maracas", 75: "Claves", 80: "Triangle mute",
    81: "Triangle",
}  # fmt: skip

BAR_STEPS = (1, 2, 4, 8, *(m * 10**e for e in range(1, 12) for m in (1, 2, 5)))
LANE_GAP_ROWS = 3.0
MIN_LANE_ROWS = 13
MIN_DRUM_ROWS = 6
DRUM_ROW_HEIGHT = 1.6
MAX_LANES_TWICE = 6
MIN_NOTE_PIXELS = 2.2
FIGURE_WIDTH_IN = 13.0
MAX_FIGURE_HEIGHT_IN = 40.0


@dataclass(frozen=True)
class Notes:
    """Notes as parallel arrays `[notes]`.

    Attributes:
        track: index of the lane each note belongs to.
        pitch: MIDI pitch, 0 to 127; in a drum lane the drum's number.
        velocity: 1 to 127; loud notes are drawn darker.
        onset_ticks: when each note starts.
        duration_ticks: how long it sounds; zero is drawn as a thin line.
        is_new: which notes are drawn in the highlight colour; None for none of them.
    """

    track: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    onset_ticks: np.ndarray
    duration_ticks: np.ndarray
    is_new: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pitch)

    @property
    def new(self) -> np.ndarray:
        """Which notes are new, as a boolean array `[notes]`."""
        return np.zeros(len(self), bool) if self.is_new is None else self.is_new

    def select(self, keep: np.ndarray) -> "Notes":
        """Return the notes at the indices, or under the mask, `keep`."""
        return Notes(
            self.track[keep],
            self.pitch[keep],
            self.velocity[keep],
            self.onset_ticks[keep],
            self.duration_ticks[keep],
            is_new=self.new[keep],
        )


@dataclass(frozen=True)
class Lane:
    """A track of the picture: its name, and whether its pitches are drums."""

    name: str
    is_drum: bool = False


@dataclass(frozen=True)
class Span:
    """The marked region: `start_ticks` to `end_ticks`, in these lanes (None: in all)."""

    start_ticks: float
    end_ticks: float
    lanes: tuple[int, ...] | None = None
    label: str = ""


@dataclass(frozen=True)
class _Rows:
    """Where a lane lies on the y axis: row 0 at `base`, then one row a pitch or a drum."""

    lane: int
    base: float
    pitches: np.ndarray  # the pitch of each row, ascending
    has_notes: bool
    row_height: float

    @property
    def top(self) -> float:
        return self.base + len(self.pitches) * self.row_height

    def y(self, pitch: np.ndarray) -> np.ndarray:
        return self.base + np.searchsorted(self.pitches, pitch) * self.row_height


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch, such as "C4" for 60."""
    return f"{PITCH_CLASS_NAMES[pitch % 12]}{pitch // 12 - 1}"


def piano_roll(
    notes: Notes,
    *,
    lanes: Sequence[Lane],
    bar_ticks: np.ndarray,
    region: Span | None = None,
    ghost: Notes | None = None,
    before: Notes | None = None,
    view: tuple[float, float] | None = None,
    first_bar: int = 1,
    title: str = "",
) -> "Figure":
    """Draw a piano roll with one lane per track.

    Args:
        notes: what is drawn; those with `is_new` in the highlight colour.
        lanes: the tracks, from top to bottom.
        bar_ticks: ticks `[bars + 1]` at which bars start, and the end of the last one.
        region: shaded between dashed lines.
        ghost: replaced notes, drawn as grey outlines behind the others.
        before: the notes of an upper panel, "before", above `notes`, "after".
        view: first and last tick to be seen; None shows everything.
        first_bar: the number of the bar that begins at `bar_ticks[0]`.
        title: set above the picture.

    Returns:
        A figure of 13 inches width whose height follows the number of tracks.

    Raises:
        SettingError: no lane, fewer than two bar ticks, or a note in a lane that is not there.
    """
    _check(notes, lanes=lanes, bar_ticks=bar_ticks)
    view = view or (float(bar_ticks[0]), float(bar_ticks[-1]))
    ghost = None if ghost is None else _within(ghost, view)
    drawn = [_within(part, view) for part in (before, notes) if part is not None]
    seen = [*drawn, ghost] if ghost is not None else drawn
    layouts = [_lay_out(range(len(lanes)), lanes, seen)]
    if before is not None:
        layouts.insert(0, _lay_out(_lanes_before(region, lanes), lanes, seen))
    figure, panels = _new_panels(layouts)
    panels[0].set_xlim(*view)
    for index, (axes, rows, part) in enumerate(zip(panels, layouts, drawn, strict=True)):
        is_last = index == len(drawn) - 1
        _draw_panel(axes, part, rows=rows, lanes=lanes, ghost=ghost if is_last else None)
        _draw_region(axes, region, rows=rows, show_label=index == 0)
        _draw_bars(axes, bar_ticks, first_bar=first_bar, region=region, show_numbers=is_last)
        _label_rows(axes, rows, lanes)
        if len(drawn) == 2:
            _name_panel(axes, ("Before", "After")[index])
    panels[-1].set_xlabel("Bar", fontsize=9, color=style.FAINT_INK, labelpad=16)
    _finish(figure, title=title, notes=notes, ghost=ghost, region=region)
    return figure


def _check(notes: Notes, *, lanes: Sequence[Lane], bar_ticks: np.ndarray) -> None:
    """Raise SettingError for what cannot be drawn."""
    if not lanes:
        raise SettingError("A piano roll needs at least one lane; none was given.")
    if len(bar_ticks) < 2:
        raise SettingError(
            f"A piano roll needs the start of the first bar and the end of the last; "
            f"{len(bar_ticks)} bar ticks were given."
        )
    if len(notes) and (notes.track.max() >= len(lanes) or notes.track.min() < 0):
        raise SettingError(
            f"There are {len(lanes)} lanes, but a note lies in lane {int(notes.track.max())}. "
            f"Give one lane per track."
        )


def _within(notes: Notes, view: tuple[float, float]) -> Notes:
    """Return the notes that sound somewhere in the view."""
    ends = notes.onset_ticks + np.maximum(notes.duration_ticks, 1)
    return notes.select((notes.onset_ticks < view[1]) & (ends > view[0]))


def _lanes_before(region: Span | None, lanes: Sequence[Lane]) -> Sequence[int]:
    """Return the lanes of the upper panel: where there are many, only those of the region."""
    if region is None or region.lanes is None or len(lanes) <= MAX_LANES_TWICE:
        return range(len(lanes))
    return sorted(region.lanes)


def _lay_out(shown: Sequence[int], lanes: Sequence[Lane], parts: Sequence[Notes]) -> list[_Rows]:
    """Stack the lanes `shown`, the first on top, each as high as the pitches it holds."""
    rows: list[_Rows] = []
    base = 0.0
    for index in reversed(shown):
        used = np.unique(np.concatenate([part.pitch[part.track == index] for part in parts]))
        row_height = DRUM_ROW_HEIGHT if lanes[index].is_drum and len(used) else 1.0
        pitches = _row_pitches(used.astype(int), lanes[index])
        rows.append(_Rows(index, base, pitches, bool(len(used)), row_height))
        base = rows[-1].top + LANE_GAP_ROWS
    return rows[::-1]


def _row_pitches(used: np.ndarray, lane: Lane) -> np.ndarray:
    """Return the pitch of each row: every semitone of the range, or only the drums in use."""
    if not len(used):
        return np.arange(60, 60 + MIN_DRUM_ROWS)
    if lane.is_drum:
        spare = [pitch for pitch in (36, 38, 42, 46, 49, 51) if pitch not in used]
        missing = spare[: max(0, MIN_DRUM_ROWS - len(used))]
        return np.unique(np.concatenate([used, np.array(missing, int)]))
    low, high = int(used[0]) - 1, int(used[-1]) + 1
    lacking = max(0, MIN_LANE_ROWS - (high - low + 1))
    low -= lacking // 2
    return np.arange(low, max(high, low + MIN_LANE_ROWS - 1) + 1)


def _panel_height(rows: Sequence[_Rows]) -> float:
    """Return the height of a panel in inches: generous for few rows, dense for many."""
    total = rows[0].top + LANE_GAP_ROWS
    row_in = float(np.interp(total, [20, 60, 150, 500], [0.11, 0.075, 0.05, 0.027]))
    return max(1.6, total * row_in, 0.42 * len(rows))


def _new_panels(layouts: Sequence[list[_Rows]]) -> tuple["Figure", list["Axes"]]:
    """Return a figure with one panel per layout, sharing the time axis, margins set in inches."""
    heights = [_panel_height(rows) for rows in layouts]
    height = min(sum(heights) + 1.1 + 0.5 * (len(heights) - 1), MAX_FIGURE_HEIGHT_IN)
    figure = style.new_figure(FIGURE_WIDTH_IN, height)
    panels = figure.subplots(
        len(layouts), 1, sharex=True, squeeze=False,
        gridspec_kw={
            "height_ratios": heights, "left": 2.15 / FIGURE_WIDTH_IN,
            "right": 1 - 0.2 / FIGURE_WIDTH_IN, "bottom": 0.5 / height, "top": 1 - 0.6 / height,
            "hspace": 0.45 * len(heights) / sum(heights),
        },
    )[:, 0]  # fmt: skip
    return figure, list(panels)


def _draw_panel(
    axes: "Axes",
    notes: Notes,
    *,
    rows: Sequence[_Rows],
    lanes: Sequence[Lane],
    ghost: Notes | None,
) -> None:
    """Draw the lanes' paper, then the replaced, the kept and the new notes above each other."""
    style.style_axes(axes, grid=None)
    axes.set_ylim(-LANE_GAP_ROWS / 2, rows[0].top + LANE_GAP_ROWS / 2)
    _draw_paper(axes, rows, lanes)
    if ghost is not None:
        _add_boxes(axes, ghost, rows=rows, edge=style.GHOST_COLOUR, zorder=2.5)
    kept = notes.select(~notes.new)
    for row in rows:
        colour = style.track_colour(row.lane, is_drum=lanes[row.lane].is_drum)
        _add_boxes(axes, kept.select(kept.track == row.lane), rows=[row], face=colour)
    fresh = notes.select(notes.new)
    _add_boxes(axes, fresh, rows=rows, face=style.NEW_COLOUR, edge=style.NEW_EDGE, zorder=4)


def _draw_paper(axes: "Axes", rows: Sequence[_Rows], lanes: Sequence[Lane]) -> None:
    """Paint the lanes: darker stripes where a keyboard has black keys, names at the left."""
    from matplotlib.collections import PolyCollection

    stripes: list[tuple[float, float]] = []
    for row in rows:
        is_drum, index = lanes[row.lane].is_drum, np.arange(len(row.pitches))
        dark = index % 2 == 1 if is_drum else np.isin(row.pitches % 12, BLACK_KEYS)
        edges = row.base + np.arange(len(row.pitches) + 1) * row.row_height
        stripes += [(edges[i], edges[i + 1]) for i in index[dark & row.has_notes]]
        name = " ".join(lanes[row.lane].name.split())
        axes.text(
            -0.062, (row.base + row.top) / 2, name if len(name) <= 18 else name[:17] + "…",
            color=style.track_colour(row.lane, is_drum=is_drum), fontsize=9 if len(name) <= 14 else 8, fontweight="bold",
            ha="right", va="center", transform=axes.get_yaxis_transform(), clip_on=False,
            parse_math=False,
        )  # fmt: skip
    papers = [(row.base, row.top) for row in rows]
    for bands, colour, zorder in ((papers, style.SHADE, 0.0), (stripes, style.STRIPE, 0.1)):
        corners = [[(0, low), (0, high), (1, high), (1, low)] for low, high in bands]
        axes.add_collection(
            PolyCollection(
                corners, facecolors=colour, edgecolors="none", zorder=zorder,
                transform=axes.get_yaxis_transform(),
            ),
            autolim=False,
        )  # fmt: skip


def _add_boxes(
    axes: "Axes",
    notes: Notes,
    *,
    rows: Sequence[_Rows],
    face: str = "",
    edge: str = "none",
    zorder: float = 3.0,
) -> None:
    """Add all of `notes` in `rows` as one collection; soft notes are mixed with white."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    notes = notes.select(np.isin(notes.track, [row.lane for row in rows]))
    if not len(notes):
        return
    low, high = np.zeros(len(notes)), np.zeros(len(notes))
    for row in rows:
        inside = notes.track == row.lane
        low[inside] = row.y(notes.pitch[inside]) + 0.04
        high[inside] = low[inside] + 0.92 * row.row_height
    faces: object = "none"
    if face:
        strength = 0.55 + 0.45 * np.clip(notes.velocity / 96.0, 0, 1)[:, None]
        faces = 1 - strength * (1 - np.array(to_rgb(face)))
    collection = PolyCollection(
        list(_corners(axes, notes, low, high)), facecolors=faces, edgecolors=edge, linewidths=0.8,
        zorder=zorder,
    )  # fmt: skip
    axes.add_collection(collection, autolim=False)


def _corners(axes: "Axes", notes: Notes, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the boxes `[notes, 4, 2]`: a hair's gap to the next note, never too thin to see."""
    view = axes.get_xlim()
    tick_pixels = axes.get_window_extent().width / (view[1] - view[0])
    width = notes.duration_ticks.astype(float)
    width = np.maximum(width - 0.7 / tick_pixels, MIN_NOTE_PIXELS / tick_pixels)
    start = notes.onset_ticks.astype(float)
    end = start + width
    corners = np.stack([start, low, start, high, end, high, end, low], axis=1)
    return corners.reshape(-1, 4, 2)


def _label_rows(axes: "Axes", rows: Sequence[_Rows], lanes: Sequence[Lane]) -> None:
    """Write pitch or drum names on the y axis, as many as can be read."""
    low, high = axes.get_ylim()
    height_in = axes.get_window_extent().height / axes.figure.dpi
    row_points = 72 * height_in / (high - low)
    places: list[float] = []
    names: list[str] = []
    for row in rows:
        spacing = max(1, int(np.ceil(7.0 / row_points / row.row_height)))
        for index in _labelled(row, lanes[row.lane], spacing=spacing):
            pitch = int(row.pitches[index])
            is_drum = lanes[row.lane].is_drum
            names.append(DRUM_NAMES.get(pitch, f"Drum {pitch}") if is_drum else pitch_name(pitch))
            places.append(row.base + (index + 0.5) * row.row_height)
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0, labelsize=6.5)


def _labelled(row: _Rows, lane: Lane, *, spacing: int) -> list[int]:
    """Return the rows of a lane that carry a label, at least `spacing` rows apart."""
    if not row.has_notes:
        return []
    if lane.is_drum:
        return list(range(0, len(row.pitches), spacing))
    wanted = np.flatnonzero(row.pitches % 12 == 0)
    if len(wanted) < 2:
        wanted = np.flatnonzero(np.isin(row.pitches % 12, (0, 7)))
    chosen: list[int] = []
    for index in wanted:
        if not chosen or index - chosen[-1] >= spacing:
            chosen.append(int(index))
    return chosen


def _draw_region(
    axes: "Axes", region: Span | None, *, rows: Sequence[_Rows], show_label: bool
) -> None:
    """Shade the region in its lanes and dash its borders through the whole panel."""
    from matplotlib.patches import Rectangle

    if region is None:
        return
    width = region.end_ticks - region.start_ticks
    for row in rows:
        if region.lanes is None or row.lane in region.lanes:
            box = Rectangle(
                (region.start_ticks, row.base), width, row.top - row.base,
                facecolor=style.REGION_COLOUR, alpha=0.24, edgecolor="none", zorder=1,
            )  # fmt: skip
            axes.add_patch(box)
    for tick in (region.start_ticks, region.end_ticks):
        axes.axvline(tick, color=style.NEW_COLOUR, linewidth=1.2, dashes=(4, 3), zorder=3.5)
    if show_label and region.label:
        axes.text(
            (region.start_ticks + region.end_ticks) / 2, 1.012, region.label, ha="center",
            va="bottom", color=style.NEW_COLOUR, fontsize=9, fontweight="bold",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _draw_bars(
    axes: "Axes",
    bar_ticks: np.ndarray,
    *,
    first_bar: int,
    region: Span | None,
    show_numbers: bool,
) -> None:
    """Draw bar lines and number them, every second, fourth ... bar where space is short."""
    from matplotlib.collections import LineCollection

    view = axes.get_xlim()
    seen = np.flatnonzero((bar_ticks >= view[0]) & (bar_ticks <= view[1]))
    step = next(step for step in BAR_STEPS if len(seen) <= 33 * step)
    offset = 1 if step < 10 else 0
    strong = seen[(seen + first_bar - offset) % step == 0]
    low, high = axes.get_ylim()
    lines = [[(bar_ticks[bar], low), (bar_ticks[bar], high)] for bar in strong]
    axes.add_collection(
        LineCollection(lines, colors="#C3C8CE", linewidths=0.8, zorder=1.5), autolim=False
    )
    numbered = [bar for bar in strong if bar < len(bar_ticks) - 1 and bar_ticks[bar] < view[1]]
    axes.set_xticks([])
    for bar in numbered if show_numbers else ():
        inside = region is not None and region.start_ticks <= bar_ticks[bar] < region.end_ticks
        axes.annotate(
            str(bar + first_bar), (float(bar_ticks[bar]), 0), (0, -5), ha="center", va="top",
            xycoords=axes.get_xaxis_transform(), textcoords="offset points", fontsize=8.5,
            color=style.NEW_COLOUR if inside else style.FAINT_INK,
            fontweight="bold" if inside else "normal", annotation_clip=False,
        )  # fmt: skip


def _name_panel(axes: "Axes", name: str) -> None:
    """Write "Before" or "After" above the left corner of a panel."""
    axes.text(
        0.0, 1.012, name, fontsize=9.5, fontweight="bold", color=style.INK, va="bottom",
        transform=axes.transAxes,
    )  # fmt: skip


def _finish(
    figure: "Figure", *, title: str, notes: Notes, ghost: Notes | None, region: Span | None
) -> None:
    """Add title and legend and set the margins, which are in inches whatever the height."""
    from matplotlib.patches import Patch

    width, height = figure.get_size_inches()
    if title:
        figure.text(
            0.2 / width, 1 - 0.16 / height, title, fontsize=12.5, fontweight="bold",
            color=style.INK, va="top", parse_math=False,
        )  # fmt: skip
    handles = []
    if notes.new.any():
        handles.append(
            Patch(facecolor=style.NEW_COLOUR, edgecolor=style.NEW_EDGE, label="New notes")
        )
        handles.append(Patch(facecolor=style.TRACK_COLOURS[0], label="Notes that stay"))
    if ghost is not None and len(ghost):
        handles.append(
            Patch(facecolor="none", edgecolor=style.GHOST_COLOUR, label="Replaced notes")
        )
    if region is not None:
        handles.append(Patch(facecolor=style.REGION_COLOUR, alpha=0.35, label="Region"))
    if handles:
        figure.legend(
            handles=handles, loc="upper right", ncols=len(handles), frameon=False, fontsize=8.5,
            bbox_to_anchor=(1 - 0.15 / width, 1 - 0.06 / height), labelcolor=style.INK,
        )  # fmt: skip
