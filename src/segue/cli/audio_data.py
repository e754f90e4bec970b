"""`segue audio prepare`: from folders of music to a prepared folder."""

from pathlib import Path
from typing import Annotated

import typer

from segue.cli.console import JsonOption, SetOption, print_json, progress, tell

_DEFAULT_EXCERPT_SECONDS = 60.0


def prepare(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER...", help="Folders of sound files; sub-folders are labels."),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    from_midi: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of MIDI files to be played. May be repeated."),
    ] = None,
    soundfont: Annotated[
        Path | None,
        typer.Option(help="What plays them (.sf2, .sf3); else the one that is installed."),
    ] = None,
    excerpt_seconds: Annotated[
        float, typer.Option(min=0, help="Length of what is played of each; 0 for all of it.")
    ] = _DEFAULT_EXCERPT_SECONDS,
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Samples a second; 16000 by default.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 for mono, the default, or 2 for stereo.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length of a segment; recordings under half are left out.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N files.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores by default.")
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode music once: same rate, measured, split, memory-mapped for training.

    Run again after an interruption, it goes on where it stopped.
    """
    from segue.audio.data.prepare import PrepareSettings
    from segue.audio.data.prepare import prepare as run
    from segue.core.config import load
    from segue.errors import SettingError

    if not folders and not from_midi:
        raise SettingError(
            "There is nothing to prepare. Name a folder of music, or --from-midi one."
        )
    given = {
        "rate_hz": rate,
        "channels": channels,
        "segment_seconds": seconds,
        "min_seconds": None if seconds is None else seconds / 2,
        "limit": limit,
    }
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    chosen = load(
        PrepareSettings, {}, overrides=[*options, *(settings or [])], origin="the settings given"
    )
    others = []
    if from_midi:
        from segue.cli.rendered import midi_material

        material = midi_material(soundfont, excerpt_seconds=excerpt_seconds, seed=chosen.seed)
        others = [(folder, material) for folder in from_midi]
    elif soundfont is not None:
        raise SettingError("--soundfont plays MIDI files; name their folder with --from-midi.")
    info = run(folders or (), output, chosen, others=others, workers=workers, progress=progress)
    if as_json:
        print_json(info)
        return
    for name, split in info["splits"].items():
        tell(f"{name}: {split['recordings']:,} recordings, {split['hours']:.2f} hours")
    tell(f"labels: {', '.join(info['labels']) or 'none'}")
    if unknown := info.get("unknown_metadata"):
        tell(f"metadata.csv names {unknown:,} files that are not there")
    for reason, count in info["left_out"].items():
        tell(f"left out: {count:,} {reason}")
    print(output)
