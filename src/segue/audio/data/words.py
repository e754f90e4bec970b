"""Labels and captions of recordings: what they are, and how a cell of a table holds several.

A label is a name out of a list that a model learns (``piano``); a caption is a sentence about the music
(``solo piano, slow, in A minor``). In tables, several are joined by ``|``.

A file ``metadata.csv`` in a folder of music says more than the names of its sub-folders: it has a column
``path`` and any of ``labels``, ``captions``, ``artist`` and ``era``. An empty cell says nothing.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from segue.core.config import nearest
from segue.errors import DataError

SEPARATOR = "|"
WORD_COLUMNS = ("labels", "captions")
METADATA_FILE = "metadata.csv"
METADATA_COLUMNS = ("path", "labels", "captions", "artist", "era")


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

    def with_era(self, era: str) -> Self:
        """Return the same with an era as the last label, and in all captions but the first."""
        if not era:
            return self
        captions = self.captions or captions_of(self.labels)
        if not any(text.endswith(f", {era}") for text in captions):
            told = (f"{text}, {era}" for text in captions[1:] or captions)
            captions = (*captions[:1], *told)
        return self._replace(labels=unique([*self.labels, era]), captions=unique(captions))


class Metadata(NamedTuple):
    """What a row of ``metadata.csv`` says.

    Attributes:
        words: labels and captions.
        artist: whose recordings stay in one split.
        era: such as ``baroque``.
    """

    words: Words = Words()
    artist: str = ""
    era: str = ""

    def over(self, words: Words) -> Words:
        """Return words with what this row knows better: its labels replace them, captions are added."""
        labels = self.words.labels or words.labels
        return Words(labels, unique([*self.words.captions, *words.captions])).with_era(self.era)


def read_metadata(path: Path) -> dict[str, Metadata]:
    """Read a table of what is known of recordings.

    Returns:
        What is said of each path; nothing where there is no such file.

    Raises:
        DataError: it cannot be read, lacks the column ``path``, has a column that is not known, or
            names a path twice.
    """
    if not path.is_file():
        return {}
    found: dict[str, Metadata] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            _check_columns(path, reader.fieldnames or ())
            for row in reader:
                name = (row["path"] or "").strip().replace("\\", "/")
                if name in found:
                    raise DataError(f"{path} names {name} twice.")
                words = Words(split(row.get("labels")), split(row.get("captions")))
                artist, era = ((row.get(column) or "").strip() for column in ("artist", "era"))
                found[name] = Metadata(words, artist, era)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    return found


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    unknown = sorted(set(columns) - set(METADATA_COLUMNS))
    if unknown:
        guess = nearest(unknown[0], METADATA_COLUMNS)
        meant = f" Did you mean {guess}?" if guess else ""
        raise DataError(
            f"{path} has a column {unknown[0]!r}.{meant} It must have path and may have labels, "
            "captions, artist and era."
        )
    if "path" not in columns:
        raise DataError(f"{path} has no column path, which names the recording of a row.")


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
