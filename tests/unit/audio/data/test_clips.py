"""Reading stretches out of a prepared folder."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.sounds import music

from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.errors import DataError, SettingError

LENGTHS = {"a/1.flac": 1.0, "a/2.flac": 2.0, "b/3.flac": 1.5, "4.flac": 0.7}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("clips")
    music(top / "music", list(LENGTHS), lengths=LENGTHS)
    settings = PrepareSettings.model_validate(
        {"min_seconds": 0.5, "split": {"valid_share": 0, "test_share": 0}}
    )
    prepare([top / "music"], top / "out", settings, workers=0)
    return top / "out"


def test_recordings_and_labels(folder: Path) -> None:
    clips = Clips(folder)
    assert len(clips) == 4
    assert clips.labels == ["a", "b"]
    assert [row.name for row in clips.recordings] == ["4.flac", "a/1.flac", "a/2.flac", "b/3.flac"]
    assert clips.label_numbers.tolist() == [0, 1, 1, 2]
    assert clips.lengths.tolist() == [11_200, 16_000, 32_000, 24_000]


def test_stretches_are_parts_of_the_whole(folder: Path) -> None:
    clips = Clips(folder)
    for index, row in enumerate(clips.recordings):
        whole = clips.read(index, 0, row.num_samples)
        assert whole.dtype == np.float32
        assert np.abs(whole).max() > 0.3
        assert np.array_equal(clips.read(index, 500, 300), whole[:, 500:800])
        beyond = clips.read(index, row.num_samples - 10, 100)
        assert np.array_equal(beyond[:, :10], whole[:, -10:])
        assert not beyond[:, 10:].any()
        assert not clips.read(index, row.num_samples + 5, 100).any()
        assert clips.read(index, 0, 0).shape == (1, 0)


def test_impossible_stretches_are_refused(folder: Path) -> None:
    for start, count in ((-1, 10), (0, -1)):
        with pytest.raises(SettingError, match="cannot begin"):
            Clips(folder).read(0, start, count)


def test_clips_travel_light(folder: Path) -> None:
    clips = Clips(folder)
    wanted = clips.read(1, 0, 1000)
    sent = pickle.dumps(clips)
    assert len(sent) < 4000
    assert np.array_equal(pickle.loads(sent).read(1, 0, 1000), wanted)


def test_what_is_no_prepared_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no split 'dev'"):
        Clips(folder, "dev")
    with pytest.raises(DataError, match="has no recordings in the split 'valid'"):
        Clips(folder, "valid")
    with pytest.raises(DataError, match="not a prepared folder, or not finished"):
        Clips(tmp_path)
    for content in ({"format": 99}, [], {"format": 1}):
        (tmp_path / "dataset.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="was not prepared by"):
            Clips(tmp_path)


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_damage_is_noticed(folder: Path, tmp_path: Path) -> None:
    cut = copy_of(folder, tmp_path / "cut")
    os.truncate(cut / "audio.train.i16", 1000)
    with pytest.raises(DataError, match="has not the"):
        Clips(cut)
    (cut / "audio.train.i16").unlink()
    with pytest.raises(DataError, match="has not the"):
        Clips(cut)
    other = copy_of(folder, tmp_path / "other")
    text = (other / "recordings.train.csv").read_text()
    (other / "recordings.train.csv").write_text(text.replace("16000", "many"))
    with pytest.raises(DataError, match="cannot be read"):
        Clips(other)
