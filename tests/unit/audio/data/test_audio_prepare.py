"""From folders of sound to a prepared folder: what is kept, what is left out, what is done again."""

import contextlib
import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.sounds import music, noise, save, tone

from segue.audio.data import prepare as module
from segue.audio.data.cache import parts_path
from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.audio.data.scan import Header, Material
from segue.audio.signal import Audio, read_audio
from segue.errors import DataError

SHORT: dict[str, Any] = {"min_seconds": 0.5, "segment_seconds": 1}
NAMES = [
    f"{label}/{album}/{track}.flac" for label in "ab" for album in range(4) for track in range(2)
]


def settings(**changes: Any) -> PrepareSettings:
    return PrepareSettings.model_validate({**SHORT, **changes})


def run(folder: Path, target: Path, **changes: Any) -> dict[str, Any]:
    return prepare([folder], target, settings(**changes), workers=0)


def left_out(target: Path) -> dict[str, str]:
    with (target / "left_out.csv").open(newline="") as stream:
        return {row["path"]: row["reason"] for row in csv.DictReader(stream)}


def names(target: Path) -> set[str]:
    found = set()
    for path in target.glob("recordings.*.csv"):
        with path.open(newline="") as stream:
            found |= {row["name"] for row in csv.DictReader(stream)}
    return found


def contents(target: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in target.iterdir() if path.name != "journal.jsonl"
    }


