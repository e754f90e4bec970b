"""What is said of an excerpt: composed pieces whose answer is known."""

from pathlib import Path

import pytest
from tests.corpora import TICKS, Line, score_of

from segue.symbolic.describe import Description, captions_of_score, describe
from segue.symbolic.score import Piece

A_MINOR = (57, 60, 64, 69, 68, 71, 64, 57)


def line(pitches: tuple[int, ...] = A_MINOR, *, times: int = 8, step: int = TICKS) -> Line:
    notes = pitches * times
    return [(at * step, step, pitch) for at, pitch in enumerate(notes)]


def piece(tmp_path: Path, *programs: int, bpm: float = 100, step: int = TICKS) -> Piece:
    path = tmp_path / "piece.mid"
    score_of([(program, line(step=step)) for program in programs], bpm=bpm).dump_midi(path)
    return Piece.open(path)


@pytest.mark.parametrize(
    ("programs", "labels", "who"),
    [
        ((0,), ("piano",), "solo piano"),
        ((0, 1), ("piano",), "solo piano"),
        ((24,), ("guitar",), "solo acoustic guitar"),
        ((30,), ("guitar",), "solo distorted guitar"),
        ((-1,), ("drums",), "solo drums"),
        ((40, 40, 41, 42), ("quartet", "strings"), "string quartet"),
        ((40, 40, 41), ("strings",), "violin and viola"),
        ((48, 48), ("strings",), "strings"),
        ((0, 52), ("song", "piano", "voice"), "piano and voice"),
        ((73,), ("woodwinds",), "solo flute"),
        ((19,), ("organ",), "solo church organ"),
        ((30, 33, -1), ("bass", "drums", "guitar"), "drums, distorted guitar and bass"),
    ],
)
def test_who_plays(
    tmp_path: Path, programs: tuple[int, ...], labels: tuple[str, ...], who: str
) -> None:
    found = describe(piece(tmp_path, *programs))
    assert found is not None
    assert (found.labels, found.who) == (labels, who)


def test_an_orchestra_is_many_tracks_of_strings_and_winds(tmp_path: Path) -> None:
    orchestra = describe(piece(tmp_path, 40, 40, 41, 42, 43, 56, 60, 70, 73))
    assert orchestra is not None
    assert (orchestra.labels[0], orchestra.who) == ("orchestral", "orchestra")
    band = describe(piece(tmp_path, 48, 48, 56, 60, 70, 73, 33, -1))
    assert band is not None
    assert "orchestral" not in band.labels


@pytest.mark.parametrize(
    ("bpm", "word"),
    [(60, "slow"), (75, "slow"), (76, "moderate"), (120, "moderate"), (121, "fast")],
)
def test_tempo(tmp_path: Path, bpm: float, word: str) -> None:
    found = describe(piece(tmp_path, 0, bpm=bpm))
    assert found is not None
    assert (round(found.bpm), found.tempo) == (bpm, word)


def test_key_density_and_excerpt(tmp_path: Path) -> None:
    slow = describe(piece(tmp_path, 0, bpm=60))
    assert slow is not None
    assert (slow.key, slow.density) == ("A minor", "sparse")
    quick = describe(piece(tmp_path, 0, 4, bpm=120, step=TICKS // 4))
    assert quick is not None
    assert (quick.key, quick.density) == ("A minor", "dense")
    drums = describe(piece(tmp_path, -1))
    assert drums is not None
    assert drums.key == ""


def test_only_what_sounds_in_the_excerpt_counts(tmp_path: Path) -> None:
    path = tmp_path / "piece.mid"
    later = [(at + 64 * TICKS, length, pitch + 3) for at, length, pitch in line()]
    score_of([(0, line()), (24, later)], bpm=60).dump_midi(path)
    parts = [describe(Piece.open(path), start, start + 60) for start in (0, 65)]
    assert [(part.who, part.key) for part in parts if part] == [
        ("solo piano", "A minor"), ("solo acoustic guitar", "C minor"),
    ]  # fmt: skip
    assert describe(Piece.open(path), 500, 600) is None


def test_captions_say_what_is_so_in_several_ways() -> None:
    found = Description(("piano",), "solo piano", "A minor", 66.2, "sparse")
    texts = captions_of_score(found, seed=3, name="x")
    assert texts == captions_of_score(found, seed=3, name="x")
    assert texts[0] == "solo piano"
    assert len(texts) == 4
    many = {text for seed in range(60) for text in captions_of_score(found, seed=seed)}
    assert "solo piano, slow, sparse, in A minor, 66 bpm" in many
    assert "slow solo piano in A minor at 66 bpm" in many
    assert "a slow, sparse piece for solo piano in A minor" in many
    assert all("solo piano" in text for text in many)
    assert not any(word in text for text in many for word in ("  ", "fast", "dense", " ,"))
    assert len(many) > 20


def test_captions_of_ensembles() -> None:
    found = Description(("orchestral",), "orchestra", "", 100, "")
    texts = {text for seed in range(30) for text in captions_of_score(found, seed=seed)}
    assert "orchestral music" in texts
    assert "a moderately fast piece for orchestra" in texts
    assert "orchestra, moderate tempo, 100 bpm" in texts
