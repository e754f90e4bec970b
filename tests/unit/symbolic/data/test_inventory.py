"""Every file is read once; one that takes the parser down costs only itself."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.corpora import corpus, piece, save

from segue.symbolic.data import inventory
from segue.symbolic.data.inventory import Inventory, read_lines, take_inventory, write_lines
from segue.symbolic.data.scan import CRASHED, ScanSettings, find_files


def taken(music: Path, stage: Path) -> Inventory:
    return take_inventory([music], find_files([music]), ScanSettings(), stage, phrases=64)


def test_sketches_lie_on_disk_in_the_order_of_the_files(tmp_path: Path) -> None:
    music = corpus(tmp_path / "music", 5)
    save(music / "one" / "short.mid", piece(9, bars=1, drums=False))
    found = taken(music, tmp_path / "stage")
    assert isinstance(found.sketches.hashes, np.memmap)
    assert [file.reason for file in found.scanned] == [
        *[None] * 3,
        "fewer than 32 notes",
        None,
        None,
    ]
    assert [len(found.sketches[number]) for number in range(6)] == [64, 64, 64, 0, 64, 64]
    alone = taken(corpus(tmp_path / "alone", 1), tmp_path / "other")
    assert np.array_equal(alone.sketches[0], found.sketches[0])


def test_nothing_useful_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mid").write_bytes(b"")
    found = taken(tmp_path / "music", tmp_path / "stage")
    assert len(found.sketches) == 1
    assert found.scanned[0].reason


def test_a_file_that_takes_the_parser_down_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_jobs(
        function: Callable[[Any], Any],
        jobs: Iterable[Any],
        *,
        workers: int,
        on_crash: Callable[[Any], Any],
    ) -> Iterator[Any]:
        for job in jobs:
            falls = any("001" in source.path for source in job.sources)
            yield on_crash(job) if falls else function(job)

    monkeypatch.setattr(inventory, "run_jobs", run_jobs)
    found = taken(corpus(tmp_path / "music", 3), tmp_path / "stage")
    reasons = {s.path: f.reason for s, f in zip(found.sources, found.scanned, strict=True)}
    assert reasons.pop("two/piece-001.mid") == CRASHED
    assert set(reasons.values()) == {None}


def test_lines_may_hold_any_path(tmp_path: Path) -> None:
    lines = [{"path": "\udcff\u266b/\n.mid"}, {"path": ""}]
    write_lines(tmp_path / "a.jsonl", lines)
    assert list(read_lines(tmp_path / "a.jsonl")) == lines
