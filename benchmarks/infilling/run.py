"""How well does a bundle fill holes, beside everything it should beat? The shipped evaluation, kept.

    segue midi evaluate BUNDLE --data TEST -o FOLDER --train PREPARED --baselines FITTED --beside OTHERS...
    python benchmarks/infilling/run.py FOLDER      # keep its regions and numbers, write README.md
    python benchmarks/infilling/run.py             # only write README.md

The regions (masks.jsonl) name pieces by path and SHA-256, so that anybody who has the pieces can fill the
same holes with another program.
"""

import argparse
import datetime
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
MASKS = HERE / "masks.jsonl"
ALL = "all tasks"
SHORT = {
    "one_bar": "1 bar", "four_bars": "4 bars", "one_track": "1 track", "cells_25": "25 %",
    "cells_50": "50 %", "cells_75": "75 %", "beat_span": "beats", "continuation": "continue",
    "accompaniment": "accompany",
}  # fmt: skip
WRITTEN = ("note_f1", "chroma_similarity", "groove_similarity", "seam", "diversity")
COPIES = (
    "copied_from_context",
    "copied_from_training",
    "empty_bar_rate",
    "scale_share",
    "grid_share",
)


def keep(folder: Path) -> None:
    """Keep the regions and the numbers of an evaluation."""
    numbers = json.loads((folder / "metrics.json").read_text("utf-8"))
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    row = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": platform.machine(),
        **numbers,
    }
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    shutil.copyfile(folder / "masks.jsonl", MASKS)


def shown(value: dict[str, Any] | None, digits: int = 2) -> str:
    """An estimate and its interval."""
    if value is None:
        return ""
    low, high = value["low"], value["high"]
    return f"{value['mean']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, numbers to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)] + [""]


def likelihood_lines(row: dict[str, Any]) -> list[str]:
    """What the notes cost."""
    costs = row["bits_per_note"]
    order = sorted(costs[ALL], key=lambda name: costs[ALL][name]["bits_per_note"]["mean"])
    kinds = list(costs[ALL][order[0]]["by_kind"])
    first = [
        [
            name,
            shown(costs[ALL][name]["bits_per_note"]),
            shown(row["above_the_model"].get(name)),
            *(f"{costs[ALL][name]['by_kind'][kind]:.2f}" for kind in kinds),
        ]
        for name in order
    ]
    tasks = [task for task in costs if task != ALL]
    second = [
        [
            n,
            *(
                f"{costs[t][n]['bits_per_note']['mean']:.2f}" if n in costs[t] else ""
                for t in tasks
            ),
        ]
        for n in order
    ]
    sights = row["sights"]
    third = [
        [SHORT[t], *(shown(sights[t].get(s)) for s in ("none", "past", "past_future", "all"))]
        for t in sights
    ]
    lines = table(["bits per note", "all tasks", f"above {row['model']}", *kinds], first)
    lines += ["By task:", "", *table(["bits per note", *(SHORT[t] for t in tasks)], second)]
    header = ["what is seen", "nothing", "past", "past and future", "all"]
    lines += [f"What the context gives {row['model']}:", "", *table(header, third)]
    subsets = row["by_contamination"]
    if subsets:
        names = [name for name in order if all(name in subset for subset in subsets.values())]
        rows = [
            [n, *(shown(subset[n]["bits_per_note"]) for subset in subsets.values())] for n in names
        ]
        lines += [
            (
                f"{row['contaminated_pieces']} of {row['pieces']} pieces have a near duplicate in the "
                "training music:"
            ),
            "",
            *table(["bits per note", *subsets], rows),
        ]
    return lines


def filling_lines(row: dict[str, Any]) -> list[str]:
    """What was written."""
    fillings = row["fillings"][ALL]
    lines = []
    for names in (WRITTEN, COPIES):
        present = [name for name in names if any(name in cells for cells in fillings.values())]
        header = ["all tasks", *(name.replace("_", " ") for name in present)]
        rows = [[n, *(shown(cells.get(m)) for m in present)] for n, cells in fillings.items()]
        lines += table(header, rows)
    return lines


def write_readme() -> None:
    """Write README.md from the last row."""
    rows = [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()]
    row = rows[-1]
    template = (HERE / "README.template.md").read_text("utf-8")
    counts = "; ".join(
        f"{name}: {', '.join(f'{SHORT[task]} {count}' for task, count in by_task.items())}"
        for name, by_task in row["regions"].items()
    )
    settings = row["settings"]
    facts = (
        f"{row['date']}, commit {row['commit']}: {row['pieces']} pieces, seed {settings['seed']}; regions "
        f"{counts}; of each task {settings['regions']} for the likelihood and "
        f"{settings['filled']} that are filled, {settings['samples']} times (2 by baselines)."
    )
    parts = {
        "FACTS": facts,
        "LIKELIHOOD": "\n".join(likelihood_lines(row)),
        "FILLINGS": "\n".join(filling_lines(row)),
    }
    for name, text in parts.items():
        template = template.replace("{" + name + "}", text)
    (HERE / "README.md").write_text(template, encoding="utf-8")


def main() -> None:
    """Keep, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    options = parser.parse_args()
    if options.folder is not None:
        keep(options.folder)
    write_readme()


if __name__ == "__main__":
    main()
