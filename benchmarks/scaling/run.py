"""Which size, which context, which vocabulary, for a fixed amount of arithmetic?

    python benchmarks/scaling/run.py PREPARED MERGED --runs FOLDER [--exaflops 3e-5] [--only WORD]

PREPARED is what `segue midi prepare` wrote without merges, MERGED the same music and split with them
(`--set prepare.tokenizer.vocab_size=2000 --split-list PREPARED`). Every training gets the same number of
floating-point operations, counted as 6 for each weight and token and 6 for each channel of the attention, layer and
pair of tokens; the number of steps follows from it. Measured are the bits per note of the same regions of
the validation split, nine tasks, whatever the vocabulary. Rows that are there already are not made again.
"""

import argparse
import datetime
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.statistics import bootstrap
from segue.recipes import load_recipe
from segue.symbolic.data.windows import InfillBatches, Prepared
from segue.symbolic.evaluate.collection import TestPiece, open_collection
from segue.symbolic.evaluate.regions import draw_regions
from segue.symbolic.evaluate.systems import ModelSystem, PromptSettings
from segue.symbolic.loaded import MidiModel

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SIZES = {"small": (3, 4, 128), "middle": (4, 6, 192), "large": (5, 5, 320)}
"""Layers, heads and width."""
CONTEXTS = {1024: {512: 0.6, 1024: 0.4}, 2048: {512: 0.45, 1024: 0.4, 2048: 0.15}}
"""Longest context: lengths of the rows that are trained on."""
REGIONS_PER_TASK = 24
LEARNING_RATE, AT_WIDTH = 1.5e-3, 256
"""The rate that midigpt-small was trained with, and its width; the rate falls as the width grows."""


@dataclass(frozen=True)
class Trial:
    """One cell of the study."""

    size: str
    context: int
    merges: bool

    @property
    def name(self) -> str:
        return f"{self.size}-{self.context}-{'merged' if self.merges else 'plain'}"

    def settings(self) -> list[str]:
        """What differs from the recipe midigpt-small."""
        layers, heads, width = SIZES[self.size]
        rate = LEARNING_RATE * AT_WIDTH / width
        return [
            f"model.num_layers={layers}",
            f"model.num_heads={heads}",
            f"model.width={width}",
            f"model.context_length={self.context}",
            f"windows.lengths={json.dumps(CONTEXTS[self.context])}",
            "windows.tokens_per_batch=4096",
            f"optim.learning_rate={rate:.3g}",
            "optim.warmup_steps=40",
        ]


def weights(trial: Trial, vocabulary: int) -> int:
    """Weights that every token meets: the layers and the head (which is the embedding once more)."""
    layers, _, width = SIZES[trial.size]
    return 12 * layers * width**2 + vocabulary * width


def work_of(trial: Trial, data: Prepared, count: int = 64) -> tuple[float, float]:
    """Mean floating-point operations and tokens of a step."""
    recipe = load_recipe("midigpt-small", overrides=trial.settings())
    batches = InfillBatches(data, recipe.windows, seed=recipe.seed)
    layers, _, width = SIZES[trial.size]
    size = weights(trial, data.tokenizer.size)
    rows = [batches.batch(step).ids.shape for step in range(count)]
    work = [r * t * 6 * size + r * 6 * layers * width * t * t for r, t in rows]
    return float(np.mean(work)), float(np.mean([r * t for r, t in rows]))


def train(trial: Trial, folder: Path, run: Path, steps: int) -> Path:
    """Train and export; return the bundle."""
    extra = [
        f"trainer.max_steps={steps}",
        "trainer.validate_every=100000",
        "trainer.row_every=10",
        f"trainer.save_every={max(1, steps // 4)}",
    ]
    changes = [word for change in trial.settings() + extra for word in ("--set", change)]
    program = [sys.executable, "-m", "segue", "midi"]
    made = [*program, "train", str(folder), "-o", str(run), "-r", "midigpt-small", *changes]
    subprocess.run(made, check=True)
    bundle = run.with_name(run.name + "-bundle")
    if not (bundle / "manifest.json").is_file():
        command = [
            *program,
            "export",
            str(run),
            "-o",
            str(bundle),
            "--part",
            "int8",
            "--part",
            "float",
        ]
        subprocess.run(command, check=True)
    return bundle


def score(bundle: Path, pieces: list[TestPiece], base: Prepared) -> dict[str, Any]:
    """Bits per note on the regions of the validation split, with an interval over pieces."""
    model = MidiModel.open(str(bundle), threads=1)
    length = model.decoder.context_length // 2
    system = ModelSystem("trial", model, PromptSettings(base.tokenizer, length))
    regions = draw_regions(
        pieces, base.tokenizer.vocabulary, per_task=REGIONS_PER_TASK, max_tokens=400, seed=0
    )
    by_name = {piece.name: piece for piece in pieces}
    rows = []
    for region in regions:
        found = system.surprise(by_name[region.piece].load(), region)
        if found is not None:
            rows.append((region.task, region.piece, found.nats.sum() / np.log(2), found.num_notes))
    return {
        "bits_per_note": ratio([row[1:] for row in rows]),
        "by_task": {
            task: ratio([row[1:] for row in rows if row[0] == task])["mean"]
            for task in dict.fromkeys(row[0] for row in rows)
        },
        "regions": len(rows),
    }


def ratio(rows: list[tuple[str, float, int]]) -> dict[str, float]:
    """Bits over notes, with an interval over pieces."""
    owners = sorted({name for name, _, _ in rows})
    bits = np.array([sum(b for name, b, _ in rows if name == owner) for owner in owners])
    notes = np.array([sum(n for name, _, n in rows if name == owner) for owner in owners])
    found = bootstrap(bits / notes, np.random.default_rng(0), weights=notes)
    return {"mean": found.mean, "low": found.low, "high": found.high}


def measure(arguments: argparse.Namespace) -> None:
    """Train and score what is missing."""
    plain = Prepared(arguments.prepared, "train")
    pieces = open_collection(arguments.prepared, plain.tokenizer, split="valid")
    done = {row["trial"] for row in stored() if row["exaflops"] == arguments.exaflops}
    trials = [Trial(s, c, m) for m in (False, True) for c in CONTEXTS for s in SIZES]
    for trial in trials:
        if trial.name in done or arguments.only not in trial.name:
            continue
        folder = arguments.merged if trial.merges else arguments.prepared
        data = Prepared(folder, "train")
        work, tokens = work_of(trial, data)
        steps = max(1, round(arguments.exaflops * 1e18 / work))
        bundle = train(trial, folder, arguments.runs / trial.name, steps)
        row = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "trial": trial.name,
            "exaflops": arguments.exaflops,
            "steps": steps,
            "tokens": round(steps * tokens),
            "weights": weights(trial, data.tokenizer.size),
            **score(bundle, pieces, plain),
        }
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row))


def stored() -> list[dict[str, Any]]:
    """All rows."""
    lines = RESULTS.read_text("utf-8").splitlines() if RESULTS.is_file() else []
    return [json.loads(line) for line in lines]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("merged", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--exaflops", type=float, default=3e-5)
    parser.add_argument("--only", default="")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
