"""The tools look where they should, and the contracts know every module."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.source import ROOT, SOURCE, committed_files, parsed


def run(*words: str) -> str:
    """Run a tool of this environment in the root; return what it printed."""
    tool = shutil.which(words[0], path=str(Path(sys.executable).parent)) or words[0]
    result = subprocess.run(
        [tool, *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    return result.stdout + result.stderr


def test_ruff_visits_every_python_file() -> None:
    shown = {Path(line) for line in run("ruff", "check", "--show-files").splitlines()}
    python = {path for path in committed_files() if path.suffix == ".py"}
    assert len(python) > 50
    assert python - shown == set()


def test_mypy_is_told_of_the_whole_package() -> None:
    """Running it is `make lint`'s part: with an empty cache it takes minutes."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"]
    folders = [ROOT / name for name in settings["files"]]
    assert all(any(path.is_relative_to(f) for f in folders) for path in SOURCE.rglob("*.py"))
    assert "exclude" not in settings


def test_import_linter_visits_the_whole_package_and_keeps_every_contract() -> None:
    output = run("lint-imports", "--no-cache")
    match = re.search(r"Analyzed (\d+) files, (\d+) dependencies", output)
    assert match is not None
    assert int(match[1]) >= len(parsed())
    assert int(match[2]) > 50
    assert "0 broken" in output, output


def test_pytest_looks_at_every_test_file() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = [ROOT / name for name in settings["testpaths"]]
    tests = [path for path in committed_files() if path.name.startswith("test_")]
    assert len(tests) > 10
    assert [path for path in tests if not any(path.is_relative_to(f) for f in folders)] == []


def test_the_indirect_torch_contract_lists_every_module_of_the_inference_path() -> None:
    """A new module is on the inference path unless it is named as one that trains."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(c for c in settings["contracts"] if c.get("id") == "inference-without-torch")
    listed = set(contract["source_modules"])
    trains = re.compile(
        r"segue(\.__main__|\.cli.*|\.training.*|\.recipes.*|\.weights.*|\.runtime\.torch_backend"
        r"|\.symbolic|\.symbolic\.(model|data|evaluate).*|\.runtime|"
        r"\.audio|\.audio\.(autoencoder|data|evaluate).*|\.audio\.(bundling|original_attention)|"
        r"\.audio\.diffusion(\.(conditioning|distil|export|fit|original|recipe|task|transformer|weights))?|)"
    )
    for path in parsed():
        name = ".".join(path.relative_to("src").with_suffix("").parts).removesuffix(".__init__")
        covered = any(name == item or name.startswith(f"{item}.") for item in listed)
        assert covered or trains.fullmatch(name), f"{name} has no place in the contract"


def test_the_package_is_marked_as_typed() -> None:
    assert (SOURCE / "py.typed").is_file()
