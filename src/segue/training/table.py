"""The table of a run's metrics: a CSV file that grows by a line and survives a kill."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from segue.core.files import write_text

Value = str | int | float
Row = dict[str, Value]


def read_rows(path: Path) -> list[Row]:
    """Read a metrics table; numbers become numbers, a last line cut short by a kill is left out.

    Returns:
        Rows in the order of the file, without the columns that they leave empty; no rows where
        there is no file.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [
        {name: _number(value) for name, value in row.items() if name and value}
        for row in csv.DictReader(io.StringIO(whole))
    ]


def _number(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class MetricsTable:
    """Rows in memory and on disk; a new column rewrites the file, a new row appends a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.columns: list[str] = []

    def keep_until(self, step: int) -> None:
        """Load the file and drop the rows after `step`."""
        self.rows = [row for row in read_rows(self.path) if int(row["step"]) <= step]
        self.columns = list(dict.fromkeys(name for row in self.rows for name in row))
        self._rewrite()

    def append(self, row: Mapping[str, Value]) -> None:
        """Add a row."""
        self.rows.append(dict(row))
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
            return
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(self._lines([dict(row)]))

    def _lines(self, rows: Sequence[Row]) -> str:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, self.columns, lineterminator="\n")
        writer.writerows(rows)
        return stream.getvalue()

    def _rewrite(self) -> None:
        header = ",".join(self.columns) + "\n" if self.columns else ""
        write_text(self.path, header + self._lines(self.rows))
