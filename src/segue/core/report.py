"""One HTML page that opens offline: words, tables, pictures and sounds in a single file.

The page asks for nothing from outside and runs no script; it follows the reader's light or dark
scheme, prints, and is built of the elements that a screen reader knows.
"""

import base64
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final, Literal, TypeAlias

from segue.core.files import write_bytes
from segue.errors import SettingError

Cell: TypeAlias = str | int | float | None
"""What stands in a table: a word, a number, a number with its interval as text, or nothing."""
Best: TypeAlias = Literal["low", "high"] | None
"""Which value of a column is the best: the lowest, the highest, or none is."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NUMBER: Final = re.compile(
    r"\s*([-+\u2212]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)\s*%?\s*(?:[\[(±].*)?"
)
_NOTHING: Final = "–"
_SECURITY: Final = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff;
  --line: #d5dae0; --band: #f4f6f8; --link: #0a5cad; --best: #e3f3e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9aa4af; --paper: #14171b;
  --line: #343b43; --band: #1d2227; --link: #7ab8ff; --best: #1d3a26; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word; }
a { color: var(--link); }
a:focus-visible, .wide:focus-visible, audio:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; }
h2 { margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line);
  font-size: 1.4rem; line-height: 1.3; }
h3 { margin: 0 0 .75rem; font-size: 1.05rem; }
p { margin: .75rem 0; max-width: 44rem; white-space: pre-line; }
.subtitle, figcaption, caption { color: var(--soft); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem; background: var(--paper); }
nav { margin: 1.5rem 0; padding: .75rem 1.25rem; background: var(--band); border-radius: .5rem; }
nav ol { margin: .25rem 0; padding-left: 1.5rem; columns: 16rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; caption-side: top; font-size: .92rem; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { background: var(--band); border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 500; min-width: 12rem; }
th.number, td.number { text-align: right; white-space: nowrap; }
td.best { background: var(--best); font-weight: 700; }
figure { margin: 1.25rem 0; }
figcaption { margin-top: .4rem; max-width: 44rem; font-size: .92rem; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: .35rem; }
audio { display: block; width: 100%; max-width: 26rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr));
  gap: 1rem; }
.row figure { margin: 0; }
.row figcaption { margin: 0 0 .35rem; color: var(--ink); font-weight: 600; }
.row img { margin-bottom: .5rem; }
article { margin: 1.25rem 0; padding: 1rem 1.25rem; border: 1px solid var(--line);
  border-radius: .5rem; }
@media print {
  :root { color-scheme: light; --ink: #000000; --soft: #333333; --paper: #ffffff; --line: #bbbbbb;
    --band: #ffffff; --link: #000000; --best: #eeeeee; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  audio, .skip { display: none; }
  h2, h3 { break-after: avoid; }
  figure, article, tr { break-inside: avoid; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
}
"""


@dataclass
class _Section:
    """A part of the page: its heading, its anchor and the finished elements under it."""

    heading: str
    anchor: str
    elements: list[str] = field(default_factory=list)


