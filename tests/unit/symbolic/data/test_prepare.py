"""A folder of MIDI becomes a folder of tokens, whatever happens on the way."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.corpora import copied, corpus, edited, hostile_files, piece, save

from segue.core import files
from segue.core.progress import Advance
from segue.errors import BundleError, DataError
from segue.symbolic.data import inventory
from segue.symbolic.data.prepare import PrepareSettings, prepare
from segue.symbolic.data.scan import CRASHED
from segue.symbolic.data.tokenizer import TokenizerConfig
from segue.symbolic.tokenizer import Tokenizer

SMALL: dict[str, Any] = {"notes_per_shard": 400, "split": {"valid_share": 0.2}}


def settings(**changes: Any) -> PrepareSettings:
    return PrepareSettings.model_validate(SMALL | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return corpus(tmp_path / "music", 12)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "_FILES_PER_CHUNK", 5)


def test_the_folder_is_as_documented(music: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    dataset = prepare([music], target, settings(), workers=0)
    assert dataset == json.loads((target / "dataset.json").read_text("utf-8"))
    tokenizer = Tokenizer.from_file(target / "tokenizer.json")
    assert dataset["vocabulary_size"] == tokenizer.size
    pieces = lines(target / "pieces.jsonl")
    assert {line["path"] for line in pieces} == {
        path.relative_to(music).as_posix() for path in music.rglob("*.mid")
    }
    assert {line["source"] for line in pieces} == {"one", "two"}
    for name, split in dataset["splits"].items():
        own = [line for line in pieces if line["split"] == name]
        assert split["pieces"] == len(own)
        assert split["tokens"] == sum(line["tokens"] for line in own)
        assert split["notes"] == sum(line["notes"] for line in own)
    shards = [shard for split in dataset["splits"].values() for shard in split["shards"]]
    assert len(shards) > 3
    for line in pieces:
        tokens = np.load(target / f"{line['shard']}.tokens.npy", mmap_mode="r")
        start, end = np.load(target / f"{line['shard']}.offsets.npy")[line["index"] :][:2]
        assert np.array_equal(tokens[start:end], tokenizer.encode_file(music / line["path"]))


def test_hostile_files_are_counted_and_stop_nothing(music: Path, tmp_path: Path) -> None:
    hostile = hostile_files()
    for name, content in hostile.items():
        (music / name).write_bytes(content)
    dataset = prepare([music], tmp_path / "out", settings(max_left_out_share=1), workers=0)
    left_out = {line["path"]: line["reason"] for line in lines(tmp_path / "out" / "left-out.jsonl")}
    assert set(left_out) <= set(hostile)
    assert len(left_out) >= len(hostile) - 1
    assert sum(dataset["left_out"].values()) == len(left_out)
    assert dataset["left_out"]["no notes"] >= 2
    pieces = sum(split["pieces"] for split in dataset["splits"].values())
    assert pieces + len(left_out) == 12 + len(hostile)


def test_too_many_useless_files_stop_the_run(music: Path, tmp_path: Path) -> None:
    for name, content in hostile_files().items():
        (music / name).write_bytes(content)
    with pytest.raises(DataError, match="raise max_left_out_share"):
        prepare([music], tmp_path / "out", settings(), workers=0)
    assert lines(tmp_path / "out" / "left-out.jsonl")
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_copies_stay_on_one_side(tmp_path: Path) -> None:
    music, rng = tmp_path / "music", np.random.default_rng(0)
    for number in range(8):
        whole = piece(number)
        save(music / f"{number}.mid", whole)
        save(music / f"{number}-same.mid", copied(whole, semitones=2, stretch=2), bpm=240)
        save(music / f"{number}-edition.mid", edited(whole, rng, share=0.02))
        save(music / f"{number}-melody.mid", whole[:1])
    half = settings(split={"valid_share": 0.5})
    dataset = prepare([music], tmp_path / "out", half, workers=0)
    assert dataset["left_out"] == {"same notes as another piece": 8}
    groups: dict[str, set[str]] = {}
    for line in lines(tmp_path / "out" / "pieces.jsonl"):
        groups.setdefault(line["group"], set()).add(line["path"][0] + line["split"])
    assert len(groups) == 8
    assert all(len(members) == 1 for members in groups.values())
    assert dataset["splits"]["train"]["groups"] + dataset["splits"]["valid"]["groups"] == 8
    assert dataset["splits"]["valid"]["groups"] > 0


def test_equal_notes_can_be_kept(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(
            tmp_path / "music" / f"{name}.mid", copied(piece(int(name == "c")), semitones=len(name))
        )
    keep = settings(duplicates={"drop_equal": False})
    assert prepare([tmp_path / "music"], tmp_path / "out", keep, workers=0)["left_out"] == {}


def test_names_of_works_join(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "music" / f"{'ab'[number % 2]}-{number}.mid", piece(number, bars=8))
    works = settings(duplicates={"work_patterns": [r"^([a-z])-"]})
    prepare([tmp_path / "music"], tmp_path / "out", works, workers=0)
    found = lines(tmp_path / "out" / "pieces.jsonl")
    assert len({(line["path"][0], line["group"], line["split"]) for line in found}) == 2


def test_what_is_like_held_out_music_is_left_out(music: Path, tmp_path: Path) -> None:
    kept_back = tmp_path / "kept-back"
    save(kept_back / "a.mid", copied(piece(3, bars=8), semitones=-1))
    save(kept_back / "b.mid", piece(500, bars=8))
    dataset = prepare([music], tmp_path / "out", settings(), held_out=[kept_back], workers=0)
    assert dataset["left_out"] == {"like a held-out piece": 1}
    assert lines(tmp_path / "out" / "left-out.jsonl")[0]["path"] == "two/piece-003.mid"
    pieces = lines(tmp_path / "out" / "pieces.jsonl")
    assert len(pieces) == 11
    assert {line["source"] for line in pieces} == {"one", "two"}


def test_merges_are_learnt_where_asked(music: Path, tmp_path: Path) -> None:
    base = prepare([music], tmp_path / "base", settings(), workers=0)
    trained = settings(tokenizer={"vocab_size": base["vocabulary_size"] + 60}, tokenizer_pieces=6)
    merged = prepare([music], tmp_path / "merged", trained, workers=0)
    assert merged["vocabulary_size"] == base["vocabulary_size"] + 60
    assert merged["splits"]["train"]["tokens"] < 0.8 * base["splits"]["train"]["tokens"]
    first, second = (lines(tmp_path / name / "pieces.jsonl") for name in ("base", "merged"))
    assert [line["bars"] for line in first] == [line["bars"] for line in second]
    tokenizer = Tokenizer.from_file(tmp_path / "merged" / "tokenizer.json")
    line = second[0]
    tokens = np.load(tmp_path / "merged" / f"{line['shard']}.tokens.npy")[: line["tokens"]]
    assert np.array_equal(tokens, tokenizer.encode_file(music / line["path"]))


def test_a_given_tokenizer_is_used(music: Path, tmp_path: Path) -> None:
    other = settings(tokenizer={"num_velocities": 4})
    prepare([music], tmp_path / "first", other, workers=0)
    given = tmp_path / "first" / "tokenizer.json"
    dataset = prepare([music], tmp_path / "second", settings(), tokenizer=given, workers=0)
    assert (tmp_path / "second" / "tokenizer.json").read_bytes() == given.read_bytes()
    assert dataset["vocabulary_size"] == Tokenizer.from_file(given).size
    assert TokenizerConfig().num_velocities != 4
    with pytest.raises(BundleError):
        prepare([music], tmp_path / "third", tokenizer=music / "one" / "piece-000.mid", workers=0)


def test_only_the_first_files(music: Path, tmp_path: Path) -> None:
    prepare([music], tmp_path / "out", settings(limit=4), workers=0)
    found = sorted(line["path"] for line in lines(tmp_path / "out" / "pieces.jsonl"))
    assert found == [f"one/piece-{number:03d}.mid" for number in (0, 2, 4, 6)]


def test_a_folder_of_other_things_is_refused(music: Path, tmp_path: Path) -> None:
    save(tmp_path / "precious" / "a.mid", piece(0))
    with pytest.raises(DataError, match="not prepared by Segue"):
        prepare([music], tmp_path / "precious", settings(), workers=0)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="Cannot make the folder"):
        prepare([music], tmp_path / "file", settings(), workers=0)


def test_workers_and_this_process_give_the_same(music: Path, tmp_path: Path) -> None:
    prepare([music], tmp_path / "here", settings(), workers=0)
    prepare([music], tmp_path / "there", settings(), workers=2)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_progress_is_told(music: Path, tmp_path: Path) -> None:
    told: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def listen(label: str, *, total: float | None = None) -> Iterator[Advance]:
        told[label] = [total or 0, 0]

        def advance(count: float = 1) -> None:
            told[label][1] += count

        yield advance

    merged = settings(tokenizer={"vocab_size": 660}, tokenizer_pieces=6)
    prepare([music], tmp_path / "out", merged, workers=0, progress=listen)
    for stage in ("reading", "collecting", "comparing", "learning the tokenizer", "encoding"):
        whole = 6 if "tokenizer" in stage else 12
        assert told[stage] == [whole, whole], stage
    assert told["looking for files"] == [0, 12]
    assert told["sorting phrases"][0] == told["sorting phrases"][1] > 12


# Resume -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the process being killed."""


