"""Runs of the toy model in processes of their own: two that share the work, and one that is killed.

Started by test_training_processes.py with the folder to write to. One interpreter imports PyTorch and
Lightning, which takes seconds, and forks before it has computed anything.
"""

import multiprocessing
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.toy_training import toy_run, toy_settings

# Adam does not see the scale of gradients, clipping does: norms here lie on both sides of this one.
CLIP_NORM = 0.55


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _rank(folder: Path, rank: int, port: int, strategy: str, ema: float | None) -> None:
    os.environ |= {
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    toy_run(folder, toy_settings(devices=2, strategy=strategy, ema_decay=ema, clip_norm=CLIP_NORM))


def _alone(folder: Path, ema: float | None) -> None:
    toy_run(folder, toy_settings(ema_decay=ema, clip_norm=CLIP_NORM))


def _killed(folder: Path, at_step: int) -> None:
    def kill(step: int, total: int, row: Mapping[str, float]) -> None:
        if step == at_step:
            os.kill(os.getpid(), signal.SIGKILL)

    toy_run(folder, toy_settings(clip_norm=CLIP_NORM), report=kill)


def together(*calls) -> list[int | None]:
    """Run calls at the same time in forked processes; return their exit codes."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=target, args=arguments) for target, *arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def main(folder: Path) -> None:
    port = free_port()
    codes = together(
        (_alone, folder / "one", None),
        (_rank, folder / "two", 0, port, "ddp", None),
        (_rank, folder / "two", 1, port, "ddp", None),
        (_killed, folder / "killed", 8),
    )
    assert codes == [0, 0, 0, -signal.SIGKILL], codes
    shutil.copytree(folder / "killed", folder / "sharded")
    port = free_port()
    codes = together(
        (_alone, folder / "killed", None),
        (_alone, folder / "one-average", 0.9),
        (_rank, folder / "two-average", 0, port, "ddp", 0.9),
        (_rank, folder / "two-average", 1, port, "ddp", 0.9),
    )
    assert codes == [0, 0, 0, 0], codes
    # What one process began, two go on with that share the weights between them.
    port = free_port()
    codes = together(
        (_rank, folder / "sharded", 0, port, "fsdp", None),
        (_rank, folder / "sharded", 1, port, "fsdp", None),
    )
    assert codes == [0, 0], codes


if __name__ == "__main__":
    main(Path(sys.argv[1]))
