"""Prepare a corpus: find, split, decode, measure, judge; resumable at any moment.

See `segue.audio.data.cache` for the folder that is written.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from segue.audio.data.cache import (
    BYTES_PER_SAMPLE,
    CacheWriter,
    Entry,
    Recording,
    key_of,
    parts_path,
)
from segue.audio.data.scan import (
    SOUND_FILES,
    Header,
    Material,
    Opener,
    Source,
    find_files,
    read_headers,
)
from segue.audio.data.split import LEFT_OUT_SPLIT, GroupBy, Place, count_unknown, place_files
from segue.audio.decoding import quiet_decoders
from segue.audio.loudness import Measures, SignalMeter
from segue.core.config import StrictModel
from segue.core.pool import run_jobs
from segue.core.progress import Progress, silent
from segue.core.split import SPLITS, SplitSettings
from segue.errors import DataError
from segue.units import samples_to_seconds

CANNOT_READ, DAMAGED, CRASHED = "cannot be read", "damaged", "takes the decoder down"
NO_SOUND, TOO_SHORT, TOO_SILENT = "no sound", "too short", "too silent"
NOT_LISTED = "not in splits.csv"
BROKEN = (CANNOT_READ, DAMAGED, CRASHED, NO_SOUND)
"""Reasons that count as failures."""

_FULL_SCALE = 32_767
_SAMPLES_AT_ONCE = 1 << 20


class PrepareSettings(StrictModel):
    """How a corpus of sound is prepared."""

    rate_hz: int = Field(default=16_000, ge=4_000, le=192_000)
    """Samples a second."""
    channels: Literal[1, 2] = 1
    """1 for mono, 2 for stereo."""
    segment_seconds: float = Field(default=10, gt=0)
    """Length of the segments that `dataset.json` counts."""
    min_seconds: float = Field(default=5, ge=0)
    """Shorter recordings are left out; those shorter than a segment are padded when they are read."""
    max_silent_share: float = Field(default=0.5, ge=0, le=1)
    """Recordings with more silence than this are left out."""
    max_left_out_share: float = Field(default=0.1, ge=0, le=1)
    """Stop when more than this share of the files is broken (short or silent ones are not)."""
    limit: int | None = Field(default=None, ge=1)
    """Take the first so many files, in the order of their paths."""
    group_by: GroupBy = "auto"
    """What stays in one split: artist, folder, file; auto takes the first that is there."""
    split: SplitSettings = SplitSettings(valid_share=0.05, test_share=0.05)
    seed: int = Field(default=0, ge=0)
    """Draws the split."""


@dataclass(frozen=True)
class _Job:
    """A file to decode, and where its samples go."""

    open: Opener
    file: Path
    part: Path
    settings: PrepareSettings


@dataclass(frozen=True)
class _Decoded:
    """What became of a file: why it is left out, or what was measured."""

    reason: str = ""
    detail: str = ""
    measures: Measures | None = None
    sha256: str = ""


@dataclass(frozen=True)
class _File:
    """A file of the corpus: what decides its samples, where they belong, how they are made."""

    key: str
    place: Place
    job: _Job


def prepare(
    folders: Sequence[Path | str],
    output: Path | str,
    settings: PrepareSettings | None = None,
    *,
    others: Sequence[tuple[Path | str, Material]] = (),
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Decode the sound files of some folders into one prepared folder.

    Run again after an interruption, or on folders that have changed, it decodes only what is missing.

    Args:
        folders: where the sound files are; the names of their sub-folders are labels.
        output: the folder to write: new, empty, or one that was prepared with the same settings.
        settings: rate, channels, what to keep and how to split.
        others: folders of files that are no sound yet, with what makes sound of them.
        workers: processes; as many as cores by default, 0 works in this process.
        progress: who listens.

    Returns:
        The contents of ``dataset.json``.

    Raises:
        DataError: there is no music, too much of it is broken, or `output` cannot be used.

    Example:
        >>> dataset = prepare(["my-music"], "prepared")  # doctest: +SKIP
        >>> dataset["splits"]["train"]["hours"]  # doctest: +SKIP
        31.4
    """
    settings = settings or PrepareSettings()
    workers = _num_cores() if workers is None else workers
    materials = [SOUND_FILES, *(material for _, material in others)]
    roots = [(Path(folder), 0) for folder in folders]
    roots += [(Path(folder), number) for number, (folder, _) in enumerate(others, start=1)]
    sources = find_files(roots, materials, limit=settings.limit)
    headers = read_headers(sources, materials, workers=workers, progress=progress)
    files = _plan(sources, materials, headers, Path(output), settings)
    with _open_cache(files, Path(output), settings) as cache:
        try:
            _decode_all(cache, files, settings, workers=workers, progress=progress)
        except OSError as error:  # of a worker; what is wrong with a source is no error
            raise cache.cannot_write(error) from error
        cache.write_left_out()
        _check(cache, settings, Path(output), num_files=len(files))
        unknown = count_unknown(sources)
        more = {"unknown_metadata": unknown} if unknown else {}
        return cache.finish(_describe(cache, settings) | more)


