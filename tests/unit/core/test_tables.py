"""Tables: read by column, written whole."""

from pathlib import Path

import pytest

from segue.core.tables import read_columns, read_rows, write_table
from segue.errors import DataError

ADVICE = "Get another."


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [("1", 'two "lines",\nin a cell'), ("é", "")]
    write_table(path, ("a", "b"), rows)
    assert [tuple(row) for row in read_rows(path, advice=ADVICE)] == [("a", "b"), *rows]
    assert [row["b"] for row in read_columns(path, ["b"], advice=ADVICE)] == [b for _, b in rows]


def test_a_mark_of_byte_order_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n")
    assert list(read_columns(path, ["a"], advice=ADVICE)) == [{"a": "1"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"x,b\n1,2\n", "no column a"), (b"b,a\n1\n", "too short"), (b"a\n\xff\n", "cannot be read")],
)
def test_a_table_that_is_another_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{said}.*{ADVICE}"):
        list(read_columns(path, ["a"], advice=ADVICE))


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=ADVICE):
        list(read_rows(tmp_path / "none.csv", advice=ADVICE))
