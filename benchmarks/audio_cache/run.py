"""How many clips a second come from the prepared folder, and how many from the files themselves?

Every way gives the same clips: 10 seconds, mono, 16 kHz, the same files and places in the same order,
in turns within a repetition. A second is one in which this process had a processor; figures are medians
over the repetitions. Files and cache are in the page cache of the system.

    python benchmarks/audio_cache/run.py                   # 30-second MP3 and FLAC files made here
    python benchmarks/audio_cache/run.py FOLDER_OF_SOUND   # your own files
    python benchmarks/audio_cache/run.py --readme          # only write README.md again
"""

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import resample_poly

from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.audio.signal import mix, resample

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
PACKAGES = ("numpy", "scipy", "soundfile", "soxr")
RATE_HZ = 16_000
CLIP_SECONDS = 10

Clip = NDArray[np.float32]
Way = Callable[[Path, float], Clip]
"""Gives the clip of a file that begins at a share of what can be its beginning."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="sound files of 10 seconds or more")
    parser.add_argument("--name", default="the folder given", help="what the README calls it")
    parser.add_argument("--clips", type=int, default=40, help="clips of a repetition")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if options.readme:
        write_readme()
        return
    with tempfile.TemporaryDirectory() as scratch:
        if options.folder is not None:
            measure(options.name, options.folder, Path(scratch), options)
        else:
            for kind in ("mp3", "flac"):
                folder = make_music(Path(scratch) / kind, kind)
                name = f"{kind.upper()}, 30 s, 44.1 kHz stereo, made here"
                measure(name, folder, Path(scratch), options)
    write_readme()


def make_music(folder: Path, kind: str, *, count: int = 20, seconds: int = 30) -> Path:
    """Write files of plucked chords in noise."""
    folder.mkdir()
    rate_hz = 44_100
    for number in range(count):
        rng = np.random.default_rng(number)
        frames = 0.01 * rng.standard_normal((seconds * rate_hz, 2))
        for onset in np.sort(rng.uniform(0, seconds - 1, 4 * seconds)):
            time_s = np.arange(rate_hz) / rate_hz
            hz = 55 * 2 ** (rng.integers(12, 60) / 12)
            note = np.exp(-5 * time_s) * np.sin(2 * np.pi * hz * time_s)
            at = int(onset * rate_hz)
            frames[at : at + rate_hz] += 0.1 * note[:, None] * rng.uniform(0.3, 1, 2)
        soundfile.write(folder / f"{number:03d}.{kind}", np.clip(frames, -1, 1), rate_hz)
    return folder


# The ways ---------------------------------------------------------------------------------------


def cut(audio: NDArray[Any], place: float, length: int) -> Clip:
    """Return a clip, zeros after the end."""
    start = int(place * max(0, len(audio) - length))
    clip = np.zeros(length, np.float32)
    part = audio[start : start + length]
    clip[: len(part)] = part
    return clip


def whole_with_fresh_filter(path: Path, place: float) -> Clip:
    """Decode all, mean of the channels, design a filter, resample all, cut: the original's way."""
    frames, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    divisor = math.gcd(rate_hz, RATE_HZ)
    mono = resample_poly(mix(frames, 1)[:, 0], RATE_HZ // divisor, rate_hz // divisor)
    return cut(mono, place, CLIP_SECONDS * RATE_HZ)


def whole_with_fresh_soxr(path: Path, place: float) -> Clip:
    """The same with the resampler that Segue uses, made anew."""
    frames, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(mix(frames, 1)[:, 0], rate_hz, RATE_HZ)
    return cut(mono, place, CLIP_SECONDS * RATE_HZ)


def only_the_clip(path: Path, place: float) -> Clip:
    """Jump to the clip, decode no more than it, resample with a filter made once."""
    with soundfile.SoundFile(path) as file:
        length = CLIP_SECONDS * file.samplerate
        file.seek(int(place * max(0, file.frames - length)))
        frames = file.read(length, dtype="float32", always_2d=True)
        return cut(
            resample(mix(frames, 1).T, file.samplerate, RATE_HZ)[0], 0, CLIP_SECONDS * RATE_HZ
        )


def from_the_cache(folder: Path, prepared: Path) -> Way:
    """Read the clip out of the prepared folder."""
    clips = Clips(prepared)
    numbers = {folder / row.name: index for index, row in enumerate(clips.recordings)}
    length = CLIP_SECONDS * RATE_HZ

    def read(path: Path, place: float) -> Clip:
        index = numbers[path]
        start = int(place * max(0, int(clips.lengths[index]) - length))
        return clips.read(index, start, length)[0]

    return read


# Measuring --------------------------------------------------------------------------------------


def measure(name: str, folder: Path, scratch: Path, options: argparse.Namespace) -> None:
    """Measure all ways on one folder."""
    prepared = scratch / "prepared" / name.partition(",")[0]
    settings = PrepareSettings.model_validate(
        {"min_seconds": CLIP_SECONDS, "split": {"valid_share": 0, "test_share": 0}}
    )
    began = time.process_time()
    info = prepare([folder], prepared, settings, workers=0)
    prepare_s = time.process_time() - began
    ways = {
        "whole_fresh_filter": whole_with_fresh_filter,
        "whole_fresh_soxr": whole_with_fresh_soxr,
        "only_the_clip": only_the_clip,
        "cache": from_the_cache(folder, prepared),
    }
    files = [folder / row.name for row in Clips(prepared).recordings]
    rng = np.random.default_rng(0)
    draws = [(files[rng.integers(len(files))], rng.random()) for _ in range(options.clips)]
    check(ways, draws[:5])
    runs = [
        # The cache is so fast that it must be asked more often for a time that can be trusted.
        {key: seconds(way, draws, times=100 if key == "cache" else 1) for key, way in ways.items()}
        for _ in range(options.repeat)
    ]
    row: dict[str, Any] = machine() | {
        "music": name,
        "hours": info["splits"]["train"]["hours"],
        "prepare_s": round(prepare_s, 1),
        "clips": len(draws),
        "n": len(runs),
    }
    for key in ways:
        rates = [len(draws) / run[key] for run in runs]
        ratios = [run[key] / run["cache"] for run in runs]
        row[key] = {
            "clips_per_s": round(statistics.median(rates), 2),
            "ratio": round(statistics.median(ratios), 1),
            "ratio_min": round(min(ratios), 1),
            "ratio_max": round(max(ratios), 1),
        }
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def check(ways: dict[str, Way], draws: list[tuple[Path, float]]) -> None:
    """Make sure that all ways give the same music: within a thousandth of its power or a shift."""
    for path, place in draws:
        wanted = np.abs(np.fft.rfft(ways["cache"](path, place)))
        for key, way in ways.items():
            found = np.abs(np.fft.rfft(way(path, place)))
            likeness = float(found @ wanted / np.sqrt((found @ found) * (wanted @ wanted)))
            assert likeness > 0.9, (key, path, place, likeness)


def seconds(way: Way, draws: list[tuple[Path, float]], *, times: int = 1) -> float:
    """Return the processor time that all clips take."""
    began = time.process_time()
    for path, place in draws * times:
        way(path, place)
    return (time.process_time() - began) / times


def machine() -> dict[str, Any]:
    """Return when and on what this is measured."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "libsndfile": soundfile.__libsndfile_version__,
    } | {name: importlib.metadata.version(name) for name in PACKAGES}


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# README -----------------------------------------------------------------------------------------

NAMES = {
    "whole_fresh_filter": "decode all, filter designed per item (`scipy.signal.resample_poly`)",
    "whole_fresh_soxr": "decode all, soxr made per item",
    "only_the_clip": "decode the clip alone, soxr made once",
    "cache": "prepared folder",
}


def short(value: float) -> str:
    """Return a number with three digits that count."""
    digits = 2 - math.floor(math.log10(value))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def write_readme() -> None:
    """Write README.md from the newest result of every kind of music."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    newest = {row["music"]: row for row in rows}
    table = ["| music | way | clips/s | cache faster by (range) |", "|---|---|---|---|"]
    conditions = set()
    for name, row in newest.items():
        for key, words in NAMES.items():
            own = row[key]
            low, middle, high = (short(own[name]) for name in ("ratio_min", "ratio", "ratio_max"))
            ratio = f"**{middle}** ({low} to {high}, n = {row['n']})" if key != "cache" else ""
            table.append(f"| {name} | {words} | {short(own['clips_per_s'])} | {ratio} |")
        hours = f"preparing {row['hours']:.2f} h of it took {row['prepare_s']:.1f} s of one core"
        table.append(f"| {name} | {hours} | | |")
        versions = ", ".join(f"{package} {row[package]}" for package in (*PACKAGES, "libsndfile"))
        conditions.add(
            f"- {row['date']}, commit {row['commit']}: {row['processor']}, {row['cores']} cores; "
            f"Python {row['python']}, {versions}; load average {row['load']}"
        )
    template = (FOLDER / "README.template.md").read_text(encoding="utf-8")
    text = template.replace("{table}", "\n".join(table))
    text = text.replace("{conditions}", "\n".join(sorted(conditions)))
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
