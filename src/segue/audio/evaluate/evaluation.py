"""One evaluation of an audio bundle: clips, points, tables. The same call gives the same numbers."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue import __version__
from segue.audio.data.clips import Clips
from segue.audio.evaluate.adherence import Heard, train_judge
from segue.audio.evaluate.collections import (
    Collection,
    RealClip,
    asked_of,
    known_labels,
    make_clips,
)
from segue.audio.evaluate.diversity import Diversity, diversity
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.embeddings import EMBEDDINGS, open_embedding
from segue.audio.evaluate.health import CollectionHealth, collection_health
from segue.audio.evaluate.memory import (
    PATCH_SECONDS,
    Memorisation,
    embedding_matches,
    memorisation,
    spectral_matches,
)
from segue.audio.evaluate.paired import measure_pairs
from segue.audio.evaluate.plan import (
    CODEC,
    GENERATED,
    HELD_OUT,
    PRIOR,
    REAL,
    REFERENCE,
    TRAINING,
    WORK,
    AudioEvaluationSettings,
    Plan,
    make_plan,
    options_of,
    stamp_of,
)
from segue.audio.evaluate.points import CollectionPoints, embed_collections, groups_of
from segue.audio.evaluate.reference import ReferenceStatistics, frechet_to_statistics
from segue.audio.evaluate.sliced import SlicedReport, sliced_report
from segue.audio.evaluate.table import DistanceTable, distances_table
from segue.audio.signal import resample
from segue.core.files import write_text
from segue.core.plain import plain
from segue.core.progress import Progress, silent
from segue.core.statistics import Interval
from segue.errors import DataError, MissingExtraError

_FEWEST: Final = 4
"""Recordings that a distance needs."""
_FEWEST_HELD_OUT: Final = 20


@dataclass(frozen=True, eq=False)
class Adherence:
    """Whether what was asked for is heard by a classifier of real clips.

    Attributes:
        labels: what it tells apart.
        left_out: labels with too few real recordings.
        real: what it hears in real clips of works that it has not heard.
        collections: what it hears in generated clips, by collection.
    """

    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    real: Heard
    collections: dict[str, Heard]


@dataclass(frozen=True, eq=False)
class AudioEvaluation:
    """What was measured.

    Attributes:
        plan: what was compared.
        points: of every collection, by embedding and name.
        distances: from the reference, one table an embedding.
        equal: the same for collections of fewer clips, with as many of all the others, by their name.
        published: Fréchet distance from published statistics of FMA-Pop, by embedding and collection,
            where the embedding has them.
        pairs: reconstruction measures by collection.
        health: of what is compared.
        diversity: of what was written, beside real clips.
        sliced: distance of latents from those of real clips.
        memory: nearness to the training music, by measure, of the model's own clips.
        adherence: whether labels are heard; None where the model knows none or real clips have none.
        left_out: what could not be measured, and why.
    """

    plan: Plan
    points: dict[str, dict[str, CollectionPoints]]
    distances: dict[str, DistanceTable]
    equal: dict[str, DistanceTable]
    published: dict[str, dict[str, float]]
    pairs: dict[str, dict[str, Interval]]
    health: dict[str, CollectionHealth]
    diversity: dict[str, Diversity]
    sliced: dict[str, SlicedReport]
    memory: dict[str, Memorisation]
    adherence: Adherence | None
    left_out: tuple[str, ...]


def evaluate(
    model: str,
    data: Path,
    folder: Path,
    *,
    settings: AudioEvaluationSettings | None = None,
    beside: Sequence[str] | Mapping[str, str] = (),
    outside: Mapping[str, Path] | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> AudioEvaluation:
    """Measure a bundle and everything that it is compared with.

    Run again after an interruption, it goes on where it stopped. Arguments and errors are those of
    `make_plan`; besides:

    Args:
        model: name or folder of the bundle that is evaluated.
        data: the prepared folder that it was trained on.
        folder: where results are kept; made where missing.
        settings: how much is measured.
        beside: further bundles, which generate clips as well; by the name that tables give them, or
            under the names of their folders.
        outside: folders of clips that were made elsewhere, by the name that tables give them.
        workers: processes, as many as cores by default; 0 works in this one.
        progress: who listens.

    Raises:
        MissingExtraError: an embedding's weights or packages are not there.
        DataError: `folder` holds something else.
    """
    settings = settings or AudioEvaluationSettings()
    workers = (os.cpu_count() or 1) if workers is None else workers
    work = folder / WORK
    if folder.is_dir() and any(folder.iterdir()) and not work.is_dir():
        raise DataError(
            f"{folder} holds something else than an evaluation. Name a new folder, or that of an "
            "evaluation to go on with."
        )
    for name in settings.embeddings:
        open_embedding(name)  # what is missing is told before anything is made
    plan = make_plan(model, data, folder, settings, beside=beside, outside=outside)
    work.mkdir(parents=True, exist_ok=True)
    every = list(plan.collections.values())
    make_clips(every, plan.clip_settings, work, workers=workers, progress=progress)
    points = {
        name: embed_collections(
            every, plan.clip_settings, work, embedding=name, workers=workers, progress=progress
        )
        for name in settings.embeddings
    }
    pairs = measure_pairs(
        [each for each in every if each.is_paired],
        plan.collections[REAL],
        plan.clip_settings,
        work,
        workers=workers,
        seed=settings.seed,
        progress=progress,
    )
    return summarise(plan, points, pairs, progress=progress)


def summarise(
    plan: Plan,
    points: dict[str, dict[str, CollectionPoints]],
    pairs: dict[str, dict[str, Interval]],
    *,
    progress: Progress = silent,
) -> AudioEvaluation:
    """Return the tables of collections that have been made and embedded.

    Args:
        plan: what is compared.
        points: of every collection, by embedding and name.
        pairs: reconstruction measures.
        progress: who listens.
    """
    seed = plan.settings.seed
    left_out = list(plan.left_out)
    distances = {name: _distances(plan, name, found, progress) for name, found in points.items()}
    first = points[plan.settings.embeddings[0]]
    equal = _equal(plan, first, left_out, progress)
    health = {
        name: collection_health(
            plan.clips(name), rate_hz=plan.clip_settings.rate_hz,
            groups=groups_of(plan.collections[name]), seed=seed,
        )
        for name in [REFERENCE, *plan.compared]
    }  # fmt: skip
    spread = {
        name: diversity(first[name], first[REAL].one_each(), seed=seed)
        for name in plan.written
        if len(first[name].names) >= _FEWEST
    }
    return AudioEvaluation(
        plan=plan,
        points=points,
        distances=distances,
        equal=equal,
        published=_published(plan, points, left_out),
        pairs=pairs,
        health=health,
        diversity=spread,
        sliced=_sliced(plan, progress),
        memory=_memory(plan, first, left_out, progress),
        adherence=_adherence(plan, first, left_out),
        left_out=tuple(left_out),
    )


def _distances(
    plan: Plan, embedding: str, points: dict[str, CollectionPoints], progress: Progress
) -> DistanceTable:
    """Return the table of everything that has enough clips."""
    sides = {name: points[name] for name in plan.compared if len(points[name].names) >= _FEWEST}
    return distances_table(
        sides,
        points[REFERENCE],
        open_embedding(embedding),
        num_recordings=len(points[REFERENCE].names) // 2,
        seed=plan.settings.seed,
        progress=progress,
    )


def _equal(
    plan: Plan, points: dict[str, CollectionPoints], left_out: list[str], progress: Progress
) -> dict[str, DistanceTable]:
    """Return, for every collection with fewer clips, a table with as many of the main ones."""
    full, found = plan.collections[REFERENCE].count, {}
    for name in plan.compared:
        count = plan.collections[name].count
        if count >= full:
            continue
        if len(points[name].names) < _FEWEST:
            left_out.append(
                f"{name}: {count} clips are too few for a distance, {_FEWEST} are needed at least"
            )
            continue
        others = [n for n in (REAL, CODEC, PRIOR, GENERATED) if n in points]
        sides = {n: points[n].first(count) for n in [name, *others]}
        sides = {n: side for n, side in sides.items() if len(side.names) >= _FEWEST}
        found[name] = distances_table(
            sides,
            points[REFERENCE],
            open_embedding(plan.settings.embeddings[0]),
            seed=plan.settings.seed,
            progress=progress,
        )
    return found


def _published(
    plan: Plan, points: dict[str, dict[str, CollectionPoints]], left_out: list[str]
) -> dict[str, dict[str, float]]:
    """Compare with the statistics of FMA-Pop in those embeddings that have them."""
    found = {}
    for embedding, sides in points.items():
        name = EMBEDDINGS[embedding.partition(":")[0]].statistics
        if name is None:
            continue
        try:
            statistics = ReferenceStatistics.read(None, name)
        except MissingExtraError as error:
            left_out.append(f"FMA-Pop in {embedding}: {error}")
            continue
        found[embedding] = {
            side: frechet_to_statistics(sides[side], statistics)
            for side in [REFERENCE, *plan.compared]
            if len(sides[side].names) >= _FEWEST
        }
    return found


def _sliced(plan: Plan, progress: Progress) -> dict[str, SlicedReport]:
    """Compare the latents of what was written with those of real clips."""
    real = [latents.T for latents in plan.latents(CODEC)]
    found = {}
    for name, each in plan.collections.items():
        if each.kind in ("generated", "prior") and each.source == str(plan.bundle.folder):
            made = [latents.T for latents in plan.latents(name)]
            found[name] = sliced_report(
                real,
                made,
                reference_groups=groups_of(plan.collections[CODEC]),
                seed=plan.settings.seed,
                progress=progress,
            )
    return found


def _memory(
    plan: Plan, points: dict[str, CollectionPoints], left_out: list[str], progress: Progress
) -> dict[str, Memorisation]:
    """Look for generated clips that are nearer to the training music than held-out clips are."""
    held = plan.collections.get(HELD_OUT)
    if held is None or held.count < _FEWEST_HELD_OUT or TRAINING not in plan.collections:
        left_out.append(
            f"copies of the training music: {0 if held is None else held.count} clips of held-out "
            f"recordings, {_FEWEST_HELD_OUT} are needed to know how near real music comes"
        )
        return {}
    name = next(name for name, each in plan.collections.items() if each.kind == "generated")
    seed = plan.settings.seed
    training = points[TRAINING]
    real = embedding_matches(points[HELD_OUT].by_clip(), training)
    heard = [f"{clip.split}/{clip.name}" for clip in held.real]
    found = {
        "embedding": memorisation(
            "embedding",
            embedding_matches(points[name].by_clip(), training),
            real,
            recordings=heard,
            seed=seed,
        )
    }
    music = Clips(Path(plan.collections[TRAINING].real[0].folder), "train")
    everything = [*plan.clips(name), *plan.clips(HELD_OUT)]
    matches = spectral_matches(
        everything,
        _recordings(music, plan.clip_settings.rate_hz),
        rate_hz=plan.clip_settings.rate_hz,
        patch_s=min(PATCH_SECONDS, plan.settings.seconds),
        num_training=len(music),
        progress=progress,
    )
    count = plan.collections[name].count
    found["spectral"] = memorisation(
        "spectral", matches[:count], matches[count:], recordings=heard, seed=seed
    )
    return found


def _recordings(music: Clips, rate_hz: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the training music, recording by recording."""
    for index, row in enumerate(music.recordings):
        audio = music.read(index, 0, row.num_samples)
        yield row.name, resample(audio, music.rate_hz, rate_hz)


