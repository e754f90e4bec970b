"""One evaluation: pieces, regions, systems, rows, tables. The same call gives the same numbers."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segue import __version__
from segue.core.files import sha256_of, write_text
from segue.core.plain import plain
from segue.core.progress import Progress, silent
from segue.errors import DataError, SettingError
from segue.runtime.bundle import Bundle
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate.collection import (
    TestPiece,
    open_collection,
    pieces_named,
    prepared_pieces,
)
from segue.symbolic.evaluate.contamination import (
    Neighbour,
    collection_of_files,
    collection_of_prepared,
    contamination,
)
from segue.symbolic.evaluate.copying import NgramIndex, build_index
from segue.symbolic.evaluate.infilling import (
    MASKS,
    PIECES,
    EvaluationSettings,
    FillRow,
    SurpriseRow,
    load_grid,
    measure,
    own_sight,
    sights_of,
    store_pieces,
    units,
)
from segue.symbolic.evaluate.regions import (
    TASKS,
    Region,
    draw_regions,
    read_masks,
    regions_of,
    write_masks,
)
from segue.symbolic.evaluate.summary import (
    Summary,
    filling_rows,
    filling_table,
    likelihood_table,
    paired_table,
    region_counts,
    sight_table,
)
from segue.symbolic.evaluate.systems import SystemSpec
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Sight
from segue.symbolic.tokenizer import Tokenizer

FORMAT = 2
"""Goes up whenever the same regions would be measured otherwise; kept results are then left alone."""

CLEAN, CONTAMINATED = "clean", "near duplicate in the training music"
WORK = "work"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured, and on what.

    Attributes:
        bundle: the model that is evaluated.
        systems: everything that was measured, the model first.
        settings: how much was measured.
        pieces: names of the pieces.
        regions: the regions.
        neighbours: nearest training piece of every piece by its hash, where the training music is known.
        surprises, fills: rows.
        filling_rows: metrics by region and system.
        summary: tables.
        folder: where everything lies.
    """

    bundle: Bundle
    systems: tuple[SystemSpec, ...]
    settings: EvaluationSettings
    pieces: tuple[str, ...]
    regions: tuple[Region, ...]
    neighbours: dict[str, Neighbour]
    surprises: tuple[SurpriseRow, ...]
    fills: tuple[FillRow, ...]
    filling_rows: tuple[dict[str, Any], ...]
    summary: Summary
    folder: Path

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that regions and notes are in."""
        return Tokenizer.from_file(self.bundle.path("tokenizer.json"))

    def grid(self, region: Region) -> Grid:
        """Return the piece of a region."""
        return load_grid(str(self.folder / WORK), region.sha256, str(self.bundle.folder))


def evaluate(
    model: str,
    data: Path,
    folder: Path,
    *,
    settings: EvaluationSettings | None = None,
    split: str = "test",
    beside: Sequence[str] = (),
    baselines: Path | None = None,
    train: Path | None = None,
    masks: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measure a model and everything it is compared with on the same regions.

    Run again after an interruption, it goes on where it stopped.

    Args:
        model: name or folder of the bundle of an infilling model.
        data: folder of MIDI files, or a prepared folder.
        folder: where results are kept; made where missing.
        settings: how much is measured.
        split: of a prepared folder.
        beside: further bundles.
        baselines: folder of fitted baselines.
        train: prepared folder that the model was trained on: for copies and near duplicates.
        masks: regions published before, instead of new ones.
        workers: processes, as many as cores by default; 0 works in this one.
        progress: who listens.

    Raises:
        BundleError: a bundle is missing, or not of this kind.
        DataError: there is no music, or nothing of it can be measured.
        SettingError: an unknown task, or two systems of one name.
    """
    settings = settings or EvaluationSettings()
    workers = (os.cpu_count() or 1) if workers is None else workers
    _check_tasks(settings)
    bundle = Bundle.open(model).require(kind="midigpt", objective="infill")
    systems = _named((bundle_spec(bundle), *others(beside, baselines)))
    source = str(bundle.folder)
    tokenizer = Tokenizer.from_file(bundle.path("tokenizer.json"))
    training = 0 if train is None else len(Prepared(train, "train").lengths)
    work = folder / WORK
    if folder.is_dir() and any(folder.iterdir()) and not work.is_dir():
        raise DataError(
            f"{folder} holds something else than an evaluation. Name a new folder, or that of an "
            "evaluation to go on with."
        )
    work.mkdir(parents=True, exist_ok=True)
    pieces, regions = _pieces_and_regions(data, split, tokenizer, settings, masks, progress)
    write_masks(work / MASKS, regions, tokenizer.vocabulary)
    write_masks(folder / MASKS, regions, tokenizer.vocabulary)
    store_pieces(work / PIECES, pieces, tokenizer, progress=progress)
    plan = units(
        systems, regions, settings, judge=source, work=work, sights=sights_of(bundle)
    )  # fmt: skip
    identity = _identity(work, bundle)
    surprises, fills = measure(plan, identity, workers=workers, progress=progress)
    index = None if train is None else build_index(
        Prepared(train, "train"), folder / "training-runs", workers=workers, progress=progress
    )  # fmt: skip
    neighbours = _neighbours(train, data, split, pieces, tokenizer, workers, progress)
    summary, rows = summarise(
        surprises,
        fills,
        regions,
        lambda region: load_grid(str(work), region.sha256, source),
        tokenizer,
        system=systems[0].name,
        sight=own_sight(bundle),
        seed=settings.seed,
        index=index,
        contaminated={piece for piece, found in neighbours.items() if found.near_duplicate},
        has_training=training > 0,
        progress=progress,
    )
    return Evaluation(
        bundle,
        systems,
        settings,
        tuple(piece.name for piece in pieces),
        tuple(regions),
        neighbours,
        tuple(surprises),
        tuple(fills),
        tuple(rows),
        summary,
        folder,
    )


