"""What the studio's page downloads is what the command writes for the same seed, byte for byte.

Through HTTP on one side and the command on the other, for some in a process of its own: MIDI,
pictures and sound of every candidate in the same order, and WAV, FLAC and pictures of sound.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import numpy as np
import pytest
from tests.midi_files import song
from tests.sounds import noise, save, tone
from tests.studio_asked import done
from tests.studio_served import served
from typer.testing import CliRunner

from segue.cli.main import app
from segue.symbolic.demo_piece import demo_piece

pytestmark = pytest.mark.slow

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        served(tmp_path_factory.mktemp("studio")) as running,
        httpx.Client(base_url=running.url, timeout=120) as asking,
    ):
        yield asking


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process, which takes a third of the time."""

    def run(*arguments: object) -> CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return CompletedProcess(arguments, ran.exit_code, ran.stdout, ran.stderr)

    return run


def sent(client: httpx.Client, path: Path) -> str:
    """Open a file in the studio; return its id."""
    kind = "midi/pieces" if path.suffix == ".mid" else "audio/recordings"
    answer = client.post(f"/api/{kind}", params={"name": path.name}, content=path.read_bytes())
    item: str = answer.raise_for_status().json()["id"]
    return item


def downloaded(client: httpx.Client, url: str) -> tuple[str, bytes]:
    """Return name and content of a download."""
    answer = client.get(url).raise_for_status()
    name = answer.headers["content-disposition"].partition('filename="')[2].partition('"')[0]
    return name, answer.content


