"""What the commands share."""

import json
from pathlib import Path

import pytest

from segue.cli.console import print_json, print_table, progress, tell


def test_tables_align(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([["a", "bbb"], ["cccc", ""]], header=["x", "y"])
    assert capsys.readouterr().out == "x     y\na     bbb\ncccc\n"
    print_table([])
    assert capsys.readouterr().out == ""


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"folder": Path("a/b"), "name": "Dvořák"})
    assert json.loads(capsys.readouterr().out) == {"folder": "a/b", "name": "Dvořák"}


def test_messages_and_bars_leave_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    tell("hello")
    with progress("working", total=2) as advance:
        advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "hello\n"
