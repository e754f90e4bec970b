"""`segue audio`: generate, vary, extend, inpaint and reconstruct sound, and what makes a model of it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli import audio_data, audio_evaluate, audio_explore, audio_label, audio_train
from segue.cli.console import JsonOption, print_json, progress, tell
from segue.errors import SettingError

if TYPE_CHECKING:
    from segue.audio.recording import Options, Recording

app = typer.Typer(
    help="Write, prepare and train on raw audio.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A sound file of any kind.")]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label", "--genre", "-l", help="A label of the model (segue models show); repeatable."
    ),
]
TextOption = Annotated[
    str | None, typer.Option("--text", "-t", help="What is wanted, in words, if it knows text.")
]
NegativeOption = Annotated[
    str | None, typer.Option("--negative", help="What is not wanted, in words.")
]
NegativeLabelOption = Annotated[
    list[str] | None,
    typer.Option("--negative-label", help="A label that is not wanted; repeatable."),
]
StepsOption = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps of the sampler; more is slower.")
]
SamplerOption = Annotated[
    str | None,
    typer.Option("--sampler", help="euler, heun, dpm++2m, ddim, ddpm, pingpong or shortcut."),
]
GuidanceOption = Annotated[
    float | None, typer.Option("--guidance", help="How much what is asked is exaggerated; 1: not.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same sound.")]
BundleOption = Annotated[
    str | None, typer.Option("--bundle", "-m", help="Name or folder of a model bundle.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Of the networks; one a processor by default."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="The file to write, .wav or .flac.")
]
PictureOption = Annotated[
    bool, typer.Option("--picture", "--png", help="Also draw waveform and spectrogram (PNG).")
]


_OTHER_KINDS = {".aac", ".aif", ".aiff", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wma"}


@dataclass(frozen=True)
class _Wanted:
    """Where the result goes."""

    output: Path
    picture: bool
    as_json: bool


@app.command("generate")
def generate(
    *,
    seconds: Annotated[float, typer.Option("--seconds", "-s", help="Duration.")] = 10.0,
    label: LabelOption = None,
    text: TextOption = None,
    negative: NegativeOption = None,
    negative_label: NegativeLabelOption = None,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    seed: SeedOption = 0,
    bundle: BundleOption = None,
    threads: ThreadsOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write sound from nothing, of any duration."""
    from segue.audio.recording import generate as write_sound

    wanted = _wanted(output, Path("segue.wav"), "generated", picture, as_json)
    asked = _asked(label, text, negative, negative_label)
    options = _options(asked, steps, sampler, guidance, seed, bundle, threads)
    _write(write_sound(seconds, **options), wanted, seed)


