"""`segue demo`: the bundled model fills a hole in the bundled piece."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from segue.cli.console import tell

FIRST_BAR, LAST_BAR = 9, 12
TRACKS = ["piano"]


@dataclass(frozen=True)
class DemoFiles:
    """What the demo writes.

    Attributes:
        original: the bundled piece as it is.
        inpainted: the piece with the hole filled.
        sound: the inpainted piece, rendered.
        picture: the piano roll, the hole marked.
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
    """Inpaint a bundled piece with the bundled model; MIDI, WAV and picture in ./segue-demo."""
    tell(f"Writing new music into bars {FIRST_BAR} to {LAST_BAR} of the {' and '.join(TRACKS)} ...")
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
    from segue.symbolic import inpaint

    files = DemoFiles.inside(folder)
    piece = inpaint.open_piece(demo_piece())
    piece.save(files.original)
    result: Any = piece.inpaint(bars=(FIRST_BAR, LAST_BAR), tracks=TRACKS, seed=seed)[0]
    result.save(files.inpainted)
    result.save_sound(files.sound)
    result.save_picture(files.picture)
    return files


def demo_piece() -> Path:
    """Return the path of the bundled demo piece."""
    import importlib.resources

    return Path(str(importlib.resources.files("segue"))) / "weights" / "demo.mid"
