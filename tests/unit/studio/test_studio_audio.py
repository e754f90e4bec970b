"""Recordings over HTTP: opened, looked at, heard, changed, and what is refused."""

import base64
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from tests.sounds import noise, save, tone
from tests.studio_asked import done, refused
from tests.studio_served import ended, events_of, served

from segue.audio.sound import of_array
from segue.studio.audio_api import overview_as_json
from segue.studio.limits import Limits

LIMITS = Limits(
    audio_seconds=20,
    generated_seconds=12,
    overview_columns=2000,
    steps=16,
    audio_bytes=4_000_000,
    decoded_bytes=6_000_000,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        served(tmp_path_factory.mktemp("studio"), limits=LIMITS) as running,
        httpx.Client(base_url=running.url, timeout=60) as asking,
    ):
        yield asking


def encoded(folder: Path, kind: str = "wav", *, seconds: float = 4.0, **options: Any) -> bytes:
    """Two different channels at 22,050 Hz."""
    left = tone(seconds, rate_hz=22_050)
    frames = np.stack([left, noise(seconds, rate_hz=22_050)[: len(left)]], axis=1)
    return save(folder / f"a.{kind}", frames, 22_050, **options).read_bytes()


def upload(client: httpx.Client, data: bytes, name: str = "a.wav") -> httpx.Response:
    return client.post("/api/audio/recordings", params={"name": name}, content=data)


@pytest.fixture(scope="module")
def given(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    data = encoded(tmp_path_factory.mktemp("given"))
    found: dict[str, Any] = upload(client, data, "given.wav").raise_for_status().json()
    return found


def told(client: httpx.Client, item: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/audio/recordings/{item}").raise_for_status().json()
    return found


def samples(client: httpx.Client, item: str, kind: str = "wav") -> tuple[np.ndarray, int]:
    answer = client.get(f"/api/audio/recordings/{item}/file", params={"format": kind})
    return soundfile.read(io.BytesIO(answer.raise_for_status().content), dtype="int16")


# Files ---------------------------------------------------------------------------------------------


def test_a_wav_comes_back_as_it_was(client: httpx.Client, tmp_path: Path) -> None:
    data = encoded(tmp_path)
    answer = upload(client, data, "../my take.WAV")
    assert answer.status_code == 201
    found = answer.json()
    assert found == told(client, found["id"])
    assert (found["name"], found["rate_hz"], found["channels"]) == ("my take.WAV", 22_050, 2)
    assert (found["seconds"], found["new_seconds"], found["origin"]) == (4.0, [], None)
    file = client.get(f"/api/audio/recordings/{found['id']}/file")
    assert file.content == data
    assert file.headers["content-type"] == "audio/wav"
    assert "content-disposition" not in file.headers
    named = client.get(f"/api/audio/recordings/{found['id']}/file?download=1")
    assert 'filename="my take.wav"' in named.headers["content-disposition"]
    part = client.get(f"/api/audio/recordings/{found['id']}/file", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("flac", {}), ("ogg", {}), ("aiff", {}), ("wav", {"subtype": "ULAW"}), ("mp3", {})],
)
def test_other_kinds_are_heard_as_wav(
    client: httpx.Client, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    found = upload(client, encoded(tmp_path, kind, **options), f"a.{kind}").json()
    heard, rate = samples(client, found["id"])
    assert (rate, heard.shape[1]) == (22_050, 2)
    assert len(heard) == round(found["seconds"] * rate)
    again, _ = samples(client, found["id"], "flac")
    assert np.abs(again.astype(int) - heard).max() <= 1


def test_a_small_file_that_is_large_when_decoded_is_refused(
    client: httpx.Client, tmp_path: Path
) -> None:
    for channels, rate_hz, seconds in ((8, 96_000, 3), (1, 96_000, 17)):
        silence = np.zeros((rate_hz * seconds, channels))
        data = save(tmp_path / "bomb.flac", silence, rate_hz).read_bytes()
        assert len(data) < 100_000
        message = refused(upload(client, data, "bomb.flac"), "too_large")
        assert f"{channels} channels of 96,000 samples a second" in message


def test_parts_of_a_file(client: httpx.Client, given: dict[str, Any]) -> None:
    path = f"/api/audio/recordings/{given['id']}/file"
    whole = client.get(path)
    for asked, status in (
        ("bytes=0-0,-1", 206), ("bytes=-1", 206), ("bytes=5-2", 400), ("bytes=99999999-", 416),
        ("bytes=x", 400),
    ):  # fmt: skip
        answer = client.get(path, headers={"range": asked})
        assert answer.status_code == status, asked
        assert len(answer.content) < 1.1 * len(whole.content)
    many = {"range": "bytes=" + ",".join(f"{n}-" for n in range(1500))}
    answer = client.get(path, headers=many)
    assert answer.status_code in (200, 206)
    assert len(answer.content) < 1.1 * len(whole.content)
    changed = {"range": "bytes=0-9", "if-range": '"other"'}
    assert client.get(path, headers=changed).status_code == 200


def test_an_overview_of_all_and_of_a_part(client: httpx.Client, given: dict[str, Any]) -> None:
    path = f"/api/audio/recordings/{given['id']}/overview"
    for asked, span in (
        ({"columns": 100}, (0, 4)),
        ({"columns": 50, "start": 1, "end": 2}, (1, 2)),
    ):
        found = client.get(path, params=asked).raise_for_status().json()
        assert (found["start"], found["end"]) == pytest.approx(span, abs=1e-3)
        assert found["columns"] == len(found["low"]) == len(found["high"]) == asked["columns"]
        assert found["highest_hz"] == 11_025
        shades = np.frombuffer(base64.b64decode(found["spectrum"]), np.uint8)
        shades = shades.reshape(found["rows"], found["columns"])
        loudest = shades.mean(axis=1).argmax() / (found["rows"] - 1) * found["highest_hz"]
        assert loudest == pytest.approx(440, abs=40)
        assert all(low <= 0 <= high for low, high in zip(found["low"], found["high"], strict=True))


def test_shades_go_from_silence_to_full_scale() -> None:
    frames = np.concatenate([np.zeros(8000), tone(0.5, level=1.0)]).astype(np.float32)
    found = overview_as_json(of_array(frames[None], 16_000), 2, 0, None)
    shades = np.frombuffer(base64.b64decode(found["spectrum"]), np.uint8).reshape(-1, 2)
    assert shades[:, 0].max() == 0
    assert shades[:, 1].max() >= 250
    assert found["high"][1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"columns": 0}, "setting"),
        ({"columns": 2001}, "too_large"),
        ({"columns": 10**30}, "too_large"),
        ({"start": 9}, "setting"),
        ({"start": 2, "end": 1}, "setting"),
        ({"start": "nan"}, "setting"),
        ({"end": "inf"}, "setting"),
        ({"start": -1}, "setting"),
    ],
)
def test_overviews_that_are_refused(
    client: httpx.Client, given: dict[str, Any], asked: dict[str, Any], kind: str
) -> None:
    path = f"/api/audio/recordings/{given['id']}/overview"
    refused(client.get(path, params=asked), kind)


