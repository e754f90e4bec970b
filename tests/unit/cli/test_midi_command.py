"""What `segue midi` finds out before it loads a model."""

from pathlib import Path

import numpy as np
import pytest
from tests.midi_files import song

from segue.cli.main import main
from segue.cli.midi import _Wanted, _wanted, _write
from segue.core.region import Region
from segue.symbolic.frames import new_piece
from segue.symbolic.inpaint import filling_of
from segue.symbolic.notes import NEW_NOTE_FIELDS


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "song.mid"
    path.write_bytes(song())
    return path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command with exit status 2 says."""
    with pytest.raises(SystemExit) as left:
        main(["midi", *map(str, words)])
    assert left.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_places_that_cannot_be_written_are_refused_before_anything_is_loaded(source, capsys):
    words = ("inpaint", source, "--bars", "1", "--model", "missing", "-o")
    assert "Cannot write" in said(capsys, *words, source / "out.mid")
    folder = source.parent / "folder.mid"
    (folder / "song-inpainted.mid").mkdir(parents=True)
    assert "Cannot write" in said(capsys, *words, folder)
    assert "no bundle" in said(capsys, *words, source.parent / "new" / "out.mid")


def test_a_missing_soundfont_is_said_before_anything_is_loaded(source, capsys):
    words = (
        "compose",
        "--bars",
        "1",
        "--model",
        "missing",
        "--soundfont",
        source.parent / "no.sf2",
    )
    assert "There is no SoundFont" in said(capsys, *words)


def test_a_missing_card_is_said(tmp_path, capsys):
    words = ("export", tmp_path, "-o", tmp_path / "bundle", "--card", tmp_path / "no.md")
    assert "no.md" in said(capsys, *words)


def test_a_folder_as_output_gets_the_usual_name(tmp_path):
    def output(given):
        return _wanted(given, Path("a.mid"), "inpainted", False, False, None, False).output

    assert output(tmp_path) == tmp_path / "a-inpainted.mid"
    assert output(tmp_path / "take") == tmp_path / "take.mid"
    assert output(tmp_path / "take.MIDI") == tmp_path / "take.MIDI"
    assert output(None) == Path("a-inpainted.mid")


def test_a_candidate_without_notes_costs_no_other_its_files(tmp_path, capsys):
    piece = new_piece([0], num_bars=2)
    region = piece.resolve(Region(None, 1, 2))
    note = np.zeros(1, NEW_NOTE_FIELDS)
    note["pitch"], note["velocity"], note["duration_ticks"] = 60, 80, 480
    fillings = [
        filling_of(piece, region, notes, np.zeros(len(notes)), log_prob=-1.0, number=number)
        for number, notes in enumerate((note[:0], note))
    ]
    _write(fillings, _Wanted(tmp_path / "new.mid", False, True, None, False), 2)
    assert {path.name for path in tmp_path.iterdir()} == {"new.mid", "new-2.mid", "new-2.wav"}
    assert "nothing to hear" in "".join(capsys.readouterr())
