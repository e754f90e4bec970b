"""`segue audio label`: other labels and captions for what was prepared, without decoding it again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from segue.cli.console import JsonOption, print_json, progress, tell


def label(
    folder: Annotated[
        Path, typer.Argument(help="A prepared folder, or a folder of latents; it is changed.")
    ],
    *,
    metadata: Annotated[
        Path | None,
        typer.Option(help="A table with path and labels, captions, artist or era (CSV)."),
    ] = None,
    from_midi: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of MIDI files that were played. May be repeated."),
    ] = None,
    excerpt_seconds: Annotated[
        float, typer.Option(min=0, help="As given when they were played.")
    ] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="As given when they were played.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write labels and captions anew; nothing is decoded or encoded."""
    from segue.audio.data.relabel import relabel
    from segue.audio.data.words import read_metadata
    from segue.errors import DataError

    if metadata is not None and not metadata.is_file():
        raise DataError(f"There is no file {metadata}. Name a table with a column path.")
    known = read_metadata(metadata) if metadata else {}
    scores = _read_scores(from_midi or [], excerpt_seconds=excerpt_seconds, seed=seed)
    counts = relabel(folder, metadata=known, scores=scores)
    if as_json:
        print_json(counts)
        return
    tell(
        f"{counts['recordings']:,} recordings: {counts['by metadata']:,} named in the table, "
        f"{counts['by scores']:,} described by their notes, {counts['changed']:,} changed"
    )
    tell(f"{counts['labelled']:,} have labels, {counts['captioned']:,} have captions")
    if counts["unknown"]:
        tell(f"{counts['unknown']:,} paths in the table or files in the folders are no recordings")
    shares = (f"{name} {count:,}" for name, count in counts["labels"].items())
    tell(f"labels: {', '.join(shares) or 'none'}")
    print(folder)


def _read_scores(folders: list[Path], *, excerpt_seconds: float, seed: int) -> dict[str, Any]:
    """Return what follows from the notes of the MIDI files in some folders, by their names."""
    if not folders:
        return {}
    from segue.audio.data.scan import SOUND_FILES, find_files
    from segue.cli.rendered import SUFFIXES, words_of_score
    from segue.errors import DataError

    scores = SOUND_FILES._replace(name="MIDI files", suffixes=SUFFIXES)
    sources = find_files([(folder, 0) for folder in folders], [scores])
    found = {}
    with progress("reading notes", total=len(sources)) as advance:
        for source in sources:
            try:
                words = words_of_score(source.file, excerpt_seconds=excerpt_seconds, seed=seed)
            except DataError as error:
                tell(f"left out: {error}")
            else:
                found[source.path] = words
            advance()
    return found