class Page:
    """A page that is filled from top to bottom and then saved.

    Every text is plain text: what looks like markup is shown as it stands.

    Example:
        >>> page = Page("Two models", subtitle="on 200 pieces")
        >>> page.heading("Likelihood")
        >>> page.table(
        ...     [["GRU", 1.31], ["GPT", 1.12]], header=["Model", "Nats per token"], best="low"
        ... )
        >>> '<td class="number best"><strong>1.12</strong></td>' in page.render()
        True
    """

    def __init__(self, title: str, *, subtitle: str = "") -> None:
        """Begin an empty page with a title."""
        self._title = title
        self._subtitle = subtitle
        self._sections = [_Section("", "")]

    def heading(self, text: str) -> None:
        """Begin a section, which also stands in the table of contents."""
        anchor = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
        taken = {section.anchor for section in self._sections}
        number = 2
        unique = anchor
        while unique in taken:
            unique, number = f"{anchor}-{number}", number + 1
        self._sections.append(_Section(text, unique))

    def text(self, paragraph: str) -> None:
        """Add a paragraph; line ends in it stay."""
        self._add(f"<p>{escape(paragraph)}</p>")

    def table(
        self,
        rows: Sequence[Sequence[Cell]],
        *,
        header: Sequence[str],
        caption: str = "",
        best: Best | Sequence[Best] = None,
    ) -> None:
        """Add a table; columns of numbers stand to the right, the first column heads its row.

        Args:
            rows: as many cells each as the header has. Whole numbers get thousands separators,
                others four significant digits, None a dash; a text such as "0.61 [0.58, 0.64]"
                counts as a number.
            header: the names of the columns.
            caption: one sentence above the table.
            best: marks the best value of every column of numbers but the first, or of each column
                as a sequence says, one entry per column.

        Raises:
            SettingError: rows, header or `best` do not fit each other.
        """
        if any(len(row) != len(header) for row in rows):
            raise SettingError(f"Every row of a table needs {len(header)} cells, like its header.")
        wanted = _wanted(best, len(header))
        columns = [[row[index] for row in rows] for index in range(len(header))]
        numeric = [_is_numeric(column) for column in columns]
        marked = [_best_rows(column, kind) for column, kind in zip(columns, wanted, strict=True)]
        if any(marked):
            caption = f"{caption} The best value of a column is bold.".strip()
        head = "".join(
            f'<th scope="col"{_number_class(right)}>{escape(name)}</th>'
            for name, right in zip(header, numeric, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(_cells(row, numeric, [at in rows_of for rows_of in marked]))
            + "</tr>\n"
            for at, row in enumerate(rows)
        )
        label = escape(caption or "Table", quote=True)
        shown = f"<caption>{escape(caption)}</caption>" if caption else ""
        self._add(
            f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table>{shown}\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
        )

    def picture(self, png: bytes, *, alt: str, caption: str = "") -> None:
        """Add a picture.

        Args:
            png: a whole PNG file.
            alt: what the picture shows, for those who do not see it.
            caption: what stands below it.

        Raises:
            SettingError: `png` is not a PNG file.
        """
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        self._add(f"<figure>{_image(png, alt)}{below}</figure>")

    def sounds(self, items: Sequence[tuple[str, bytes]], *, media_type: str = "audio/ogg") -> None:
        """Add players side by side.

        Args:
            items: what each is, and the whole sound file.
            media_type: what kind of files they are.
        """
        cards = [_card(label, None, sound, media_type) for label, sound in items]
        self._add(f'<div class="row">{"".join(cards)}</div>')

    def example(
        self,
        title: str,
        items: Sequence[tuple[str, bytes | None, bytes | None]],
        *,
        media_type: str = "audio/ogg",
    ) -> None:
        """Add one card of pictures and sounds that belong together.

        Args:
            title: what is compared.
            items: what each is, its PNG file and its sound file; either may be absent.
            media_type: what kind of files the sounds are.

        Raises:
            SettingError: a picture is not a PNG file.
        """
        cards = [_card(label, png, sound, media_type) for label, png, sound in items]
        self._add(
            f'<article><h3>{escape(title)}</h3><div class="row">{"".join(cards)}</div></article>'
        )

    def render(self) -> str:
        """Return the whole page as HTML."""
        title = escape(self._title)
        subtitle = f'<p class="subtitle">{escape(self._subtitle)}</p>' if self._subtitle else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(_SECURITY)}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            '<a class="skip" href="#content">Skip to the content</a>\n'
            f"<header><h1>{title}</h1>{subtitle}</header>\n{self._contents()}"
            f'<main id="content">\n{"".join(map(_section, self._sections))}</main>\n'
            "</body>\n</html>\n"
        )

    def save(self, path: Path | str) -> None:
        """Write the page as one UTF-8 file, whole or not at all.

        What is not valid Unicode, such as a broken file name, is written as an escape.

        Raises:
            DataError: the file cannot be written.
        """
        write_bytes(path, self.render().encode("utf-8", "backslashreplace"))

    def _add(self, element: str) -> None:
        self._sections[-1].elements.append(element)

    def _contents(self) -> str:
        """Give the table of contents, or nothing for a page without headings."""
        lines = [
            f'<li><a href="#{section.anchor}">{escape(section.heading)}</a></li>\n'
            for section in self._sections
            if section.heading
        ]
        return f'<nav aria-label="Contents"><ol>\n{"".join(lines)}</ol></nav>\n' if lines else ""


