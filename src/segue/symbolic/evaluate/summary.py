"""From rows to numbers: bits per note, metrics of the fillings, and their intervals over pieces."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.core.progress import Progress, silent, track
from segue.core.seeds import generator
from segue.core.statistics import Interval, bootstrap
from segue.symbolic.evaluate.copying import NgramIndex, copied_from_context
from segue.symbolic.evaluate.infilling import FillRow, SurpriseRow, original_notes
from segue.symbolic.evaluate.metrics import METRICS, measure_samples
from segue.symbolic.evaluate.passage import Passage, passage_of_bars, passage_of_grid
from segue.symbolic.evaluate.regions import Region
from segue.symbolic.evaluate.systems import KINDS, cut
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole, Sight
from segue.symbolic.vocabulary import Vocabulary

ALL_TASKS = "all tasks"
CONTEXT_BARS = 8
"""Bars on either side that count as the surroundings of a region."""

COUNTS = ("drawn", "scored by all", "filled by all")
"""Regions that there are; that every system gave a likelihood; that all filled who write in a task."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Likelihood:
    """What the same regions cost one system.

    Attributes:
        bits_per_note: ratio over all notes, with an interval over pieces.
        nats_per_token: likewise per token; comparable where the tokenizer is shared.
        by_kind: bits per note of each of `KINDS`.
        num_regions, num_notes: what it rests on.
    """

    bits_per_note: Interval
    nats_per_token: Interval
    by_kind: dict[str, float]
    num_regions: int
    num_notes: int


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything that was measured, ready for a table.

    Attributes:
        likelihood: by task (`ALL_TASKS` first) and system.
        sights: bits per note of the evaluated model by task and sight.
        fillings: by task, system and metric.
        contamination: by subset (clean, contaminated) and system.
        paired: by system, bits per note above the evaluated model's on the same regions.
        regions: number of regions by task, of each of `COUNTS`.
    """

    likelihood: dict[str, dict[str, Likelihood]]
    sights: dict[str, dict[str, Interval]]
    fillings: dict[str, dict[str, dict[str, Interval]]]
    contamination: dict[str, dict[str, Likelihood]] = field(default_factory=dict)
    paired: dict[str, Interval] = field(default_factory=dict)
    regions: dict[str, dict[str, int]] = field(default_factory=dict)


def common_regions(rows: Iterable[SurpriseRow]) -> set[int]:
    """Return the regions that every system has a cost for, seeing all it can."""
    by_system: dict[str, set[int]] = {}
    for row in rows:
        if row.sight == "all":
            by_system.setdefault(row.system, set()).add(row.region)
    return set.intersection(*by_system.values()) if by_system else set()


def likelihood_of(
    rows: Sequence[SurpriseRow], groups: Mapping[int, str], *, seed: int
) -> Likelihood:
    """Return the likelihood over rows of one system, drawn again by piece.

    Args:
        rows: one per region.
        groups: group of every region's piece.
        seed: of the bootstrap.
    """
    names = sorted({groups[row.region] for row in rows})
    place = {name: number for number, name in enumerate(names)}
    nats, notes, tokens = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    kinds = np.zeros(len(KINDS))
    for row in rows:
        at = place[groups[row.region]]
        nats[at] += sum(row.nats)
        notes[at] += row.num_notes
        tokens[at] += sum(row.tokens)
        kinds += row.nats
    rng = generator(seed, "bootstrap")
    return Likelihood(
        bootstrap(nats / notes / np.log(2), rng, weights=notes),
        bootstrap(nats / tokens, rng, weights=tokens),
        dict(zip(KINDS, (kinds / notes.sum() / np.log(2)).tolist(), strict=True)),
        len(rows),
        int(notes.sum()),
    )


def likelihood_table(
    rows: Sequence[SurpriseRow],
    regions: Sequence[Region],
    *,
    seed: int,
    keep: Container[int] | None = None,
) -> dict[str, dict[str, Likelihood]]:
    """Return likelihoods by task and system, on the regions that all systems have.

    Args:
        rows: of all systems.
        regions: all of them.
        seed: of the bootstrap.
        keep: numbers of the regions that count; all of them by default.
    """
    groups = {number: region.group for number, region in enumerate(regions)}
    shared = {number for number in common_regions(rows) if keep is None or number in keep}
    chosen = [row for row in rows if row.sight == "all" and row.region in shared]
    systems = list(dict.fromkeys(row.system for row in rows))
    tasks = list(dict.fromkeys(region.task for region in regions))
    table: dict[str, dict[str, Likelihood]] = {}
    for task in (ALL_TASKS, *tasks):
        for system in systems:
            part = [
                row
                for row in chosen
                if row.system == system and task in (ALL_TASKS, regions[row.region].task)
            ]
            if part:
                table.setdefault(task, {})[system] = likelihood_of(part, groups, seed=seed)
    return table


def sight_table(
    rows: Sequence[SurpriseRow],
    regions: Sequence[Region],
    system: str,
    *,
    seed: int,
    own: Sight = "all",
) -> dict[str, dict[str, Interval]]:
    """Return bits per note by task and sight, for tasks that were measured with several.

    Args:
        rows: of all systems.
        regions: all of them.
        system: whose rows count.
        seed: of the bootstrap.
        own: how much the system can see; it stands for ``all``, which is no more to it.
    """
    groups = {number: region.group for number, region in enumerate(regions)}
    table: dict[str, dict[str, list[SurpriseRow]]] = {}
    for row in rows:
        if row.system == system:
            task = regions[row.region].task
            sight = own if row.sight == "all" else row.sight
            table.setdefault(task, {}).setdefault(sight, []).append(row)
    return {
        task: {
            sight: likelihood_of(part, groups, seed=seed).bits_per_note
            for sight, part in sights.items()
        }
        for task, sights in table.items()
        if len(sights) > 1
    }


def paired_table(
    rows: Sequence[SurpriseRow], regions: Sequence[Region], system: str, *, seed: int
) -> dict[str, Interval]:
    """Return how many bits per note other systems need above one, on the regions that all have."""
    shared = common_regions(rows)
    cost: dict[str, dict[str, Floats]] = {}
    for row in rows:
        if row.sight == "all" and row.region in shared:
            group = regions[row.region].group
            sums = cost.setdefault(row.system, {}).setdefault(group, np.zeros(2))
            sums += (sum(row.nats) / np.log(2), row.num_notes)
    mine = cost.pop(system, {})
    if not mine:
        return {}
    names = sorted(mine)
    notes = np.array([mine[name][1] for name in names])
    found = {}
    for other, theirs in cost.items():
        # The deck's tokens round notes otherwise and may see a note more or less: each by its own.
        excess = [theirs[n][0] / theirs[n][1] - mine[n][0] / mine[n][1] for n in names]
        found[other] = bootstrap(excess, generator(seed, "bootstrap"), weights=notes)
    return found


def region_counts(
    surprises: Iterable[SurpriseRow],
    filled: Sequence[dict[str, Any]],
    regions: Sequence[Region],
) -> dict[str, dict[str, int]]:
    """Return the number of regions of each of `COUNTS` by task.

    Args:
        surprises: rows of all systems.
        filled: of `filling_rows`.
        regions: all of them.
    """
    by_task = _filled_by_all(filled, regions)
    numbers = (
        range(len(regions)),
        common_regions(surprises),
        set().union(*(shared for _, shared in by_task.values())),
    )
    tasks = list(dict.fromkeys(region.task for region in regions))
    return {
        name: {task: sum(regions[number].task == task for number in those) for task in tasks}
        for name, those in zip(COUNTS, numbers, strict=True)
    }


# Fillings ------------------------------------------------------------------------------------------


def surroundings(vocabulary: Vocabulary, grid: Grid, region: Region) -> Passage:
    """Return what stays around a region, `CONTEXT_BARS` on either side."""
    span = region.span
    grid = cut(grid, region)
    first = max(0, span.first_bar - CONTEXT_BARS)
    end = min(grid.num_bars, span.end_bar + CONTEXT_BARS)
    outside = grid.with_notes(grid.notes[~region.removed(grid.notes)])
    return passage_of_bars(vocabulary, outside, first, end)


def region_passage(
    vocabulary: Vocabulary, grid: Grid, region: Region, notes: NDArray[np.void]
) -> Passage:
    """Return notes of a region as a passage over its bars."""
    span = region.span
    whole = Hole(span.first_bar, span.end_bar, span.programs)
    only = Grid.build(grid.signatures, notes, grid.tempos)
    return passage_of_grid(vocabulary, only, whole, np.ones(len(only.notes), bool))


@dataclass(frozen=True, eq=False)
class Scene:
    """A region as metrics see it: what stood there, and what stays around it."""

    region: Region
    original: Passage
    around: Passage

    @classmethod
    def of(cls, vocabulary: Vocabulary, grid: Grid, region: Region) -> "Scene":
        """Cut it from a piece."""
        original = region_passage(vocabulary, grid, region, original_notes(grid, region))
        return cls(region, original, surroundings(vocabulary, grid, region))


def filling_rows(
    rows: Sequence[FillRow],
    grids: Callable[[Region], Grid],
    regions: Sequence[Region],
    vocabulary: Vocabulary,
    *,
    index: NgramIndex | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Return the metrics of every region and system: means over the samples.

    Args:
        rows: fillings.
        grids: gives the piece of a region.
        regions: all of them.
        vocabulary: of the grids.
        index: of the training music, for copies from it.
        progress: who listens.
    """
    samples: dict[tuple[int, str], list[FillRow]] = {}
    for row in rows:
        samples.setdefault((row.region, row.system), []).append(row)
    scenes: dict[int, Scene] = {}
    found = []
    for (number, system), drawn in track(
        samples.items(), "comparing with the original", progress=progress
    ):
        region, grid = regions[number], grids(regions[number])
        if number not in scenes:
            scenes[number] = Scene.of(vocabulary, grid, region)
        scene = scenes[number]
        passages = [region_passage(vocabulary, grid, region, row.notes) for row in drawn]
        values = measure_samples(passages, scene.original, scene.around)
        values |= _copies(passages, scene, index)
        seams = [row.seam for row in drawn if row.seam is not None]
        if seams:
            values["seam"] = float(np.mean(seams))
        found.append({"region": number, "system": system, "metrics": values})
    return found


