"""The `segue` command: collects the command groups and turns errors into exit statuses.

Nothing heavy is imported here or at the top of a command file, so that help comes at once.
"""

import errno
import sys
import textwrap
from collections.abc import Sequence
from typing import Annotated

import typer

from segue import __version__
from segue.cli import audio, data, demo, doctor, midi, models, studio
from segue.errors import SegueError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

app = typer.Typer(
    name="segue",
    help="Segue writes the music that is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(midi.app, name="midi")
app.add_typer(audio.app, name="audio")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("studio")(studio.studio)


def _print_version(value: bool) -> None:
    """Print the version and leave."""
    if value:
        print(f"segue {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Segue writes the music that is missing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; always ends by leaving the process.

    Exit status: 0 done; 2 a mistake in the call or the input, said in one paragraph; 130
    interrupted; 141 the reader of the output has gone; 1 anything else, with a traceback.

    Args:
        arguments: the words after ``segue``; those of the process where None.
    """
    try:
        app(args=arguments, prog_name="segue")
    except SegueError as error:
        print(paragraph(str(error)), file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        _leave_closed_pipe()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(paragraph(f"A name is too long for a file: {error.filename}"), file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def paragraph(message: str) -> str:
    """Give an error message as one paragraph; a list of problems keeps its lines."""
    return "\n".join(_wrapped(line) for line in f"segue: {message}".splitlines())


def _wrapped(line: str) -> str:
    """Break one line at spaces, never inside a path."""
    return textwrap.fill(line, 100, break_long_words=False, break_on_hyphens=False)


def _leave_closed_pipe() -> None:
    """Leave quietly; closing what is left of standard output must not fail again."""
    sys.stdout = None
    sys.exit(EXIT_BROKEN_PIPE)


if __name__ == "__main__":
    main()