def test_a_run_that_dies_anywhere_goes_on_to_the_same_bytes(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare([music], tmp_path / "whole", settings(), workers=0)
    whole = contents(tmp_path / "whole")
    publish, target = files._publish, tmp_path / "out"
    survived = 0
    for fatal in range(1000):
        calls = iter(range(1000))

        def dying(temporary: Path, path: Path) -> None:
            if next(calls) == fatal:  # noqa: B023 - used in this turn only
                shutil.copy(temporary, temporary.with_name(f".{path.stem}-0left0.npy"))
                raise Killed
            publish(temporary, path)

        monkeypatch.setattr(files, "_publish", dying)
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(Killed):
            prepare([music], target, settings(), workers=0)
            break
        assert not (target / "dataset.json").exists()
        monkeypatch.setattr(files, "_publish", publish)
        prepare([music], target, settings(), workers=0)
        assert contents(target) == whole
        survived += 1
    assert survived > 20


STAGES = (
    "looking for files",
    "reading",
    "collecting",
    "sorting phrases",
    "comparing",
    "learning the tokenizer",
    "encoding",
)


def test_a_run_that_dies_in_any_stage_goes_on_to_the_same_bytes(
    music: Path, tmp_path: Path
) -> None:
    merged = settings(tokenizer={"vocab_size": 660}, tokenizer_pieces=6)
    prepare([music], tmp_path / "whole", merged, workers=0)
    begun: list[str] = []

    @contextlib.contextmanager
    def die(label: str, *, total: float | None = None) -> Iterator[Advance]:
        def advance(count: float = 1) -> None:
            if label not in begun:
                begun.append(label)
                raise Killed

        yield advance

    for number in range(len(STAGES)):
        with pytest.raises(Killed):
            prepare([music], tmp_path / "out", merged, workers=0, progress=die)
        assert begun == list(STAGES[: number + 1])
        assert not (tmp_path / "out" / "dataset.json").exists()
    prepare([music], tmp_path / "out", merged, workers=0, progress=die)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_piece_that_takes_the_encoder_down_costs_itself(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_jobs(
        function: Callable[[Any], Any],
        jobs: Iterable[Any],
        *,
        workers: int,
        on_crash: Callable[[Any], Any] | None = None,
    ) -> Iterator[Any]:
        for job in jobs:
            left = [] if not isinstance(job, tuple) else job[1].pieces
            if any("003" in p.path and n not in job[2] for n, p in enumerate(left)):
                assert on_crash is not None
                yield on_crash(job)
            else:
                yield function(job)

    monkeypatch.setattr("segue.symbolic.data.prepare.run_jobs", run_jobs)
    dataset = prepare([music], tmp_path / "out", settings(), workers=1)
    assert dataset["left_out"] == {CRASHED: 1}
    (line,) = lines(tmp_path / "out" / "left-out.jsonl")
    assert line == {"path": "two/piece-003.mid", "reason": CRASHED}
    pieces = lines(tmp_path / "out" / "pieces.jsonl")
    assert len(pieces) == 11
    tokenizer = Tokenizer.from_file(tmp_path / "out" / "tokenizer.json")
    for piece_ in pieces:
        tokens = np.load(tmp_path / "out" / f"{piece_['shard']}.tokens.npy")
        offsets = np.load(tmp_path / "out" / f"{piece_['shard']}.offsets.npy")
        start, end = offsets[piece_["index"] :][:2]
        assert np.array_equal(tokens[start:end], tokenizer.encode_file(music / piece_["path"]))


def test_what_a_killed_worker_began_to_write_is_removed(music: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    left = [target / "stage" / ".train-00001-fmfgjil4.json", target / ".train-00001.tokens-x_1.npy"]

    @contextlib.contextmanager
    def leave(label: str, *, total: float | None = None) -> Iterator[Advance]:
        if label == "encoding":
            for path in left:
                path.touch()
        yield lambda count=1: None

    prepare([music], target, settings(), workers=0, progress=leave)
    prepare([music], tmp_path / "whole", settings(), workers=0)
    assert contents(target) == contents(tmp_path / "whole")


def test_a_folder_that_is_being_changed_does_not_pass_for_whole(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, publish = tmp_path / "out", files._publish
    prepare([music], target, settings(), workers=0)

    def dying(temporary: Path, path: Path) -> None:
        publish(temporary, path)
        if path.name == "train-00000.tokens.npy":
            raise Killed

    monkeypatch.setattr(files, "_publish", dying)
    with pytest.raises(Killed):
        prepare([music], target, settings(seed=9), workers=0)
    assert not (target / "dataset.json").exists()


def test_finished_work_is_taken_up(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    prepare([music], target, settings(), workers=0)
    whole = contents(target)
    times = {path: path.stat().st_mtime_ns for path in target.glob("*.npy")}
    (target / "train-00001.tokens.npy").unlink()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the files were read again")

    monkeypatch.setattr(inventory, "scan_file", refuse)
    monkeypatch.setattr("segue.symbolic.data.grouping.near_pairs", refuse)
    monkeypatch.setattr("segue.symbolic.data.prepare.train_tokenizer", refuse)
    prepare([music], target, settings(), workers=0)
    assert contents(target) == whole
    changed = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {"train-00001.tokens.npy", "train-00001.offsets.npy"}


@pytest.mark.parametrize("change", ["more files", "other settings", "a file changed"])
def test_a_corpus_that_changed_is_prepared_as_if_new(
    music: Path, tmp_path: Path, change: str
) -> None:
    prepare([music], tmp_path / "out", settings(), workers=0)
    after = settings()
    if change == "more files":
        save(music / "two" / "new.mid", piece(77, bars=8))
    elif change == "other settings":
        after = settings(notes_per_shard=900, split={"valid_share": 0.4}, seed=3)
    else:
        save(music / "one" / "piece-004.mid", piece(88, bars=12))
    prepare([music], tmp_path / "out", after, workers=0)
    prepare([music], tmp_path / "fresh", after, workers=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_moved_corpus_is_not_prepared_again(music: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    prepare([music], target, settings(), workers=0)
    whole = contents(target)
    elsewhere = music.rename(tmp_path / "elsewhere")
    times = {path: path.stat().st_mtime_ns for path in target.glob("*.npy")}
    prepare([elsewhere], target, settings(), workers=0)
    assert contents(target) == whole
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
