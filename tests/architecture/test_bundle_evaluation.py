"""What a bundle brings of its evaluation is what the benchmarks hold."""

import subprocess
import sys

from tests.architecture.source import ROOT


def test_the_evaluations_of_the_bundles_are_current() -> None:
    script = ROOT / "benchmarks" / "bundle_evaluation.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
