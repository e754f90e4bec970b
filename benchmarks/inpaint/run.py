"""How long a musician waits: the whole command, from process start to file.

Bars 13 to 16 of one track of the demo quartet are written with eight bars and more of all four tracks in
view. Measured are wall-clock seconds of `segue midi inpaint` for one and for four candidates, of
`segue --help`, and the time from the call until the first note is there, in turn, so that a machine whose
speed drifts treats them alike. Each run appends a line to results.jsonl.

    python benchmarks/inpaint/run.py [--repeat 7]
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BARS = "13-16"

FIRST_NOTE = """
import sys, time
begin = time.perf_counter()
from segue.symbolic.generate import NoteWritten
from segue.symbolic.song import open_piece
class Heard(Exception): pass
def listen(event):
    if isinstance(event, NoteWritten):
        raise Heard
try:
    open_piece(sys.argv[1]).inpaint(bars=sys.argv[2], tracks=[0], on_event=listen)
except Heard:
    print(time.perf_counter() - begin)
"""


def seconds_of(words: list[str], folder: Path) -> float:
    """Run a command and return its wall-clock seconds."""
    begin = time.perf_counter()
    subprocess.run(words, check=True, cwd=folder, capture_output=True)
    return time.perf_counter() - begin


def measure(folder: Path, repeat: int) -> dict[str, list[float]]:
    """Return the seconds of every kind of call, `repeat` of each, in turn."""
    from segue.symbolic.demo_piece import demo_piece

    piece = folder / "quartet.mid"
    piece.write_bytes(demo_piece("quartet"))
    segue = [sys.executable, "-m", "segue"]
    fill = [*segue, "midi", "inpaint", str(piece), "--bars", BARS, "--tracks", "0", "-o", "out.mid"]
    calls = {
        "help": [*segue, "--help"],
        "one candidate": fill,
        "four candidates": [*fill, "--candidates", "4"],
    }
    found: dict[str, list[float]] = {name: [] for name in [*calls, "first note"]}
    for _ in range(repeat):
        for name, words in calls.items():
            found[name].append(seconds_of(words, folder))
        words = [sys.executable, "-c", FIRST_NOTE, str(piece), BARS]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found["first note"].append(float(done.stdout))
    return found


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), repeat)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "n": repeat,
        "seconds": {
            name: {
                "median": round(statistics.median(values), 3),
                "min": round(min(values), 3),
                "max": round(max(values), 3),
            }
            for name, values in found.items()
        },
    }
    with (HERE / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
