"""Fifty clients at once on a small machine: no lost job, and no error that is not a clear "busy"."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.midi_files import song
from tests.studio_served import events_of, studio_process

NUM_CLIENTS = 50
MOST_WAITING = 5
MOST_BYTES = 700_000_000
"""Memory that the server may take: both models open and fifty clients take about 370 MB."""
DEADLINE_SECONDS = 240.0


@dataclass
class Seen:
    """What the clients were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[httpx.Response] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: httpx.Response) -> httpx.Response:
        """Count an answer."""
        with self.lock:
            self.statuses[answer.status_code] += 1
            if answer.status_code == 503:
                self.refusals.append(answer)
        return answer


def submitted(url: str, number: int, seen: Seen) -> dict[str, Any]:
    """Open a piece and ask for one bar, again where the studio is busy."""
    headers = {"x-segue-client": f"n{number}"}
    with httpx.Client(base_url=url, timeout=60, headers=headers, verify=False) as client:
        assert seen.note(client.get("/")).status_code == 200
        piece = seen.note(client.post("/api/midi/pieces?name=a.mid", content=song(4)))
        bar = 1 + number % 4
        ask = {"piece": piece.json()["id"], "bars": str(bar), "tracks": [0], "candidates": 1}
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            answer = seen.note(client.post("/api/midi/inpaint", json={**ask, "seed": number}))
            if answer.status_code != 503:
                break
            assert time.monotonic() < deadline
            time.sleep(min(2.0, float(answer.headers["retry-after"])))
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        last = events_of(url, job["id"])[-1]
        assert last[1:] == ("end", {"state": "done"})
        return seen.note(client.get(f"/api/jobs/{job['id']}")).json()


class Memory(threading.Thread):
    """Looks at the memory of a process until it is told to end."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._end = threading.Event()
        self.peak = 0

    def run(self) -> None:
        """Look ten times a second."""
        while not self._end.wait(0.1):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def end(self) -> int:
        """Stop looking; return the most bytes that were taken."""
        self._end.set()
        self.join()
        return self.peak


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_clients_lose_no_job(tmp_path: Path) -> None:
    seen = Seen()
    options = ("--limit", f"waiting_jobs={MOST_WAITING}")
    with studio_process(tmp_path / "studio", *options) as (url, process):
        assert submitted(url, 0, seen)["state"] == "done"
        memory = Memory(process.pid)
        memory.start()
        long = httpx.post(f"{url}/api/midi/compose", json={"bars": 64, "candidates": 8}).json()
        with ThreadPoolExecutor(NUM_CLIENTS) as pool:
            answers = pool.map(lambda number: submitted(url, number, seen), range(NUM_CLIENTS))
            while (
                not seen.refusals
                and not httpx.get(f"{url}/api/jobs/{long['id']}").json()["finished"]
            ):
                time.sleep(0.2)
            httpx.delete(f"{url}/api/jobs/{long['id']}")
            jobs = list(answers)
        peak = memory.end()
        listed = httpx.get(f"{url}/api/jobs").json()
        shelf = httpx.get(f"{url}/api/shelf").json()
    assert {job["state"] for job in jobs} == {"done"}
    assert all(len(job["result"]["candidates"]) == 1 for job in jobs)
    assert {job["id"] for job in jobs} <= {job["id"] for job in listed}
    assert set(seen.statuses) <= {200, 201, 202, 503}
    assert seen.refusals, "the limit was never met: fewer may wait"
    for refusal in seen.refusals:
        assert refusal.json()["error"]["kind"] == "busy"
        assert 1 <= int(refusal.headers["retry-after"]) <= 60
    found = {item["id"] for item in shelf}
    assert {job["result"]["candidates"][0]["piece"] for job in jobs} <= found
    assert 0 < peak < MOST_BYTES, f"{peak / 1e6:.0f} MB"
    assert process.returncode == 0
