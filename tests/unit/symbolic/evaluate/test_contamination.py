"""A split made on purpose with duplicates across, and one without."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.corpora import copied, edited, piece, save
from tests.generation import vocabulary
from tests.prepared import saved_tokenizer

from segue.errors import DataError
from segue.symbolic.codec import encode_file
from segue.symbolic.data.grouping import DuplicateSettings
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate import contamination as module
from segue.symbolic.evaluate.contamination import (
    Collection,
    Neighbour,
    collection_of_files,
    collection_of_prepared,
    contamination,
    notes_of_tokens,
)
from segue.symbolic.tokenizer import Tokenizer

TRAIN = 16
TOKENIZER = Tokenizer(vocabulary(), None)


def disguised(number: int) -> list:
    """A copy of training piece `number`: in another key, slower, retracked or with other notes."""
    rng = np.random.default_rng([55, number])
    lines = copied(
        piece(number),
        semitones=int(rng.integers(-6, 7)),
        stretch=int(rng.integers(1, 3)),
        order=rng.permutation(4),
    )
    return edited(lines, rng, share=0.04) if number % 2 else lines


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, list[Path]]:
    """Training pieces; test pieces of which the first half are copies of training pieces."""
    folder = tmp_path_factory.mktemp("contaminated")
    train = [save(folder / f"train-{n}.mid", piece(n)) for n in range(TRAIN)]
    copies = [save(folder / f"copy-{n}.mid", disguised(n)) for n in range(TRAIN // 2)]
    clean = [save(folder / f"clean-{n}.mid", piece(1000 + n)) for n in range(TRAIN // 2)]
    return {"train": train, "test": copies + clean}


def write_prepared(folder: Path, files: dict[str, list[Path]]) -> Path:
    """Write a prepared folder of files whose split is given, as tokens alone."""
    folder.mkdir()
    shutil.move(saved_tokenizer(folder), folder / "tokenizer.json")
    info: dict = {"format": 1, "splits": {}}
    lines = []
    for split, paths in files.items():
        streams = [encode_file(vocabulary(), path).astype(np.uint16) for path in paths]
        half = len(paths) // 2
        shards = []
        for shard, chosen in enumerate((range(half), range(half, len(paths)))):
            name = f"{split}-{shard:05d}"
            np.save(folder / f"{name}.tokens.npy", np.concatenate([streams[n] for n in chosen]))
            ends = np.cumsum([0, *(len(streams[n]) for n in chosen)])
            np.save(folder / f"{name}.offsets.npy", ends)
            shards.append({"name": name, "pieces": len(chosen)})
            lines += [
                {"shard": name, "index": i, "path": paths[n].name, "split": split}
                for i, n in enumerate(chosen)
            ]
        info["splits"][split] = {"pieces": len(paths), "shards": shards}
    (folder / "pieces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "dataset.json").write_text(json.dumps(info))
    return folder


@pytest.fixture(scope="module")
def prepared(files, tmp_path_factory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("tokens") / "p", files)


@pytest.fixture(scope="module")
def sides(prepared) -> tuple[Collection, Collection]:
    train, test = (collection_of_prepared(Prepared(prepared, s)) for s in ("train", "test"))
    return train, test


def check(found: list[Neighbour]) -> None:
    """All copies are found, each at its original, and nothing else is."""
    half = TRAIN // 2
    assert [neighbour.near_duplicate for neighbour in found] == [True] * half + [False] * half
    for number, neighbour in enumerate(found[:half]):
        assert Path(neighbour.name).name == f"copy-{number}.mid"
        assert Path(neighbour.nearest or "").name == f"train-{number}.mid"
    assert all(neighbour.containment < 0.1 for neighbour in found[half:])


def test_every_copy_across_a_split_is_found_from_tokens_alone(sides) -> None:
    check(contamination(*sides))


def test_every_copy_is_found_from_files(files) -> None:
    train, test = (collection_of_files(files[side], TOKENIZER) for side in ("train", "test"))
    check(contamination(train, test))


def test_files_compare_with_tokens(files, sides) -> None:
    check(contamination(sides[0], collection_of_files(files["test"], TOKENIZER)))
    assert sides[1].note_hashes == collection_of_files(files["test"], TOKENIZER).note_hashes


def test_a_clean_split_has_no_near_duplicates(sides, files) -> None:
    clean = collection_of_files(files["test"][TRAIN // 2 :], TOKENIZER)
    assert not any(neighbour.near_duplicate for neighbour in contamination(sides[0], clean))
    same = contamination(clean, clean)
    assert all(neighbour.same_notes and neighbour.containment == 1 for neighbour in same)
    assert [neighbour.name for neighbour in same] == [neighbour.nearest for neighbour in same]


def test_equal_notes_are_told_from_edited_ones(sides) -> None:
    found = contamination(*sides)[: TRAIN // 2]
    unedited = [n for n in range(TRAIN // 2) if n % 2 == 0]
    assert all(not found[n].same_notes for n in range(TRAIN // 2) if n % 2)
    assert all(found[n].containment > 0.9 for n in unedited)
    assert all(0.25 <= found[n].containment < 1 for n in range(TRAIN // 2) if n % 2)


def test_blocks_change_nothing(sides, monkeypatch) -> None:
    whole = contamination(*sides)
    monkeypatch.setattr(module, "_PIECES_AT_ONCE", 3)
    monkeypatch.setattr(module, "_TESTS_AT_ONCE", 5)
    assert contamination(*sides) == whole


def test_a_pool_reads_the_same(prepared, sides, monkeypatch) -> None:
    monkeypatch.setattr(module, "_PIECES_PER_JOB", 5)
    pooled = collection_of_prepared(Prepared(prepared, "train"), workers=2)
    assert pooled.names == sides[0].names
    assert pooled.note_hashes == sides[0].note_hashes
    assert np.array_equal(pooled.sketches.hashes, sides[0].sketches.hashes)


def test_settings_say_what_is_near(sides) -> None:
    strict = DuplicateSettings(containment=1, shared_phrases=5000)
    found = contamination(*sides, strict)
    assert {n.near_duplicate for n in found if not n.same_notes} == {False}
    for settings in (DuplicateSettings(containment=0.95), DuplicateSettings(shared_phrases=600)):
        found = contamination(*sides, settings)[: TRAIN // 2]
        assert [n.near_duplicate for n in found] == [n.same_notes for n in found]


def test_a_phrase_that_all_pieces_hold_hides_no_duplicate(files, sides, monkeypatch) -> None:
    monkeypatch.setattr(module, "_OWNERS", 2)
    many = collection_of_files([files["train"][3]] * 5 + files["train"][:3], TOKENIZER)
    test = collection_of_files(files["test"][3:4], TOKENIZER)
    (found,) = contamination(many, test)
    assert found.near_duplicate
    assert found.nearest == str(files["train"][3])


def test_copies_are_found_as_long_as_one_note_in_ten_differs(files, sides, tmp_path) -> None:
    rates = []
    for share in (0.05, 0.1, 0.3):
        paths = []
        for number in range(TRAIN):
            lines = edited(piece(number), np.random.default_rng([56, number]), share=share)
            path = tmp_path / f"{share}-{number}.mid"
            paths.append(save(path, copied(lines, semitones=number % 12 - 6, stretch=2)))
        found = contamination(sides[0], collection_of_files(paths, TOKENIZER))
        originals = [f"train-{number}.mid" for number in range(TRAIN)]
        right = [n.near_duplicate and n.nearest == o for n, o in zip(found, originals, strict=True)]
        rates.append(np.mean(right))
    assert rates == [1, 1, 0]


def test_a_piece_without_phrases_is_like_nothing(sides, tmp_path) -> None:
    damaged = tmp_path / "damaged.mid"
    damaged.write_bytes(b"MThd")
    empty = collection_of_files([damaged, tmp_path / "missing.mid"], TOKENIZER)
    assert empty.note_hashes == ("", "")
    found = contamination(sides[0], empty)
    assert found == [Neighbour(name, None, 0, 0.0, False, False) for name in empty.names]
    assert len(contamination(empty, sides[1])) == TRAIN
    assert not any(neighbour.near_duplicate for neighbour in contamination(empty, empty))


def test_sketches_of_other_sizes_are_not_compared(sides, files) -> None:
    small = collection_of_files(files["test"][:1], TOKENIZER, phrases=64)
    with pytest.raises(DataError, match="512 and 64 phrases"):
        contamination(sides[0], small)


def test_tokens_give_the_notes_of_the_file(tmp_path) -> None:
    path = save(tmp_path / "one.mid", piece(5))
    notes = notes_of_tokens(vocabulary(), encode_file(vocabulary(), path))
    expected = sorted((o / 480, p, prog < 0) for prog, line in piece(5) for o, _, p in line)
    rows = zip(notes.onsets / notes.ticks_per_quarter, notes.pitches, notes.drums, strict=True)
    assert sorted(set(rows)) == sorted(set(expected))
    assert len(set(notes.tracks.tolist())) == 3
