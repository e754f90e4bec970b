"""Noise that depends on its absolute place alone, and where samplers get theirs from."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segue.audio.diffusion.schedules import Latents
from segue.core.seeds import generator

NOISE_BLOCK_FRAMES = 64
"""Noise is drawn in blocks of so many frames; another number is other noise."""


class Normals(Protocol):
    """Where fresh noise comes from: a NumPy generator, or `FrameNoise`."""

    def standard_normal(
        self, size: tuple[int, ...], /, dtype: type[np.float32]
    ) -> NDArray[np.float32]:
        """Draw standard normal numbers of a shape."""


def noise(
    seed: int,
    size: tuple[int, int, int],
    *,
    start_frame: int = 0,
    first_item: int = 0,
    draw: int = 0,
) -> Latents:
    """Return noise in which every number depends on its absolute place alone.

    However a long recording is cut into windows and batches, the same frame of the same item gets
    the same noise.

    Args:
        seed: 0 or above.
        size: ``batch channels frames``.
        start_frame: absolute frame that the first frame is; may be negative.
        first_item: number of the first item of the batch.
        draw: which of many independent drawings.

    Returns:
        Shape `size`.

    Raises:
        SettingError: the seed is negative.
    """
    batch, channels, frames = size
    first_block = start_frame // NOISE_BLOCK_FRAMES
    last_block = (start_frame + frames - 1) // NOISE_BLOCK_FRAMES
    skip = start_frame - first_block * NOISE_BLOCK_FRAMES
    result = np.empty(size, np.float32)
    for item in range(batch):
        blocks = [
            generator(seed, "latent noise", draw, first_item + item, block).standard_normal(
                (channels, NOISE_BLOCK_FRAMES), dtype=np.float32
            )
            for block in range(first_block, last_block + 1)
        ]
        if blocks:
            result[item] = np.concatenate(blocks, axis=1)[:, skip : skip + frames]
    return result


@dataclass
class FrameNoise:
    """Give samplers the noise of one window of a long recording; see `noise`.

    Make one for every window, ask it for the starting noise, hand it to the sampler: windows that
    overlap then see the same noise in what they share, at every step. Item 2 of a batch is what it
    would be alone.
    """

    seed: int
    """0 or above."""
    start_frame: int = 0
    """Absolute frame that the window begins with."""
    first_item: int = 0
    """Number of the first item of the batch."""
    draw: int = 0
    """How many times noise has been drawn."""

    def standard_normal(
        self, size: tuple[int, ...], /, dtype: type[np.float32] = np.float32
    ) -> NDArray[np.float32]:
        """Return the next noise. Shape `size`: ``batch channels frames``."""
        batch, channels, frames = size
        drawn = noise(
            self.seed,
            (batch, channels, frames),
            start_frame=self.start_frame,
            first_item=self.first_item,
            draw=self.draw,
        )
        self.draw += 1
        return drawn.astype(dtype, copy=False)
