"""Make the gallery: ten inpaintings and ten clips in fixed categories, before and after.

Pieces, regions and seeds are fixed in ``docs/gallery/pieces`` and ``docs/gallery/making``; each system
writes once. With ``--only`` a few items are made anew and the others stay as they are. Run it from the
repository root::

    python docs/make_gallery.py -o docs/gallery
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gallery.making.audio import CLIPS, Recorder, make_clip
from gallery.making.items import LIST_NAME, Item, read_items, write_items
from gallery.making.midi import Players, make_midi
from gallery.making.page import page
from gallery.pieces.catalogue import catalogue

from segue.core.files import write_text
from segue.errors import SegueError
from segue.symbolic.soundfont import default_soundfont

PAGE = "index.html"
ENDINGS = (".png", ".webp", ".ogg", ".mid")
MOST_BYTES = 8_000_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Make what is asked for, then the page.

    Args:
        arguments: of the command line; those of this process where None.
    """
    options = _options(arguments)
    folder: Path = options.output
    folder.mkdir(parents=True, exist_ok=True)
    tasks = catalogue()
    slugs = [task.slug for task in tasks] + [clip.slug for clip in CLIPS]
    wanted = options.only or slugs
    if unknown := set(wanted) - set(slugs):
        sys.exit(f"There is no {', '.join(sorted(unknown))}. There are: {', '.join(slugs)}.")
    players = Players(
        options.bundle, options.left, options.baselines, options.soundfont, folder, tasks
    )
    recorder = Recorder(options.audio_bundle, options.soundfont, folder, players.pieces)
    items = read_items(folder)
    for task in tasks:
        if task.slug in wanted:
            _keep(items, make_midi(task, players), folder, slugs)
    for clip in CLIPS:
        if clip.slug in wanted:
            _keep(items, make_clip(clip, recorder), folder, slugs)
    soundfont = (options.soundfont or default_soundfont()).name
    shown = [items[slug] for slug in slugs if slug in items]
    write_text(folder / PAGE, page(shown, soundfont=soundfont))
    _weigh(folder, shown)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--bundle",
        help="name or folder of the bundle that fills holes; the package's own by default",
    )
    add("--audio-bundle", help="the same for the one that writes sound")
    add("--left", help="a bundle that reads from left to right only, to be shown beside it")
    add(
        "--baselines",
        type=Path,
        help="a folder of `segue midi baselines`; else fitted on the pieces",
    )
    add(
        "--soundfont",
        type=Path,
        help="a .sf2 or .sf3 file that plays; the installed one by default",
    )
    add("--only", nargs="+", metavar="SLUG", help="make these anew, keep the others")
    add("-o", "--output", type=Path, default=Path(__file__).parent / "gallery", help="the folder")
    return parser.parse_args(arguments)


def _keep(items: dict[str, Item], item: Item, folder: Path, order: list[str]) -> None:
    """Take an item up and write the list, so that an interruption costs one item only.

    Files of its earlier state that it no longer names are removed.
    """
    before = _files(items[item.slug]) if item.slug in items else set()
    items[item.slug] = item
    for name in before - _files(item):
        (folder / name).unlink(missing_ok=True)
    write_items(folder, [items[slug] for slug in order if slug in items])
    print(f"{item.slug}: {', '.join(version.key for version in item.versions)}", file=sys.stderr)


def _files(item: Item) -> set[str]:
    """Return the names of an item's files."""
    names = {name for v in item.versions for name in (v.picture, v.sound, v.midi) if name}
    return {name for name in names if Path(name).name == name}


def _weigh(folder: Path, items: list[Item]) -> None:
    """Say how large the page is with all its files."""
    names = {PAGE, LIST_NAME}.union(*(_files(item) for item in items))
    paths = [folder / name for name in sorted(names)]
    total = sum(path.stat().st_size for path in paths)
    for ending in ENDINGS:
        part = sum(path.stat().st_size for path in paths if path.suffix == ending)
        print(f"{ending}: {part / 1e6:.2f} MB")
    print(f"{folder / PAGE}: {len(paths)} files, {total / 1e6:.2f} MB")
    if total > MOST_BYTES:
        sys.exit(f"That is more than {MOST_BYTES / 1e6:g} MB.")


if __name__ == "__main__":
    try:
        main()
    except SegueError as error:
        sys.exit(str(error))
