"""The infilling benchmark: every system on the same regions, on all cores, and where it stopped.

What is measured is kept in files of a few regions each; a run that was killed goes on with the next,
and a system that was measured before is not measured again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.core.config import StrictModel
from segue.core.files import atomic_path, write_text
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent, track
from segue.errors import BundleError, DataError
from segue.runtime.bundle import Bundle
from segue.symbolic.evaluate.collection import TestPiece
from segue.symbolic.evaluate.deck import DeckSystem
from segue.symbolic.evaluate.regions import TASKS, Region, drops_future, read_masks, takes
from segue.symbolic.evaluate.systems import (
    BaselineSystem,
    ModelSystem,
    PromptSettings,
    Surprise,
    System,
    SystemSpec,
)
from segue.symbolic.grid import NOTE_FIELDS, Grid
from segue.symbolic.loaded import MidiModel
from segue.symbolic.prompt import Hole, Sight
from segue.symbolic.stream import parse, render
from segue.symbolic.tokenizer import Tokenizer

PIECES = "pieces.npz"
MASKS = "masks.jsonl"
_STORED_FIELDS = ("bar", "position", "track", "program", "pitch", "velocity", "duration")
_REGIONS_PER_UNIT = 6
_SAMPLES_OF_BASELINES = 2
SIGHTS: tuple[Sight, ...] = ("none", "past", "past_future", "all")
"""What of the piece is seen, from nothing to everything."""


def own_sight(bundle: Bundle) -> Sight:
    """Return how much of a piece a model was trained to see."""
    sight: Sight = bundle.config.get("sight", "all")
    return sight


def sights_of(bundle: Bundle) -> tuple[Sight, ...]:
    """Return the sights that a model is measured under; the last, ``all``, is all that it can use.

    A model that was trained on less is not asked what more would give it.
    """
    return (*SIGHTS[: SIGHTS.index(own_sight(bundle))], "all")


class EvaluationSettings(StrictModel):
    """How much is measured."""

    pieces: int = Field(default=200, ge=2, description="pieces, one of every group")
    tasks: list[str] = Field(default=list(TASKS), min_length=1, description="names of tasks")
    regions: int = Field(default=64, ge=2, description="regions of a task for the likelihood")
    filled: int = Field(default=16, ge=1, description="regions of a task that are filled")
    samples: int = Field(default=4, ge=1, description="fillings of a region; 2 by baselines")
    ablated: list[str] = Field(
        default=["four_bars", "one_track", "accompaniment"],
        description="tasks that are measured with less and less context too",
    )
    length: int = Field(default=1024, ge=64, description="tokens of a prompt's bars")
    seed: int = Field(default=0, ge=0, description="fixes pieces, regions, samples and intervals")


@dataclass(frozen=True)
class Unit:
    """Some regions for one system: what one process works on at a time.

    Attributes:
        what: ``surprise`` or ``fill``.
        system: who.
        judge: bundle that weighs the bar behind a filling.
        work: folder of pieces and masks.
        regions: numbers of the regions.
        sights: for ``surprise``.
        samples: for ``fill``.
        length: of prompts.
        seed: of samples.
    """

    what: str
    system: SystemSpec
    judge: str
    work: str
    regions: tuple[int, ...]
    sights: tuple[Sight, ...]
    samples: int
    length: int
    seed: int

    def path(self, identity: str) -> Path:
        """Where its results are kept; `identity` stands for pieces, masks and weights."""
        content = {k: v for k, v in asdict(self).items() if k not in ("work", "judge")}
        content["system"] = {k: v for k, v in content["system"].items() if k != "source"}
        text = json.dumps([content, identity], sort_keys=True)
        return Path(self.work) / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


@dataclass(frozen=True)
class SurpriseRow:
    """What the notes of a region cost a system under one sight; see `Surprise`."""

    system: str
    region: int
    sight: Sight
    nats: tuple[float, ...]
    tokens: tuple[int, ...]
    num_notes: int


@dataclass(frozen=True, eq=False)
class FillRow:
    """One filling of a region.

    Attributes:
        system: name.
        region: number.
        sample: number.
        notes: grid notes, bars counted in the piece.
        seam: bits that the bar behind the region costs the judge, minus those it costs behind the
            original; per note of that bar. None where there is no such bar.
    """

    system: str
    region: int
    sample: int
    notes: NDArray[np.void]
    seam: float | None


# Pieces for the processes -------------------------------------------------------------------------


def store_pieces(
    path: Path, pieces: Sequence[TestPiece], tokenizer: Tokenizer, *, progress: Progress = silent
) -> None:
    """Write the base tokens of pieces into one file, by hash."""
    tokens = {
        piece.sha256: render(tokenizer.vocabulary, piece.load()).ids.astype(np.uint16)
        for piece in track(pieces, "keeping pieces", progress=progress)
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **tokens)  # type: ignore[arg-type]


def _changed(path: Path) -> tuple[int, int, int]:
    """Return what is another when a file has been written anew."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=2)