def _num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plan(
    sources: Sequence[Source],
    materials: Sequence[Material],
    headers: Sequence[Header],
    output: Path,
    settings: PrepareSettings,
) -> list[_File]:
    """Decide where every file goes."""
    places = place_files(
        sources,
        headers,
        settings.split,
        group_by=settings.group_by,
        min_seconds=settings.min_seconds,
        seed=settings.seed,
    )
    files = []
    for number, (source, place) in enumerate(zip(sources, places, strict=True)):
        material = materials[source.material]
        identity = os.fsencode(source.file).hex(), source.size, source.modified_ns
        part = parts_path(output) / f"{number}.i16"
        job = _Job(material.open, source.file, part, settings)
        files.append(_File(key_of(material.name, *identity), place, job))
    return files


def _open_cache(files: Sequence[_File], output: Path, settings: PrepareSettings) -> CacheWriter:
    """Begin the folder, or take up what an earlier run left."""
    shaping = settings.model_dump(
        mode="json", include={"rate_hz", "channels", "min_seconds", "max_silent_share"}
    )
    return CacheWriter(
        output,
        key_of(shaping),
        channels=settings.channels,
        wanted={(file.key, file.place.split): file.place for file in files},
        retried=(CANNOT_READ, CRASHED),
    )


def _decode_all(
    cache: CacheWriter,
    files: Sequence[_File],
    settings: PrepareSettings,
    *,
    workers: int,
    progress: Progress,
) -> None:
    """Decode the files that the cache does not have yet; stop where too many are broken."""
    done = {(entry.source, entry.split) for entry in cache.entries}
    todo = [file for file in files if (file.key, file.place.split) not in done]
    jobs = [file.job for file in todo if file.place.split != LEFT_OUT_SPLIT]
    decoded = run_jobs(_decode, jobs, workers=workers, on_crash=_crashed)
    broken = sum(entry.reason in BROKEN for entry in cache.entries)
    with progress("decoding", total=len(files)) as advance:
        advance(len(files) - len(todo))
        for file in todo:
            listed = file.place.split != LEFT_OUT_SPLIT
            result = next(decoded) if listed else _Decoded(NOT_LISTED)
            cache.add(_entry(file, result), file.job.part)
            advance()
            broken += result.reason in BROKEN
            if broken > settings.max_left_out_share * len(files):
                return


def _entry(file: _File, result: _Decoded) -> Entry:
    """Return what the cache keeps of a file."""
    place, measures = file.place, result.measures
    recording = measures and Recording(
        name=place.name,
        label=place.label,
        group=place.group,
        offset_samples=0,
        num_samples=measures.num_samples,
        loudness_lufs=round(measures.loudness_lufs, 3),
        peak_dbfs=round(measures.peak_dbfs, 3),
        silent_share=round(measures.silent_share, 5),
        sha256=result.sha256,
        clipped_share=round(measures.clipped_share, 7),
        labels=place.labels,
        captions=place.captions,
    )
    return Entry(file.key, place.split, place.name, result.reason, result.detail, recording)


# In a worker ------------------------------------------------------------------------------------


def _decode(job: _Job) -> _Decoded:
    """Decode one file; whatever is wrong with it is a result, a full disk is not."""
    with quiet_decoders():
        return _decode_file(job)


def _crashed(_: _Job) -> _Decoded:
    return _Decoded(CRASHED)


