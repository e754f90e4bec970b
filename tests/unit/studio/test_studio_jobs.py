"""Jobs: turns between clients, limits, cancel, events and their replay, records across restarts."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.studio_served import Served, events_of, served

from segue.errors import DataError
from segue.studio import events
from segue.studio.events import EventLog
from segue.studio.jobs import FINISHED, Handle, Job, Jobs
from segue.studio.limits import Limits
from segue.studio.problems import INTERNAL_MESSAGE, Busy, NotFound, TooLarge


class Gate:
    """Work that runs until it is let through."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, handle: Handle) -> dict[str, Any]:
        self.entered.set()
        while not self.open.wait(0.005):
            handle.check()
        return {"made": handle.job_id}


def quick(handle: Handle) -> dict[str, Any]:
    handle.tell("notes", {"candidate": 0, "notes": [[0, 60, 0, 10, 80]]})
    return {"candidates": []}


def submit(jobs: Jobs, work: Any = quick, client: str = "a", lane: Any = "midi") -> Job:
    return jobs.submit(kind="midi.test", lane=lane, settings={"bars": 1}, work=work, client=client)


def wait(*jobs: Job) -> None:
    deadline = time.monotonic() + 30
    while any(job.state not in FINISHED for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "jobs", Limits())
    yield made
    made.stop()


@pytest.fixture
def gate(jobs: Jobs) -> Iterator[Gate]:
    """A job that holds the lane of notes."""
    made = Gate()
    submit(jobs, made, client="gate")
    assert made.entered.wait(10)
    yield made
    made.open.set()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "studio") as running:
        yield running


def names(found: list[tuple[int, str, dict[str, Any]]]) -> list[str]:
    return [name for _, name, _ in found]


def test_a_job_runs_and_keeps_its_result(jobs: Jobs) -> None:
    job = submit(jobs)
    wait(job)
    answer = jobs.get(job.id).answer()
    assert (answer["state"], answer["result"], answer["progress"]) == (
        "done", {"candidates": []}, 1.0,
    )  # fmt: skip
    assert answer["created"] <= answer["started"] <= answer["finished"]


def test_clients_take_turns(jobs: Jobs, gate: Gate) -> None:
    heap = [submit(jobs, client="heap") for _ in range(4)]
    one = submit(jobs, client="one")
    two = submit(jobs, client="two")
    assert [job.position for job in (*heap, one, two)] == [0, 3, 4, 5, 1, 2]
    gate.open.set()
    wait(*heap, one, two)
    order = sorted((*heap, one, two), key=lambda job: job.started or "")
    assert order.index(two) < order.index(heap[1])


def test_positions_are_told_as_they_change(jobs: Jobs, gate: Gate) -> None:
    first, second = submit(jobs, client="b"), submit(jobs, client="b")
    gate.open.set()
    wait(first, second)
    assert second.log is not None
    told = [json.loads(event.data) for event in second.log.after(0)[0] if event.name == "state"]
    assert [each["position"] for each in told if each["state"] == "queued"] == [1, 0]


def test_lanes_do_not_wait_for_each_other(jobs: Jobs, gate: Gate) -> None:
    sound = submit(jobs, lane="audio")
    wait(sound)
    assert sound.state == "done"
    assert not gate.open.is_set()


def test_too_many_waiting_jobs_are_refused_with_a_time(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, Limits(waiting_jobs=3, waiting_jobs_per_client=2))
    gate = Gate()
    submit(jobs, gate, client="gate")
    assert gate.entered.wait(10)
    accepted = [submit(jobs, client="a"), submit(jobs, client="a")]
    with pytest.raises(Busy, match="2 of your jobs") as own:
        submit(jobs, client="a")
    accepted.append(submit(jobs, client="b"))
    with pytest.raises(Busy, match="3 jobs are waiting") as everyone:
        submit(jobs, client="c")
    assert all(1 <= each.value.retry_after_seconds <= 60 for each in (own, everyone))
    gate.open.set()
    wait(*accepted)
    assert {job.state for job in accepted} == {"done"}
    jobs.stop()


