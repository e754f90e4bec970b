"""What does preparation cost per file, and does it stay so as a corpus grows to Lakh's size?

Prepares folders of growing size with `segue.symbolic.data.prepare`, the function behind the command
`segue midi prepare`, with two worker processes. Beyond the files at hand the folder is filled with copies:
one in four a near duplicate (transposed, other ticks, 2 % of the notes moved), the others distinct
(their pitch classes and drums permuted, so that no phrase stays what it was).

    python benchmarks/prepare/run.py FOLDER... --work DIR    # measure, append to results.jsonl
    python benchmarks/prepare/run.py --readme                # only write README.md from it again

A killed measurement goes on where it was when the same command is given again: sizes that are done are
kept, and the processor time of what was killed counts. DIR may be deleted afterwards.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import itertools
import json
import math
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from symusic import Note, Score

from segue.core.progress import Advance
from segue.symbolic.data.prepare import PrepareSettings, prepare

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
PACKAGES = ("numpy", "symusic")
SIZES = (1000, 4000, 16_000, 64_000)
WORKERS = 2
NEAR_ONE_IN = 4
SECONDS_BETWEEN_LOOKS = 1.0


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="What does preparation cost per file?")
    parser.add_argument("folders", nargs="*", type=Path, help="where to look for MIDI files")
    parser.add_argument("--work", type=Path, help="folder for copies and prepared folders")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if options.one:
        measure(options.one, options.work)
        return
    if not options.readme:
        if not options.folders or options.work is None:
            parser.error("name folders of MIDI files, and a folder to work in with --work")
        for size in sorted(options.sizes):
            one_size(size, options)
    write_readme()


# Music ------------------------------------------------------------------------------------------


def fill(music: Path, originals: list[Path], size: int) -> None:
    """Add files to a folder until it holds `size`: links to the originals, then copies."""
    for number in range(size):
        path = music / f"{number // 1000:03d}" / f"{number:06d}.mid"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        original = originals[number % len(originals)]
        if number < len(originals):
            path.symlink_to(original)
        else:
            temporary = path.with_suffix(".part")
            write_copy(original, temporary, np.random.default_rng(number))
            temporary.rename(path)


def write_copy(original: Path, target: Path, rng: np.random.Generator) -> None:
    """Write a near duplicate of a piece, or one made of its rhythms; a damaged file as it is."""
    try:
        score = Score.from_midi(original.read_bytes())
    except (RuntimeError, ValueError):
        shutil.copyfile(original, target)
        return
    near = rng.integers(NEAR_ONE_IN) == 0
    classes, drums = rng.permutation(12), rng.permutation(128)
    shift = int(rng.integers(-4, 5))
    for track in score.tracks:
        notes = track.notes.numpy()
        pitch = notes["pitch"].astype(np.int64)
        if near:
            moved = np.where(rng.random(len(pitch)) < 0.02, 2, 0)
            pitch = pitch if track.is_drum else np.clip(pitch + shift + moved, 0, 127)
        elif track.is_drum:
            pitch = drums[pitch]
        else:
            pitch = np.minimum(pitch // 12 * 12 + classes[pitch % 12], 127)
        notes["pitch"] = pitch.astype(notes["pitch"].dtype)
        track.notes = Note.from_numpy(**notes)
    # Twice the ticks in a quarter note and the same notes: what other programs would have written.
    score.resample(2 * score.ticks_per_quarter).dump_midi(target)


# Measuring --------------------------------------------------------------------------------------


def one_size(size: int, options: argparse.Namespace) -> None:
    """Measure one size in a process of its own, unless that is done."""
    work: Path = options.work.absolute()
    done = work / f"done-{size}.json"
    if not done.is_file():
        originals = sorted(
            path.absolute()
            for folder in options.folders
            for path in folder.rglob("*")
            if path.suffix.lower() in {".mid", ".midi", ".kar"}
        )
        random.Random(0).shuffle(originals)
        fill(work / "music", originals, size)
        command = [sys.executable, __file__, "--one", str(size), "--work", str(work)]
        subprocess.run(command, check=True)
        row = machine() | json.loads((work / f"used-{size}.json").read_text())
        row["originals"] = min(size, len(originals))
        done.write_text(json.dumps(row))
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        shutil.rmtree(work / f"prepared-{size}")
    print(done.read_text(), flush=True)


class Meter(threading.Thread):
    """Looks at the processes of this command every second; remembers across interruptions."""

    def __init__(self, notebook: Path) -> None:
        super().__init__(daemon=True)
        self.notebook = notebook
        self.before: dict[str, Any] = json.loads(notebook.read_text()) if notebook.exists() else {}
        self.began = time.monotonic()
        self.peak = {"peak_mb": 0.0, "peak_own_mb": 0.0}
        self.stages: dict[str, float] = {}
        self.current: tuple[str, float] | None = None
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(SECONDS_BETWEEN_LOOKS):
            self.look()

    def look(self) -> dict[str, Any]:
        """Measure, and keep it."""
        memory, own = 0.0, 0.0
        for process in processes():
            with contextlib.suppress(psutil.Error):
                info = process.memory_info()
                memory += info.rss / 1e6
                own += (info.rss - info.shared) / 1e6
        self.peak = {
            "peak_mb": max(self.peak["peak_mb"], memory),
            "peak_own_mb": max(self.peak["peak_own_mb"], own),
        }
        old, used = self.before, processor_s()
        stages = dict(self.stages)
        if self.current is not None:
            label, began = self.current
            stages[label] = stages.get(label, 0) + used - began
        state = {
            "processor_s": old.get("processor_s", 0) + used,
            "wall_s": old.get("wall_s", 0) + time.monotonic() - self.began,
            "interruptions": old.get("interruptions", -1) + 1,
            "stages": {
                label: old.get("stages", {}).get(label, 0) + stages.get(label, 0)
                for label in {**old.get("stages", {}), **stages}
            },
        } | {key: max(old.get(key, 0), value) for key, value in self.peak.items()}
        temporary = self.notebook.with_suffix(".part")
        temporary.write_text(json.dumps(state))
        temporary.replace(self.notebook)
        return state

    @contextlib.contextmanager
    def progress(self, label: str, *, total: float | None = None) -> Iterator[Advance]:
        """Note the processor time of a stage."""
        began = processor_s()
        self.current = (label, began)
        yield _ignore
        self.current = None
        self.stages[label] = self.stages.get(label, 0) + processor_s() - began


def _ignore(count: float = 1) -> None:
    """Take no notice."""


def processes() -> list[psutil.Process]:
    """Return this process and its workers."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def processor_s() -> float:
    """Return the processor time of this process and its workers, the ended ones included."""
    used = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    for process in processes()[1:]:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def measure(size: int, work: Path) -> None:
    """Prepare the folder of copies as it is."""
    target, notebook = work / f"prepared-{size}", work / f"used-{size}.json"
    meter = Meter(notebook)
    meter.start()
    dataset = prepare(
        [work / "music"], target, PrepareSettings(), workers=WORKERS, progress=meter.progress
    )
    meter.over.set()
    meter.join()
    state = meter.look()
    stage = sum(path.stat().st_size for path in (target / "stage").iterdir())
    everything = stage + sum(path.stat().st_size for path in target.glob("*.*"))
    splits = dataset["splits"].values()
    row = state | {
        "files": size,
        "music_mb": sum(path.stat().st_size for path in (work / "music").rglob("*.mid")) / 1e6,
        "pieces": sum(split["pieces"] for split in splits),
        "groups": sum(split["groups"] for split in splits),
        "notes": sum(split["notes"] for split in splits),
        "tokens": sum(split["tokens"] for split in splits),
        "left_out": dataset["left_out"],
        "phrases": (target / "stage" / "sketches.u64").stat().st_size // 8,
        "disk_mb": everything / 1e6,
        "stage_mb": stage / 1e6,
    }
    notebook.write_text(json.dumps(rounded(row)))


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with two decimals."""
    return {
        key: rounded(value)
        if isinstance(value, dict)
        else round(value, 2)
        if isinstance(value, float)
        else value
        for key, value in row.items()
    }


def machine() -> dict[str, Any]:
    """Return when and on what this is measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    } | {name: importlib.metadata.version(name) for name in PACKAGES}


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# The page ---------------------------------------------------------------------------------------


