"""What an examination found: one finding for each thing that was looked at, and what it comes to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from segue.errors import MissingExtraError, SegueError

State = Literal["ok", "suspicious", "broken", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        state: ``suspicious`` may have good reasons; ``broken`` has none.
        detail: the number, and what it was held against.
        advice: what to do; empty where nothing is to be done.
    """

    name: str
    state: State
    detail: str
    advice: str = ""


def first_broken(findings: Iterable[Finding]) -> Finding | None:
    """Return the first broken finding: what comes after it may be broken because of it."""
    return next((finding for finding in findings if finding.state == "broken"), None)


def verdict(findings: Sequence[Finding]) -> str:
    """Say in one sentence what findings, in the order of the work, come to, and what to do next.

    Example:
        >>> verdict([Finding("latents", "broken", "deviation 5", "Encode again.")])
        'Broken: latents (deviation 5). Encode again.'
    """
    broken = first_broken(findings)
    if broken is not None:
        return f"Broken: {broken.name} ({broken.detail}). {broken.advice}".strip()
    doubtful = [finding for finding in findings if finding.state == "suspicious"]
    if doubtful:
        names = ", ".join(finding.name for finding in doubtful)
        return f"Nothing is broken; look at: {names}. {doubtful[0].advice}".strip()
    left = [finding for finding in findings if finding.state == "not checked"]
    if left:
        names = ", ".join(finding.name for finding in left)
        return f"Nothing that was checked is broken; not checked: {names}."
    return "Nothing is broken."


def judged(value: float, *, suspicious: float, broken: float) -> State:
    """Grade a number by two limits; where `broken` is below `suspicious`, small numbers are bad."""
    sign = 1.0 if broken >= suspicious else -1.0
    if not sign * value <= sign * broken:
        return "broken"
    return "ok" if sign * value <= sign * suspicious else "suspicious"


def worst(states: Iterable[State]) -> State:
    """Return the worst of states that were judged."""
    given = set(states)
    order: tuple[State, ...] = ("broken", "suspicious", "ok")
    return next((state for state in order if state in given), "not checked")


def guarded(
    name: str, check: Callable[[], Sequence[Finding]], *, advice: str = ""
) -> list[Finding]:
    """Run one check; what it raises becomes its finding, so that no check hides the others.

    A missing extra, or a check that cannot be made, is ``not checked``; anything else is ``broken``.
    """
    try:
        return list(check())
    except (MissingExtraError, ImportError) as error:
        return [Finding(name, "not checked", _one_line(error), "pip install 'segue[train]'")]
    except (SegueError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        return [Finding(name, "broken", _one_line(error), advice)]


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, SegueError) else f"{type(error).__name__}: {text}"
