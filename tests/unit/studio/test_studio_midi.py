"""Pieces over HTTP: opened, told, filled, played, and what is refused."""

import io
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from tests.corpora import hostile_files
from tests.midi_files import at_ticks, midi, off, on, song
from tests.studio_asked import done, refused
from tests.studio_served import ended, events_of, served

from segue.errors import DataError
from segue.studio.limits import Limits
from segue.studio.midi_jobs import Telling
from segue.studio.names import clean_name, result_name
from segue.studio.piece_json import piece_as_json
from segue.studio.playing import Kept, Pieces
from segue.symbolic.demo_piece import demo_piece
from segue.symbolic.generate import BarStarted, NotesDropped, NoteWritten
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.score import Piece

LIMITS = Limits(candidates=6, bars=20, piece_notes=8000, piece_bars=500, stems_seconds=20)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        served(tmp_path_factory.mktemp("studio"), limits=LIMITS) as running,
        httpx.Client(base_url=running.url, timeout=60) as asking,
    ):
        yield asking


@pytest.fixture(scope="module")
def quartet(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.post("/api/midi/pieces/demo?name=quartet").json()
    return found


@pytest.fixture(scope="module")
def filled(client: httpx.Client, quartet: dict[str, Any]) -> dict[str, Any]:
    asked = {"piece": quartet["id"], "bars": "9-10", "tracks": [0, 2], "candidates": 2}
    return done(client, "/api/midi/inpaint", **asked)


def piece_of(client: httpx.Client, item: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/midi/pieces/{item}").raise_for_status().json()
    return found


def upload(client: httpx.Client, data: bytes, name: str = "a.mid") -> httpx.Response:
    return client.post("/api/midi/pieces", params={"name": name}, content=data)


# What a piece is -----------------------------------------------------------------------------------


def test_a_file_comes_back_as_columns_and_as_it_was(client: httpx.Client) -> None:
    data = song(6)
    answer = upload(client, data, "my song.mid")
    assert answer.status_code == 201
    told, piece = answer.json(), Piece.from_bytes(data)
    assert told["name"] == "my song.mid"
    assert told["origin"] is None
    assert told["num_bars"] == len(told["bars"]["numerator"]) == piece.bars.num_bars
    assert told["bars"]["start_ticks"] == piece.bars.start_ticks.tolist()
    assert told["seconds"] == pytest.approx(piece.length_seconds, abs=1e-5)
    assert told["tempos"]["ticks"][0] == 0
    assert len(told["tempos"]["bpm"]) == len(told["tempos"]["seconds"]) > 1
    for name, column in told["notes"].items():
        assert column == piece.notes[name].tolist()
    assert [track["num_notes"] for track in told["tracks"]] == [t.num_notes for t in piece.tracks]
    assert piece_of(client, told["id"]) == told
    file = client.get(f"/api/midi/pieces/{told['id']}/file")
    assert file.content == data
    assert 'filename="my song.mid"' in file.headers["content-disposition"]
    assert told["id"] in [item["id"] for item in client.get("/api/shelf").json()]


def test_twenty_thousand_notes_take_no_time() -> None:
    line = [
        e
        for n in range(20_000)
        for e in ((n * 60, on(30 + n % 70)), (n * 60 + 50, off(30 + n % 70)))
    ]
    piece = Piece.from_bytes(midi(at_ticks(*line)))
    assert len(piece.notes) == 20_000
    began = time.process_time()
    text = json.dumps(piece_as_json(piece))
    assert time.process_time() - began < 1
    assert len(text) < 3_000_000


def test_a_demo_is_made_once_and_not_on_the_shelf(
    client: httpx.Client, quartet: dict[str, Any]
) -> None:
    again = client.post("/api/midi/pieces/demo").json()
    assert again == quartet
    assert again["id"] not in [item["id"] for item in client.get("/api/shelf").json()]
    assert "trio" in refused(client.post("/api/midi/pieces/demo?name=../etc"), "not_found")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("song.mid", "song.mid"),
        ("../../etc/passwd", "passwd.mid"),
        ("C:\\music\\a.MID", "a.MID"),
        ("", "song.mid"),
        ("..", "song.mid"),
        ("/", "song.mid"),
        (".mid", "mid.mid"),
        ("a\x00b\n<c>.mid", "abc.mid"),
        ("x" * 500 + ".mid", "x" * 110 + ".mid"),
        ("Träumerei 夜.mid", "Träumerei 夜.mid"),
    ],
)
def test_names_are_no_paths(given: str, kept: str) -> None:
    assert clean_name(given, default="song.mid") == kept