def _stored(path: Path, _changed: tuple[int, int, int]) -> dict[str, NDArray[np.uint16]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@lru_cache(maxsize=64)
def load_grid(work: str, sha256: str, source: str) -> Grid:
    """Return a stored piece.

    Args:
        work: folder that `store_pieces` wrote into.
        sha256: of the piece.
        source: bundle whose tokenizer the tokens belong to.
    """
    path = Path(work) / PIECES
    ids = _stored(path, _changed(path))[sha256].astype(np.int64)
    return parse(_tokenizer(source).vocabulary, ids)


@lru_cache(maxsize=4)
def _tokenizer(source: str) -> Tokenizer:
    return Tokenizer.from_file(Bundle.open(source).path("tokenizer.json"))


@lru_cache(maxsize=2)
def _regions(path: Path, source: str, _changed: tuple[int, int, int]) -> tuple[Region, ...]:
    return tuple(read_masks(path, _tokenizer(source).vocabulary))


@lru_cache(maxsize=2)
def open_system(spec: SystemSpec, judge: str, length: int) -> System:
    """Open a system in this process, on one thread.

    Raises:
        DataError: there is no such baseline.
        BundleError: there is no such bundle.
    """
    settings = PromptSettings(_tokenizer(judge), length)
    if spec.kind == "baseline":
        from segue.symbolic.baselines import load_baselines

        baselines = load_baselines(Path(spec.source))
        if spec.name not in baselines:
            raise DataError(f"{spec.source} has no baseline {spec.name!r}. Fit it again.")
        return BaselineSystem(spec.name, baselines[spec.name], settings)
    bundle = Bundle.open(spec.source)
    model = MidiModel.open(bundle, threads=1)
    if model.objective != "infill":
        return DeckSystem(spec.name, model, settings)
    if model.vocabulary.tokens != settings.vocabulary.tokens:
        raise BundleError(
            f"The bundle {spec.name} has another vocabulary than the one that is evaluated; infilling "
            "models can be compared where they share it."
        )
    return ModelSystem(spec.name, model, settings, own_sight(bundle))


# Work --------------------------------------------------------------------------------------------


def units(
    systems: Sequence[SystemSpec],
    regions: Sequence[Region],
    settings: EvaluationSettings,
    *,
    judge: str,
    work: Path,
    sights: tuple[Sight, ...] = SIGHTS,
) -> list[Unit]:
    """Cut the evaluation into units of work.

    Args:
        systems: who is evaluated; the first is the judge's own.
        regions: all of them.
        settings: how much is measured.
        judge: bundle of the model that is evaluated.
        work: folder of pieces and masks.
        sights: of the first system, in the tasks that are ablated.
    """
    found = []
    by_task: dict[str, list[int]] = {}
    for number, region in enumerate(regions):
        by_task.setdefault(region.task, []).append(number)
    for system in systems:
        for task, numbers in by_task.items():
            whole = system.name == systems[0].name and task in settings.ablated
            under = sights if whole else ("all",)
            plans = (
                ("surprise", numbers[: settings.regions], under, 0),
                ("fill", numbers[: settings.filled], (), samples_of(system, settings)),
            )
            for what, chosen, seen, samples in plans:
                for start in range(0, len(chosen), _REGIONS_PER_UNIT):
                    part = tuple(chosen[start : start + _REGIONS_PER_UNIT])
                    found.append(
                        Unit(
                            what, system, judge, str(work), part, tuple(seen), samples,
                            settings.length, settings.seed,
                        )
                    )  # fmt: skip
    return found


def samples_of(system: SystemSpec, settings: EvaluationSettings) -> int:
    """Return how often a system fills a region; baselines, which write one by one, less often."""
    most = settings.samples if system.kind == "model" else _SAMPLES_OF_BASELINES
    return min(settings.samples, most)


def measure(
    plan: Sequence[Unit], identity: str, *, workers: int, progress: Progress = silent
) -> tuple[list[SurpriseRow], list[FillRow]]:
    """Do what is not yet done and return all rows.

    Args:
        plan: of `units`.
        identity: stands for everything that results depend on besides the units themselves.
        workers: processes; 0 works in this one.
        progress: who listens.
    """
    missing = [(unit, identity) for unit in plan if not unit.path(identity).is_file()]
    with progress("measuring", total=len(plan)) as advance:
        advance(len(plan) - len(missing))
        for _ in run_jobs(_work, missing, workers=workers):
            advance(1)
    surprises: list[SurpriseRow] = []
    fills: list[FillRow] = []
    for unit in plan:
        for row in json.loads(unit.path(identity).read_text("utf-8")):
            if unit.what == "surprise":
                lists = {name: tuple(row[name]) for name in ("nats", "tokens")}
                surprises.append(SurpriseRow(**(row | lists)))
            else:
                fills.append(FillRow(**(row | {"notes": _notes(row["notes"])})))
    return surprises, fills


def _work(job: tuple[Unit, str]) -> None:
    unit, identity = job
    rows = list(_surprises(unit) if unit.what == "surprise" else _fills(unit))
    write_text(unit.path(identity), json.dumps(rows))


def _places(unit: Unit) -> Iterator[tuple[int, Region, Grid]]:
    path = Path(unit.work) / MASKS
    regions = _regions(path, unit.judge, _changed(path))
    for number in unit.regions:
        region = regions[number]
        yield number, region, load_grid(unit.work, region.sha256, unit.judge)


def _surprises(unit: Unit) -> Iterator[dict[str, Any]]:
    system = open_system(unit.system, unit.judge, unit.length)
    for number, region, grid in _places(unit):
        for sight in unit.sights:
            found = system.surprise(grid, region, sight)
            if found is not None:
                yield asdict(
                    SurpriseRow(
                        unit.system.name,
                        number,
                        sight,
                        tuple(found.nats.tolist()),
                        tuple(found.tokens.tolist()),
                        found.num_notes,
                    )
                )


def _fills(unit: Unit) -> Iterator[dict[str, Any]]:
    system = open_system(unit.system, unit.judge, unit.length)
    judge = open_system(SystemSpec("model", "judge", unit.judge), unit.judge, unit.length)
    for number, region, grid in _places(unit):
        samples = system.fill(grid, region, num_samples=unit.samples, seed=unit.seed)
        original = None if samples is None else behind(judge, grid, region, None)
        for sample, notes in enumerate(samples or ()):
            after = None if original is None else behind(judge, grid, region, notes)
            yield {
                "system": unit.system.name,
                "region": number,
                "sample": sample,
                "notes": [notes[name].tolist() for name in _STORED_FIELDS],
                "seam": None if after is None or original is None else after - original,
            }


def behind(
    judge: System, grid: Grid, region: Region, notes: NDArray[np.void] | None
) -> float | None:
    """Return the bits per note of the bar behind a region, after the original or a filling.

    Args:
        judge: an infilling model.
        grid: the piece.
        region: where the filling stands.
        notes: the filling; None is the original.

    Returns:
        None where nothing that the judge could weigh stands behind the region.
    """
    bar = region.span.end_bar
    here = grid.notes[grid.notes["bar"] == bar]
    if drops_future(region.task) or not len(here):
        return None
    filled = grid if notes is None else with_filling(grid, region, notes)
    programs = tuple(dict.fromkeys(here["program"].tolist()))
    hole = Hole(bar, bar + 1, programs)
    # A continuation of the filling: what stands behind that bar must not tell.
    ahead = Region("continuation", region.piece, region.sha256, region.group, (hole,))
    found = judge.surprise(filled, ahead)
    return None if found is None else bits_per_note(found)


def bits_per_note(surprise: Surprise) -> float:
    """Return the cost of one note in bits."""
    return float(surprise.nats.sum() / np.log(2) / max(surprise.num_notes, 1))


def with_filling(grid: Grid, region: Region, notes: NDArray[np.void]) -> Grid:
    """Return a piece with the notes of a region exchanged."""
    outside = grid.notes[~region.removed(grid.notes)]
    return Grid.build(grid.signatures, np.concatenate([outside, notes]), grid.tempos)


def original_notes(grid: Grid, region: Region) -> NDArray[np.void]:
    """Return the notes that stood in a region."""
    inside = np.zeros(len(grid.notes), bool)
    for hole in region.holes:
        inside |= takes(hole, grid.notes)
    return grid.notes[inside]


def _notes(columns: Sequence[Sequence[int]]) -> NDArray[np.void]:
    notes = np.zeros(len(columns[0]), NOTE_FIELDS)
    for name, values in zip(_STORED_FIELDS, columns, strict=True):
        notes[name] = values
    notes["source"] = -1
    return notes
