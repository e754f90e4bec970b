"""Results as JSON and as text."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from segue.core.statistics import Interval


def plain(value: Any) -> Any:
    """Return a value as JSON has it; numbers with six significant digits.

    Dataclasses become mappings, arrays lists; a number that is not finite becomes null.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def shown(interval: Interval, digits: int = 2) -> str:
    """Return an estimate and its interval as text."""
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"
