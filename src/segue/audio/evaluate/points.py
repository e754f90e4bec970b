"""Points of collections: every clip embedded once, a few clips a process, and kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.collections import (
    CLIPS_PER_UNIT,
    ClipSettings,
    Collection,
    clip_folder,
    clip_paths,
)
from segue.audio.evaluate.embedding import TARGET_LUFS, EmbeddedClips, Embedding, embed_clips
from segue.audio.evaluate.embeddings import open_embedding
from segue.audio.signal import read_audio
from segue.core.files import atomic_path, safe_name, sha256_of
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent


@dataclass(frozen=True)
class CollectionPoints(EmbeddedClips):
    """Points that also know which clip they are of.

    Attributes:
        numbers: of the clip of each point; empty for a part of a collection. Shape ``windows``.
    """

    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def by_clip(self, name: str = "clip") -> EmbeddedClips:
        """Return the points with every clip a group of its own, ``name/000012``."""
        groups = np.array([f"{name}/{number:06d}" for number in self.numbers])
        return EmbeddedClips(self.vectors, groups, self.num_clips, self.num_silent)

    def one_each(self) -> EmbeddedClips:
        """Return the points of the first clip of every recording.

        A mean over several clips lies nearer the middle than one clip does.
        """
        numbers, names = self.numbers, self.groups
        lowest = {str(name): numbers[names == name].min() for name in np.unique(names)}
        kept = np.array(
            [lowest[str(name)] == number for name, number in zip(names, numbers, strict=True)]
        )
        return EmbeddedClips(self.vectors[kept], names[kept], len(lowest))

    def first(self, count: int) -> EmbeddedClips:
        """Return the points of the first `count` clips, with their recordings."""
        kept = self.numbers < count
        return EmbeddedClips(self.vectors[kept], self.groups[kept], min(count, self.num_clips))


@dataclass(frozen=True)
class _Unit:
    """A few clips for one embedding."""

    embedding: str
    clips: tuple[str, ...]
    rate_hz: int
    path: str


def embed_collections(
    collections: Sequence[Collection],
    settings: ClipSettings,
    folder: Path,
    *,
    embedding: str,
    workers: int,
    progress: Progress = silent,
) -> dict[str, CollectionPoints]:
    """Return the points of collections by name; what was embedded before is read again.

    Args:
        collections: whose clips have been made.
        settings: of the clips.
        folder: where the clips lie; points are kept beside them.
        embedding: name of the embedding.
        workers: processes; 0 works in this one.
        progress: who listens.

    Raises:
        MissingExtraError: the embedding's weights or packages are not there.
        SettingError: there is no such embedding.
    """
    mark = embedding_mark(embedding)
    units = {each.name: _units(each, settings, folder, embedding, mark) for each in collections}
    missing = [u for part in units.values() for u in part if not Path(u.path).is_file()]
    total = sum(map(len, units.values()))
    with progress(f"embedding with {embedding}", total=total) as advance:
        advance(total - len(missing))
        if missing:
            open_embedding(embedding)  # a missing package is told of once, here
        for _ in run_jobs(_embed, missing, workers=workers):
            advance(1)
    return {each.name: _read(each, units[each.name]) for each in collections}


def groups_of(collection: Collection) -> list[str]:
    """Return the recording of every clip; clips made of nothing are one each.

    So are clips of held-out recordings: each is held against the training music for itself.
    """
    if collection.real and collection.kind != "generated" and not collection.single:
        return [clip.name for clip in collection.real[: collection.count]]
    return [f"{collection.name}/{number}" for number in range(collection.count)]


def embedding_mark(name: str) -> str:
    """Return a name and a hash of an embedding: other weights at the same place have another.

    Args:
        name: of an embedding; with ``:PATH`` the file, or every file of the folder, is read.
    """
    first, _, path = name.partition(":")
    whole = hashlib.sha256(f"{first} {TARGET_LUFS}".encode())
    place = Path(path)
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    for file in files if path else []:
        whole.update(f"{file.relative_to(place).as_posix()} {sha256_of(file)}\n".encode())
    return f"{safe_name(first)}-{whole.hexdigest()[:16]}"


def _units(
    collection: Collection, settings: ClipSettings, folder: Path, embedding: str, mark: str
) -> list[_Unit]:
    paths = clip_paths(collection, settings, folder)
    kept = clip_folder(collection, settings, folder)
    return [
        _Unit(
            embedding,
            tuple(map(str, paths[start : start + CLIPS_PER_UNIT])),
            settings.rate_hz,
            str(kept / f"{mark}-{start:05d}.npz"),
        )
        for start in range(0, len(paths), CLIPS_PER_UNIT)
    ]


def _embed(unit: _Unit) -> None:
    clips = [read_audio(path, None, None) for path in unit.clips]
    found = embed_clips(
        _embedding(unit.embedding),
        clips,
        rate_hz=unit.rate_hz,
        groups=[str(number) for number in range(len(clips))],
    )
    with atomic_path(Path(unit.path)) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            vectors=found.vectors.astype(np.float32),
            clips=found.groups.astype(np.int64),
            silent=np.int64(found.num_silent),
        )


def _read(collection: Collection, units: Sequence[_Unit]) -> CollectionPoints:
    names = np.array(groups_of(collection))
    vectors, numbers, num_silent = [], [], 0
    for number, unit in enumerate(units):
        with np.load(unit.path, allow_pickle=False) as stored:
            vectors.append(stored["vectors"].astype(np.float64))
            numbers.append(stored["clips"] + number * CLIPS_PER_UNIT)
            num_silent += int(stored["silent"])
    every = np.concatenate(numbers)
    return CollectionPoints(
        np.concatenate(vectors), names[every], collection.count, num_silent, every
    )


@lru_cache(maxsize=2)
def _embedding(name: str) -> Embedding:
    return open_embedding(name)
