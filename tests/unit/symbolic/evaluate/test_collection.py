import contextlib
import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from tests.corpora import hostile_files, piece, save
from tests.evaluation import TOKENIZER, a_piece, music, prepared_split

from segue.core.files import sha256_of
from segue.errors import DataError
from segue.symbolic.codec import encode_file
from segue.symbolic.data.scan import ScanSettings
from segue.symbolic.evaluate.collection import (
    midi_pieces,
    open_collection,
    pieces_named,
    prepared_pieces,
    printable,
    sample_pieces,
)
from segue.symbolic.stream import render
from segue.symbolic.tokenizer import Tokenizer

EMPTY = music(0, bars=4)


def crowd(count, *, per_group=3):
    return [a_piece(f"{n:03d}", EMPTY, group=f"group {n // per_group}") for n in range(count)]


def names(found):
    return [piece.name for piece in found]


# The sample ---------------------------------------------------------------------------------------


def test_a_sample_has_one_piece_of_every_group():
    found = sample_pieces(crowd(60), None, seed=3)
    assert len(found) == len({piece.group for piece in found}) == 20


def test_a_sample_depends_on_hashes_and_seed_alone():
    everything = crowd(60)
    found = names(sample_pieces(everything, 8, seed=3))
    assert names(sample_pieces(everything[::-1], 8, seed=3)) == found
    shuffled = [everything[n] for n in np.random.default_rng(0).permutation(60)]
    assert names(sample_pieces(shuffled, 8, seed=3)) == found
    assert names(sample_pieces(everything, 8, seed=4)) != found


def test_taking_more_pieces_keeps_those_chosen_before():
    everything = crowd(60)
    few, more = (names(sample_pieces(everything, count, seed=3)) for count in (5, 15))
    assert more[:5] == few
    larger = names(sample_pieces(everything + crowd(90)[60:], None, seed=3))
    assert [name for name in larger if name < "060"] == names(
        sample_pieces(everything, None, seed=3)
    )


def test_seeds_choose_evenly():
    everything = crowd(30, per_group=1)
    counts = np.zeros(30)
    for seed in range(300):
        for name in names(sample_pieces(everything, 6, seed=seed)):
            counts[int(name)] += 1
    assert counts.sum() == 1800
    assert 30 < counts.min() <= counts.max() < 95


# Prepared folders --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    listed = [
        a_piece(f"{'ab'[n % 2]}/{n}.mid", music(n), group=f"g{n // 2}", source="ab"[n % 2])
        for n in range(7)
    ]
    return prepared_split(tmp_path_factory.mktemp("collection") / "prepared", listed)


def test_every_piece_of_a_split_has_its_own_notes(folder):
    found = prepared_pieces(folder, "test", TOKENIZER)
    assert names(found) == [f"{'ab'[n % 2]}/{n}.mid" for n in range(7)]
    assert [piece.source for piece in found] == ["a", "b"] * 3 + ["a"]
    for number, piece_ in enumerate(found):
        own = render(TOKENIZER.vocabulary, piece_.load()).ids
        assert own.tolist() == render(TOKENIZER.vocabulary, music(number)).ids.tolist()


