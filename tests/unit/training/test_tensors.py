"""Weights as tensors: what is written comes back, what is damaged is told."""

import json
from pathlib import Path

import pytest
import torch
from tests.tiny_audio import write_tiny_bundle
from torch import nn

from segue.errors import BundleError, DataError
from segue.runtime.bundle import Bundle, write_bundle
from segue.training.tensors import (
    SAFETENSORS_NAME,
    find_bundle,
    read_checkpoint,
    read_tensors,
    write_tensors,
)


def _bundle(folder: Path, content: bytes | Path) -> Bundle:
    config = {"format": 1, "kind": "ldmg", "name": "small", "model": {}}
    return write_bundle(folder, {"config.json": json.dumps(config), SAFETENSORS_NAME: content})


def test_two_networks_in_one_file(tmp_path: Path):
    one, other = nn.Linear(3, 4), nn.Conv1d(2, 2, 1)
    write_tensors({"one": one, "one.more": other}, tmp_path / "x")
    bundle = _bundle(tmp_path / "b", tmp_path / "x")
    found = read_tensors(bundle, "one.more")
    assert found.keys() == other.state_dict().keys()
    for name, tensor in read_tensors(bundle, "one.more").items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-3, atol=1e-7)
    assert (tmp_path / "x").stat().st_size < 2 * (12 + 4 + 4 + 2) + 600


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_what_float16_cannot_hold_is_refused(tmp_path: Path, value: float):
    network = nn.Linear(2, 2)
    nn.init.constant_(network.weight, value)
    with pytest.raises(BundleError, match=r"one\.weight hold values"):
        write_tensors({"one": network}, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_damaged_and_missing_tensors_are_told(tmp_path: Path):
    with pytest.raises(BundleError, match=r"has no model\.safetensors, only graphs"):
        read_tensors(write_tiny_bundle(tmp_path / "graphs"), "one")
    with pytest.raises(BundleError, match="is damaged"):
        read_tensors(_bundle(tmp_path / "text", b"no tensors at all"), "one")
    write_tensors({"one": nn.Linear(2, 2)}, tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    with pytest.raises(BundleError, match="is damaged"):
        read_tensors(_bundle(tmp_path / "cut", whole[:-3]), "one")
    with pytest.raises(BundleError, match="no weights of the other"):
        read_tensors(_bundle(tmp_path / "whole", tmp_path / "x"), "other")


def test_bundles_are_told_from_runs(tmp_path: Path):
    bundle = write_tiny_bundle(tmp_path / "bundle")
    assert find_bundle(bundle.folder, kind="ldmg") is not None
    with pytest.raises(BundleError, match="kind 'ldmg'"):
        find_bundle(bundle.folder, kind="midigpt")
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").touch()
    nothing = tmp_path / "nothing"
    for other in (run, run / "checkpoints" / "last.ckpt", nothing, tmp_path):
        assert find_bundle(other, kind="ldmg") is None


@pytest.mark.parametrize("content", [b"", b"plain text", b"PK\x03\x04", b"\x80\x02K\x01."])
def test_what_is_no_checkpoint_is_told(tmp_path: Path, content: bytes):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not the checkpoint of a model"):
        read_checkpoint(path, of="a model")
    with pytest.raises(DataError, match="There is no checkpoint"):
        read_checkpoint(tmp_path / "none.ckpt", of="a model")
