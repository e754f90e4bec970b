"""Run the long counts (`make soak`) and keep what they found.

    python benchmarks/soak/run.py [PYTEST ARGUMENTS ...]

Each test's outcome, seconds and recorded figures are added to results.jsonl. Tests over real music need
SEGUE_TEST_MUSIC, a folder of MIDI files; without it they are skipped, and that is written down too.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent


def outcome(case: ET.Element) -> str:
    """How a test ended."""
    for kind in ("failure", "error", "skipped"):
        if case.find(kind) is not None:
            return kind
    return "passed"


def main() -> int:
    """Run, store and print."""
    root = HERE.parents[1]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-m", "soak", "--timeout", "0"]
        status = subprocess.run(
            [*words, f"--junitxml={report}", *sys.argv[1:]], cwd=root, check=False
        ).returncode
        suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "real music": "SEGUE_TEST_MUSIC" in os.environ,
        "figures": {p.get("name"): p.get("value") for p in suite.iter("property")},
        "tests": {
            f"{case.get('classname')}::{case.get('name')}": {
                "outcome": outcome(case),
                "seconds": round(float(case.get("time", 0)), 1),
            }
            for case in suite.iter("testcase")
            if case.get("name")
        },
    }
    with (HERE / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")
    print(json.dumps(result, indent=2))
    return status


if __name__ == "__main__":
    sys.exit(main())