def _check_tasks(settings: EvaluationSettings) -> None:
    unknown = sorted({*settings.tasks, *settings.ablated} - set(TASKS))
    if unknown:
        raise SettingError(f"There is no task {', '.join(unknown)}. There are: {', '.join(TASKS)}.")


def _named(systems: tuple[SystemSpec, ...]) -> tuple[SystemSpec, ...]:
    """Return systems, none of which has another's name."""
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(
            f"Two systems are called {twice[0]}, which tables could not tell apart. Export one of "
            "the bundles under another name."
        )
    return systems


def _pieces_and_regions(
    data: Path,
    split: str,
    tokenizer: Tokenizer,
    settings: EvaluationSettings,
    masks: Path | None,
    progress: Progress,
) -> tuple[list[TestPiece], list[Region]]:
    """Return the regions and the pieces that they lie in."""
    vocabulary, seed = tokenizer.vocabulary, settings.seed
    if masks is not None:
        chosen = [
            region for region in read_masks(masks, vocabulary) if region.task in settings.tasks
        ]
        if not chosen:
            raise DataError(f"{masks} has no region of the tasks {', '.join(settings.tasks)}.")
        named = pieces_named(data, tokenizer, chosen, split=split, progress=progress)
        used = {piece.sha256: piece for piece, _ in regions_of(named, chosen)}
        return list(used.values()), chosen
    pieces = open_collection(
        data, tokenizer, split=split, count=settings.pieces, seed=seed, progress=progress
    )
    regions = draw_regions(
        pieces,
        vocabulary,
        tasks=settings.tasks,
        per_task=max(settings.regions, settings.filled),
        seed=seed,
        progress=progress,
    )
    if not regions:
        raise DataError(f"No piece of {data} is long enough for any of the tasks.")
    used_hashes = {region.sha256 for region in regions}
    return [piece for piece in pieces if piece.sha256 in used_hashes], regions


def bundle_spec(bundle: Bundle) -> SystemSpec:
    """Return the system that a bundle is."""
    return SystemSpec("model", bundle.name, str(bundle.folder), _manifest_hash(bundle))


def others(beside: Sequence[str], baselines: Path | None) -> list[SystemSpec]:
    """Return the systems of further bundles and of a folder of baselines.

    Raises:
        BundleError: a bundle is missing or no MidiGPT.
        DataError: the folder of baselines is damaged.
    """
    found = [bundle_spec(Bundle.open(name).require(kind="midigpt")) for name in beside]
    if baselines is not None:
        from segue.symbolic.baselines import load_baselines
        from segue.symbolic.baselines.storage import LIST_NAME

        names = list(load_baselines(baselines))
        files = (baselines / LIST_NAME, baselines / "tokenizer.json")
        stamp = hashlib.sha256(" ".join(map(sha256_of, files)).encode()).hexdigest()[:16]
        found += [SystemSpec("baseline", name, str(baselines), stamp) for name in names]
    return found