def test_a_full_shelf_takes_no_jobs(tmp_path: Path) -> None:
    with served(tmp_path, limits=Limits(stored_items=1)) as studio:
        first = submit(studio.studio.jobs)
        wait(first)
        item = studio.studio.store.add("piece", {}, lambda folder: None, listed=True)
        with pytest.raises(TooLarge, match="shelf is full"):
            submit(studio.studio.jobs)
        studio.studio.store.remove(item)
        wait(submit(studio.studio.jobs))


def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs, gate: Gate) -> None:
    first, second = submit(jobs, client="b"), submit(jobs, client="c")
    jobs.cancel(first.id)
    assert (first.state, second.position) == ("cancelled", 0)
    gate.open.set()
    wait(second)
    assert (first.started, second.state) == (None, "done")


def test_a_running_job_is_cancelled_where_it_looks_up(jobs: Jobs) -> None:
    gate = Gate()
    job = submit(jobs, gate)
    assert gate.entered.wait(10)
    assert jobs.cancel(job.id).state == "running"
    wait(job)
    assert (job.state, job.result) == ("cancelled", None)
    assert jobs.cancel(job.id).state == "cancelled"


def test_telling_and_progress_stop_a_cancelled_job(jobs: Jobs) -> None:
    def talk(handle: Handle) -> dict[str, Any]:
        entered.set()
        while True:
            handle.tell("notes", {"notes": []})
            time.sleep(0.001)

    def count(handle: Handle) -> dict[str, Any]:
        entered.set()
        with handle.progress("counting") as advance:
            while True:
                advance()
                time.sleep(0.001)

    for work in (talk, count):
        entered = threading.Event()
        job = submit(jobs, work)
        assert entered.wait(10)
        jobs.cancel(job.id)
        wait(job)
        assert job.state == "cancelled"


def test_progress_is_told_seldom_and_to_the_end(jobs: Jobs) -> None:
    def count(handle: Handle) -> dict[str, Any]:
        with handle.progress("counting", total=500) as advance:
            for index in range(500):
                advance()
                if index == 99:
                    handle.tell("notes", {})
                    seen.append(job.progress)
        return {}

    seen: list[float | None] = []
    ready = Gate()
    submit(jobs, ready)
    job = submit(jobs, count)
    ready.open.set()
    wait(job)
    assert job.log is not None
    told = [json.loads(event.data) for event in job.log.after(0)[0] if event.name == "progress"]
    assert told[-1] == {"done": 500.0, "total": 500}
    assert len(told) <= 3
    assert job.last_event < 100
    assert 0 < (seen[0] or 0) <= 0.2


