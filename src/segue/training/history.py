"""What the folder of a run tells without its model: settings, how far it came, the course of the loss.

Nothing here imports PyTorch.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.core.config import read_mapping
from segue.core.findings import Finding
from segue.errors import SettingError
from segue.training.table import Row, read_rows

KINDS: Final = ("ldmg-autoencoder", "ldmg-diffusion", "midigpt")
"""Kinds of recipes, and so of runs."""

RECIPE_FILE, METRICS_FILE, STARTS_FILE = "recipe.yaml", "metrics.csv", "run.json"

_LEAST_ROWS = 4
_LEAST_RATE = 1e-8
_LEAST_FALL = 0.005
_RISE_SUSPICIOUS, _RISE_BROKEN = 0.15, 0.5
_EARLY = 0.05
_MANY_RESTORES = 10
_UNTRAINED_SHARE = 0.8
_HARMLESS = frozenset({"norm"})
"""Columns whose odd values the training itself leaves out: steps with such gradients are not taken."""


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    Attributes:
        path: the folder.
        kind: of its recipe.
        recipe: contents of ``recipe.yaml``.
        rows: of ``metrics.csv``.
        starts: of ``run.json``.
    """

    path: Path
    kind: str
    recipe: Mapping[str, Any]
    rows: tuple[Row, ...]
    starts: tuple[Mapping[str, Any], ...]

    @property
    def steps(self) -> int:
        """Steps taken, as far as the table tells."""
        return max((int(row["step"]) for row in self.rows), default=0)

    @property
    def max_steps(self) -> int:
        """Steps that the recipe asks for."""
        return int(self.recipe["trainer"]["max_steps"])

    @property
    def share_done(self) -> float:
        """Steps taken out of those that the recipe asks for."""
        return self.steps / self.max_steps

    def column(self, name: str, split: str = "train") -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the steps and the values of a column. Shapes ``rows``."""
        found = [
            (int(row["step"]), float(row[name]))
            for row in self.rows
            if row["split"] == split and name in row and not isinstance(row[name], str)
        ]
        steps = np.array([step for step, _ in found], np.int64)
        return steps, np.array([value for _, value in found], np.float64)


def open_record(folder: Path) -> RunRecord:
    """Read the folder of a run.

    Raises:
        SettingError: it is empty, no run, or its recipe is of no kind that is known.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise SettingError(f"{folder} is empty or no folder, so there is no run in it.")
    if not (folder / RECIPE_FILE).is_file():
        raise SettingError(f"{folder} has no {RECIPE_FILE}, so it is not the folder of a run.")
    recipe = read_mapping(folder / RECIPE_FILE)
    kind = str(recipe.get("kind"))
    steps = recipe.get("trainer", {}).get("max_steps") if kind in KINDS else None
    if not isinstance(steps, int) or steps < 1:
        raise SettingError(
            f"{folder / RECIPE_FILE} is of the kind {kind!r} and asks for {steps} steps; a run is of "
            f"the kind {', '.join(KINDS)} and states trainer.max_steps."
        )
    starts = folder / STARTS_FILE
    noted = json.loads(starts.read_text("utf-8")) if starts.is_file() else []
    rows = tuple(read_rows(folder / METRICS_FILE))
    return RunRecord(folder, kind, recipe, rows, tuple(noted))


def check_history(
    record: RunRecord, *, columns: Sequence[str], validation: str, untrained: float | None = None
) -> list[Finding]:
    """Judge what happened: how far, values that are not numbers, the learning rate, the losses.

    Args:
        record: the run.
        columns: training losses; the first one that the table has is judged.
        validation: name of the validation loss.
        untrained: loss of a model that has learnt nothing, where it is known.
    """
    if not record.rows:
        advice = "Start it again with the same command."
        return [Finding("progress", "broken", f"{METRICS_FILE} is missing or empty", advice)]
    name = next((name for name in columns if len(record.column(name)[0])), columns[-1])
    return [
        check_progress(record),
        check_numbers(record),
        check_learning_rate(record),
        check_course(*record.column(name), name=name, untrained=untrained),
        *check_validation(*record.column(validation, "val"), name=validation),
    ]


def check_progress(record: RunRecord) -> Finding:
    """Say how far a run came."""
    detail = f"{record.steps} of {record.max_steps} steps"
    if record.steps >= record.max_steps:
        return Finding("progress", "ok", f"{detail}: finished")
    advice = "Run the same command again: it goes on where it stopped."
    if record.share_done < _EARLY:
        return Finding("progress", "suspicious", f"{detail}: hardly begun", advice)
    return Finding("progress", "ok", f"{detail}, {100 * record.share_done:.0f} %", advice)


