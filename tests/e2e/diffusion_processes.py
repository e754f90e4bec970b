"""Diffusion runs in processes of their own: one alone, two that share the work, one that is killed.

Started by test_diffusion_processes.py with the folder to write to. One interpreter imports PyTorch and
Lightning, which takes seconds, and forks before it has computed anything.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.training_processes import free_port, together
from tests.toy_diffusion import toy_fit, toy_latents

# What the runs have in common: an average, masks, labels, long steps and gradients that are clipped.
SETTINGS = {
    "trainer__ema_decay": 0.9,
    "trainer__clip_norm": 0.5,
    "task__shortcut__share": 0.3,
    "task__shortcut__finest_steps": 8,
}


def _make(folder: Path) -> None:
    toy_latents(folder)


def _alone(folder: Path) -> None:
    toy_fit(folder.parent / "latents", folder, **SETTINGS)


def _rank(folder: Path, rank: int, port: int) -> None:
    os.environ |= {
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    two = {"trainer__devices": 2, "trainer__strategy": "ddp"}
    toy_fit(folder.parent / "latents", folder, **SETTINGS, **two)


def _killed(folder: Path, at_step: int) -> None:
    def kill(step: int, total: int, row: Mapping[str, float]) -> None:
        if step == at_step:
            os.kill(os.getpid(), signal.SIGKILL)

    toy_fit(folder.parent / "latents", folder, kill, **SETTINGS)


def main(folder: Path) -> None:
    assert together((_make, folder)) == [0]
    port = free_port()
    codes = together(
        (_alone, folder / "one"),
        (_rank, folder / "two", 0, port),
        (_rank, folder / "two", 1, port),
        (_killed, folder / "killed", 8),
    )
    assert codes == [0, 0, 0, -signal.SIGKILL], codes
    assert together((_alone, folder / "killed")) == [0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
