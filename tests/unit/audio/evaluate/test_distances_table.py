import json

import numpy as np
import pytest

from segue.audio.evaluate.distances import frechet_distance, frechet_interval
from segue.audio.evaluate.embedding import EmbeddedClips
from segue.audio.evaluate.table import (
    Collection,
    distances_table,
    embed_collection,
    frechet_floor,
)
from segue.errors import DataError

RATE = 8_000


class Toy:
    """Two numbers of every half second: mean power and number of changes of sign."""

    name, rate_hz, dims = "toy", RATE, 2

    def embed(self, audio):
        windows = audio[: len(audio) // 4000 * 4000].reshape(-1, 4000)
        turns = (np.diff(np.sign(windows), axis=1) != 0).mean(axis=1)
        return np.stack([10 * np.abs(windows).mean(axis=1), 10 * turns], axis=1)


def tones(seed, count, *, low=200.0, high=2000.0, level=0.2):
    rng = np.random.default_rng(seed)
    time = np.arange(2 * RATE) / RATE
    wave = [np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(low, high, count)]
    return [(level * one)[None].astype(np.float32) for one in wave]


def cloud(seed, num, *, shift=0.0, prefix="r"):
    points = np.random.default_rng(seed).normal(size=(num, 5)) + shift
    return EmbeddedClips(points, np.array([f"{prefix}{i}" for i in range(num)]), num)


@pytest.fixture(scope="module")
def table():
    collections = {
        "real": cloud(1, 60, prefix="a"),
        "near": cloud(2, 60, shift=0.5, prefix="b"),
        "far": cloud(3, 60, shift=2.0, prefix="c"),
        "original": cloud(0, 120),
    }
    return distances_table(collections, cloud(0, 120), Toy())


def test_what_is_farther_is_farther_in_every_column(table):
    for value in (
        lambda row: row.kernel.mean,
        lambda row: row.frechet.mean,
        lambda row: row.frechet_infinity.value,
        lambda row: row.frechet_at_floor,
    ):
        real, near, far = (value(table.row(name)) for name in ("real", "near", "far"))
        assert real < near < far


def test_real_music_lies_at_its_floors_and_shifted_music_beyond(table):
    real, near = table.row("real"), table.row("near")
    assert table.frechet_floor.num_recordings == 60
    assert real.frechet_at_floor < table.frechet_floor.high < near.frechet_at_floor
    assert real.kernel.low < table.kernel_floor.high < near.kernel.low
    assert abs(table.infinity_floor) < 0.3
    assert near.frechet_infinity.value == pytest.approx(5 * 0.5**2, abs=0.5)


def test_at_the_floors_size_no_recording_is_on_both_sides(table):
    original = table.row("original").frechet_at_floor
    assert original == pytest.approx(table.frechet_floor.mean, rel=0.15)


def test_the_originals_have_no_distance_and_no_width(table):
    row = table.row("original")
    assert row.kernel.mean == pytest.approx(0, abs=1e-9)
    assert row.kernel.high == pytest.approx(0, abs=1e-9)
    assert row.frechet.mean == pytest.approx(0, abs=1e-9)
    assert row.frechet.high == pytest.approx(0, abs=1e-9)
    assert row.frechet_infinity is None


@pytest.mark.parametrize(("made", "size", "clips"), [(120, 30, 60), (20, 10, 20)])
def test_at_the_floors_size_both_sides_have_as_many_clips(monkeypatch, made, size, clips):
    def watched(first, second):
        seen.append((len(first), len(second)))
        return frechet_distance(first, second)

    seen = []
    monkeypatch.setattr("segue.audio.evaluate.table.frechet_distance", watched)
    points = np.random.default_rng(7).normal(size=(120, 5))
    pairs = EmbeddedClips(points, np.array([f"r{i // 2}" for i in range(120)]), 120)
    found = distances_table({"made": cloud(1, made, prefix="g")}, pairs, Toy(), num_draws=10)
    assert found.frechet_floor.num_recordings == size
    assert found.row("made").frechet_at_floor is not None
    assert set(seen) == {(clips, clips)}


def test_a_reconstructions_interval_is_that_of_the_change_alone():
    real = cloud(0, 40)
    moved = EmbeddedClips(real.vectors + 0.3, real.groups, 40)
    found = frechet_interval(real, moved, np.random.default_rng(0))
    assert found.mean == pytest.approx(5 * 0.3**2)
    assert found.high - found.low < 1e-6


def test_the_floor_is_that_of_disjoint_halves_and_falls_with_their_size():
    real = cloud(0, 120)
    rng = np.random.default_rng(0)
    large, small = (frechet_floor(real, rng, size=size) for size in (60, 15))
    assert 0 < large.mean < large.high
    assert small.mean > 2 * large.mean
    assert small.num_recordings == 15
    two = cloud(5, 60), cloud(6, 60, prefix="x")
    assert large.mean == pytest.approx(frechet_distance(*(c.vectors for c in two)), rel=0.6)
    with pytest.raises(DataError, match="61 recordings against 61"):
        frechet_floor(real, rng, size=61)


def test_audio_is_brought_to_one_loudness_and_counted():
    silent = [np.zeros((1, 2 * RATE), np.float32)]
    reference = Collection(tones(0, 12), [f"r{i // 2}" for i in range(12)])
    collections = {
        "loud": Collection(tones(1, 8, level=0.5)),
        "quiet": Collection(tones(1, 8, level=0.01)),
        "high": Collection(tones(2, 8, low=2500, high=3500) + silent),
    }
    found = distances_table(collections, reference, Toy(), rate_hz=RATE, num_draws=10, num_splits=5)
    assert found.row("loud").kernel.mean == pytest.approx(found.row("quiet").kernel.mean, rel=0.01)
    assert found.row("high").kernel.mean > found.row("loud").kernel.mean + 100
    assert found.row("high").num_silent == 1
    assert (found.num_reference_clips, found.num_reference_recordings) == (12, 6)
    assert found.row("loud").frechet_at_floor is not None
    raw = distances_table(
        collections, reference, Toy(), rate_hz=RATE, lufs=None, num_draws=10, num_splits=5
    )
    assert raw.row("loud").kernel.mean != pytest.approx(raw.row("quiet").kernel.mean, rel=0.01)
    assert raw.lufs is None


def test_it_serialises_and_is_the_same_twice(table):
    told = json.loads(json.dumps(table.to_dict()))
    assert told["rows"][1]["frechet"]["mean"] == table.row("near").frechet.mean
    assert told["embedding"] == "toy"
    small = {"a": cloud(1, 12, prefix="a")}
    once, twice, other = (
        distances_table(small, cloud(0, 20), Toy(), seed=seed, num_draws=20) for seed in (0, 0, 1)
    )
    assert once == twice
    assert once != other
    assert once.row("a").kernel.mean == other.row("a").kernel.mean


def test_groups_without_names_are_not_those_of_the_reference():
    made = embed_collection(Toy(), Collection(tones(0, 3)), rate_hz=RATE, prefix="gen-")
    assert made.names == ["gen-0", "gen-1", "gen-2"]


def test_a_row_that_is_not_there_is_said(table):
    with pytest.raises(DataError, match="no row 'x'"):
        table.row("x")
    with pytest.raises(DataError):
        distances_table({"a": cloud(1, 3)}, cloud(0, 20), Toy())
