"""`segue demo`: the bundled models write new music into a piece that comes with the package, and sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segue.cli.console import tell

PIECE = "quartet"
FIRST_BAR, LAST_BAR = 9, 12
TRACK = "Violin I"
CLIP_SECONDS = 10


@dataclass(frozen=True)
class DemoFiles:
    """What the demo writes.

    Attributes:
        original: the piece as it comes with the package.
        inpainted: the piece with the hole filled.
        sound: the inpainted piece, rendered.
        picture: its piano roll, the hole marked.
        generated: sound from nothing.
        generated_picture: its waveform and spectrogram.
    """

    original: Path
    inpainted: Path
    sound: Path
    picture: Path
    generated: Path
    generated_picture: Path

    @classmethod
    def inside(cls, folder: Path) -> "DemoFiles":
        """Name the files inside a folder."""
        return cls(
            folder / "original.mid",
            folder / "inpainted.mid",
            folder / "inpainted.wav",
            folder / "inpainted.png",
            folder / "generated.wav",
            folder / "generated.png",
        )

    def written(self) -> "list[Path]":
        """Return the files that are there."""
        return [path for path in vars(self).values() if path.is_file()]


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "segue-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other music.")] = 1,
) -> None:
    """Write new bars into a bundled piece, and ten seconds of sound, into ./segue-demo."""
    tell(f"Writing new music into bars {FIRST_BAR} to {LAST_BAR} of {TRACK} ...")
    files = run_demo(output, seed=seed)
    if has_audio_model():
        tell(f"Generating {CLIP_SECONDS} seconds of sound ...")
        generate_clip(files, seed=seed)
    for path in files.written():
        print(path)


def run_demo(folder: Path, *, seed: int) -> DemoFiles:
    """Fill the hole in the demo piece and write the results.

    Args:
        folder: where the files go; made where missing.
        seed: seed of the sampling; the same seed gives the same files.

    Raises:
        BundleError: no model is inside the package.
        DataError: the folder cannot be written.
    """
    from segue.core.region import Region
    from segue.symbolic.demo_piece import demo_piece
    from segue.symbolic.render import piano_roll_of, render_wav, save_png
    from segue.symbolic.song import Song

    files = DemoFiles.inside(folder)
    song = Song.from_bytes(demo_piece(PIECE), name="The demo piece")
    bars = (FIRST_BAR, LAST_BAR)
    filling = song.inpaint(bars=bars, tracks=[TRACK], seed=seed)[0]
    song.save(files.original)
    filling.save(files.inpainted)
    render_wav(filling.piece, files.sound)
    region = Region.parse(bars, tracks=[TRACK])
    title = f"New: bars {FIRST_BAR} to {LAST_BAR} of {TRACK}"
    save_png(
        piano_roll_of(filling.piece, region=region, compare_with=song, title=title), files.picture
    )
    return files


def has_audio_model() -> bool:
    """Say whether a model for sound is inside the package."""
    from segue.audio.loaded import DEFAULT_BUNDLE
    from segue.runtime.bundle import list_bundles

    return DEFAULT_BUNDLE in [bundle.folder.name for bundle in list_bundles()]


def generate_clip(files: DemoFiles, *, seed: int) -> None:
    """Write a clip of sound from nothing, and its picture.

    Args:
        files: where to.
        seed: the same seed gives the same clip.

    Raises:
        BundleError: the model for sound is damaged.
        DataError: the folder cannot be written.
    """
    from segue.audio.recording import generate
    from segue.cli.console import progress

    clip = generate(CLIP_SECONDS, seed=seed, progress=progress)
    clip.save(files.generated)
    clip.save_picture(files.generated_picture, title=f"New: {CLIP_SECONDS} seconds of sound")