def _section(section: _Section) -> str:
    body = "\n".join(section.elements)
    if not section.heading:
        return body + "\n" if body else ""
    head = f'<h2 id="{section.anchor}">{escape(section.heading)}</h2>'
    return f'<section aria-labelledby="{section.anchor}">\n{head}\n{body}\n</section>\n'


def _image(png: bytes, alt: str) -> str:
    """Give an image element that holds the picture itself, with its size in pixels."""
    if not png.startswith(_PNG) or len(png) < 24:
        raise SettingError("A picture for a page must be a whole PNG file.")
    width, height = struct.unpack(">II", png[16:24])
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}">'
    )


def _card(label: str, png: bytes | None, sound: bytes | None, media_type: str) -> str:
    picture = _image(png, label) if png is not None else ""
    player = ""
    if sound is not None:
        data = base64.b64encode(sound).decode("ascii")
        player = (
            f'<audio controls preload="metadata" aria-label="{escape(label)}" '
            f'src="data:{escape(media_type)};base64,{data}"></audio>'
        )
    return f"<figure><figcaption>{escape(label)}</figcaption>{picture}{player}</figure>"


def _cells(row: Sequence[Cell], numeric: Sequence[bool], best: Sequence[bool]) -> list[str]:
    """Give the cells of one row of the body."""
    first = f'<th scope="row"{_number_class(numeric[0])}>{_shown(row[0])}</th>' if row else ""
    cells = [first]
    for cell, right, marked in zip(row[1:], numeric[1:], best[1:], strict=True):
        inside = f"<strong>{_shown(cell)}</strong>" if marked else _shown(cell)
        cells.append(f"<td{_number_class(right, marked)}>{inside}</td>")
    return cells


def _number_class(right: object, marked: object = None) -> str:
    names = [name for name, holds in (("number", right), ("best", marked)) if holds]
    return f' class="{" ".join(names)}"' if names else ""


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    if cell is None or math.isnan(cell):
        return _NOTHING
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"


def _value(cell: Cell) -> float | None:
    """Give the number that a cell shows, or None."""
    if isinstance(cell, str):
        found = _NUMBER.fullmatch(cell)
        return float(found[1].replace(",", "").replace("\u2212", "-")) if found else None
    return None if cell is None or math.isnan(cell) else float(cell)


def _wanted(best: Best | Sequence[Best], count: int) -> list[Best]:
    """Give for each column which value is the best."""
    if best is None or isinstance(best, str):
        return [None, *[best] * (count - 1)]
    if len(best) != count:
        raise SettingError(f"`best` needs one entry for each of the {count} columns.")
    return list(best)


def _is_numeric(column: Sequence[Cell]) -> bool:
    """Whether a column holds numbers and gaps alone, and at least one number."""
    filled = [cell for cell in column if cell is not None and cell not in ("", _NOTHING)]
    words = [cell for cell in filled if isinstance(cell, str) and _value(cell) is None]
    return bool(filled) and not words


def _best_rows(column: Sequence[Cell], kind: Best) -> set[int]:
    """Give the rows that hold the best value; several where they are equal."""
    values = {at: value for at, cell in enumerate(column) if (value := _value(cell)) is not None}
    if kind is None or not values:
        return set()
    wanted = min(values.values()) if kind == "low" else max(values.values())
    return {at for at, value in values.items() if value == wanted}