def check_numbers(record: RunRecord) -> Finding:
    """Look for losses and gradients that are not finite, and for states that were put back."""
    odd: dict[str, int] = {}
    for row in record.rows:
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                odd.setdefault(name, int(row["step"]))
    advice = (
        "Lower optim.learning_rate (to a tenth), lengthen the warm-up, set trainer.precision=32 and "
        "trainer.clip_norm=1, and start in a new folder."
    )
    serious = [name for name in odd if name not in _HARMLESS]
    if odd:
        first = ", ".join(f"{name} from step {step}" for name, step in odd.items())
        state = "broken" if serious else "suspicious"
        return Finding("NaN history", state, f"not finite: {first}", advice)  # type: ignore[arg-type]
    restored = len(record.column("restored")[0])
    allowed = int(record.recipe["trainer"].get("nan_restores", 0))
    if restored:
        detail = f"the last good state was put back in {restored} rows ({allowed} times allowed)"
        state = "broken" if restored > _MANY_RESTORES else "suspicious"
        return Finding("NaN history", state, detail, advice)  # type: ignore[arg-type]
    return Finding("NaN history", "ok", f"{len(record.rows)} rows, all numbers finite")


def check_learning_rate(record: RunRecord) -> Finding:
    """Look for a learning rate that changes nothing."""
    _, rates = record.column("learning_rate")
    if not len(rates):
        return Finding("learning rate", "not checked", "no row of training yet")
    detail = f"largest {rates.max():.3g}, last {rates[-1]:.3g}"
    if not rates.max() > _LEAST_RATE:
        advice = "Set optim.learning_rate; 1e-3 suits small models."
        return Finding("learning rate", "broken", f"{detail}: nothing is learnt", advice)
    return Finding("learning rate", "ok", detail)


def check_course(
    steps: NDArray[Any], values: NDArray[Any], *, name: str, untrained: float | None = None
) -> Finding:
    """Judge the course of a training loss: never learnt, going up, or falling.

    Args:
        steps: of the rows.
        values: the loss, of the same shape.
        name: of the loss.
        untrained: loss of a model that has learnt nothing. A flat course that begins far below it is
            that of weights which were trained before.
    """
    kept = np.isfinite(values)
    steps, values = steps[kept], values[kept]
    if len(values) < _LEAST_ROWS:
        return Finding("loss course", "not checked", f"{len(values)} rows are too few")
    width = max(1, len(values) // 10)
    smooth = np.convolve(values, np.ones(width) / width, "valid")
    early = int(np.searchsorted(steps, _EARLY * steps[-1]))
    start = float(values[early : early + width].mean())
    end, best = float(smooth[-1]), float(smooth.min())
    detail = f"{name} {start:.4g} at {int(steps[early])}, {end:.4g} at {int(steps[-1])}"
    noise = float(np.std(np.diff(values))) * np.sqrt(1 / width)
    if start - end < max(_LEAST_FALL * abs(start), noise):
        known = untrained is not None and start < _UNTRAINED_SHARE * untrained
        if known and end - start < _RISE_SUSPICIOUS * abs(start):
            advice = "Right for weights that were trained before; otherwise see one-batch overfit."
            return Finding("loss course", "suspicious", f"{detail}: nothing gained", advice)
        advice = "See learning rate and one-batch overfit; then raise optim.learning_rate."
        return Finding("loss course", "broken", f"{detail}: it never learnt", advice)
    last = float(values[-max(1, len(values) // 4) :].mean())
    risen = (last - best) / (start - best)
    if risen > _RISE_SUSPICIOUS:
        advice = "Lower optim.learning_rate, and begin from the checkpoint best.ckpt."
        told = f"{detail}: it rises again, by {100 * risen:.0f} % of what it had fallen"
        state = "broken" if risen > _RISE_BROKEN else "suspicious"
        return Finding("loss course", state, told, advice)  # type: ignore[arg-type]
    return Finding("loss course", "ok", detail)


def check_validation(steps: NDArray[Any], values: NDArray[Any], *, name: str) -> list[Finding]:
    """Judge the validation loss, where there is one: does it rise again?"""
    kept = np.isfinite(values)
    steps, values = steps[kept], values[kept]
    if len(values) < _LEAST_ROWS:
        return []
    best = int(values.argmin())
    fall = values[0] - values[best]
    risen = (values[-1] - values[best]) / max(fall, 1e-12)
    detail = f"{name} {values[-1]:.4g}, best {values[best]:.4g} at {int(steps[best])}"
    if risen > _RISE_SUSPICIOUS:
        advice = "The model learns its music by heart: use best.ckpt, more music or fewer steps."
        return [Finding("validation loss", "suspicious", f"{detail}: it rises again", advice)]
    return [Finding("validation loss", "ok", detail)]
