"""`segue data`: which corpora and weights there are, and getting one."""

import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli.console import JsonOption, print_json, print_table, progress, tell
from segue.errors import SettingError

if TYPE_CHECKING:
    from segue.core.corpus import Corpus

GIGABYTE = 1_000_000_000
NO_DIGEST = "no hash is published; that of what comes is written into downloads.json"

app = typer.Typer(
    help="List and download corpora to train on, and weights to evaluate with.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Kind(enum.StrEnum):
    """What the files of a corpus are."""

    AUDIO = "audio"
    MIDI = "midi"
    WEIGHTS = "weights"


def all_corpora() -> "list[tuple[Kind, Corpus]]":
    """Return every corpus that can be downloaded by name, with its kind."""
    from segue.audio.data.corpora.registry import audio_corpora
    from segue.audio.evaluate.weights import weights
    from segue.symbolic.data.corpora.registry import midi_corpora

    return [
        *((Kind.AUDIO, corpus) for corpus in audio_corpora()),
        *((Kind.MIDI, corpus) for corpus in midi_corpora()),
        *((Kind.WEIGHTS, corpus) for corpus in weights()),
    ]


@app.command("list")
def list_corpora(
    kind: Annotated[Kind | None, typer.Option(help="Only those of one kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the corpora and weights that can be downloaded: size, length, licence, what to cite."""
    chosen = [(own, corpus) for own, corpus in all_corpora() if kind in (None, own)]
    if as_json:
        print_json([describe(corpus, own) for own, corpus in chosen])
        return
    rows = [
        (
            corpus.name,
            own.value,
            size_text(corpus),
            files_text(corpus),
            hours_text(corpus),
            corpus.title,
        )
        for own, corpus in chosen
    ]
    print_table(rows, header=("name", "kind", "size", "files", "hours", "what"))
    corpora = [corpus for _, corpus in chosen]
    for heading, values in (
        ("Licence", [corpus.licence for corpus in corpora]),
        ("Cite", [corpus.citation for corpus in corpora]),
        ("Home", [corpus.homepage for corpus in corpora]),
    ):
        for value in dict.fromkeys(values):
            names = [c.name for c, own in zip(corpora, values, strict=True) if own == value]
            print(f"\n{heading} ({', '.join(names)}):\n  {value}")


@app.command("download")
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `segue data list`.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where to put it; weights go where evaluating looks for them by default.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before downloading.")] = False,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the archives after unpacking them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download a corpus or weights, check, unpack; go on with what was stopped."""
    from segue.core.corpus import fetch, find_corpus

    corpus = find_corpus(name, [corpus for _, corpus in all_corpora()])
    folder = output or folder_of(corpus)
    for line in facts(corpus):
        tell(line)
    if not yes and not confirmed(corpus):
        tell("Nothing was downloaded.")
        raise typer.Exit(1)
    counts = fetch(corpus, folder, progress=progress, keep_archives=keep_archives)
    if as_json:
        print_json({"corpus": corpus.name, "folder": folder, "counts": counts})
        return
    print(f"{corpus.name} is in {folder}")
    print_table([(f"  {what}", f"{count:,}") for what, count in counts.items()])


def folder_of(corpus: "Corpus") -> Path:
    """Return where a download goes that nobody gave a folder for.

    Raises:
        SettingError: it is a corpus; only a person knows which disk has the room.
    """
    from segue.audio.evaluate.weights import weights, weights_folder

    if corpus not in weights():
        raise SettingError(f"Where should {corpus.name} go? Add --output FOLDER.")
    return weights_folder()


def confirmed(corpus: "Corpus") -> bool:
    """Ask the person at the terminal; refuse where there is none."""
    if not sys.stdin.isatty():
        raise SettingError(
            f"Downloading {corpus.name} ({size_text(corpus)}) needs a yes, and nobody is at a "
            "terminal to give it. Add --yes if its licence suits your purpose."
        )
    return typer.confirm("Download it?", err=True)


def facts(corpus: "Corpus") -> list[str]:
    """Say what will be downloaded and under what terms."""
    lines = [f"{corpus.name}: {corpus.title}", f"  size      {size_text(corpus)}"]
    for archive in corpus.archives:
        lines += [f"  from      {archive.url}", f"            {archive.digest or NO_DIGEST}"]
    return [
        *lines,
        f"  licence   {corpus.licence}",
        f"  cite      {corpus.citation}",
        f"  home      {corpus.homepage}",
    ]


def describe(corpus: "Corpus", kind: Kind) -> dict[str, Any]:
    """Give all that is known of a corpus, for machines."""
    return {
        "name": corpus.name,
        "kind": kind.value,
        "title": corpus.title,
        "bytes": corpus.num_bytes,
        "exact": corpus.exact,
        "files": corpus.num_files,
        "hours": corpus.hours,
        "licence": corpus.licence,
        "citation": corpus.citation,
        "homepage": corpus.homepage,
        "archives": [
            {"url": archive.url, "bytes": archive.num_bytes, "digest": archive.digest}
            for archive in corpus.archives
        ],
    }


def size_text(corpus: "Corpus") -> str:
    """Say the size of all archives."""
    size = corpus.num_bytes
    text = f"{size / 1e9:,.1f} GB" if size >= GIGABYTE else f"{size / 1e6:,.1f} MB"
    return text if corpus.exact else f"about {text}"


def files_text(corpus: "Corpus") -> str:
    """Say how many pieces of music there are."""
    return "" if corpus.num_files is None else f"{corpus.num_files:,}"


def hours_text(corpus: "Corpus") -> str:
    """Say how long they are."""
    return "" if corpus.hours is None else f"{corpus.hours:,.0f}"
