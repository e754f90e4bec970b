"""The scale of the latents: what was stored with a run against the latents of its data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.checks.material import Array
from segue.audio.latents import LatentSpec
from segue.core.files import sha256_of
from segue.core.findings import Finding

MOST_MEAN: Final = 0.1
DEVIATIONS: Final = (0.8, 1.25)
"""Of a channel as the diffusion sees it; noise has mean 0 and deviation 1."""

_BROKEN_DEVIATIONS = (0.5, 2.0)
_BROKEN_MEAN = 1.0
_ERRORS = 4.0
_OUTLIER = 20.0
_FEW_CLIPS = 6
_LATENTS_FILE = "latents.json"

_CURE = (
    "Encode the prepared folder again with this autoencoder (delete the folder of latents) and train "
    "the diffusion model on that."
)


def check_statistics(
    rows: Sequence[Array],
    spec: LatentSpec,
    *,
    normalises: bool = True,
) -> Finding:
    """Hold stored means and deviations against latents of the data, channel by channel.

    Few clips tell a mean inexactly, so what four standard errors of it explain is let pass.

    Args:
        rows: latents of clips, not normalised, each ``[channels, frames]``.
        spec: as the diffusion model sees latents.
        normalises: whether the recipe brings latents to deviation 1; if not, that is told.
    """
    name = "latent statistics"
    if not all(np.isfinite(row).all() for row in rows):
        return Finding(name, "broken", "the latents of the data are not finite", _CURE)
    if rows[0].shape[0] != spec.channels:
        detail = f"the data has {rows[0].shape[0]} channels, the model {spec.channels}"
        return Finding(name, "broken", detail, _CURE)
    seen = [spec.normalise(row).astype(np.float64) for row in rows]
    joined = np.concatenate(seen, axis=1)
    mean, deviation = joined.mean(axis=1), joined.std(axis=1)
    error = _standard_errors([row.mean(axis=1) for row in seen])
    low, high = DEVIATIONS
    scale_error = _standard_errors([row.std(axis=1) for row in seen])
    off_mean = np.abs(mean) > MOST_MEAN + _ERRORS * error
    off_scale = (deviation < low - _ERRORS * scale_error) | (
        deviation > high + _ERRORS * scale_error
    )
    largest = float(np.abs(joined).max())
    middle = float(np.median(deviation))
    detail = (
        f"as the diffusion sees them: median deviation {middle:.2f} (channels {deviation.min():.2f} "
        f"to {deviation.max():.2f}; {low:g} to {high:g} is right), largest mean "
        f"{np.abs(mean).max():.2f}, outside {int((off_mean | off_scale).sum())} of {len(mean)} "
        f"channels, largest value {largest:.1f}, {joined.shape[1]} frames"
    )
    far = not _BROKEN_DEVIATIONS[0] <= middle <= _BROKEN_DEVIATIONS[1]
    if far and not normalises:
        advice = "Set batches.normalise=true: noise of deviation 1 drowns, or misses, such latents."
        return Finding(name, "suspicious", f"not normalised; {detail}", advice)
    if far or np.median(np.abs(mean)) > _BROKEN_MEAN:
        return Finding(name, "broken", detail, _CURE)
    if (off_mean | off_scale).any() or largest > _OUTLIER:
        advice = "Give the data that it was trained with; if this is it, " + _CURE[0].lower()
        return Finding(name, "suspicious", detail, advice + _CURE[1:])
    return Finding(name, "ok", detail)


def _standard_errors(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the standard error of a mean over clips; so few that it is a guess give infinity."""
    if len(values) < _FEW_CLIPS:
        return np.full(len(values[0]), np.inf)
    error: NDArray[np.float64] = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    return error


def check_encoder(info: Mapping[str, Any], found: str | None, *, name: str) -> Finding:
    """Compare the encoder that latents were made with and the one that is at hand.

    Args:
        info: contents of ``latents.json``.
        found: hash of the encoder at hand; None where it cannot be told.
        name: of that autoencoder.
    """
    known = info.get("autoencoder", {}).get("encoder_sha256")
    if known is None or found is None:
        detail = "the hash of the encoder is not known on both sides"
        return Finding("encoder", "not checked", detail)
    if known == found:
        return Finding("encoder", "ok", f"{name} is the one that the latents were made with")
    advice = (
        f"Name the autoencoder {info['autoencoder'].get('name')!r} with --autoencoder, or encode the "
        "data again with this one and train the diffusion model anew."
    )
    detail = f"{name} has the hash {found[:12]}, the latents were made with {known[:12]}"
    return Finding("encoder", "broken", detail, advice)


def check_kept_file(run: Path, starts: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """See that ``latents.json`` of a run is the one that it was trained with."""
    wanted = [start["inputs"].get(_LATENTS_FILE) for start in starts if start.get("inputs")]
    if not wanted or wanted[-1] is None:
        return []
    if sha256_of(run / _LATENTS_FILE) == wanted[-1]:
        return []
    advice = f"Copy {_LATENTS_FILE} from the folder of latents that the run was trained with."
    detail = f"{_LATENTS_FILE} was changed after the training"
    return [Finding("latent scale", "broken", detail, advice)]


def read_info(run: Path) -> dict[str, Any]:
    """Return what a diffusion run keeps about its latents."""
    info: dict[str, Any] = json.loads((run / _LATENTS_FILE).read_text("utf-8"))
    return info
