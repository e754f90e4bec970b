"""Two evaluations, or two training runs, side by side, and whether they can be compared at all."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from segue.audio.evaluate.collections import CLIPS_PER_UNIT
from segue.audio.evaluate.plan import GENERATED, WORK
from segue.audio.evaluate.report import ogg, picture_of
from segue.audio.signal import read_audio
from segue.core.plain import shown
from segue.core.report import Cell, Page
from segue.core.statistics import Interval
from segue.errors import DataError
from segue.plots.collection import png_bytes
from segue.plots.curves import loss_curves
from segue.training.table import read_rows

Good = Literal["low", "high", "near one", "none"]

_MUST_AGREE: Final = ("clips", "seconds", "split", "embeddings", "seed")
_SAMPLING: Final = ("sampler", "steps", "guidance")
_NUM_EXAMPLES: Final = 4


@dataclass(frozen=True)
class Line:
    """One measure of both.

    Attributes:
        name: what is measured.
        values: of the first and of the second; None where one has not measured it.
        good: which value is the better.
        digits: shown behind the point.
    """

    name: str
    values: tuple[Interval | None, Interval | None]
    good: Good = "low"
    digits: int = 2

    @property
    def better(self) -> int | None:
        """0 or 1 where one is better and the intervals do not overlap, else None."""
        first, second = self.values
        if first is None or second is None or self.good == "none":
            return None
        if self.good == "near one":
            first, second = _from_one(first), _from_one(second)
        if first.high < second.low:
            return 0 if self.good != "high" else 1
        if second.high < first.low:
            return 1 if self.good != "high" else 0
        return None


def _from_one(value: Interval) -> Interval:
    """Return the distance from 1 as an interval."""
    ends = sorted((abs(value.low - 1), abs(value.high - 1)))
    low = 0.0 if value.low <= 1 <= value.high else ends[0]
    return Interval(abs(value.mean - 1), low, ends[1], value.num_units)


@dataclass(frozen=True)
class Comparison:
    """Two folders side by side.

    Attributes:
        folders: what was compared.
        names: what tables call them.
        lines: measures of both.
        warnings: why they cannot be compared, or only in part.
        kind: ``evaluation`` or ``run``.
        changed: settings in which two runs differ: name, first, second.
    """

    folders: tuple[Path, Path]
    names: tuple[str, str]
    lines: tuple[Line, ...]
    warnings: tuple[str, ...]
    kind: Literal["evaluation", "run"]
    changed: tuple[tuple[str, str, str], ...] = ()

    def rows(self) -> list[list[str]]:
        """Return the table: measure, first, second, which is better."""
        return [
            [
                line.name,
                *("" if value is None else shown(value, line.digits) for value in line.values),
                "" if line.better is None else self.names[line.better],
            ]
            for line in self.lines
        ]

    def numbers(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "warnings": list(self.warnings),
            "changed": [list(row) for row in self.changed],
            "measures": [
                {
                    "name": line.name,
                    "values": [None if v is None else vars(v) for v in line.values],
                    "better": None if line.better is None else self.names[line.better],
                }
                for line in self.lines
            ],
        }


def compare(first: Path, second: Path) -> Comparison:
    """Put two evaluations or two training runs side by side.

    Args:
        first: folder that `segue audio evaluate` wrote, or a run folder.
        second: another one of the same kind.

    Raises:
        DataError: a folder is neither, or the two are of different kinds.
    """
    kinds = [_kind(folder) for folder in (first, second)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"{first} is of the kind {kinds[0]} and {second} of the kind {kinds[1]}. Compare two "
            "evaluations, or two training runs."
        )
    return _runs(first, second) if kinds[0] == "run" else _evaluations(first, second)


def _kind(folder: Path) -> Literal["evaluation", "run"]:
    if (folder / "metrics.json").is_file():
        return "evaluation"
    if (folder / "metrics.csv").is_file():
        return "run"
    raise DataError(
        f"{folder} is neither an evaluation (metrics.json) nor a training run (metrics.csv). Name what "
        "`segue audio evaluate` or a training command wrote."
    )


# Evaluations -------------------------------------------------------------------------------------


def _evaluations(first: Path, second: Path) -> Comparison:
    found = [_read(folder) for folder in (first, second)]
    names = _names([one["model"] for one in found], (first, second))
    return Comparison(
        (first, second),
        names,
        tuple(_lines(found[0], found[1])),
        tuple(_warnings(found[0], found[1])),
        "evaluation",
    )


def _read(folder: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads((folder / "metrics.json").read_text("utf-8"))
        if not isinstance(found, dict) or not {"model", "settings", "distances"} <= found.keys():
            raise ValueError("it is not of an audio evaluation")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / 'metrics.json'} cannot be read ({error}). Write it anew with "
            "`segue audio evaluate`."
        ) from error
    result: dict[str, Any] = found
    return result


def _names(names: Sequence[str], folders: tuple[Path, Path]) -> tuple[str, str]:
    """Return what both are called; their folders' names where they are called the same."""
    if names[0] != names[1]:
        return names[0], names[1]
    short = [folder.resolve().name for folder in folders]
    return (short[0], short[1]) if short[0] != short[1] else (str(folders[0]), str(folders[1]))


