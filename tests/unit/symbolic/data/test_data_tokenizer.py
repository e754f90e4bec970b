"""Settings of a tokenizer and the making of its file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.midi_files import song

from segue.core.config import load
from segue.errors import DataError, MissingExtraError, SettingError
from segue.symbolic.data.tokenizer import TokenizerConfig, train_tokenizer
from segue.symbolic.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pitch_range", [60, 20]),
        ("pitch_range", [0, 128]),
        ("drum_pitch_range", [-1, 20]),
        ("beat_resolution", {"0_4": 12, "5_8": 4}),
        ("beat_resolution", {"1_4": 12}),
        ("beat_resolution", {"4": 12}),
        ("beat_resolution", {"0_4": 12, "4_8": 5}),
        ("beat_resolution", {"0_4": 0}),
        ("beat_resolution", {"0_4": 3}),
        ("beat_resolution", {}),
        ("num_velocities", 128),
        ("tempos", {"lowest": 200, "highest": 100}),
        ("tempos", {"num_bins": 200, "lowest": 100, "highest": 101}),
        ("time_signatures", {4: [3]}),
        ("time_signatures", {4: [4], 3: [4]}),
        ("time_signatures", {4: [4, 0]}),
        ("time_signatures", {4: [4], 8: []}),
        ("programs", []),
        ("programs", [0, 0]),
        ("programs", [128]),
        ("special_tokens", ["BOS", "PAD"]),
        ("special_tokens", ["PAD", "PAD"]),
        ("vocab_size", 0),
        ("vocab", 5),
    ],
)
def test_settings_that_are_refused(key: str, value: Any) -> None:
    with pytest.raises(SettingError, match=key):
        load(TokenizerConfig, {key: value})


def test_presets() -> None:
    original = TokenizerConfig.original()
    assert original.vocab_size == 5000
    assert original.to_miditok()["beat_res"] == {(0, 4): 8, (4, 12): 4}
    assert TokenizerConfig().to_miditok()["num_tempos"] == 24


def test_file_for_infilling(tmp_path: Path) -> None:
    made = train_tokenizer(TokenizerConfig(), [], tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert tokenizer.size == made.size == 645
    assert (made.num_files, made.left_out) == (0, [])
    assert tokenizer.vocabulary.can_infill
    train_tokenizer(
        TokenizerConfig.original().model_copy(update={"vocab_size": None}), [], tmp_path / "o.json"
    )
    assert not Tokenizer.from_file(tmp_path / "o.json").vocabulary.can_infill


def test_unreadable_files_are_left_out(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.mid", tmp_path / "bad.mid"
    good.write_bytes(song())
    bad.write_bytes(b"nothing")
    config = TokenizerConfig(vocab_size=660)
    made = train_tokenizer(config, [bad, good], tmp_path / "tokenizer.json")
    assert made.num_files == 1
    assert [(path, "not a MIDI file" in reason) for path, reason in made.left_out] == [(bad, True)]


def test_an_old_file_stays_when_nothing_can_be_read(tmp_path: Path) -> None:
    target, bad = tmp_path / "tokenizer.json", tmp_path / "bad.mid"
    target.write_text("old")
    bad.write_bytes(b"nothing")
    with pytest.raises(DataError, match="None of the 1 files"):
        train_tokenizer(TokenizerConfig(vocab_size=660), [bad], target)
    assert target.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.mid", "tokenizer.json"]


def test_too_few_tokens(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="vocab_size is 646"):
        train_tokenizer(TokenizerConfig(vocab_size=646), [], tmp_path / "tokenizer.json")


def test_without_miditok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miditok", None)
    with pytest.raises(MissingExtraError, match=r"segue\[train\]"):
        train_tokenizer(TokenizerConfig(), [], tmp_path / "tokenizer.json")


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.mid"
    good.write_bytes(song())
    train_tokenizer(TokenizerConfig(vocab_size=660), [good], tmp_path / "tokenizer.json")
    assert capfd.readouterr() == ("", "")
    assert "_model" in json.loads((tmp_path / "tokenizer.json").read_text())
