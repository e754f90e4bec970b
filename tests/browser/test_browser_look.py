"""The look-into room: models, cards, results, reports."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from segue.core.report import Page as Report

if TYPE_CHECKING:
    from playwright.sync_api import Page

DESK: Final = (1280, 720)
TABLET: Final = (820, 1180)
CARD: Final = """# hostile

A card with **bold words**, *stressed ones*, `code <b>`, <script>alert(1)</script> and
[a link](https://example.org/a_(b)), [no link](javascript:alert(1)), [nor this](//example.org),
[or this](javascript://example.org/%0aalert(1)).

## Table

| what | a | b |
|---|---|---|
| one \\| two | 1 | <img src=x onerror=alert(1)> |

1. first
2. second
   - below it

> said

```
<b>as it stands</b>
```
"""
MODEL: Final[dict[str, Any]] = {
    "name": "midigpt-small",
    "kind": "midi",
    "card": CARD,
    "size_bytes": 12_300_000,
    "training": {"hours": "1.6", "data": "<b>music</b> of many hands and a rather long text"},
    "evaluation": {
        "tables": [
            {
                "title": "Nats per note",
                "note": "Lower is better.",
                "columns": ["model", "score", "notes"],
                "rows": [
                    ["floor", "0.50 (0.40 to 0.60)", "7"],
                    ["GRU", "2.10 [2.00, 2.20]", "3"],
                    ["midigpt-small", "1.10 ± 0.05", "5"],
                    ["nothing", "", ""],
                ],
            },
            {
                "title": "Accuracy",
                "note": "",
                "columns": ["model", "percent, higher is better"],
                "rows": [["GRU", "12 %"], ["midigpt-small", "1,034"]],
            },
        ]
    },
}


def shown(page: "Page", name: str) -> None:
    """Choose a model and wait for it."""
    page.locator(".look-entry", has_text=name).click()
    page.get_by_role("heading", name=name, level=1).wait_for()


def hostile(open_page: "Callable[..., Page]") -> "Page":
    """Open the room with a model whose card and numbers are made up."""
    page = open_page("/#/audio")
    page.route("**/api/models/midigpt-small", lambda route: route.fulfill(json=MODEL))
    page.get_by_role("link", name="Look into").click()
    page.get_by_role("heading", name="midigpt-small", level=1).wait_for()
    return page


@pytest.mark.parametrize("size", [DESK, TABLET])
@pytest.mark.parametrize("name", ["midigpt-small", "ldmg-small"])
def test_a_shipped_model(
    open_page: "Callable[..., Page]",
    shot: "Callable[[Page, str], Path]",
    size: tuple[int, int],
    name: str,
) -> None:
    page = open_page("/#/look", size=size, touch=size == TABLET, scheme="dark")
    shown(page, name)
    assert page.locator(".look-entry[aria-current]").inner_text().startswith(name)
    facts = page.locator(".facts-list").inner_text()
    assert "MB" in facts
    assert "Licence" in facts
    card = page.locator(".card")
    assert card.get_by_role("heading").count() >= 3
    assert card.get_by_role("table").count() >= 2
    assert page.locator(".chart").get_attribute("aria-label")
    assert page.locator(".result-table").count() >= 3
    assert page.locator("td.best").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    shot(page, f"look-{name}-{size[0]}")


def test_a_card_is_rendered_and_harmless(open_page: "Callable[..., Page]") -> None:
    page = hostile(open_page)
    card = page.locator(".card")
    assert card.locator("strong").inner_text() == "bold words"
    assert card.locator("em").inner_text() == "stressed ones"
    assert card.locator("p code").inner_text() == "code <b>"
    links = card.locator("a").evaluate_all("nodes => nodes.map((node) => node.href)")
    assert links == ["https://example.org/a_(b)"]
    assert card.locator("a").get_attribute("rel") == "noopener noreferrer"
    assert page.locator("main script, main img, main b").count() == 0
    assert card.locator("h1").count() == 0
    cells = card.locator("td, th").all_inner_texts()
    assert cells == ["what", "a", "b", "one | two", "1", "<img src=x onerror=alert(1)>"]
    assert card.locator("ol > li").count() == 2
    assert card.locator("ol ul > li").inner_text() == "below it"
    assert card.locator("blockquote").inner_text() == "said"
    assert card.locator("pre").inner_text() == "<b>as it stands</b>"


def test_the_best_value_is_marked(open_page: "Callable[..., Page]") -> None:
    page = hostile(open_page)
    best = page.locator("td.best").all_text_contents()
    assert best == ["1.10 ± 0.05 (best)", "1,034 (best)"]
    tables = page.locator(".result-table")
    assert tables.first.locator("td").last.inner_text() == "–"
    assert "Lower is better." in tables.first.inner_text()


def test_the_main_score_is_drawn_with_intervals(open_page: "Callable[..., Page]") -> None:
    page = hostile(open_page)
    chart = page.get_by_role("img", name="Nats per note, score.")
    label = chart.get_attribute("aria-label") or ""
    assert "GRU: 2.10 (2 to 2.2)" in label
    assert chart.locator(".chart-bar").count() == 3
    assert chart.locator(".chart-bar.own").count() == 1
    assert chart.locator(".chart-interval").count() == 3
    widths = [
        float(x)
        for x in chart.locator(".chart-bar").evaluate_all(
            "n => n.map((x) => x.getAttribute('width'))"
        )
    ]
    assert widths[1] / widths[2] == pytest.approx(2.1 / 1.1)


def test_likelihoods_are_in_the_symbolic_room(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look")
    shown(page, "midigpt-small")
    page.get_by_role("link", name="Symbolic room").click()
    page.locator(".rooms a[aria-current]", has_text="Symbolic").wait_for()


def test_the_list_by_keys(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look")
    page.locator(".look-entry", has_text="midigpt-small").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="ldmg-small", level=1).wait_for()
    assert page.evaluate("document.activeElement.dataset.look") == "model:ldmg-small"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.look") == "model:midigpt-small"


def test_a_model_that_cannot_be_read_says_so(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look", allow=["404"])
    page.get_by_role("heading", name="midigpt-small", level=1).wait_for()
    problem = {"error": {"kind": "not_found", "message": "There is no such model."}}
    page.route("**/api/models/ldmg-small", lambda route: route.fulfill(status=404, json=problem))
    page.locator(".look-entry", has_text="ldmg-small").click()
    page.get_by_role("alert").filter(has_text="There is no such model.").wait_for()
    page.unroute("**/api/models/ldmg-small")
    shown(page, "ldmg-small")


def test_no_reports_says_how_to_show_some(open_page: "Callable[..., Page]") -> None:
    page = open_page("/#/look")
    page.get_by_text("--report FOLDER").wait_for()


@pytest.fixture(scope="module")
def reporting_studio(
    start_studio: Callable[..., tuple[str, "subprocess.Popen[bytes]"]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A studio with an evaluation report."""
    folder = tmp_path_factory.mktemp("report")
    report = Report("Three models", subtitle="on 20 pieces")
    report.heading("Likelihood")
    report.table([["GRU", 1.3], ["GPT", 1.1]], header=["model", "nats"], best="low")
    report.save(folder / "index.html")
    (folder / "results.json").write_text(json.dumps({}), encoding="utf-8")
    address, process = start_studio(tmp_path_factory.mktemp("shelf"), "--report", str(folder))
    yield address
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_shown_in_a_sandbox(
    open_page: "Callable[..., Page]",
    reporting_studio: str,
    shot: "Callable[[Page, str], Path]",
    scheme: str,
) -> None:
    page = open_page(reporting_studio + "/#/look", scheme=scheme)
    page.locator(".look-entry", has_text="Three models").click()
    frame = page.locator("iframe")
    assert frame.get_attribute("sandbox") == ""
    assert frame.get_attribute("title") == "Report: Three models"
    page.frame_locator("iframe").get_by_role("heading", name="Likelihood").wait_for()
    link = page.get_by_role("link", name="Open it in a tab of its own")
    assert "/api/reports/" in (link.get_attribute("href") or "")
    shot(page, f"look-report-{scheme}")
