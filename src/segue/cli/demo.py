"""`segue demo`: the bundled model fills a hole in the bundled piece."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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
    from segue.core.region import Region
    from segue.symbolic.inpaint import inpaint
    from segue.symbolic.loaded import MidiModel
    from segue.symbolic.render import piano_roll_of, render_wav, save_png
    from segue.symbolic.score import Piece

    files = DemoFiles.inside(folder)
    piece = Piece.open(demo_piece())
    region = Region.parse((FIRST_BAR, LAST_BAR), tracks=TRACKS)
    model = MidiModel.open()
    settings = model.defaults.model_copy(update={"seed": seed})
    filling = inpaint(piece, region, model=model, settings=settings)[0]
    piece.save(files.original)
    filling.save(files.inpainted)
    render_wav(filling.piece, files.sound)
    title = f"bars {FIRST_BAR} to {LAST_BAR} of the {' and '.join(TRACKS)}"
    save_png(
        piano_roll_of(filling.piece, region=region, compare_with=piece, title=title), files.picture
    )
    return files


def demo_piece() -> Path:
    """Return the path of the bundled demo piece."""
    import importlib.resources

    return Path(str(importlib.resources.files("segue"))) / "weights" / "demo.mid"
