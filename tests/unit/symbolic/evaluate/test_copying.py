"""Planted copies: found at their length, in any key, and never where there is none."""

import json

import numpy as np
import pytest
from tests.generation import vocabulary
from tests.passages import passage
from tests.prepared import composed_grid, prepared_folder, saved_tokenizer

from segue.errors import DataError, SettingError
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate import copying
from segue.symbolic.evaluate.copying import (
    MIN_PITCHES,
    NgramIndex,
    build_index,
    compare_copying,
    copied_from_context,
    whole_piece,
)
from segue.symbolic.evaluate.passage import Passage, passage_of_bars


def tune(count, seed, *, program=0):
    """Random pitches and waits, of which no eight in a row come twice."""
    rng = np.random.default_rng([81, seed])
    onsets = np.cumsum(rng.integers(1, 9, count)) / 4
    bars = int(onsets[-1] // 4) + 1
    return passage(onsets, rng.integers(48, 84, count), program, bars=bars)


def joined(*parts, shift=0):
    """Tunes one after the other, each a bar later than the end of the last."""
    onsets, pitches, start = [], [], 0.0
    for part in parts:
        onsets.append(part.onsets - part.onsets[0] + start)
        pitches.append(part.pitches + shift)
        start = float(onsets[-1][-1]) + 4.125
    return passage(np.concatenate(onsets), np.concatenate(pitches), bars=int(start // 4) + 2)


def cut(source, first, count):
    return source.select(np.arange(first, first + count))


def test_a_copied_run_of_eight_is_found_with_its_share() -> None:
    context = tune(60, 0)
    filling = joined(tune(12, 1), cut(context, 20, 8), tune(12, 2))
    assert copied_from_context(filling, context) == (8, 8 / 32, 32)
    assert copied_from_context(filling, context, length=9) == (8, 0, 32)
    assert copied_from_context(filling, context, length=7).share == 8 / 32


def test_a_copied_run_of_seven_is_too_short_for_the_share() -> None:
    context = tune(60, 0)
    filling = joined(tune(12, 1), cut(context, 20, 7), tune(12, 2))
    assert copied_from_context(filling, context) == (7, 0, 31)


def test_a_copy_in_another_key_is_one_unless_keys_count() -> None:
    context = tune(60, 0)
    filling = joined(cut(context, 5, 16), shift=3)
    assert copied_from_context(filling, context) == (16, 1, 16)
    assert copied_from_context(filling, context, transposed=False).share == 0
    same = joined(cut(context, 5, 16))
    assert copied_from_context(same, context, transposed=False) == (16, 1, 16)


def test_the_first_pitch_counts_where_keys_count() -> None:
    # All steps agree, so a comparison of steps alone would take both for literal copies.
    context = passage(np.arange(8) / 2, [60, 62, 64, 65, 67, 69, 71, 72])
    higher = passage(np.arange(8) / 2, [61, 63, 65, 66, 68, 70, 72, 73])
    assert copied_from_context(higher, context, transposed=False).longest == 0
    assert copied_from_context(higher, context).longest == 8


def test_overlapping_copies_count_each_note_once() -> None:
    context = tune(40, 0)
    filling = cut(context, 4, 10)
    assert copied_from_context(filling, context, length=8) == (10, 1, 10)


def test_two_copies_add_up() -> None:
    context = tune(60, 0)
    filling = joined(cut(context, 0, 9), tune(13, 4), cut(context, 30, 10))
    assert copied_from_context(filling, context) == (10, 19 / 32, 32)


def test_other_rhythm_is_no_copy() -> None:
    context = tune(60, 0)
    slower = cut(context, 20, 12)
    slower = passage((slower.onsets - slower.onsets[0]) * 1.5, slower.pitches, bars=20)
    assert copied_from_context(slower, context).share == 0


def test_drums_are_copied_literally_and_by_drums_only() -> None:
    beat = passage(np.arange(12) / 4, [36, 42, 38, 42, 36, 46, 38, 42, 36, 36, 38, 49], -1)
    lower = passage(beat.onsets, beat.pitches - 1, -1)
    piano = passage(beat.onsets, beat.pitches)
    assert copied_from_context(beat, beat) == (12, 1, 12)
    assert copied_from_context(lower, beat).longest == 0
    assert copied_from_context(piano, beat).longest == 0


def test_another_instrument_can_be_copied_from() -> None:
    context = tune(40, 0, program=40)
    filling = passage(context.onsets, context.pitches, bars=context.num_bars)
    assert copied_from_context(filling, context).share == 1


def test_a_run_does_not_go_on_in_another_instrument() -> None:
    source = tune(16, 0)
    programs = np.where(np.arange(16) < 8, 0, 40)
    parts = passage(source.onsets, source.pitches, programs, bars=source.num_bars)
    assert copied_from_context(parts, source).longest == 8
    assert copied_from_context(source, parts).longest == 8


def test_repeated_notes_and_trills_belong_to_nobody() -> None:
    repeated = passage(np.arange(16) / 4, 60)
    trill = passage(np.arange(16) / 4, [60, 62] * 8)
    assert copied_from_context(repeated, repeated) == (0, 0, 16)
    assert copied_from_context(trill, trill) == (0, 0, 16)
    turn = passage(np.arange(16) / 4, [60, 62] * 7 + [60, 64])
    assert copied_from_context(turn, turn) == (16, 1, 16)


def test_nothing_is_copied_from_or_into_nothing() -> None:
    nothing, source = passage([], []), tune(20, 0)
    assert copied_from_context(nothing, source) == (0, 0, 0)
    assert copied_from_context(source, nothing) == (0, 0, 20)
    with pytest.raises(SettingError, match="needs 3 notes"):
        copied_from_context(source, source, length=MIN_PITCHES - 1)


@pytest.mark.parametrize("seed", range(20))
def test_the_third_pitch_is_where_it_is_heard(seed) -> None:
    rng = np.random.default_rng([82, seed])
    pitches = rng.integers(60, 60 + int(rng.integers(1, 5)), int(rng.integers(0, 40)))
    onsets = np.arange(len(pitches)) / 4
    lines = copying._Lines.of(passage(onsets, pitches, bars=10), transposed=True)
    expected = [
        next(
            (end for end in range(len(pitches)) if len(set(pitches[start : end + 1])) >= 3),
            len(pitches),
        )
        for start in range(len(pitches))
    ]
    assert lines.third.tolist() == expected


@pytest.mark.parametrize("length", [3, 4, 5, 8, 11, 16])
def test_hashed_runs_are_equal_where_the_notes_are(length) -> None:
    rng = np.random.default_rng(length)
    pitches = rng.integers(60, 64, 300)
    lines = copying._Lines.of(passage(np.arange(300) / 4, pitches, bars=20), transposed=True)
    hashes, starts = lines.runs(length)
    steps = [tuple(np.diff(pitches[s : s + length])) for s in starts]
    assert len(set(steps)) == len(set(hashes.tolist()))
    assert len({(h, s) for h, s in zip(hashes.tolist(), steps, strict=True)}) == len(set(steps))
    assert len(starts) == sum(len(set(pitches[s : s + length])) >= 3 for s in range(301 - length))


def test_hashed_runs_stay_within_an_instrument() -> None:
    both = passage(np.arange(20) / 4, np.arange(60, 80), [0, 40] * 10, bars=2)
    _, starts = copying._Lines.of(both, transposed=True).runs(4)
    assert starts.tolist() == [*range(7), *range(10, 17)]


# The index ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Prepared:
    folder = tmp_path_factory.mktemp("copying")
    return Prepared(prepared_folder(folder / "p", saved_tokenizer(folder), train=5), "train")


@pytest.fixture(scope="module")
def index(prepared, tmp_path_factory) -> NgramIndex:
    return build_index(prepared, tmp_path_factory.mktemp("index"), lengths=(4, 8, 16))


def part_of(seed, first, end, program=40) -> Passage:
    whole = passage_of_bars(vocabulary(), composed_grid(seed), first, end)
    return whole.select(whole.programs == program)


def test_what_was_learnt_is_found_and_other_music_is_not(index) -> None:
    known = part_of(2, 4, 9)
    assert index.copied(known) == (16, 1, 20)
    assert index.copied(part_of(500, 4, 9), length=16).share == 0
    higher = passage(known.onsets, known.pitches + 4, 40, bars=5)
    assert index.copied(higher) == (16, 1, 20)


def test_a_planted_run_of_training_music_is_found_with_its_share(index) -> None:
    filling = joined(tune(12, 1), cut(part_of(4, 2, 8), 3, 8), tune(12, 2))
    assert index.copied(filling) == (8, 8 / 32, 32)
    shorter = joined(tune(12, 1), cut(part_of(4, 2, 8), 3, 7), tune(12, 2))
    assert index.copied(shorter) == (4, 0, 31)


def test_the_index_agrees_with_a_comparison_with_every_piece(prepared, index) -> None:
    filling = joined(part_of(700, 0, 6), cut(part_of(1, 2, 8), 1, 9))
    pieces = [whole_piece(prepared, number) for number in range(5)]
    longest = max(copied_from_context(filling, piece).longest for piece in pieces)
    found = index.copied(filling).longest
    assert found == max(length for length in index.lengths if length <= longest)


def test_the_index_is_made_once_and_anew_for_other_settings(prepared, tmp_path) -> None:
    first = build_index(prepared, tmp_path, lengths=(4,))
    path = tmp_path / "runs-004.npy"
    before = (path.stat().st_mtime_ns, path.read_bytes())
    build_index(prepared, tmp_path, lengths=(4,))
    assert path.stat().st_mtime_ns == before[0]
    assert first.manifest["pieces"] == 5
    assert first.manifest["notes"] == sum(len(whole_piece(prepared, n)) for n in range(5))
    build_index(prepared, tmp_path, lengths=(4, 6))
    assert NgramIndex(tmp_path).lengths == (4, 6)
    assert path.read_bytes() == before[1]
    assert not any((tmp_path / "parts").iterdir())


def test_a_killed_index_does_not_pass_for_the_one_before(prepared, tmp_path, monkeypatch) -> None:
    build_index(prepared, tmp_path, lengths=(4,))
    with monkeypatch.context() as patched:
        patched.setattr(copying, "_merge", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_index(prepared, tmp_path, lengths=(4, 6))
    with pytest.raises(DataError, match="holds no index"):
        _ = NgramIndex(tmp_path).lengths
    assert build_index(prepared, tmp_path, lengths=(4,)).lengths == (4,)


def test_an_index_of_another_version_is_made_anew(prepared, tmp_path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "key": "old"}))
    assert build_index(prepared, tmp_path, lengths=(4,)).manifest["pieces"] == 5
    (tmp_path / "manifest.json").write_text("[")
    assert build_index(prepared, tmp_path, lengths=(4,)).lengths == (4,)


def test_the_index_is_sorted_unique_and_the_same_however_it_is_cut(
    prepared, index, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(copying, "_PIECES_PER_JOB", 2)
    monkeypatch.setattr(copying, "_HASHES_AT_ONCE", 100)
    pieces = build_index(prepared, tmp_path, lengths=(4, 8, 16))
    for length in (4, 8, 16):
        hashes = np.asarray(pieces.hashes(length))
        assert (np.diff(hashes) > 0).all()
        assert len(hashes) == pieces.manifest["runs"][str(length)]
        assert np.array_equal(hashes, index.hashes(length))


def test_a_pool_makes_the_same_index(prepared, index, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(copying, "_PIECES_PER_JOB", 3)
    assert len(prepared.lengths) == 5
    pooled = build_index(prepared, tmp_path, lengths=(4, 8, 16), workers=2)
    assert np.array_equal(pooled.hashes(8), index.hashes(8))


def test_keys_can_be_kept(prepared, tmp_path) -> None:
    index = build_index(prepared, tmp_path, lengths=(8,), transposed=False)
    known = part_of(2, 4, 9)
    assert index.copied(known).share == 1
    assert index.copied(passage(known.onsets, known.pitches + 1, 40, bars=5)).share < 1


def test_an_index_that_is_not_there_or_not_ours_is_said(index, tmp_path) -> None:
    with pytest.raises(DataError, match="holds no index"):
        NgramIndex(tmp_path).copied(tune(8, 0))
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(DataError, match="another version"):
        NgramIndex(tmp_path).copied(tune(8, 0))
    with pytest.raises(SettingError, match=r"\(4, 8, 16\) notes; 5 was asked"):
        index.copied(tune(8, 0), length=5)
    with pytest.raises(SettingError, match="needs 3 notes"):
        build_index(Prepared(tmp_path, "train"), tmp_path, lengths=(2, 8))


def test_the_original_stands_beside(index) -> None:
    context = tune(60, 0)
    original, filling = joined(tune(20, 5)), joined(cut(context, 10, 10), tune(10, 6))
    found = compare_copying(filling, original, context=context, training=index)
    assert found["context"].generated == (10, 0.5, 20)
    assert found["context"].original.share == 0
    assert found["training"].generated.share == found["training"].original.share == 0
    assert compare_copying(filling, original) == {}
    learnt = compare_copying(filling, part_of(2, 4, 9), training=index)["training"]
    assert (learnt.generated.share, learnt.original.share) == (0, 1)