def test_odd_names_are_told_and_downloaded(client: httpx.Client) -> None:
    told = upload(client, song(2), 'Träume"r/ei 夜\r\nx: y.mid').json()
    header = client.get(f"/api/midi/pieces/{told['id']}/file").headers["content-disposition"]
    assert "\n" not in header
    assert re.fullmatch(r"attachment; filename=\"[\w .-]+\"; filename\*=UTF-8''[\w%.-]+", header)


def test_results_are_called_as_the_commands_call_them() -> None:
    assert result_name("a.b.mid", "inpainted", ending=".mid") == "a.b-inpainted.mid"
    assert result_name("song", "composed", ending=".mid", rank=3) == "song-composed-3.mid"


# Filling -------------------------------------------------------------------------------------------


def test_a_hole_is_filled_and_nothing_else_changes(
    client: httpx.Client, quartet: dict[str, Any], filled: dict[str, Any]
) -> None:
    result = filled["result"]
    assert result["before"] == quartet["id"]
    region = result["region"]
    assert (region["first_bar"], region["last_bar"], region["tracks"]) == (9, 10, [0, 2])
    ranks = [candidate["rank"] for candidate in result["candidates"]]
    scores = [candidate["log_prob_per_note"] for candidate in result["candidates"]]
    assert ranks == [1, 2]
    assert scores == sorted(scores, reverse=True)
    for candidate in result["candidates"]:
        told = piece_of(client, candidate["piece"])
        origin = told["origin"]
        assert origin["job"] == filled["id"]
        assert (origin["kind"], origin["before"]) == ("midi.inpaint", quartet["id"])
        assert origin["settings"] == filled["settings"]
        new = origin["new_notes"]
        assert len(new) == len(origin["log_probs"]) == candidate["num_notes"] > 0
        assert max(origin["log_probs"]) <= 0
        rows = list(zip(*told["notes"].values(), strict=True))
        for index in new:
            track, _, _, onset, _ = rows[index]
            assert track in (0, 2)
            assert region["start_ticks"] <= onset < region["end_ticks"]
        old = [
            row for row in zip(*quartet["notes"].values(), strict=True)
            if not (row[0] in (0, 2) and region["start_ticks"] <= row[3] < region["end_ticks"])
        ]  # fmt: skip
        kept = [row for index, row in enumerate(rows) if index not in set(new)]
        assert kept == old


def test_notes_are_told_while_they_are_written(
    client: httpx.Client, quartet: dict[str, Any], filled: dict[str, Any]
) -> None:
    events = events_of(str(client.base_url).rstrip("/"), filled["id"])
    names = [name for _, name, _ in events]
    assert names.index("begin") < names.index("notes") < names.index("result")
    assert names[-1] == "end"
    (begin,) = [data for _, name, data in events if name == "begin"]
    assert begin == {"piece": quartet["id"], "region": filled["result"]["region"]}
    told = [data for _, name, data in events if name == "notes"]
    assert {data["candidate"] for data in told} == {0, 1}
    region = begin["region"]
    for best in filled["result"]["candidates"]:
        written = [n for data in told if data["candidate"] == best["number"] for n in data["notes"]]
        notes = piece_of(client, best["piece"])["notes"]
        rows = set(zip(notes["track"], notes["pitch"], notes["onset_ticks"], strict=True))
        assert len(written) >= best["num_notes"]
        assert sum(tuple(note[:3]) in rows for note in written) >= best["num_notes"] - 2
        assert all(region["start_ticks"] <= note[2] < region["end_ticks"] for note in written)
    progress = [data for _, name, data in events if name == "progress"]
    assert all(0 < data["done"] <= data["total"] == 4 for data in progress)


def test_the_settings_are_complete(filled: dict[str, Any]) -> None:
    settings = filled["settings"]
    assert settings["model"] == "midigpt-small"
    assert (settings["seed"], settings["candidates"], settings["temperature"]) == (1, 2, 1.0)


