"""Batches of latents for diffusion, each a pure function of its number.

A batch holds all that is random about a training example: the crop, what of it is known, the noise and
the draws for time, labels and text. Training computes nothing random itself, so the batch of a step is the same
in a resumed run and however many processes share it, and a validation batch is the same every time.
"""

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.audio.condition import shares
from segue.audio.data.latent_cache import Latents
from segue.core.config import StrictModel
from segue.core.seeds import generator

if TYPE_CHECKING:
    from segue.audio.text import TextEncoder

UNKNOWN, KNOWN, PADDING = 2, 1, 0
"""Values of ``kinds``: a frame to be generated, one that is given, one that is none."""

TIME, LABEL, SHORTCUT, SIZE, TEXT = range(5)
"""Columns of ``draws``: what each uniform number decides."""

SILENT_DBFS = -60.0
"""Frames below this level are silence."""

Array = NDArray[np.float32]


class MaskSettings(StrictModel):
    """How often training asks for what; shares, brought to a sum of 1."""

    generate: float = Field(default=0.5, ge=0, description="nothing is known")
    extend: float = Field(default=0.15, ge=0, description="the beginning is known")
    lead_in: float = Field(default=0.1, ge=0, description="the end is known")
    inpaint: float = Field(default=0.15, ge=0, description="both ends are known")
    spans: float = Field(default=0.1, ge=0, description="several holes")
    most_spans: int = Field(default=4, gt=0, description="holes of the last kind, at most")

    def shares(self) -> dict[str, float]:
        """Return the share of every kind."""
        named = {
            "generate": self.generate,
            "extend": self.extend,
            "lead_in": self.lead_in,
            "inpaint": self.inpaint,
            "spans": self.spans,
        }
        total = sum(named.values())
        return (
            {name: share / total for name, share in named.items()} if total else {"generate": 1.0}
        )


class LatentBatchSettings(StrictModel):
    """How batches are cut."""

    frames_per_batch: int = Field(
        default=10_016, gt=0, description="of a global batch; its rows are these over their length"
    )
    lengths: dict[int, float] = Field(
        default={313: 1.0}, description="frames of a row: probability of a batch of such rows"
    )
    balance: Literal["length", "recording", "label"] = Field(
        default="length",
        description="long recordings more often, all recordings alike, or all labels alike",
    )
    max_silent_share: float = Field(
        default=0.5, ge=0, le=1, description="crops with more silence are drawn again"
    )
    redraws: int = Field(default=8, ge=0, description="so many times at most")
    normalise: bool = Field(default=True, description="bring every channel to deviation 1")
    draw_latents: bool = Field(
        default=False,
        description="draw from the autoencoder's posterior instead of taking its mean",
    )
    in_memory: bool = Field(
        default=True,
        description="read all latents once; false, or trainer.workers above 0, maps the files",
    )
    label_subsets: float = Field(
        default=0.5, ge=0, le=1, description="share of rows told only some of their labels"
    )
    masks: MaskSettings = MaskSettings()


class LatentBatch(NamedTuple):
    """Rows of a batch.

    Attributes:
        latents: normalised, 0 where padded. Shape ``batch channels frames``.
        noise: normal. Shape ``batch channels frames``.
        kinds: `UNKNOWN`, `KNOWN` or `PADDING`. Shape ``batch frames``.
        labels: shares of the recording's labels, or of some of them; of sum 1, or all 0 for none.
            Shape ``batch labels``.
        text: vector of one of the recording's captions, all 0 for none. Shape ``batch dims``.
        draws: uniform in 0..1, the first column spread evenly over the global batch. Shape ``batch 5``.
    """

    latents: Array
    noise: Array
    kinds: NDArray[np.int8]
    labels: Array
    text: Array
    draws: Array


