"""A prepared folder encoded once: what is stored, that chunks are the whole, and going on after a kill."""

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.toy_diffusion import (
    CHANNELS,
    HOP,
    LABELS,
    CountingEncoder,
    ToyAutoencoder,
    prepared_audio,
    toy_encode,
)

from segue.audio.data.cache import Recording
from segue.audio.data.clips import Clips
from segue.audio.data.latent_cache import CacheSettings, Latents, loudness_gain, torch_encoder
from segue.errors import DataError, SettingError

SECONDS = {"train": [3.01, 0.5, 2.0], "valid": [1.0]}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return prepared_audio(tmp_path / "prepared", seconds=SECONDS)


def _gain(clips: Clips, index: int) -> float:
    row = clips.recordings[index]
    return 10 ** (min(-20 - row.loudness_lufs, -row.peak_dbfs) / 20)


@pytest.mark.parametrize("chunk_s", [0.1, 0.6, 60.0])
def test_chunks_give_what_the_whole_recording_gives(prepared: Path, tmp_path: Path, chunk_s: float):
    toy_encode(prepared, tmp_path / "latents", chunk_s=chunk_s, log_variance=True)
    clips, latents = Clips(prepared, "train"), Latents(tmp_path / "latents", "train")
    for index, row in enumerate(clips.recordings):
        frames = -(-row.num_samples // HOP)
        audio = clips.read(index, 0, frames * HOP) * np.float32(_gain(clips, index))
        with torch.no_grad():
            mean, log_variance = ToyAutoencoder().encode(torch.from_numpy(audio)[None])
        assert latents.recordings[index].num_frames == frames
        found = latents.read(index, 0, frames), latents.read_log_variance(index, 0, frames)
        np.testing.assert_allclose(found[0], mean[0].numpy(), atol=2e-3)
        np.testing.assert_allclose(found[1], log_variance[0].numpy(), atol=5e-3)


@pytest.mark.parametrize(
    ("lufs", "peak", "gain_db"),
    [
        (-14.0, -1.0, -6.0),  # to the target
        (-30.0, -3.0, 3.0),  # no further than full scale
        (-70.0, -60.0, 30.0),  # no further than the largest boost
        (-math.inf, -math.inf, 0.0),  # silence has no loudness
    ],
)
def test_gain_brings_to_the_target_and_never_clips(lufs: float, peak: float, gain_db: float):
    row = Recording("a", "", "a", 0, 1, lufs, peak, 0.0, "", 0.0)
    gain = loudness_gain(row, CacheSettings(target_lufs=-20.0, max_boost_db=30.0))
    assert gain == pytest.approx(10 ** (gain_db / 20))
    if gain_db < 0:
        assert loudness_gain(row, CacheSettings(target_lufs=None)) == 1


def test_levels_are_those_of_the_frames(prepared: Path, tmp_path: Path):
    toy_encode(prepared, tmp_path / "latents")
    clips, latents = Clips(prepared, "train"), Latents(tmp_path / "latents", "train")
    audio = clips.read(2, 10 * HOP, HOP) * _gain(clips, 2)
    level = 10 * np.log10(np.square(audio).mean())
    assert latents.read_levels(2, 10, 1)[0] == pytest.approx(level, abs=0.02)


def test_scale_labels_and_sizes_are_stated(prepared: Path, tmp_path: Path):
    info = toy_encode(prepared, tmp_path / "latents")
    latents = Latents(tmp_path / "latents", "train")
    everything = np.concatenate([latents.read(i, 0, 10_000) for i in range(3)], axis=1)
    np.testing.assert_allclose(latents.spec.mean, everything.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(latents.spec.deviation, everything.std(axis=1), rtol=1e-4)
    scaled = latents.spec.normalise(everything)
    np.testing.assert_allclose(scaled.std(axis=1), 1, atol=1e-3)
    assert info["splits"]["train"]["frames"] == everything.shape[1] == 151 + 25 + 100
    assert (latents.labels, latents.spec.channels) == (LABELS, CHANNELS)
    assert [row.label for row in latents.recordings] == [LABELS[0], LABELS[1], LABELS[0]]
    assert info["autoencoder"] == {"name": "toy", "sha256": "0" * 64}
    assert json.loads((tmp_path / "latents" / "latents.json").read_text()) == info


def test_silence_in_a_channel_of_latents_is_no_division_by_zero(prepared: Path, tmp_path: Path):
    model = ToyAutoencoder()
    with torch.no_grad():
        model.second.weight[0] = 0
    toy_encode(prepared, tmp_path / "latents", torch_encoder(model))
    latents = Latents(tmp_path / "latents", "train")
    assert np.isfinite(latents.spec.normalise(latents.read(0, 0, 50))).all()


def test_a_killed_run_goes_on_behind_the_last_whole_recording(prepared: Path, tmp_path: Path):
    toy_encode(prepared, tmp_path / "whole", chunk_s=0.5)
    encoder = CountingEncoder(limit=9)
    with pytest.raises(KeyboardInterrupt):
        toy_encode(prepared, tmp_path / "cut", encoder, chunk_s=0.5)
    with pytest.raises(DataError, match="not finished"):
        _ = Latents(tmp_path / "cut", "train").info
    # Half a recording on top, as a kill in the middle of writing leaves it.
    with (tmp_path / "cut" / "latents.train.f16").open("ab") as stream:
        stream.write(b"12345")
    encoder = CountingEncoder(limit=1_000)
    toy_encode(prepared, tmp_path / "cut", encoder, chunk_s=0.5)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "cut").iterdir())
    for name in names:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    # 7 chunks of the first recording and 1 of the second were there.
    assert encoder.calls == 4 + 2


