"""What is imported is declared, what is declared is used and explained."""

import ast
import re
import sys
import tomllib

from tests.architecture.source import ROOT, parsed

DISTRIBUTION = {"yaml": "pyyaml", "sklearn": "scikit-learn"}
# Used as files, a SoundFont and vectors of words; used by PyTorch when it exports.
NOT_IMPORTED = {"pretty-midi", "wordllama", "onnxscript"}
# Only for who names a model of CLAP; the error says what to install.
BY_HAND = {"transformers"}


EXTRAS = ("train", "evaluate", "text", "cluster")


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None = None) -> set[str]:
    """Names of the dependencies of the base install or of an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {normal(re.split(r"[\[<>=!~ ;]", line)[0]) for line in lines}


def used() -> set[str]:
    """Names of the dependencies of everything that users install."""
    return declared().union(*(declared(extra) for extra in EXTRAS))


def imported() -> set[str]:
    """Distributions that the source imports, at the top or late."""
    names = set()
    for tree in parsed().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    names -= set(sys.stdlib_module_names) | {"segue"}
    return {normal(DISTRIBUTION.get(name, name)) for name in names}


def test_what_is_imported_is_declared() -> None:
    assert imported() - used() == BY_HAND


def test_what_is_declared_is_used() -> None:
    assert used() - imported() - NOT_IMPORTED == set()


def test_every_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = {normal(word) for word in re.findall(r"[A-Za-z][\w.-]+", page)}
    wanted = used() | declared("dev") - {"segue", "types-pyyaml"}
    assert wanted - explained == set()


def test_constraints_name_versions_and_no_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in lines
    wrong = [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; [^/]+)?", line)]
    assert wrong == []
    pinned = {normal(line.partition("==")[0]) for line in lines}
    everything = used() | declared("dev")
    assert everything - {"segue"} - pinned == set()
