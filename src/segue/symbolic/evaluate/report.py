"""The page of an evaluation: tables, pictures, examples to look at and to listen to, offline."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from segue.core.files import safe_name, write_bytes
from segue.core.plain import shown
from segue.core.progress import Progress, silent, track
from segue.core.report import Cell, Page
from segue.core.statistics import Interval
from segue.plots import evaluation as plots
from segue.plots.collection import png_bytes
from segue.symbolic.evaluate.evaluation import WORK, Evaluation
from segue.symbolic.evaluate.excerpts import Excerpt, excerpt
from segue.symbolic.evaluate.infilling import SIGHTS, FillRow
from segue.symbolic.evaluate.regions import TASKS
from segue.symbolic.evaluate.summary import ALL_TASKS, meaning_of
from segue.symbolic.evaluate.systems import KINDS

FIRST_METRICS = (
    "note_f1",
    "onset_f1_sixteenth",
    "chroma_similarity",
    "groove_similarity",
    "pitch_class_entropy_difference",
    "onset_density_error",
    "seam",
)
"""Metrics of the first table of fillings: likeness to the original."""

SECOND_METRICS = (
    "diversity",
    "copied_from_context",
    "copied_from_training",
    "empty_bar_rate",
    "scale_share",
    "grid_share",
    "polyphony_difference",
    "duration_distance",
)
"""Metrics of the second: what must stand beside likeness to be able to read it."""

BY_TASK = (
    "note_f1",
    "chroma_similarity",
    "groove_similarity",
    "diversity",
    "copied_from_context",
    "copied_from_training",
    "empty_bar_rate",
)
"""Metrics that have a table of their own, by task."""

SOUNDS = "sounds"
"""Folder of excerpts that were played, inside the folder of work."""

EXAMPLES = "examples"

Map = tuple[str, bytes, str]


def write_report(
    evaluation: Evaluation,
    *,
    maps: Sequence[Map] = (),
    num_examples: int = 1,
    progress: Progress = silent,
) -> Path:
    """Write ``index.html``, ``pictures/`` and ``examples/`` into the evaluation's folder.

    Args:
        evaluation: what was measured.
        maps: name, PNG and caption of embedding maps.
        num_examples: regions of each task that are shown.
        progress: who listens.
    """
    page = Page(
        f"{evaluation.bundle.name}: evaluation",
        subtitle=(
            f"{len(evaluation.pieces)} pieces, {len(evaluation.regions)} regions, seed "
            f"{evaluation.settings.seed}. Intervals are 95 % bootstrap intervals over pieces."
        ),
    )
    book = _Book(page, evaluation.folder / "pictures")
    _likelihood(book, evaluation)
    _context(book, evaluation)
    _contamination(page, evaluation)
    _fillings(book, evaluation)
    _maps(book, maps)
    examples = _examples(page, evaluation, num_examples, progress)
    _how(page, evaluation)
    _remove_others(book.folder, "*.png", book.written)
    _remove_others(evaluation.folder / EXAMPLES, "[0-9][0-9][0-9]*-*.mid", examples)
    path = evaluation.folder / "index.html"
    page.save(path)
    return path


class _Book:
    """A page that also keeps its pictures as files."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.written: set[Path] = set()

    def picture(self, name: str, png: bytes, *, alt: str, caption: str = "") -> None:
        """Add a picture and keep it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.png"
        write_bytes(path, png)
        self.written.add(path)
        self.page.picture(png, alt=alt, caption=caption)


def _likelihood(book: _Book, evaluation: Evaluation) -> None:
    table = evaluation.summary.likelihood
    name = evaluation.bundle.name
    page = book.page
    page.heading("What the original notes cost")
    page.text(
        "Bits per note of the notes that were taken out, given all that stays; lower is better. Every "
        "system is measured on the same regions. A model that reads from left to right alone, as the "
        "source deck's does, is given all that stands before each note."
    )
    overall = table.get(ALL_TASKS)
    if overall is None:
        page.text("There is no region that all systems could read.")
        return
    ordered = dict(sorted(overall.items(), key=lambda item: item[1].bits_per_note.mean))
    figure = plots.intervals(
        {system: row.bits_per_note for system, row in ordered.items()},
        title="Bits per note of held-out regions",
        x_label="bits per note",
        highlight=name,
    )
    book.picture("bits-per-note", png_bytes(figure), alt="Bits per note of every system")
    paired = evaluation.summary.paired
    rows: list[list[Cell]] = [
        [
            system,
            shown(row.bits_per_note),
            shown(paired[system]) if system in paired else "",
            shown(row.nats_per_token, 3),
            row.num_regions,
            row.num_notes,
        ]
        for system, row in ordered.items()
    ]
    page.table(
        rows,
        header=("system", "bits per note", f"above {name}", "nats per token", "regions", "notes"),
        caption="All tasks. Nats per token can be compared where systems share the tokenizer.",
    )
    tasks = [task for task in table if task != ALL_TASKS]
    page.table(
        [
            [system, *(shown(table[t][system].bits_per_note) if system in table[t] else None for t in tasks)]
            for system in ordered
        ],
        header=("bits per note", *(TASKS[task].short for task in tasks)),
        caption="By task.",
    )  # fmt: skip
    figure = plots.stacked(
        {system: row.by_kind for system, row in ordered.items()},
        title="What of a note costs how much",
        x_label="bits per note",
    )
    book.picture("bits-by-kind", png_bytes(figure), alt="Bits per note by kind of token")
    page.table(
        [[system, *(f"{row.by_kind[kind]:.2f}" for kind in KINDS)] for system, row in ordered.items()],
        header=("bits per note", *KINDS),
        caption="Bar lines and the end of the answer count as onset.",
    )  # fmt: skip


def _context(book: _Book, evaluation: Evaluation) -> None:
    sights = evaluation.summary.sights
    if not sights:
        return
    book.page.heading("What the context gives")
    book.page.text(
        "The same notes, given less and less: nothing; what starts before the region; that and what "
        "starts behind it; and all of these with the other instruments during the region."
    )
    present = [sight for sight in SIGHTS if any(sight in row for row in sights.values())]
    if "all" not in present:
        book.page.text(
            f"{evaluation.bundle.name} was trained to see no more than the last column has, so that "
            "nothing is said of more."
        )
    titled = {TASKS[task].title: row for task, row in sights.items()}
    figure = plots.steps(titled, present, title="Bits per note by context", y_label="bits per note")
    book.picture("context", png_bytes(figure), alt="Bits per note by how much context is seen")
    book.page.table(
        [[title, *(_text(row.get(sight)) for sight in present)] for title, row in titled.items()],
        header=("bits per note", *(sight.replace("_", " + ") for sight in present)),
    )


def _contamination(page: Page, evaluation: Evaluation) -> None:
    subsets = evaluation.summary.contamination
    page.heading("Near duplicates in the training music")
    if not subsets:
        page.text(
            "The training music is not known here, so that nothing can be said of it. Name the folder "
            "that the model was trained on with --train."
        )
        return
    count = sum(found.near_duplicate for found in evaluation.neighbours.values())
    page.text(
        f"{count} of {len(evaluation.neighbours)} pieces have a near duplicate among the training "
        "pieces: the same notes in any key and tempo, or a good part of their phrases."
    )
    systems = list(dict.fromkeys(system for row in subsets.values() for system in row))
    page.table(
        [[system, *(_bits(subset, system) for subset in subsets.values())] for system in systems],
        header=("bits per note", *subsets),
    )


def _bits(subset: Mapping[str, object], system: str) -> str | None:
    row = subset.get(system)
    return None if row is None else _text(getattr(row, "bits_per_note", None))


def _text(interval: Interval | None) -> str | None:
    return None if interval is None else shown(interval)


def _fillings(book: _Book, evaluation: Evaluation) -> None:
    fillings = evaluation.summary.fillings
    if not fillings:
        return
    page = book.page
    page.heading("What was written")
    page.text(
        f"{evaluation.settings.samples} fillings of every region (2 by baselines), measured one by one against the "
        "original and averaged. Likeness to the original is a weak sign of quality: much good music "
        "would fit. It is read beside diversity, copies and empty bars, and beside the human original "
        "(the ceiling) and its notes shuffled (the floor)."
    )
    page.text(
        "A model of the source deck's kind has read what stood in a region before it writes there: its "
        "fillings are variations, and their likeness to the original is no merit. Systems that do not "
        "write in every task stand in the tables by task alone."
    )
    overall = fillings.get(ALL_TASKS, {})
    everyone = list(dict.fromkeys(system for row in fillings.values() for system in row))
    for names, caption in (
        (FIRST_METRICS, "Likeness to the original."),
        (SECOND_METRICS, "What likeness must be read with."),
    ):
        present = [name for name in names if any(name in row for row in overall.values())]
        page.table(
            [[system, *(_text(row.get(name)) for name in present)] for system, row in overall.items()],
            header=("all tasks", *(name.replace("_", " ") for name in present)),
            caption=caption,
        )  # fmt: skip
    figure = plots.intervals(
        {system: row["note_f1"] for system, row in overall.items()},
        title="Note F1 against the original",
        x_label="F1 of onset, pitch and instrument",
        highlight=evaluation.bundle.name,
    )
    book.picture("note-f1", png_bytes(figure), alt="Note F1 of every system")
    tasks = [task for task in fillings if task != ALL_TASKS]
    for name in BY_TASK:
        if not any(name in row for task in tasks for row in fillings[task].values()):
            continue
        page.table(
            [
                [system, *(_text(fillings[task].get(system, {}).get(name)) for task in tasks)]
                for system in everyone
            ],
            header=(name.replace("_", " "), *(TASKS[task].short for task in tasks)),
            caption="By task.",
        )


def _maps(book: _Book, maps: Sequence[Map]) -> None:
    if not maps:
        return
    book.page.heading("Embedding maps")
    book.page.text(
        "t-SNE draws neighbours as neighbours; distances and sizes of groups mean nothing. The "
        "figures below each map say how far labels agree among neighbours, and how far they would by "
        "chance."
    )
    for name, png, caption in maps:
        slug = safe_name(name.lower())
        book.picture(slug, png, alt=name, caption=caption)


def _examples(page: Page, evaluation: Evaluation, count: int, progress: Progress) -> set[Path]:
    """Add the examples and return their MIDI files."""
    chosen = example_rows(evaluation, count)
    written: set[Path] = set()
    if not chosen:
        return written
    page.heading("Examples")
    page.text(
        "The first regions of every task, not chosen by ear: the original, the hole (what every system "
        "was given) and all fillings; equal ones of a system once. In colour: the notes of the region. "
        "The MIDI files lie in the folder examples."
    )
    folder = evaluation.folder / EXAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    sounds = evaluation.folder / WORK / SOUNDS
    for number, rows in track(chosen.items(), "rendering examples", progress=progress):
        region = evaluation.regions[number]
        items = []
        original, *fillings = versions(evaluation, number, rows)
        for label, piece in (original, ("hole", hole_alone(evaluation, number)), *fillings):
            path = folder / f"{number:03d}-{safe_name(label)}.mid"
            write_bytes(path, piece.midi())
            written.add(path)
            items.append((label, piece.picture(), piece.kept_sound(sounds)))
        page.example(f"{TASKS[region.task].title}: {region.piece}", items)
    return written


def _remove_others(folder: Path, pattern: str, kept: Container[Path]) -> None:
    """Remove what an earlier report left in a folder and this one did not write."""
    for path in folder.glob(pattern):
        if path not in kept:
            path.unlink()


def example_rows(evaluation: Evaluation, count: int | None) -> dict[int, list[FillRow]]:
    """Return the fillings of the first `count` regions of every task, by region; None is all.

    Those of the models, of the baseline that predicts best and of the one that comes nearest to the
    original.
    """
    chosen: dict[int, list[FillRow]] = {}
    taken: dict[str, int] = {}
    shown_systems = _shown_systems(evaluation)
    for row in evaluation.fills:
        if row.system not in shown_systems:
            continue
        task = evaluation.regions[row.region].task
        if row.region not in chosen:
            if count is not None and taken.get(task, 0) >= count:
                continue
            taken[task] = taken.get(task, 0) + 1
        chosen.setdefault(row.region, []).append(row)
    return chosen


def _shown_systems(evaluation: Evaluation) -> set[str]:
    costs = evaluation.summary.likelihood.get(ALL_TASKS, {})
    fillings = evaluation.summary.fillings.get(ALL_TASKS, {})
    baselines = [
        system.name
        for system in evaluation.systems
        if system.kind == "baseline" and system.name in costs and system.name in fillings
    ]
    found = {system.name for system in evaluation.systems if system.kind == "model"}
    if baselines:
        found.add(min(baselines, key=lambda name: costs[name].bits_per_note.mean))
        found.add(max(baselines, key=lambda name: fillings[name]["note_f1"].mean))
    return found


def versions(
    evaluation: Evaluation, number: int, rows: Sequence[FillRow]
) -> list[tuple[str, Excerpt]]:
    """Return the original of a region and its fillings, by label; equal ones of a system once."""
    region, vocabulary = evaluation.regions[number], evaluation.tokenizer.vocabulary
    grid = evaluation.grid(region)
    found = [("original", excerpt(vocabulary, grid, region, None))]
    seen: set[tuple[str, bytes]] = set()
    for row in rows:
        version = excerpt(vocabulary, grid, region, row.notes)
        if (row.system, version.midi()) not in seen:
            seen.add((row.system, version.midi()))
            later = f", filling {row.sample + 1}" if row.sample else ""
            found.append((f"{row.system}{later}", version))
    return found


def hole_alone(evaluation: Evaluation, number: int) -> Excerpt:
    """Return what all systems were given: the excerpt with nothing in the region."""
    region, grid = evaluation.regions[number], evaluation.grid(evaluation.regions[number])
    return excerpt(evaluation.tokenizer.vocabulary, grid, region, grid.notes[:0])


def _how(page: Page, evaluation: Evaluation) -> None:
    page.heading("How to read this, and how to repeat it")
    names = list(
        dict.fromkeys(
            n for row in evaluation.summary.fillings.get(ALL_TASKS, {}).values() for n in row
        )
    )
    rows: list[list[Cell]] = []
    for name in names:
        direction, unit, meaning = meaning_of(name)
        rows.append([name.replace("_", " "), meaning, unit, direction or "as the original's"])
    page.table(rows, header=("metric", "meaning", "unit", "better"))
    page.text(
        "The regions are in masks.jsonl, one line each with the piece's SHA-256; given to --masks they "
        "are measured again. Every number is in metrics.json, every region in regions.csv."
    )
    counts = evaluation.summary.regions
    page.table(
        [[TASKS[task].title, *(row[task] for row in counts.values())] for task in counts["drawn"]],
        header=("regions", *counts),
        caption="Likelihoods rest on those that all scored, fillings on those that all filled who "
        "write in a task.",
    )
    page.table(
        [[system.name, system.fingerprint] for system in evaluation.systems],
        header=("system", "fingerprint of its weights"),
    )
