"""`segue midi evaluate` as it is typed: a page, a listening test, numbers that come again."""

import contextlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation import fitted_chain, midi_files

from segue.cli.main import main
from segue.core.config import load
from segue.runtime.bundle import Bundle
from segue.symbolic.codec import encode_file
from segue.symbolic.evaluate.evaluation import evaluate, write_results
from segue.symbolic.evaluate.infilling import EvaluationSettings
from segue.symbolic.evaluate.regions import TASKS
from segue.symbolic.score import Piece
from segue.symbolic.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

TASKS_HERE = ("one_bar", "continuation")
SETTINGS = (
    *("regions=4", "filled=1", "samples=2", "length=128"),
    *(f"tasks={json.dumps(TASKS_HERE)}", 'ablated=["one_bar"]'),
)
SMALL = (
    *("--no-maps", "--workers", "0", "--pieces", "6"),
    *(word for setting in SETTINGS for word in ("--set", setting)),
)
NUMBERS = ("metrics.json", "masks.jsonl", "regions.csv")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    midi_files(folder, range(6), bars=16)
    (folder / "broken.mid").write_bytes(b"MThd, and no more")
    return folder


@pytest.fixture(scope="module")
def baselines(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Baselines that know two bars of the music at a time."""
    tokenizer = Bundle.open("midigpt-small").path("tokenizer.json")
    words = Tokenizer.from_file(tokenizer).vocabulary
    before, behind = words.id("SEP_None"), words.id("EOS_None")
    answers = []
    for path in music.glob("piece-*.mid"):
        ids = encode_file(words, path)
        bars = np.flatnonzero(ids == words.id("Bar_None"))
        parts = [ids[start:end] for start, end in zip(bars[:-2], bars[2:], strict=True)]
        answers += [np.concatenate([[before], part, [behind]]) for part in parts]
    return fitted_chain(tmp_path_factory.mktemp("fitted") / "f", tokenizer, answers, order=1)


@pytest.fixture(scope="module")
def evaluated(music: Path, baselines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One evaluation with everything but maps."""
    folder = tmp_path_factory.mktemp("evaluated") / "out"
    words = ("--data", music, "-o", folder, "--baselines", baselines, "--listen")
    segue("midi", "evaluate", "midigpt-small", *words, *SMALL)
    return folder


def segue(*words: object) -> None:
    """Run a command in this process."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert not left.value.code


def numbers(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text("utf-8"))


def test_everything_is_written(evaluated: Path) -> None:
    files = {path.name for path in evaluated.iterdir()}
    assert files >= {*NUMBERS, "index.html", "listen.html", "key.json", "pictures", "examples"}
    pictures = {path.name for path in (evaluated / "pictures").iterdir()}
    assert pictures == {"bits-per-note.png", "bits-by-kind.png", "context.png", "note-f1.png"}
    found = numbers(evaluated)
    assert found["model"] == "midigpt-small"
    assert 2 <= found["pieces"] <= 6
    for name in ("drawn", "scored by all", "filled by all"):
        assert set(found["regions"][name]) == set(TASKS_HERE)
    assert all(count >= 2 for count in found["regions"]["scored by all"].values())
    assert set(found["regions"]["filled by all"].values()) == {1}
    costs = found["bits_per_note"]["all tasks"]
    assert set(costs) >= {"midigpt-small", "unigram", "Markov chain, order 1"}
    kinds = costs["midigpt-small"]["by_kind"]
    total = costs["midigpt-small"]["bits_per_note"]["mean"]
    assert sum(kinds.values()) == pytest.approx(total, rel=1e-4)
    assert list(found["sights"]["one_bar"]) == ["none", "past", "past_future", "all"]
    human = found["fillings"]["all tasks"]["human original"]
    assert human["note_f1"]["mean"] == 1
    assert human["seam"]["mean"] == 0
    assert found["fillings"]["all tasks"]["shuffled original"]["note_f1"]["mean"] < 1
    above = found["above_the_model"]["unigram"]["mean"]
    assert above == pytest.approx(costs["unigram"]["bits_per_note"]["mean"] - total, rel=1e-3)


def test_every_region_has_a_row(evaluated: Path) -> None:
    head, *lines = (evaluated / "regions.csv").read_text("utf-8").splitlines()
    assert head.startswith("region,task,piece,system,bits_per_note,notes,")
    regions = numbers(evaluated)["regions"]["drawn"]
    mine = [line for line in lines if ",midigpt-small," in line]
    assert len(mine) == sum(regions.values())


def test_examples_can_be_opened(evaluated: Path) -> None:
    files = sorted((evaluated / "examples").iterdir())
    originals = [path for path in files if path.name.endswith("-original.mid")]
    numbered = [path for path in originals if not path.name.endswith("shuffled-original.mid")]
    assert len(numbered) == len(TASKS_HERE)
    for path in files:
        piece = Piece.open(path)
        assert piece.bars.num_bars <= 8 + 4
    for path in numbered:
        assert len(Piece.open(path).notes)
        for label in ("midigpt-small", "midigpt-small-filling-2", "hole"):
            assert path.with_name(path.name.replace("original", label)).is_file()
        hole = Piece.open(path.with_name(path.name.replace("original", "hole")))
        assert 0 < len(hole.notes) < len(Piece.open(path).notes)


def test_the_page_needs_nothing_from_elsewhere(evaluated: Path) -> None:
    page = (evaluated / "index.html").read_text("utf-8")
    assert not re.search(r"(?:src|href|action|poster)\s*=\s*[\"']?(?![\"']|data:|#)", page)
    assert not re.search(r"url\(|@import|<script|<link|<iframe", page)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    for task in TASKS_HERE:
        assert TASKS[task].title in page
    for label in ("original", "hole", "midigpt-small", "midigpt-small, filling 2"):
        assert page.count(f'aria-label="{label}"') == len(TASKS_HERE)
    for name in ("note f1", "diversity", "copied from context", "empty bar rate"):
        assert re.search(rf"<th[^>]*>{name}</th><th[^>]*>1 bar</th><th[^>]*>continue</th>", page)
    assert re.search(r"<th[^>]*>regions</th><th[^>]*>drawn</th><th[^>]*>scored by all</th>", page)
    assert "Near duplicates" in page
    assert "--train" in page


class Heard:
    """What was told of how far the work is: label, total and what is done."""

    def __init__(self) -> None:
        self.bars: list[list] = []

    @contextlib.contextmanager
    def __call__(self, label: str, *, total: float | None = None):
        bar = [label, total, 0]
        self.bars.append(bar)

        def advance(count: float = 1) -> None:
            bar[2] += count

        yield advance


def test_the_same_command_gives_the_same_bytes(evaluated, music, baselines, tmp_path) -> None:
    before = {name: (evaluated / name).read_bytes() for name in NUMBERS}
    shutil.copytree(music, tmp_path / "elsewhere")
    shutil.copytree(baselines, tmp_path / "fitted")
    for data, fitted, folder in (
        (music, baselines, evaluated),
        (tmp_path / "elsewhere", tmp_path / "fitted", tmp_path / "again"),
    ):
        files = sorted((folder / "work").glob("*.json"))
        times = [path.stat().st_mtime_ns for path in files]
        settings = load(EvaluationSettings, {"pieces": 6}, overrides=list(SETTINGS), origin="test")
        given = {"settings": settings, "baselines": fitted, "workers": 0}
        heard = Heard()
        write_results(evaluate("midigpt-small", data, folder, **given, progress=heard))
        assert [label for label, _, _ in heard.bars] == [
            *("reading pieces", "drawing regions", "keeping pieces", "measuring"),
            "comparing with the original",
        ]
        assert all(done == total > 0 for label, total, done in heard.bars[1:])
        assert {name: (folder / name).read_bytes() for name in NUMBERS} == before
        assert [path.stat().st_mtime_ns for path in files] == times
        assert bool(files) == (folder == evaluated)


def test_published_masks_give_the_same_regions(evaluated, music, tmp_path, capsys) -> None:
    masks = evaluated / "masks.jsonl"
    words = ("--data", music, "--masks", masks, "--seed", "9", "--json", "-o", tmp_path / "again")
    earlier = shutil.copytree(evaluated, tmp_path / "again")
    for name in ("examples/077-long-gone.mid", "examples/mine.mid", "pictures/long-gone.png"):
        (earlier / name).write_bytes(b"from an earlier seed")
    segue("midi", "evaluate", "midigpt-small", *words, *SMALL, "--listen", "--pairs", "1")
    found, before = json.loads(capsys.readouterr().out), numbers(evaluated)
    assert (tmp_path / "again" / "masks.jsonl").read_bytes() == masks.read_bytes()
    assert found == numbers(tmp_path / "again")
    assert found["regions"] == before["regions"]
    for task, row in before["bits_per_note"].items():
        again = found["bits_per_note"][task]["midigpt-small"]
        assert again["bits_per_note"]["mean"] == row["midigpt-small"]["bits_per_note"]["mean"]
    assert found["fillings"] != before["fillings"]
    for name in ("key.json", "listen.html", "examples/mine.mid"):
        kept = earlier if "mine" in name else evaluated
        assert (earlier / name).read_bytes() == (kept / name).read_bytes()
    pairs = json.loads((earlier / "key-2.json").read_text())["pairs"].values()
    assert len([pair for pair in pairs if pair["repeats"] is None]) == 1
    assert not list(earlier.rglob("*long-gone*"))


def test_masks_of_other_music_are_refused(evaluated, tmp_path, run_segue) -> None:
    midi_files(tmp_path / "other", range(20, 22), bars=16)
    words = ("--data", "other", "--masks", evaluated / "masks.jsonl", "-o", "out")
    done = run_segue("midi", "evaluate", "midigpt-small", *words, *SMALL)
    assert done.returncode == 2
    assert "Give the files that the masks were made for" in " ".join(done.stderr.split())


def test_listeners_answers_are_read(evaluated: Path, tmp_path: Path, capsys) -> None:
    page = (evaluated / "listen.html").read_text("utf-8")
    key = json.loads((evaluated / "key.json").read_text("utf-8"))
    assert key["page"] in page
    assert "midigpt-small" not in page
    assert key["systems"][0] == "midigpt-small"
    pairs = [pair for pair in key["pairs"].values() if pair["repeats"] is None]
    assert all("midigpt-small" in (pair["a"], pair["b"]) for pair in pairs)
    against = Counter(({pair["a"], pair["b"]} - {"midigpt-small"}).pop() for pair in pairs)
    assert {"original", "Markov chain, order 1"} <= set(against)
    assert set(against.values()) == {len(TASKS_HERE)}
    assert len({pair["excerpt"] for pair in pairs}) == len(TASKS_HERE)
    answers = {
        name: {"pulse": "a" if pair["a"] == "midigpt-small" else "b", "overall": "same"}
        for name, pair in key["pairs"].items()
    }
    saved = {"format": key["format"], "page": key["page"], "listener": "Ann", "answers": answers}
    (tmp_path / "ann.json").write_text(json.dumps(saved))
    capsys.readouterr()
    words = (evaluated / "key.json", tmp_path / "ann.json", "--json")
    segue("midi", "listen-results", *words)
    analysis = json.loads(capsys.readouterr().out)
    against = [row for row in analysis["comparisons"] if row["second"] == "original"]
    assert {row["criterion"]: (row["wins"], row["ties"], row["losses"]) for row in against} == {
        "pulse": (len(TASKS_HERE), 0, 0),
        "overall": (0, len(TASKS_HERE), 0),
    }
    assert analysis["listeners"][0]["repeat_agreement"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", 'tasks=["five_bars"]'), "There is no task five_bars"),
        (("--set", 'ablated=["cells"]'), "There is no task cells"),
        (("--set", "sampels=3"), "samples"),
        (("--baselines", "nowhere"), "nowhere"),
        (("--beside", "nowhere"), "nowhere"),
        (("--beside", "midigpt-small"), "Two systems are called midigpt-small"),
        (("--masks", "nowhere"), "nowhere"),
        (("--pairs", "3"), "Give --listen, too"),
        (("--train", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_said_in_one_paragraph(music, tmp_path, capsys, words, said) -> None:
    with pytest.raises(SystemExit) as left:
        main(["midi", "evaluate", "midigpt-small", "--data", str(music), "-o", str(tmp_path / "o"),
              "--set", "regions=2", "--workers", "0", *words])  # fmt: skip
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("segue: ")
    assert said in " ".join(error.split())
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) <= 6


def test_a_missing_folder_ends_the_command(run_segue) -> None:
    done = run_segue("midi", "evaluate", "midigpt-small", "--data", "nowhere", "-o", "out")
    assert done.returncode == 2
    assert done.stderr.startswith("segue: nowhere is no folder")
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_folder_of_something_else_is_left_alone(music, tmp_path, run_segue) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("mine")
    done = run_segue("midi", "evaluate", "midigpt-small", "--data", music, "-o", mine)
    assert done.returncode == 2
    assert "something else than an evaluation" in " ".join(done.stderr.split())
    assert [path.name for path in mine.iterdir()] == ["index.html"]
    assert (mine / "index.html").read_text() == "mine"
