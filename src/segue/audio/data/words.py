"""Labels and captions of recordings: what they are, and how a cell of a table holds several.

A label is a name out of a list that a model learns (``piano``); a caption is a sentence about the music
(``solo piano, slow, in A minor``). In tables, several are joined by ``|``.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

SEPARATOR = "|"
WORD_COLUMNS = ("labels", "captions")


class Words(NamedTuple):
    """What is said of a recording.

    Attributes:
        labels: names, the most important first.
        captions: sentences, any of which describes it.
    """

    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    def __add__(self, other: object) -> Self:
        """Return both together, each word once."""
        if not isinstance(other, Words):
            return NotImplemented
        return self._replace(
            labels=unique([*self.labels, *other.labels]),
            captions=unique([*self.captions, *other.captions]),
        )

    def with_caption(self) -> Self:
        """Return the same, with a caption made of the labels where there is none."""
        if self.captions or not self.labels:
            return self
        return self._replace(captions=captions_of(self.labels))


def captions_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Return sentences made of labels: ``rock music``, and of several ``rock, folk music``."""
    some = list(labels)[:3]
    return unique(f"{', '.join(some[:count])} music" for count in (1, len(some)) if some)


def unique(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts without empty ones and repetitions, tidied so that a cell can hold them."""
    tidy = (" ".join(text.replace(SEPARATOR, "/").split()) for text in texts)
    return tuple(dict.fromkeys(text for text in tidy if text))


def join(texts: Iterable[str]) -> str:
    """Return texts as one cell."""
    return SEPARATOR.join(unique(texts))


def split(cell: str | None) -> tuple[str, ...]:
    """Return the texts of a cell."""
    return unique((cell or "").split(SEPARATOR))


def read_words(row: Mapping[str, str | None]) -> Words:
    """Return what a row of a list of recordings says; without the columns, its label alone."""
    return Words(
        unique([row.get("label") or "", *split(row.get("labels"))]), split(row.get("captions"))
    )
