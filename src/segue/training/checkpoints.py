"""Whether the checkpoints of a run can be read, and hold weights that are numbers."""

from pathlib import Path
from typing import Any

from segue.core.findings import Finding

_NAMES = ("last.ckpt", "best.ckpt")


def check_checkpoints(run: Path) -> list[Finding]:
    """Open the checkpoints of a run without running any code of theirs, and look at every weight.

    Args:
        run: the run folder.

    Returns:
        One finding about the files, and one about the weights where a file can be read.
    """
    paths = [run / "checkpoints" / name for name in _NAMES]
    present = [path for path in paths if path.is_file()]
    advice = "Let the run go on until its first checkpoint (trainer.save_every steps)."
    if not present:
        return [Finding("checkpoint", "broken", "there is none", advice)]
    opened: dict[str, dict[str, Any]] = {}
    for path in present:
        content = _read(path)
        if isinstance(content, str):
            cure = f"Delete {path.name}; the run then goes on from what is left, or starts anew."
            return [Finding("checkpoint", "broken", f"{path.name}: {content}", cure)]
        opened[path.name] = content
    steps = opened[present[0].name].get("global_step", "an unknown number of")
    detail = f"{', '.join(opened)} read; {steps} steps"
    return [Finding("checkpoint", "ok", detail), *map(_check_weights, *_parts(opened))]


def _parts(opened: dict[str, dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    return list(opened), [content["state_dict"] for content in opened.values()]


def _read(path: Path) -> dict[str, Any] | str:
    """Return what a checkpoint holds, or what is wrong with it."""
    from pickle import UnpicklingError

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        return f"damaged or cut off ({type(error).__name__}, {path.stat().st_size} bytes)"
    if not isinstance(content, dict) or not {"state_dict", "model_config"} <= content.keys():
        return "not written by a run of Segue"
    return content


def _check_weights(name: str, state: dict[str, Any]) -> Finding:
    """Look for weights that are not numbers."""
    import torch

    tensors = {key: value for key, value in state.items() if value.is_floating_point()}
    odd = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
    label = f"weights of {name}"
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        advice = (
            "These weights are lost. Use the other checkpoint or start again with a lower "
            "optim.learning_rate and trainer.nan_restores=10."
        )
        return Finding(label, "broken", f"not finite: {odd[0]}{more}", advice)
    count = sum(value.numel() for value in tensors.values())
    return Finding(label, "ok", f"{count:,} numbers, all finite")
