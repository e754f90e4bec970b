"""How long work tells how far it is, without knowing who listens.

A library function takes ``progress: Progress = silent`` and says::

    with progress("scanning", total=len(paths)) as advance:
        for path in paths:
            ...
            advance()

The command line passes one that draws a bar; a server can pass one that sends events.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Advance(Protocol):
    """Tells that some more of the work is done."""

    def __call__(self, count: float = 1) -> None:
        """Add `count` to what is done."""


class Progress(Protocol):
    """Opens one piece of work; the context closes it, also when it fails."""

    def __call__(
        self, label: str, *, total: float | None = None
    ) -> contextlib.AbstractContextManager[Advance]:
        """Begin a piece of work.

        Args:
            label: what is being done, as a person reads it ("scanning").
            total: how much `count` there will be in all; None where that is unknown.
        """


def _ignore(count: float = 1) -> None:
    """Take no notice."""


@contextlib.contextmanager
def silent(label: str, *, total: float | None = None) -> Iterator[Advance]:  # noqa: ARG001
    """Show nothing; the default of every function that takes a `Progress`."""
    yield _ignore


def track(
    items: Iterable[Item], label: str, *, total: float | None = None, progress: Progress = silent
) -> Iterator[Item]:
    """Go through `items`, telling after each that it is done.

    Args:
        items: anything to loop over.
        label: what is being done.
        total: number of items; asked of `items` where it is not given and known.
        progress: who listens.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(label, total=total) as advance:
        for item in items:
            yield item
            advance()
