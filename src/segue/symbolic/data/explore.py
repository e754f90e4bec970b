"""A page about a folder of MIDI: pictures, tables and numbers of what is in it.

The folder that is written holds ``index.html``, ``pictures``, ``tables`` and ``statistics.json``. It
appears when all is done; until then the work lies in a hidden folder beside it, and the same command
goes on there after an interruption.
"""

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from segue.core.files import write_bytes, write_text
from segue.core.progress import Progress, silent
from segue.core.report import Cell, Page
from segue.errors import DataError
from segue.symbolic.data.collection import Collection, ExploreSettings, collect, write_csv
from segue.symbolic.data.tally import MOST_NOTES_PER_BAR, MOST_TEMPO, PARTS_PER_QUARTER, quantile
from segue.symbolic.instruments import DRUMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BARS_DRAWN = 25
_ROWS_SHOWN = 15
_BINS = 40
_LONGEST_TEXT = 90
_TAIL: Final = 0.98
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


@dataclass(frozen=True, eq=False)
class _Exhibit:
    """A picture with its table.

    Attributes:
        name: of the files, without ending.
        heading: of its section on the page.
        text: what is counted, and how.
        figure: the picture.
        alt: the picture in words.
        header, rows: the table, most frequent first where its rows are names.
        shown: rows of the table that the page shows; the file has all.
    """

    name: str
    heading: str
    text: str
    figure: "Figure"
    alt: str
    header: tuple[str, ...]
    rows: list[list[Cell]]
    shown: int = _ROWS_SHOWN


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
    _check_target(target)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Name a folder that holds MIDI files.")
    work = target.absolute().parent / f".{target.name}.exploring"
    stage, result = work / "stage", work / "result"
    _make_empty(result)
    shutil.rmtree(work / "earlier", ignore_errors=True)
    stage.mkdir(exist_ok=True)
    table = result / "tables" / "files.csv"
    found = collect(folder, stage, table, settings, workers=workers, progress=progress)
    statistics = summary(found, settings)
    exhibits = list(_exhibits(found, settings))
    with progress("drawing", total=len(exhibits)) as advance:
        page = _page(found, settings)
        for exhibit in exhibits:
            _show(exhibit, page, result)
            advance()
    _close(found, page, result)
    page.save(result / "index.html")
    write_text(result / "statistics.json", json.dumps(statistics, indent=1) + "\n")
    _publish(result, target, work)
    return statistics


def _check_target(target: Path) -> None:
    """Refuse a folder that holds other things."""
    holds = list(target.iterdir()) if target.is_dir() else [target] if target.exists() else []
    if holds and not (target / "statistics.json").is_file():
        raise DataError(
            f"{target} is there already and was not written by `segue midi explore`. Name a new folder."
        )


