"""From tables and notes to labels and captions, as a person asks for them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.corpora import save as save_score
from tests.soundfonts import soundfont_bytes
from tests.sounds import music

from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.cli.rendered import midi_material

Run = Callable[..., subprocess.CompletedProcess[str]]

SCALE = (57, 59, 60, 62, 64, 65, 68, 69, 64, 57)
TABLE = """path,labels,captions,artist,era
rock/1.flac,rock|loud,"loud rock, fast",Ann,
gone.flac,x,,,
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    folder = music(tmp_path / "music", ["rock/1.flac", "rock/2.flac"], seconds=1.5)
    (folder / "metadata.csv").write_text(TABLE)
    line = [(480 * at, 480, pitch) for at, pitch in enumerate(SCALE * 3)]
    for name, program in (("keys", 0), ("harp", 46)):
        save_score(tmp_path / "scores" / f"{name}.mid", [(program, line)], bpm=60)
    font = tmp_path / "sine.sf2"
    font.write_bytes(soundfont_bytes())
    settings = PrepareSettings(
        min_seconds=1, split={"valid_share": 0, "test_share": 0}, seed=4, max_silent_share=1
    )
    material = midi_material(font, excerpt_seconds=8, seed=4)
    prepare(
        [folder], tmp_path / "out", settings, others=[(tmp_path / "scores", material)], workers=0
    )
    return tmp_path / "out"


def test_tables_and_notes_become_labels_and_captions(run_segue: Run, prepared: Path) -> None:
    rows = {row.name: row for row in Clips(prepared).recordings}
    assert (rows["music/rock/1.flac"].labels, rows["music/rock/1.flac"].captions) == (
        ("rock", "loud"), ("loud rock, fast",),
    )  # fmt: skip
    assert rows["music/rock/1.flac"].group == "artist ann"
    assert rows["music/rock/2.flac"].captions == ("rock music",)
    assert rows["scores/keys.mid"].labels == ("piano",)
    assert rows["scores/keys.mid"].captions[0] == "solo piano"
    assert any("slow" in text for text in rows["scores/keys.mid"].captions)
    assert any("in A minor" in text for text in rows["scores/keys.mid"].captions)
    info = json.loads((prepared / "dataset.json").read_text())
    assert info["labels"] == ["harp", "loud", "piano", "rock"]
    assert info["unknown_metadata"] == 1

    before = {path.name: path.read_bytes() for path in prepared.iterdir() if path.is_file()}
    options = ["--from-midi", prepared.parent / "scores", "--excerpt-seconds", "8", "--seed", "4"]
    result = run_segue("audio", "label", prepared, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{prepared}\n"
    assert (
        "4 recordings: 0 named in the table, 2 described by their notes, 0 changed" in result.stderr
    )
    lists = [name for name in before if name.startswith(("audio", "recordings"))]
    assert len(lists) > 3
    assert all((prepared / name).read_bytes() == before[name] for name in lists)

    table = prepared.parent / "more.csv"
    table.write_text("path,captions,era\nkeys.mid,a study,baroque\nnothing.mid,x,\n")
    result = run_segue("audio", "label", prepared, "--metadata", table, "--json")
    counts = json.loads(result.stdout)
    assert (counts["changed"], counts["by metadata"], counts["unknown"]) == (1, 1, 1)
    row = next(row for row in Clips(prepared).recordings if row.name == "scores/keys.mid")
    assert row.labels == ("piano", "baroque")
    assert row.captions == ("a study", "a study, baroque")
    assert Clips(prepared).labels == [*info["labels"], "baroque"]


def test_what_is_not_there_is_told(run_segue: Run, tmp_path: Path) -> None:
    result = run_segue("audio", "label", tmp_path)
    assert result.returncode == 2
    assert "is neither a prepared folder" in " ".join(result.stderr.split())
    result = run_segue("audio", "label", tmp_path, "--metadata", tmp_path / "no.csv")
    assert result.returncode == 2
    assert "There is no file" in result.stderr
