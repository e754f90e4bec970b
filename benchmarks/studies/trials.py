"""Train many small MidiGPTs for the same amount of arithmetic and compare them on the same regions.

    python benchmarks/studies/trials.py PREPARED MERGED --runs FOLDER [--exaflops 3e-5] [--only NAME]
    python benchmarks/studies/trials.py --readme

PREPARED is what `segue midi prepare` wrote without merges, MERGED the same music and split with them
(`--set prepare.tokenizer.vocab_size=2000 --split-list PREPARED`). Every training gets the same number of
floating-point operations, counted as 6 for each weight and token and 6 for each channel of the attention, layer and
pair of tokens; the number of steps follows from it. Measured are the bits per note of the same regions of
the validation split, nine tasks, whatever the vocabulary, and with drums of held-out drummers put under the
same pieces. Rows that are there already are not made again; a training that was killed goes on.
"""

import argparse
import datetime
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from segue.core.statistics import bootstrap, paired_bootstrap
from segue.recipes import load_recipe
from segue.symbolic.data.augment import add_drums
from segue.symbolic.data.windows import InfillBatches, Prepared
from segue.symbolic.evaluate.collection import TestPiece, open_collection
from segue.symbolic.evaluate.regions import draw_regions
from segue.symbolic.evaluate.systems import KINDS, ModelSystem, PromptSettings, Surprise
from segue.symbolic.grid import Grid
from segue.symbolic.loaded import MidiModel
from segue.symbolic.prompt import Sight
from segue.symbolic.vocabulary import DRUM_PROGRAM

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SIZES = {"small": (3, 4, 128), "middle": (4, 6, 192), "large": (5, 5, 320)}
"""Layers, heads and width."""
CONTEXTS = {1024: {512: 0.6, 1024: 0.4}, 2048: {512: 0.45, 1024: 0.4, 2048: 0.15}}
"""Longest context: lengths of the rows that are trained on."""
REGIONS_PER_TASK = 24
TOKENS_PER_BATCH = 4096
CHANGES = {
    "left to right only": ["windows.sight=past"],
    "no transposition": ["windows.transpose=0"],
    "instruments in random order": ["windows.track_order=random"],
    "flat velocities not learnt": ["windows.flat_velocities=skip"],
    "drums under a quarter of the pieces": ["windows.drums_share=0.25"],
    "the context is not learnt": ["task.context_weight_start=0.0", "task.context_weight_end=0.0"],
    "AdamW": ["optim.method=adamw", "optim.learning_rate=2e-3"],
}
"""One thing at a time, changed in the middle size without merges and with a context of 1,024."""


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        size: of `SIZES`.
        context: of `CONTEXTS`.
        merges: whether the tokens are merged.
        change: of `CHANGES`, or nothing.
    """

    size: str
    context: int
    merges: bool
    change: str = ""

    @property
    def name(self) -> str:
        """Name of its row and its run."""
        words = [self.size, str(self.context), "merged" if self.merges else "plain"]
        return "-".join([*words, *self.change.replace(",", "").split()])

    def settings(self) -> list[str]:
        """What differs from the recipe midigpt-small."""
        layers, heads, width = SIZES[self.size]
        return [
            f"model.num_layers={layers}",
            f"model.num_heads={heads}",
            f"model.width={width}",
            f"model.context_length={self.context}",
            f"windows.lengths={json.dumps(CONTEXTS[self.context])}",
            f"windows.tokens_per_batch={TOKENS_PER_BATCH}",
            "windows.drums_share=0",
            "optim.method=muon",
            "optim.learning_rate=4e-3",
            "optim.warmup_steps=40",
            "trainer.ema_decay=null",
            *CHANGES.get(self.change, ()),
        ]


TRIALS = [
    *(
        Trial(size, context, merges)
        for merges in (True, False)
        for context in CONTEXTS
        for size in SIZES
    ),
    *(Trial("middle", 1024, merges=False, change=change) for change in CHANGES),
]


def weights(trial: Trial, vocabulary: int) -> int:
    """Weights that every token meets: the layers and the head (which is the embedding once more)."""
    layers, _, width = SIZES[trial.size]
    return 12 * layers * width**2 + vocabulary * width


def work_of(trial: Trial, data: Prepared, count: int = 64) -> tuple[float, float]:
    """Mean floating-point operations and tokens of a step; padding is neither."""
    recipe = load_recipe("midigpt-small", overrides=trial.settings())
    batches = InfillBatches(data, recipe.windows, seed=recipe.seed)
    layers, _, width = SIZES[trial.size]
    size = weights(trial, data.tokenizer.size)
    rows = [(batches.batch(step).kinds > 0).sum(1) for step in range(count)]
    work = [6 * size * r.sum() + 6 * layers * width * (r.astype(float) ** 2).sum() for r in rows]
    return float(np.mean(work)), float(np.mean([r.sum() for r in rows]))


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
        parts = ["--part", "int8", "--part", "float"]
        subprocess.run([*program, "export", str(run), "-o", str(bundle), *parts], check=True)
    return bundle


@dataclass
class Score:
    """What regions cost, region by region.

    Attributes:
        owners: name of each region's piece.
        tasks: of each region.
        found: cost of each region.
    """

    owners: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    found: list[Surprise] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Bits per note with an interval over pieces, by task and by part of the note."""
        notes = sum(s.num_notes for s in self.found)
        parts = sum((s.nats for s in self.found), np.zeros(len(KINDS))) / np.log(2) / notes
        return {
            "bits_per_note": interval(self.by_piece()),
            "by_task": {
                task: interval(self.by_piece(task))["mean"] for task in dict.fromkeys(self.tasks)
            },
            "by_part": dict(zip(KINDS, np.round(parts, 4).tolist(), strict=True)),
            "by_piece": {name: [round(b, 3), n] for name, (b, n) in self.by_piece().items()},
            "regions": len(self.found),
        }

    def by_piece(self, task: str | None = None) -> dict[str, tuple[float, int]]:
        """Bits and notes of every piece."""
        sums: dict[str, tuple[float, int]] = {}
        for owner, of_task, cost in zip(self.owners, self.tasks, self.found, strict=True):
            if task in {None, of_task}:
                bits, notes = sums.get(owner, (0.0, 0))
                bits += float(cost.nats.sum() / np.log(2))
                sums[owner] = bits, notes + cost.num_notes
        return sums


