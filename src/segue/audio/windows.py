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

from segue.audio.condition import Told
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


def plan_backwards(last: int, total: int, *, frames: int, patch: int = 1) -> list[Window]:
    """Lay windows from the end of a hole to its beginning, frame 0; only what is behind is known.

    Args:
        last: where the hole ends.
        total: where what is known ends.
        frames: length of a window.
        patch: windows are a multiple of this long; what that adds lies in front and is thrown away.

    Returns:
        In the order of drawing; the first ones stand last.
    """
    mirrored = plan(total - last, total, total, frames=frames, patch=patch)
    return [
        Window(total - stop, total - start, total - end, total - first)
        for start, stop, first, end in mirrored
    ]


@dataclass(frozen=True, eq=False)
class Drawer:
    """Draws windows of latents.

    Attributes:
        model: the bundle.
        settings: of the sampler; guidance is not used where nothing is asked.
        told: what is asked, from `AudioModel.told`.
        negative: what guidance leads away from; nothing is plain classifier-free guidance.
        seed: same seed, same latents.
    """

    model: AudioModel
    settings: SamplerSettings
    told: Told
    negative: Told
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
        settings = self.settings
        if not self.told.anything and not self.negative.anything:
            settings = settings.model_copy(update={"guidance": 1.0})
        sampler = make_sampler(settings, self.model.schedule)
        given, seen = known[None], mask[None, None]
        rng = FrameNoise(self.seed, start_frame=start_frame)
        x = rng.standard_normal(given.shape)
        begin = float(sampler.times(given.shape[-1], start=strength)[0])
        if base is not None:
            x = noised(sampler.schedule, np.where(seen, given, base[None]), x, begin)
        elif mask.any():
            x = np.where(seen, noised(sampler.schedule, given, x, begin), x)
        drawn = self._sample(sampler, given, seen, x, rng, strength, progress)
        factor = np.float32(settings.spread**strength)
        return np.asarray(np.where(seen, drawn, drawn * factor)[0], np.float32)

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

        def asked(told: Told) -> StepDenoiser:
            denoiser = self.model.denoiser(known, mask, told=told)
            return inpainted(denoiser, known, mask) if mask.any() else denoiser

        guides = sampler.settings.guidance != 1
        return sampler(
            asked(self.told),
            x,
            rng,
            unconditional=asked(self.negative) if guides else None,
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
            new = self._one(
                window,
                held,
                after if window is windows[-1] else after[:, :0],
                base=None if base is None else base(window.start, window.stop),
                strength=strength,
                progress=progress,
            )
            held = np.concatenate([held, new], axis=1)[:, -2 * self.model.parts.frames :]
            yield new

    def fill_backwards(
        self, windows: list[Window], *, after: Latents, progress: Progress = silent
    ) -> Iterator[Latents]:
        """Draw what leads to something: the last window first, so that all of it grows from that.

        All latents are kept until the first one is drawn: 8 kB a second or so.

        Args:
            windows: from `plan_backwards`.
            after: known latents behind the hole.
            progress: told of every call of the network.

        Yields:
            The frames of every window in the order of time.
        """
        found: list[Latents] = []
        held, nothing = after, after[:, :0]
        for window in windows:
            new = self._one(window, nothing, held, progress=progress)
            held = np.concatenate([new, held], axis=1)[:, : 2 * self.model.parts.frames]
            found.append(new)
        yield from reversed(found)

    def _one(
        self,
        window: Window,
        left: Latents,
        right: Latents,
        *,
        base: Latents | None = None,
        strength: float = 1.0,
        progress: Progress,
    ) -> Latents:
        """Draw one window between what is known on its left and on its right; return what is new."""
        before, size = window.first - window.start, window.last - window.first
        shown_left = min(before, left.shape[1])
        shown_right = min(window.stop - window.last, right.shape[1])
        known = np.zeros((left.shape[0], window.stop - window.start), np.float32)
        mask = np.zeros(known.shape[1], bool)
        known[:, before - shown_left : before] = left[:, left.shape[1] - shown_left :]
        mask[before - shown_left : before] = True
        known[:, before + size : before + size + shown_right] = right[:, :shown_right]
        mask[before + size : before + size + shown_right] = True
        drawn = self.draw(
            known, mask, start_frame=window.start, base=base, strength=strength, progress=progress
        )
        return drawn[:, before : before + size]