def test_failures_are_told_without_tracebacks_and_paths(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def data(handle: Handle) -> dict[str, Any]:
        raise DataError(f"Cannot read {tmp_path}/items/x/original.mid: it is empty.")

    def bug(handle: Handle) -> dict[str, Any]:
        raise ZeroDivisionError(str(tmp_path))

    def unsayable(handle: Handle) -> dict[str, Any]:
        return {"log_prob": float("nan")}

    jobs = Jobs(tmp_path / "jobs", Limits(), private=[tmp_path])
    failed = [submit(jobs, work) for work in (data, bug, unsayable)]
    after = submit(jobs)
    wait(*failed, after)
    assert [job.error for job in failed] == [
        {"kind": "data", "message": "Cannot read original.mid: it is empty."},
        *[{"kind": "internal", "message": INTERNAL_MESSAGE}] * 2,
    ]
    assert after.state == "done"
    assert "ZeroDivisionError" in caplog.text
    jobs.stop()


def test_events_are_replayed_from_the_beginning(studio: Served) -> None:
    job = submit(studio.studio.jobs)
    wait(job)
    found = events_of(studio.url, job.id)
    assert names(found) == ["state", "state", "notes", "result", "state", "end"]
    assert [number for number, _, _ in found] == [1, 2, 3, 4, 5, 6]
    assert found[-1][2] == {"state": "done"}


def test_a_stream_goes_on_where_it_was_cut(studio: Served) -> None:
    gate = Gate()
    job = submit(studio.studio.jobs, gate)
    assert gate.entered.wait(10)
    before = events_of(studio.url, job.id, most=2)
    assert job.state == "running"
    gate.open.set()
    wait(job)
    after = events_of(studio.url, job.id, after=before[-1][0])
    assert names(before) == ["state", "state"]
    assert names(after) == ["result", "state", "end"]
    assert after[0][0] == before[-1][0] + 1


def test_a_client_that_goes_away_does_not_stop_its_job(studio: Served) -> None:
    gate = Gate()
    job = submit(studio.studio.jobs, gate)
    with httpx.stream("GET", f"{studio.url}/api/jobs/{job.id}/events") as answer:
        next(answer.iter_bytes())
    gate.open.set()
    wait(job)
    assert job.state == "done"


def test_live_events_come_while_the_job_runs(studio: Served) -> None:
    def wave(handle: Handle) -> dict[str, Any]:
        handle.tell("begin", {"piece": "0"})
        assert heard.wait(20)
        return {}

    heard = threading.Event()
    job = submit(studio.studio.jobs, wave)
    assert names(events_of(studio.url, job.id, most=3))[-1] == "begin"
    heard.set()
    assert names(events_of(studio.url, job.id))[-1] == "end"


def test_who_has_heard_the_end_is_told_to_stop_asking(studio: Served) -> None:
    job = submit(studio.studio.jobs)
    wait(job)
    answer = httpx.get(
        f"{studio.url}/api/jobs/{job.id}/events", headers={"last-event-id": str(job.last_event)}
    )
    assert answer.status_code == 204
    for odd in ("nonsense", "-4", "9" * 400, "\u00b2".encode()):
        assert httpx.get(
            f"{studio.url}/api/jobs/{job.id}/events", headers={"last-event-id": odd}
        ).text.count("event: end") == 1  # fmt: skip


def test_a_silent_stream_says_that_it_is_there(
    studio: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    gate = Gate()
    job = submit(studio.studio.jobs, gate)
    assert gate.entered.wait(10)
    with httpx.stream("GET", f"{studio.url}/api/jobs/{job.id}/events") as answer:
        assert any(line.startswith(":") for line in answer.iter_lines())
    gate.open.set()


def test_too_many_streams_are_refused(tmp_path: Path) -> None:
    with served(tmp_path, limits=Limits(streams=1)) as studio:
        gate = Gate()
        job = submit(studio.studio.jobs, gate)
        path = f"{studio.url}/api/jobs/{job.id}/events"
        with httpx.stream("GET", path) as answer:
            parts = answer.iter_bytes()
            next(parts)
            refused = httpx.get(path)
            assert (refused.status_code, refused.json()["error"]["kind"]) == (503, "busy")
            assert int(refused.headers["retry-after"]) > 0
        gate.open.set()
        wait(job)
        while httpx.get(path).status_code == 503:
            time.sleep(0.01)
        assert "event: end" in httpx.get(path).text


def test_the_end_of_the_server_ends_streams_and_marks_jobs(tmp_path: Path) -> None:
    found: list[tuple[int, str, dict[str, Any]]] = []
    with served(tmp_path) as studio:
        gate = Gate()
        running, queued = (submit(studio.studio.jobs, gate), submit(studio.studio.jobs))
        assert gate.entered.wait(10)
        follower = threading.Thread(
            target=lambda: found.extend(events_of(studio.url, running.id)), daemon=True
        )
        follower.start()
        while not studio.server.server_state.connections:
            time.sleep(0.01)
        studio.stop()
        follower.join(10)
    assert found[-1][1:] == ("end", {"state": "interrupted"})
    assert {running.state, queued.state} == {"interrupted"}
    again = Jobs(tmp_path / "jobs", Limits())
    assert {again.get(job.id).state for job in (running, queued)} == {"interrupted"}


def test_over_http_jobs_are_listed_read_and_cancelled(studio: Served) -> None:
    gate = Gate()
    first, second = submit(studio.studio.jobs, gate), submit(studio.studio.jobs)
    path = f"{studio.url}/api/jobs"
    assert [job["id"] for job in httpx.get(path).json()] == [second.id, first.id]
    assert httpx.delete(f"{path}/{second.id}").status_code == 202
    assert httpx.get(f"{path}/{second.id}").json()["state"] == "cancelled"
    gate.open.set()
    assert httpx.get(f"{path}/{'0' * 16}").status_code == 404
    assert httpx.delete(f"{path}/..%2f..%2fetc").status_code == 404


def test_records_are_read_at_the_next_start(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, Limits())
    done = submit(jobs)
    wait(done)
    jobs.stop()
    again = Jobs(tmp_path, Limits()).get(done.id)
    assert again.answer() == done.answer()
    replayed = again.replay(0)
    assert [event.name for event in replayed] == ["state", "result", "end"]
    assert replayed[-1].number == done.last_event


def test_a_job_that_was_running_when_all_stopped_is_interrupted(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, Limits())
    gate = Gate()
    job = submit(jobs, gate)
    assert gate.entered.wait(10)
    path = tmp_path / f"{job.id}.json"
    while json.loads(path.read_text())["state"] != "running":
        time.sleep(0.005)
    again = Jobs(tmp_path, Limits()).get(job.id)
    assert (again.state, again.error and again.error["kind"]) == ("interrupted", "internal")
    assert json.loads(path.read_text())["state"] == "interrupted"
    assert [event.number for event in again.replay(40)] == [41, 42, 43]
    gate.open.set()
    jobs.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"id": 1}', b"\xff\xfe", b"null", b"[" * 100_000],
)
def test_damaged_records_are_passed_by(tmp_path: Path, content: bytes) -> None:
    jobs = Jobs(tmp_path, Limits())
    done = submit(jobs)
    wait(done)
    jobs.stop()
    (tmp_path / f"{'0' * 16}.json").write_bytes(content)
    (tmp_path / ".half-written.json").write_bytes(b"{")
    (tmp_path / f"{'1' * 16}.json").write_bytes((tmp_path / f"{done.id}.json").read_bytes())
    assert [job.id for job in Jobs(tmp_path, Limits()).all()] == [done.id]
    assert not (tmp_path / ".half-written.json").exists()