def written(run_segue: Run, folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """Run a command with its default names; return what it says of its results."""
    ran = run_segue(*arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    for result in told if isinstance(told, list) else [told]:
        result["files"] = [folder / file for file in result["files"]]
    return told if isinstance(told, list) else [told]


NOTES: dict[str, tuple[str, list[object], dict[str, Any]]] = {
    "bars of two tracks": (
        "inpaint",
        ["--bars", "9-10", "--tracks", "0,2", "-n", 2, "--seed", 4],
        {"bars": "9-10", "tracks": [0, 2], "candidates": 2, "seed": 4},
    ),
    "seconds, another temperature": (
        "inpaint",
        ["--seconds", "3-6", "-n", 2, "--seed", 9, "--temperature", 1.1, "--top-k", 12, "--top-p", 0.9],
        {
            "seconds": "3-6", "candidates": 2, "seed": 9, "temperature": 1.1, "top_k": 12,
            "top_p": 0.9,
        },
    ),
    "beats of a named track": (
        "inpaint",
        ["--beats", "17-20", "--tracks", "viola", "-n", 2, "--seed", 0],
        {"beats": "17-20", "tracks": ["viola"], "candidates": 2, "seed": 0},
    ),
    "bars behind the end": (
        "outpaint",
        ["--bars", 2, "-n", 2, "--seed", 3],
        {"bars": 2, "candidates": 2, "seed": 3},
    ),
    "bars in front": (
        "outpaint",
        ["--bars", 1, "--before", "--tracks", "cello", "--seed", 3],
        {"bars": 1, "before": True, "tracks": ["cello"], "candidates": 1, "seed": 3},
    ),
    "from nothing": (
        "compose",
        ["-i", "piano,bass,drums", "--bars", 2, "--tempo", 96, "--meter", "3/4", "-n", 2, "--seed", 5],
        {
            "instruments": ["piano", "bass", "drums"], "bars": 2, "tempo": 96, "meter": "3/4",
            "candidates": 2, "seed": 5,
        },
    ),
}  # fmt: skip


HEARD = {"bars in front", "from nothing"}
"""What is also rendered, which takes longest."""
APART = {"bars of two tracks", "from nothing", "inpainted"}
"""What the command does in a process of its own."""
AS_FLAC = {"from nothing", "inpainted"}
"""What it also writes as FLAC."""


@pytest.mark.parametrize("what", NOTES)
def test_notes(
    client: httpx.Client, run_segue: Run, run_here: Run, tmp_path: Path, what: str
) -> None:
    command, options, asked = NOTES[what]
    path = tmp_path / "quartet.mid"
    path.write_bytes(demo_piece("quartet"))
    files = [] if command == "compose" else [path.name]
    extras = ["--picture", "--sound"] if what in HEARD else ["--picture"]
    run = run_segue if what in APART else run_here
    rows = written(run, tmp_path, "midi", command, *files, *options, *extras)
    piece = {} if command == "compose" else {"piece": sent(client, path)}
    candidates = done(client, f"/api/midi/{command}", **piece, **asked)["result"]["candidates"]
    assert [row["rank"] for row in rows] == [candidate["rank"] for candidate in candidates]
    for row, candidate in zip(rows, candidates, strict=True):
        assert candidate["num_notes"] == row["notes"]
        assert candidate["log_prob_per_note"] == pytest.approx(row["log_prob_per_note"], abs=1e-3)
        assert len(row["files"]) == 1 + len(extras)
        for file, route in zip(row["files"], ("file", "picture", "sound"), strict=False):
            name, content = downloaded(client, f"/api/midi/pieces/{candidate['piece']}/{route}")
            assert name == file.name
            assert content == file.read_bytes(), file.name


def test_notes_of_a_file_with_everything(
    client: httpx.Client, run_here: Run, tmp_path: Path
) -> None:
    """A result that is filled again, as the command does with the file that it wrote."""
    path = tmp_path / "song.mid"
    path.write_bytes(song(12))
    first = written(run_here, tmp_path, "midi", "inpaint", path.name, "--bars", "3-4", "--seed", 1)
    file = first[0]["files"][0]
    second = written(run_here, tmp_path, "midi", "inpaint", file.name, "--bars", "5", "--seed", 2)
    more: dict[str, Any] = {"candidates": 1}
    job = done(client, "/api/midi/inpaint", piece=sent(client, path), bars="3-4", seed=1, **more)
    best = job["result"]["candidates"][0]["piece"]
    job = done(client, "/api/midi/inpaint", piece=best, bars="5", seed=2, **more)
    best = job["result"]["candidates"][0]["piece"]
    name, content = downloaded(client, f"/api/midi/pieces/{best}/file")
    assert name == second[0]["files"][0].name == "song-inpainted-inpainted.mid"
    assert content == second[0]["files"][0].read_bytes()


SOUND: dict[str, tuple[str, list[object], dict[str, Any]]] = {
    "from nothing": (
        "generate",
        ["--seconds", 3, "--genre", "piano", "--genre", "folk", "--steps", 4, "--seed", 6],
        {"seconds": 3, "labels": ["piano", "folk"], "steps": 4, "seed": 6},
    ),
    "with guidance": (
        "generate",
        ["--seconds", 2, "-l", "drums", "--negative-label", "song", "--guidance", 2.5, "--steps", 3,
         "--sampler", "euler"],
        {"seconds": 2, "labels": ["drums"], "negative_labels": ["song"], "guidance": 2.5, "steps": 3,
         "sampler": "euler", "seed": 0},
    ),
    "varied": (
        "vary",
        ["--strength", 0.3, "--steps", 4, "--seed", 2],
        {"strength": 0.3, "steps": 4, "seed": 2},
    ),
    "extended": (
        "extend",
        ["--seconds", 1.5, "--steps", 4, "--seed", 2],
        {"seconds": 1.5, "steps": 4, "seed": 2},
    ),
    "extended in front": (
        "extend",
        ["--seconds", 1, "--before", "--steps", 2, "--seed", 2],
        {"seconds": 1, "before": True, "steps": 2, "seed": 2},
    ),
    "inpainted": (
        "inpaint",
        ["--seconds", "1.25-2.5", "--genre", "rock", "--steps", 4, "--seed", 8],
        {"start": 1.25, "end": 2.5, "labels": ["rock"], "steps": 4, "seed": 8},
    ),
    "reconstructed": ("reconstruct", [], {}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "bits"), [*((what, 16) for what in SOUND), ("inpainted", 24), ("extended", 24)]
)
def test_sound(
    client: httpx.Client, run_segue: Run, run_here: Run, tmp_path: Path, what: str, *, bits: int
) -> None:
    command, options, asked = SOUND[what]
    takes_file = command != "generate"
    left = tone(3, rate_hz=22_050)
    frames = np.stack([left, noise(3, rate_hz=22_050)], axis=1)
    path = save(tmp_path / "take.wav", frames, 22_050, subtype=f"PCM_{bits}")
    files = [path.name] if takes_file else []
    run = run_segue if what in APART and bits == 16 else run_here
    (told,) = written(run, tmp_path, "audio", command, *files, *options, "--picture")
    made = told["files"]
    if what in AS_FLAC:
        name = f"{made[0].stem}.flac"
        again = written(run_here, tmp_path, "audio", command, *files, *options, "-o", name)
        made += again[0]["files"]
    recording = {"recording": sent(client, path)} if takes_file else {}
    item = done(client, f"/api/audio/{command}", **recording, **asked)["result"]["recording"]
    for file, route in zip(
        made, ("file?download=1", "picture", "file?format=flac&download=1"), strict=False
    ):
        name, content = downloaded(client, f"/api/audio/recordings/{item}/{route}")
        assert name == file.name
        assert content == file.read_bytes(), file.name


def test_sound_that_is_changed_again(client: httpx.Client, run_here: Run, tmp_path: Path) -> None:
    """A result of the studio is the file that the command would have written."""
    given: list[object] = ["--seconds", 1, "--steps", 2, "--seed", 3]
    (first,) = written(run_here, tmp_path, "audio", "generate", *given)
    (second,) = written(
        run_here, tmp_path, "audio", "extend", first["files"][0].name, *given, "--picture"
    )
    asked = {"seconds": 1, "steps": 2, "seed": 3}
    item = done(client, "/api/audio/generate", **asked)["result"]["recording"]
    item = done(client, "/api/audio/extend", recording=item, **asked)["result"]["recording"]
    for file, route in zip(second["files"], ("file?download=1", "picture"), strict=True):
        name, content = downloaded(client, f"/api/audio/recordings/{item}/{route}")
        assert name == file.name
        assert content == file.read_bytes(), file.name
