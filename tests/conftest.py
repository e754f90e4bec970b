"""Fixtures for all tests. Warnings are errors, nothing is downloaded, no test needs real music."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from tests.loopback import Loopback, serve

os.environ.setdefault("MPLBACKEND", "Agg")

# A slow machine is no failure: times are measured under benchmarks/, never in a test.
hypothesis.settings.register_profile(
    "segue", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("segue")

MUSIC_VARIABLE = "SEGUE_TEST_MUSIC"


@pytest.fixture(scope="session")
def music_dir() -> Path:
    """A folder of real MIDI files, which the person who runs the tests names."""
    value = os.environ.get(MUSIC_VARIABLE, "")
    if not value:
        pytest.skip(f"set {MUSIC_VARIABLE} to a folder of MIDI files to run this test")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"{MUSIC_VARIABLE} is {value!r}, which is not a folder")
    return folder


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A random stream of the test's own, the same in every run."""
    from segue.core.seeds import generator

    return generator(0, request.node.nodeid)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture
def run_segue(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command in its own process, in an empty folder."""

    def run(
        *arguments: str | Path, stdin: str | None = None, timeout_s: float = 100
    ) -> subprocess.CompletedProcess[str]:
        words: Sequence[str] = [sys.executable, "-m", "segue", *map(str, arguments)]
        return subprocess.run(
            words,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A web server on this machine, without files yet."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as server:
        yield server
