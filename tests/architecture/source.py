"""The source as the architecture tests see it: parsed, never imported."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "segue"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def parsed() -> dict[Path, ast.Module]:
    """Every module of the package, by its path relative to the root."""
    paths = sorted(SOURCE.rglob("*.py"))
    return {path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@functools.cache
def committed_files() -> tuple[Path, ...]:
    """Every file under version control; every file of the folders where there is none."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
        return tuple(path for name in names if (path := ROOT / name).is_file())
    folders = [ROOT / name for name in ("src", "tests", "docs", "benchmarks")]
    return tuple(path for folder in folders for path in folder.rglob("*") if path.is_file())


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function and method of a module."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def num_lines(function: Function) -> int:
    """Lines of a function's body, its docstring left out."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    if not body:
        return 0
    return (body[-1].end_lineno or 0) - body[0].lineno + 1