def _warnings(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    for name in _MUST_AGREE:
        values = first["settings"].get(name), second["settings"].get(name)
        if values[0] != values[1]:
            yield (
                f"Measured with another setting of {name} ({values[0]} and {values[1]}): distances do "
                "not compare."
            )
    versions = first.get("segue"), second.get("segue")
    if versions[0] != versions[1]:
        yield (
            f"Measured by other versions of Segue ({versions[0]} and {versions[1]}): measures may have "
            "changed."
        )
    sampling = [one.get("sampling") or {} for one in (first, second)]
    for name in _SAMPLING:
        values = sampling[0].get(name), sampling[1].get(name)
        if values[0] != values[1]:
            yield (
                f"Generated with another {name} ({values[0]} and {values[1]}): what differs may be due "
                "to that."
            )
    prints = [one["collections"]["reference"].get("music") for one in (first, second)]
    if prints[0] != prints[1]:
        yield "Measured against other real music: distances do not compare."


def _lines(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Line]:
    both = (first, second)
    for embedding in _shared(both, "distances"):
        rows = [{r["name"]: r for r in one["distances"][embedding]["rows"]} for one in both]
        for name in _in_both(*rows):
            for measure, digits in (("kernel", 1), ("frechet", 1)):
                label = f"{measure} distance, {name} ({embedding})"
                yield _line(label, [row[name][measure] for row in rows], digits=digits)
    for name in _shared(both, "reconstruction"):
        tables = [one["reconstruction"][name] for one in both]
        for measure in _in_both(*tables):
            good: Good = "high" if measure == "si_sdr_db" else "low"
            yield _line(f"{measure}, {name}", [table[measure] for table in tables], good)
    for name in _shared(both, "sliced_wasserstein"):
        values = [one["sliced_wasserstein"][name]["distance"] for one in both]
        yield _line(f"sliced Wasserstein distance of latents, {name}", values, digits=4)
    for name in _shared(both, "health"):
        values = [one["health"][name]["silent_rate"] for one in both]
        yield _line(f"silent clips, {name}", values, digits=3)
    for name in _shared(both, "diversity"):
        values = [one["diversity"][name]["vendi_ratio"] for one in both]
        yield _line(f"Vendi score, of real's, {name}", values, "near one")
    for name in _shared(both, "memorisation"):
        values = [one["memorisation"][name]["flag_rate"] for one in both]
        yield _line(f"nearer to training than real clips, {name}", values, digits=3)


def _line(
    name: str, values: Sequence[Mapping[str, Any]], good: Good = "low", digits: int = 2
) -> Line:
    first, second = (Interval(**value) for value in values)
    return Line(name, (first, second), good, digits)


def _shared(both: tuple[Mapping[str, Any], Mapping[str, Any]], section: str) -> list[str]:
    return _in_both(*(one.get(section) or {} for one in both))


def _in_both(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [name for name in first if name in second]


# Runs --------------------------------------------------------------------------------------------


def _runs(first: Path, second: Path) -> Comparison:
    settings = [_recipe(folder) for folder in (first, second)]
    changed = tuple(
        (name, str(settings[0].get(name)), str(settings[1].get(name)))
        for name in sorted(settings[0].keys() | settings[1].keys())
        if settings[0].get(name) != settings[1].get(name)
    )
    finals = [_last_validation(folder) for folder in (first, second)]
    lines = [
        Line(name, (_exact(finals[0][name]), _exact(finals[1][name])), "none", 4)
        for name in finals[0]
        if name in finals[1]
    ]
    names = _names(["", ""], (first, second))
    warnings = [] if lines else ["The two runs have no validated quantity in common."]
    return Comparison((first, second), names, tuple(lines), tuple(warnings), "run", changed)


def _last_validation(folder: Path) -> dict[str, float]:
    """Return the numbers of a run's newest validation."""
    rows = [row for row in read_rows(folder / "metrics.csv") if row["split"] == "val"]
    return {n: float(v) for n, v in rows[-1].items() if n != "split"} if rows else {}


def _exact(value: float) -> Interval:
    return Interval(value, value, value, 1)


def _recipe(folder: Path) -> dict[str, Any]:
    """Return a run's settings by dotted names."""
    import yaml

    path = folder / "recipe.yaml"
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({error}).") from error
    return dict(_flat(found if isinstance(found, dict) else {}))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


# The page ----------------------------------------------------------------------------------------


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write both side by side as one page that opens offline.

    Raises:
        DataError: the file cannot be written.
    """
    page = Page(f"{comparison.names[0]} and {comparison.names[1]}", subtitle=comparison.kind)
    for warning in comparison.warnings:
        page.text(warning)
    page.heading("Measures")
    page.text(
        "The last column names the better one where the 95 % intervals do not overlap; where it is "
        "empty, chance may explain the difference."
        if comparison.kind == "evaluation"
        else "What the last validation of each run found."
    )
    rows: list[list[Cell]] = [list(row) for row in comparison.rows()]
    page.table(rows, header=("measure", *comparison.names, "better"))
    if comparison.kind == "run":
        _show_runs(page, comparison)
    else:
        _show_clips(page, comparison)
    page.save(path)


def _show_runs(page: Page, comparison: Comparison) -> None:
    page.heading("Settings that differ")
    changed: list[list[Cell]] = [list(row) for row in comparison.changed]
    if changed:
        page.table(changed, header=("setting", *comparison.names))
    else:
        page.text("None.")
    page.heading("Curves")
    tables = [read_rows(folder / "metrics.csv") for folder in comparison.folders]
    for name in ("val_loss", "loss"):
        curves = {
            label: [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
            for label, rows in zip(comparison.names, tables, strict=True)
        }
        kept = {label: points for label, points in curves.items() if points}
        if kept:
            figure = loss_curves(kept, title=name)
            page.picture(png_bytes(figure), alt=f"{name} of both runs")


def _show_clips(page: Page, comparison: Comparison) -> None:
    page.heading("Clips")
    for number in range(_NUM_EXAMPLES):
        items = []
        for name, folder in zip(comparison.names, comparison.folders, strict=True):
            path = _clip(folder, number)
            if path is not None:
                audio, rate_hz = _heard(path)
                items.append((name, picture_of(audio, rate_hz), ogg(audio, rate_hz)))
        if items:
            page.example(f"clip {number + 1}", items)


def _clip(folder: Path, number: int) -> Path | None:
    """Return a generated clip of an evaluation, where its folder of work is still there."""
    # The hash behind the name: what was asked for text, or for nothing, begins with the same word.
    called = f"{GENERATED}-{'[0-9a-f]' * 16}"
    found = sorted((folder / WORK).glob(f"{called}/{number:05d}.flac"))
    done = [p for p in found if (p.parent / _done(number)).is_file()]
    return max(done, key=lambda p: p.stat().st_mtime_ns) if done else None


def _done(number: int) -> str:
    return f"unit-{number // CLIPS_PER_UNIT * CLIPS_PER_UNIT:05d}.json"


def _heard(path: Path) -> tuple[Any, int]:
    """Return a clip and its rate."""
    import soundfile

    return read_audio(path, None, None), int(soundfile.info(path).samplerate)
