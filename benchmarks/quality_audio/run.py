"""How close are folders of generated sound to real music? Kernel and Fréchet distance on musicnn.

    python benchmarks/quality_audio/run.py --reference MUSIC... [--bundle NAME] [GENERATED...]

From each real recording up to `--per-recording` clips are cut, evenly spread; of generated files the
first clip is taken. With a bundle, the reference after its autoencoder alone is measured as well (the
ceiling), and with `--generate N` as many clips are written with it and judged. Needs the wheel of
musicnn 0.1.0 (SEGUE_MUSICNN_WHEEL). Each collection appends a line to results.jsonl.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segue.audio.evaluate.distances import frechet_infinity, frechet_interval
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.musicnn import MusicnnEmbedding
from segue.audio.evaluate.quality import Judge
from segue.audio.evaluate.reconstruction import Audio
from segue.audio.recording import Recording, generate
from segue.audio.signal import read_audio
from segue.core.seeds import generator
from segue.core.statistics import Interval

FOLDER = Path(__file__).parent
ENDINGS = {".flac", ".mp3", ".ogg", ".opus", ".wav"}
RATE_HZ = 16_000


def main() -> None:
    """Judge what the command line names."""
    parser = argparse.ArgumentParser(description="How close is generated sound to real music?")
    parser.add_argument("generated", nargs="*", type=Path, help="folders of generated files")
    parser.add_argument("--reference", nargs="+", type=Path, required=True)
    parser.add_argument("--bundle", help="for the ceiling, and for --generate")
    parser.add_argument("--generate", type=int, default=0, metavar="N")
    parser.add_argument("--steps", type=int, nargs="*", default=[], help="sampler steps to try")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--per-recording", type=int, default=2)
    parser.add_argument("--layer", choices=("penultimate", "mean_pool"), default="penultimate")
    options = parser.parse_args()
    length = round(options.seconds * RATE_HZ)
    cut = [pair for folder in options.reference for pair in clips_of(folder, length, options)]
    groups, clips = [name for name, _ in cut], [clip for _, clip in cut]
    judge = Judge(clips, groups=groups, embedding=MusicnnEmbedding(layer=options.layer))
    for name, points in collections(judge, clips, groups, options):
        record(name, judge, points, options)


def clips_of(folder: Path, length: int, options: argparse.Namespace) -> Iterator[tuple[str, Audio]]:
    """Give the recording and the audio of each clip of a folder; silent ones are left out."""
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS):
        audio = read_audio(path, RATE_HZ)
        count = min(options.per_recording, audio.shape[1] // length)
        for start in np.linspace(0, audio.shape[1] - length, count + 2)[1:-1].astype(int):
            clip = audio[:, start : start + length]
            if np.sqrt(np.mean(clip**2)) > 1e-3:
                yield path.relative_to(folder.parent).as_posix(), clip


def collections(
    judge: Judge, clips: list[Audio], groups: list[str], options: argparse.Namespace
) -> Iterator[tuple[str, EmbeddedClips]]:
    """Give every collection to be judged by name."""
    if options.bundle:
        heard = [
            Recording.of(clip, RATE_HZ).reconstruct(bundle=options.bundle).samples for clip in clips
        ]
        yield f"{options.bundle}, codec alone", judge.embed(heard, groups=groups)
    for steps in options.steps or [None] if options.generate else []:
        chosen = {} if steps is None else {"steps": steps}
        made = [
            generate(options.seconds, bundle=options.bundle, seed=seed, **chosen).samples
            for seed in range(options.generate)
        ]
        yield f"{options.bundle}, {steps or 'default'} steps", judge.embed(made)
    for folder in options.generated:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
        length = round(options.seconds * RATE_HZ)
        yield folder.name, judge.embed([read_audio(path, RATE_HZ)[:, :length] for path in paths])


def record(name: str, judge: Judge, points: EmbeddedClips, options: argparse.Namespace) -> None:
    """Measure a collection, print it and append it to results.jsonl."""
    report = judge.report(points)
    print(f"{name}: {report}", flush=True)
    infinity = frechet_infinity(judge.real, points, generator(0, "infinity"))
    row: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "collection": name,
        "reference": [folder.name for folder in options.reference],
        "embedding": report.embedding,
        "n": report.num_generated,
        "n_silent": report.num_silent,
        "n_reference": report.num_reference,
        "recordings_reference": len(judge.real.names),
        "kernel_distance": numbers(report.distance),
        "floor": [round(report.floor.mean, 3), round(report.floor.high, 3)],
        "bandwidth": round(report.bandwidth, 4),
        "frechet": numbers(frechet_interval(judge.real, points, generator(0, "frechet"))),
        "frechet_infinity": [round(infinity.value, 3), round(infinity.r2, 3)],
    }
    with (FOLDER / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def numbers(interval: Interval) -> list[float]:
    """Return the mean and both ends."""
    return [round(value, 3) for value in (interval.mean, interval.low, interval.high)]


def commit() -> str:
    """Return the commit that is measured."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        words, cwd=FOLDER, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