@pytest.mark.parametrize("before", [False, True])
def test_going_on_has_a_canvas_of_its_own(
    client: httpx.Client, quartet: dict[str, Any], *, before: bool
) -> None:
    asked = {"piece": quartet["id"], "bars": 2, "before": before, "tracks": [3], "candidates": 1}
    job = done(client, "/api/midi/outpaint", **asked)
    result = job["result"]
    canvas = piece_of(client, result["before"])
    assert canvas["id"] != quartet["id"]
    assert canvas["num_bars"] == 34
    assert len(canvas["notes"]["pitch"]) == len(quartet["notes"]["pitch"])
    assert result["region"]["first_bar"] == (1 if before else 33)
    best = piece_of(client, result["candidates"][0]["piece"])
    assert best["name"] == "quartet-outpainted.mid"
    assert canvas["id"] not in [item["id"] for item in client.get("/api/shelf").json()]


def test_the_likeliest_candidate_stands_on_the_shelf_and_what_is_kept(
    client: httpx.Client, filled: dict[str, Any]
) -> None:
    best, other = (candidate["piece"] for candidate in filled["result"]["candidates"])
    shelf = [item["id"] for item in client.get("/api/shelf").json()]
    assert best in shelf
    assert other not in shelf
    assert client.put(f"/api/shelf/{other}").status_code == 204
    assert other in [item["id"] for item in client.get("/api/shelf").json()]