def _decode_file(job: _Job) -> _Decoded:
    settings = job.settings
    meter = SignalMeter(settings.rate_hz, settings.channels)
    floats = job.part.with_suffix(".f32")
    reason = CANNOT_READ
    try:
        with job.open(job.file, settings.rate_hz, settings.channels) as sound:
            reason = DAMAGED
            with floats.open("wb") as stream:
                for block in sound:
                    meter.add(block)
                    stream.write(np.ascontiguousarray(block.T, "<f4").tobytes())
    except DataError as error:
        floats.unlink(missing_ok=True)
        return _Decoded(reason, str(error))
    peak = meter.result().peak
    # A lossy codec overshoots: such a recording is turned down as a whole instead of cut off.
    gain = 1 / peak if peak > 1 else 1.0
    measures = meter.result(gain)
    if reason := _judge(measures, settings):
        floats.unlink()
        return _Decoded(reason)
    sha256 = _to_int16(floats, job.part, gain)
    floats.unlink()
    return _Decoded(measures=measures, sha256=sha256)


def _judge(measures: Measures, settings: PrepareSettings) -> str:
    """Return why a recording is left out, or nothing."""
    if not measures.num_samples:
        return NO_SOUND
    seconds = samples_to_seconds(measures.num_samples, rate_hz=settings.rate_hz)
    if seconds < settings.min_seconds:
        return TOO_SHORT
    return TOO_SILENT if measures.silent_share > settings.max_silent_share else ""


def _to_int16(floats: Path, target: Path, gain: float) -> str:
    """Write samples as 16-bit integers (rounded, no dither); return their SHA-256."""
    digest = hashlib.sha256()
    with floats.open("rb") as source, target.open("wb") as stream:
        while body := source.read(4 * _SAMPLES_AT_ONCE):
            scaled = np.frombuffer(body, "<f4") * np.float32(gain * _FULL_SCALE)
            samples = np.rint(scaled).clip(-_FULL_SCALE, _FULL_SCALE).astype("<i2").tobytes()
            digest.update(samples)
            stream.write(samples)
    return digest.hexdigest()


# The result -------------------------------------------------------------------------------------


def _check(cache: CacheWriter, settings: PrepareSettings, output: Path, *, num_files: int) -> None:
    """Stop where too many files are broken, or nothing is left to learn from."""
    reasons = Counter(entry.reason for entry in cache.entries if entry.reason)
    broken = sum(reasons[reason] for reason in BROKEN)
    most = settings.max_left_out_share
    common = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(4))
    if broken > most * num_files:
        raise DataError(
            f"{broken} of {len(cache.entries)} files are broken ({common}), more than the allowed "
            f"share of {most:g} of {num_files}. Look at {output / 'left_out.csv'}; if all is as it should be, raise "
            "max_left_out_share and run the same command again."
        )
    if not cache.rows("train"):
        raise DataError(
            f"No recording is left to learn from ({common or 'all are kept back'}). Look at "
            f"{output / 'left_out.csv'}, and give more music or other settings."
        )


def _describe(cache: CacheWriter, settings: PrepareSettings) -> dict[str, Any]:
    """Return the contents of ``dataset.json``."""
    rows = {split: cache.rows(split) for split in SPLITS}
    labels = {label for some in rows.values() for row in some for label in row.labels}
    reasons = Counter(entry.reason for entry in cache.entries if entry.reason)
    return {
        "rate_hz": settings.rate_hz,
        "channels": settings.channels,
        "bytes_per_sample": BYTES_PER_SAMPLE,
        "labels": sorted(labels),
        "splits": {split: _summary(some, settings) for split, some in rows.items()},
        "left_out": dict(reasons.most_common()),
        "settings": settings.model_dump(mode="json"),
    }


def _summary(rows: Sequence[Recording], settings: PrepareSettings) -> dict[str, Any]:
    """Return the numbers of a split."""
    segment = max(1, round(settings.segment_seconds * settings.rate_hz))
    samples = sum(row.num_samples for row in rows)
    return {
        "recordings": len(rows),
        "samples": samples,
        "hours": round(samples_to_seconds(samples, rate_hz=settings.rate_hz) / 3600, 4),
        "segments": sum(-(-row.num_samples // segment) for row in rows),
        "groups": len({row.group for row in rows}),
        "labels": dict(Counter(label for row in rows for label in row.labels).most_common()),
    }
