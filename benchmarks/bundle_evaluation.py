"""Put what was measured of the shipped bundles into them, as `evaluation.json`.

    python benchmarks/bundle_evaluation.py            # write it, and the manifests
    python benchmarks/bundle_evaluation.py --check    # only say whether it is up to date

The numbers are those of `infilling`, `distance`, `reconstruction` and `generate` beside this file: of each,
the latest row of the bundle that ships. The studio shows them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
HOMES = (ROOT / "src" / "segue" / "weights", ROOT / "bundles")
ALL = "all tasks"
NAME = "evaluation.json"
TASKS = {
    "one_bar": "1 bar", "four_bars": "4 bars", "one_track": "1 track", "cells_50": "half of all cells",
    "beat_span": "some beats", "continuation": "continue", "accompaniment": "accompany",
}  # fmt: skip
SEEN = {"none": "nothing", "past": "past", "past_future": "past and future", "all": "all tracks"}
WRITTEN = {
    "note_f1": "same notes (F1)", "chroma_similarity": "same pitch classes",
    "groove_similarity": "same rhythm", "seam": "seam", "diversity": "diversity",
}  # fmt: skip
BUNDLE_RATE = "about 5"
"""kbit/s of the shipped autoencoder, as its card says."""
Table = dict[str, Any]


def rows(name: str) -> list[dict[str, Any]]:
    """What a benchmark has kept, oldest first."""
    text = (HERE / name / "results.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def shown(value: dict[str, Any] | None, digits: int = 2) -> str:
    """An estimate and its 95 % interval."""
    if value is None:
        return ""
    mean, low, high = (f"{value[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def rate(kbits: float | None) -> str:
    """A rate of Opus, or that of the bundle."""
    return BUNDLE_RATE if kbits is None else f"{kbits:.1f}"


def share(value: dict[str, Any]) -> str:
    """An estimate in percent."""
    return shown({name: 100 * value[name] for name in ("mean", "low", "high")}, 0)


def table(title: str, note: str, columns: list[str], cells: list[list[str]]) -> Table:
    """A table as the studio shows it."""
    return {"title": title, "note": note, "columns": columns, "rows": cells}


def of_notes(name: str) -> list[Table]:
    """The tables of a bundle that writes notes."""
    found = [row for row in rows("infilling") if row["model"] == name][-1]
    costs, filled = found["bits_per_note"], found["fillings"]
    order = sorted(costs[ALL], key=lambda system: costs[ALL][system]["bits_per_note"]["mean"])
    when = f"{found['pieces']} held-out pieces, {found['date']}; 95 % intervals over pieces."
    return [
        table(
            "What the notes of composers cost the model",
            f"Bits per note of the region that was taken out; lower is better. {when}",
            ["system", ALL, *TASKS.values()],
            [
                [
                    system,
                    shown(costs[ALL][system]["bits_per_note"]),
                    *(f"{costs[task][system]['bits_per_note']['mean']:.2f}" for task in TASKS),
                ]
                for system in order
            ],
        ),
        table(
            "What the context gives",
            f"Bits per note of {name}, by what it sees around the hole.",
            ["hole", *SEEN.values()],
            [
                [TASKS[task], *(shown(seen.get(key)) for key in SEEN)]
                for task, seen in found["sights"].items()
            ],
        ),
        table(
            "What was written",
            "Compared with what the composer wrote: 1 is the same, the seam of the original is 0. "
            "Diversity is how different the candidates are.",
            ["system", *WRITTEN.values()],
            [
                [system, *(shown(measured.get(key)) for key in WRITTEN)]
                for system, measured in filled[ALL].items()
            ],
        ),
    ]


def of_sound(name: str) -> list[Table]:
    """The tables of a bundle that writes sound."""
    found = [
        row for row in rows("distance")
        if row["model"] == name and "not shipped" not in row.get("note", "")
    ][-1]  # fmt: skip
    titles = {key: value["title"] for key, value in found["collections"].items()}
    measured = found["distances"]["musicnn"]
    judged, health = found["adherence"], found["health"]
    heard = [("real", judged["real"]), *judged["collections"].items()]
    how = (
        f"{found['settings']['clips']} clips of {found['settings']['seconds']:g} s, {found['date']}"
    )
    return [
        table(
            "How far from real music",
            "Kernel audio distance (x 1000) and Fréchet distance of musicnn embeddings from 200 real "
            f"clips; lower is better, real clips of other recordings are the floor. {how}; 95 % "
            "intervals over recordings.",
            ["clips", "kernel", "Fréchet"],
            [
                [titles[row["name"]], shown(row["kernel"], 0), shown(row["frechet"], 1)]
                for row in sorted(measured["rows"], key=lambda row: row["kernel"]["mean"])
            ],
        ),
        reconstructions(name),
        table(
            "Variety and level",
            "Spread and Vendi score as parts of those of real music, 1 is as varied; silent clips in "
            "percent; loudness in LUFS.",
            ["clips", "spread", "Vendi score", "silent", "loudness"],
            [
                [
                    titles[key],
                    shown(found["diversity"].get(key, {}).get("distance_ratio")),
                    shown(found["diversity"].get(key, {}).get("vendi_ratio")),
                    share(value["silent_rate"]),
                    shown(value["loudness_lufs"], 1),
                ]
                for key, value in health.items()
            ],
        ),
        table(
            "Is what was asked for heard?",
            f"Labels that a judge of real music hears, percent; guessing {100 * judged['real']['chance']:.0f}.",
            ["clips", "right"],
            [[titles[key], share(value["accuracy"])] for key, value in heard],
        ),
        table(
            "Copies of the training music",
            "Generated clips nearer to it than 95 % of real, held-out ones; 5 % of real clips are.",
            ["measure", "clips", "percent"],
            [
                [key, str(value["num_generated"]), share(value["flag_rate"])]
                for key, value in found["memorisation"].items()
            ],
        ),
        steps(name),
    ]  # fmt: skip


def reconstructions(name: str) -> Table:
    """What the autoencoder alone does, beside Opus."""
    kept = [r for r in rows("reconstruction") if r["codec"].startswith(("Opus", f"segue {name}"))]
    return table(
        "Encoded and decoded",
        "Distances of spectra from the original, of held-out music; lower is better.",
        ["codec", "kbit/s", "recordings", "STFT", "mel", "log-spectral, dB"],
        [
            [
                row["codec"].removeprefix("segue "),
                rate(row["kbit_per_second"]),
                f"{row['n']} of {row['set']}",
                *(
                    shown(dict(zip(("mean", "low", "high"), row[key], strict=True)))
                    for key in ("stft", "mel", "log_spectral_db")
                ),
            ]
            for row in kept
        ],
    )


def steps(name: str) -> Table:
    """What more steps of the sampler give, and cost."""
    return table(
        "Steps of the sampler",
        "Seconds for 10 s of sound on one thread, and kernel distance (x 1000) of 32 clips.",
        ["steps", "seconds", "kernel"],
        [
            [str(row["steps"]), f"{row['seconds'][0]:.2f}", f"{row['kernel_distance'][0]:.0f}"]
            for row in rows("generate")
            if row["bundle"] == name
        ],
    )


EVALUATIONS = {"midigpt-small": of_notes, "ldmg-small": of_sound}


def put(folder: Path, content: str, *, check: bool) -> bool:
    """Write a bundle's evaluation and its hash; say whether it was there already."""
    sys.path.insert(0, str(ROOT / "src"))
    from segue.core.files import sha256_of, write_text

    path, manifest = folder / NAME, folder / "manifest.json"
    if path.is_file() and path.read_text("utf-8") == content:
        return True
    if not check:
        write_text(path, content)
        sums = json.loads(manifest.read_text("utf-8"))
        sums["sha256"] = dict(sorted((sums["sha256"] | {NAME: sha256_of(path)}).items()))
        write_text(manifest, json.dumps(sums, indent=2) + "\n")
    return False


def main() -> None:
    """Write, or check, the evaluations of all bundles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if not up to date"
    )
    check = parser.parse_args().check
    same = True
    for name, tables in EVALUATIONS.items():
        content = json.dumps({"tables": tables(name)}, indent=1, ensure_ascii=False) + "\n"
        for home in HOMES:
            if (home / name).is_dir():
                same = put(home / name, content, check=check) and same
    if check and not same:
        sys.exit("evaluation.json is not up to date: run python benchmarks/bundle_evaluation.py")


if __name__ == "__main__":
    main()