def test_the_order_of_the_list_of_pieces_does_not_matter(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    lines = (folder / "pieces.jsonl").read_text().splitlines()
    (other / "pieces.jsonl").write_text("".join(line + "\n" for line in lines[::-1]))
    found, again = (prepared_pieces(place, "test", TOKENIZER) for place in (folder, other))
    assert names(found) == names(again)
    assert found[6].load().notes.tolist() == again[6].load().notes.tolist()


def test_a_prepared_folder_is_sampled_by_group_or_taken_whole(folder):
    assert len(open_collection(folder, TOKENIZER)) == 4
    assert len(open_collection(folder, TOKENIZER, count=2)) == 2
    assert len(open_collection(folder, TOKENIZER, grouped=False)) == 7


def test_tokens_of_another_vocabulary_are_refused(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    content = json.loads((other / "tokenizer.json").read_text())
    content["config"]["num_velocities"] = 4
    (other / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="another vocabulary"):
        open_collection(other, TOKENIZER)


def test_a_missing_split_or_folder_is_said(folder, tmp_path):
    with pytest.raises(DataError, match="no pieces in the split 'valid'"):
        open_collection(folder, TOKENIZER, split="valid")
    with pytest.raises(DataError, match="is no folder"):
        open_collection(tmp_path / "nowhere", TOKENIZER)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no MIDI file"):
        open_collection(tmp_path / "empty", TOKENIZER)


# Folders of MIDI ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def midi(tmp_path_factory):
    """Eight pieces, three of them a second time in other bytes, and files that are no music."""
    folder = tmp_path_factory.mktemp("midi")
    for number in range(8):
        save(folder / f"one/{number}.mid", piece(number, bars=6))
    for number in range(3):
        save(folder / f"two/{number}-slower.mid", piece(number, bars=6), bpm=90)
    for name, content in hostile_files().items():
        (folder / name).write_bytes(content)
    return folder


def test_the_same_notes_count_once_and_broken_files_are_passed_over(midi):
    found = open_collection(midi, TOKENIZER)
    assert len({piece.group for piece in found}) == len(found)
    numbers = [name.split("/")[1][0] for name in names(found) if "/" in name]
    assert sorted(numbers) == [*"01234567"]
    assert {piece.source for piece in found if "/" in piece.name} <= {"one", "two"}
    for piece_ in found:
        assert len(piece_.load().notes) >= ScanSettings().min_notes


def test_files_of_the_same_notes_are_all_there_where_groups_do_not_count(midi):
    found = open_collection(midi, TOKENIZER, grouped=False)
    assert sum("/" in piece.name for piece in found) == 11
    assert len({piece.sha256 for piece in found}) == len(found)
    assert len({piece.group for piece in found if "/" in piece.name}) == 8


def test_a_piece_of_a_folder_has_the_tokens_of_its_file(midi):
    for piece_ in open_collection(midi, TOKENIZER, count=3):
        own = render(TOKENIZER.vocabulary, piece_.load()).ids
        assert own.tolist() == encode_file(TOKENIZER.vocabulary, midi / piece_.name).tolist()


def test_files_are_taken_in_an_order_of_their_own(midi):
    def chosen(count, seed):
        return names(midi_pieces(midi, TOKENIZER, count, seed=seed, scan=ScanSettings()))

    assert len(chosen(3, 1)) == 3
    assert chosen(6, 1)[:3] == chosen(3, 1)
    assert chosen(None, 1) != chosen(None, 2)


def read_by_hand(monkeypatch):
    """Watch which files are hashed and which are parsed."""
    from segue.symbolic.evaluate import collection

    hashed, parsed = [], []

    def hashing(path):
        hashed.append(path.name)
        return sha256_of(path)

    def parsing(vocabulary, path):
        parsed.append(path.name)
        return encode_file(vocabulary, path)

    monkeypatch.setattr(collection, "sha256_of", hashing)
    monkeypatch.setattr(collection, "encode_file", parsing)
    monkeypatch.setattr(collection, "scan_file", None)
    return hashed, parsed


def test_pieces_that_are_named_are_read_and_no_others(midi, monkeypatch):
    known = {piece.name: piece for piece in open_collection(midi, TOKENIZER, grouped=False)}
    wanted = [known[name] for name in ("one/5.mid", "two/1-slower.mid")]
    asked = [
        SimpleNamespace(piece=piece.name, sha256=piece.sha256, group=piece.group)
        for piece in (wanted[0], wanted[1], wanted[0])
    ]
    hashed, parsed = read_by_hand(monkeypatch)
    found = pieces_named(midi, TOKENIZER, asked)
    assert sorted(hashed) == ["1-slower.mid", "5.mid"]
    assert parsed == []
    assert [(p.name, p.sha256, p.group, p.source, p.path) for p in found] == [
        (p.name, p.sha256, p.group, p.source, p.path) for p in wanted
    ]
    assert found[1].load().notes.tolist() == wanted[1].load().notes.tolist()
    assert parsed[0] == "1-slower.mid"


def test_a_named_piece_counts_by_its_hash(midi, monkeypatch, tmp_path):
    moved = shutil.copytree(midi, tmp_path / "moved")
    (moved / "one/5.mid").rename(moved / "five.mid")
    (moved / "one/4.mid").rename(moved / "one/5.mid")
    asked = [
        SimpleNamespace(piece=name, sha256=sha256, group="g")
        for name, sha256 in (
            ("one/5.mid", sha256_of(midi / "one/5.mid")),
            ("one/2.mid", sha256_of(midi / "one/2.mid")),
            ("one/2.mid", "0" * 64),
        )
    ]
    _, parsed = read_by_hand(monkeypatch)
    found = pieces_named(moved, TOKENIZER, asked)
    assert names(found) == ["five.mid", "one/2.mid"]
    assert [piece.source for piece in found] == ["", "one"]
    assert parsed == []


def test_pieces_of_a_split_are_named_likewise(folder):
    everything = prepared_pieces(folder, "test", TOKENIZER)
    asked = [
        SimpleNamespace(piece="elsewhere", sha256=everything[n].sha256, group="g") for n in (4, 1)
    ]
    assert names(pieces_named(folder, TOKENIZER, asked)) == [everything[n].name for n in (4, 1)]


@pytest.mark.parametrize("count", [None, 3, 50])
def test_who_listens_hears_how_far_reading_is(midi, count):
    heard = []

    @contextlib.contextmanager
    def listening(label, *, total=None):
        heard.append([label, total, 0])

        def advance(count=1):
            heard[-1][2] += count

        yield advance

    open_collection(midi, TOKENIZER, count=count, progress=listening)
    ((label, total, done),) = heard
    assert label == "reading pieces"
    assert done == total
    assert total == (3 if count == 3 else len(list(midi.rglob("*.mid"))))


def test_a_name_that_is_no_text_is_spelt_out(tmp_path):
    path = save(tmp_path / "plain.mid", piece(1, bars=6))
    path.rename(tmp_path / os.fsdecode(b"caf\xe9.mid"))
    (found,) = open_collection(tmp_path, TOKENIZER)
    assert found.name == "caf\\xe9.mid"
    assert found.path is not None
    assert found.path.is_file()
    assert len(found.load().notes) > 50
    assert printable("Café/\u2028.mid") == "Café/\u2028.mid"


def test_a_folder_without_music_is_said(tmp_path):
    (tmp_path / "text.mid").write_bytes(b"This is no music.")
    with pytest.raises(DataError, match="can be evaluated on"):
        open_collection(tmp_path, Tokenizer(TOKENIZER.vocabulary, None))


def test_a_piece_that_the_tokenizer_cannot_read_is_passed_over(midi, monkeypatch):
    from segue.symbolic.evaluate import collection

    def refuse(vocabulary, path):
        if path.name == "4.mid":
            raise DataError("bars beyond number")
        return encode_file(vocabulary, path)

    monkeypatch.setattr(collection, "encode_file", refuse)
    found = open_collection(midi, TOKENIZER)
    assert "one/4.mid" not in names(found)
    for piece_ in found:
        piece_.load()
