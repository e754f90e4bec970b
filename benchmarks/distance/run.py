"""How far from real music is a model, beside everything it is compared with? The shipped evaluation, kept.

segue audio evaluate BUNDLE --data PREPARED -o FOLDER --clips-of original=CLIPS
python benchmarks/distance/run.py FOLDER      # keep its numbers and pictures, write README.md
python benchmarks/distance/run.py FOLDER --held-out   # the same, of music that no training saw
python benchmarks/distance/run.py             # only write README.md
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
HELD_OUT = HERE / "held-out.jsonl"
PICTURE = "kernel-distance-musicnn-msd-penultimate.png"
MEASURES = {
    "stft": "STFT",
    "mel": "mel",
    "log_spectral_db": "log-spectral, dB",
    "si_sdr_db": "SI-SDR, dB",
}


def keep(folder: Path, note: str, results: Path) -> None:
    """Keep the numbers of an evaluation in a file of rows."""
    numbers = json.loads((folder / "metrics.json").read_text("utf-8"))
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    row = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": platform.machine(),
        "note": note,
        **numbers,
    }
    with results.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    if results == RESULTS:
        shutil.copyfile(folder / "pictures" / PICTURE, HERE / PICTURE)


def shown(value: dict[str, Any] | None, digits: int = 1, scale: float = 1.0) -> str:
    """An estimate and its interval."""
    if value is None:
        return ""
    mean, low, high = (f"{scale * value[k]:.{digits}f}" for k in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, numbers to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)] + [""]


def distance_lines(row: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Distances from the reference in one embedding."""
    floor, frechet = found["kernel_floor"], found["frechet_floor"]
    titles = {name: each["title"] for name, each in row["collections"].items()}
    rows = []
    for each in sorted(found["rows"], key=lambda one: one["kernel"]["mean"]):
        infinity, matched = each["frechet_infinity"], each["frechet_at_floor"]
        rows.append(
            [
                titles.get(each["name"], each["name"]),
                str(each["num_clips"]),
                shown(each["kernel"]),
                shown(each["frechet"]),
                "" if infinity is None else f"{infinity['value']:.1f} (R² {infinity['r2']:.2f})",
                "" if matched is None else f"{matched:.1f}",
            ]
        )
    header = [
        "collection",
        "clips",
        "kernel x 1000",
        "Fréchet",
        "extrapolated",
        "at the floor's number",
    ]
    return [
        (
            f"{found['embedding']}; reference: {found['num_reference_clips']} clips of "
            f"{found['num_reference_recordings']} recordings. Real against real: kernel {floor['mean']:.1f}, 97.5 % below "
            f"{floor['high']:.1f}; Fréchet with {frechet['num_recordings']} recordings a side {frechet['mean']:.1f}, 97.5 % below "
            f"{frechet['high']:.1f}."
        ),
        "",
        *table(header, rows),
    ]


