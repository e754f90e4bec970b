"""Clip against clip: what codecs keep of real clips, and the deck's baseline beside them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segue.audio.evaluate.collections import ClipSettings, Collection, clip_folder, clip_paths
from segue.audio.evaluate.points import groups_of
from segue.audio.evaluate.reconstruction import baseline_log_spectral_distance, measures
from segue.audio.signal import read_audio
from segue.core.files import write_text
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.core.seeds import generator
from segue.core.statistics import Interval, bootstrap

DECK_BASELINE = "log_spectral_distance_of_halved_spectrogram"
"""The deck's number: its baseline compares spectrograms and makes no sound."""

_Job = tuple[str, tuple[str, ...], tuple[str, ...], int, str]
SILENT = 1e-3
"""Real clips whose loudest sample is below this are left out: measures divide by their energy."""

_CLIPS_PER_JOB = 20


def measure_pairs(
    collections: Sequence[Collection],
    real: Collection,
    settings: ClipSettings,
    folder: Path,
    *,
    workers: int,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, dict[str, Interval]]:
    """Return the reconstruction measures of collections whose clips were made of real ones.

    Args:
        collections: those; clip i was made of clip i of `real`.
        real: the real clips; its row holds the deck's baseline.
        settings: of the clips.
        folder: where they lie.
        workers: processes; 0 works in this one.
        seed: of the bootstrap over recordings.
        progress: who listens.

    Returns:
        Name of the collection: name of the measure: mean with its 95 % interval.
    """
    true = clip_paths(real, settings, folder)
    jobs: list[_Job] = []
    for each in [*collections, real]:
        made, kept = clip_paths(each, settings, folder), clip_folder(each, settings, folder)
        for start in range(0, each.count, _CLIPS_PER_JOB):
            span = slice(start, start + _CLIPS_PER_JOB)
            paths = (tuple(map(str, true[span])), tuple(map(str, made[span])))
            jobs.append(
                (each.name, *paths, settings.rate_hz, str(kept / f"pairs-{start:05d}.json"))
            )
    rows: dict[str, list[dict[str, float]]] = {}
    with progress("comparing clips", total=len(jobs)) as advance:
        missing = [job for job in jobs if not Path(job[-1]).is_file()]
        advance(len(jobs) - len(missing))
        for _ in run_jobs(_measure, missing, workers=workers):
            advance(1)
    for name, *_, path in jobs:
        rows.setdefault(name, []).extend(json.loads(Path(path).read_text("utf-8")))
    named = {each.name: each for each in [*collections, real]}
    return {name: _table(named[name], found, seed) for name, found in rows.items()}


def _measure(job: _Job) -> None:
    _, true, made, rate_hz, path = job
    rows: list[dict[str, float]] = []
    for one, other in zip(true, made, strict=True):
        reference = read_audio(one, None, None)
        if np.abs(reference).max() < SILENT:
            rows.append({})
        elif one == other:
            rows.append({DECK_BASELINE: baseline_log_spectral_distance(reference)})
        else:
            rows.append(measures(reference, read_audio(other, None, None), rate_hz))
    write_text(Path(path), json.dumps(rows))


def _table(
    collection: Collection, rows: Sequence[dict[str, float]], seed: int
) -> dict[str, Interval]:
    """Return means over recordings: clips of one recording are averaged first."""
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        by_recording: dict[str, list[float]] = {}
        for group, row in zip(groups_of(collection), rows, strict=True):
            if name in row:
                by_recording.setdefault(group, []).append(row[name])
        means = [sum(values) / len(values) for values in by_recording.values()]
        found[name] = bootstrap(means, generator(seed, "pairs", name))
    return found
