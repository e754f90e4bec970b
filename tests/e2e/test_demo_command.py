"""`segue demo`, the real command with the bundled model."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import mido
import pytest
import soundfile

from segue.cli.demo import CLIP_SECONDS, FIRST_BAR, LAST_BAR, has_audio_model
from segue.runtime.bundle import DEFAULT_BUNDLE, list_bundles

Run = Callable[..., subprocess.CompletedProcess[str]]
TICKS_PER_BAR = 4 * 480

pytestmark = pytest.mark.skipif(
    DEFAULT_BUNDLE not in [bundle.folder.name for bundle in list_bundles()],
    reason="this checkout ships no model",
)


def onsets(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Per track the ticks and pitches of its note-ons, by an independent parser."""
    found = {}
    for track in mido.MidiFile(path).tracks:
        tick, notes = 0, []
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                notes.append((tick, message.note))
        found[track.name] = notes
    return found


def test_the_demo_changes_the_hole_only_and_repeats_itself(run_segue: Run, tmp_path: Path) -> None:
    first = run_segue("demo")
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "segue-demo"
    names = ["original.mid", "inpainted.mid", "inpainted.wav", "inpainted.png"]
    names += ["generated.wav", "generated.png"] if has_audio_model() else []
    assert first.stdout.split() == [f"segue-demo/{name}" for name in names]
    if has_audio_model():
        assert soundfile.info(folder / "generated.wav").duration == CLIP_SECONDS
        assert (folder / "generated.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / "inpainted.wav").read_bytes()[:4] == b"RIFF"
    assert (folder / "inpainted.png").read_bytes()[:4] == b"\x89PNG"
    before, after = onsets(folder / "original.mid"), onsets(folder / "inpainted.mid")
    changed = {
        name: sorted(set(before[name]) ^ set(after[name]))
        for name in before
        if before[name] != after[name]
    }
    assert list(changed) == ["Violin I"]
    low, high = (FIRST_BAR - 1) * TICKS_PER_BAR, LAST_BAR * TICKS_PER_BAR
    assert all(low <= tick < high for tick, _ in changed["Violin I"])

    again = run_segue("demo", "-o", "again")
    assert again.returncode == 0
    assert (tmp_path / "again" / "inpainted.mid").read_bytes() == (
        folder / "inpainted.mid"
    ).read_bytes()
