"""Checks tensor shapes while tests run: every function whose signature states a shape is watched.

Functions without shapes are left alone, since beartype cannot judge all that mypy can (`Self` in
methods). Named in pyproject.toml, where jaxtyping's pytest plug-in finds it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from beartype import beartype

Checked = TypeVar("Checked", bound=Callable[..., Any])


def states_a_shape(function: Callable[..., Any]) -> bool:
    """Whether an annotation of the function is one of jaxtyping's."""
    annotations = getattr(function, "__annotations__", {}).values()
    return any(
        "jaxtyping" in type(hint).__module__ or hasattr(hint, "dim_str") for hint in annotations
    )


def check(function: Checked) -> Checked:
    """Watch a function if it states a shape."""
    return beartype(function) if states_a_shape(function) else function
