"""Every bundle that was ever shipped, and how good it was: progress at a glance.

    python benchmarks/quality/run.py BUNDLE MEASURED --note "what is new"    # keep a row
    python benchmarks/quality/run.py                                         # write README.md and the picture

MEASURED is the folder of `segue midi evaluate` or `segue audio evaluate` of this bundle, or a results.jsonl of
benchmarks/infilling or benchmarks/distance (its last row is taken, or that of `--commit`). Nothing is measured here:
a row holds the headline numbers, all others stay where they were measured.
"""

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

from segue.runtime.bundle import Bundle

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
ALL = "all tasks"
MODELS = ("midigpt-small", "midigpt-small-first", "midigpt-left-only", "midigpt-original")
"""Not baselines, in tables of infilling."""
ASKED = {"generated": "by label", "generated-text": "by caption", "generated-free": "for nothing"}


def estimate(value: dict[str, Any]) -> dict[str, float]:
    """An estimate without its number of units."""
    return {key: value[key] for key in ("mean", "low", "high")}


def symbolic_scores(found: dict[str, Any]) -> dict[str, Any]:
    """Headline numbers of an evaluation of infilling."""
    costs, fillings = found["bits_per_note"], found["fillings"][ALL]
    model = found["model"]
    bits = {name: estimate(each["bits_per_note"]) for name, each in costs[ALL].items()}
    baselines = {name: value for name, value in bits.items() if name not in MODELS}
    best = min(baselines, key=lambda name: baselines[name]["mean"])
    asked = ("scale_share", "grid_share", "copied_from_training", "copied_from_context")
    return {
        "pieces": found["pieces"],
        "bits_per_note": bits[model],
        "by_task": {task: each[model]["bits_per_note"]["mean"] for task, each in costs.items()},
        "best_baseline": {"name": best, **bits[best]},
        "others": {n: bits[n] for n in MODELS if n in bits and n != model},
        "above_the_model": {n: estimate(v) for n, v in found["above_the_model"].items()},
        "written": {m: estimate(fillings[model][m]) for m in asked},
        "composers": {m: estimate(fillings["human original"][m]) for m in asked},
    }


def audio_scores(found: dict[str, Any]) -> dict[str, Any]:
    """Headline numbers of an evaluation of audio."""
    distances = next(iter(found["distances"].values()))
    rows = {row["name"]: row for row in distances["rows"]}
    heard = found["adherence"]["collections"]
    asked = [name for name in ASKED if name in rows]
    return {
        "clips": found["settings"]["clips"],
        "embedding": distances["embedding"],
        "sampling": found["sampling"],
        "kernel": {n: estimate(rows[n]["kernel"]) for n in (*asked, "codec", "real", "prior")},
        "frechet": {n: estimate(rows[n]["frechet"]) for n in (*asked, "codec", "real", "prior")},
        "vendi_ratio": {n: estimate(found["diversity"][n]["vendi_ratio"]) for n in asked},
        "label_heard": {n: estimate(heard[n]["accuracy"]) for n in asked if n in heard}
        | {"real": estimate(found["adherence"]["real"]["accuracy"])},
        "silent_rate": {n: estimate(found["health"][n]["silent_rate"]) for n in asked},
        "near_training": {k: estimate(v["flag_rate"]) for k, v in found["memorisation"].items()},
    }


def measured(source: Path, commit: str | None) -> dict[str, Any]:
    """The numbers in a folder or in a file of rows."""
    if source.is_dir():
        found: dict[str, Any] = json.loads((source / "metrics.json").read_text("utf-8"))
        return found
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    return next(row for row in reversed(rows) if commit in (None, row["commit"]))


