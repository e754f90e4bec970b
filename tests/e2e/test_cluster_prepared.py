"""Preparation on a cluster, a worker killed on the way, ends with the bytes of a local one."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.corpora import corpus
from tests.dask_cluster import cluster_of

from segue.core.progress import Advance
from segue.symbolic.data import inventory
from segue.symbolic.data.prepare import PrepareSettings, prepare

pytest.importorskip("distributed")

SETTINGS = PrepareSettings.model_validate({"notes_per_shard": 900, "split": {"valid_share": 0.2}})


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["reading", "encoding"])
def test_a_worker_killed_on_the_way_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(inventory, "_FILES_PER_CHUNK", 4)
    music = corpus(tmp_path / "music", 24)
    workers: list[set[int]] = []

    with cluster_of(2) as client:

        def process_ids() -> set[int]:
            return set(client.run(os.getpid).values())

        @contextlib.contextmanager
        def kill_one(label: str, *, total: float | None = None) -> Iterator[Advance]:
            """Kill a worker as soon as the first result of a stage is there."""

            def advance(count: float = 1) -> None:
                if label == stage and not workers and count:
                    workers.append(process_ids())
                    os.kill(min(workers[0]), signal.SIGKILL)

            yield advance

        address = client.scheduler.address
        prepare([music], tmp_path / "there", SETTINGS, cluster=address, progress=kill_one)
        client.wait_for_workers(2, timeout=60)
        workers.append(process_ids())
    assert len(workers[0] - workers[1]) == 1
    prepare([music], tmp_path / "here", SETTINGS, workers=0)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
