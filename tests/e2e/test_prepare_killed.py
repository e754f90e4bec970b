"""Preparation killed by the system at any moment goes on, and ends with the same bytes."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.corpora import corpus

from segue.symbolic.data.prepare import PrepareSettings, prepare

SETTINGS = {"notes_per_shard": 900, "split": {"valid_share": 0.2}}

PROGRAM = """
import contextlib, sys, time
from segue.symbolic.data.prepare import PrepareSettings, prepare

@contextlib.contextmanager
def wait_at(label, *, total=None):
    calls = 0
    def advance(count=1):
        nonlocal calls
        calls += 1
        if [label, str(calls)] == sys.argv[3:]:
            print("now", flush=True)
            time.sleep(600)
    yield advance

if __name__ == "__main__":
    settings = PrepareSettings.model_validate({settings!r})
    prepare([sys.argv[1]], sys.argv[2], settings, workers=1, progress=wait_at)
"""


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("moment", [("reading", "1"), ("comparing", "1"), ("encoding", "3")])
def test_a_killed_preparation_goes_on(tmp_path: Path, moment: tuple[str, str]) -> None:
    music, target = corpus(tmp_path / "music", 40), tmp_path / "out"
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(settings=SETTINGS))
    command = [sys.executable, script, music, target]
    with subprocess.Popen([*command, *moment], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.kill()
    assert not (target / "dataset.json").exists()
    done = {path: path.stat().st_mtime_ns for path in (target / "stage").glob("*-?????.json*")}
    assert done
    subprocess.run(command, check=True, timeout=100)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in done.items())
    prepare([music], tmp_path / "whole", PrepareSettings.model_validate(SETTINGS), workers=0)
    assert contents(target) == contents(tmp_path / "whole")
