"""A page about a folder of sound: pictures, tables and numbers of what is in it.

The folder that is written holds ``index.html``, ``pictures``, ``tables`` and ``statistics.json``. It
appears when all is done; until then the work lies in a hidden folder beside it, and the same command
goes on there after an interruption.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from segue.audio.data.bands import BAND_NAMES
from segue.audio.data.collection import AudioCollection, AudioExploreSettings, collect
from segue.audio.data.corpora.fma_catalogue import Survey, licence_family
from segue.audio.data.exhibits import exhibits, total_seconds
from segue.core.counts import quantile, ranked
from segue.core.files import write_text
from segue.core.progress import Progress, silent
from segue.core.report import Cell, Page
from segue.core.staging import STATISTICS, staged
from segue.core.tables import write_csv
from segue.errors import DataError
from segue.plots.exhibits import show_exhibit

COMMAND: Final = "segue audio explore"
_SPREADS: Final = (
    ("Seconds", "seconds"),
    ("Thousand bits a second", "kbps"),
    ("Loudness, LUFS", "loudness_lufs"),
    ("Peak, dBFS", "peak_dbfs"),
    ("Silence, %", "silent_percent"),
    ("Bandwidth, kHz", "bandwidth_khz"),
)


def explore(
    folder: Path | str,
    target: Path | str,
    settings: AudioExploreSettings | None = None,
    *,
    metadata: Path | str | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure the sound files below a folder and write a page with pictures and tables.

    Args:
        folder: sound files of any kind, a prepared folder, or FMA's tables alone.
        target: the folder to write: new, empty, or one that was written by an earlier call.
        settings: what is looked at.
        metadata: FMA's tables; looked for in the folder and beside it where None.
        workers: processes; as many as cores by default, 0 works in this process.
        progress: who listens.

    Returns:
        The contents of ``statistics.json``.

    Raises:
        DataError: there is no sound, `target` holds something else, or a table is damaged.

    Example:
        >>> statistics = explore("my-music", "my-music-explored")  # doctest: +SKIP
        >>> statistics["hours"]  # doctest: +SKIP
        31.4
    """
    folder, target, settings = Path(folder), Path(target), settings or AudioExploreSettings()
    workers = _num_cores() if workers is None else workers
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Name a folder that holds music.")
    with staged(target, command=COMMAND) as (stage, result):
        found = collect(
            folder,
            stage,
            result / "tables" / "files.csv",
            settings,
            metadata=None if metadata is None else Path(metadata),
            workers=workers,
            progress=progress,
        )
        statistics = summary(found, settings)
        shown = list(exhibits(found, settings))
        with progress("drawing", total=len(shown)) as advance:
            page = _page(found, settings)
            for exhibit in shown:
                show_exhibit(exhibit, page, result)
                advance()
        _close(found, page, result)
        page.save(result / "index.html")
        write_text(result / STATISTICS, json.dumps(statistics, indent=1) + "\n")
    return statistics


def _num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Numbers -----------------------------------------------------------------------------------------


def summary(found: AudioCollection, settings: AudioExploreSettings) -> dict[str, Any]:
    """Return what ``statistics.json`` holds."""
    tally = found.tally
    names = ("rate_hz", "channels", "kind", "clipping", "narrow", "label_files", "artist_files")
    return {
        "folder": found.name,
        "settings": settings.model_dump(mode="json"),
        "files": found.num_files,
        "used": found.num_used,
        "left_out": dict(ranked(Counter(one.reason for one in found.left_out))),
        "hours": _hours(found),
        "quantiles": {
            name: {str(share): quantile(tally[name], share) for share in (0, 0.05, 0.5, 0.95, 1)}
            for _, name in _SPREADS
            if tally.get(name)
        },
        "spectrum_db": _spectrum(found),
        "narrow_share": _share(sum(tally.get("narrow", Counter()).values()), found.num_used),
        "copies": {kind: copies._asdict() for kind, copies in found.copies.items()},
        "counts": {name: dict(ranked(tally.get(name, Counter()))) for name in names},
        "hours_by_label": _by_hours(tally.get("label_ms", Counter())),
        "hours_by_artist": _by_hours(tally.get("artist_ms", Counter())),
        "fma": None if found.fma is None else _fma_summary(found.fma),
        "note": found.note,
    }


