"""Pictures with their tables: made of what was counted, shown on a page and kept as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from segue.core.counts import nice_width, percent, quantile
from segue.core.files import write_bytes
from segue.core.report import Cell, Page
from segue.core.tables import write_csv
from segue.plots.collection import histogram, png_bytes, ranked_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS_SHOWN: Final = 15
"""Rows of a table that a page shows; its file has all."""
BARS_DRAWN: Final = 25
"""Bars of a picture; its table has all."""

_BINS = 40
_TAIL: Final = 0.98
_LONGEST_TEXT = 90


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A picture with its table.

    Attributes:
        name: of the files, without ending.
        heading: of its section on the page.
        text: what is counted, and how.
        figure: the picture.
        alt: the picture in words.
        header, rows: the table, most frequent first where its rows are names.
        shown: rows of the table that the page shows; the file has all.
    """

    name: str
    heading: str
    text: str
    figure: "Figure"
    alt: str
    header: tuple[str, ...]
    rows: list[list[Cell]]
    shown: int = ROWS_SHOWN


def bars_exhibit(
    name: str,
    heading: str,
    text: str,
    counted: Sequence[tuple[str, int]] | Sequence[tuple[str, float]],
    *,
    whole: float,
    x_label: str,
    header: tuple[str, ...],
    rows: list[list[Cell]] | None = None,
    colours: Mapping[str, str] | None = None,
    texts: Sequence[str] | None = None,
) -> Exhibit:
    """Make an exhibit of names and how often they occur.

    Args:
        name: see `Exhibit`.
        heading: see there.
        text: see there.
        header: see there.
        counted: names with their counts, in the order of the picture.
        whole: what shares are taken of.
        x_label: what is counted.
        rows: the table; names, counts and shares where None.
        colours: colour of some of the bars, by name.
        texts: what stands at the end of each bar; count and share where None.
    """
    drawn = counted[:BARS_DRAWN]
    title = heading if len(drawn) == len(counted) else f"{heading}: the {len(drawn)} at the top"
    ends = [f"{count:,}  ({percent(count, whole)})" for _, count in drawn]
    figure = ranked_bars(
        [key for key, _ in drawn],
        [count for _, count in drawn],
        title=title,
        x_label=x_label,
        texts=texts[: len(drawn)] if texts is not None else ends,
        colours=colours,
    )
    first = "; ".join(f"{key}: {count:,}" for key, count in drawn[:5])
    alt = f"Bars of {heading.lower()}. {first}."
    if rows is None:
        rows = [[key, count, percent(count, whole)] for key, count in counted]
    return Exhibit(name, heading, text, figure, alt, header, rows)


def histogram_exhibit(
    name: str,
    heading: str,
    text: str,
    counts: Mapping[str, int],
    *,
    labels: tuple[str, str],
    width: float | None = None,
    tail: float = _TAIL,
) -> Exhibit:
    """Make an exhibit of numbers and how often they occur."""
    numbers = {float(key): float(count) for key, count in counts.items()} or {0.0: 0.0}
    present = dict(counts) or {"0": 1}
    top = quantile(present, tail)
    width = width or nice_width(top / _BINS, whole=all("." not in key for key in counts))
    median = quantile(present, 0.5)
    figure = histogram(
        numbers,
        title=heading,
        x_label=labels[0],
        y_label=labels[1],
        width=width,
        top=top,
        marks={"median": median},
    )
    alt = (
        f"Histogram of {heading.lower()}. Median {median:g}, nine in ten between "
        f"{quantile(present, 0.05):g} and {quantile(present, 0.95):g}."
    )
    rows: list[list[Cell]] = [
        [f"{value:g}", int(count)] for value, count in sorted(numbers.items())
    ]
    return Exhibit(name, heading, text, figure, alt, labels, rows, shown=0)


def show_exhibit(exhibit: Exhibit, page: Page, result: Path) -> None:
    """Put an exhibit on the page, and its picture and table into files."""
    png = png_bytes(exhibit.figure)
    write_bytes(result / "pictures" / f"{exhibit.name}.png", png)
    write_csv(result / "tables" / f"{exhibit.name}.csv", exhibit.header, exhibit.rows)
    page.heading(exhibit.heading)
    page.text(exhibit.text)
    page.picture(png, alt=exhibit.alt)
    if exhibit.shown:
        cut = len(exhibit.rows) > exhibit.shown
        caption = f"The first {exhibit.shown} of {len(exhibit.rows):,}." if cut else ""
        rows = [[_cut(cell) for cell in row] for row in exhibit.rows[: exhibit.shown]]
        page.table(rows, header=exhibit.header, caption=caption)


def _cut(cell: Cell) -> Cell:
    """Shorten a long text, such as a token that stands for a whole bar."""
    if not isinstance(cell, str) or len(cell) <= _LONGEST_TEXT:
        return cell
    return f"{cell[: _LONGEST_TEXT // 2]} … {cell[-_LONGEST_TEXT // 2 :]}"