def _adherence(
    plan: Plan, points: dict[str, CollectionPoints], left_out: list[str]
) -> Adherence | None:
    """Ask a classifier of real clips whether what was asked for is heard."""
    asked = {name: each for name, each in plan.collections.items() if each.asked}
    if not asked:
        return None
    names: dict[str, RealClip] = {}
    parts = []
    for name in (REFERENCE, TRAINING):
        if name in points:
            parts.append(points[name].by_clip(name))
            names |= {f"{name}/{i:06d}": c for i, c in enumerate(plan.collections[name].real)}
    known = {
        group: labels[0]
        for group, clip in names.items()
        if (labels := known_labels(plan.model.labels, clip.labels))
    }
    try:
        judge = train_judge(
            _together(parts),
            known,
            works={group: clip.work for group, clip in names.items()},
            seed=plan.settings.seed,
        )
    except (DataError, MissingExtraError) as error:
        left_out.append(f"whether labels are heard: {error}")
        return None
    heard = {}
    for name, each in asked.items():
        with contextlib.suppress(DataError):
            heard[name] = judge.hear(points[name].by_clip(name), _wanted(plan, each))
    return Adherence(judge.labels, judge.left_out, judge.real, heard)


def _wanted(plan: Plan, each: Collection) -> dict[str, str]:
    """Return the label that every clip was asked for; of a text, that of the clip it describes.

    Another bundle may know other labels than the evaluated one, and then was asked for another.
    """
    wanted = {}
    for number, clip in enumerate(each.real):
        names = asked_of(each, number).labels if each.asked == "labels" else clip.labels
        if labels := known_labels(plan.model.labels, names):
            wanted[f"{each.name}/{number:06d}"] = labels[0]
    return wanted


