"""`make` on a machine that lacks what is needed: one line says so."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.architecture.source import ROOT

SCRIPTS = {
    "old": "#!/bin/sh\nexit 1\n",
    "without_venv": '#!/bin/sh\ncase "$2" in *version_info*) exit 0;; *) exit 1;; esac\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what `make` reads."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    return subprocess.run(
        ["make", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [("old", "Segue needs Python 3.11, 3.12 or 3.13"), ("without_venv", "lacks the venv module")],
)
@pytest.mark.parametrize("target", ["demo", "test"])
def test_what_is_missing_is_said_in_one_line(
    folder: Path, kind: str, message: str, target: str
) -> None:
    python = folder / "python3"
    python.write_text(SCRIPTS[kind])
    python.chmod(0o755)
    result = make(folder, target, f"PYTHON={python}")
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert message in said[0]
    assert str(python) in said[0]
    assert not list(folder.glob(".venv*"))


def test_help_lists_the_targets(folder: Path) -> None:
    output = make(folder).stdout
    for target in ("demo", "test", "soak", "lint"):
        assert f"\n{target} " in f"\n{output}"