def test_a_picture(client: httpx.Client, given: dict[str, Any]) -> None:
    answer = client.get(f"/api/audio/recordings/{given['id']}/picture")
    assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert 'filename="given.png"' in answer.headers["content-disposition"]


# Jobs ----------------------------------------------------------------------------------------------


def test_sound_from_nothing(client: httpx.Client) -> None:
    asked = {"seconds": 2, "labels": ["Piano"], "seed": 5, "steps": 2}
    job = done(client, "/api/audio/generate", **asked)
    assert job["settings"]["bundle"] == "ldmg-small"
    assert (job["settings"]["steps"], job["settings"]["sampler"]) == (2, "dpm++2m")
    item = job["result"]["recording"]
    found = told(client, item)
    assert (found["name"], found["seconds"]) == ("segue-generated.wav", 2.0)
    assert found["new_seconds"] == [[0.0, 2.0]]
    assert found["origin"] == {
        "job": job["id"], "kind": "audio.generate", "settings": job["settings"], "before": None,
    }  # fmt: skip
    heard, rate = samples(client, item)
    flac, _ = samples(client, item, "flac")
    assert (rate, heard.shape) == (16_000, (32_000,))
    assert np.abs(heard.astype(int) - flac).max() <= 1
    events = events_of(str(client.base_url).rstrip("/"), job["id"])
    assert [data["done"] / data["total"] for _, name, data in events if name == "progress"][-1] == 1
    again = done(client, "/api/audio/generate", **asked)["result"]["recording"]
    assert np.array_equal(samples(client, again)[0], heard)
    listed = {each["id"]: each for each in client.get("/api/shelf").json()}
    assert listed[item]["job_kind"] == "audio.generate"
    assert listed[item]["settings"]["seed"] == 5


