"""From FMA's archives, in small, to a folder prepared for training."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from tests.fma_tables import ROWS, metadata_files, music_files
from tests.loopback import Loopback, digest, zip_of

from segue.audio.data.clips import Clips
from segue.audio.data.corpora.registry import audio_corpora
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.core.corpus import Archive, fetch, find_corpus


def mp3(seed: int) -> bytes:
    """A second of noise."""
    sound = np.random.default_rng(seed).normal(0, 0.1, 44_100)
    file = io.BytesIO()
    soundfile.write(file, sound, 44_100, format="MP3")
    return file.getvalue()


def test_genres_and_splits_reach_the_prepared_folder(loopback: Loopback, tmp_path: Path) -> None:
    music = {name: mp3(number) for number, name in enumerate(music_files("medium"))}
    packs = {"fma_metadata.zip": zip_of(metadata_files()), "fma_medium.zip": zip_of(music)}
    loopback.files |= {f"/{name}": content for name, content in packs.items()}
    archives = tuple(
        Archive(f"{loopback.url}/{name}", len(content), digest(content))
        for name, content in packs.items()
    )
    corpus = replace(find_corpus("fma-medium", audio_corpora()), archives=archives)
    fetch(corpus, tmp_path)
    settings = PrepareSettings(segment_seconds=0.5, min_seconds=0.25)
    prepare([tmp_path / "fma_medium"], tmp_path / "prepared", settings, workers=0)
    places = {
        recording.name: (split, recording.label, recording.group)
        for split in ("train", "valid", "test")
        for recording in Clips(tmp_path / "prepared", split).recordings
    }
    assert {Path(name).stem: place for name, place in places.items()} == {
        "000002": ("train", "Rock", "1"),
        "000005": ("train", "Rock", "1"),
        "000010": ("valid", "Jazz", "6"),
        "155320": ("test", "", "12"),
    }
    told = json.loads((tmp_path / "prepared" / "dataset.json").read_text())
    assert told["labels"] == ["Jazz", "Punk", "Rock"]
    words = {Path(r.name).stem: r for r in Clips(tmp_path / "prepared", "train").recordings}
    assert words["000005"].labels == ("Rock", "Punk")
    assert words["000005"].captions == ("rock music", "punk music", "rock music, punk")
    assert words["000002"].captions == ("rock music",)
    assert sum(told["left_out"].values()) == len(ROWS) - len(places)
