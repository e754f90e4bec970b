"""The infilling tasks: which notes of which pieces are taken out, fixed by seeds and published.

Nine tasks, drawn on the token grid of every piece. A region is a list of holes that are filled one
after another; only the tasks of random cells have more than one. The tasks follow those of Composer's
Assistant (Malandro, ISMIR 2023) and of the Anticipatory Music Transformer (Thickstun et al., 2023).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.core.files import write_text
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.errors import DataError, SettingError
from segue.symbolic.evaluate.collection import TestPiece
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary

FORMAT = 1
_TRIES = 12
_SECTION_BARS = 8
_TOKENS_PER_NOTE = 5
_KEPT_GRIDS = 256


@dataclass(frozen=True, eq=False)
class Region:
    """What is taken out of a piece.

    Attributes:
        task: one of `TASKS`.
        piece: name of the piece.
        sha256: of its file.
        group: what the piece shares with its near duplicates.
        holes: filled in this order; bars are counted in the piece.
    """

    task: str
    piece: str
    sha256: str
    group: str
    holes: tuple[Hole, ...]

    @property
    def name(self) -> str:
        """A name for files and seeds."""
        return f"{self.task} {self.sha256[:16]} {self.piece}"

    @property
    def span(self) -> Hole:
        """The smallest hole that covers all holes; positions are those of a single one."""
        if len(self.holes) == 1:
            return self.holes[0]
        programs = dict.fromkeys(p for hole in self.holes for p in hole.programs)
        return Hole(
            min(hole.first_bar for hole in self.holes),
            max(hole.end_bar for hole in self.holes),
            tuple(programs),
        )

    def removed(self, notes: NDArray[np.void], start: int = 0) -> NDArray[np.bool_]:
        """Return which notes hole `start` and all later ones take. Shape ``notes``."""
        taken = np.zeros(len(notes), bool)
        for hole in self.holes[start:]:
            taken |= takes(hole, notes)
        return taken


def takes(hole: Hole, notes: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return which notes lie in a hole and belong to its instruments. Shape ``notes``."""
    return hole.contains(notes) & np.isin(notes["program"], hole.programs)


Draw = Callable[[np.random.Generator, Vocabulary, Grid], list[Hole] | None]


@dataclass(frozen=True)
class Task:
    """A way to take music out of a piece.

    Attributes:
        name: in files.
        title: for people.
        short: for narrow tables.
        draw: gives holes of a piece, or None where this place of the piece has nothing to take.
    """

    name: str
    title: str
    short: str
    draw: Draw


def _programs(notes: NDArray[np.void]) -> list[int]:
    """Return the instruments of notes in the order of the tracks."""
    pairs = np.unique(np.stack([notes["track"], notes["program"]]), axis=1)
    return [int(program) for program in pairs[1]]


def _here(grid: Grid, first: int, end: int) -> NDArray[np.void]:
    bars = grid.notes["bar"]
    return grid.notes[(bars >= first) & (bars < end)]


def _section(rng: np.random.Generator, grid: Grid, num_bars: int) -> tuple[int, int] | None:
    """Return a random stretch of bars with music in it."""
    if grid.num_bars < num_bars + 1:
        return None
    first = int(rng.integers(0, grid.num_bars - num_bars + 1))
    return (first, first + num_bars) if len(_here(grid, first, first + num_bars)) else None


def _one_instrument(num_bars: int) -> Draw:
    def draw(rng: np.random.Generator, _: Vocabulary, grid: Grid) -> list[Hole] | None:
        section = _section(rng, grid, num_bars)
        if section is None:
            return None
        program = int(rng.choice(_programs(_here(grid, *section))))
        return [Hole(*section, (program,))]

    return draw


def _one_of_several(rng: np.random.Generator, _: Vocabulary, grid: Grid) -> list[Hole] | None:
    section = _section(rng, grid, _SECTION_BARS)
    programs = [] if section is None else _programs(_here(grid, *section))
    if section is None or len(programs) < 2:
        return None
    return [Hole(*section, (int(rng.choice(programs)),))]


def _all_instruments(num_bars: int) -> Draw:
    def draw(rng: np.random.Generator, _: Vocabulary, grid: Grid) -> list[Hole] | None:
        section = _section(rng, grid, num_bars)
        if section is None:
            return None
        return [Hole(*section, tuple(_programs(_here(grid, *section))))]

    return draw