def test_what_is_finished_is_not_done_again(prepared: Path, tmp_path: Path):
    info = toy_encode(prepared, tmp_path / "latents")
    encoder = CountingEncoder(limit=0)
    assert toy_encode(prepared, tmp_path / "latents", encoder) == info


def test_latents_of_something_else_are_not_mixed_in(prepared: Path, tmp_path: Path):
    toy_encode(prepared, tmp_path / "latents")
    with pytest.raises(DataError, match="settings"):
        toy_encode(prepared, tmp_path / "latents", target_lufs=-10.0)


def test_audio_of_another_rate_is_refused(prepared: Path, tmp_path: Path):
    encoder = torch_encoder(ToyAutoencoder())
    encoder.rate_hz = 500
    with pytest.raises(DataError, match=r"1 channels at 1000 Hz.*1 at 500 Hz"):
        toy_encode(prepared, tmp_path / "latents", encoder)


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_latents_that_are_no_numbers_are_refused(prepared: Path, tmp_path: Path, value: float):
    model = ToyAutoencoder()
    with torch.no_grad():
        model.second.weight += value
    with pytest.raises(DataError, match=r"no usable latents of train0\.wav"):
        toy_encode(prepared, tmp_path / "latents", torch_encoder(model))


def test_without_log_variances_they_cannot_be_read(prepared: Path, tmp_path: Path):
    toy_encode(prepared, tmp_path / "latents")
    with pytest.raises(DataError, match="log_variance=true"):
        Latents(tmp_path / "latents", "train").read_log_variance(0, 0, 5)


def test_a_damaged_folder_is_told(prepared: Path, tmp_path: Path):
    toy_encode(prepared, tmp_path / "latents")
    path = tmp_path / "latents" / "latents.train.f16"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match="another size"):
        Latents(tmp_path / "latents", "train").read(0, 0, 5)
    with pytest.raises(DataError, match="no recordings in the split 'test'"):
        _ = Latents(tmp_path / "latents", "test").info
    with pytest.raises(DataError, match="not a folder of latents"):
        _ = Latents(prepared, "train").info


def test_memory_and_map_read_the_same_and_processes_get_no_copy(prepared: Path, tmp_path: Path):
    toy_encode(prepared, tmp_path / "latents")
    mapped = Latents(tmp_path / "latents", "train")
    loaded = Latents(tmp_path / "latents", "train", in_memory=True)
    np.testing.assert_array_equal(mapped.read(2, 5, 50), loaded.read(2, 5, 50))
    assert mapped.read(1, 20, 50).shape == (CHANNELS, 5)
    sent = pickle.dumps(loaded)
    assert len(sent) < 1_000
    np.testing.assert_array_equal(pickle.loads(sent).read(2, 5, 50), loaded.read(2, 5, 50))


def test_a_device_that_is_not_there_is_told():
    missing = [] if torch.cuda.is_available() else ["cuda"]
    for device in ("banana", *missing):
        with pytest.raises(SettingError, match=f"The device '{device}' cannot be used here"):
            torch_encoder(ToyAutoencoder(), device=device)
