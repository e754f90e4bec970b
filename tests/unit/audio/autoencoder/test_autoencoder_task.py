"""Training of an autoencoder: it learns, it takes turns, it resumes, it survives what is not a number."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.toy_codec import SOUND, ToySound, toy_codec_config, toy_codec_run, toy_codec_task
from tests.toy_training import trace

from segue.audio.autoencoder.fit import _start_from, load_autoencoder
from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.errors import DataError, SettingError
from segue.training.run import RunFolder


class _PowerCut(BaseException):
    """Stands for the plug being pulled: nothing in the package catches it."""


def _train_rows(folder: Path) -> list[dict]:
    return [row for row in trace(folder) if row["split"] == "train"]


def test_loss_falls_and_all_parts_are_noted(tmp_path: Path):
    toy_codec_run(tmp_path, max_steps=60)
    rows = _train_rows(tmp_path)
    assert rows[-1]["likelihood"] < rows[0]["likelihood"] - 0.3
    assert {"adversarial", "features", "discriminator", "elbo", "kl", "bits_per_second"} <= rows[
        -1
    ].keys()
    assert rows[0].get("discriminator") is None
    assert [row["step"] for row in rows] == list(range(2, 61, 2))


@pytest.mark.parametrize(
    ("model", "objective"),
    [
        ({}, {}),
        ({"head": "istft", "sees": "complex"}, SOUND | {"adversarial_length": 2048}),
        ({"head": "transposed"}, SOUND | {"adversarial_weight": 0, "feature_weight": 0}),
    ],
)
def test_interrupted_run_has_the_identical_trace(tmp_path: Path, model: dict, objective: dict):
    options = {"model": model, "objective": objective, "ema_decay": 0.9}
    toy_codec_run(tmp_path / "whole", **options)

    def cut(step: int, total: int, row: Mapping[str, float]) -> None:
        if step == 14:
            raise _PowerCut

    with pytest.raises(_PowerCut):
        toy_codec_run(tmp_path / "cut", report=cut, **options)
    toy_codec_run(tmp_path / "cut", **options)
    assert trace(tmp_path / "cut") == trace(tmp_path / "whole")
    weights = [
        torch.load(RunFolder(tmp_path / name).last, weights_only=True)["state_dict"]
        for name in ("whole", "cut")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("average", [None, 0.8])
def test_frozen_encoder_keeps_the_latents(tmp_path: Path, average: float | None):
    run = RunFolder(tmp_path)
    seen: list[dict[str, torch.Tensor]] = []

    def look(step: int, total: int, row: Mapping[str, float]) -> None:
        if step in (12, 16):
            seen.append(torch.load(run.last, weights_only=True)["state_dict"])

    toy_codec_run(tmp_path, report=look, save_every=2, ema_decay=average)
    seen.append(torch.load(run.last, weights_only=True)["state_dict"])
    learning, frozen, last = seen

    def moved(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str) -> bool:
        names = [name for name in one if name.startswith(f"model.{part}")]
        return any(not torch.equal(one[name], other[name]) for name in names)

    assert moved(learning, frozen, "encoder")
    assert not moved(frozen, last, "encoder")
    assert moved(frozen, last, "decoder")


def test_price_follows_the_rate():
    task = toy_codec_task()
    start = float(task.price)
    task._trainer = type("T", (), {"world_size": 1})()
    task._move_price(torch.tensor(1e6))
    raised = float(task.price)
    task._move_price(torch.tensor(0.0))
    task._move_price(torch.tensor(0.0))
    assert raised > start > float(task.price)
    task._move_price(torch.tensor(float("nan")))
    assert torch.isfinite(task.price)


class _BrokenSound(ToySound):
    """One batch of what is not a number."""

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1):
        clips = super().batch(step, rank=rank, world_size=world_size)
        if step == 6:
            clips.audio[:] = float("nan")
        return clips


def test_what_is_not_a_number_puts_the_last_good_state_back(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tests.toy_codec.ToySound", _BrokenSound)
    toy_codec_run(tmp_path / "restored")
    rows = _train_rows(tmp_path / "restored")
    assert rows[3]["restored"] == 1
    assert all(row["loss"] < 200 for row in rows)
    weights = torch.load(RunFolder(tmp_path / "restored").last, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())
    with pytest.raises(SettingError, match="no longer a finite"):
        toy_codec_run(tmp_path / "stopped", nan_restores=0)


def test_accumulating_and_sharding_are_refused(tmp_path: Path):
    with pytest.raises(SettingError, match="in turns"):
        toy_codec_run(tmp_path, accumulate=2)


def test_other_files_are_not_autoencoders(tmp_path: Path):
    with pytest.raises(DataError, match="no trained autoencoder"):
        load_autoencoder(tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "x.ckpt")
    with pytest.raises(DataError, match="not the checkpoint of an autoencoder"):
        load_autoencoder(tmp_path / "x.ckpt")


def _take(model: dict[str, Any], other: dict[str, Any]) -> SpectralAutoencoder:
    """A model of one kind that begins with the weights of one of another kind."""
    new, old = (SpectralAutoencoder(toy_codec_config(**changes)) for changes in (model, other))
    _start_from(new, old)
    shared = old.state_dict()
    assert all(torch.equal(v, shared[n]) for n, v in new.state_dict().items() if n in shared)
    return new


def test_weights_are_taken_from_the_same_architecture_only():
    assert _take({}, {}).config.texture
    assert _take({"texture": True}, {"texture": False}).config.texture
    assert _take({"phase_iterations": 9}, {}).config.phase_iterations == 9
    with pytest.raises(SettingError, match="texture: True there, False in the recipe"):
        _take({"texture": False}, {})
    for name, value in {"decoder_width": 40, "compression": 0.3, "kernel": 5}.items():
        with pytest.raises(SettingError, match=f"{name}: .* there, {value} in the recipe"):
            _take({name: value}, {})
