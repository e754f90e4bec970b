"""Files are found once, judged by what is in them, and never stop the run."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.corpora import copied, corpus, hostile_files, midi_bytes, piece, save

from segue.errors import DataError
from segue.symbolic.data.scan import ScanSettings, find_files, scan_file


def reason_of(path: Path, **settings: float) -> str | None:
    return scan_file(path, ScanSettings.model_validate(settings), sketch_size=64).reason


def test_all_endings_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b/two.MIDI", "a/One.Mid", "c.kar", "d.txt", "e.mid.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert [s.path for s in find_files([tmp_path])] == ["a/One.Mid", "b/two.MIDI", "c.kar"]
    assert [s.path for s in find_files([tmp_path], limit=2)] == ["a/One.Mid", "b/two.MIDI"]


def test_folders_are_numbered(tmp_path: Path) -> None:
    for name in ("x", "y"):
        corpus(tmp_path / name, 1)
    found = find_files([tmp_path / "x", tmp_path / "y"])
    assert [(s.folder, s.path) for s in found] == [
        (0, "one/piece-000.mid"),
        (1, "one/piece-000.mid"),
    ]


def test_links_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    corpus(tmp_path / "real", 2)
    (tmp_path / "real" / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop.mid").symlink_to(tmp_path / "real" / "loop.mid")
    (tmp_path / "real" / "gone.mid").symlink_to(tmp_path / "nowhere.mid")
    assert len(find_files([tmp_path / "real"])) == 2


def test_a_name_that_is_not_unicode_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mid", piece(0))
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mid"))
    try:
        path.rename(strange)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    (source,) = find_files([tmp_path])
    assert reason_of(tmp_path / source.path) is None


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        find_files([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="no MIDI file"):
        find_files([tmp_path])


def test_a_folder_that_cannot_be_listed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be listed"):
        find_files([tmp_path])


def test_a_piece_is_measured(tmp_path: Path) -> None:
    lines = piece(1, bars=16)
    found = scan_file(save(tmp_path / "a.mid", lines), ScanSettings(), sketch_size=64)
    assert found.reason is None
    assert found.notes == sum(len(line) for _, line in lines)
    assert found.tracks == 4
    assert 60 < found.quarters < 66
    assert found.off_grid == 0
    assert found.sketch is not None
    assert len(found.sketch) == 64


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.mid", "damaged"),
        ("text.mid", "damaged"),
        ("header-only.mid", ""),
        ("no-notes.mid", "no notes"),
        ("few.mid", "fewer than 32 notes"),
        ("one-pitch.mid", "fewer than 3 pitches"),
        ("far.mid", "longer than 20000 quarter notes"),
        ("smpte.mid", "damaged"),
        ("no-ticks.mid", "no ticks"),
        ("noise.mid", "damaged"),
        ("tracks.mid", "no notes"),
    ],
)
def test_hostile_files_are_left_out(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(hostile_files()[name])
    assert reason in (reason_of(path) or "kept")


def test_settings_decide(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mid", piece(2))
    late = [(p, [(o + 7 * (o % 5 == 0), d, n) for o, d, n in line]) for p, line in piece(2)]
    assert reason_of(path, max_notes=50) == "more than 50 notes"
    assert reason_of(path, max_quarters=8) == "longer than 8 quarter notes"
    assert reason_of(path, min_pitches=100) == "fewer than 100 pitches"
    assert reason_of(save(tmp_path / "b.mid", late), max_off_grid_share=0.1) == "off the grid"
    big = tmp_path / "big.mid"
    big.write_bytes(midi_bytes(bytes(2048)))
    assert reason_of(big, max_kilobytes=1) == "file too large"
    assert "cannot be read" in (reason_of(tmp_path / "gone.mid") or "")


def test_a_crowd_of_tracks_costs_little(tmp_path: Path) -> None:
    lines = [(0, [(n * 10, 10, 60 + n % 12)]) for n in range(3000)]
    found = scan_file(save(tmp_path / "a.mid", lines), ScanSettings(), sketch_size=64)
    assert found.tracks == 3000


def test_copies_have_one_note_hash(tmp_path: Path) -> None:
    lines = piece(3)
    order = np.array([2, 0, 3, 1])
    first = save(tmp_path / "a.mid", lines)
    second = save(tmp_path / "b.mid", copied(lines, semitones=5, stretch=3, order=order), bpm=61)
    settings = ScanSettings()
    one, other = (scan_file(path, settings, sketch_size=64) for path in (first, second))
    assert one.note_hash == other.note_hash
    assert one.sha256 != other.sha256