def test_the_folder_holds_the_sound_of_the_files(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", NAMES)
    info = run(folder, tmp_path / "out")
    assert info == json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert (info["format"], info["rate_hz"], info["channels"]) == (1, 16_000, 1)
    assert info["labels"] == ["a", "b"]
    assert info["left_out"] == {}
    assert not parts_path(tmp_path / "out").exists()
    seen = set()
    for split, numbers in info["splits"].items():
        clips = Clips(tmp_path / "out", split)
        assert numbers["recordings"] == len(clips)
        assert numbers["samples"] == clips.lengths.sum()
        for index, row in enumerate(clips.recordings):
            wanted = read_audio(folder / row.name)
            assert np.abs(clips.read(index, 0, row.num_samples) - wanted).max() < 1e-4
            assert row.label == row.name[0]
            assert row.group == f"folder {row.name[:3]}"
            assert row.peak_dbfs == pytest.approx(20 * np.log10(np.abs(wanted).max()), abs=0.01)
            seen.add(row.name)
    assert seen == set(NAMES)


def test_other_rates_and_stereo(tmp_path: Path) -> None:
    frames = np.stack([tone(1, rate_hz=44_100), noise(1, rate_hz=44_100)], axis=1)
    save(tmp_path / "music" / "x.wav", frames, 44_100)
    run(tmp_path / "music", tmp_path / "out", rate_hz=22_050, channels=2)
    clips = Clips(tmp_path / "out")
    wanted = read_audio(tmp_path / "music" / "x.wav", 22_050, 2)
    assert clips.channels == 2
    assert np.abs(clips.read(0, 0, 22_050) - wanted).max() < 1e-4


def test_what_overshoots_is_turned_down_as_a_whole(tmp_path: Path) -> None:
    save(tmp_path / "music" / "x.wav", tone(1, level=40_000), subtype="FLOAT")
    run(tmp_path / "music", tmp_path / "out")
    clips = Clips(tmp_path / "out")
    assert np.abs(clips.read(0, 0, 16_000)[0] - tone(1, level=1.0)).max() < 1e-3
    assert clips.recordings[0].peak_dbfs == 0
    assert clips.recordings[0].loudness_lufs == pytest.approx(-3.6, abs=0.5)  # 440 Hz


def test_why_files_are_left_out(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", [f"{number}.flac" for number in range(20)])
    save(folder / "short.wav", tone(0.4))
    save(folder / "quiet.wav", 1e-4 * tone(2))
    save(folder / "none.wav", tone(1)[:0])
    save(folder / "nan.wav", tone(1) * np.nan, subtype="FLOAT")
    save(folder / "copy.wav", soundfile.read(folder / "3.flac", dtype="int16")[0])
    (folder / "text.mp3").write_text("la " * 999)
    (folder / "empty.ogg").touch()
    whole = save(folder / "cut.flac", noise(5)).read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    info = run(folder, tmp_path / "out", max_left_out_share=0.5)
    assert left_out(tmp_path / "out") == {
        "short.wav": "too short",
        "quiet.wav": "too silent",
        "none.wav": "no sound",
        "nan.wav": "damaged",
        "copy.wav": "same audio as another file",
        "text.mp3": "cannot be read",
        "empty.ogg": "cannot be read",
        "cut.flac": "damaged",
    }
    assert sum(info["left_out"].values()) == 8
    assert names(tmp_path / "out") == {f"{number}.flac" for number in range(20)}


def test_too_many_broken_files_stop_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = music(tmp_path / "music", [f"{number}.flac" for number in range(8)])
    for number in range(4):
        (folder / f"!{number}.mp3").write_bytes(bytes(999))
    decoded = []
    decode = module._decode
    monkeypatch.setattr(module, "_decode", lambda job: decoded.append(job.file.name) or decode(job))
    with pytest.raises(
        DataError, match=r"2 of 2 files are broken \(2 x cannot be read\).*0.1 of 12"
    ):
        run(folder, tmp_path / "out")
    assert decoded == ["!0.mp3", "!1.mp3"]
    assert left_out(tmp_path / "out") == dict.fromkeys(decoded, "cannot be read")
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert sum(run(folder, tmp_path / "out", max_left_out_share=0.4)["left_out"].values()) == 4


def test_nothing_left_to_learn_from(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a.wav", "b.wav"], seconds=0.2)
    with pytest.raises(DataError, match=r"No recording is left to learn from \(2 x too short\)"):
        run(folder, tmp_path / "out")


def test_a_listing_is_obeyed(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["0/a.flac", "0/b.flac", "0/c.flac"])
    (folder / "splits.csv").write_text(
        "path,split,label\n0/a.flac,test,Jazz\n0/b.flac,train,Rock\n"
    )
    info = run(folder, tmp_path / "out")
    assert info["labels"] == ["Jazz", "Rock"]
    assert left_out(tmp_path / "out") == {"0/c.flac": "not in splits.csv"}
    assert Clips(tmp_path / "out", "test").recordings[0].name == "0/a.flac"


# Running again ----------------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded."""
    seen: list[str] = []
    decode = module._decode
    monkeypatch.setattr(module, "_decode", lambda job: seen.append(job.file.name) or decode(job))
    return seen


def stop_at_five(label: str, *, total: float | None = None) -> Any:
    return stop_at(5, label)


def stop_at_seven(label: str, *, total: float | None = None) -> Any:
    return stop_at(7, label)


@contextlib.contextmanager
def stop_at(number: int, label: str) -> Iterator[Any]:
    done = 0.0

    def advance(count: float = 1) -> None:
        nonlocal done
        done += count
        if label == "decoding" and done == number:
            raise KeyboardInterrupt

    yield advance


def test_what_is_done_is_not_done_again(tmp_path: Path, decoded: list[str]) -> None:
    folder = music(tmp_path / "music", NAMES)
    (folder / "broken.mp3").write_bytes(bytes(999))
    run(folder, tmp_path / "whole")
    decoded.clear()
    with pytest.raises(KeyboardInterrupt):
        prepare([folder], tmp_path / "out", settings(), workers=0, progress=stop_at_five)
    assert len(decoded) == 5
    assert not (tmp_path / "out" / "dataset.json").exists()
    with (tmp_path / "out" / "audio.train.i16").open("ab") as stream:
        stream.write(b"half a recording")
    with (tmp_path / "out" / "journal.jsonl").open("a") as stream:
        stream.write('{"source": "abc", "spl')
    run(folder, tmp_path / "out")
    assert len(decoded) == len(NAMES) + 1
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    decoded.clear()
    run(folder, tmp_path / "out")
    assert decoded == ["broken.mp3"]  # perhaps something was installed meanwhile
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_corpus_that_grows_shrinks_and_changes(tmp_path: Path, decoded: list[str]) -> None:
    folder = music(tmp_path / "music", NAMES)
    save(folder / "z.flac", noise(1, 0) + tone(1, hz=200))  # sounds like the first
    run(folder, tmp_path / "out")
    assert left_out(tmp_path / "out") == {"z.flac": "same audio as another file"}
    decoded.clear()
    save(folder / "a" / "0" / "0new.flac", noise(1, 77))
    save(folder / NAMES[-1], noise(2, 78))
    os.utime(folder / NAMES[-1], ns=(1, 1))
    (folder / NAMES[0]).unlink()
    run(folder, tmp_path / "out")
    assert sorted(decoded) == ["0new.flac", "1.flac", "z.flac"]
    run(folder, tmp_path / "whole")
    found, wanted = ({}, {})
    for target, rows in ((tmp_path / "out", found), (tmp_path / "whole", wanted)):
        for split in ("train", "valid", "test"):
            clips = Clips(target, split)
            for index, row in enumerate(clips.recordings):
                sound = clips.read(index, 0, row.num_samples).tobytes()
                rows[row.name] = (split, *row._replace(offset_samples=0), sound)
    assert found == wanted


def test_a_folder_that_is_being_changed_is_not_finished(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", NAMES[:6])
    run(folder, tmp_path / "out")
    save(folder / "b" / "new.flac", noise(1, 99))
    with pytest.raises(KeyboardInterrupt):
        prepare([folder], tmp_path / "out", settings(), workers=0, progress=stop_at_seven)
    with pytest.raises(DataError, match="not finished"):
        Clips(tmp_path / "out")


def test_labels_change_without_decoding(tmp_path: Path, decoded: list[str]) -> None:
    folder = music(tmp_path / "music", ["0/a.flac", "0/b.flac"])
    (folder / "splits.csv").write_text(
        "path,split,label\n0/a.flac,test,Jazz\n0/b.flac,train,Rock\n"
    )
    run(folder, tmp_path / "out")
    (folder / "splits.csv").write_text(
        "path,split,label\n0/a.flac,test,Soul\n0/b.flac,train,Rock\n"
    )
    decoded.clear()
    assert run(folder, tmp_path / "out")["labels"] == ["Rock", "Soul"]
    assert decoded == []


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a.flac", "b.flac", "c.flac"])
    run(folder, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(DataError, match="other settings"):
        run(folder, tmp_path / "out", rate_hz=8000)
    assert contents(tmp_path / "out") == before
    run(folder, tmp_path / "out", segment_seconds=0.5)  # of no consequence for the samples


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a.flac"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        run(folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_journal_that_is_none_is_left_alone(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a.flac"])
    (tmp_path / "out").mkdir()
    for text in ("", "Dear diary", "[1]"):
        (tmp_path / "out" / "journal.jsonl").write_text(text)
        with pytest.raises(DataError, match="other settings"):
            run(folder, tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["journal.jsonl"]


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be held here")
def test_one_run_at_a_time(tmp_path: Path) -> None:
    import fcntl

    folder = music(tmp_path / "music", ["a.flac", "b.flac", "c.flac"])
    run(folder, tmp_path / "out")
    whole = contents(tmp_path / "out")
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(DataError, match="Another run is writing"):
        run(folder, tmp_path / "out")
    os.close(handle)
    run(folder, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_samples_that_have_gone_are_noticed(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", ["a.flac"])
    run(folder, tmp_path / "out")
    os.truncate(tmp_path / "out" / "audio.train.i16", 100)
    with pytest.raises(DataError, match="shorter than its journal"):
        run(folder, tmp_path / "out")


def test_a_full_disk_is_no_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = music(tmp_path / "music", NAMES)
    write = module._to_int16
    calls = []

    def full(*arguments: Any) -> str:
        calls.append(arguments)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return write(*arguments)

    monkeypatch.setattr(module, "_to_int16", full)
    with pytest.raises(DataError, match=r"No space left on device\. What is finished is kept"):
        run(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    run(folder, tmp_path / "out")
    assert len(calls) == len(NAMES) + 1
    run(folder, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


# Processes and other materials ------------------------------------------------------------------


def test_processes_make_the_same(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", NAMES[:5])
    run(folder, tmp_path / "one")
    prepare([folder], tmp_path / "two", settings(), workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@contextlib.contextmanager
def beep(path: Path, rate_hz: int, channels: int) -> Iterator[Iterator[Audio]]:
    if path.stem == "bad":
        raise DataError("no tune")
    if path.stem == "killer":
        os._exit(9)
    hz = float(path.read_text())
    yield iter([np.full((channels, 1), 0, np.float32), tone(1, rate_hz=rate_hz, hz=hz)[None]])


def no_header(path: Path) -> Header:
    return Header("", 1.0)


def test_another_material_and_a_file_that_kills_its_process(tmp_path: Path) -> None:
    folder = music(tmp_path / "music", NAMES)
    tunes = tmp_path / "tunes"
    for name, text in {"tune": "700", "bad": "", "killer": ""}.items():
        (tunes / "beeps").mkdir(parents=True, exist_ok=True)
        (tunes / "beeps" / f"{name}.tune").write_text(text)
    material = Material("tunes", (".tune",), beep, no_header)
    info = prepare(
        [folder],
        tmp_path / "out",
        settings(max_left_out_share=0.5),
        others=[(tunes, material)],
        workers=1,
    )
    assert left_out(tmp_path / "out") == {
        "tunes/beeps/bad.tune": "cannot be read",
        "tunes/beeps/killer.tune": "takes the decoder down",
    }
    assert info["labels"] == ["a", "b", "beeps"]
    assert "tunes/beeps/tune.tune" in names(tmp_path / "out")