@pytest.mark.parametrize(
    ("path", "asked", "name", "new"),
    [
        ("inpaint", {"start": 1, "end": 2.5}, "given-inpainted.wav", [[1.0, 2.5]]),
        ("inpaint", {"start": 3, "end": 100}, "given-inpainted.wav", [[3.0, 4.0]]),
        ("extend", {"seconds": 1}, "given-extended.wav", [[4.0, 5.0]]),
        ("extend", {"seconds": 1, "before": True}, "given-extended.wav", [[0.0, 1.0]]),
        ("vary", {"strength": 0.4}, "given-varied.wav", [[0.0, 4.0]]),
        ("reconstruct", {}, "given-reconstructed.wav", [[0.0, 4.0]]),
    ],
)
def test_a_recording_is_changed(
    client: httpx.Client,
    given: dict[str, Any],
    path: str,
    asked: dict[str, Any],
    name: str,
    new: list[list[float]],
) -> None:
    steps = {} if path == "reconstruct" else {"steps": 2}
    job = done(client, f"/api/audio/{path}", recording=given["id"], **asked, **steps)
    found = told(client, job["result"]["recording"])
    assert found["name"] == name
    assert found["new_seconds"] == [pytest.approx(span, abs=1e-3) for span in new]
    assert found["origin"]["before"] == given["id"]
    heard, rate = samples(client, found["id"])
    original, _ = samples(client, given["id"])
    if path == "inpaint":
        outside = np.ones(len(original), bool)
        outside[int(new[0][0] * rate) : int(new[0][1] * rate)] = False
        assert np.array_equal(heard[outside], original[outside])
    picture = client.get(f"/api/audio/recordings/{found['id']}/picture")
    assert picture.status_code == 200


def test_a_result_is_changed_again(client: httpx.Client) -> None:
    first = done(client, "/api/audio/generate", seconds=1, steps=1)["result"]["recording"]
    second = done(client, "/api/audio/extend", recording=first, seconds=1, steps=1)["result"]
    found = told(client, second["recording"])
    assert found["name"] == "segue-generated-extended.wav"
    assert np.array_equal(samples(client, found["id"])[0][:16_000], samples(client, first)[0])


def test_a_job_is_cancelled_while_it_runs(client: httpx.Client) -> None:
    job = client.post("/api/audio/generate", json={"seconds": 12, "steps": 16}).json()
    url = str(client.base_url).rstrip("/")
    while "progress" not in [name for _, name, _ in events_of(url, job["id"], most=4)]:
        pass
    client.delete(f"/api/jobs/{job['id']}")
    assert ended(client, job["id"])["state"] == "cancelled"


def test_a_recording_that_was_removed_fails_the_job_clearly(
    client: httpx.Client, tmp_path: Path
) -> None:
    item = upload(client, encoded(tmp_path)).json()["id"]
    long = client.post("/api/audio/generate", json={"seconds": 6, "steps": 8}).json()
    job = client.post("/api/audio/reconstruct", json={"recording": item}).json()
    assert client.delete(f"/api/shelf/{item}").status_code == 204
    ended(client, long["id"])
    found = ended(client, job["id"])
    if found["state"] != "done":  # it may have been quicker
        assert found["error"]["kind"] == "not_found"


# What is refused -----------------------------------------------------------------------------------


