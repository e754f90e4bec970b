"""The ten pieces and what is asked of each: fixed once, the same for every model."""

from collections.abc import Callable
from dataclasses import dataclass

from gallery.pieces import (
    band,
    chorale,
    drums,
    electronic,
    evening,
    invention,
    orchestra,
    quintet,
    waltz,
)
from gallery.pieces.writing import Composition, midi_file

from segue.core.region import Region
from segue.symbolic.demo_piece import demo_piece


@dataclass(frozen=True)
class Task:
    """A piece with a hole.

    Attributes:
        slug: name of its files.
        category: where it stands on the page.
        title: name of the piece.
        asked: the task in words.
        command: options of `segue midi inpaint` that ask for the same.
        region: what is taken out and written anew.
        midi: gives the piece as a MIDI file.
        about: the piece in words.
    """

    slug: str
    category: str
    title: str
    asked: str
    command: str
    region: Region
    midi: Callable[[], bytes]
    about: str


def _task(
    slug: str,
    category: str,
    compose: Callable[[], Composition],
    asked: str,
    command: str,
    about: str,
    *,
    title: str = "",
) -> Task:
    """Put a task together; its region is what its command says."""
    piece = compose()
    return Task(
        slug,
        category,
        title or piece.title,
        asked,
        command,
        region_of(command),
        lambda: midi_file(piece),
        about,
    )


def region_of(command: str) -> Region:
    """Return the region of options such as "--bars 9-12 --tracks bass"."""
    words = command.replace('"', "").split("--")[1:]
    options = dict(word.strip().split(" ", 1) for word in words)
    tracks = options.pop("tracks", None)
    ((unit, span),) = options.items()
    return Region.parse(span, unit=unit, tracks=tracks)  # type: ignore[arg-type]  # checked there


def catalogue() -> tuple[Task, ...]:
    """Return the ten tasks in the order of the page."""
    quartet = Task(
        "quartet", "Quartet", "Song without a break",
        "the two inner voices of eight bars", "--bars 9-16 --tracks 1,2",
        region_of("--bars 9-16 --tracks 1,2"), lambda: demo_piece("quartet"),
        "The demo piece for string quartet that comes with the package, G major, 32 bars.",
    )  # fmt: skip
    return (
        _task("drums", "Drums", drums.compose, "four bars of the kit", "--bars 9-12",
              "A funk groove with ghost notes and fills, 16 bars."),
        _task("electronic", "Fast electronic", electronic.compose, "the whole bass, from the other tracks",
              "--bars 1-16 --tracks bass", "Arpeggios, pad, lead and four kicks a bar in A minor, 140 beats a minute, 16 bars."),
        _task("waltz", "Piano", waltz.compose, "four bars of the right hand", '--bars 9-12 --tracks "right hand"',
              "A waltz in A minor, 3/4, 16 bars."),
        _task("invention", "Piano", invention.compose, "the second half, with nothing behind it",
              "--bars 9-16", "A two-part invention in D minor, 16 bars."),
        _task("quintet", "Ensemble", quintet.compose, "four bars of all five instruments", "--bars 7-10",
              "A pastoral for wind quintet in G major, 6/8, 16 bars."),
        _task("orchestra", "Ensemble", orchestra.compose, "one bar of everything", "--bars 7",
              "A procession for small orchestra in E flat major, 12 bars."),
        _task("chorale", "Choir", chorale.compose, "alto, tenor and bass under the soprano",
              "--bars 1-8 --tracks 1,2,3", "A chorale for four voices in F major, 8 bars."),
        _task("evening", "Choir", evening.compose, "eleven beats of both voices over the organ",
              "--beats 17-27 --tracks soprano,alto", "A song for two voices and organ in D major, 3/4, 16 bars."),
        quartet,
        _task("band", "Band", band.compose, "drums for keys and bass that have none",
              "--bars 1-16 --tracks drums", "Electric piano, bass and drums in E minor, 16 bars."),
    )  # fmt: skip
