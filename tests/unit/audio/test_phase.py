"""Phases found for magnitudes: they agree, they do not depend on how the frames came, no seams."""

import numpy as np
import pytest

from segue.audio.phase import AHEAD_FRAMES, BLOCK_FRAMES, PhaseFinder, Texture
from segue.audio.spectrum import Spectrum

SPECTRUM = Spectrum(window_samples=256, hop_samples=64)


def _chords(frames: int, channels: int = 1) -> np.ndarray:
    """A chord that changes every half second, a little noise, shape ``channels samples``."""
    rng = np.random.default_rng(3)
    seconds = np.arange(frames * 64) / 8000
    pitches = rng.uniform(100, 2000, (channels, 3, 1 + int(seconds[-1] * 2)))
    now = np.minimum((seconds * 2).astype(int), pitches.shape[-1] - 1)
    sound = np.sin(2 * np.pi * pitches[..., now] * seconds).sum(axis=1)
    return (0.1 * sound + 0.003 * rng.standard_normal(sound.shape)).astype(np.float32)


def _find(magnitudes: np.ndarray, sizes: list[int], iterations: int = 32) -> np.ndarray:
    finder = PhaseFinder(SPECTRUM, iterations=iterations, num_channels=len(magnitudes))
    found, start = [], 0
    for size in sizes:
        found.append(finder.push(magnitudes[..., start : start + size]))
        start += size
    return np.concatenate([*found, finder.finish()], axis=-1)


def _disagreement(frames: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
    """Squared error of every frame's magnitudes after a way through sound, relative to the mean."""
    again = np.abs(SPECTRUM.analyse(SPECTRUM.synthesise(frames)))
    return ((again - magnitudes) ** 2).sum(axis=(0, 1)) / (magnitudes**2).sum(axis=(0, 1)).mean()


def test_magnitudes_are_kept_and_phases_agree():
    magnitudes = np.abs(SPECTRUM.analyse(_chords(300, channels=2)))
    found = _find(magnitudes, [300])
    np.testing.assert_allclose(np.abs(found), magnitudes, rtol=1e-3, atol=1e-5)
    assert _disagreement(found, magnitudes).mean() < 0.03
    assert _disagreement(_find(magnitudes, [300], iterations=0), magnitudes).mean() > 0.1


def test_it_does_not_matter_how_the_frames_come():
    magnitudes = np.abs(SPECTRUM.analyse(_chords(700)))
    whole = _find(magnitudes, [700], iterations=4)
    assert whole.shape == magnitudes.shape
    np.testing.assert_array_equal(_find(magnitudes, [1, 0, 254, 30, 400, 15], iterations=4), whole)


def test_seams_are_no_worse_than_the_rest():
    magnitudes = np.abs(SPECTRUM.analyse(_chords(3 * BLOCK_FRAMES + AHEAD_FRAMES)))
    error = _disagreement(_find(magnitudes, [magnitudes.shape[-1]]), magnitudes)
    at_seams = [error[k * BLOCK_FRAMES - 4 : k * BLOCK_FRAMES + 4].mean() for k in (1, 2, 3)]
    assert np.mean(at_seams) < 1.5 * error.mean()


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_few_frames_and_silence(frames: int):
    nothing = np.zeros((1, 129, frames), np.float32)
    assert not _find(nothing, [frames]).any()
    loud = np.ones((1, 129, frames), np.float32)
    assert np.isfinite(SPECTRUM.synthesise(_find(loud, [frames]))).all()
    assert _find(nothing[..., :0], []).shape == (1, 129, 0)


def test_memory_does_not_grow():
    finder = PhaseFinder(SPECTRUM, iterations=1, num_channels=1)
    block = np.ones((1, 129, 100), np.float32)
    for _ in range(20):
        finder.push(block)
    assert finder.waiting.shape[-1] < BLOCK_FRAMES + AHEAD_FRAMES
    assert finder.waiting.base is None or finder.waiting.base.shape[-1] <= 4 * BLOCK_FRAMES


def test_texture_does_not_depend_on_blocks_and_has_the_spread_asked_for():
    magnitudes = np.full((65, 400), 2.0, np.float32)
    spread = np.full((65, 400), 0.5, np.float32)
    whole = Texture().draw(magnitudes, spread)
    texture = Texture()
    parts = [
        texture.draw(magnitudes[:, a:b], spread[:, a:b]) for a, b in ((0, 1), (1, 130), (130, 400))
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), whole)
    assert np.log(whole).std() == pytest.approx(0.5, rel=0.02)
    assert np.log(whole).mean() == pytest.approx(np.log(2), abs=0.02)
    np.testing.assert_array_equal(Texture().draw(magnitudes, 0 * spread), magnitudes)
