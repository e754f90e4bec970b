"""Spectra, trees and maps show the numbers that they are given."""

import numpy as np
import pytest

from segue.errors import SettingError
from segue.plots.collection import png_bytes
from segue.plots.sound_collection import Band, Branch, spectrum_figure, tree_figure, world_figure


def test_a_spectrum_has_a_line_a_range_and_says_where_files_end() -> None:
    bands = [
        Band("1k", -12, -10, -8, 5),
        Band("2k", -22, -20, -18, 5),
        Band("4k", -32, -30, -28, 2),
    ]
    axes = spectrum_figure(bands, title="T").axes[0]
    assert axes.lines[0].get_ydata().tolist() == [-10, -20, -30]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1k", "2k", "4k"]
    assert [text.get_text() for text in axes.texts] == ["from here 2\nof 5 files"]
    assert not spectrum_figure(bands[:2]).axes[0].texts


def test_a_tree_is_indented_and_the_first_is_on_top() -> None:
    long = "a genre $x$ with a name that is far too long for any picture"
    figure = tree_figure([Branch("Rock", 0, 9, "9"), Branch(long, 1, 4, "4")])
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [9, 4]
    assert axes.patches[0].get_y() > axes.patches[1].get_y()
    root, end, child, _ = axes.texts
    assert child.get_position()[0] > root.get_position()[0]
    assert (root.get_text(), end.get_text()) == ("Rock", "9")
    assert child.get_text().startswith(r"a genre \$x\$")
    assert len(child.get_text()) < len(long)


def test_names_and_bars_of_a_tree_do_not_overlap() -> None:
    figure = tree_figure([Branch("W" * 60, 2, 3, "3"), Branch("i", 0, 2, "2")])
    png_bytes(figure)
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    assert axes.texts[0].get_window_extent(renderer).x1 <= axes.get_window_extent().x0


def test_a_map_has_its_cells_where_they_are_on_a_logarithmic_scale() -> None:
    axes = world_figure({(44, 4): 1000, (-34, 150): 1}, cell_degrees=2, label="Artists").axes[0]
    mesh = next(part for part in axes.collections if part.get_array() is not None)
    counts = np.ma.filled(mesh.get_array().reshape(90, 180), 0)
    assert counts[67, 92] == 1000
    assert counts[28, 165] == 1
    assert counts.sum() == 1001
    assert type(mesh.norm).__name__ == "LogNorm"
    assert len(axes.collections) == 3


def test_empty_pictures() -> None:
    assert png_bytes(world_figure({}, cell_degrees=2)).startswith(b"\x89PNG")
    with pytest.raises(SettingError):
        tree_figure([])
    with pytest.raises(SettingError):
        spectrum_figure([])
