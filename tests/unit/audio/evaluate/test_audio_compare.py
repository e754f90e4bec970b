"""Two evaluations or runs side by side: what decides, and what cannot be compared."""

from pathlib import Path

import pytest

from segue.audio.evaluate.compare import Line, compare, write_comparison
from segue.core.statistics import Interval
from segue.errors import DataError


@pytest.mark.parametrize(
    ("good", "first", "second", "better"),
    [
        ("low", (1, 0.9, 1.1), (2, 1.8, 2.2), 0),
        ("low", (2, 1.8, 2.2), (1, 0.9, 1.1), 1),
        ("high", (1, 0.9, 1.1), (2, 1.8, 2.2), 1),
        ("low", (1, 0.5, 1.9), (2, 1.8, 2.2), None),
        ("near one", (0.5, 0.4, 0.6), (1.05, 0.9, 1.2), 1),
        ("near one", (1.5, 1.4, 1.6), (0.2, 0.1, 0.3), 0),
        ("none", (1, 1, 1), (2, 2, 2), None),
    ],
)
def test_only_intervals_that_do_not_overlap_decide(
    good: str,
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    better: int | None,
) -> None:
    values = tuple(Interval(*value, 10) for value in (first, second))
    line = Line("a measure", values, good)  # type: ignore[arg-type]
    assert line.better == better


def test_runs_side_by_side(tmp_path: Path) -> None:
    for name, rate, loss in (("a", 0.1, 2.0), ("b", 0.2, 1.5)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "recipe.yaml").write_text(f"optim: {{learning_rate: {rate}}}\nseed: 1\n")
        (folder / "metrics.csv").write_text(
            f"step,split,loss,val_loss\n1,train,3.0,\n2,train,{loss},\n2,val,,{loss}\n"
        )
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.changed == (("optim.learning_rate", "0.1", "0.2"),)
    assert [line.name for line in found.lines] == ["step", "val_loss"]
    assert found.lines[1].better is None
    write_comparison(found, tmp_path / "runs.html")
    assert "learning_rate" in (tmp_path / "runs.html").read_text("utf-8")


def test_folders_of_different_kinds_are_an_error(tmp_path: Path) -> None:
    for name, file in (("a", "metrics.csv"), ("b", "metrics.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    with pytest.raises(DataError, match="of the kind"):
        compare(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match="neither"):
        compare(tmp_path, tmp_path)