def _copies(
    passages: Sequence[Passage], scene: Scene, index: NgramIndex | None
) -> dict[str, float]:
    values = {
        "copied_from_context": float(
            np.mean([copied_from_context(p, scene.around).share for p in passages])
        )
    }
    if index is not None:
        shares = [index.copied(passage).share for passage in passages]
        values["copied_from_training"] = float(np.mean(shares))
    return values


def filling_table(
    rows: Sequence[dict[str, Any]], regions: Sequence[Region], *, seed: int
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return means of the metrics by task and system, intervals over pieces.

    A task's numbers rest on the regions that all who wrote in that task have filled; `ALL_TASKS` has
    those systems that wrote in every task.
    """
    shared = _filled_by_all(rows, regions)
    everywhere = (
        set.intersection(*(set(systems) for systems, _ in shared.values())) if shared else set()
    )
    grouped: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = {}
    for row in rows:
        region = regions[row["region"]]
        if row["region"] not in shared[region.task][1]:
            continue
        tasks = (ALL_TASKS, region.task) if row["system"] in everywhere else (region.task,)
        for task in tasks:
            cell = grouped.setdefault(task, {}).setdefault(row["system"], {})
            for name, value in row["metrics"].items():
                cell.setdefault(name, {}).setdefault(region.group, []).append(value)
    order = (ALL_TASKS, *dict.fromkeys(region.task for region in regions))
    return {
        task: {
            system: {
                name: bootstrap(
                    [np.mean(values) for values in by_piece.values()],
                    generator(seed, "bootstrap", name),
                    weights=[len(values) for values in by_piece.values()],
                )
                for name, by_piece in cell.items()
            }
            for system, cell in grouped[task].items()
        }
        for task in order
        if task in grouped
    }


def _filled_by_all(
    rows: Sequence[dict[str, Any]], regions: Sequence[Region]
) -> dict[str, tuple[set[str], set[int]]]:
    """Return, by task, the systems that wrote in it and the regions that all of these filled."""
    filled: dict[str, dict[str, set[int]]] = {}
    for row in rows:
        systems = filled.setdefault(regions[row["region"]].task, {})
        systems.setdefault(row["system"], set()).add(row["region"])
    return {
        task: (set(systems), set.intersection(*systems.values()))
        for task, systems in filled.items()
    }


EXTRA_METRICS = {
    "seam": ("low", "bits per note", "what the bar behind costs the model, above the original's"),
    "copied_from_context": (None, "share", "notes in runs of 8 or more that stand around the hole"),
    "copied_from_training": (None, "share", "notes in runs of 8 or more of the training music"),
}
"""Direction, unit and meaning of what is measured besides `METRICS`."""


def meaning_of(name: str) -> tuple[str | None, str, str]:
    """Return direction, unit and meaning of a metric."""
    if name in EXTRA_METRICS:
        return EXTRA_METRICS[name]
    metric = METRICS[name]
    return metric.direction, metric.unit, metric.meaning
