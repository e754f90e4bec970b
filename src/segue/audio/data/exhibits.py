"""The pictures of a collection of sound, each with its table and the words that explain it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from segue.audio.data.bands import BAND_NAMES
from segue.audio.data.collection import CLIPPING, AudioCollection, AudioExploreSettings
from segue.audio.data.fma_exhibits import fma_exhibits
from segue.core.counts import nice_width, percent, quantile, ranked
from segue.core.report import Cell
from segue.plots.exhibits import Exhibit, bars_exhibit, histogram_exhibit
from segue.plots.sound_collection import Band, spectrum_figure

LARGEST_ARTISTS: Final = 10

_LONGEST_IN_SECONDS = 120
_BINS = 40


def exhibits(found: AudioCollection, settings: AudioExploreSettings) -> Iterator[Exhibit]:
    """Give the pictures of a collection."""
    if found.num_used:
        yield from _shares(found)
        yield _formats(found)
        yield _rates(found)
        yield _channels(found)
        yield _durations(found)
        yield from _levels(found)
        yield _spectrum(found)
        yield _bandwidths(found, settings)
    if found.fma is not None:
        yield from fma_exhibits(found.fma)
    if found.left_out:
        yield _left_out(found)
    if found.groups:
        yield _copies(found)


def _shares(found: AudioCollection) -> Iterator[Exhibit]:
    """Give hours by label and by artist, where there are any."""
    if "label_files" in found.tally:
        yield _hours(
            found,
            "label",
            "Labels",
            "How much there is of each label. A label is the genre that FMA's tables or splits.csv name, else the "
            "name of the first sub-folder.",
        )
    if "artist_files" in found.tally:
        yield _hours(
            found,
            "artist",
            f"Artists: the largest {LARGEST_ARTISTS}",
            "The artists of whom there is the most, by FMA's tables or the tags of the files.",
            most=LARGEST_ARTISTS,
        )


def _hours(
    found: AudioCollection, kind: str, heading: str, text: str, *, most: int | None = None
) -> Exhibit:
    files, lengths = found.tally[f"{kind}_files"], found.tally[f"{kind}_ms"]
    total = total_seconds(found)
    without = found.num_used - sum(files.values())
    order = [(name, count / 1000) for name, count in ranked(lengths)]
    long = order[0][1] >= 3600
    unit, seconds_each = ("Hours", 3600) if long else ("Minutes", 60)
    rows: list[list[Cell]] = [
        [name, round(seconds / seconds_each, 3), percent(seconds, total), files[name]]
        for name, seconds in order
    ]
    drawn = order[:most]
    return bars_exhibit(
        f"{kind}s",
        heading,
        f"{text} {without:,} of {found.num_used:,} files have none.",
        [(name, round(seconds / seconds_each, 3)) for name, seconds in drawn],
        whole=total,
        x_label=unit,
        header=(kind.capitalize(), unit, "Share of time", "Files"),
        rows=rows,
        texts=[
            f"{seconds / seconds_each:,.1f} {'h' if long else 'min'}, {files[name]:,} "
            f"file{'s' * (files[name] != 1)}  ({percent(seconds, total)})"
            for name, seconds in drawn
        ],
    )


def total_seconds(found: AudioCollection) -> float:
    """Return the length of all files together."""
    return sum(found.tally.get("total_ms", Counter()).values()) / 1000


def _formats(found: AudioCollection) -> Exhibit:
    return bars_exhibit(
        "formats",
        "Formats",
        "Files of each format and coding, by what is in them, not by their ending. Median "
        f"{quantile(found.tally['kbps'], 0.5):,.0f} thousand bits for each second of sound.",
        ranked(found.tally["kind"]),
        whole=found.num_used,
        x_label="Files",
        header=("Format", "Files", "Share of files"),
    )


def _rates(found: AudioCollection) -> Exhibit:
    counts = found.tally["rate_hz"]
    narrow = found.tally.get("narrow", Counter())
    rows: list[list[Cell]] = [
        [int(name), count, percent(count, found.num_used), narrow[name]]
        for name, count in ranked(counts)
    ]
    return bars_exhibit(
        "rates",
        "Sampling rates",
        "Files of each sampling rate, as stated in the file. Whether there is sound up to half the "
        "rate is another matter: see Bandwidth.",
        [(f"{int(name):,} Hz", count) for name, count in ranked(counts)],
        whole=found.num_used,
        x_label="Files",
        header=("Samples a second", "Files", "Share of files", "Narrow, see Bandwidth"),
        rows=rows,
    )


def _channels(found: AudioCollection) -> Exhibit:
    names = {"1": "1 (mono)", "2": "2 (stereo)"}
    counts = [(names.get(key, key), count) for key, count in ranked(found.tally["channels"])]
    return bars_exhibit(
        "channels",
        "Channels",
        "Files of each number of channels.",
        counts,
        whole=found.num_used,
        x_label="Files",
        header=("Channels", "Files", "Share of files"),
    )


def _durations(found: AudioCollection) -> Exhibit:
    counts = found.tally["seconds"]
    text = "Length of each file as it decodes, not as its header states."
    if quantile(counts, 0.98) <= _LONGEST_IN_SECONDS:
        return _histogram("durations", "Durations", text, counts, labels=("Seconds", "Files"))
    minutes: Counter[str] = Counter()
    for value, count in counts.items():
        minutes[f"{float(value) / 60:.2f}"] += count
    return _histogram("durations", "Durations", text, minutes, labels=("Minutes", "Files"))


def _levels(found: AudioCollection) -> Iterator[Exhibit]:
    tally = found.tally
    loudness = tally.get("loudness_lufs", Counter())
    if loudness:
        quiet = found.num_used - sum(loudness.values())
        below = f" {quiet:,} files lie below the gate at -70 LUFS and have none." if quiet else ""
        yield _histogram(
            "loudness",
            "Loudness",
            "Integrated loudness of each file by ITU-R BS.1770; streaming services play at about -14 "
            f"LUFS.{below}",
            loudness,
            labels=("LUFS", "Files"),
        )
    yield _histogram(
        "silence",
        "Silence",
        "Share of each file that is silent: windows of 100 ms below -60 dBFS.",
        tally["silent_percent"],
        labels=("% of the file", "Files"),
    )
    yield bars_exhibit(
        "clipping",
        "Clipping",
        "Share of the samples of each file that are at full scale (from 99.9 % of it): what was cut "
        "off there cannot be got back.",
        [(name, tally["clipping"][name]) for name in CLIPPING],
        whole=found.num_used,
        x_label="Files",
        header=("Samples at full scale", "Files", "Share of files"),
    )


def _spectrum(found: AudioCollection) -> Exhibit:
    bands, rows = [], []
    for number, name in enumerate(BAND_NAMES):
        levels = found.levels(number)
        if not len(levels):
            continue
        low, middle, high = (round(float(q), 2) for q in np.quantile(levels, (0.25, 0.5, 0.75)))
        bands.append(Band(name, low, middle, high, len(levels)))
        row: list[Cell] = [name, low, middle, high, len(levels)]
        rows.append(row)
    strongest = max(bands, key=lambda band: band.middle).name
    return Exhibit(
        "spectrum",
        "Average spectrum",
        "Power of each third octave against that of the whole recording, silent stretches left out: "
        "the median over the files, and the range of the middle half of them. Loudness plays no part. "
        "Files whose rate does not reach a band do not count there.",
        spectrum_figure(bands, title="Average spectrum"),
        f"Line of the median level by third octave; strongest at {strongest} Hz.",
        ("Third octave, Hz", "25 % of files below, dB", "Median, dB", "75 % below, dB", "Files"),
        rows,
        shown=0,
    )


def _bandwidths(found: AudioCollection, settings: AudioExploreSettings) -> Exhibit:
    narrow = sum(found.tally.get("narrow", Counter()).values())
    return _histogram(
        "bandwidths",
        "Bandwidth",
        "The highest frequency at which each file has sound: above it there is less than rounding to "
        "16 bits would leave, or 90 dB less than at the strongest. "
        f"{narrow:,} files ({percent(narrow, found.num_used)}) end below {100 * settings.full_share:g} % "
        "of half their sampling rate: they were taken from a lower rate, went through a lossy codec of "
        "few bits (MP3 of 128 kbit/s ends at 16 kHz), or hold nothing high.",
        found.tally["bandwidth_khz"],
        labels=("kHz", "Files"),
        width=0.5,
    )


def _histogram(
    name: str,
    heading: str,
    text: str,
    counts: Mapping[str, int],
    *,
    labels: tuple[str, str],
    width: float | None = None,
) -> Exhibit:
    """Make a histogram with bars of a width that suits the range; nothing is cut but long tails."""
    low, high = quantile(counts, 0), quantile(counts, 0.98)
    width = width or nice_width(max((high - low) / _BINS, 0.1), whole=False)
    return histogram_exhibit(name, heading, text, counts, labels=labels, width=width)


def _left_out(found: AudioCollection) -> Exhibit:
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


def _copies(found: AudioCollection) -> Exhibit:
    rows: list[list[Cell]] = [
        [kind.capitalize(), copies.groups, copies.files, copies.files - copies.groups,
         percent(copies.files - copies.groups, found.num_used)]
        for kind, copies in found.copies.items()
    ]  # fmt: skip
    sizes = Counter(len(group) for group in found.groups)
    return bars_exhibit(
        "duplicates",
        "Duplicates",
        "Groups of files that are the same. Equal files agree in every byte; equal sound agrees in "
        "every sample, rate and number of channels, whatever the format and the tags. A copy that was "
        "encoded anew is not found. The picture shows the groups of equal sound by size; all of them "
        "are in tables/duplicate_groups.csv.",
        [(f"{size} files", count) for size, count in sorted(sizes.items())],
        whole=len(found.groups),
        x_label="Groups of equal sound",
        header=("Sameness", "Groups", "Files in groups", "Files beyond the first", "Share"),
        rows=rows,
    )