def _cells(share: float) -> Draw:
    def draw(rng: np.random.Generator, _: Vocabulary, grid: Grid) -> list[Hole] | None:
        section = _section(rng, grid, _SECTION_BARS)
        if section is None:
            return None
        first, end = section
        programs = _programs(_here(grid, first, end))
        cells = rng.random((end - first, len(programs))) < share
        holes: list[Hole] = []
        for bar, row in enumerate(cells, first):
            chosen = tuple(p for p, taken in zip(programs, row, strict=True) if taken)
            if not chosen:
                continue
            if holes and holes[-1].end_bar == bar and holes[-1].programs == chosen:
                holes[-1] = Hole(holes[-1].first_bar, bar + 1, chosen)
            else:
                holes.append(Hole(bar, bar + 1, chosen))
        return holes or None

    return draw


def _beat_span(rng: np.random.Generator, vocabulary: Vocabulary, grid: Grid) -> list[Hole] | None:
    section = _section(rng, grid, 2)
    if section is None:
        return None
    first, end = section
    beat = vocabulary.positions_per_beat
    beats = vocabulary.bar_positions[grid.signatures[[first, end - 1]]] // beat
    start, stop = int(rng.integers(1, beats[0] + 1)), int(rng.integers(1, beats[1] + 1))
    if start == beats[0]:
        start -= 1
    programs = tuple(_programs(_here(grid, first, end)))
    return [Hole(first, end, programs, start * beat, stop * beat)]


def _continuation(rng: np.random.Generator, _: Vocabulary, grid: Grid) -> list[Hole] | None:
    """Ask for all that plays there, whether it played before or enters: none of it is seen.

    The rest of the piece is dropped, so that there is no future; see `drops_future`.
    """
    section = _section(rng, grid, _SECTION_BARS)
    if section is None or section[0] < 4:
        return None
    before = _programs(_here(grid, section[0] - 4, section[0]))
    programs = _programs(_here(grid, *section))
    return [Hole(*section, tuple(programs))] if set(programs) & set(before) else None


def _accompaniment(rng: np.random.Generator, _: Vocabulary, grid: Grid) -> list[Hole] | None:
    """Everything but the highest instrument."""
    section = _section(rng, grid, _SECTION_BARS)
    if section is None:
        return None
    notes = _here(grid, *section)
    programs = _programs(notes)
    pitched = [p for p in programs if p != DRUM_PROGRAM]
    if len(programs) < 2 or not pitched:
        return None
    melody = max(pitched, key=lambda p: float(notes["pitch"][notes["program"] == p].mean()))
    return [Hole(*section, tuple(p for p in programs if p != melody))]


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("one_bar", "1 bar of one instrument", "1 bar", _one_instrument(1)),
        Task("four_bars", "4 bars of all instruments", "4 bars", _all_instruments(4)),
        Task("one_track", "one of several instruments, 8 bars", "1 track", _one_of_several),
        Task("cells_25", "25 % of the cells bar x instrument", "25 %", _cells(0.25)),
        Task("cells_50", "50 % of the cells", "50 %", _cells(0.5)),
        Task("cells_75", "75 % of the cells", "75 %", _cells(0.75)),
        Task("beat_span", "from one beat to another, all instruments", "beats", _beat_span),
        Task("continuation", "8 bars of continuation", "continue", _continuation),
        Task("accompaniment", "8 bars of accompaniment to the melody", "accompany", _accompaniment),
    )
}
"""The tasks by name, in the order of tables."""


def drops_future(task: str) -> bool:
    """Whether all that starts behind the region is taken away from the piece."""
    return task == "continuation"


def draw_regions(
    pieces: Sequence[TestPiece],
    vocabulary: Vocabulary,
    *,
    tasks: Iterable[str] = TASKS,
    per_task: int | None = None,
    max_tokens: int = 800,
    min_notes: int = 4,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Region]:
    """Draw at most one region per piece and task.

    Every task begins elsewhere in the pieces and goes round, so that the first regions of different
    tasks lie in different pieces. A piece whose music gives no region of a task (too short, one
    instrument only) is passed over.

    Args:
        pieces: in an order without meaning, as `open_collection` gives them.
        vocabulary: of the grids.
        tasks: names out of `TASKS`.
        per_task: most regions of a task; None is one per piece.
        max_tokens: largest region, in tokens of its original notes.
        min_notes: fewest notes of a region.
        seed: together with a piece's hash it fixes the region.
        progress: who listens.
    """
    names = list(tasks)
    limits = (min_notes, max_tokens)
    grids = lru_cache(maxsize=_KEPT_GRIDS)(lambda number: pieces[number].load())
    found: list[Region] = []
    with progress("drawing regions", total=len(names) * len(pieces)) as advance:
        for name in names:
            here: list[Region] = []
            order = _rotated(name, len(pieces))
            for done, number in enumerate(order):
                if len(here) == per_task:
                    advance(len(order) - done)
                    break
                piece = pieces[number]
                holes = _draw(TASKS[name], piece, vocabulary, grids(number), limits, seed)
                if holes is not None:
                    here.append(Region(name, piece.name, piece.sha256, piece.group, holes))
                advance()
            found += here
    return found


