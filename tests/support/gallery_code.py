"""The gallery's code, which lies beside its page and is imported by a script of `docs`."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[2] / "docs"


def maker() -> ModuleType:
    """Import the script that makes the page."""
    gallery("making")
    return importlib.import_module("make_gallery")


def gallery(name: str) -> ModuleType:
    """Import a module such as "pieces.waltz" the way the script does, from its own folder."""
    if str(DOCS) not in sys.path:
        sys.path.insert(0, str(DOCS))
    return importlib.import_module(f"gallery.{name}")