def test_old_records_go(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, Limits(kept_jobs=3))
    made = [submit(jobs, client=str(index)) for index in range(6)]
    wait(*made)
    jobs.stop()
    again = Jobs(tmp_path, Limits(kept_jobs=2))
    assert [job.id for job in again.all()] == [made[5].id, made[4].id]
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(NotFound):
        again.get(made[0].id)


def test_memory_for_events_is_bounded_over_all_jobs(tmp_path: Path) -> None:
    def talk(handle: Handle) -> dict[str, Any]:
        handle.tell("notes", {"notes": "x" * 1000})
        return {"n": 1}

    jobs = Jobs(tmp_path, Limits(event_bytes=2500))
    made = [submit(jobs, talk, client=str(index)) for index in range(5)]
    wait(*made)
    jobs.stop()
    assert [job.log is None for job in made] == [True, True, True, False, False]
    assert [event.name for event in made[0].replay(0)] == ["state", "result", "end"]


def test_a_full_log_forgets_the_oldest_notes_only() -> None:
    log = EventLog(limit_bytes=1000)
    log.tell("begin", {"piece": "0"})
    for index in range(500):
        log.tell("notes", {"candidate": index, "notes": []})
    log.tell("result", {"ok": True})
    kept, _ = log.after(0)
    assert (kept[0].name, kept[-1].name) == ("begin", "result")
    assert json.loads(kept[-2].data)["candidate"] == 499
    assert log.size_bytes <= 1000
    numbers = [event.number for event in kept]
    assert numbers == sorted(numbers)


def test_progress_takes_the_place_of_progress() -> None:
    log = EventLog(limit_bytes=1000)
    for done in range(50):
        log.tell("progress", {"done": done, "total": 50})
    assert [(event.number, json.loads(event.data)["done"]) for event in log.after(0)[0]] == [
        (50, 49)
    ]


def test_a_record_that_cannot_be_written_costs_the_record_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise DataError("Cannot write: No space left on device.")

    monkeypatch.setattr("segue.studio.jobs.write_text", full)
    jobs = Jobs(tmp_path, Limits())
    job = submit(jobs)
    wait(job)
    jobs.stop()
    assert job.state == "done"
    assert "was not written" in caplog.text