def _hours(found: AudioCollection) -> float:
    return round(total_seconds(found) / 3600, 4) if found.num_used else 0.0


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _by_hours(milliseconds: Counter[str]) -> dict[str, float]:
    return {name: round(count / 3_600_000, 4) for name, count in ranked(milliseconds)}


def _spectrum(found: AudioCollection) -> dict[str, list[float]]:
    """Return the quartiles of every band that a file has."""
    levels = {name: found.levels(number) for number, name in enumerate(BAND_NAMES)}
    return {
        name: np.quantile(values, (0.25, 0.5, 0.75)).round(2).tolist()
        for name, values in levels.items()
        if len(values)
    }


def _fma_summary(found: Survey) -> dict[str, Any]:
    families: Counter[str] = Counter()
    for name, count in found.licences.items():
        families[licence_family(name)] += count
    return {
        "tracks": found.num_tracks,
        "artists": found.num_artists,
        "genres": {genre.title: found.genres[genre.number] for genre, _ in found.tree},
        "without_genre": found.without_genre,
        "licences": dict(ranked(families)),
        "countries": dict(ranked(found.countries)),
        "country_by_coordinates": found.by_coordinates,
        "country_by_text": found.by_text,
        "cells": [[*cell, count] for cell, count in sorted(found.cells.items())],
        "splits": {" ".join(key): count for key, count in sorted(found.splits.items())},
    }


# Page --------------------------------------------------------------------------------------------


def _page(found: AudioCollection, settings: AudioExploreSettings) -> Page:
    """Begin the page with what there is at a glance."""
    tally = found.tally
    page = Page(found.name, subtitle="What is in this folder of sound")
    page.heading("At a glance")
    rows: list[list[Cell]] = []
    if found.num_files:
        rows += [
            ["Files looked at", found.num_files],
            ["Files in the pictures", found.num_used],
            ["Files left out", len(found.left_out)],
            ["Hours of sound", round(_hours(found), 2)],
            ["Files beyond the first of those with equal sound",
             sum(len(group) - 1 for group in found.groups)],
        ]  # fmt: skip
    if found.fma is not None:
        rows += [
            ["Tracks in FMA's tables", found.fma.num_tracks],
            ["Artists of these tracks", found.fma.num_artists],
        ]
    page.table(rows, header=("What", "How much"))
    if settings.limit is not None:
        page.text(f"Only the first {settings.limit:,} files in the order of their paths.")
    if found.note:
        page.text(found.note)
    if found.num_used:
        shares = (0.05, 0.25, 0.5, 0.75, 0.95)
        page.table(
            [
                [label, *(quantile(tally[name], share) for share in shares)]
                for label, name in _SPREADS
                if tally.get(name)
            ],
            header=("What", "5 %", "25 %", "Median", "75 %", "95 %"),
            caption="What this share of the files does not exceed.",
        )
    return page


def _close(found: AudioCollection, page: Page, result: Path) -> None:
    """Write the lists of files, and say what lies beside the page."""
    tables = result / "tables"
    write_csv(tables / "left_out.csv", ("path", "reason", "detail"), found.left_out)
    members = ((number, path) for number, group in enumerate(found.groups, 1) for path in group)
    write_csv(tables / "duplicate_groups.csv", ("group", "path"), members)
    page.heading("Files beside this page")
    page.text(
        "pictures: every picture as PNG. tables: every table in full as CSV; files.csv has a line for "
        "each file that was measured, left_out.csv the files left out, duplicate_groups.csv the groups "
        "of equal sound. statistics.json: all numbers for programs."
    )