def slope(rows: list[dict[str, Any]], key: str) -> float:
    """Return the exponent of growth: the slope of the least-squares line through the logarithms."""
    sizes = np.array([math.log(row["files"]) for row in rows])
    values = np.array([math.log(row[key]) for row in rows])
    return float(np.polyfit(sizes, values, 1)[0])


def write_readme() -> None:
    """Write README.md from the newest result of every size."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    newest = {row["files"]: row for row in map(json.loads, lines)}
    rows = [newest[size] for size in sorted(newest)]
    head = (
        "files", "copies", "notes", "processor time, s", "per file, ms", "wall, s", "memory, MB",
        "own memory, MB", "disk, MB", "per file, kB",
    )  # fmt: skip
    table = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    table += [
        f"| {row['files']:,} | {row['files'] - row['originals']:,} | {row['notes']:,} | "
        f"{row['processor_s']:,.0f} | **{1000 * row['processor_s'] / row['files']:.1f}** | "
        f"{row['wall_s']:,.0f} | {row['peak_mb']:,.0f} | {row['peak_own_mb']:,.0f} | "
        f"{row['disk_mb']:,.0f} | {1000 * row['disk_mb'] / row['files']:.1f} |"
        for row in rows
    ]
    labels = sorted({label for row in rows for label in row["stages"]})
    stages = ["| stage | " + " | ".join(f"{row['files']:,}" for row in rows) + " |"]
    stages += ["|---" * (len(rows) + 1) + "|"]
    for label in labels:
        costs = (1000 * row["stages"].get(label, 0) / row["files"] for row in rows)
        stages.append(f"| {label} | " + " | ".join(f"{cost:.2f}" for cost in costs) + " |")
    names = {
        "processor_s": "processor time",
        "disk_mb": "disk",
        "peak_mb": "memory",
        "peak_own_mb": "own memory",
    }
    steps = [*itertools.pairwise(rows), (rows[0], rows[-1])]
    titles = [f"{one['files']:,} to {other['files']:,}" for one, other in steps[:-1]]
    growth = [f"| | {' | '.join(titles)} | all sizes |", "|---" * (len(steps) + 1) + "|"]
    for key, name in names.items():
        local = [f"{slope([one, other], key):.2f}" for one, other in steps[:-1]]
        growth.append(f"| {name} | {' | '.join(local)} | **{slope(rows, key):.2f}** |")
    conditions = {
        f"- {row['date']}, commit {row['commit']}: {row['processor']}, {row['cores']} cores; "
        f"Python {row['python']}, "
        + ", ".join(f"{package} {row[package]}" for package in PACKAGES)
        + f"; load average {row['load']} ({row['files']:,} files, "
        f"{row['interruptions']} interruptions)"
        for row in rows
    }
    text = (FOLDER / "README.template.md").read_text(encoding="utf-8")
    for key, part in (
        ("table", table),
        ("stages", stages),
        ("growth", growth),
        ("conditions", sorted(conditions)),
    ):
        text = text.replace("{" + key + "}", "\n".join(part))
    text = text.replace("{largest}", f"{rows[-1]['files']:,}")
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