def other_lines(row: dict[str, Any]) -> list[str]:
    """Reconstruction, latents, health, diversity, copies, labels."""
    titles = {name: each["title"] for name, each in row["collections"].items()}
    pairs = row["reconstruction"]
    deck = pairs["real"]["log_spectral_distance_of_halved_spectrogram"]
    rows = [
        [titles[name], *(shown(found.get(m), 2) for m in MEASURES)]
        for name, found in pairs.items()
        if "stft" in found
    ]
    lines = ["## Encoded and decoded", "", *table(["", *MEASURES.values()], rows)]
    lines += [f"The deck's halved spectrogram, compared as a spectrogram: {shown(deck, 2)} dB.", ""]
    sliced = row["sliced_wasserstein"]
    floor = next(iter(sliced.values()))["floor"]
    lines += [
        "## Latents",
        "",
        (
            f"Sliced Wasserstein distance of normalised latents from those of real clips; two halves of the real ones: "
            f"{floor['mean']:.4f}, 97.5 % below {floor['high']:.4f}."
        ),
        "",
        *table(["", "distance"], [[titles[n], shown(f["distance"], 4)] for n, f in sliced.items()]),
        "## Level, silence, diversity, copies, labels",
        "",
    ]
    rows = []
    for name, found in row["health"].items():
        spread = row["diversity"].get(name)
        rows.append(
            [
                titles[name],
                shown(found["silent_rate"], 1, 100),
                shown(found["loudness_lufs"]),
                "" if spread is None else shown(spread["distance_ratio"], 2),
                "" if spread is None else shown(spread["vendi_ratio"], 2),
            ]
        )
    lines += table(["", "silent, %", "LUFS", "spread, of real's", "Vendi score, of real's"], rows)
    rows = [
        [name, str(f["num_generated"]), str(f["num_real"]), shown(f["flag_rate"], 1, 100)]
        for name, f in row["memorisation"].items()
    ]
    lines += table(
        ["nearer to training music than 95 % of held-out clips", "generated", "held out", "%"], rows
    )
    heard = row["adherence"]
    if heard:
        named = {
            "real clips": heard["real"],
            **{titles[n]: f for n, f in heard["collections"].items()},
        }
        rows = [
            [
                n,
                shown(f["accuracy"], 1, 100),
                f"{100 * f['mean_recall']:.0f}",
                f"{100 * f['chance']:.0f}",
                shown(f["rank"]),
            ]
            for n, f in named.items()
        ]
        header = [
            "label heard by a judge of real music",
            "right, %",
            "mean over labels, %",
            "guessing, %",
            "place of the right one",
        ]
        lines += [*table(header, rows), f"Labels told apart: {', '.join(heard['labels'])}.", ""]
    return lines


def held_out_lines() -> list[str]:
    """What was measured on music that no training saw."""
    row = [json.loads(line) for line in HELD_OUT.read_text("utf-8").splitlines()][-1]
    lines = [
        "## On music that no training saw",
        "",
        f"{row['date']}, {row['model']}. {row['note']}",
        "",
    ]
    for found in row["distances"].values():
        lines += distance_lines(row, found)
    silent = [row["health"][name]["silent_rate"]["mean"] for name in row["health"]]
    lines += [f"Silent clips, of all collections: {100 * max(silent):.0f} % at most.", ""]
    return lines


def write_readme() -> None:
    """Write README.md from the last row."""
    row = [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()][-1]
    settings, sampling = row["settings"], row["sampling"]
    lines = [
        "# How far from real music?",
        "",
        (
            "`segue audio evaluate`, kept: a model beside other real music (the floor), its codec (the ceiling), Opus, its prior, and "
            "the source deck's system. Intervals are 95 % over recordings; how each number is made: "
            "[docs/explanation/metrics.md](../../docs/explanation/metrics.md)."
        ),
        "",
        (
            f"{row['date']}, commit {row['commit']}, {row['model']}: {settings['clips']} clips of {settings['seconds']:g} s asked for, "
            f"seed {settings['seed']}, {sampling['sampler']} with {sampling['steps']} steps, guidance {sampling['guidance']:g}. {row['note']}"
        ),
        "",
    ]
    for found in row["distances"].values():
        lines += distance_lines(row, found)
    for name, found in row["equal_numbers"].items():
        lines += [f"With as many of all as there are of {name}:", "", *distance_lines(row, found)]
    lines += [f"![Kernel distances]({PICTURE})", "", *other_lines(row)]
    lines += [*(f"Left out: {reason}." for reason in row["left_out"]), ""]
    lines += held_out_lines()
    lines += [
        "Repeat with `segue audio evaluate BUNDLE --data PREPARED -o FOLDER` and `python benchmarks/distance/run.py FOLDER`.",
    ]
    (HERE / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Keep, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--note", default="", help="what a reader must know of this row")
    parser.add_argument("--held-out", action="store_true", help="music that no training saw")
    options = parser.parse_args()
    if options.folder is not None:
        keep(options.folder, options.note, HELD_OUT if options.held_out else RESULTS)
    write_readme()


if __name__ == "__main__":
    main()
