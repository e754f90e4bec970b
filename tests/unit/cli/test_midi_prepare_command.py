"""`segue midi prepare` as a person calls it."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.corpora import corpus

from segue.cli.main import main
from segue.symbolic.data.prepare import PrepareSettings

SETTINGS = PrepareSettings.model_validate(
    {
        "notes_per_shard": 900,
        "split": {"by": "file", "valid_share": 0.3},
        "duplicates": {"drop_equal": False},
    }
)
HERE = ("--workers", "0")


@pytest.fixture(autouse=True)
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes know the model's settings, and with them PyTorch, which nothing here needs."""
    recipes = ModuleType("segue.recipes")
    recipes.load_recipe = lambda *_, **__: SimpleNamespace(prepare=SETTINGS)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "segue.recipes", recipes)


def run(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> tuple[str, str]:
    """What a command prints and what it says."""
    with pytest.raises(SystemExit) as left:
        main(["midi", "prepare", *map(str, words)])
    captured = capsys.readouterr()
    assert (left.value.code or 0) == status, captured.err
    return captured.out, " ".join(captured.err.split())


def test_a_published_split_is_taken_over_and_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music, first, second = corpus(tmp_path / "music", 10), tmp_path / "first", tmp_path / "second"
    printed, said = run(capsys, music, "-o", first, *HERE)
    assert printed.split() == [str(first)]
    assert "missing" not in said
    (music / "one" / "piece-004.mid").unlink()
    _, said = run(capsys, music, "-o", second, *HERE, "--split-list", first)
    assert f"missing: 1 pieces of the split list; see {second / 'missing.jsonl'}" in said
    dataset = json.loads((second / "dataset.json").read_text("utf-8"))
    assert (dataset["split_by"], dataset["missing"]) == ("list", 1)
    splits = [
        {
            line["sha256"]: line["split"]
            for line in map(json.loads, (folder / "pieces.jsonl").read_text("utf-8").splitlines())
        }
        for folder in (first, second)
    ]
    assert len(splits[1]) == 9
    assert splits[1].items() < splits[0].items()


def test_pieces_with_a_near_duplicate_in_training_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music = corpus(tmp_path / "music", 8)
    for path in sorted(music.rglob("*.mid")):
        # One byte more behind the last track: another file, the same notes.
        path.with_stem(path.stem + "-copy").write_bytes(path.read_bytes() + b"\x00")
    _, said = run(capsys, music, "-o", tmp_path / "out", *HERE)
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text("utf-8"))
    near = dataset["splits"]["valid"]["near_training"]
    assert near
    assert f"valid: {near} pieces have a near duplicate in train" in said


def test_a_cluster_without_dask_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    music = corpus(tmp_path / "music", 1)
    words = (music, "-o", tmp_path / "out", "--cluster", "tcp://127.0.0.1:1")
    _, said = run(capsys, *words, status=2)
    assert "segue[cluster]" in said
    assert not (tmp_path / "out").exists()
