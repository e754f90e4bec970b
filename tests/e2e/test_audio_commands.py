"""The real commands on sound: no PyTorch, constant memory, nothing half-written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.tiny_audio import RATE_HZ, write_tiny_bundle

from segue.audio.loaded import DEFAULT_BUNDLE
from segue.runtime.bundle import list_bundles

SLOPE_BYTES_PER_MINUTE = 960_000
"""What a process may seem to grow by over three minutes: half of the 1,920,000 bytes that a minute at 8 kHz
would take if it were kept. So short a run shows from -150,000 to 430,000 of the allocator's own."""

SOAK_BYTES_PER_MINUTE = 30_000
"""What it may grow by over thirty minutes, where the allocator's share is lost."""

_MEASURED = """
import sys
from segue.audio import generate as making
from segue.audio.generate import Maker
from segue.audio.loaded import AudioModel
from segue.audio.sound import Tape
import psutil

making.Tape = lambda rate_hz, channels: Tape(rate_hz, channels, in_memory_values=0)
model = AudioModel.open(sys.argv[1], threads=1)
process, seconds = psutil.Process(), [0.0]
cut = making.cut

def watched(blocks, *, skip, length):
    for block in cut(blocks, skip=skip, length=length):
        yield block
        seconds[0] += block.shape[1] / model.codec.rate_hz
        print(seconds[0], process.memory_info().rss)

making.cut = watched
tape = making.generate(Maker(model, model.settings(steps=1)), float(sys.argv[2]))
assert tape.num_samples == round(float(sys.argv[2]) * model.codec.rate_hz)
"""


def slope(bundle: Path | str, seconds: float) -> float:
    """Bytes that the process grows by in a minute of sound, the first quarter left out."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(bundle), str(seconds)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = np.array([[float(word) for word in line.split()] for line in done.stdout.splitlines()])
    rows = rows[rows[:, 0] > seconds / 4]
    assert len(rows) > 20
    return 60 * float(np.polyfit(*rows.T, 1)[0])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("e2e") / "b").folder


def test_three_minutes_do_not_grow(bundle: Path) -> None:
    assert slope(bundle, 180) < SLOPE_BYTES_PER_MINUTE


@pytest.mark.soak
@pytest.mark.parametrize("model", ["tiny", DEFAULT_BUNDLE])
def test_thirty_minutes_do_not_grow(bundle: Path, model: str, record_testsuite_property) -> None:
    if model != "tiny" and model not in [shipped.folder.name for shipped in list_bundles()]:
        pytest.skip("needs the shipped bundle")
    found = slope(bundle if model == "tiny" else model, 1800)
    record_testsuite_property(f"{model}_bytes_per_minute", round(found))
    assert found < SOAK_BYTES_PER_MINUTE


def test_the_command_from_nothing_to_a_file(run_segue, bundle: Path, tmp_path: Path) -> None:
    done = run_segue(
        "audio", "generate", "--seconds", "2", "-m", bundle, "-o", "a.wav", "--picture"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["a.wav", "a.png"]
    assert soundfile.info(tmp_path / "a.wav").frames == 2 * RATE_HZ
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.wav"]


def test_generating_imports_nothing_that_trains(bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom segue.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as left:\n    assert not left.code, left.code\n"
        "bad = {'torch', 'lightning', 'onnx', 'scipy', 'matplotlib', 'symusic', 'pyloudnorm'}\n"
        "found = bad & set(sys.modules)\nassert not found, found\n"
    )
    words = ["audio", "generate", "-s", "1", "-m", str(bundle), "-o", str(tmp_path / "a.wav")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_killed_command_leaves_nothing_half_written(bundle: Path, tmp_path: Path) -> None:
    words = ["audio", "generate", "-s", "20000", "-m", str(bundle), "-o", "long.wav"]
    process = subprocess.Popen(
        [sys.executable, "-m", "segue", *words], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)
    finally:
        process.terminate()
        process.wait()
    assert not list(tmp_path.iterdir())
