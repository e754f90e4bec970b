"""`segue demo`: the bundled model writes new music into a piece that comes with the package."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from segue.cli.console import tell

PIECE = "quartet"
FIRST_BAR, LAST_BAR = 9, 12
TRACK = "Violin I"


@dataclass(frozen=True)
class DemoFiles:
    """What the demo writes.

    Attributes:
        original: the piece as it comes with the package.
        inpainted: the piece with the hole filled.
        sound: the inpainted piece, rendered.
        picture: its piano roll, the hole marked.
    """

    original: Path
    inpainted: Path
    sound: Path
    picture: Path

    @classmethod
    def inside(cls, folder: Path) -> "DemoFiles":
        """Name the files inside a folder."""
        return cls(
            folder / "original.mid",
            folder / "inpainted.mid",
            folder / "inpainted.wav",
            folder / "inpainted.png",
        )


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "segue-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other music.")] = 1,
) -> None:
    """Write new bars into a bundled piece: MIDI, WAV and picture in ./segue-demo."""
    tell(f"Writing new music into bars {FIRST_BAR} to {LAST_BAR} of {TRACK} ...")
    files = run_demo(output, seed=seed)
    for path in (files.original, files.inpainted, files.sound, files.picture):
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
