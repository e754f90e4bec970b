"""The page holds everything itself, shows text as text, and is built as a reader's tools expect."""

import base64
import re
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest

from segue.core.report import Page
from segue.errors import SettingError

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"rest"
SOUND = b"OggS-not-really"
VOID = {"meta", "img", "br", "link"}


class Tree(HTMLParser):
    """Every element with its attributes and its text; closing tags must match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.words.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def full_page(text: str = "plain") -> Page:
    page = Page(f"Title {text}", subtitle=f"Subtitle {text}")
    page.heading(f"Numbers {text}")
    page.text(f"Paragraph {text}")
    page.table([[text, 1.5, "x"], ["b", 2, None]], header=["who", text, "note"], caption=text)
    page.heading("Pictures")
    page.picture(PNG, alt=f"Alt {text}", caption=f"Caption {text}")
    page.sounds([(f"Sound {text}", SOUND)])
    page.example(f"Example {text}", [(f"One {text}", PNG, SOUND), ("Two", None, None)])
    return page


def test_what_looks_like_markup_is_shown_and_never_obeyed() -> None:
    hostile = "<script>alert(1)</script> \"' & <img src=x onerror=y> </table>"
    plain, attacked = Tree(full_page().render()), Tree(full_page(hostile).render())
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in attacked.elements]
    for (_, before), (_, after) in zip(plain.elements, attacked.elements, strict=True):
        assert before.keys() == after.keys()
    assert attacked.words["h1"] == [f"Title {hostile}"]
    assert attacked.all("img")[0]["alt"] == f"Alt {hostile}"
    assert "script" not in {tag for tag, _ in attacked.elements}


def test_landmarks_language_and_contents() -> None:
    tree = Tree(full_page().render())
    assert tree.all("html")[0]["lang"] == "en"
    assert [len(tree.all(tag)) for tag in ("header", "nav", "main", "h1")] == [1, 1, 1, 1]
    anchors = [attributes["id"] for attributes in tree.all("h2")]
    links = [str(attributes["href"]).removeprefix("#") for attributes in tree.all("a")]
    assert links == ["content", *anchors]
    assert [attributes["aria-labelledby"] for attributes in tree.all("section")] == anchors
    assert all("scope" in attributes for attributes in tree.all("th"))
    assert all(attributes["alt"] for attributes in tree.all("img"))
    assert all(attributes["aria-label"] for attributes in tree.all("audio"))


def test_the_same_heading_twice_gets_two_anchors() -> None:
    page = Page("t")
    for heading in ("Notes", "Notes", "Notes", "!!", "??"):
        page.heading(heading)
    anchors = [attributes["id"] for attributes in Tree(page.render()).all("h2")]
    assert anchors == ["notes", "notes-2", "notes-3", "section", "section-2"]


def test_pictures_and_sounds_lie_in_the_file_and_nothing_lies_outside() -> None:
    text = full_page().render()
    tree = Tree(text)
    assert [image["src"] for image in tree.all("img")] == [
        "data:image/png;base64," + base64.b64encode(PNG).decode()
    ] * 2
    assert (tree.all("img")[0]["width"], tree.all("img")[0]["height"]) == ("640", "480")
    assert {sound["src"] for sound in tree.all("audio")} == {
        "data:audio/ogg;base64," + base64.b64encode(SOUND).decode()
    }
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    assert "link" not in {tag for tag, _ in tree.elements}


def test_a_table_sets_numbers_right_and_shows_them_readably() -> None:
    page = Page("t")
    page.table(
        [["a", 12345, 1058.4, "0.61 [0.58, 0.64]", "4/4"], ["b", None, 0.123456, "–", "x"]],
        header=["who", "count", "share", "interval", "word"],
    )
    tree = Tree(page.render())
    assert [bool(cell.get("class")) for cell in tree.all("td")] == [True, True, True, False] * 2
    assert tree.words["td"] == [
        *["12,345", "1,058", "0.61 [0.58, 0.64]", "4/4"],
        *["–", "0.1235", "–", "x"],
    ]


def best_of(page: Page) -> list[str]:
    return Tree(page.render()).words.get("strong", [])


def test_the_best_of_each_column_is_marked_once_or_as_often_as_it_stands_there() -> None:
    page = Page("t")
    page.table(
        [[1, 3, "2 ± 1"], [0, 3, "−4 ± 1"], [2, 5, None]], header=["n", "a", "b"], best="low"
    )
    assert best_of(page) == ["3", "3", "−4 ± 1"]
    assert "The best value of a column is bold." in page.render()


def test_the_best_may_differ_by_column() -> None:
    page = Page("t")
    page.table([["x", 1, 1, 1], ["y", 2, 2, float("nan")]], header=list("nabc"),
               best=[None, "high", None, "low"])  # fmt: skip
    assert best_of(page) == ["1", "2"]


def test_a_table_without_rows_is_a_table() -> None:
    page = Page("t")
    page.table([], header=["a", "b"], best="high")
    assert len(Tree(page.render()).all("th")) == 2


def test_what_does_not_fit_is_refused() -> None:
    page = Page("t")
    with pytest.raises(SettingError, match="2 cells"):
        page.table([[1]], header=["a", "b"])
    with pytest.raises(SettingError, match="one entry for each"):
        page.table([[1, 2]], header=["a", "b"], best=["low"])
    with pytest.raises(SettingError, match="PNG"):
        page.picture(b"GIF89a", alt="x")


def test_the_file_is_the_page(tmp_path: Path) -> None:
    page = full_page("ünï ♫")
    page.save(tmp_path / "deep" / "index.html")
    assert (tmp_path / "deep" / "index.html").read_text(encoding="utf-8") == page.render()
    assert page.render() == full_page("ünï ♫").render()
