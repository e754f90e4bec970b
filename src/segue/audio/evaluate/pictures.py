"""Pictures of an evaluation that need more than its numbers: maps of latents, curves of training."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.evaluation import AudioEvaluation
from segue.audio.evaluate.latent_map import latent_map_pictures, latent_maps
from segue.audio.evaluate.plan import CODEC, REAL
from segue.core.maps import NEIGHBOURS
from segue.errors import DataError
from segue.plots.collection import png_bytes
from segue.plots.curves import loss_curve
from segue.training.table import read_rows

Picture = tuple[str, bytes, str]
"""Name, PNG and caption."""

_FEWEST = 4 * NEIGHBOURS
"""Clips that a map needs."""
_CURVES = ("val_loss", "loss")


def maps_of(evaluation: AudioEvaluation) -> list[Picture]:
    """Draw the latents of real clips by label, and those of real and written clips together.

    Args:
        evaluation: whose clips are still in its folder of work.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        SettingError: nearly all clips are of one recording.
    """
    plan = evaluation.plan
    real = plan.collections[CODEC].real
    latents = [clip.T for clip in plan.latents(CODEC)]
    labelled = [number for number, clip in enumerate(real) if clip.labels]
    pictures = []
    if len(labelled) >= _FEWEST:
        pictures += _maps(
            evaluation,
            [latents[number] for number in labelled],
            [real[number].labels[0] for number in labelled],
            "label",
            [real[number].name for number in labelled],
        )
    names = [REAL] * len(latents)
    groups = [clip.name for clip in real]
    for name in evaluation.sliced:
        written = [clip.T for clip in plan.latents(name)]
        latents, names = [*latents, *written], [*names, *[name] * len(written)]
        groups += [f"{name}/{number}" for number in range(len(written))]
    if len(latents) >= _FEWEST:
        pictures += _maps(evaluation, latents, names, "origin", groups)
    return pictures


def _maps(
    evaluation: AudioEvaluation,
    latents: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    coloured_by: str,
    groups: Sequence[str],
) -> list[Picture]:
    perplexity = min(30.0, (len(latents) - 1) / 3)
    maps = latent_maps(
        latents,
        labels,
        groups=groups,
        coloured_by=coloured_by,
        seed=evaluation.plan.settings.seed,
        perplexity=perplexity,
    )
    drawn = latent_map_pictures(maps)
    return [(f"{name}, by {coloured_by}", png, caption) for name, png, caption in drawn]


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
