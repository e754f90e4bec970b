"""The real commands with the bundled model, as a musician types them."""

import json
from pathlib import Path

import pytest
from tests.corpora import hostile_files
from tests.midi_files import at_ticks, midi, off, on, signature, song
from tests.splice_check import check_splice

from segue.symbolic.demo_piece import demo_piece
from segue.symbolic.score import Piece
from segue.symbolic.splice import notes_inside

pytestmark = pytest.mark.slow


@pytest.fixture
def quartet(tmp_path: Path) -> Path:
    path = tmp_path / "quartet.mid"
    path.write_bytes(demo_piece("quartet"))
    return path


def test_bars_of_a_track_are_written_and_nothing_else_changes(run_segue, quartet, tmp_path):
    done = run_segue(
        "midi", "inpaint", quartet, "--bars", "9-10", "-t", "0", "--json", "-o", "out.mid"
    )
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads(done.stdout)
    assert summary["bars"] == [9, 10]
    assert summary["tracks"] == [0]
    before, after = Piece.open(quartet), Piece.open(tmp_path / "out.mid")
    from segue.core.region import Region

    region = before.resolve(Region((0,), 9, 10))
    assert check_splice(before, region, after) == summary["notes"] > 0


def test_candidates_pictures_and_sound(run_segue, quartet, tmp_path):
    done = run_segue(
        *("midi", "inpaint", quartet, "--beats", "33-40", "-t", "viola", "-n", "3"),
        *("--seed", "4", "--picture", "--sound", "-o", "take.mid"),
    )
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.split()]
    assert [file.name for file in files[:3]] == ["take.mid", "take.png", "take.wav"]
    assert len(files) == 9
    for file in files:
        assert (tmp_path / file).stat().st_size > 200
    assert len({(tmp_path / f).read_bytes() for f in files if f.suffix == ".mid"}) == 3


def test_the_same_seed_gives_the_same_file(run_segue, quartet, tmp_path):
    for name in ("a.mid", "b.mid"):
        done = run_segue("midi", "inpaint", quartet, "--seconds", "4-8", "--seed", "7", "-o", name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    assert (tmp_path / "a.mid").read_bytes() != quartet.read_bytes()


def test_going_on_leading_in_and_composing(run_segue, quartet, tmp_path):
    bars = Piece.open(quartet).bars.num_bars
    for words, expected in (
        (("outpaint", quartet, "--bars", "2"), bars + 2),
        (("outpaint", quartet, "--bars", "2", "--before"), bars + 2),
        (("compose", "--instruments", "piano,bass,drums", "--bars", "4"), 4),
    ):
        done = run_segue("midi", *words, "-o", "long.mid")
        assert done.returncode == 0, done.stderr
        piece = Piece.open(tmp_path / "long.mid")
        assert piece.bars.num_bars == expected
        assert len(piece.notes)


def test_tracks_are_listed(run_segue, quartet):
    done = run_segue("midi", "show", quartet, "--json")
    shown = json.loads(done.stdout)
    assert len(shown["tracks"]) == 4
    assert shown["tracks"][0]["instrument"] == "Violin"


def test_the_original_method_says_which_bundle_it_needs(run_segue, quartet):
    done = run_segue("midi", "inpaint", quartet, "--bars", "9-10", "--method", "original")
    assert done.returncode == 2
    assert "midigpt-original" in done.stderr


BAD_FILES = {
    **hostile_files(),
    "no notes": midi(at_ticks((0, signature(4, 2)))),
    "0/4": midi(at_ticks((0, signature(0, 2)), (0, on(60)), (9, off(60)))),
    "denominator 2^31": midi(at_ticks((0, signature(4, 31)), (0, on(60)), (9, off(60)))),
    "a text": b"This is no music.\n",
}


@pytest.mark.parametrize("kind", sorted(BAD_FILES))
def test_bad_files_end_in_one_paragraph_or_in_music(run_segue, tmp_path, kind):
    source, target = tmp_path / "bad.mid", tmp_path / "out.mid"
    source.write_bytes(BAD_FILES[kind])
    target.write_text("dear old file")
    done = run_segue("midi", "inpaint", source, "--bars", "1", "-o", target)
    assert done.returncode in (0, 2), done.stderr
    if done.returncode == 2:
        assert done.stderr.startswith("segue: ")
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 6
        assert target.read_text() == "dear old file"
    else:
        Piece.open(target)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bars", "90-99"), "bars"),
        (("--bars", "3-2"), "3-2"),
        (("--bars", "1", "-t", "tuba"), "There is no track 'tuba'"),
        (("--bars", "1", "--beats", "1"), "exactly one"),
        (("--bars", "1", "--temperature", "-1"), "temperature"),
        (("--bars", "1", "--model", "nowhere"), "nowhere"),
        ((), "exactly one"),
    ],
)
def test_mistakes_in_the_call_are_said_and_lose_nothing(run_segue, tmp_path, words, said):
    source, target = tmp_path / "song.mid", tmp_path / "out.mid"
    source.write_bytes(song())
    target.write_text("dear old file")
    done = run_segue("midi", "inpaint", source, *words, "-o", target)
    assert done.returncode == 2
    assert said in done.stderr
    assert target.read_text() == "dear old file"


def test_a_crowd_of_notes_is_filled_or_refused_within_bounds(run_segue, tmp_path):
    crowd = [event for n in range(40_000) for event in ((0, on(n % 128)), (480, off(n % 128)))]
    source = tmp_path / "crowd.mid"
    source.write_bytes(midi(at_ticks(*crowd, (4000, on(60)), (5000, off(60)))))
    done = run_segue("midi", "inpaint", source, "--bars", "2", "-o", "out.mid")
    assert done.returncode in (0, 2), done.stderr
    if not done.returncode:
        piece = Piece.open(tmp_path / "out.mid")
        from segue.core.region import Region

        region = piece.resolve(Region(None, 2, 2))
        assert len(piece.notes) - notes_inside(piece, region).sum() == 40_001
