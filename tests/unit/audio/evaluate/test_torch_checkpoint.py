"""Old checkpoints are read without running what is in them."""

import pickle

import numpy as np
import pytest
import torch

from segue.audio.evaluate.torch_checkpoint import read_checkpoint
from segue.errors import BundleError


@pytest.fixture
def saved(tmp_path):
    def save(value):
        path = tmp_path / "old.pth"
        torch.save(value, path, _use_new_zipfile_serialization=False)
        return path.read_bytes()

    return save


def test_what_torch_saved_is_read(saved):
    module = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 5), torch.nn.BatchNorm1d(3))
    content = saved(
        {"state": module.state_dict(), "epochs": 20, "rates": [0.5, None, True, (1, 2)]}
    )
    found = read_checkpoint(content)
    assert found["epochs"] == 20
    assert found["rates"] == [0.5, None, True, (1, 2)]
    assert list(found["state"]) == list(module.state_dict())
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(found["state"][name], value.numpy())
        assert found["state"][name].dtype == value.numpy().dtype


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32, torch.int64])
def test_types_views_and_shared_storages(saved, dtype):
    whole = torch.arange(24).to(dtype).reshape(4, 6)
    views = {"turned": whole.T, "part": whole[1:3, ::2], "one": whole[2, 3], "whole": whole}
    found = read_checkpoint(saved(views))
    for name, value in views.items():
        np.testing.assert_array_equal(found[name], value.numpy())
        assert not found[name].flags.writeable


class _Harm:
    def __reduce__(self):
        return print, ("this must not be printed",)


def test_nothing_in_it_is_run(saved, capsys):
    content = saved({"a": _Harm()})
    with pytest.raises(BundleError, match="names '__builtin__ print'"):
        read_checkpoint(content)
    assert capsys.readouterr().out == ""


def test_every_truncation_is_an_error(saved):
    content = saved({"a": torch.arange(6.0), "b": [1, 2]})
    for size in range(0, len(content), 7):
        with pytest.raises(BundleError):
            read_checkpoint(content[:size])
    with pytest.raises(BundleError):
        read_checkpoint(content + b"more")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps({"a": 1}), b"\x80\x02." * 5])
def test_other_files_are_refused(content):
    with pytest.raises(BundleError, match="Fetch it again"):
        read_checkpoint(content)


def test_a_tensor_beyond_its_storage_is_refused(saved):
    content = saved({"a": torch.arange(6.0).reshape(2, 3)})
    wrong = content.replace(b"K\x02K\x03\x86", b"K\x07K\x03\x86", 1)
    assert wrong != content
    with pytest.raises(BundleError, match="beyond its storage"):
        read_checkpoint(wrong)
