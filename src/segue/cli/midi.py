"""`segue midi`: inpaint, outpaint, compose, and everything that makes a model."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli import midi_baselines, midi_evaluate, midi_explore, midi_listen, midi_train
from segue.cli.console import JsonOption, print_json, print_table, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segue.symbolic.inpaint import Filling

app = typer.Typer(
    help="Write, prepare, train and evaluate symbolic music.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A MIDI file.")]
TracksOption = Annotated[
    str | None,
    typer.Option("--tracks", "-t", help="Names, instruments or numbers, such as piano or 0,2."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="The MIDI file to write.")
]
CandidatesOption = Annotated[
    int, typer.Option("--candidates", "-n", min=1, max=64, help="How many to write.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same music.")]
TemperatureOption = Annotated[
    float | None, typer.Option("--temperature", help="Above 1 bolder, below 1 safer.")
]
TopKOption = Annotated[
    int | None, typer.Option("--top-k", help="Draw from the k likeliest tokens.")
]
TopPOption = Annotated[
    float | None, typer.Option("--top-p", help="Draw from the likeliest tokens with this share.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="Name or folder of a model bundle.")
]
PictureOption = Annotated[
    bool, typer.Option("--picture", "--png", help="Also draw a piano roll (PNG).")
]
SoundOption = Annotated[bool, typer.Option("--sound", "--wav", help="Also render sound (WAV).")]
SoundFontOption = Annotated[
    Path | None, typer.Option("--soundfont", help="Your own .sf2 or .sf3 file for the sound.")
]


@dataclass(frozen=True)
class _Wanted:
    """What is to be written besides MIDI."""

    output: Path
    picture: bool
    sound: bool
    soundfont: Path | None
    as_json: bool


@app.command("inpaint")
def inpaint(
    file: FileArgument,
    *,
    bars: Annotated[str | None, typer.Option("--bars", help="Such as 9-12, or 9.")] = None,
    beats: Annotated[str | None, typer.Option("--beats", help="Such as 33-48.")] = None,
    seconds: Annotated[str | None, typer.Option("--seconds", help="Such as 12.5-20.")] = None,
    tracks: TracksOption = None,
    candidates: CandidatesOption = 1,
    seed: SeedOption = 0,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    model: ModelOption = None,
    method: Annotated[
        str, typer.Option("--method", help="infill, or original for the source deck's way.")
    ] = "infill",
    output: OutputOption = None,
    picture: PictureOption = False,
    sound: SoundOption = False,
    soundfont: SoundFontOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write new notes into bars of a MIDI file; everything else in it stays as it was.

    With several candidates the best one gets the name OUTPUT, the others a number behind it.
    """
    from segue.symbolic.song import open_piece

    wanted = _wanted(output, file, "inpainted", picture, sound, soundfont, as_json)
    piece = open_piece(file)
    with _watched(candidates) as on_event:
        fillings = piece.inpaint(
            bars=bars,
            beats=beats,
            seconds=seconds,
            tracks=tracks,
            method=method,  # type: ignore[arg-type]  # checked there
            candidates=candidates,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            model=model,
            on_event=on_event,
        )
    _write(fillings, wanted, candidates)