def interval(by_piece: dict[str, tuple[float, int]]) -> dict[str, float]:
    """Bits over notes, with an interval over pieces."""
    bits, notes = (np.array(column) for column in zip(*by_piece.values(), strict=True))
    found = bootstrap(bits / notes, np.random.default_rng(0), weights=notes)
    return {"mean": found.mean, "low": found.low, "high": found.high}


def score(bundle: Path, pieces: list[TestPiece], base: Prepared, *, sight: Sight) -> dict[str, Any]:
    """Score a bundle on regions of the validation split, as they are and with drums under them."""
    model = MidiModel.open(str(bundle), threads=1)
    settings = PromptSettings(base.tokenizer, model.decoder.context_length // 2)
    system = ModelSystem("trial", model, settings)
    vocabulary = base.tokenizer.vocabulary
    regions = draw_regions(pieces, vocabulary, per_task=REGIONS_PER_TASK, max_tokens=400, seed=0)
    by_name = {piece.name: piece for piece in pieces}
    drummers = [grid for grid in (p.load() for p in pieces) if only_drums(grid)]
    plain, drummed = Score(), Score()
    for number, region in enumerate(regions):
        grid = by_name[region.piece].load()
        drums = drummers[number % len(drummers)] if drummers else None
        for into, music in ((plain, grid), (drummed, with_drums(grid, drums))):
            cost = None if music is None else system.surprise(music, region, sight)
            if cost is not None:
                into.owners.append(region.piece)
                into.tasks.append(region.task)
                into.found.append(cost)
    return {**plain.row(), "with_drums": drummed.row() if drummed.found else None}


def only_drums(grid: Grid) -> bool:
    """Whether nothing but drums plays."""
    return bool(len(grid.notes)) and bool((grid.notes["program"] == DRUM_PROGRAM).all())


def with_drums(grid: Grid, drums: Grid | None) -> Grid | None:
    """The piece with drums under it; None where it has its own or no bar takes them."""
    if drums is None or (grid.notes["program"] == DRUM_PROGRAM).any():
        return None
    played = add_drums(grid, drums)
    return played if len(played.notes) > len(grid.notes) else None


def measure(arguments: argparse.Namespace) -> None:
    """Train and score what is missing."""
    plain = Prepared(arguments.prepared, "train")
    pieces = open_collection(arguments.prepared, plain.tokenizer, split="valid")
    done = {row["trial"] for row in stored() if row["exaflops"] == arguments.exaflops}
    for trial in TRIALS:
        if trial.name in done or arguments.only not in {"", trial.name}:
            continue
        folder = arguments.merged if trial.merges else arguments.prepared
        data = Prepared(folder, "train")
        work, tokens = work_of(trial, data)
        steps = max(1, round(arguments.exaflops * 1e18 / work))
        bundle = train(trial, folder, arguments.runs / trial.name, steps)
        sight: Sight = "past" if trial.change == "left to right only" else "all"
        row = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "trial": trial.name,
            "exaflops": arguments.exaflops,
            "steps": steps,
            "tokens": round(steps * tokens),
            "weights": weights(trial, data.tokenizer.size),
            **score(bundle, pieces, plain, sight=sight),
        }
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        print(trial.name, row["bits_per_note"])


