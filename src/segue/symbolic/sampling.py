"""From logits to tokens: temperature, top-k, top-p, masks and seeds, one row at a time.

Every row has its own random stream and is treated alone, so candidate 2 of four is what candidate 2
of two would have been. One random number is drawn per token that had a choice.

Source of top-p: Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.core.config import StrictModel, load
from segue.core.seeds import generator
from segue.errors import BundleError

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class SamplingSettings(StrictModel):
    """How a token is drawn. Build it with `sampling_settings` where the values come from a user."""

    temperature: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Logits are divided by it; 0 takes the most likely token."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Draw from this many most likely tokens (more where the last ones are equally likely)."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Draw from the fewest tokens whose probabilities add up to this."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Same seed, same tokens."""


class Choice(NamedTuple):
    """Drawn tokens and their log-probabilities. Both of shape ``rows``."""

    tokens: Ids
    log_probs: Floats


def sampling_settings(**values: Any) -> SamplingSettings:
    """Return settings from a user's values.

    Raises:
        SettingError: an unknown name or a value out of range; one message for all of them.

    Example:
        >>> sampling_settings(temperature=0.9, top_p=0.95).top_p
        0.95
    """
    return load(SamplingSettings, values, origin="the sampling settings")


def generators(settings: SamplingSettings, count: int) -> list[np.random.Generator]:
    """Return one random stream per candidate; the first ones do not depend on `count`."""
    return [generator(settings.seed, "candidate", number) for number in range(count)]


def distribution(
    logits: NDArray[np.floating[Any]], mask: NDArray[np.bool_], settings: SamplingSettings
) -> Floats:
    """Return the probabilities that tokens are drawn with.

    Temperature comes first, then top-k, then top-p; what is cut off is shared out among the rest.

    Args:
        logits: finite. Shape ``vocab``.
        mask: which tokens may be drawn, one at least. Shape ``vocab``.
        settings: temperature, top-k and top-p.

    Returns:
        Shape ``vocab``; zero where the mask forbids. Sums to one.

    Raises:
        BundleError: a logit is not a number.
        ValueError: the mask forbids everything.
    """
    legal = np.flatnonzero(mask)
    result = np.zeros(len(mask))
    result[legal] = _truncated(_values(logits, legal), settings)
    return result


def choose(
    logits: NDArray[np.floating[Any]],
    masks: NDArray[np.bool_],
    settings: SamplingSettings,
    generators: Sequence[np.random.Generator],
) -> Choice:
    """Draw one token per row.

    Args:
        logits: finite. Shape ``rows vocab``.
        masks: which tokens may be drawn, one at least per row. Shape ``rows vocab``.
        settings: temperature, top-k and top-p.
        generators: the random stream of each row; a row without a choice draws nothing from it.

    Returns:
        Tokens, and their log-probabilities under the masked distribution *before* temperature,
        top-k and top-p: what candidates are ranked by. A forced token has log-probability 0.

    Raises:
        BundleError: a logit is not a number.
        ValueError: a mask forbids everything.
    """
    tokens = np.zeros(len(masks), np.int64)
    log_probs = np.zeros(len(masks))
    for row, (mask, random) in enumerate(zip(masks, generators, strict=True)):
        legal = np.flatnonzero(mask)
        values = _values(logits[row], legal)
        place = _draw(values, settings, random)
        tokens[row] = legal[place]
        log_probs[row] = values[place] - _log_sum(values) if len(legal) > 1 else 0.0
    return Choice(tokens, log_probs)


def _values(logits: NDArray[np.floating[Any]], legal: NDArray[np.intp]) -> Floats:
    """Return the logits of the legal tokens, checked."""
    if not len(legal):
        raise ValueError("The mask forbids every token.")
    values = logits[legal].astype(np.float64)
    if not np.isfinite(values).all():
        raise BundleError(
            "The model answered with numbers that are not finite, so it cannot be used. Check the "
            "bundle with `segue models verify`."
        )
    return values


def _log_sum(values: Floats) -> float:
    """Return the logarithm of the sum of exponentials."""
    highest = values.max()
    return float(highest + np.log(np.exp(values - highest).sum()))


def _draw(values: Floats, settings: SamplingSettings, random: np.random.Generator) -> int:
    """Return the place of one of the values."""
    if len(values) == 1:
        return 0
    if settings.temperature == 0:
        return int(values.argmax())
    sums = _truncated(values, settings).cumsum()
    place = int(sums.searchsorted(random.random() * sums[-1], side="right"))
    return min(place, int(sums.searchsorted(sums[-1])))


def _truncated(values: Floats, settings: SamplingSettings) -> Floats:
    """Return probabilities after temperature, top-k and top-p."""
    if settings.temperature == 0:
        greedy = np.zeros(len(values))
        greedy[values.argmax()] = 1
        return greedy
    with np.errstate(over="ignore"):  # A temperature next to zero leaves the likeliest alone.
        chances = np.exp((values - values.max()) / settings.temperature)
    if settings.top_k is not None and settings.top_k < len(chances):
        least = np.partition(chances, -settings.top_k)[-settings.top_k]
        chances[chances < least] = 0
    chances /= chances.sum()
    if settings.top_p < 1:
        order = np.argsort(-chances, kind="stable")
        before = np.concatenate([[0], chances[order].cumsum()[:-1]])
        chances[order[before >= settings.top_p]] = 0
        chances /= chances.sum()
    return chances
