"""Tables of comma-separated values: read row by row, written whole or not at all."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from segue.core.files import atomic_path, write_text
from segue.errors import DataError


def read_rows(path: Path, *, advice: str) -> Iterator[list[str]]:
    """Read a table row by row; cells may hold line breaks.

    Args:
        path: the table, UTF-8.
        advice: what to do where it cannot be read.

    Raises:
        DataError: it is missing, no text, or damaged.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from csv.reader(stream)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}. {advice}") from error


def read_columns(path: Path, names: Iterable[str], *, advice: str) -> Iterator[dict[str, str]]:
    """Read the named columns of a table whose first row names them; other columns are passed over.

    Args:
        path: the table, UTF-8.
        names: the columns that must be there.
        advice: what to do where it cannot be read.

    Raises:
        DataError: it cannot be read, a column is missing, or a row is too short.
    """
    wanted = tuple(names)
    rows = read_rows(path, advice=advice)
    heads = next(rows, [])
    missing = [name for name in wanted if name not in heads]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}. {advice}")
    places = {name: heads.index(name) for name in wanted}
    for row in rows:
        if not row:
            continue
        if len(row) <= max(places.values()):
            raise DataError(f"{path} has a row that is too short, {row[:3]}. {advice}")
        yield {name: row[place] for name, place in places.items()}


def write_table(path: Path, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Write a table, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table row by row, whole or not at all; names need not be valid Unicode.

    Raises:
        DataError: the file cannot be written.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
