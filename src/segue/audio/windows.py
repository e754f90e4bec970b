"""Latents of any length out of a model that sees a window: each window goes on from the last.

A window has the length of the training clips. What is known in it (the end of what was drawn before,
what stands behind a hole) is shown to the model, the rest is drawn. Noise belongs to absolute frames,
so that it does not depend on how windows are laid.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.audio.diffusion.denoisers import StepDenoiser, inpainted
from segue.audio.diffusion.noise import FrameNoise
from segue.audio.diffusion.samplers import Sampler, SamplerSettings, make_sampler
from segue.audio.diffusion.schedules import noised
from segue.audio.loaded import AudioModel
from segue.core.progress import Progress, silent

Latents = NDArray[np.float32]
"""Normalised, ``[channels, frames]``."""

OVERLAP_SHARE = 0.25
"""Of a window that shows what was drawn before."""

_SLACK_SHARE = 0.125
"""A window may be longer than the training clips by this share before it is split into two."""


class Window(NamedTuple):
    """Frames that the model sees at once.

    Attributes:
        start, stop: what it sees.
        first, last: what is drawn of that; the rest is known.
    """

    start: int
    stop: int
    first: int
    last: int


def plan(first: int, last: int, total: int, *, frames: int, patch: int = 1) -> list[Window]:
    """Lay windows so that together they draw the frames from `first` to `last`.

    Args:
        first: where the hole begins; all in front of it is known.
        last: where it ends; all behind it is known.
        total: where what is known ends.
        frames: length of a window.
        patch: windows are a multiple of this long; what that adds at their end is thrown away.
    """
    overlap = min(frames - 1, max(1, int(frames * OVERLAP_SHARE)))
    most = frames + int(frames * _SLACK_SHARE)
    found: list[Window] = []
    while first < last:
        missing = last - first
        before, after = min(first, overlap), min(total - last, overlap)
        if missing + before + after <= most:
            spare = max(0, frames - missing)
            after = min(total - last, max(after, spare - min(first, spare // 2)))
            before = min(first, max(before, spare - after))
            new, size = missing, before + missing + after
        else:
            new = min(frames - before, missing)
            if after:
                new = min(new, missing + before + after - frames)
            size = before + new
        start = first - before
        found.append(Window(start, start + -(-size // patch) * patch, first, first + new))
        first += new
    return found


@dataclass(frozen=True, eq=False)
class Drawer:
    """Draws windows of latents.

    Attributes:
        model: the bundle.
        settings: of the sampler.
        label: index of the label + 1, or 0.
        seed: same seed, same latents.
    """

    model: AudioModel
    settings: SamplerSettings
    label: int = 0
    seed: int = 0

    def draw(
        self,
        known: Latents,
        mask: NDArray[np.bool_],
        *,
        start_frame: int,
        base: Latents | None = None,
        strength: float = 1.0,
        progress: Progress = silent,
    ) -> Latents:
        """Return the latents of one window.

        Args:
            known: ``[channels, frames]``; any value where unknown.
            mask: true where known, ``[frames]``.
            start_frame: absolute number of the first frame.
            base: what to begin from where `strength` is below 1, ``[channels, frames]``.
            strength: time that drawing begins at; 1 is from nothing but noise.
            progress: told of every call of the network.
        """
        sampler = make_sampler(self.settings, self.model.schedule)
        given, seen = known[None], mask[None, None]
        rng = FrameNoise(self.seed, start_frame=start_frame)
        x = rng.standard_normal(given.shape)
        begin = float(sampler.times(given.shape[-1], start=strength)[0])
        if base is not None:
            x = noised(sampler.schedule, np.where(seen, given, base[None]), x, begin)
        elif mask.any():
            x = np.where(seen, noised(sampler.schedule, given, x, begin), x)
        drawn = self._sample(sampler, given, seen, x, rng, strength, progress)
        return np.asarray(drawn[0], np.float32)

    def _sample(
        self,
        sampler: Sampler,
        known: NDArray[np.float32],
        mask: NDArray[np.bool_],
        x: NDArray[np.float32],
        rng: FrameNoise,
        strength: float,
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Run the sampler with what is known held fixed."""

        def asked(label: int) -> StepDenoiser:
            denoiser = self.model.denoiser(known, mask, label=label)
            return inpainted(denoiser, known, mask) if mask.any() else denoiser

        guides = self.label and self.settings.guidance != 1
        return sampler(
            asked(self.label),
            x,
            rng,
            unconditional=asked(0) if guides else None,
            start=strength,
            progress=progress,
        )

    def fill(
        self,
        windows: list[Window],
        *,
        before: Latents,
        after: Latents,
        base: Callable[[int, int], Latents] | None = None,
        strength: float = 1.0,
        progress: Progress = silent,
    ) -> Iterator[Latents]:
        """Draw windows one after another; only the last window's worth is kept in memory.

        Args:
            windows: from `plan`.
            before: known latents up to the first window's `first`, ``[channels, any]``.
            after: known latents from the last window's `last` on.
            base: gives what to begin from, by absolute frames, each asked for once more at most.
            strength: time that drawing begins at.
            progress: told of every call of the network.

        Yields:
            The frames that each window draws, ``[channels, frames]``.
        """
        held = before
        for window in windows:
            size = window.stop - window.start
            known = np.zeros((before.shape[0], size), np.float32)
            mask = np.zeros(size, bool)
            left = window.first - window.start
            shown = min(left, held.shape[1])
            if shown:
                known[:, left - shown : left] = held[:, held.shape[1] - shown :]
                mask[left - shown : left] = True
            right = after[:, : window.stop - window.last] if window is windows[-1] else after[:, :0]
            place = slice(window.last - window.start, window.last - window.start + right.shape[1])
            known[:, place] = right
            mask[place] = True
            drawn = self.draw(
                known,
                mask,
                start_frame=window.start,
                base=None if base is None else base(window.start, window.stop),
                strength=strength,
                progress=progress,
            )
            new = drawn[:, left : left + window.last - window.first]
            held = np.concatenate([held, new], axis=1)[:, -2 * self.model.parts.frames :]
            yield new