def changed(data: bytes, offset: int, code: str, value: int) -> bytes:
    body = bytearray(data)
    struct.pack_into(code, body, offset, value)
    return bytes(body)


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"la la la\n" * 500,
    "play list": lambda _: b"#EXTM3U\nfile:///etc/passwd\n",
    "zeros": lambda _: bytes(5000),
    "noise": lambda _: np.random.default_rng(1).bytes(9000),
    "cut header": lambda data: data[:30],
    "rate of 4 GHz": lambda data: changed(data, 24, "<I", 4_000_000_000),
    "rate of 7": lambda data: changed(data, 24, "<I", 7),
    "rate of 0": lambda data: changed(data, 24, "<I", 0),
    "65,535 channels": lambda data: changed(data, 22, "<H", 65_535),
    "midi": lambda _: (
        b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\x00\x04\x00\xff\x2f\x00"
    ),
    "not finite": lambda _: (
        b"RIFF\x30\x00\x00\x00WAVEfmt \x10\x00\x00\x00"
        + struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
        + b"data\x08\x00\x00\x00"
        + struct.pack("<ff", float("nan"), float("inf"))
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(client: httpx.Client, tmp_path: Path, name: str) -> None:
    answer = upload(client, HOSTILE[name](encoded(tmp_path)), "../../so.wav")
    message = refused(answer, "data")
    assert "so.wav" in message
    assert "original." not in message


def test_lying_files_give_what_is_there(client: httpx.Client, tmp_path: Path) -> None:
    whole = encoded(tmp_path)
    assert upload(client, changed(whole, 40, "<I", 0xFFFFFFFF)).json()["seconds"] == 4.0
    found = upload(client, whole[: 44 + 4 * 22_050]).json()
    assert found["seconds"] == 1.0
    assert client.get(f"/api/audio/recordings/{found['id']}/overview").status_code == 200
    half = encoded(tmp_path, "flac")
    refused(upload(client, half[: len(half) // 2], "a.flac"), "data")


def test_too_much_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    """Silence of a minute is a small FLAC file, and still a minute."""
    bomb = save(tmp_path / "bomb.flac", np.zeros(60 * 16_000)).read_bytes()
    assert len(bomb) < 100_000
    assert "20 seconds" in refused(upload(client, bomb, "bomb.flac"), "too_large")
    refused(upload(client, bytes(LIMITS.audio_bytes + 1)), "too_large")


@pytest.mark.parametrize(
    ("path", "asked", "kind", "words"),
    [
        ("generate", {"secnds": 3}, "setting", "did you mean seconds?"),
        ("generate", {"seconds": 0}, "setting", "seconds"),
        ("generate", {"seconds": 1e9}, "too_large", "at most 12"),
        ("generate", {"labels": ["pino"]}, "setting", "did you mean piano?"),
        ("generate", {"labels": "piano"}, "setting", "labels"),
        ("generate", {"text": "x" * 2000}, "setting", "text"),
        ("generate", {"negative_labels": ["drums"], "guidance": 1}, "setting", "guidance"),
        ("generate", {"steps": 10**9}, "setting", "steps"),
        ("generate", {"steps": 17}, "too_large", "steps"),
        ("generate", {"steps": 0}, "setting", "steps"),
        ("generate", {"sampler": "magic"}, "setting", "euler"),
        ("generate", {"guidance": 1e300}, "setting", "guidance"),
        ("generate", {"seed": -1}, "setting", "seed"),
        ("generate", {"bundle": "../ldmg-small"}, "not_found", "offers no model"),
        ("generate", {"bundle": "midigpt-small"}, "not_found", "does not write sound"),
        ("vary", {}, "setting", "recording is missing"),
        ("vary", {"recording": "x"}, "not_found", ""),
        ("vary", {"strength": 2}, "setting", "strength"),
        ("inpaint", {"start": 2, "end": 1}, "setting", "ends after it begins"),
        ("inpaint", {"start": 9, "end": 10}, "setting", "behind the end"),
        ("inpaint", {"start": 0}, "setting", "end is missing"),
        ("extend", {"seconds": 13}, "too_large", ""),
        ("reconstruct", {"seed": 3}, "setting", "seed is unknown"),
    ],
)
def test_settings_that_are_refused(
    client: httpx.Client,
    given: dict[str, Any],
    path: str,
    asked: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    needs = path != "generate" and "missing" not in words.replace("end is missing", "")
    body = {"recording": given["id"], **asked} if needs else asked
    assert words in refused(client.post(f"/api/audio/{path}", json=body), kind)


@pytest.mark.parametrize("item", ["0" * 16, "x", "%2e%2e%2fitems"])
def test_recordings_that_are_not_there(client: httpx.Client, item: str) -> None:
    for path in ("", "/file", "/file?format=flac", "/picture", "/overview"):
        refused(client.get(f"/api/audio/recordings/{item}{path}"), "not_found")
    refused(client.get(f"/api/midi/pieces/{item}"), "not_found")


def test_a_piece_is_no_recording(client: httpx.Client, given: dict[str, Any]) -> None:
    refused(client.get(f"/api/midi/pieces/{given['id']}"), "not_found")
    piece = client.post("/api/midi/pieces/demo").json()["id"]
    refused(client.get(f"/api/audio/recordings/{piece}"), "not_found")
    refused(client.get(f"/api/audio/recordings/{given['id']}/file?format=mp3"), "setting")
