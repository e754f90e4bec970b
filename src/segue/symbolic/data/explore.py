"""A page about a folder of MIDI: pictures, tables and numbers of what is in it.

The folder that is written holds ``index.html``, ``pictures``, ``tables`` and ``statistics.json``. It
appears when all is done; until then the work lies in a hidden folder beside it, and the same command
goes on there after an interruption.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from segue.core.counts import quantile, ranked
from segue.core.files import write_text
from segue.core.progress import Progress, silent
from segue.core.report import Cell, Page
from segue.core.staging import STATISTICS, staged
from segue.core.tables import write_csv
from segue.errors import DataError
from segue.plots.exhibits import ROWS_SHOWN, show_exhibit
from segue.symbolic.data.collection import Collection, ExploreSettings, collect
from segue.symbolic.data.exhibits import exhibits, flat_share

_SPREADS: Final = (
    ("Notes in a piece", "notes"),
    ("Tracks in a piece", "tracks"),
    ("Bars in a piece", "bars"),
    ("Minutes", "minutes"),
    ("Tempo, quarters a minute", "tempo_files"),
    ("Changes of tempo", "tempo_changes"),
    ("Notes in a bar", "notes_per_bar"),
    ("Pitched notes at once, mean of a piece", "mean_polyphony"),
    ("Semitones from lowest to highest", "pitch_range"),
    ("Different velocities", "velocities"),
)


def explore(
    folder: Path | str,
    target: Path | str,
    settings: ExploreSettings | None = None,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure the MIDI files below a folder and write a page with pictures and tables.

    Args:
        folder: where the music is.
        target: the folder to write: new, empty, or one that was written by an earlier call.
        settings: what is looked at.
        workers: processes; as many as cores by default, 0 works in this process.
        progress: who listens.

    Returns:
        The contents of ``statistics.json``.

    Raises:
        DataError: there is no music, or `target` holds something else.

    Example:
        >>> statistics = explore("my-midi", "my-midi-explored")  # doctest: +SKIP
        >>> statistics["files"]  # doctest: +SKIP
        1234
    """
    folder, target, settings = Path(folder), Path(target), settings or ExploreSettings()
    workers = (os.cpu_count() or 1) if workers is None else workers
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Name a folder that holds MIDI files.")
    with staged(target, command="segue midi explore") as (stage, result):
        table = result / "tables" / "files.csv"
        found = collect(folder, stage, table, settings, workers=workers, progress=progress)
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


# Numbers -----------------------------------------------------------------------------------------


def summary(found: Collection, settings: ExploreSettings) -> dict[str, Any]:
    """Return what ``statistics.json`` holds: counts, quantiles and the most frequent of each kind."""
    tally = found.tally
    names = ("instrument_files", "instrument_tracks", "instrument_notes", "signature_bars",
             "signature_files", "tempo_files", "collections")  # fmt: skip
    return {
        "folder": found.name,
        "settings": settings.model_dump(mode="json"),
        "files": found.num_files,
        "used": found.num_used,
        "left_out": dict(ranked(Counter(one.reason for one in found.left_out))),
        "notes": _sum(tally.get("notes", {})),
        "bars": _sum(tally.get("bars", {})),
        "hours": round(_sum(tally.get("minutes", {})) / 60, 2),
        "flat_share": flat_share(found, settings),
        "stated": dict(tally.get("stated", {})),
        "quantiles": {
            name: {str(share): quantile(tally[name], share) for share in (0, 0.05, 0.5, 0.95, 1)}
            for _, name in _SPREADS
            if tally.get(name)
        },
        "copies": {kind: copies._asdict() for kind, copies in found.copies.items()},
        "counts": {name: dict(ranked(tally.get(name, {}))) for name in names},
        "tokens": _token_summary(found),
    }


def _token_summary(found: Collection) -> dict[str, Any] | None:
    if found.tokens is None:
        return None
    tokens = found.tokens
    return {
        "files": tokens.files,
        "missing": tokens.missing,
        "types": dict(ranked(tokens.types)),
        "most_frequent": None if tokens.tokens is None else dict(ranked(tokens.tokens)[:100]),
    }


def _sum(counts: Mapping[str, int]) -> float:
    """Return the sum of counted numbers."""
    total = math.fsum(float(value) * count for value, count in counts.items())
    return int(total) if total.is_integer() else total


# Page --------------------------------------------------------------------------------------------


def _page(found: Collection, settings: ExploreSettings) -> Page:
    """Begin the page with what there is at a glance."""
    tally = found.tally
    page = Page(found.name, subtitle="What is in this folder of MIDI files")
    page.heading("At a glance")
    rows: list[list[Cell]] = [
        ["Files looked at", found.num_files],
        ["Files in the pictures", found.num_used],
        ["Files left out", len(found.left_out)],
        ["Notes", int(_sum(tally.get("notes", {})))],
        ["Bars", int(_sum(tally.get("bars", {})))],
        ["Hours of music", round(_sum(tally.get("minutes", {})) / 60, 1)],
        ["Files beyond the first of their near duplicates", sum(len(g) - 1 for g in found.groups)],
    ]
    page.table(rows, header=("What", "How much"))
    if settings.limit is not None:
        page.text(f"Only the first {settings.limit:,} files in the order of their paths.")
    if found.num_used:
        shares = (0.05, 0.25, 0.5, 0.75, 0.95)
        page.table(
            [
                [label, *(quantile(tally[name], share) for share in shares)]
                for label, name in _SPREADS
                if tally[name]
            ],
            header=("What", "5 %", "25 %", "Median", "75 %", "95 %"),
            caption="What this share of the files (or of the bars) does not exceed.",
        )
        _add_collections(page, tally["collections"])
    return page


def _add_collections(page: Page, counts: Mapping[str, int]) -> None:
    """Add the top folders, where there are several."""
    if len(counts) < 2:
        return
    rows: list[list[Cell]] = [[name, count] for name, count in ranked(counts)]
    caption = "Files in the pictures, by top folder."
    if len(rows) > ROWS_SHOWN:
        caption = f"Files in the pictures, by top folder; the largest {ROWS_SHOWN} of {len(rows)}."
    page.table(rows[:ROWS_SHOWN], header=("Folder", "Files"), caption=caption)


def _close(found: Collection, page: Page, result: Path) -> None:
    """Write the lists of files, and say what is missing."""
    tables = result / "tables"
    write_csv(tables / "left_out.csv", ("path", "reason"), found.left_out)
    members = ((number, path) for number, group in enumerate(found.groups, 1) for path in group)
    write_csv(tables / "duplicate_groups.csv", ("group", "path"), members)
    if found.tokens is not None and found.tokens.missing:
        page.heading("Not on this page")
        page.text(f"The most frequent tokens after training. {found.tokens.missing}")
    page.heading("Files beside this page")
    page.text(
        "pictures: every picture as PNG. tables: every table in full as CSV; files.csv has a line for "
        "each piece, left_out.csv the files left out, duplicate_groups.csv the groups. "
        "statistics.json: all numbers for programs."
    )
