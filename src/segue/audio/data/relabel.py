"""Give the recordings of a prepared folder, or of a folder of latents, other labels and captions.

Only lists are written: no sound is decoded and nothing is encoded. Labels that a folder knows keep their
places, because the weights of a trained model go by them; new ones are added behind.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue.audio.data.cache import (
    DATASET,
    Recording,
    read_recordings,
    recordings_path,
    write_recordings,
)
from segue.audio.data.latent_cache import INFO, CachedRecording, read_cached, write_cached
from segue.audio.data.words import Metadata, Words, captions_of
from segue.core.files import sha256_of, write_text
from segue.core.split import SPLITS
from segue.errors import DataError

Row = Recording | CachedRecording


def relabel(
    folder: Path | str,
    *,
    metadata: Mapping[str, Metadata] | None = None,
    scores: Mapping[str, Words] | None = None,
) -> dict[str, Any]:
    """Write labels and captions anew.

    A recording that `metadata` names gets its labels; one that `scores` names keeps its first label and
    gets those of the score behind it, and its captions; one that neither names keeps its labels. Who has
    labels and no captions gets some that are made of the labels.

    Args:
        folder: as ``segue audio prepare`` or the encoding of latents wrote it.
        metadata: what is known of recordings, by name, or by name without its first folder.
        scores: what follows from the notes of recordings that were rendered, by the same names.

    Returns:
        ``recordings``, ``changed``, ``by metadata``, ``by scores``, ``labelled`` and ``captioned``
        (numbers of recordings), ``unknown`` (names that no recording has), ``labels`` (how many
        recordings have each).

    Raises:
        DataError: it is no such folder, or cannot be read.
    """
    folder = Path(folder)
    path, info = _read_info(folder)
    known = {"metadata": metadata or {}, "scores": scores or {}}
    used: dict[str, set[str]] = {kind: set() for kind in known}
    counts: Counter[str] = Counter()
    lists: dict[str, list[Row]] = {}
    for split in SPLITS:
        if recordings_path(folder, split).is_file():
            old = _read_rows(folder, split, path.name)
            lists[split] = [_relabelled(row, known, used, counts) for row in old]
            counts["changed"] += sum(a != b for a, b in zip(old, lists[split], strict=True))
    rows = [row for some in lists.values() for row in some]
    labels = Counter(label for row in rows for label in row.labels)
    # The list of labels first: what is killed between two files must not leave a label without a place.
    _write_info(path, info, labels, lists)
    for split, some in lists.items():
        _write_rows(recordings_path(folder, split), some)
    return {
        "recordings": len(rows),
        "changed": counts["changed"],
        "by metadata": counts["metadata"],
        "by scores": counts["scores"],
        "labelled": sum(bool(row.labels) for row in rows),
        "captioned": sum(bool(row.captions) for row in rows),
        "unknown": sum(len(set(names) - used[kind]) for kind, names in known.items()),
        "labels": dict(labels.most_common()),
    }


def _read_info(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file that describes a folder, and its contents."""
    for name in (DATASET, INFO):
        path = folder / name
        if path.is_file():
            try:
                return path, dict(json.loads(path.read_text("utf-8")))
            except (OSError, ValueError) as error:
                raise DataError(f"{path} cannot be read: {error}.") from error
    raise DataError(
        f"{folder} is neither a prepared folder nor one of latents, or is not finished. Name one that "
        "`segue audio prepare` wrote, or the folder latents of a run."
    )


def _read_rows(folder: Path, split: str, kind: str) -> Sequence[Row]:
    path = recordings_path(folder, split)
    try:
        return read_recordings(path) if kind == DATASET else read_cached(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}).") from error


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    prepared = [row for row in rows if isinstance(row, Recording)]
    encoded = [row for row in rows if isinstance(row, CachedRecording)]
    if encoded:
        write_cached(path, encoded)
    elif prepared:
        write_recordings(path, prepared)


def _relabelled(
    row: Row,
    known: Mapping[str, Mapping[str, Any]],
    used: Mapping[str, set[str]],
    counts: Counter[str],
) -> Row:
    """Return a recording with what is known of it, and count where it came from."""
    found: dict[str, Any] = {}
    for kind, names in known.items():
        for name in (row.name, row.name.partition("/")[2]):
            if name in names and kind not in found:
                found[kind] = names[name]
                used[kind].add(name)
                counts[kind] += 1
    said: Metadata = found.get("metadata", Metadata())
    words = Words(row.labels[:1]) + found["scores"] if "scores" in found else _kept(row, said)
    words = said.over(words).with_caption()
    first = next(iter(words.labels), "")
    return row._replace(label=first, labels=words.labels, captions=words.captions)


def _kept(row: Row, said: Metadata) -> Words:
    """Return what a recording keeps: not captions that are given anew, or that its labels made."""
    stale = said.words.captions or row.captions == captions_of(row.labels)
    return Words(row.labels, () if stale else row.captions)


def _write_info(
    path: Path,
    info: dict[str, Any],
    labels: Counter[str],
    lists: Mapping[str, Sequence[Row]],
) -> None:
    """Write the labels into the file that describes a folder; of a prepared one, what it was made of."""
    old = list(info.get("labels", []))
    if path.name == DATASET:
        info.setdefault("identity", sha256_of(path))
        for split, rows in lists.items():
            counted = Counter(label for row in rows for label in row.labels)
            info["splits"][split]["labels"] = dict(counted.most_common())
    info["labels"] = old + sorted(set(labels) - set(old))
    write_text(path, json.dumps(info, indent=1) + "\n")