class LatentBatches:
    """Crops of a split of a latents folder.

    Args:
        latents: the split.
        settings: how batches are cut.
        seed: together with the step it fixes a batch.
        encoder: makes vectors of the captions, each once; None leaves texts out.
    """

    def __init__(
        self,
        latents: Latents,
        settings: LatentBatchSettings,
        *,
        seed: int,
        encoder: "TextEncoder | None" = None,
    ) -> None:
        self.latents = latents
        self.settings = settings
        self.seed = seed
        known = {name: index for index, name in enumerate(latents.labels)}
        self._labels = [
            [known[label] for label in dict.fromkeys(recording.labels) if label in known]
            for recording in latents.recordings
        ]
        self._num_labels = len(known)
        self._captions, self._vectors = self._encode(encoder)
        self._cumulative = np.cumsum(self._weights())

    @property
    def text_dims(self) -> int:
        """Numbers of the vector of a caption; 0 without an encoder."""
        return int(self._vectors.shape[1])

    def _encode(self, encoder: "TextEncoder | None") -> tuple[list[list[int]], Array]:
        """Return which captions every recording has, and their vectors."""
        recordings = self.latents.recordings
        if encoder is None:
            return [[] for _ in recordings], np.zeros((0, 0), np.float32)
        texts = list(dict.fromkeys(caption for r in recordings for caption in r.captions))
        places = {text: place for place, text in enumerate(texts)}
        vectors = encoder.encode(texts) if texts else np.zeros((0, encoder.dims), np.float32)
        return [[places[c] for c in r.captions] for r in recordings], vectors

    def _weights(self) -> NDArray[np.float64]:
        """Return the probability of every recording."""
        recordings = self.latents.recordings
        sizes = np.array([recording.num_frames for recording in recordings], np.float64)
        weights = sizes if self.settings.balance != "recording" else (sizes > 0).astype(np.float64)
        if self.settings.balance == "label":
            _, inverse = np.unique(
                [recording.label for recording in recordings], return_inverse=True
            )
            totals = np.bincount(inverse, weights)[inverse]
            weights = weights / np.where(totals > 0, totals, 1.0)
        return weights / weights.sum()

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> LatentBatch:
        """Return the rows of this process of global batch `step`."""
        rng = generator(self.seed, "batch", step)
        lengths = sorted(self.settings.lengths)
        odds = np.array([self.settings.lengths[length] for length in lengths])
        length = int(rng.choice(lengths, p=odds / odds.sum()))
        num_rows = max(world_size, self.settings.frames_per_batch // length)
        # Times spread evenly over the batch: the loss depends on them more than on the music.
        times = (rng.permutation(num_rows) + rng.random()) / num_rows
        rows = [
            self._row(generator(self.seed, "row", step, row), length, times[row])
            for row in range(rank, num_rows, world_size)
        ]
        return LatentBatch(*(np.stack(column) for column in zip(*rows, strict=True)))

    def _row(self, rng: np.random.Generator, length: int, time: float) -> LatentBatch:
        """Draw one example; its arrays lack the axis of the batch."""
        index, start = self._place(rng, length)
        crop = self._read(rng, index, start, length)
        num_frames = crop.shape[1]
        latents = np.zeros((crop.shape[0], length), np.float32)
        latents[:, :num_frames] = crop
        kinds = np.full(length, PADDING, np.int8)
        known = draw_known(rng, num_frames, self.settings.masks)
        kinds[:num_frames] = np.where(known, KNOWN, UNKNOWN)
        noise = rng.standard_normal(latents.shape, np.float32)
        draws = rng.random(5)
        draws[TIME] = time
        labels = shares(
            draw_labels(rng, self._labels[index], self.settings.label_subsets), self._num_labels
        )
        text = self._text(rng, index)
        return LatentBatch(latents, noise, kinds, labels, text, draws.astype(np.float32))

    def _text(self, rng: np.random.Generator, index: int) -> Array:
        """Draw one of a recording's captions and return its vector."""
        captions = self._captions[index]
        if not captions:
            return np.zeros(self._vectors.shape[1], np.float32)
        return self._vectors[captions[int(rng.integers(len(captions)))]]

    def _place(self, rng: np.random.Generator, length: int) -> tuple[int, int]:
        """Draw a recording and where the crop begins; the least silent of those drawn."""
        found, least = (0, 0), math.inf
        for _ in range(self.settings.redraws + 1):
            chosen = np.searchsorted(self._cumulative, rng.random(), side="right")
            index = min(int(chosen), len(self._cumulative) - 1)
            spare = max(0, self.latents.recordings[index].num_frames - length)
            start = int(rng.integers(spare + 1))
            levels = self.latents.read_levels(index, start, length)
            silent = float((levels < SILENT_DBFS).mean())
            if silent < least:
                found, least = (index, start), silent
            if least <= self.settings.max_silent_share:
                break
        return found

    def _read(self, rng: np.random.Generator, index: int, start: int, length: int) -> Array:
        """Return a crop, drawn or the mean, normalised or not. Shape ``channels frames``."""
        crop = self.latents.read(index, start, length)
        if self.settings.draw_latents:
            deviation = np.exp(0.5 * self.latents.read_log_variance(index, start, length))
            crop = crop + deviation * rng.standard_normal(crop.shape, np.float32)
        return self.latents.spec.normalise(crop) if self.settings.normalise else crop


def draw_labels(rng: np.random.Generator, labels: list[int], subsets: float) -> list[int]:
    """Draw which labels of a recording a row is told: all, or some, one at least.

    Args:
        rng: source of randomness.
        labels: of the recording.
        subsets: share of rows that are told only some; every number of them alike.
    """
    if len(labels) < 2 or rng.random() >= subsets:
        return labels
    count = int(rng.integers(1, len(labels)))
    return sorted(rng.choice(labels, count, replace=False).tolist())


def draw_known(
    rng: np.random.Generator, num_frames: int, settings: MaskSettings
) -> NDArray[np.bool_]:
    """Draw which frames of an example are given, as people who use the model would.

    Args:
        rng: source of randomness.
        num_frames: at least one of them stays unknown.
        settings: how often which kind.
    """
    known = np.zeros(num_frames, bool)
    shares = settings.shares()
    kind = str(rng.choice(list(shares), p=list(shares.values())))
    if kind == "generate" or num_frames < 3:
        return known
    if kind == "spans":
        return _with_holes(rng, num_frames, int(rng.integers(2, settings.most_spans + 2)))
    hole = int(rng.integers(1, num_frames))
    latest = num_frames - hole
    start = {"extend": latest, "lead_in": 0, "inpaint": int(rng.integers(0, latest + 1))}[kind]
    known[:start] = True
    known[start + hole :] = True
    return known


def _with_holes(rng: np.random.Generator, num_frames: int, parts: int) -> NDArray[np.bool_]:
    """Cut a row at random places; every other part is unknown."""
    cuts = np.sort(rng.choice(np.arange(1, num_frames), min(parts, num_frames - 1), replace=False))
    parity = np.searchsorted(cuts, np.arange(num_frames), side="right") % 2
    return parity == int(rng.integers(0, 2))