def _rotated(task: str, count: int) -> list[int]:
    """Return the numbers of pieces in the order of a task, whatever other tasks there are."""
    start = list(TASKS).index(task) * count // len(TASKS)
    return [*range(start, count), *range(start)]


def _draw(
    task: Task,
    piece: TestPiece,
    vocabulary: Vocabulary,
    grid: Grid,
    limits: tuple[int, int],
    seed: int,
) -> tuple[Hole, ...] | None:
    min_notes, max_tokens = limits
    rng = generator(seed, "region", task.name, piece.sha256, piece.name)
    for _ in range(_TRIES):
        drawn = task.draw(rng, vocabulary, grid)
        holes = tuple(hole for hole in drawn or () if takes(hole, grid.notes).any())
        count = sum(int(takes(hole, grid.notes).sum()) for hole in holes)
        if holes and count >= min_notes and count * _TOKENS_PER_NOTE <= max_tokens:
            return holes
    return None


# The published form ------------------------------------------------------------------------------


def write_masks(path: Path, regions: Iterable[Region], vocabulary: Vocabulary) -> None:
    """Write regions as JSON lines: piece, hash, task, and the bars, beats and programs of each hole.

    Bars count from 0 and end is exclusive; beats count from 0 within the bar, in the beats of its time
    signature; programs are General MIDI from 0, drums -1.
    """
    beat = vocabulary.positions_per_beat
    lines = []
    for region in regions:
        holes = [
            {
                "bars": [hole.first_bar, hole.end_bar],
                "first_beat": hole.first_position / beat,
                "end_beat": None if hole.last_position is None else hole.last_position / beat,
                "programs": list(hole.programs),
            }
            for hole in region.holes
        ]
        line = {
            "format": FORMAT,
            "task": region.task,
            "piece": region.piece,
            "sha256": region.sha256,
            "group": region.group,
            "holes": holes,
        }
        lines.append(json.dumps(line, ensure_ascii=False))
    write_text(path, "\n".join(lines) + "\n")


def read_masks(path: Path, vocabulary: Vocabulary) -> list[Region]:
    """Read what `write_masks` wrote.

    Raises:
        DataError: the file cannot be read or is of another kind.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # names may hold other line ends
        return [_region(json.loads(line), vocabulary) for line in lines if line]
    except (OSError, ValueError, LookupError, TypeError, OverflowError, SettingError) as error:
        raise DataError(
            f"{path} holds no regions that this version reads ({error!r}). Leave `--masks` out to "
            "draw new ones."
        ) from error


def _region(line: dict[str, Any], vocabulary: Vocabulary) -> Region:
    if line["format"] != FORMAT or line["task"] not in TASKS:
        raise ValueError(f"format {line['format']}, task {line['task']!r}")
    task, piece, sha256, group = (line[name] for name in ("task", "piece", "sha256", "group"))
    holes = tuple(_hole(hole, vocabulary) for hole in line["holes"])
    if not all(isinstance(text, str) and text.encode() for text in (piece, sha256, group)):
        raise TypeError("a name is no text")
    if not holes:
        raise ValueError("no holes")
    return Region(task, piece, sha256, group, holes)


def _hole(values: dict[str, Any], vocabulary: Vocabulary) -> Hole:
    beat = vocabulary.positions_per_beat
    start, end = values["first_beat"], values["end_beat"]
    hole = Hole(
        int(values["bars"][0]),
        int(values["bars"][1]),
        tuple(int(program) for program in values["programs"]),
        round(start * beat),
        None if end is None else round(end * beat),
    )
    if hole.first_position < 0 or not set(hole.programs) <= vocabulary.program_index.keys():
        raise ValueError(f"first beat {start}, programs {hole.programs}")
    return hole


def regions_of(
    pieces: Sequence[TestPiece], regions: Iterable[Region]
) -> Iterator[tuple[TestPiece, Region]]:
    """Yield every region with its piece.

    Raises:
        DataError: a region's piece is not in the collection, is another file, or ends before it.
    """
    by_hash = {piece.sha256: piece for piece in pieces}
    num_bars: dict[str, int] = {}
    for region in regions:
        if region.sha256 not in by_hash:
            raise DataError(
                f"The piece {region.piece} (sha256 {region.sha256[:16]}...) of the masks is not in "
                "the collection. Give the files that the masks were made for."
            )
        piece = by_hash[region.sha256]
        if region.sha256 not in num_bars:
            num_bars[region.sha256] = piece.load().num_bars
        if region.span.end_bar > num_bars[region.sha256]:
            raise DataError(
                f"A region of the masks ends with bar {region.span.end_bar} of {region.piece}, which "
                f"has {num_bars[region.sha256]} bars. Leave `--masks` out to draw new regions."
            )
        yield piece, region
