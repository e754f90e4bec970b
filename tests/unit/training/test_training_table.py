"""The table of metrics."""

from pathlib import Path

from segue.training.table import MetricsTable, read_rows

FIRST = {"step": 1, "split": "train", "loss": 2.5}
SECOND = {"step": 2, "split": "train", "loss": 2.25}
CHECK = {"step": 2, "split": "val", "bits_per_note": 9.5}


def _table(path: Path, *rows) -> MetricsTable:
    table = MetricsTable(path)
    for row in rows:
        table.append(row)
    return table


def test_rows_come_back_with_their_own_columns(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    _table(path, FIRST, CHECK, SECOND)
    assert read_rows(path) == [FIRST, CHECK, SECOND]
    assert path.read_text().splitlines()[0] == "step,split,loss,bits_per_note"


def test_a_line_cut_short_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    _table(path, FIRST, SECOND)
    path.write_text(path.read_text()[:-3])
    assert read_rows(path) == [FIRST]


def test_later_rows_are_dropped(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    _table(path, FIRST, SECOND, CHECK)
    table = MetricsTable(path)
    table.keep_until(1)
    assert read_rows(path) == [FIRST]
    table.append(SECOND)
    assert read_rows(path) == [FIRST, SECOND]


def test_no_file_is_no_rows(tmp_path: Path):
    assert read_rows(tmp_path / "metrics.csv") == []