@app.command("vary")
def vary(
    file: FileArgument,
    *,
    strength: Annotated[
        float, typer.Option("--strength", help="Near 0: nearly the same; 1: nothing of it left.")
    ] = 0.5,
    label: LabelOption = None,
    text: TextOption = None,
    negative: NegativeOption = None,
    negative_label: NegativeLabelOption = None,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    seed: SeedOption = 0,
    bundle: BundleOption = None,
    threads: ThreadsOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write sound that is like a file, at the model's rate."""
    wanted = _wanted(output, file, "varied", picture, as_json)
    asked = _asked(label, text, negative, negative_label)
    options = _options(asked, steps, sampler, guidance, seed, bundle, threads)
    _write(_opened(file).vary(strength, **options), wanted, seed)


@app.command("extend")
def extend(
    file: FileArgument,
    *,
    seconds: Annotated[float, typer.Option("--seconds", "-s", help="How much to write.")] = 10.0,
    before: Annotated[bool, typer.Option("--before", help="Lead in instead of going on.")] = False,
    label: LabelOption = None,
    text: TextOption = None,
    negative: NegativeOption = None,
    negative_label: NegativeLabelOption = None,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    seed: SeedOption = 0,
    bundle: BundleOption = None,
    threads: ThreadsOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go on where a file ends, or lead in before it begins; the file's own samples stay as they are."""
    wanted = _wanted(output, file, "extended", picture, as_json)
    asked = _asked(label, text, negative, negative_label)
    options = _options(asked, steps, sampler, guidance, seed, bundle, threads)
    _write(_opened(file).extend(seconds, before=before, **options), wanted, seed)


@app.command("inpaint")
def inpaint(
    file: FileArgument,
    *,
    seconds: Annotated[
        str, typer.Option("--seconds", "--region", "-s", help="What is replaced, such as 12.5-20.")
    ],
    label: LabelOption = None,
    text: TextOption = None,
    negative: NegativeOption = None,
    negative_label: NegativeLabelOption = None,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    seed: SeedOption = 0,
    bundle: BundleOption = None,
    threads: ThreadsOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write new sound into a span of a file; every sample outside it stays as it is."""
    wanted = _wanted(output, file, "inpainted", picture, as_json)
    asked = _asked(label, text, negative, negative_label)
    options = _options(asked, steps, sampler, guidance, seed, bundle, threads)
    _write(_opened(file).inpaint(seconds, **options), wanted, seed)


@app.command("reconstruct")
def reconstruct(
    file: FileArgument,
    *,
    bundle: BundleOption = None,
    threads: ThreadsOption = None,
    output: OutputOption = None,
    picture: PictureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Encode and decode a file: what the autoencoder alone makes of it, at the model's rate."""
    wanted = _wanted(output, file, "reconstructed", picture, as_json)
    options = _options({}, None, None, None, 0, bundle, threads)
    _write(_opened(file).reconstruct(**options), wanted, None)


def _opened(file: Path) -> "Recording":
    """Open a file; what a decoder in C has to say of it does not go to the terminal."""
    from segue.audio.decoding import quiet_decoders
    from segue.audio.recording import Recording

    with quiet_decoders(everywhere=True):
        return Recording.open(file)


def _asked(
    labels: list[str] | None, text: str | None, negative: str | None, away: list[str] | None
) -> "Options":
    """Return what is wanted and what is not, as options of a call of the library."""
    return {
        "labels": labels or [],
        "text": text or "",
        "negative": negative or "",
        "negative_labels": away or [],
    }


def _options(
    asked: "Options",
    steps: int | None,
    sampler: str | None,
    guidance: float | None,
    seed: int,
    bundle: str | None,
    threads: int | None,
) -> "Options":
    """Return the options of a call of the library."""
    return {
        **asked,
        "steps": steps,
        "sampler": sampler,
        "guidance": guidance,
        "seed": seed,
        "bundle": bundle,
        "threads": threads,
        "progress": progress,
    }


def _wanted(output: Path | None, source: Path, what: str, picture: bool, as_json: bool) -> _Wanted:
    """Return where to write, by default into the working folder.

    Raises:
        SettingError: it cannot be written there. Found out before the work is done rather than
            behind it.
    """
    default = f"{source.stem}-{what}.wav"
    chosen = output or Path(default)
    if chosen.suffix.lower() in _OTHER_KINDS:
        raise SettingError(
            f"{chosen} cannot be written: files are written as .wav or .flac. Choose one of these "
            "with `--output`; a program such as ffmpeg makes other kinds of it."
        )
    if chosen.is_dir():
        chosen /= default
    if chosen.suffix.lower() not in (".wav", ".flac"):
        chosen = chosen.with_name(chosen.name + ".wav")
    folder = next(parent for parent in chosen.absolute().parents if parent.exists())
    if chosen.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SettingError(
            f"Cannot write {chosen}: {folder} is not a folder that may be written to, or a folder has "
            "that name. Choose another place with `--output`."
        )
    return _Wanted(chosen, picture, as_json)


def _write(recording: "Recording", wanted: _Wanted, seed: int | None) -> None:
    """Save a recording and say where."""
    files = [wanted.output]
    recording.save(wanted.output)
    if wanted.picture:
        files.append(wanted.output.with_suffix(".png"))
        recording.save_picture(files[-1])
    if wanted.as_json:
        summary: dict[str, Any] = {
            "files": [str(file) for file in files],
            "seconds": recording.seconds,
            "rate_hz": recording.rate_hz,
            "channels": recording.channels,
            "new_seconds": [list(span) for span in recording.new],
            "seed": seed,
        }
        print_json(summary)
        return
    for file in files:
        print(file)
    new = sum(stop - start for start, stop in recording.new)
    tell(f"{recording.seconds:.1f} seconds at {recording.rate_hz} Hz, {new:.1f} of them new.")


app.command("explore")(audio_explore.explore)
app.command("prepare")(audio_data.prepare)
app.command("label")(audio_label.label)
for _name, _command in (
    ("train-autoencoder", audio_train.train_autoencoder),
    ("train-diffusion", audio_train.train_diffusion),
    ("export", audio_train.export),
    ("evaluate", audio_evaluate.evaluate),
    ("compare", audio_evaluate.compare),
):
    app.command(_name)(_command)
