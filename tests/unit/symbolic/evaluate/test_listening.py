"""The listening test: blind, balanced, complete; planted answers come out as planted."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from segue.errors import DataError, SettingError
from segue.symbolic.evaluate.listening import (
    CRITERIA,
    Analysis,
    Item,
    Version,
    analyse_answers,
    read_key,
    write_listening_page,
)

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("segue-small", "markov-order-2", "human-original")
Choose = Callable[[str, str, str, str], str]


def version(system: str, number: int) -> Version:
    return Version(system, b"OggS" + f"{number}".encode() * 9, PNG + bytes([number]))


def items(count: int = 8, *, others: tuple[str, ...] = ("markov-order-2",)) -> list[Item]:
    return [
        Item(f"excerpt-{n}", version("segue-small", n), version(other, 100 + n))
        for n in range(count)
        for other in others
    ]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    write_listening_page(items(), tmp_path / "listen.html", seed=1)
    return tmp_path / "listen.html"


def answered(
    key: Path, choose: Choose, *, name: str = "Ada", path: Path | None = None, **changes: Any
) -> Path:
    """The file of a listener who chooses by excerpt, both systems and criterion."""
    known = read_key(key)
    answers = {
        pair: {
            criterion: choose(sides.excerpt, sides.a, sides.b, criterion) for criterion in CRITERIA
        }
        for pair, sides in known.pairs.items()
    }
    file = {"format": known.format, "page": known.page, "listener": name, "answers": answers}
    target = path or key.with_name(f"{name}.json")
    target.write_text(json.dumps(file | changes))
    return target


def prefers(system: str) -> Choose:
    return lambda excerpt, a, b, criterion: "a" if a == system else "b" if b == system else "same"


def by_criterion(analysis: Analysis) -> Mapping[str, tuple[int, int, int]]:
    return {row.criterion: (row.wins, row.ties, row.losses) for row in analysis.comparisons}


def test_the_page_tells_nothing_of_the_systems(page: Path) -> None:
    text = page.read_text()
    for name in (*NAMES, "excerpt-", "markov", "seed"):
        assert name not in text
    assert text.count('class="pair"') == 8
    assert text.count('type="radio"') == 8 * len(CRITERIA) * 3
    assert len(set(re.findall(r'data-pair="(\w+)"', text))) == 8


def test_the_page_is_whole_and_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"https?:|//[a-z]|@import|fetch\(|XMLHttp|url\(", text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    sounds = re.findall(r'src="data:audio/ogg;base64,([^"]+)"', text)
    assert {base64.b64decode(sound) for sound in sounds} == {
        v.sound for item in items() for v in (item.first, item.second)
    }
    assert text.count("data:image/png;base64,") == 16


def test_the_key_says_what_stands_where(page: Path) -> None:
    text = page.read_text()
    known = read_key(page.with_name("key.json"))
    sounds = {v.sound: v.system for item in items() for v in (item.first, item.second)}
    sections = re.findall(r'data-pair="(\w+)".*?</section>', text, re.DOTALL)
    assert sections == list(known.pairs)
    for name, sides in known.pairs.items():
        section = text[text.index(f'data-pair="{name}"') :]
        a, b = re.findall(r'data:audio/ogg;base64,([^"]+)"', section)[:2]
        assert sounds[base64.b64decode(a)] == sides.a
        assert sounds[base64.b64decode(b)] == sides.b


def test_sides_are_balanced_and_order_is_shuffled(tmp_path: Path) -> None:
    _, key = write_listening_page(
        items(10, others=("markov-order-2", "human-original")), tmp_path / "a.html", seed=5
    )
    pairs = list(read_key(key).pairs.values())
    left = Counter((pair.a, frozenset((pair.a, pair.b))) for pair in pairs)
    assert set(left.values()) == {5}
    assert [pair.excerpt for pair in pairs] != sorted(pair.excerpt for pair in pairs)


def test_the_seed_decides(tmp_path: Path) -> None:
    texts = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}" / "a.html"
        _, key = write_listening_page(items(), path, seed=seed, repeats=2)
        texts.append((path.read_bytes(), key.read_bytes()))
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[2][0]


def test_another_page_leaves_the_first_and_its_key_alone(page: Path) -> None:
    key = page.with_name("key.json")
    before = page.read_bytes(), key.read_bytes()
    ann = answered(key, prefers("segue-small"), name="Ann")
    for number, seed in ((2, 5), (3, 6), (2, 5)):
        written = write_listening_page(items(), page, seed=seed)
        assert written.page.name == f"listen-{number}.html"
        assert written.key.name == f"key-{number}.json"
        assert read_key(written.key).page in written.page.read_text()
        bob = answered(written.key, prefers("segue-small"), name="Bob")
        assert by_criterion(analyse_answers(written.key, [bob]))["pulse"] == (8, 0, 0)
    again = write_listening_page(items(), page, seed=1)
    assert again == (page, key)
    assert (page.read_bytes(), key.read_bytes()) == before
    assert by_criterion(analyse_answers(key, [ann]))["pulse"] == (8, 0, 0)
    key.write_text("damaged")
    assert write_listening_page(items(), page, seed=1).key.name == "key-4.json"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (Item("e", version("x", 1), version("x", 2)), "twice"),
        (Item("e", version("x", 1), Version("y", b"RIFFwave", PNG)), "different kinds"),
        (Item("e", version("x", 1), Version("y", b"OggS")), "Only one side"),
        (Item("e", version("x", 1), Version("y", b"ID3 mp3", PNG)), "Ogg, WAV or FLAC"),
        (Item("e", version("x", 1), Version("y", b"OggS", b"GIF89a")), "not a PNG"),
    ],
)
def test_a_pair_that_is_not_blind_is_refused(tmp_path: Path, item: Item, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        write_listening_page([item], tmp_path / "a.html", seed=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("count", "repeats"), [(0, 0), (2, 3), (2, -1)])
def test_a_test_needs_pairs(tmp_path: Path, count: int, repeats: int) -> None:
    with pytest.raises(SettingError, match="needs pairs"):
        write_listening_page(items(count), tmp_path / "a.html", seed=0, repeats=repeats)


def test_a_preference_comes_out_on_whichever_side_it_stood(page: Path) -> None:
    key = page.with_name("key.json")
    analysis = analyse_answers(key, [answered(key, prefers("markov-order-2"))])
    assert by_criterion(analysis) == dict.fromkeys(CRITERIA, (0, 0, 8))
    row = analysis.comparisons[0]
    assert (row.first, row.second, row.preference) == ("segue-small", "markov-order-2", -1)
    assert row.p_value == pytest.approx(2 / 2**8)
    assert row.corrected_p_value == pytest.approx(6 * 2 / 2**8)
    (ada,) = analysis.listeners
    assert (ada.num_pairs, ada.num_answers, ada.tie_share) == (8, 8 * 6, 0)
    assert ada.side_a_share == 0.5
    assert ada.overall_agreement == 1
    assert ada.repeat_agreement is ada.others_agreement is None


def test_criteria_are_told_apart_and_holm_counts_them(page: Path) -> None:
    key = page.with_name("key.json")

    def choose(excerpt: str, a: str, b: str, criterion: str) -> str:
        return "same" if criterion == "key" else prefers("segue-small")(excerpt, a, b, criterion)

    rows = {row.criterion: row for row in analyse_answers(key, [answered(key, choose)]).comparisons}
    assert (rows["key"].wins, rows["key"].ties, rows["key"].num_units) == (0, 8, 0)
    assert rows["key"].p_value == rows["key"].corrected_p_value == 1
    assert rows["pulse"].wins == 8


def test_an_excerpt_counts_once_however_many_heard_it(page: Path) -> None:
    key = page.with_name("key.json")
    files = [answered(key, prefers("segue-small"), name=f"L{n}") for n in range(3)]
    row = analyse_answers(key, files).comparisons[0]
    assert (row.wins, row.num_units) == (24, 8)
    assert row.p_value == pytest.approx(2 / 2**8)
    row = analyse_answers(key, files, unit="judgement").comparisons[0]
    assert (row.wins, row.num_units) == (24, 24)
    assert row.p_value == pytest.approx(2 / 2**24)


def test_several_systems_are_compared_two_by_two(tmp_path: Path) -> None:
    _, key = write_listening_page(
        items(6, others=("markov-order-2", "human-original")), tmp_path / "a.html", seed=2
    )
    order = {"human-original": 2, "segue-small": 1, "markov-order-2": 0}
    analysis = analyse_answers(
        key, [answered(key, lambda e, a, b, c: "a" if order[a] > order[b] else "b")]
    )
    found = {(row.second, row.wins, row.losses) for row in analysis.comparisons}
    assert found == {("markov-order-2", 6, 0), ("human-original", 0, 6)}
    assert {row.first for row in analysis.comparisons} == {"segue-small"}


def test_one_who_always_clicks_left_is_found_out(tmp_path: Path) -> None:
    _, key = write_listening_page(items(), tmp_path / "a.html", seed=3, repeats=4)
    always = answered(key, lambda e, a, b, c: "a", name="Lefty")
    steady = answered(key, prefers("segue-small"), name="Ada")
    third = answered(key, prefers("segue-small"), name="Ben")
    analysis = analyse_answers(key, [always, steady, third])
    lefty, ada, _ = analysis.listeners
    assert (lefty.side_a_share, lefty.repeat_agreement, lefty.others_agreement) == (1, 0, 0.5)
    assert (ada.side_a_share, ada.repeat_agreement) == (0.5, 1)
    # Repeated pairs are not counted twice.
    assert sum(by_criterion(analysis)["pulse"]) == 3 * 8


def test_answers_may_be_incomplete(page: Path) -> None:
    key = page.with_name("key.json")
    pair, *_ = read_key(key).pairs
    file = answered(key, prefers("x"), answers={pair: {"pulse": "a"}})
    analysis = analyse_answers(key, [file])
    assert [row.criterion for row in analysis.comparisons] == ["pulse"]
    assert analysis.listeners[0].overall_agreement is None
    with pytest.raises(DataError, match="hold no answers"):
        analyse_answers(key, [answered(key, prefers("x"), answers={pair: {}})])
    with pytest.raises(DataError, match="nothing to analyse"):
        analyse_answers(key, [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"page": "0123"}, "another page"),
        ({"format": "segue-listening-2"}, "format"),
        ({"listener": ""}, "listener"),
        ({"listener": "x" * 81}, "listener"),
        ({"listener": "\x1b[2J"}, "cannot be printed"),
        ({"listener": 5}, "listener"),
        ({"answers": {"nobody": {"pulse": "a"}}}, "not on the page"),
        ({"answers": []}, "answers"),
        ({"more": 1}, "more"),
    ],
)
def test_foreign_answers_are_refused(page: Path, changes: dict[str, Any], said: str) -> None:
    key = page.with_name("key.json")
    with pytest.raises(DataError, match=said):
        analyse_answers(key, [answered(key, prefers("x"), **changes)])


@pytest.mark.parametrize("given", [{"pulse": "A"}, {"colour": "a"}, {"pulse": None}, "a"])
def test_answers_to_what_was_not_asked_are_refused(page: Path, given: Any) -> None:
    key = page.with_name("key.json")
    pair, *_ = read_key(key).pairs
    with pytest.raises(DataError, match="is not a file that a listening page saved"):
        analyse_answers(key, [answered(key, prefers("x"), answers={pair: given})])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b" " * 4_000_001],
    ids=["empty", "cut", "list", "null", "binary", "deep", "nan", "large"],
)
def test_what_is_no_file_of_answers(page: Path, content: bytes) -> None:
    key, path = page.with_name("key.json"), page.with_name("answers.json")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"answers\.json is (not|larger)"):
        analyse_answers(key, [path])
    with pytest.raises(DataError, match=r"answers\.json is (not|larger)"):
        read_key(path)
    with pytest.raises(DataError, match="cannot be read"):
        analyse_answers(key, [page.with_name("none.json")])


def test_a_listener_is_counted_once(page: Path) -> None:
    key = page.with_name("key.json")
    one = answered(key, prefers("x"))
    with pytest.raises(DataError, match="two files of the listener 'Ada'"):
        analyse_answers(key, [one, answered(key, prefers("x"), path=page.with_name("b.json"))])


def test_a_key_that_contradicts_itself_is_refused(page: Path) -> None:
    key = page.with_name("key.json")
    content = json.loads(key.read_text())
    pair = next(iter(content["pairs"].values()))
    for change in ({"a": "stranger"}, {"a": pair["b"]}, {"repeats": "nobody"}):
        damaged = json.loads(key.read_text())
        next(iter(damaged["pairs"].values())).update(change)
        path = key.with_name("damaged.json")
        path.write_text(json.dumps(damaged))
        with pytest.raises(DataError, match="contradicts itself"):
            read_key(path)
