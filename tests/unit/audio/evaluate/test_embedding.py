import numpy as np
import pytest

from segue.audio.evaluate.embedding import TARGET_LUFS, EmbeddedClips, embed_clips
from segue.audio.loudness import loudness_lufs
from segue.errors import DataError, SettingError

RATE = 8000


class Halves:
    """Two windows per clip: sample count, root mean square and loudness of each half."""

    name, rate_hz, dims = "halves", RATE, 3

    def embed(self, audio):
        assert audio.ndim == 1
        halves = np.array_split(audio, 2)
        return np.array([[len(h), np.sqrt((h**2).mean()), self.lufs(audio)] for h in halves])

    def lufs(self, audio):
        level = loudness_lufs(audio[None], self.rate_hz)
        return level if np.isfinite(level) else -200


def clip(seed, gain=0.1, seconds=2.0, channels=1):
    rng = np.random.default_rng(seed)
    return (gain * rng.normal(size=(channels, round(seconds * RATE)))).astype(np.float32)


def test_clips_are_embedded_at_one_loudness_whatever_they_came_with():
    found = embed_clips(Halves(), [clip(0), clip(0, gain=0.001), clip(1, gain=2)], rate_hz=RATE)
    np.testing.assert_allclose(found.vectors[:, 2], TARGET_LUFS, atol=0.01)
    np.testing.assert_allclose(found.vectors[:2], found.vectors[2:4], rtol=1e-4)
    assert (found.num_clips, found.num_silent) == (3, 0)


def test_levels_can_be_left_alone():
    found = embed_clips(Halves(), [clip(0), clip(0, gain=0.001)], rate_hz=RATE, lufs=None)
    assert found.vectors[0, 1] == pytest.approx(100 * found.vectors[2, 1], rel=1e-3)


def test_silence_is_embedded_as_it_is_and_counted():
    found = embed_clips(Halves(), [np.zeros((1, RATE), np.float32), clip(0)], rate_hz=RATE)
    assert found.num_silent == 1
    assert (found.vectors[:2, 1] == 0).all()


def test_channels_are_mixed_and_rates_made_the_embeddings_own():
    stereo = clip(0, channels=2)
    stereo[1] = stereo[0]
    one = embed_clips(Halves(), [stereo[:1], stereo, stereo[0]], rate_hz=RATE)
    np.testing.assert_allclose(one.vectors[:2], one.vectors[2:4])
    np.testing.assert_allclose(one.vectors[:2], one.vectors[4:])
    double = embed_clips(Halves(), [clip(0)], rate_hz=2 * RATE)
    assert double.vectors[0, 0] == RATE / 2


def test_every_window_knows_its_recording():
    found = embed_clips(Halves(), [clip(0), clip(1), clip(2)], rate_hz=RATE, groups=["b", "a", "b"])
    assert list(found.groups) == ["b", "b", "a", "a", "b", "b"]
    assert found.names == ["a", "b"]
    assert found.of(["b"]).vectors.shape == (4, 3)
    assert found.of(["b"]).num_clips == 2


@pytest.mark.parametrize("bad", [np.zeros((1, 0)), np.full((1, 9), np.nan), np.zeros((1, 2, 9))])
def test_a_clip_that_is_no_sound_is_an_error(bad):
    with pytest.raises(DataError, match="channels, samples"):
        embed_clips(Halves(), [clip(0), bad], rate_hz=RATE)


def test_clips_without_groups_for_each_and_no_clips_are_errors():
    with pytest.raises(SettingError, match="2 clips and 1 groups"):
        embed_clips(Halves(), [clip(0), clip(1)], rate_hz=RATE, groups=["a"])
    with pytest.raises(SettingError, match="at least one clip"):
        embed_clips(Halves(), [], rate_hz=RATE)


def test_points_that_do_not_fit_their_groups_or_are_not_finite_are_errors():
    with pytest.raises(DataError, match="one group"):
        EmbeddedClips(np.zeros((3, 2)), np.array(["a"]), 1)
    with pytest.raises(DataError, match="not finite"):
        EmbeddedClips(np.full((1, 2), np.inf), np.array(["a"]), 1)
