"""`segue midi listen-results`: a table for people, an object for machines."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segue.cli.main import app
from segue.errors import DataError
from segue.symbolic.evaluate.listening import (
    CRITERIA,
    Item,
    Version,
    read_key,
    write_listening_page,
)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A key, and the answers of one who always prefers the first system."""
    items = [
        Item(f"e{n}", Version("ours", b"OggS%d" % n), Version("theirs", b"OggSx%d" % n))
        for n in range(6)
    ]
    key = write_listening_page(items, tmp_path / "listen.html", seed=0).key
    known = read_key(key)
    answers = {
        name: dict.fromkeys(CRITERIA, "a" if pair.a == "ours" else "b")
        for name, pair in known.pairs.items()
    }
    file = {"format": known.format, "page": known.page, "listener": "Ada", "answers": answers}
    (tmp_path / "answers.json").write_text(json.dumps(file))
    return [str(key), str(tmp_path / "answers.json")]


def test_wins_ties_and_losses_in_a_table(files: list[str]) -> None:
    result = CliRunner().invoke(app, ["midi", "listen-results", *files])
    assert result.exit_code == 0, result.output
    assert "ours against theirs" in result.stdout
    (overall,) = (line for line in result.stdout.splitlines() if line.startswith("Overall"))
    assert overall.split() == ["Overall", "6", "0", "0", "+1.00", "0.0312", "0.188"]
    assert "Ada" in result.stdout


def test_for_machines(files: list[str]) -> None:
    words = ["midi", "listen-results", *files, "--json", "--unit", "judgement"]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    assert {row["criterion"] for row in told["comparisons"]} == set(CRITERIA)
    assert told["comparisons"][0]["wins"] == 6
    assert told["listeners"][0]["name"] == "Ada"


def test_a_foreign_file_is_a_users_mistake(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "foreign.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="is not a file that a listening page saved"):
        CliRunner().invoke(
            app,
            ["midi", "listen-results", files[0], str(tmp_path / "foreign.json")],
            catch_exceptions=False,
        )