def stored() -> list[dict[str, Any]]:
    """All rows."""
    lines = RESULTS.read_text("utf-8").splitlines() if RESULTS.is_file() else []
    return [json.loads(line) for line in lines]


# The report -----------------------------------------------------------------------------------


def write_readme() -> None:
    """Write README.md and the curve from what is stored."""
    rows = {row["trial"]: row for row in stored()}
    text = (HERE / "README.template.md").read_text("utf-8")
    conditions = sorted(
        {f"{row['date']}, {row['exaflops']:g} exaflop each" for row in rows.values()}
    )
    text = text.replace("{sizes}", sizes_table(rows)).replace("{changes}", changes_table(rows))
    text = text.replace("{curve}", "![Bits per note over weights](sizes.png)")
    (HERE / "README.md").write_text(text.replace("{conditions}", "; ".join(conditions)), "utf-8")
    draw(rows)


def shown(found: dict[str, float]) -> str:
    """A mean with its interval."""
    return f"{found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def sizes_table(rows: dict[str, dict[str, Any]]) -> str:
    """Sizes by contexts and vocabularies."""
    lines = [
        "| size | longest row | tokens | weights | steps | tokens seen | bits per note |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for trial in TRIALS:
        row = rows.get(trial.name)
        if row is None or trial.change:
            continue
        layers, _, width = SIZES[trial.size]
        lines.append(
            f"| {trial.size}, {layers} layers of {width} | {trial.context} "
            f"| {'merged, 2,000' if trial.merges else 'plain, 645'} | {row['weights'] / 1e6:.1f} M "
            f"| {row['steps']:,} | {row['tokens'] / 1e6:.1f} M | {shown(row['bits_per_note'])} |"
        )
    return "\n".join(lines)


def changes_table(rows: dict[str, dict[str, Any]]) -> str:
    """One change at a time, with the difference on the same pieces."""
    base = rows.get("middle-1024-plain")
    if base is None:
        return ""
    lines = [
        "| changed | bits per note | more than without the change | velocity | instrument | with drums under the pieces |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for trial in TRIALS:
        row = rows.get(trial.name)
        if row is None or (trial.change == "" and row is not base):
            continue
        drummed = row.get("with_drums")
        lines.append(
            f"| {trial.change or 'nothing'} | {shown(row['bits_per_note'])} "
            f"| {'' if row is base else difference(row, base)} | {row['by_part']['velocity']:.2f} "
            f"| {row['by_part']['instrument']:.2f} | {shown(drummed['bits_per_note']) if drummed else ''} |"
        )
    return "\n".join(lines)


def difference(row: dict[str, Any], base: dict[str, Any]) -> str:
    """How much more a trial costs than another on the pieces of both, with an interval."""
    names = sorted(set(row["by_piece"]) & set(base["by_piece"]))
    first, second = (np.array([r["by_piece"][name][0] for name in names]) for r in (row, base))
    notes = np.array([base["by_piece"][name][1] for name in names])
    found = paired_bootstrap(first / notes, second / notes, np.random.default_rng(0), weights=notes)
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def draw(rows: dict[str, dict[str, Any]]) -> None:
    """Draw bits per note over the number of weights."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for merges in (True, False):
        for context in CONTEXTS:
            found = [rows.get(Trial(size, context, merges).name) for size in SIZES]
            there = [row for row in found if row is not None]
            if not there:
                continue
            means = [row["bits_per_note"]["mean"] for row in there]
            axes.plot(
                [row["weights"] / 1e6 for row in there],
                means,
                marker="o",
                linestyle="-" if context == 1024 else "--",
                color="tab:blue" if merges else "tab:orange",
                label=f"{'merged' if merges else 'plain'} tokens, rows of up to {context}",
            )
    axes.set_xscale("log")
    axes.set_xlabel("weights (millions)")
    axes.set_ylabel("bits per note")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    figure.savefig(HERE / "sizes.png", dpi=110)


def main() -> None:
    """Measure, then write the README."""
    parser = argparse.ArgumentParser(description="Compare small trainings of equal cost.")
    parser.add_argument("prepared", type=Path, nargs="?")
    parser.add_argument("merged", type=Path, nargs="?")
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--exaflops", type=float, default=3e-5)
    parser.add_argument("--only", default="", help="name of one trial")
    parser.add_argument("--readme", action="store_true", help="only write README.md again")
    arguments = parser.parse_args()
    if not arguments.readme:
        if arguments.prepared is None or arguments.merged is None or arguments.runs is None:
            parser.error("name both prepared folders and --runs")
        measure(arguments)
    write_readme()


if __name__ == "__main__":
    main()