def keep(options: argparse.Namespace) -> None:
    """Add a row."""
    bundle = Bundle.open(options.bundle)
    found = measured(options.measured, options.commit)
    if found["model"] != bundle.name:
        raise SystemExit(f"{options.measured} is about {found['model']}, not {bundle.name}.")
    symbolic = "bits_per_note" in found
    weights = {n: h for n, h in bundle.manifest.items() if n.endswith(".onnx")}
    row = {
        "date": found.get("date", datetime.datetime.now(datetime.UTC).date().isoformat()),
        "commit": found.get("commit"),
        "bundle": bundle.name,
        "kind": "midigpt" if symbolic else "ldmg",
        "note": options.note,
        "weights": weights,
        "megabytes": round(sum(bundle.path(name).stat().st_size for name in weights) / 1e6, 1),
        "scores": symbolic_scores(found) if symbolic else audio_scores(found),
    }
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def shown(value: dict[str, float] | None, digits: int = 2, scale: float = 1.0) -> str:
    """An estimate and its interval."""
    if value is None:
        return ""
    mean, low, high = (f"{scale * value[key]:.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rule = ["---", "---", *("---:" for _ in header[2:])]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)] + [""]


def symbolic_lines(rows: list[dict[str, Any]]) -> list[str]:
    """MidiGPT's bundles."""
    cells = []
    for number, row in enumerate(rows, 1):
        found = row["scores"]
        best, left = found["best_baseline"], found["others"].get("midigpt-left-only")
        wrote, real = found["written"], found["composers"]
        cells.append(
            [
                f"{number} ({row['date']})",
                row["note"],
                f"{row['megabytes']:g}",
                shown(found["bits_per_note"]),
                shown(left),
                f"{best['mean']:.2f} ({best['name']})",
                *(
                    f"{100 * wrote[m]['mean']:.0f} ({100 * real[m]['mean']:.0f})"
                    for m in ("scale_share", "grid_share", "copied_from_training")
                ),
            ]
        )
    header = [
        "midigpt-small",
        "what is new",
        "MB",
        "bits per note",
        "its left-only twin",
        "best baseline",
        "in the scale, % (composers)",
        "on the grid, %",
        "copied from training, %",
    ]
    return table(header, cells)


def audio_lines(rows: list[dict[str, Any]]) -> list[str]:
    """LDMG's bundles."""
    cells = []
    for number, row in enumerate(rows, 1):
        found = row["scores"]
        kernel, heard = found["kernel"], found["label_heard"]
        near = found["near_training"]["embedding"]
        cells.append(
            [
                f"{number} ({row['date']})",
                row["note"],
                f"{row['megabytes']:g}",
                *(shown(kernel.get(name), 0) for name in ASKED),
                shown(kernel["codec"], 0),
                shown(found["vendi_ratio"]["generated"]),
                f"{100 * heard['generated']['mean']:.0f} ({100 * heard['real']['mean']:.0f})",
                f"{100 * near['mean']:.1f}",
                f"{100 * max(each['mean'] for each in found['silent_rate'].values()):.0f}",
            ]
        )
    asked = [f"kernel distance x 1000, asked {how}" for how in ASKED.values()]
    header = [
        "ldmg-small",
        "what is new",
        "MB",
        *asked,
        "its codec",
        "Vendi score, of real music's",
    ]
    header += ["label heard, % (real)", "near training music, %", "silent, %"]
    return table(header, cells)


def picture(kinds: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw both generators' main number over the bundles."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    bundles = range(1, len(kinds["midigpt"]) + 1)

    def line(axes: Any, at: Any, values: list[dict[str, float]], label: str, colour: str) -> None:
        means = [value["mean"] for value in values]
        spans = [[v["mean"] - v["low"] for v in values], [v["high"] - v["mean"] for v in values]]
        axes.errorbar(at, means, yerr=spans, marker="o", capsize=3, label=label, color=colour)

    scores = [row["scores"] for row in kinds["midigpt"]]
    line(left, bundles, [s["bits_per_note"] for s in scores], "midigpt-small", "#1c6e8c")
    twins = [s["others"].get("midigpt-left-only") for s in scores]
    shifted = [n + 0.06 for n, twin in zip(bundles, twins, strict=True) if twin]
    line(left, shifted, [t for t in twins if t], "left-only twin", "#b5651d")
    left.set(title="MidiGPT", ylabel="bits per note (lower is better)", xticks=list(bundles))
    scores = [row["scores"] for row in kinds["ldmg"]]
    bundles = range(1, len(scores) + 1)
    colours = ("#1c6e8c", "#3f8f4f", "#7a5195")
    for place, ((name, how), colour) in enumerate(zip(ASKED.items(), colours, strict=True)):
        known = [
            (n, s["kernel"][name])
            for n, s in zip(bundles, scores, strict=True)
            if name in s["kernel"]
        ]
        at = [n + 0.04 * (place - 1) for n, _ in known]
        line(right, at, [value for _, value in known], f"asked {how}", colour)
    right.axhline(
        scores[-1]["kernel"]["codec"]["mean"], ls=":", color="grey", label="codec (ceiling)"
    )
    right.set(title="LDMG", ylabel="kernel distance x 1000 (lower is better)", xticks=list(bundles))
    for axes in (left, right):
        axes.set(xlabel="bundle", ylim=(0, None), xlim=(0.6, len(axes.get_xticks()) + 0.4))
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def write_readme() -> None:
    """Write README.md and the picture from the rows."""
    rows = [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()]
    kinds = {kind: [r for r in rows if r["kind"] == kind] for kind in ("midigpt", "ldmg")}
    picture(kinds, HERE / "progress.png")
    lines = [
        "# Every bundle that was shipped",
        "",
        "The main numbers of every bundle, all of one kind on the same held-out music, so that progress can be seen. Intervals are 95 %.",
        "How they were measured, and all others: [infilling](../infilling/README.md), [distance from real music](../distance/README.md).",
        "",
        "![Progress](progress.png)",
        "",
        *symbolic_lines(kinds["midigpt"]),
        *audio_lines(kinds["ldmg"]),
        'Kept with `python benchmarks/quality/run.py BUNDLE EVALUATION --note "what is new"`.',
    ]
    (HERE / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Keep, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", help="name or folder")
    parser.add_argument("measured", nargs="?", type=Path)
    parser.add_argument("--commit", help="of the row that is meant")
    parser.add_argument("--note", default="", help="what is new in this bundle")
    options = parser.parse_args()
    if options.bundle is not None:
        keep(options)
    write_readme()


if __name__ == "__main__":
    main()
