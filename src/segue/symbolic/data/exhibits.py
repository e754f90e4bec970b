"""The pictures of a collection of MIDI, each with its table and the words that explain it."""

from collections import Counter
from collections.abc import Iterator

from segue.core.counts import percent, ranked
from segue.core.report import Cell
from segue.plots.exhibits import Exhibit, bars_exhibit, histogram_exhibit
from segue.symbolic.data.collection import Collection, ExploreSettings
from segue.symbolic.data.tally import MOST_NOTES_PER_BAR, MOST_TEMPO, PARTS_PER_QUARTER
from segue.symbolic.instruments import DRUMS


def flat_share(found: Collection, settings: ExploreSettings) -> float | None:
    """Return the share of files with hardly any dynamics."""
    counts = found.tally.get("velocities", Counter())
    total = sum(counts.values())
    flat = sum(n for value, n in counts.items() if int(value) <= settings.flat_velocities)
    return round(flat / total, 4) if total else None


def exhibits(found: Collection, settings: ExploreSettings) -> Iterator[Exhibit]:
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


def _instruments(found: Collection) -> Exhibit:
    from segue.plots.style import DRUM_COLOUR

    tally = found.tally
    most = ranked(tally["instrument_files"])
    rows: list[list[Cell]] = [
        [name, files, percent(files, found.num_used), tally["instrument_tracks"][name],
         tally["instrument_notes"][name]]
        for name, files in most
    ]  # fmt: skip
    return bars_exhibit(
        "instruments",
        "Instruments",
        "Files in which an instrument plays at least one note. Instruments are the General MIDI "
        "programs at the beginning of a track; all drum kits count as one.",
        most,
        whole=found.num_used,
        x_label="Files",
        header=("Instrument", "Files", "Share of files", "Tracks", "Notes"),
        rows=rows,
        colours={DRUMS: DRUM_COLOUR},
    )


def _tempos(found: Collection) -> Exhibit:
    stated = found.tally["stated"]["tempo"]
    return histogram_exhibit(
        "tempos",
        "Tempos",
        "The tempo that lasts longest in each file, in quarter notes a minute. "
        f"{found.num_used - stated:,} files state none; the MIDI format then means 120. Tempos above "
        f"{MOST_TEMPO} count as {MOST_TEMPO}.",
        found.tally["tempo_files"],
        labels=("Quarter notes a minute", "Files"),
        width=5,
    )


def _signatures(found: Collection) -> Exhibit:
    tally = found.tally
    most = ranked(tally["signature_files"])
    bars = sum(tally["signature_bars"].values())
    rows: list[list[Cell]] = [
        [name, files, percent(files, found.num_used), tally["signature_bars"][name],
         percent(tally["signature_bars"][name], bars)]
        for name, files in most
    ]  # fmt: skip
    missing = found.num_used - tally["stated"]["signature"]
    return bars_exhibit(
        "time_signatures",
        "Time signatures",
        "Files in which at least one bar has this time signature; a file may count under several. "
        f"{missing:,} files state none; the MIDI format then means 4/4.",
        most,
        whole=found.num_used,
        x_label="Files",
        header=("Time signature", "Files", "Share of files", "Bars", "Share of bars"),
        rows=rows,
    )


def _token_exhibits(found: Collection) -> Iterator[Exhibit]:
    counts = found.tokens
    if counts is None or not counts.types:
        return
    where = f"Counted in {counts.files:,} of the files, drawn at random."
    if counts.tokens:
        total = sum(counts.tokens.values())
        yield bars_exhibit(
            "tokens",
            "Most frequent tokens",
            "REMI tokens after training the tokenizer on these files (byte-pair merges within bars, "
            f"by MidiTok). A token may stand for several, joined by a plus sign. {where}",
            ranked(counts.tokens),
            whole=total,
            x_label="Occurrences",
            header=("Token", "Occurrences", "Share"),
        )
    total = sum(counts.types.values())
    yield bars_exhibit(
        "token_types",
        "Token types",
        f"REMI tokens by type, before any merging: {total:,} in all. {where}",
        ranked(counts.types),
        whole=total,
        x_label="Occurrences",
        header=("Type", "Occurrences", "Share"),
    )


def _bars_and_lengths(found: Collection) -> Iterator[Exhibit]:
    tally = found.tally
    yield histogram_exhibit(
        "notes_per_bar",
        "Notes per bar",
        "Notes that begin in each bar, all tracks together. Bars with more than "
        f"{MOST_NOTES_PER_BAR} notes count as {MOST_NOTES_PER_BAR}.",
        tally["notes_per_bar"],
        labels=("Notes in a bar", "Bars"),
    )
    yield histogram_exhibit(
        "length_bars",
        "Length in bars",
        "Bars from the beginning of the file to the end of its last note.",
        tally["bars"],
        labels=("Bars", "Files"),
    )
    yield histogram_exhibit(
        "length_minutes",
        "Length in minutes",
        "Time from the beginning of the file to the end of its last note, at its own tempos.",
        tally["minutes"],
        labels=("Minutes", "Files"),
    )


def _polyphony(found: Collection) -> Exhibit:
    quarters = {
        level: round(parts / PARTS_PER_QUARTER) for level, parts in found.tally["polyphony"].items()
    }
    return histogram_exhibit(
        "polyphony",
        "Polyphony",
        "How many pitched notes sound at once, in quarter notes of time, all files together. Drums "
        "and silence are not counted.",
        quarters,
        labels=("Notes at once", "Quarter notes"),
    )


def _pitches(found: Collection) -> Iterator[Exhibit]:
    if not found.tally["pitch_notes"]:
        return
    yield histogram_exhibit(
        "pitches",
        "Pitches",
        "Pitches of all notes but drums; 60 is middle C.",
        found.tally["pitch_notes"],
        labels=("MIDI pitch", "Notes"),
        tail=1,
        width=1,
    )
    yield histogram_exhibit(
        "pitch_range",
        "Pitch range",
        "Semitones from the lowest to the highest note of each file, without drums.",
        found.tally["pitch_range"],
        labels=("Semitones", "Files"),
        tail=1,
        width=1,
    )


def _velocities(found: Collection, settings: ExploreSettings) -> Iterator[Exhibit]:
    flat = flat_share(found, settings) or 0.0
    yield histogram_exhibit(
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
    yield histogram_exhibit(
        "velocities",
        "Velocities of the notes",
        "Velocities of all notes, drums included.",
        found.tally["velocity_notes"],
        labels=("Velocity", "Notes"),
        tail=1,
        width=1,
    )


def _left_out(found: Collection) -> Exhibit:
    return bars_exhibit(
        "left_out_reasons",
        "Files left out",
        f"{len(found.left_out):,} of {found.num_files:,} files are not in any of the other pictures, "
        "for these reasons. Their names are in tables/left_out.csv.",
        ranked(Counter(one.reason for one in found.left_out)),
        whole=found.num_files,
        x_label="Files",
        header=("Reason", "Files", "Share of all files"),
    )


def _copies(found: Collection) -> Exhibit:
    rows: list[list[Cell]] = [
        [kind.capitalize(), copies.groups, copies.files, copies.files - copies.groups,
         percent(copies.files - copies.groups, found.num_used)]
        for kind, copies in found.copies.items()
    ]  # fmt: skip
    sizes = Counter(len(group) for group in found.groups)
    shown = {_group_name(size): count for size, count in sorted(sizes.items())}
    return bars_exhibit(
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
