"""Runs of the toy autoencoder: alone, and two processes that share the batch.

Started by test_codec_processes.py with the folder to write to.
"""

import multiprocessing
import os
import socket
import sys
from pathlib import Path

from tests.toy_codec import SOUND, toy_codec_run

KINDS = {
    "magnitude": {},
    "sound": {"model": {"head": "istft", "sees": "complex"}, "objective": SOUND},
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _rank(folder: Path, kind: str, rank: int, port: int) -> None:
    os.environ |= {
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    toy_codec_run(folder, devices=2, strategy="ddp", max_steps=14, ema_decay=0.9, **KINDS[kind])


def main(folder: Path) -> None:
    fork = multiprocessing.get_context("fork")
    calls = []
    for kind, options in KINDS.items():
        port = _free_port()
        calls += [(_rank, folder / f"{kind}-two", kind, rank, port) for rank in (0, 1)]
        alone = {"max_steps": 14, "ema_decay": 0.9} | options
        calls.append((toy_codec_run, folder / f"{kind}-one", alone))
    processes = [
        fork.Process(
            target=call,
            args=rest if call is _rank else rest[:1],
            kwargs={} if call is _rank else rest[1],
        )
        for call, *rest in calls
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
