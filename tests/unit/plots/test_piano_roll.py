"""The picture holds what it should, at the right places, in few artists."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from segue.errors import SettingError
from segue.plots import style
from segue.plots.piano_roll import Lane, Notes, Span, piano_roll, pitch_name

BARS = np.arange(0, 17 * 480, 480)


def make_notes(num: int = 64, *, num_tracks: int = 2, new: bool = False) -> Notes:
    """Notes on a grid, all tracks in turn."""
    index = np.arange(num)
    onset = index * 120 % int(BARS[-1])
    is_new = (onset >= 960) & (onset < 1920) & (index % num_tracks == 0) if new else None
    return Notes(
        index % num_tracks, 50 + index % 24, 40 + index % 80, onset, np.full(num, 100), is_new
    )


def texts_of(figure: Figure) -> list[str]:
    """All words of the figure."""
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    ticks = [tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels()]
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    return legends + ticks + inside + [text.get_text() for text in figure.texts]


def boxes_of(figure: Figure, *, colour: str | None = None, edge: str | None = None) -> int:
    """How many note boxes are drawn, of one face or edge colour where given."""
    count = 0
    for collection in (c for axes in figure.axes for c in axes.collections):
        if not isinstance(collection, PolyCollection) or collection.get_zorder() < 2:
            continue
        faces, edges = collection.get_facecolor(), collection.get_edgecolor()
        if colour is not None and (not len(faces) or not tint_of(faces[0], colour)):
            continue
        if edge is not None and (not len(edges) or not np.allclose(edges[0][:3], to_rgb(edge))):
            continue
        count += len(collection.get_paths())
    return count


def tint_of(face: np.ndarray, colour: str) -> bool:
    """Whether a face is the colour mixed with white."""
    depth, full = 1 - face[:3], 1 - np.array(to_rgb(colour))
    return bool(np.allclose(depth / depth.max(), full / full.max(), atol=0.02))


def test_every_note_is_drawn_once_in_the_colour_of_its_track() -> None:
    figure = piano_roll(make_notes(), lanes=[Lane("One"), Lane("Two")], bar_ticks=BARS)
    assert boxes_of(figure) == 64
    assert boxes_of(figure, colour=style.track_colour(0)) == 32
    assert boxes_of(figure, colour=style.track_colour(1)) == 32


def test_new_notes_have_the_highlight_colour_and_the_old_ones_an_outline() -> None:
    notes = make_notes(new=True)
    figure = piano_roll(
        notes, lanes=[Lane("One"), Lane("Two")], bar_ticks=BARS, ghost=notes.select(notes.new),
        region=Span(960, 1920, (0,), "Bars 3–4"), title="A title",
    )  # fmt: skip
    num_new = int(notes.new.sum())
    assert num_new > 0
    assert boxes_of(figure, colour=style.NEW_COLOUR) == num_new
    assert boxes_of(figure, edge=style.GHOST_COLOUR) == num_new
    assert boxes_of(figure) == 64 + num_new
    wanted = {"One", "Two", "A title", "Bars 3–4", "New notes", "Replaced notes", "Region"}
    assert wanted <= set(texts_of(figure))


def test_the_region_is_shaded_in_its_lanes_only_between_dashed_lines() -> None:
    figure = piano_roll(
        make_notes(), lanes=[Lane("One"), Lane("Two")], bar_ticks=BARS,
        region=Span(960, 1920, (1,), ""),
    )  # fmt: skip
    axes = figure.axes[0]
    assert [(p.get_x(), p.get_width()) for p in axes.patches] == [(960, 960)]
    assert sorted(line.get_xdata()[0] for line in axes.lines) == [960, 1920]
    assert axes.patches[0].get_y() < axes.get_ylim()[1] / 2


def test_the_view_cuts_notes_and_numbers_bars() -> None:
    figure = piano_roll(
        make_notes(), lanes=[Lane("One"), Lane("Two")], bar_ticks=BARS, view=(480, 1440),
        first_bar=10,
    )  # fmt: skip
    axes = figure.axes[0]
    assert axes.get_xlim() == (480, 1440)
    assert boxes_of(figure) == 8
    assert [text for text in texts_of(figure) if text.isdigit()] == ["11", "12"]


def test_drums_have_rows_with_names() -> None:
    drums = Notes(*(np.array(x) for x in ([0, 0, 0], [36, 38, 42], [90] * 3, [0, 9, 20], [5] * 3)))
    figure = piano_roll(drums, lanes=[Lane("Drums", is_drum=True)], bar_ticks=BARS)
    assert {"Kick", "Snare", "Closed hat"} <= set(texts_of(figure))


def test_two_panels_and_only_the_lanes_of_the_region_above_where_there_are_many() -> None:
    lanes = [Lane(f"Track {i}") for i in range(9)]
    notes = make_notes(200, num_tracks=9, new=True)
    figure = piano_roll(
        notes, lanes=lanes, bar_ticks=BARS, before=make_notes(200, num_tracks=9),
        region=Span(960, 1920, (0, 4), ""),
    )  # fmt: skip
    upper, lower = figure.axes
    names = [
        [t.get_text() for t in axes.texts if "Track" in t.get_text()] for axes in (upper, lower)
    ]
    assert names == [["Track 0", "Track 4"], [lane.name for lane in lanes]]
    assert {"Before", "After"} <= set(texts_of(figure))


@pytest.mark.parametrize("num_tracks", [1, 20])
def test_many_notes_make_few_artists(num_tracks: int) -> None:
    lanes = [Lane(f"Track {i}") for i in range(num_tracks)]
    figure = piano_roll(make_notes(20_000, num_tracks=num_tracks), lanes=lanes, bar_ticks=BARS)
    assert boxes_of(figure) == 20_000
    assert len(figure.findobj()) < 1000
    assert figure.get_size_inches()[1] < 25
    figure.canvas.draw()


def test_no_note_is_too_thin_to_see() -> None:
    notes = make_notes(4, num_tracks=1)
    thin = Notes(notes.track, notes.pitch, notes.velocity, notes.onset_ticks, np.zeros(4, int))
    figure = piano_roll(thin, lanes=[Lane("One")], bar_ticks=np.arange(0, 400 * 480, 480))
    axes = figure.axes[0]
    notes_drawn = next(c for c in axes.collections if c.get_zorder() == 3)
    width = np.ptp(notes_drawn.get_paths()[0].vertices[:, 0])
    assert width * axes.get_window_extent().width / np.ptp(axes.get_xlim()) > 2


def test_strange_names_do_not_break_the_picture() -> None:
    lanes = [Lane("$\\frac{$ _^ \n two"), Lane("x" * 300)]
    figure = piano_roll(make_notes(), lanes=lanes, bar_ticks=BARS, title="$bad\\math$")
    figure.canvas.draw()
    assert max(len(text.get_text()) for text in figure.axes[0].texts) < 25


@pytest.mark.parametrize(
    ("lanes", "bars", "word"),
    [([], BARS, "lane"), ([Lane("One")], BARS, "lane 1"), ([Lane("a"), Lane("b")], [0], "bar")],
)
def test_what_cannot_be_drawn_is_said(lanes: list[Lane], bars: np.ndarray, word: str) -> None:
    with pytest.raises(SettingError, match=word):
        piano_roll(make_notes(), lanes=lanes, bar_ticks=np.array(bars))


def test_pitch_names() -> None:
    assert [pitch_name(p) for p in (0, 60, 61, 69, 127)] == ["C-1", "C4", "C♯4", "A4", "G9"]


def test_empty_lanes_and_no_notes_at_all_are_drawn() -> None:
    none = make_notes().select(np.zeros(64, bool))
    figure = piano_roll(none, lanes=[Lane("One"), Lane("D", is_drum=True)], bar_ticks=BARS)
    figure.canvas.draw()
    assert boxes_of(figure) == 0


def test_pyplot_stays_unimported(fresh_modules: Callable[[str], set[str]]) -> None:
    code = (
        "import numpy as np\nfrom segue.plots.piano_roll import *\n"
        "z = np.zeros(1, int)\n"
        "piano_roll(Notes(z, z, z, z, z), lanes=[Lane('x')], bar_ticks=np.array([0, 9]))"
    )
    loaded = fresh_modules(code)
    assert "matplotlib.figure" in loaded
    assert "matplotlib.pyplot" not in loaded
    assert "matplotlib" not in fresh_modules("import segue.plots.piano_roll, segue.plots.curves")


@pytest.fixture
def fresh_modules() -> Callable[[str], set[str]]:
    """Run code in a process of its own and return the modules that it imported."""
    import subprocess
    import sys

    def run(code: str) -> set[str]:
        full = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", full], capture_output=True, text=True, check=True
        )
        return set(done.stdout.split())

    return run