def test_without_a_soundfont_notes_are_written_all_the_same(
    client: httpx.Client, quartet: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> float:
        raise DataError("There is no sound to play with.")

    monkeypatch.setattr(Pieces, "gain", missing)
    asked = {"piece": quartet["id"], "bars": "2", "tracks": [3], "candidates": 1}
    job = done(client, "/api/midi/inpaint", **asked)
    assert len(job["result"]["candidates"]) == 1


def test_a_candidate_stays_whole_when_its_original_is_deleted(client: httpx.Client) -> None:
    original = upload(client, song(2)).json()["id"]
    job = done(client, "/api/midi/inpaint", piece=original, bars="2", tracks=[0], candidates=2)
    assert client.delete(f"/api/shelf/{original}").status_code == 204
    assert client.get(f"/api/midi/pieces/{original}/stems").status_code == 404
    for candidate in job["result"]["candidates"]:
        path = f"/api/midi/pieces/{candidate['piece']}"
        assert client.get(path).json()["origin"]["before"] == original
        for name in ("file", "picture", "stems?end=1"):
            assert client.get(f"{path}/{name}").status_code == 200


def test_a_piece_from_nothing(client: httpx.Client) -> None:
    asked = {"instruments": ["piano", "drums", 33], "bars": 2, "meter": "3/4", "tempo": 90}
    result = done(client, "/api/midi/compose", candidates=1, **asked)["result"]
    canvas = piece_of(client, result["before"])
    assert [track["program"] for track in canvas["tracks"]] == [0, 0, 33]
    assert not canvas["notes"]["pitch"]
    assert canvas["bars"]["numerator"] == [3, 3]
    assert canvas["tempos"]["bpm"] == [pytest.approx(90)]
    best = piece_of(client, result["candidates"][0]["piece"])
    assert best["notes"]["pitch"]
    assert best["origin"]["before"] == canvas["id"]


def test_a_candidate_is_filled_again(client: httpx.Client, filled: dict[str, Any]) -> None:
    best = filled["result"]["candidates"][0]["piece"]
    job = done(
        client, "/api/midi/inpaint", piece=best, seconds="2-5", tracks=["viola"], candidates=1
    )
    told = piece_of(client, job["result"]["candidates"][0]["piece"])
    assert told["name"] == "quartet-inpainted-inpainted.mid"
    assert told["origin"]["before"] == best


def test_a_job_is_cancelled(client: httpx.Client) -> None:
    job = client.post("/api/midi/compose", json={"bars": 20, "candidates": 6}).json()
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 202
    assert ended(client, job["id"])["state"] == "cancelled"


class Heard:
    """A handle that keeps what is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def check(self) -> None: ...

    def tell(self, event: str, data: Any) -> None:
        self.events.append((event, data))


class Live:
    """Notes on the ticks of no piece."""

    def placed(self, events: list[NoteWritten]) -> np.ndarray:
        return np.zeros(len(events), NEW_NOTE_FIELDS)

    def tracks_of(self, program: int) -> tuple[int, ...]:
        return program, program + 1


def test_notes_that_are_written_once_more_are_dropped_after_they_were_told() -> None:
    heard = Heard()
    telling = Telling(heard, Live(), lambda count=1: None, 0)  # type: ignore[arg-type]
    for program in (7, 7, 2):
        telling(NoteWritten(1, 0, 0, 0, program, 60, 0, 0))
    telling(NotesDropped(1, 7))
    assert [name for name, _ in heard.events] == ["notes", "notes", "drop", "drop"]
    assert [data for _, data in heard.events[2:]] == [
        {"candidate": 1, "track": 7}, {"candidate": 1, "track": 8},
    ]  # fmt: skip


def test_notes_are_told_in_batches() -> None:
    heard, bars = Heard(), []
    telling = Telling(heard, Live(), lambda count=1: bars.append(count), 1)  # type: ignore[arg-type]
    telling(BarStarted(0, 0))
    telling(BarStarted(0, 1))  # more than was expected
    for number in range(100):
        telling(NoteWritten(number % 2, 0, 0, 0, 0, 60, 0, 0))
    telling.flush()
    assert bars == [1]
    assert len(heard.events) < 20
    assert sum(len(data["notes"]) for _, data in heard.events) == 100


# Pictures and sound --------------------------------------------------------------------------------


def test_pictures(client: httpx.Client, quartet: dict[str, Any], filled: dict[str, Any]) -> None:
    best = filled["result"]["candidates"][1]["piece"]
    for item, name in ((quartet["id"], "quartet.png"), (best, "quartet-inpainted-2.png")):
        answer = client.get(f"/api/midi/pieces/{item}/picture")
        assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
        assert f'filename="{name}"' in answer.headers["content-disposition"]
    empty = upload(client, midi(at_ticks((0, b"\xc0\x00"), (960, off(60))))).json()
    message = refused(client.get(f"/api/midi/pieces/{empty['id']}/picture"), "data")
    assert "no notes" in message


def stems(client: httpx.Client, item: str, **asked: Any) -> tuple[np.ndarray, httpx.Headers]:
    answer = client.get(f"/api/midi/pieces/{item}/stems", params=asked).raise_for_status()
    tracks, frames = (answer.headers[f"x-segue-{name}"] for name in ("tracks", "frames"))
    count = len(tracks.split(","))
    sound = np.frombuffer(answer.content, "<i2").reshape(count, int(frames), 2)
    return sound, answer.headers


def test_the_sum_of_the_stems_is_the_sound(client: httpx.Client) -> None:
    item = upload(client, song(4)).json()["id"]
    answer = client.get(f"/api/midi/pieces/{item}/sound")
    assert answer.headers["content-type"] == "audio/wav"
    heard, rate = soundfile.read(io.BytesIO(answer.content))
    parts = []
    for start in (0.0, 2.5, 5.0):
        part, headers = stems(client, item, start=start, end=start + 2.5)
        assert headers["x-segue-rate"] == "44100" == str(rate)
        assert part.shape[1] == 110_250
        parts.append(part)
    mix = np.concatenate(parts, axis=1).astype(float).sum(axis=0) / 32768
    heard = heard[: len(mix)]
    factor = (heard * mix).sum() / (mix * mix).sum()
    assert np.abs(mix * factor - heard).max() < 6 * factor / 32768
    flac = client.get(f"/api/midi/pieces/{item}/sound?format=flac").content
    assert np.array_equal(soundfile.read(io.BytesIO(flac))[0][: len(heard)], heard)


def test_stems_are_of_the_tracks_asked_for(
    client: httpx.Client, quartet: dict[str, Any], filled: dict[str, Any]
) -> None:
    item = quartet["id"]
    every, headers = stems(client, item, start=1, end=2)
    assert headers["x-segue-tracks"] == "0,1,2,3"
    assert "immutable" in headers["cache-control"]
    some, _ = stems(client, item, start=1, end=2, tracks="3,0")
    assert np.array_equal(some, every[[3, 0]])
    assert every.any(axis=(1, 2)).all()
    last, _ = stems(client, item, start=quartet["seconds"] - 1, end=1e6)
    assert last.shape[1] == pytest.approx(5 * 44_100, abs=2)
    best = filled["result"]["candidates"][0]["piece"]
    other, _ = stems(client, best, start=1, end=2)  # before the hole: the same, as loud
    assert np.array_equal(other, every)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"start": 5, "end": 4}, "setting"),
        ({"start": 900, "end": 901}, "setting"),
        ({"start": "nan"}, "setting"),
        ({"start": "inf"}, "setting"),
        ({"start": -1}, "setting"),
        ({"tracks": "4"}, "setting"),
        ({"tracks": "0,-1"}, "setting"),
        ({"tracks": "9" * 400}, "setting"),
        ({"tracks": "../x"}, "setting"),
        ({"rate": 44_101}, "setting"),
        ({"rate": 10**30}, "setting"),
        ({"end": 60}, "too_large"),
    ],
)
def test_stems_that_are_refused(
    client: httpx.Client, quartet: dict[str, Any], asked: dict[str, Any], kind: str
) -> None:
    refused(client.get(f"/api/midi/pieces/{quartet['id']}/stems", params=asked), kind)


def test_walls_of_sound_are_refused_at_once(client: httpx.Client) -> None:
    """Every key of every channel held for ten minutes, many times over."""
    keys = [on(pitch, channel=channel) for channel in range(9) for pitch in range(20, 110)]
    held = [(tick, key) for tick in range(9) for key in keys]
    piece = upload(client, midi(at_ticks(*held, (480 * 1200, off(60))))).json()
    assert len(piece["notes"]["pitch"]) == 7290
    for path in ("stems?start=30&end=50", "sound"):
        began = time.monotonic()
        message = refused(client.get(f"/api/midi/pieces/{piece['id']}/{path}"), "too_large")
        assert "at once" in message
        assert time.monotonic() - began < 10


def test_what_is_kept_is_bounded() -> None:
    kept: Kept[bytes] = Kept(100, len)
    for number in range(50):
        assert kept.get(number, lambda: bytes(30)) == bytes(30)
        assert kept.size <= 100
    assert kept.get("large", lambda: bytes(500)) == bytes(500)
    assert kept.size == 500
    made: list[int] = []
    kept.get("large", lambda: made.append(1) or b"")
    assert not made


# What is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hostile_files())
def test_hostile_files_are_refused_or_harmless(client: httpx.Client, name: str) -> None:
    answer = upload(client, hostile_files()[name], name)
    if answer.status_code != 201:
        refused(answer, "too_large" if answer.status_code == 413 else "data")
        return
    item = answer.json()["id"]
    for path in ("/file", "/stems?start=0&end=1", "/picture"):
        found = client.get(f"/api/midi/pieces/{item}{path}")
        if found.status_code != 200:
            refused(found, "setting" if found.status_code == 422 else "data")


def test_cut_files_are_refused(client: httpx.Client) -> None:
    data = demo_piece("trio")
    for size in range(0, len(data), 211):
        refused(upload(client, data[:size]), "data")


def test_too_much_is_refused(client: httpx.Client) -> None:
    line = [e for n in range(8500) for e in ((n * 10, on(60)), (n * 10 + 9, off(60)))]
    assert "8500" in refused(upload(client, midi(at_ticks(*line))), "too_large")
    far = midi(
        at_ticks((0, on(60)), (10, off(60)), (4 * 480 * 600, on(60)), (4 * 480 * 600 + 9, off(60)))
    )
    assert "bars" in refused(upload(client, far), "too_large")
    refused(upload(client, bytes(LIMITS.midi_bytes + 1)), "too_large")


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"bras": "9-10"}, "setting", "did you mean bars?"),
        ({}, "setting", "exactly one of bars, beats and seconds; 0"),
        ({"bars": "9", "beats": "3"}, "setting", "2 were given"),
        ({"bars": "40"}, "setting", "bars 1-32"),
        ({"bars": "a-b"}, "setting", "not a span"),
        ({"bars": "9" * 90}, "setting", ""),
        ({"bars": "1-32"}, "too_large", "32 bars in one job"),
        ({"seconds": "nan-nan"}, "setting", ""),
        ({"seconds": "1e400-2"}, "setting", ""),
        ({"bars": "9", "tracks": ["tuba"]}, "setting", "no track 'tuba'"),
        ({"bars": "9", "tracks": [10**40]}, "setting", "no track"),
        ({"bars": "9", "tracks": []}, "setting", "No track is named"),
        ({"bars": "9", "candidates": 0}, "setting", "candidates"),
        ({"bars": "9", "candidates": 50}, "too_large", "at most 6"),
        ({"bars": "9", "candidates": 10**400}, "setting", "candidates"),
        ({"bars": "9", "seed": -1}, "setting", "seed"),
        ({"bars": "9", "seed": 2**64}, "setting", "seed"),
        ({"bars": "9", "temperature": "hot"}, "setting", "temperature"),
        ({"bars": "9", "top_p": 0}, "setting", "top_p"),
        ({"bars": "9", "top_k": 1.5}, "setting", "top_k"),
        ({"bars": "9", "method": "magic"}, "setting", "infill"),
        ({"bars": "9", "model": "midigpt-smal"}, "not_found", "did you mean midigpt-small?"),
        ({"bars": "9", "model": "../midigpt-small"}, "not_found", ""),
        ({"bars": "9", "model": "/etc"}, "not_found", ""),
        ({"bars": "9", "model": "ldmg-small"}, "not_found", "does not write notes"),
    ],
)
def test_settings_that_are_refused(
    client: httpx.Client, quartet: dict[str, Any], asked: dict[str, Any], kind: str, words: str
) -> None:
    answer = client.post("/api/midi/inpaint", json={"piece": quartet["id"], **asked})
    assert words in refused(answer, kind)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"piece": "%s", "bars": "9", "temperature": NaN}', "temperature"),
        ('{"piece": "%s", "bars": "9", "temperature": 1e999}', "temperature"),
        ('{"piece": "%s", "bars": "9", "seed": Infinity}', "seed"),
        ("[]", ""),
        ("3", ""),
        ("null", ""),
    ],
)
def test_odd_json_is_refused(
    client: httpx.Client, quartet: dict[str, Any], body: str, words: str
) -> None:
    content = (body % quartet["id"]) if "%s" in body else body
    headers = {"content-type": "application/json"}
    answer = client.post("/api/midi/inpaint", content=content, headers=headers)
    assert words in refused(answer, "setting")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 20_000, b'{"seed": ' + b"9" * 6000 + b"}"]
)
def test_what_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/midi/inpaint", content=body, headers=headers)
    refused(answer, "setting" if answer.status_code == 422 else "data")


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [
        ("compose", {"instruments": ["flugelkazoo"]}, "no instrument"),
        ("compose", {"instruments": []}, "instruments"),
        ("compose", {"meter": "4/5"}, "4/5"),
        ("compose", {"meter": "x"}, "meter"),
        ("compose", {"tempo": 0}, "tempo"),
        ("outpaint", {"bars": 0}, "bars"),
    ],
)
def test_other_settings_that_are_refused(
    client: httpx.Client, quartet: dict[str, Any], path: str, asked: dict[str, Any], words: str
) -> None:
    told = {"piece": quartet["id"], **asked} if path == "outpaint" else asked
    assert words in refused(client.post(f"/api/midi/{path}", json=told), "setting")
    too_long = {**told, "bars": 90} if path == "outpaint" else {"bars": 90}
    refused(client.post(f"/api/midi/{path}", json=too_long), "too_large")


@pytest.mark.parametrize("item", ["0" * 16, "x", "..", "%2e%2e%2fjobs", "a" * 3000])
def test_pieces_that_are_not_there(client: httpx.Client, item: str) -> None:
    for path in ("", "/file", "/picture", "/sound", "/stems"):
        if item != ".." or path:
            refused(client.get(f"/api/midi/pieces/{item}{path}"), "not_found")
    answer = client.post("/api/midi/inpaint", json={"piece": item[:90], "bars": "1"})
    refused(answer, "not_found")


def test_a_model_that_cannot_do_it_fails_the_job(
    client: httpx.Client, quartet: dict[str, Any]
) -> None:
    asked = {"piece": quartet["id"], "bars": "9", "method": "original"}
    job = ended(client, client.post("/api/midi/inpaint", json=asked).json()["id"])
    assert job["state"] == "failed"
    assert job["error"]["kind"] == "data"
    assert "midigpt-original" in job["error"]["message"]


def test_a_removed_piece_is_gone(client: httpx.Client) -> None:
    item = upload(client, song(2)).json()["id"]
    assert client.delete(f"/api/shelf/{item}").status_code == 204
    refused(client.get(f"/api/midi/pieces/{item}"), "not_found")
    refused(client.get(f"/api/midi/pieces/{item}/stems"), "not_found")
