"""Batches of clips: pure functions of seed and step, at one loudness, without silence."""

from typing import Any

import numpy as np
import pytest
from tests.sounds import noise, save, tone

from segue.audio.data.batches import ClipBatches, ClipSettings
from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.audio.loudness import loudness_lufs, silent_share


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """A loud and a quiet recording, one with a hole, one shorter than a clip."""
    top = tmp_path_factory.mktemp("batches")
    hole = noise(8, 1)
    hole[3 * 16_000 : 6 * 16_000] = 0
    sounds = {
        "a/loud": tone(8, level=0.9),
        "a/hole": hole,
        "b/quiet": 0.1 * noise(2, 2),
        "short": noise(0.6),
    }
    for name, frames in sounds.items():
        save(top / "music" / f"{name}.wav", frames, subtype="PCM_24")
    settings = PrepareSettings.model_validate(
        {"min_seconds": 0.5, "split": {"valid_share": 0, "test_share": 0}}
    )
    prepare([top / "music"], top / "out", settings, workers=0)
    return Clips(top / "out")


def batches(clips: Clips, seed: int = 0, **changes: Any) -> ClipBatches:
    plain = {"clip_samples": 16_000, "batch_size": 6}
    return ClipBatches(clips, ClipSettings.model_validate({**plain, **changes}), seed)


def test_a_batch_has_the_shape_it_should_have(clips: Clips) -> None:
    batch = batches(clips).batch(0)
    assert batch.audio.shape == (6, 1, 16_000)
    assert batch.audio.dtype == np.float32
    assert batch.label.shape == (6,)
    assert batch.label.dtype == np.int64


def test_a_batch_is_a_function_of_seed_and_step(clips: Clips) -> None:
    first, again = batches(clips), batches(clips)
    first.batch(0)
    assert np.array_equal(first.batch(7).audio, again.batch(7).audio)
    assert not np.array_equal(first.batch(7).audio, first.batch(8).audio)
    assert not np.array_equal(first.batch(7).audio, batches(clips, seed=1).batch(7).audio)


def test_no_two_rows_are_drawn_alike(clips: Clips) -> None:
    audio, _ = rows(batches(clips, gain_db=1), 20)
    assert len({clip.tobytes() for clip in audio}) == len(audio)


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_processes_share_the_rows(clips: Clips, world_size: int) -> None:
    source = batches(clips)
    whole = source.batch(3)
    for rank in range(world_size):
        part = source.batch(3, rank=rank, world_size=world_size)
        assert np.array_equal(part.audio, whole.audio[rank::world_size])
        assert np.array_equal(part.label, whole.label[rank::world_size])


def rows(source: ClipBatches, steps: int = 40) -> tuple[np.ndarray, np.ndarray]:
    drawn = [source.batch(step) for step in range(steps)]
    return np.concatenate([b.audio for b in drawn]), np.concatenate([b.label for b in drawn])


def test_recordings_come_at_one_loudness(clips: Clips) -> None:
    audio, _ = rows(batches(clips, gain_db=0, target_lufs=-25, max_silent_share=0), 5)
    found = [loudness_lufs(clip, 16_000) for clip in audio]
    assert found == pytest.approx([-25.0] * len(found), abs=1.5)


def test_a_boost_has_a_limit(clips: Clips) -> None:
    audio, label = rows(batches(clips, gain_db=0, max_boost_db=0), 10)
    quiet = audio[label == 2]
    assert len(quiet)
    assert np.abs(quiet).max() < 0.06


def test_without_a_target_clips_are_as_they_are(clips: Clips) -> None:
    audio, label = rows(batches(clips, gain_db=0, target_lufs=None), 10)
    assert np.abs(audio[label == 1]).max() == pytest.approx(0.9, abs=1e-3)


def test_gains_are_drawn_both_ways(clips: Clips) -> None:
    still, _ = rows(batches(clips, gain_db=0), 20)
    moved, _ = rows(batches(clips, gain_db=6), 20)
    power = [np.square(audio).mean(axis=(1, 2)) for audio in (still, moved)]
    change_db = 10 * np.log10(power[1] / power[0])
    assert change_db.min() < -4
    assert change_db.max() > 4
    assert np.abs(change_db).max() <= 6.001
    assert np.abs(change_db.mean()) < 1.5


def test_no_clip_goes_beyond_full_scale(clips: Clips) -> None:
    audio, _ = rows(batches(clips, gain_db=30, target_lufs=0), 10)
    assert np.abs(audio).max() <= 1.0001


def test_silent_clips_are_drawn_again(clips: Clips) -> None:
    shares = {
        redraws: [silent_share(c, 16_000) for c in rows(batches(clips, redraws=redraws), 40)[0]]
        for redraws in (0, 12)
    }
    assert max(shares[0]) == 1.0
    assert max(shares[12]) <= 0.5


def test_a_clip_longer_than_its_recording_ends_in_silence(clips: Clips) -> None:
    audio, label = rows(batches(clips, max_silent_share=1, balance="label"), 10)
    short = audio[label == 0]
    assert len(short)
    assert not short[:, :, 9600:].any()
    assert short[:, :, :9600].any()


def test_balance(clips: Clips) -> None:
    options = {"max_silent_share": 1.0, "redraws": 0}
    by_length = np.bincount(rows(batches(clips, **options), 150)[1], minlength=3) / 900
    by_label = (
        np.bincount(rows(batches(clips, balance="label", **options), 150)[1], minlength=3) / 900
    )
    assert by_length == pytest.approx([0.6 / 18.6, 16 / 18.6, 2 / 18.6], abs=0.05)
    assert by_label == pytest.approx([1 / 3] * 3, abs=0.06)
