"""How should tokens be drawn? The same holes of the validation split, filled with several settings.

    python benchmarks/sampling/run.py PREPARED MUSIC [--model midigpt-small] [--pieces 40]

PREPARED is what `segue midi prepare` wrote, MUSIC the folder that it read. In every piece four or eight bars of
all instruments are taken out and written again with each setting, then with the last one of them as four candidates.
Counted are notes, the share of onsets in a track that only repeat the pitches of the onset before, and the
share of notes in the seven commonest pitch classes of what stays. README.md is made again after every run.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import segue
from segue.core.seeds import generator
from segue.core.statistics import bootstrap
from segue.runtime.bundle import Bundle
from segue.symbolic.loaded import MidiModel
from segue.symbolic.score import Piece

HERE = Path(__file__).parent
SETTINGS = ((0.9, 0.95), (1.0, 0.99), (1.05, 0.98), (1.1, 0.97), (1.0, 0.98))
CANDIDATES = 4
FEWEST_NOTES = 8
FEWEST_BARS = 24
Counts = tuple[int, int, int, int]
"""Onsets that repeat, onsets that could, notes in the scale, notes."""


def split_notes(piece: Piece, first: int, last: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return the pitched notes that begin in some bars, counted from 1, and all others."""
    starts = piece.bars.start_ticks
    notes = piece.notes[~piece.notes["is_drum"]]
    onsets = notes["onset_ticks"]
    end = starts[last] if last < len(starts) else onsets.max(initial=0) + 1
    inside = (onsets >= starts[first - 1]) & (onsets < end)
    return notes[inside], notes[~inside]


def count(notes: NDArray[np.void], around: NDArray[np.void]) -> Counts:
    """Count what was written."""
    classes = np.bincount(around["pitch"] % 12, minlength=12)
    scale = np.argsort(-classes, kind="stable")[:7]
    repeated = onsets = 0
    for track in np.unique(notes["track"]):
        mine = notes[notes["track"] == track]
        chords = [
            tuple(sorted(mine["pitch"][mine["onset_ticks"] == onset].tolist()))
            for onset in np.unique(mine["onset_ticks"])
        ]
        repeated += sum(a == b for a, b in itertools.pairwise(chords))
        onsets += max(len(chords) - 1, 0)
    return repeated, onsets, int(np.isin(notes["pitch"] % 12, scale).sum()), len(notes)


def measure(prepared: Path, music: Path, model: MidiModel, pieces: int) -> dict[str, list[Counts]]:
    """Fill the holes; return the counts of every setting, piece by piece."""
    lines = (prepared / "pieces.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "valid"]
    order = generator(0, "sampling", "pieces").permutation(len(rows))
    found: dict[str, list[Counts]] = {}
    for number in order:
        if len(found.get("composers", [])) >= pieces:
            break
        piece = segue.open(music / rows[number]["path"])
        bars = 4 + 4 * (number % 2)
        rng = generator(0, "sampling", "region", int(number))
        if piece.bars.num_bars < FEWEST_BARS:
            continue
        first = int(rng.integers(5, piece.bars.num_bars - bars))
        last = first + bars - 1
        original, around = split_notes(piece, first, last)
        if len(original) < FEWEST_NOTES or not len(around):
            continue
        found.setdefault("composers", []).append(count(original, around))
        for temperature, top_p in SETTINGS:
            wanted = CANDIDATES if (temperature, top_p) == SETTINGS[-1] else 1
            for candidates in sorted({1, wanted}):
                fillings = piece.inpaint(
                    bars=(first, last),
                    temperature=temperature,
                    top_p=top_p,
                    seed=int(number),
                    candidates=candidates,
                    model=model,
                )
                for rank, filling in enumerate(fillings, 1):
                    name = f"temperature {temperature:g}, top-p {top_p:g}"
                    name += f", candidate {rank} of {candidates}" if candidates > 1 else ""
                    notes, _ = split_notes(filling.piece, first, last)
                    found.setdefault(name, []).append(count(notes, around))
        print(len(found["composers"]), rows[number]["path"], flush=True)
    return found


def table(found: dict[str, list[Counts]]) -> str:
    """Return the counts as a table, with intervals over pieces."""
    lines = ["| | notes | onsets that repeat, % | notes in the scale, % |", "|---|---:|---:|---:|"]
    for name, rows in found.items():
        counts = np.array(rows, np.float64)
        cells = []
        for part, whole in ((0, 1), (2, 3)):
            some = counts[:, whole] > 0
            share = bootstrap(
                100 * counts[some, part] / counts[some, whole],
                generator(0, "sampling", name, part),
                weights=counts[some, whole],
            )
            cells.append(f"{share.mean:.1f} ({share.low:.1f} to {share.high:.1f})")
        lines.append(f"| {name} | {int(counts[:, 3].sum()):,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, store, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("music", type=Path)
    parser.add_argument("--model", default="midigpt-small")
    parser.add_argument("--pieces", type=int, default=40)
    given = parser.parse_args()
    model = MidiModel.open(given.model)
    found = measure(given.prepared, given.music, model, given.pieces)
    name = Bundle.open(given.model).name
    (HERE / "results.json").write_text(json.dumps({"model": name, "counts": found}) + "\n")
    page = (HERE / "README.template.md").read_text(encoding="utf-8")
    pieces = str(len(found["composers"]))
    page = page.replace("{{pieces}}", pieces).replace("{{table}}", table(found))
    (HERE / "README.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