def _together(parts: Sequence[EmbeddedClips]) -> EmbeddedClips:
    """Return the points of several collections as one."""
    vectors = np.concatenate([part.vectors for part in parts])
    groups = np.concatenate([part.groups for part in parts])
    return EmbeddedClips(vectors, groups, sum(part.num_clips for part in parts))


# Files -------------------------------------------------------------------------------------------


def numbers(evaluation: AudioEvaluation) -> dict[str, Any]:
    """Return everything that ``metrics.json`` holds; the same for the same evaluation."""
    plan = evaluation.plan
    return {
        "format": 1,
        "segue": __version__,
        "model": plan.bundle.name,
        "fingerprint": stamp_of(plan.bundle),
        "settings": plan.settings.model_dump(),
        "sampling": plan.model.settings(**dict(options_of(plan.settings))).model_dump(),
        "collections": {
            name: {
                "title": each.title,
                "clips": each.count,
                "fingerprint": each.stamp,
                "music": each.music if each.real else None,
            }
            for name, each in plan.collections.items()
        },
        "distances": plain(evaluation.distances),
        "equal_numbers": plain(evaluation.equal),
        "fma_pop": plain(evaluation.published),
        "reconstruction": plain(evaluation.pairs),
        "health": plain(evaluation.health),
        "diversity": plain(evaluation.diversity),
        "sliced_wasserstein": plain(evaluation.sliced),
        "memorisation": plain(evaluation.memory),
        "adherence": plain(evaluation.adherence),
        "left_out": list(evaluation.left_out),
    }


def write_results(evaluation: AudioEvaluation) -> None:
    """Write ``metrics.json`` into the evaluation's folder."""
    text = json.dumps(numbers(evaluation), indent=1, ensure_ascii=False)
    write_text(evaluation.plan.folder / "metrics.json", text + "\n")