def _make_empty(folder: Path) -> None:
    """Make an empty folder, whatever an interrupted run left there."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {folder}: {error.strerror or error}.") from error


def _publish(result: Path, target: Path, work: Path) -> None:
    """Put the result in the place of an earlier one, and remove what is no longer needed."""
    try:
        if target.exists():
            target.rename(work / "earlier")
        result.rename(target)
    except OSError as error:
        raise DataError(f"Cannot write {target}: {error.strerror or error}.") from error
    shutil.rmtree(work, ignore_errors=True)


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
        "left_out": dict(_ranked(Counter(one.reason for one in found.left_out))),
        "notes": _sum(tally.get("notes", {})),
        "bars": _sum(tally.get("bars", {})),
        "hours": round(_sum(tally.get("minutes", {})) / 60, 2),
        "flat_share": _flat_share(found, settings),
        "stated": dict(tally.get("stated", {})),
        "quantiles": {
            name: {str(share): quantile(tally[name], share) for share in (0, 0.05, 0.5, 0.95, 1)}
            for _, name in _SPREADS
            if tally.get(name)
        },
        "copies": {kind: copies._asdict() for kind, copies in found.copies.items()},
        "counts": {name: dict(_ranked(tally.get(name, {}))) for name in names},
        "tokens": _token_summary(found),
    }


def _token_summary(found: Collection) -> dict[str, Any] | None:
    if found.tokens is None:
        return None
    tokens = found.tokens
    return {
        "files": tokens.files,
        "missing": tokens.missing,
        "types": dict(_ranked(tokens.types)),
        "most_frequent": None if tokens.tokens is None else dict(_ranked(tokens.tokens)[:100]),
    }


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the most frequent first; equal ones by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _sum(counts: Mapping[str, int]) -> float:
    """Return the sum of counted numbers."""
    total = math.fsum(float(value) * count for value, count in counts.items())
    return int(total) if total.is_integer() else total


def _flat_share(found: Collection, settings: ExploreSettings) -> float | None:
    """Return the share of files with hardly any dynamics."""
    counts = found.tally.get("velocities", Counter())
    total = sum(counts.values())
    flat = sum(n for value, n in counts.items() if int(value) <= settings.flat_velocities)
    return round(flat / total, 4) if total else None


def _percent(part: float, whole: float) -> str:
    if not whole:
        return "–"
    return "<0.1 %" if 0 < part / whole < 0.0005 else f"{100 * part / whole:.1f} %"


# Pictures ----------------------------------------------------------------------------------------


def _exhibits(found: Collection, settings: ExploreSettings) -> Iterator[_Exhibit]:
    """Give the pictures of a collection, those of the source deck first."""
    if found.num_used:
        yield _instruments(found)
        yield _tempos(found)
        yield _signatures(found)
        yield from _token_exhibits(found)
        yield from _bars_and_lengths(found)
        yield _polyphony(found)
        yield from _pitches(found)
        yield from _velocities(found, settings)
    if found.left_out:
        yield _left_out(found)
    if found.groups:
        yield _copies(found)


def _instruments(found: Collection) -> _Exhibit:
    from segue.plots.style import DRUM_COLOUR

    tally = found.tally
    ranked = _ranked(tally["instrument_files"])
    rows: list[list[Cell]] = [
        [name, files, _percent(files, found.num_used), tally["instrument_tracks"][name],
         tally["instrument_notes"][name]]
        for name, files in ranked
    ]  # fmt: skip
    return _bars(
        "instruments",
        "Instruments",
        "Files in which an instrument plays at least one note. Instruments are the General MIDI "
        "programs at the beginning of a track; all drum kits count as one.",
        ranked,
        whole=found.num_used,
        x_label="Files",
        header=("Instrument", "Files", "Share of files", "Tracks", "Notes"),
        rows=rows,
        colours={DRUMS: DRUM_COLOUR},
    )


def _tempos(found: Collection) -> _Exhibit:
    stated = found.tally["stated"]["tempo"]
    return _histogram(
        "tempos",
        "Tempos",
        "The tempo that lasts longest in each file, in quarter notes a minute. "
        f"{found.num_used - stated:,} files state none; the MIDI format then means 120. Tempos above "
        f"{MOST_TEMPO} count as {MOST_TEMPO}.",
        found.tally["tempo_files"],
        labels=("Quarter notes a minute", "Files"),
        width=5,
    )


def _signatures(found: Collection) -> _Exhibit:
    tally = found.tally
    ranked = _ranked(tally["signature_files"])
    bars = sum(tally["signature_bars"].values())
    rows: list[list[Cell]] = [
        [name, files, _percent(files, found.num_used), tally["signature_bars"][name],
         _percent(tally["signature_bars"][name], bars)]
        for name, files in ranked
    ]  # fmt: skip
    missing = found.num_used - tally["stated"]["signature"]
    return _bars(
        "time_signatures",
        "Time signatures",
        "Files in which at least one bar has this time signature; a file may count under several. "
        f"{missing:,} files state none; the MIDI format then means 4/4.",
        ranked,
        whole=found.num_used,
        x_label="Files",
        header=("Time signature", "Files", "Share of files", "Bars", "Share of bars"),
        rows=rows,
    )


def _token_exhibits(found: Collection) -> Iterator[_Exhibit]:
    counts = found.tokens
    if counts is None or not counts.types:
        return
    where = f"Counted in {counts.files:,} of the files, drawn at random."
    if counts.tokens:
        total = sum(counts.tokens.values())
        yield _bars(
            "tokens",
            "Most frequent tokens",
            "REMI tokens after training the tokenizer on these files (byte-pair merges within bars, "
            f"by MidiTok). A token may stand for several, joined by a plus sign. {where}",
            _ranked(counts.tokens),
            whole=total,
            x_label="Occurrences",
            header=("Token", "Occurrences", "Share"),
        )
    total = sum(counts.types.values())
    yield _bars(
        "token_types",
        "Token types",
        f"REMI tokens by type, before any merging: {total:,} in all. {where}",
        _ranked(counts.types),
        whole=total,
        x_label="Occurrences",
        header=("Type", "Occurrences", "Share"),
    )


def _bars_and_lengths(found: Collection) -> Iterator[_Exhibit]:
    tally = found.tally
    yield _histogram(
        "notes_per_bar",
        "Notes per bar",
        "Notes that begin in each bar, all tracks together. Bars with more than "
        f"{MOST_NOTES_PER_BAR} notes count as {MOST_NOTES_PER_BAR}.",
        tally["notes_per_bar"],
        labels=("Notes in a bar", "Bars"),
    )
    yield _histogram(
        "length_bars",
        "Length in bars",
        "Bars from the beginning of the file to the end of its last note.",
        tally["bars"],
        labels=("Bars", "Files"),
    )
    yield _histogram(
        "length_minutes",
        "Length in minutes",
        "Time from the beginning of the file to the end of its last note, at its own tempos.",
        tally["minutes"],
        labels=("Minutes", "Files"),
    )


def _polyphony(found: Collection) -> _Exhibit:
    quarters = {
        level: round(parts / PARTS_PER_QUARTER) for level, parts in found.tally["polyphony"].items()
    }
    return _histogram(
        "polyphony",
        "Polyphony",
        "How many pitched notes sound at once, in quarter notes of time, all files together. Drums "
        "and silence are not counted.",
        quarters,
        labels=("Notes at once", "Quarter notes"),
    )


def _pitches(found: Collection) -> Iterator[_Exhibit]:
    if not found.tally["pitch_notes"]:
        return
    yield _histogram(
        "pitches",
        "Pitches",
        "Pitches of all notes but drums; 60 is middle C.",
        found.tally["pitch_notes"],
        labels=("MIDI pitch", "Notes"),
        tail=1,
        width=1,
    )
    yield _histogram(
        "pitch_range",
        "Pitch range",
        "Semitones from the lowest to the highest note of each file, without drums.",
        found.tally["pitch_range"],
        labels=("Semitones", "Files"),
        tail=1,
        width=1,
    )


def _velocities(found: Collection, settings: ExploreSettings) -> Iterator[_Exhibit]:
    flat = _flat_share(found, settings) or 0.0
    yield _histogram(
        "velocities_per_file",
        "Velocities: flat or expressive",
        f"Different velocities in each file. {100 * flat:.1f} % of the files are flat: they have at "
        f"most {settings.flat_velocities} different ones, as notation programs write them; the others "
        "were played, or shaped by hand.",
        found.tally["velocities"],
        labels=("Different velocities", "Files"),
        tail=1,
        width=1,
    )
    yield _histogram(
        "velocities",
        "Velocities of the notes",
        "Velocities of all notes, drums included.",
        found.tally["velocity_notes"],
        labels=("Velocity", "Notes"),
        tail=1,
        width=1,
    )


def _left_out(found: Collection) -> _Exhibit:
    return _bars(
        "left_out_reasons",
        "Files left out",
        f"{len(found.left_out):,} of {found.num_files:,} files are not in any of the other pictures, "
        "for these reasons. Their names are in tables/left_out.csv.",
        _ranked(Counter(one.reason for one in found.left_out)),
        whole=found.num_files,
        x_label="Files",
        header=("Reason", "Files", "Share of all files"),
    )


def _copies(found: Collection) -> _Exhibit:
    rows: list[list[Cell]] = [
        [kind.capitalize(), copies.groups, copies.files, copies.files - copies.groups,
         _percent(copies.files - copies.groups, found.num_used)]
        for kind, copies in found.copies.items()
    ]  # fmt: skip
    sizes = Counter(len(group) for group in found.groups)
    shown = {_group_name(size): count for size, count in sorted(sizes.items())}
    return _bars(
        "duplicates",
        "Duplicates",
        "Groups of files that hold the same music. Equal files agree in every byte; equal notes agree "
        "in onsets and pitches, whatever their key, tempo and instruments; near duplicates share many "
        "short phrases (and include the others). Files beyond the first of each group are what one "
        "would lose by keeping one of each. The picture shows the groups of near duplicates by size. "
        "All groups are in tables/duplicate_groups.csv.",
        list(shown.items()),
        whole=len(found.groups),
        x_label="Groups of near duplicates",
        header=("Sameness", "Groups", "Files in groups", "Files beyond the first", "Share"),
        rows=rows,
    )


def _group_name(size: int) -> str:
    return f"{size} files"


def _bars(
    name: str,
    heading: str,
    text: str,
    ranked: Sequence[tuple[str, int]],
    *,
    whole: float,
    x_label: str,
    header: tuple[str, ...],
    rows: list[list[Cell]] | None = None,
    colours: Mapping[str, str] | None = None,
) -> _Exhibit:
    """Make an exhibit of names and how often they occur."""
    from segue.plots.collection import ranked_bars

    drawn = ranked[:_BARS_DRAWN]
    title = heading if len(drawn) == len(ranked) else f"{heading}: the {len(drawn)} at the top"
    figure = ranked_bars(
        [key for key, _ in drawn],
        [count for _, count in drawn],
        title=title,
        x_label=x_label,
        texts=[f"{count:,}  ({_percent(count, whole)})" for _, count in drawn],
        colours=colours,
    )
    first = "; ".join(f"{key}: {count:,}" for key, count in drawn[:5])
    alt = f"Bars of {heading.lower()}. {first}."
    if rows is None:
        rows = [[key, count, _percent(count, whole)] for key, count in ranked]
    return _Exhibit(name, heading, text, figure, alt, header, rows)


def _histogram(
    name: str,
    heading: str,
    text: str,
    counts: Mapping[str, int],
    *,
    labels: tuple[str, str],
    width: float | None = None,
    tail: float = _TAIL,
) -> _Exhibit:
    """Make an exhibit of numbers and how often they occur."""
    from segue.plots.collection import histogram

    numbers = {float(key): float(count) for key, count in counts.items()} or {0.0: 0.0}
    present = dict(counts) or {"0": 1}
    top = quantile(present, tail)
    width = width or _nice_width(top / _BINS, whole=all("." not in key for key in counts))
    median = quantile(present, 0.5)
    figure = histogram(
        numbers,
        title=heading,
        x_label=labels[0],
        y_label=labels[1],
        width=width,
        top=top,
        marks={"median": median},
    )
    alt = (
        f"Histogram of {heading.lower()}. Median {median:g}, nine in ten between "
        f"{quantile(present, 0.05):g} and {quantile(present, 0.95):g}."
    )
    rows: list[list[Cell]] = [
        [f"{value:g}", int(count)] for value, count in sorted(numbers.items())
    ]
    return _Exhibit(name, heading, text, figure, alt, labels, rows, shown=0)


def _nice_width(wanted: float, *, whole: bool) -> float:
    """Return the next of 1, 2, 5, 10, 20, ... (or their tenths and hundredths) above a width."""
    exponent = math.floor(math.log10(wanted)) if wanted > 0 else 0
    widths = [factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)]
    chosen = next(width for width in widths if width >= wanted)
    return max(1.0, chosen) if whole else chosen


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
    rows: list[list[Cell]] = [[name, count] for name, count in _ranked(counts)]
    caption = "Files in the pictures, by top folder."
    if len(rows) > _ROWS_SHOWN:
        caption = f"Files in the pictures, by top folder; the largest {_ROWS_SHOWN} of {len(rows)}."
    page.table(rows[:_ROWS_SHOWN], header=("Folder", "Files"), caption=caption)


def _show(exhibit: _Exhibit, page: Page, result: Path) -> None:
    """Put an exhibit on the page, and its picture and table into files."""
    from segue.plots.collection import png_bytes

    png = png_bytes(exhibit.figure)
    write_bytes(result / "pictures" / f"{exhibit.name}.png", png)
    write_csv(result / "tables" / f"{exhibit.name}.csv", exhibit.header, exhibit.rows)
    page.heading(exhibit.heading)
    page.text(exhibit.text)
    page.picture(png, alt=exhibit.alt)
    if exhibit.shown:
        cut = len(exhibit.rows) > exhibit.shown
        caption = f"The first {exhibit.shown} of {len(exhibit.rows):,}." if cut else ""
        rows = [[_cut(cell) for cell in row] for row in exhibit.rows[: exhibit.shown]]
        page.table(rows, header=exhibit.header, caption=caption)


def _cut(cell: Cell) -> Cell:
    """Shorten a long text, such as a token that stands for a whole bar."""
    if not isinstance(cell, str) or len(cell) <= _LONGEST_TEXT:
        return cell
    return f"{cell[: _LONGEST_TEXT // 2]} … {cell[-_LONGEST_TEXT // 2 :]}"


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
