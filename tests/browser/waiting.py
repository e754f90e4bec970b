"""Waiting for what a page comes to show; the page's policy forbids evaluating strings in it."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def wait_until(page: "Page", expression: str, *, seconds: float = 20.0) -> None:
    """Wait until an expression in the page holds."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not within {seconds:g} s: {expression}"
        page.wait_for_timeout(25)
