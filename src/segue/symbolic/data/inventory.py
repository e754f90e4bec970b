"""Read every file of a corpus once: in chunks, on all cores, kept on disk for later runs."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.files import atomic_path
from segue.core.pool import Runner, run_jobs
from segue.core.progress import Progress, silent
from segue.symbolic.data.duplicates import Hashes, Sketches
from segue.symbolic.data.scan import CRASHED, Scanned, ScanSettings, Source, scan_file

_FORMAT = 1
_FILES_PER_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Inventory:
    """What the files of a corpus hold.

    Attributes:
        sources: the files.
        scanned: what each holds, without its sketch.
        sketches: their phrase sketches, memory-mapped; empty for files that are left out.
    """

    sources: list[Source]
    scanned: list[Scanned]
    sketches: Sketches


@dataclass(frozen=True)
class _Chunk:
    """A job: some files, and where the result goes (`target` with two endings)."""

    folders: tuple[str, ...]
    sources: tuple[Source, ...]
    settings: ScanSettings
    phrases: int
    target: str

    def key(self) -> str:
        """Return a hash of everything that decides the result."""
        files = [asdict(source) for source in self.sources]
        return key_of(_FORMAT, self.settings.model_dump(), self.phrases, files)


def take_inventory(
    folders: Sequence[Path],
    sources: Sequence[Source],
    settings: ScanSettings,
    stage: Path,
    *,
    phrases: int,
    run: Runner | None = None,
    progress: Progress = silent,
) -> Inventory:
    """Read every file, or take up what an earlier run found in it.

    Args:
        folders: the folders that `sources` are numbered by.
        sources: the files.
        settings: what to leave out.
        stage: folder for the results.
        phrases: size of the sketches.
        run: who does the work; this process where None.
        progress: who listens.
    """
    run = run or partial(run_jobs, workers=0)
    chunks = [
        _Chunk(
            tuple(str(folder) for folder in folders),
            tuple(sources[start : start + _FILES_PER_CHUNK]),
            settings,
            phrases,
            str(stage / f"scan-{start // _FILES_PER_CHUNK:05d}"),
        )
        for start in range(0, len(sources), _FILES_PER_CHUNK)
    ]
    with progress("reading", total=len(sources)) as advance:
        for count in run(_scan_chunk, chunks, on_crash=_scan_one_by_one):
            advance(count)
    scanned: list[Scanned] = []
    sizes: list[int] = []
    path = stage / "sketches.u64"
    with (
        progress("collecting", total=len(sources)) as advance,
        atomic_path(path) as temporary,
        temporary.open("wb") as stream,
    ):
        for chunk in chunks:
            found, hashes, counts = _load(chunk)
            scanned += found
            sizes += counts
            stream.write(hashes.tobytes())
            advance(len(found))
    hashes = np.memmap(path, np.uint64, "r") if sum(sizes) else np.zeros(0, np.uint64)
    offsets = np.cumsum([0, *sizes], dtype=np.int64)
    return Inventory(list(sources), scanned, Sketches(hashes, offsets, phrases))


def _scan_chunk(chunk: _Chunk) -> int:
    """Read the files of a chunk unless that is done; return their number."""
    if not _is_done(chunk):
        _save(chunk, [_scan(single) for single in _singles(chunk)])
    return len(chunk.sources)


def _scan_one_by_one(chunk: _Chunk) -> int:
    """Read the files of a chunk in which one takes the process down."""

    def crashed(_: _Chunk) -> Scanned:
        return Scanned(reason=CRASHED)

    _save(chunk, list(run_jobs(_scan, _singles(chunk), workers=1, on_crash=crashed)))
    return len(chunk.sources)


def _singles(chunk: _Chunk) -> list[_Chunk]:
    """Return the files of a chunk as chunks of one file."""
    return [replace(chunk, sources=(source,)) for source in chunk.sources]


def _scan(chunk: _Chunk) -> Scanned:
    (source,) = chunk.sources
    path = Path(chunk.folders[source.folder], source.path)
    return scan_file(path, chunk.settings, sketch_size=chunk.phrases)


def _is_done(chunk: _Chunk) -> bool:
    """Say whether the results of a chunk are on disk."""
    try:
        with Path(f"{chunk.target}.jsonl").open(encoding="utf-8") as lines:
            return json.loads(next(lines)) == {"key": chunk.key()}
    except (OSError, ValueError, StopIteration):
        return False


def _save(chunk: _Chunk, found: Sequence[Scanned]) -> None:
    """Write the results of a chunk; the file that counts comes last."""
    sketches = [np.zeros(0, np.uint64) if one.sketch is None else one.sketch for one in found]
    with atomic_path(f"{chunk.target}.npy") as temporary:
        np.save(temporary, np.concatenate(sketches), allow_pickle=False)
    lines: list[dict[str, Any]] = [{"key": chunk.key()}]
    for one, hashes in zip(found, sketches, strict=True):
        fields = {name: value for name, value in vars(one).items() if name != "sketch"}
        lines.append({**fields, "phrases": len(hashes)})
    write_lines(Path(f"{chunk.target}.jsonl"), lines)


def _load(chunk: _Chunk) -> tuple[list[Scanned], Hashes, list[int]]:
    """Return what the files of a chunk hold, their sketches end to end, and the sizes of these."""
    lines = list(read_lines(Path(f"{chunk.target}.jsonl")))[1:]
    counts = [line.pop("phrases") for line in lines]
    hashes: Hashes = np.load(f"{chunk.target}.npy", allow_pickle=False)
    return [Scanned(**line) for line in lines], hashes, counts


# Lines of JSON ----------------------------------------------------------------------------------


def key_of(*content: Any) -> str:
    """Return a hash of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write a file of JSON lines, whole or not at all; paths need not be valid Unicode."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps(line) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give the lines of a file of JSON lines."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)