@app.command("outpaint")
def outpaint(
    file: FileArgument,
    *,
    bars: Annotated[int, typer.Option("--bars", min=1, help="How many bars to write.")] = 8,
    before: Annotated[bool, typer.Option("--before", help="Lead in instead of going on.")] = False,
    tracks: TracksOption = None,
    candidates: CandidatesOption = 1,
    seed: SeedOption = 0,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    model: ModelOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    sound: SoundOption = False,
    soundfont: SoundFontOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on where a MIDI file ends, or lead in before it begins."""
    from segue.symbolic.song import open_piece

    wanted = _wanted(output, file, "outpainted", picture, sound, soundfont, as_json)
    piece = open_piece(file)
    with _watched(candidates) as on_event:
        fillings = piece.outpaint(
            bars,
            before=before,
            tracks=tracks,
            candidates=candidates,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            model=model,
            on_event=on_event,
        )
    _write(fillings, wanted, candidates)


@app.command("compose")
def compose(
    *,
    instruments: Annotated[
        str, typer.Option("--instruments", "-i", help="Such as piano,bass,drums.")
    ] = "piano",
    bars: Annotated[int, typer.Option("--bars", min=1, help="How many bars to write.")] = 16,
    tempo: Annotated[float, typer.Option("--tempo", help="Quarter notes per minute.")] = 120.0,
    meter: Annotated[str, typer.Option("--meter", help="Time signature, such as 3/4.")] = "4/4",
    candidates: CandidatesOption = 1,
    seed: SeedOption = 0,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    model: ModelOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    sound: SoundOption = False,
    soundfont: SoundFontOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a piece from nothing."""
    from segue.symbolic.song import compose as write_piece

    wanted = _wanted(output, Path("song.mid"), "composed", picture, sound, soundfont, as_json)
    with _watched(candidates) as on_event:
        fillings = write_piece(
            instruments,
            bars=bars,
            tempo=tempo,
            signature=_signature(meter),
            candidates=candidates,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            model=model,
            on_event=on_event,
        )
    _write(fillings, wanted, candidates)


def _signature(meter: str) -> tuple[int, int]:
    """Return numerator and denominator of a text such as 6/8."""
    from segue.errors import SettingError

    numerator, _, denominator = meter.partition("/")
    if not (numerator.strip().isdecimal() and denominator.strip().isdecimal()):
        raise SettingError(f"The meter is {meter!r}; give a time signature such as 3/4.")
    return int(numerator), int(denominator)


def _wanted(
    output: Path | None,
    source: Path,
    what: str,
    picture: bool,
    sound: bool,
    soundfont: Path | None,
    as_json: bool,
) -> _Wanted:
    """Return what to write, by default into the working folder.

    Raises:
        SettingError: it cannot be written there, or there is no such SoundFont. Found out before the
            music is written rather than behind it.
    """
    default = f"{source.stem}-{what}.mid"
    chosen = output or Path(default)
    if chosen.is_dir():
        chosen /= default
    if chosen.suffix.lower() not in (".mid", ".midi"):
        chosen = chosen.with_name(chosen.name + ".mid")
    _check_paths(chosen, soundfont)
    return _Wanted(chosen, picture, sound or soundfont is not None, soundfont, as_json)


def _check_paths(output: Path, soundfont: Path | None) -> None:
    """Raise SettingError where the output cannot be written or the SoundFont is no file."""
    import os

    from segue.errors import SettingError

    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if output.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SettingError(
            f"Cannot write {output}: {folder} is not a folder that may be written to, or a folder has "
            "that name. Choose another place with `--output`."
        )
    if soundfont is not None and not soundfont.is_file():
        raise SettingError(f"There is no SoundFont {soundfont}. Give a .sf2 or .sf3 file.")


@contextmanager
def _watched(candidates: int) -> "Iterator[Callable[[Any], None]]":
    """Show notes as they are written, on standard error; nothing where that is no terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from segue.symbolic.generate import BarStarted, NoteWritten

    console = Console(stderr=True)
    bars, notes, latest = [0] * candidates, [0] * candidates, [""] * candidates
    with Live(console=console, refresh_per_second=12, transient=True) as live:
        if not console.is_terminal:
            live.stop()

        def on_event(event: Any) -> None:
            if isinstance(event, BarStarted):
                bars[event.candidate] = event.bar + 1
            elif isinstance(event, NoteWritten):
                notes[event.candidate] += 1
                latest[event.candidate] = pitch_name(event.pitch)
            lines = (
                f"candidate {number}: bar {bar}, {count} notes {pitch}"
                for number, (bar, count, pitch) in enumerate(
                    zip(bars, notes, latest, strict=True), 1
                )
            )
            if console.is_terminal:
                live.update(Text("\n".join(lines)))

        yield on_event


def pitch_name(pitch: int) -> str:
    """Return a MIDI pitch as a name, such as C4 for 60."""
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _write(fillings: "list[Filling]", wanted: _Wanted, candidates: int) -> None:
    """Save the candidates and say where.

    Args:
        fillings: the best first.
        wanted: where, and what besides.
        candidates: how many were asked for.
    """
    rows: list[tuple[int, Filling, list[Path]]] = []
    for rank, filling in enumerate(fillings, 1):
        stem = wanted.output.stem if rank == 1 else f"{wanted.output.stem}-{rank}"
        files = [wanted.output.with_name(stem + wanted.output.suffix)]
        filling.save(files[0])
        rows.append((rank, filling, files))
    for _, filling, files in rows:
        if wanted.picture:
            files.append(files[0].with_suffix(".png"))
            filling.save_picture(files[-1])
    for _, filling, files in rows if wanted.sound else ():
        if len(filling.piece.notes):
            files.append(files[0].with_suffix(".wav"))
            filling.save_sound(files[-1], soundfont=wanted.soundfont)
        else:
            tell(f"{files[0]} has no notes: there is nothing to hear.")
    if wanted.as_json:
        print_json([_summary(*row) for row in rows])
        return
    for _, _, files in rows:
        for file in files:
            print(file)
    best = fillings[0]
    if len(fillings) < candidates:
        tell(f"Distinct candidates: {len(fillings)} of {candidates}. Try a higher temperature.")
    tell(
        f"{best.num_notes} notes in bars {best.region.first_bar} to {best.region.last_bar}; "
        f"log-likelihood {best.log_prob_per_note:.2f} per note."
    )


def _summary(rank: int, filling: "Filling", files: list[Path]) -> dict[str, Any]:
    return {
        "rank": rank,
        "files": [str(file) for file in files],
        "notes": filling.num_notes,
        "log_prob_per_note": filling.log_prob_per_note,
        "tracks": list(filling.region.tracks),
        "bars": [filling.region.first_bar, filling.region.last_bar],
    }


@app.command("show")
def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """List the tracks, bars and tempo of a MIDI file."""
    from segue.symbolic.song import open_piece

    piece = open_piece(file)
    if as_json:
        print_json(
            {
                "bars": piece.bars.num_bars,
                "seconds": piece.length_seconds,
                "tracks": [
                    {
                        "index": track.index,
                        "name": track.name,
                        "instrument": track.instrument,
                        "notes": track.num_notes,
                    }
                    for track in piece.tracks
                ],
            }
        )
        return
    tempo = float(piece.tempos.quarters_per_minute[0])
    tell(f"{piece.bars.num_bars} bars, {piece.length_seconds:.1f} seconds, {tempo:.0f} bpm")
    print_table(
        [[str(t.index), t.name, t.instrument, str(t.num_notes)] for t in piece.tracks],
        header=("track", "name", "instrument", "notes"),
    )


app.command("explore")(midi_explore.explore)
app.command("evaluate")(midi_evaluate.evaluate)
app.command("baselines")(midi_baselines.baselines)
app.command("listen-results")(midi_listen.listen_results)
for _command in (midi_train.prepare, midi_train.train, midi_train.export):
    app.command(_command.__name__)(_command)
