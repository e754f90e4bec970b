"""The command line as a whole: exit statuses, and where messages go."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest

from segue import __version__
from segue.cli import main as command
from segue.errors import DataError, SegueError

Run = Callable[..., subprocess.CompletedProcess[str]]


def leave_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> object:
    """Let the application raise `error`; return the exit status."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(SystemExit) as caught:
        command.main([])
    return caught.value.code


def test_version(run_segue: Run) -> None:
    result = run_segue("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"segue {__version__}\n", "")
    assert version("segue") == __version__


def test_help_names_every_command(run_segue: Run) -> None:
    result = run_segue("--help")
    assert result.returncode == 0
    for name in ("midi", "models", "doctor", "demo"):
        assert f"\n  {name} " in result.stdout


def test_an_unknown_command_is_status_2(run_segue: Run) -> None:
    result = run_segue("inpant")
    assert result.returncode == 2
    assert "inpant" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("kind", [SegueError, DataError])
def test_our_errors_are_one_paragraph_and_status_2(
    kind: type[SegueError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave_with(kind("The file x.mid is not music. " * 9), monkeypatch) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("segue: The file x.mid is not music.")
    assert "Traceback" not in err
    assert "\n\n" not in err
    assert max(map(len, err.splitlines())) <= 100


def test_a_list_of_problems_keeps_its_lines() -> None:
    assert command.paragraph("2 wrong:\n  - a\n  - b").splitlines() == [
        "segue: 2 wrong:",
        "  - a",
        "  - b",
    ]


def test_interruption_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leave_with(KeyboardInterrupt(), monkeypatch) == 130


def test_anything_else_is_a_bug_and_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(ZeroDivisionError):
        command.main([])


def test_a_reader_that_leaves_is_no_error() -> None:
    script = "from segue.cli.main import main; main(['doctor'])"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors
