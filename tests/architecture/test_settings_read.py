"""A setting that nothing reads is a promise nobody keeps: every field of every settings class is read."""

import ast
from collections.abc import Iterable

from tests.architecture.source import parsed

BASE = "StrictModel"


def settings_classes(trees: Iterable[ast.Module]) -> dict[str, ast.ClassDef]:
    """Classes that are settings: those with the base, and those with one of them as a base."""
    classes = {
        node.name: node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {BASE}
    while True:
        more = {
            name
            for name, node in classes.items()
            if name not in found
            and any(ast.unparse(base).split(".")[-1] in found for base in node.bases)
        }
        if not more:
            return {name: classes[name] for name in found - {BASE}}
        found |= more


def fields(node: ast.ClassDef) -> list[str]:
    """Names of the settings in a class."""
    return [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and "ClassVar" not in ast.unparse(item.annotation)
    ]


def names_read(trees: Iterable[ast.Module]) -> set[str]:
    """Names that are read as attributes anywhere."""
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def unread(trees: list[ast.Module]) -> set[str]:
    """Settings that no code reads."""
    read = names_read(trees)
    return {
        f"{name}.{field}"
        for name, node in settings_classes(trees).items()
        for field in fields(node)
        if field not in read
    }


def test_every_setting_is_read() -> None:
    trees = list(parsed().values())
    assert len(settings_classes(trees)) > 3
    assert unread(trees) == set()


def test_an_unread_setting_is_found() -> None:
    planted = ast.parse(
        "class A(StrictModel):\n    used: int\n    keep_last: int = 10\n"
        "class B(A):\n    also: int\n"
        "def f(a): a.also = 3; return a.used\n"
    )
    assert unread([planted]) == {"A.keep_last", "B.also"}
