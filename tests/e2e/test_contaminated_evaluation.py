"""A split made on purpose with near duplicates across: what it flatters is said beside what it does not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.corpora import copied, edited, piece, save
from tests.evaluation import fitted_chain

from segue.core.config import load
from segue.core.plain import shown
from segue.runtime.bundle import Bundle
from segue.symbolic.data.prepare import PrepareSettings, prepare
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate.evaluation import (
    CLEAN,
    CONTAMINATED,
    Evaluation,
    evaluate,
    numbers,
    write_results,
)
from segue.symbolic.evaluate.infilling import EvaluationSettings
from segue.symbolic.evaluate.report import write_report
from segue.symbolic.prompt import Hole, answer_stream
from segue.symbolic.stream import parse

pytestmark = pytest.mark.slow

CHAIN = "Markov chain, order 5"
"""Sees what the note before was."""
SMALL = (
    *("regions=16", "filled=1", "samples=1", "length=64", "pieces=16"),
    *('tasks=["one_track"]', "ablated=[]"),
)


def duet(number: int) -> list:
    """A melody and a bass."""
    _, melody, bass = piece(number, bars=24, drums=False)
    return [melody, bass]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Works in several editions (another tempo, another key, other notes), and works of their own."""
    folder = tmp_path_factory.mktemp("contaminated")
    for number in range(12):
        lines = duet(number)
        rng = np.random.default_rng([3, number])
        save(folder / f"midi/{number}-first.mid", lines)
        save(folder / f"midi/{number}-slow.mid", edited(lines, rng, share=0.02), bpm=80)
        if number % 3 == 0:
            save(folder / f"midi/{number}-up.mid", copied(lines, semitones=2))
    for number in range(100, 124):
        save(folder / f"midi/{number}-alone.mid", duet(number))
    split = {"by": "file", "test_share": 0.35, "valid_share": 0.02}
    settings = {"split": split, "duplicates": {"drop_equal": False}}
    prepare(
        [folder / "midi"],
        folder / "prepared",
        PrepareSettings.model_validate(settings),
        tokenizer=Bundle.open("midigpt-small").path("tokenizer.json"),
        workers=0,
    )
    return folder / "prepared"


def lines_of(prepared: Path) -> Iterator[np.ndarray]:
    """What every instrument of every training piece plays, as an answer."""
    train = Prepared(prepared, "train")
    words = train.tokenizer.vocabulary
    for number in range(len(train.lengths)):
        grid = parse(words, np.asarray(train.piece(number), np.int64))
        for program in np.unique(grid.notes["program"]).tolist():
            hole = Hole(0, grid.num_bars, (program,))
            body = answer_stream(words, grid, hole, grid.notes["program"] == program)
            yield np.concatenate([[words.id("SEP_None")], body.ids])


@pytest.fixture(scope="module")
def found(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluated")
    fitted = fitted_chain(
        folder / "fitted", prepared / "tokenizer.json", list(lines_of(prepared)), order=5
    )
    settings = load(EvaluationSettings, {}, overrides=list(SMALL), origin="a test")
    return evaluate(
        "midigpt-small",
        prepared,
        folder / "out",
        settings=settings,
        baselines=fitted,
        train=prepared,
        workers=0,
    )


def works(prepared: Path, split: str) -> dict[str, str]:
    """The work that each piece of a split is an edition of, by hash."""
    lines = map(json.loads, (prepared / "pieces.jsonl").read_text("utf-8").splitlines())
    return {
        line["sha256"]: Path(line["path"]).name.split("-")[0]
        for line in lines
        if line["split"] == split
    }


def test_pieces_with_an_edition_in_training_are_found(found: Evaluation, prepared: Path) -> None:
    test, train = works(prepared, "test"), set(works(prepared, "train").values())
    expected = {
        sha256: work in train for sha256, work in test.items() if sha256 in found.neighbours
    }
    near = {sha256: each.near_duplicate for sha256, each in found.neighbours.items()}
    assert near == expected
    assert 3 <= sum(near.values()) <= len(near) - 3
    assert len(near) == len(found.pieces)


def test_clean_and_contaminated_likelihood_stand_side_by_side(found: Evaluation) -> None:
    subsets = found.summary.contamination
    assert list(subsets) == [CLEAN, CONTAMINATED]
    counts = {name: subsets[name]["midigpt-small"].num_regions for name in subsets}
    assert sum(counts.values()) == len(found.regions)
    near = {sha256 for sha256, each in found.neighbours.items() if each.near_duplicate}
    assert counts[CONTAMINATED] == sum(region.sha256 in near for region in found.regions)
    clean, copied_ = (subsets[name][CHAIN].bits_per_note for name in (CLEAN, CONTAMINATED))
    assert copied_.mean < clean.mean - 1
    assert copied_.high < clean.low
    advantage = {
        name: row[CHAIN].bits_per_note.mean - row["midigpt-small"].bits_per_note.mean
        for name, row in subsets.items()
    }
    assert advantage[CONTAMINATED] < advantage[CLEAN] - 1


def test_the_files_say_so_too(found: Evaluation) -> None:
    write_results(found)
    saved = json.loads((found.folder / "metrics.json").read_text("utf-8"))
    assert saved == json.loads(json.dumps(numbers(found)))
    assert saved["training_music_known"] is True
    near = sum(each.near_duplicate for each in found.neighbours.values())
    assert saved["contaminated_pieces"] == near
    assert set(saved["by_contamination"]) == {CLEAN, CONTAMINATED}
    page = write_report(found, num_examples=0).read_text("utf-8")
    assert f"{near} of {len(found.pieces)} pieces have a near duplicate" in page
    head = f"<th[^>]*>bits per note</th><th[^>]*>{CLEAN}</th><th[^>]*>{CONTAMINATED}</th>"
    table = page[re.search(head, page).start() :]
    for name in ("midigpt-small", CHAIN):
        row = re.search(rf"<tr><th[^>]*>{name}</th>(.*?)</tr>", table)[1]
        shown_here = re.findall(r"<td[^>]*>([^<]*)</td>", row)
        subsets = found.summary.contamination
        assert shown_here == [shown(subsets[s][name].bits_per_note) for s in (CLEAN, CONTAMINATED)]
    human = saved["fillings"]["all tasks"]["human original"]
    assert 0 <= human["copied_from_training"]["mean"] <= 1