def _manifest_hash(bundle: Bundle) -> str:
    text = json.dumps(bundle.manifest, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _identity(work: Path, bundle: Bundle) -> str:
    """Stand for regions, pieces, the judging model and how things are measured."""
    tokens = sha256_of(work / PIECES)
    return " ".join([sha256_of(work / MASKS), tokens, _manifest_hash(bundle), str(FORMAT)])


def _neighbours(
    train: Path | None,
    data: Path,
    split: str,
    pieces: Sequence[TestPiece],
    tokenizer: Tokenizer,
    workers: int,
    progress: Progress,
) -> dict[str, Neighbour]:
    """Return the nearest training piece of every piece, by hash."""
    if train is None:
        return {}
    learnt = collection_of_prepared(Prepared(train, "train"), workers=workers, progress=progress)
    if (data / "dataset.json").is_file():
        held = collection_of_prepared(Prepared(data, split), workers=workers, progress=progress)
        listed = prepared_pieces(data, split, tokenizer)
    else:
        listed = list(pieces)
        paths = [piece.path for piece in listed if piece.path is not None]
        held = collection_of_files(paths, tokenizer, workers=workers, progress=progress)
    wanted = {piece.sha256 for piece in pieces}
    found = zip(listed, contamination(learnt, held), strict=True)
    return {piece.sha256: near for piece, near in found if piece.sha256 in wanted}


def summarise(
    surprises: Sequence[SurpriseRow],
    fills: Sequence[FillRow],
    regions: Sequence[Region],
    grids: Callable[[Region], Grid],
    tokenizer: Tokenizer,
    *,
    system: str,
    sight: Sight = "all",
    seed: int,
    index: NgramIndex | None = None,
    contaminated: set[str] | None = None,
    has_training: bool = False,
    progress: Progress = silent,
) -> tuple[Summary, list[dict[str, Any]]]:
    """Return the tables, and the metrics by region and system.

    Args:
        surprises: what notes cost.
        fills: what was written.
        regions: all of them.
        grids: gives the piece of a region.
        tokenizer: of the grids.
        system: the model that is evaluated.
        sight: how much it was trained to see.
        seed: of the bootstrap.
        index: of the training music.
        contaminated: hashes of pieces with a near duplicate in the training music.
        has_training: whether the training music is known.
        progress: who listens.
    """
    rows = filling_rows(fills, grids, regions, tokenizer.vocabulary, index=index, progress=progress)
    bad = contaminated or set()
    subsets = {}
    if has_training:
        for name, inside in ((CLEAN, False), (CONTAMINATED, True)):
            kept = {number for number, r in enumerate(regions) if (r.sha256 in bad) == inside}
            table = likelihood_table(surprises, regions, seed=seed, keep=kept)
            if table:
                subsets[name] = next(iter(table.values()))
    summary = Summary(
        likelihood=likelihood_table(surprises, regions, seed=seed),
        sights=sight_table(surprises, regions, system, seed=seed, own=sight),
        fillings=filling_table(rows, regions, seed=seed),
        contamination=subsets,
        paired=paired_table(surprises, regions, system, seed=seed),
        regions=region_counts(surprises, rows, regions),
    )
    return summary, rows


# Files -------------------------------------------------------------------------------------------


def numbers(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything that ``metrics.json`` holds; the same for the same evaluation."""
    summary = evaluation.summary
    return {
        "format": 2,
        "segue": __version__,
        "model": evaluation.bundle.name,
        "settings": evaluation.settings.model_dump(),
        "pieces": len(evaluation.pieces),
        "regions": summary.regions,
        "systems": [{"name": s.name, "fingerprint": s.fingerprint} for s in evaluation.systems],
        "contaminated_pieces": sum(n.near_duplicate for n in evaluation.neighbours.values()),
        "training_music_known": bool(evaluation.neighbours),
        "bits_per_note": plain(summary.likelihood),
        "above_the_model": plain(summary.paired),
        "sights": plain(summary.sights),
        "by_contamination": plain(summary.contamination),
        "fillings": plain(summary.fillings),
    }


def write_results(evaluation: Evaluation) -> None:
    """Write ``metrics.json`` and ``regions.csv`` into the evaluation's folder."""
    text = json.dumps(numbers(evaluation), indent=1, ensure_ascii=False)
    write_text(evaluation.folder / "metrics.json", text + "\n")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = list(dict.fromkeys(n for row in evaluation.filling_rows for n in row["metrics"]))
    writer.writerow(["region", "task", "piece", "system", "bits_per_note", "notes", *names])
    costs = {(row.region, row.system): row for row in evaluation.surprises if row.sight == "all"}
    filled = {(row["region"], row["system"]): row["metrics"] for row in evaluation.filling_rows}
    for number, system in sorted({*costs, *filled}):
        region, cost = evaluation.regions[number], costs.get((number, system))
        bits = "" if cost is None else f"{sum(cost.nats) / np.log(2) / cost.num_notes:.4f}"
        notes = "" if cost is None else cost.num_notes
        values = filled.get((number, system), {})
        cells = [f"{values[name]:.4f}" if name in values else "" for name in names]
        writer.writerow([number, region.task, region.piece, system, bits, notes, *cells])
    write_text(evaluation.folder / "regions.csv", stream.getvalue())
