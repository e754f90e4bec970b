"""Pictures of an evaluation that need more than its numbers: maps of latents, curves of training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segue.errors import DataError
from segue.plots.collection import png_bytes
from segue.plots.curves import loss_curve
from segue.training.table import read_rows

Picture = tuple[str, bytes, str]
"""Name, PNG and caption."""

_CURVES = ("val_loss", "loss")


def curve_of(run: Path) -> Picture:
    """Draw how the loss of a training run fell.

    Args:
        run: the run folder.

    Raises:
        DataError: it holds no table of metrics, or one without a loss.
    """
    rows = read_rows(run / "metrics.csv")
    for name in _CURVES:
        found = list(_points(rows, name))
        if found:
            shown = list(_points(rows, "loss")) + (found if name != "loss" else [])
            figure = loss_curve(
                [row | {"name": "loss"} for row in shown], title=run.name, y_label="loss"
            )
            caption = "Training and validation loss by step; the best validation is named."
            return f"loss of {run.name}", png_bytes(figure), caption
    raise DataError(f"{run} has no losses in its metrics.csv. Name the folder of a training run.")


def _points(rows: list[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        if name in row:
            yield {"step": row["step"], "split": row["split"], "value": row[name]}
