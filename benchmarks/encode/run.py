"""How fast do files become tokens? Segue's codec beside MidiTok, and whether the ids are equal.

Both encode the same files from disk to ids, in turns, file after file within a repetition. A second is
one in which this process had a processor; figures are medians over the repetitions.

    python benchmarks/encode/run.py FOLDER_OF_MIDI        # measure, append to results.jsonl
    python benchmarks/encode/run.py --readme              # only write README.md from it again
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from miditok import REMI

from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.tokenizer import Tokenizer, _read

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
PACKAGES = ("miditok", "numpy", "symusic", "tokenizers")
TOKENIZERS = {
    "base tokens": TokenizerConfig(),
    "2,000 tokens, merged": TokenizerConfig(vocab_size=2000),
    "the deck's, 5,000 tokens, merged": TokenizerConfig.original(),
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="How fast do files become tokens?")
    parser.add_argument("folder", nargs="?", type=Path, help="where to look for .mid files")
    parser.add_argument("--files", type=int, default=200, help="files in all, of all subfolders")
    parser.add_argument("--training-files", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if not options.readme:
        if options.folder is None:
            parser.error("name a folder of MIDI files")
        files = choose(options.folder, options.files)
        for name, config in TOKENIZERS.items():
            measure(name, config, files, options)
    write_readme()


def choose(folder: Path, count: int) -> list[Path]:
    """Take files from every subfolder, about the same number of each."""
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*.mid")):
        by_folder.setdefault(path.parent, []).append(path)
    rng = random.Random(0)
    share = max(1, count // max(1, len(by_folder)))
    return [p for paths in by_folder.values() for p in rng.sample(paths, min(share, len(paths)))]


def measure(
    name: str, config: TokenizerConfig, files: list[Path], options: argparse.Namespace
) -> None:
    """Measure both with one tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        training = random.Random(1).sample(files, min(len(files), options.training_files))
        train_tokenizer(config, training, path)
        runs = [one_run(path, files) for _ in range(options.repeat)]
    theirs, ours = ([run[key] for run in runs] for key in ("miditok_s", "segue_s"))
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    row = machine() | {
        "tokenizer": name,
        "files": len(files),
        "tokens": runs[0]["tokens"],
        "different_ids": runs[0]["different"],
        "n": len(runs),
        "miditok_files_per_s": round(len(files) / statistics.median(theirs), 1),
        "segue_files_per_s": round(len(files) / statistics.median(ours), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
    }
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def one_run(path: Path, files: list[Path]) -> dict[str, Any]:
    """Encode every file with both; Segue begins with an empty memory of bars."""
    _read.cache_clear()
    remi, tokenizer = REMI(params=path), Tokenizer.from_file(path)
    seconds = {"miditok_s": 0.0, "segue_s": 0.0}
    tokens = different = 0
    for file in files:
        began = time.process_time()
        theirs = remi(file).ids
        between = time.process_time()
        ours = tokenizer.encode_file(file)
        ended = time.process_time()
        seconds["miditok_s"] += between - began
        seconds["segue_s"] += ended - between
        tokens += len(ours)
        different += ours.tolist() != theirs
    return seconds | {"tokens": tokens, "different": different}


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


def write_readme() -> None:
    """Write README.md from the newest result of every tokenizer."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    newest = {row["tokenizer"]: row for row in rows}
    table = [
        "| tokenizer | files | tokens | other ids | MidiTok, files/s | Segue, files/s | ratio (range) |",
        "|---|---|---|---|---|---|---|",
    ]
    conditions = set()
    for name, row in newest.items():
        spread = f"{row['ratio_min']:.1f} to {row['ratio_max']:.1f}, n = {row['n']}"
        table.append(
            f"| {name} | {row['files']:,} | {row['tokens']:,} | {row['different_ids']} | "
            f"{row['miditok_files_per_s']:,} | {row['segue_files_per_s']:,} | "
            f"**{row['ratio']:.1f}** ({spread}) |"
        )
        versions = ", ".join(f"{package} {row[package]}" for package in PACKAGES)
        conditions.add(
            f"- {row['date']}, commit {row['commit']}: {row['processor']}, {row['cores']} cores; "
            f"Python {row['python']}, {versions}; load average {row['load']}"
        )
    template = (FOLDER / "README.template.md").read_text(encoding="utf-8")
    text = template.replace("{table}", "\n".join(table))
    text = text.replace("{conditions}", "\n".join(sorted(conditions)))
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
