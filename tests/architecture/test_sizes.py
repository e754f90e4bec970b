"""Short functions, short files, one name per test file, a wheel that stays small."""

import ast
import statistics
from collections import Counter

import pytest
from tests.architecture.source import ROOT, SOURCE, committed_files, functions, num_lines, parsed

MOST_FUNCTION_LINES = 70
MOST_FILE_LINES = 600
MOST_WEIGHT_BYTES = 30_000_000


def test_functions_are_short() -> None:
    sizes = {
        f"{path}:{function.lineno} {function.name}": num_lines(function)
        for path, tree in parsed().items()
        for function in functions(tree)
    }
    assert len(sizes) > 100
    assert {name: size for name, size in sizes.items() if size > MOST_FUNCTION_LINES} == {}
    assert statistics.median(sizes.values()) <= 10


def test_files_are_short() -> None:
    sizes = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for path in committed_files()
        if path.suffix == ".py"
    }
    assert len(sizes) > 50
    assert {path: size for path, size in sizes.items() if size > MOST_FILE_LINES} == {}


def test_a_docstring_does_not_count() -> None:
    tree = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n')
    assert [num_lines(function) for function in functions(tree)] == [2]


def test_test_files_have_names_of_their_own() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_what_ships_beside_the_code_stays_small() -> None:
    files = [path for path in (SOURCE / "weights").rglob("*") if path.is_file()]
    if not files:
        pytest.fail("no weights are inside the package")
    assert sum(path.stat().st_size for path in files) <= MOST_WEIGHT_BYTES
