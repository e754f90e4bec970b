"""Training batches made on the fly from prepared shards, each a pure function of its number.

Batch `step` of a run is the same whenever it is asked for, so that a run that was killed goes on where
it stopped, and the rows of a global batch are the same however many processes share them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.core.config import StrictModel
from segue.core.seeds import generator
from segue.errors import DataError
from segue.symbolic.data.augment import (
    add_drums,
    is_flat,
    reorder_tracks,
    transpose,
    transposition_range,
)
from segue.symbolic.data.holes import DrawnHole, HoleSettings, draw_hole
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import (
    CONTEXT,
    HOLE,
    PADDING,
    UNSCORED,
    Sight,
    answer_stream,
    in_sight,
    join,
    prompt_around,
)
from segue.symbolic.stream import Ids, Stream, parse
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import DRUM_PROGRAM, TokenType

_PAD_MULTIPLE = 64
_MOST_DRAWS = 20
"""Draws of an example that must fit whole; after these it is cut at its end."""
_LOOK_TOKENS = 512
"""Of a piece with merged tokens: enough to hear whether anything but drums plays."""


class WindowSettings(StrictModel):
    """How training examples are cut and varied."""

    tokens_per_batch: int = Field(
        default=16_384, gt=0, description="global batch, padding included"
    )
    lengths: dict[int, float] = Field(
        default={512: 0.4, 1024: 0.4, 2048: 0.2},
        description="longest row in tokens: probability of a batch of such rows",
    )
    mixture_exponent: float = Field(
        default=0.6, ge=0, le=1, description="1: sources by size, 0: all sources alike"
    )
    transpose: int = Field(default=5, ge=0, le=12, description="semitones, both ways")
    velocity_shift: int = Field(default=2, ge=0, description="velocity bins, both ways")
    track_order: Literal["file", "random"] = "file"
    drums_share: float = Field(
        default=0.0, ge=0, le=1, description="of pieces without drums: plays those of another piece"
    )
    flat_velocities: Literal["learn", "skip"] = Field(
        default="learn",
        description="skip: velocities of music that has only one are read, not learnt",
    )
    answer_share: float = Field(
        default=0.6, gt=0, lt=1, description="largest part of a row that the answer may take"
    )
    sight: Sight = Field(
        default="all", description="past: a model that reads from left to right only, as a baseline"
    )
    holes: HoleSettings = HoleSettings()


class Batch(NamedTuple):
    """Rows of a batch; all arrays have the shape ``batch tokens``."""

    ids: NDArray[np.int64]
    times: NDArray[np.int64]
    kinds: NDArray[np.int8]


@dataclass(frozen=True)
class Prepared:
    """A prepared folder, opened for reading.

    Attributes:
        folder: as `segue midi prepare` wrote it.
        split: ``train`` or ``valid``.
    """

    folder: Path
    split: str

    @cached_property
    def info(self) -> dict[str, Any]:
        """Contents of ``dataset.json``.

        Raises:
            DataError: the folder is not a prepared one, or lacks the split.
        """
        try:
            info: dict[str, Any] = json.loads((self.folder / "dataset.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder} is not a prepared folder ({error}). Make one with "
                "`segue midi prepare SOURCE -o FOLDER`."
            ) from error
        if not info["splits"].get(self.split, {}).get("pieces"):
            raise DataError(f"{self.folder} has no pieces in the split {self.split!r}.")
        return info

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the shards."""
        return Tokenizer.from_file(self.folder / "tokenizer.json")

    @cached_property
    def _shards(self) -> list[tuple[NDArray[np.unsignedinteger[Any]], Ids]]:
        names = [shard["name"] for shard in self.info["splits"][self.split]["shards"]]
        return [
            (
                np.load(self.folder / f"{name}.tokens.npy", mmap_mode="r", allow_pickle=False),
                np.load(self.folder / f"{name}.offsets.npy", allow_pickle=False),
            )
            for name in names
        ]

    @cached_property
    def lengths(self) -> Ids:
        """Tokens of every piece. Shape ``pieces``."""
        return np.concatenate([np.diff(offsets) for _, offsets in self._shards])

    @cached_property
    def _first_pieces(self) -> Ids:
        return np.cumsum([0, *(len(offsets) - 1 for _, offsets in self._shards)])

    def piece(self, number: int) -> NDArray[np.unsignedinteger[Any]]:
        """Return the token ids of a piece, memory-mapped."""
        shard = int(np.searchsorted(self._first_pieces, number, side="right")) - 1
        tokens, offsets = self._shards[shard]
        start, end = offsets[number - self._first_pieces[shard] :][:2]
        return tokens[start:end]

    @cached_property
    def sources(self) -> list[str]:
        """Source folder of every piece. Length ``pieces``."""
        found = {}
        with (self.folder / "pieces.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                piece = json.loads(line)
                if piece["split"] == self.split:
                    found[piece["shard"], piece["index"]] = piece["source"]
        names = [shard["name"] for shard in self.info["splits"][self.split]["shards"]]
        return [
            found[name, index]
            for name, (_, offsets) in zip(names, self._shards, strict=True)
            for index in range(len(offsets) - 1)
        ]

    def cumulative(self, mixture_exponent: float) -> NDArray[np.float64]:
        """Return cumulative sampling probabilities of the pieces. Shape ``pieces``."""
        _, inverse = np.unique(self.sources, return_inverse=True)
        totals = np.bincount(inverse, self.lengths)
        weights = self.lengths * (totals ** (mixture_exponent - 1))[inverse]
        return np.cumsum(weights) / weights.sum()


class InfillBatches:
    """Infilling examples: holes drawn at random, the answer behind SEP.

    Args:
        prepared: the pieces.
        settings: how examples are cut and varied.
        seed: together with the step it fixes a batch.
        augment: whether transposition and the like are on; off for validation.
    """

    def __init__(
        self, prepared: Prepared, settings: WindowSettings, *, seed: int, augment: bool = True
    ) -> None:
        self.prepared = prepared
        self.settings = settings
        self.seed = seed
        self.augment = augment
        self.vocabulary = prepared.tokenizer.vocabulary
        self._cumulative = prepared.cumulative(settings.mixture_exponent)

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """Return the rows of this process of global batch `step`."""
        lengths = sorted(self.settings.lengths)
        odds = np.array([self.settings.lengths[length] for length in lengths])
        rng = generator(self.seed, "batch", step)
        length = int(rng.choice(lengths, p=odds / odds.sum()))
        num_rows = max(world_size, self.settings.tokens_per_batch // length)
        rows = [
            self.example(generator(self.seed, "batch", step, "row", row), length)
            for row in range(rank, num_rows, world_size)
        ]
        return pad_rows(rows, self.vocabulary.first(TokenType.PAD))

    def example(
        self, rng: np.random.Generator, length: int, *, piece: int | None = None
    ) -> tuple[Stream, NDArray[np.int8]]:
        """Draw one example of at most `length` tokens (before merging, if merges are in use).

        Args:
            rng: source of randomness.
            length: longest example.
            piece: number of the piece; without it one is drawn.
        """
        for _ in range(_MOST_DRAWS):
            row, kinds = self._draw_example(rng, length, piece)
            if len(row.ids) <= length:
                break
        return Stream(row.ids[:length], row.times[:length]), kinds[:length]

    def _draw_example(
        self, rng: np.random.Generator, length: int, piece: int | None
    ) -> tuple[Stream, NDArray[np.int8]]:
        """Draw one example, longer than `length` where a bar of the hole alone fills it."""
        grid = self._draw_grid(rng, length, piece)
        while not len(grid.notes):
            grid = self._draw_grid(rng, length, piece)
        grid = self._vary(rng, self._with_drums(rng, grid, length))
        anchor = int(rng.integers(0, grid.num_bars))
        max_answer = int(length * self.settings.answer_share)
        drawn = draw_hole(rng, self.vocabulary, grid, anchor, self.settings.holes, max_answer)
        answer = answer_stream(self.vocabulary, grid, drawn.hole, drawn.takes(grid.notes))
        budget = length - len(answer.ids) - len(drawn.hole.programs) - 6
        row, kinds = self._around(grid, drawn, answer, budget)
        excess = len(row.ids) - length
        if excess > 0:  # Marks and the tempo in force may need positions of their own.
            row, kinds = self._around(grid, drawn, answer, budget - excess)
        return row, kinds

    def _around(
        self, grid: Grid, drawn: DrawnHole, answer: Stream, budget: int
    ) -> tuple[Stream, NDArray[np.int8]]:
        """Return prompt and answer with what the tokenizer merges, and the kind of every token."""
        settings, vocabulary, hole = self.settings, self.vocabulary, drawn.hole
        sight, inside = settings.sight, drawn.takes(grid.notes)
        past = drawn.past and sight != "none"
        future = drawn.future and sight in {"past_future", "all"}
        visible = ~inside if past or future else np.zeros_like(inside)
        visible = in_sight(hole, grid.notes, visible, sight)
        context, first = prompt_around(
            vocabulary, grid, hole, visible, budget=budget, past=past, future=future
        )
        shift = int(grid.bar_starts(vocabulary)[first])
        joined, kinds = join(context, Stream(answer.ids, answer.times - shift))
        if self.augment and settings.flat_velocities == "skip" and is_flat(grid):
            kinds = np.where(vocabulary.types[joined.ids] == TokenType.VELOCITY, UNSCORED, kinds)
        return self._merged(joined, kinds)

    def _merged(self, joined: Stream, kinds: NDArray[np.int8]) -> tuple[Stream, NDArray[np.int8]]:
        """Apply the tokenizer's merges, if any.

        A merged token is scored whole.
        """
        tokenizer = self.prepared.tokenizer
        if tokenizer.merges is None:
            return joined, kinds
        split = int(np.argmax(kinds == HOLE))
        parts = [
            tokenizer.encode_stream(Stream(joined.ids[part], joined.times[part]))
            for part in (slice(split), slice(split, None))
        ]
        return join(*parts)

    @cached_property
    def _drummers(self) -> Ids:
        """Numbers of the pieces of nothing but drums."""
        tokenizer, vocabulary = self.prepared.tokenizer, self.vocabulary
        first = vocabulary.first(TokenType.PROGRAM)
        drums = first + int(np.flatnonzero(vocabulary.programs == DRUM_PROGRAM)[0])
        last = first + len(vocabulary.programs)
        found = []
        for number in range(len(self.prepared.lengths)):
            ids: NDArray[np.integer[Any]] = self.prepared.piece(number)
            if tokenizer.merges is not None:
                ids = tokenizer.to_base(np.asarray(ids[:_LOOK_TOKENS], np.int64))
            named = ids[(ids >= first) & (ids < last)]
            if len(named) and (named == drums).all():
                found.append(number)
        return np.array(found, np.int64)

    def _with_drums(self, rng: np.random.Generator, grid: Grid, length: int) -> Grid:
        """Let a piece without drums play with those of another, now and then."""
        share = self.settings.drums_share
        if not self.augment or not share or (grid.notes["program"] == DRUM_PROGRAM).any():
            return grid
        if rng.random() >= share or not len(self._drummers):
            return grid
        drums = self._draw_grid(rng, length, int(rng.choice(self._drummers)))
        return add_drums(grid, drums, int(rng.integers(0, drums.num_bars)))

    def _draw_grid(self, rng: np.random.Generator, length: int, piece: int | None) -> Grid:
        """Draw a stretch of a piece, about twice as long as an example needs."""
        if piece is None:
            piece = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        ids: NDArray[np.integer[Any]] = self.prepared.piece(min(piece, len(self._cumulative) - 1))
        if self.prepared.tokenizer.merges is not None:
            ids = self.prepared.tokenizer.to_base(np.asarray(ids, np.int64))
        bars = np.flatnonzero(ids == self.vocabulary.first(TokenType.BAR))
        centre = int(rng.integers(0, len(ids)))
        start = bars[max(0, int(np.searchsorted(bars, max(0, centre - length), "right")) - 1)]
        stop = int(np.searchsorted(bars, centre + length))
        end = bars[stop] if stop < len(bars) else len(ids)
        grid = parse(self.vocabulary, np.asarray(ids[start:end], np.int64))
        return self._with_tempo(grid, ids[:start])

    def _with_tempo(self, grid: Grid, before: NDArray[np.integer[Any]]) -> Grid:
        """State the tempo in force at the start of a stretch."""
        if not self.vocabulary.counts[TokenType.TEMPO]:
            return grid
        first = self.vocabulary.first(TokenType.TEMPO)
        found = np.flatnonzero(
            (before >= first) & (before < first + self.vocabulary.counts[TokenType.TEMPO])
        )
        stated = len(grid.tempos) and not grid.tempos["bar"][0] and not grid.tempos["position"][0]
        if stated or not len(found):
            return grid
        tempos = np.concatenate([np.zeros(1, grid.tempos.dtype), grid.tempos])
        tempos["tempo"][0] = int(before[found[-1]]) - first
        return Grid(grid.signatures, grid.notes, tempos)

    def _vary(self, rng: np.random.Generator, grid: Grid) -> Grid:
        """Transpose, shift velocities and reorder instruments."""
        if not self.augment:
            return grid
        reach = self.settings.transpose
        low, high = transposition_range(grid, self.vocabulary)
        grid = transpose(
            grid, int(rng.integers(max(low, -reach), min(high, reach) + 1)), self.vocabulary
        )
        if self.vocabulary.has_velocities and self.settings.velocity_shift:
            reach = self.settings.velocity_shift
            notes = grid.notes.copy()
            highest = len(self.vocabulary.velocities) - 1
            shift = int(rng.integers(-reach, reach + 1))
            notes["velocity"] = np.clip(notes["velocity"] + shift, 0, highest)
            grid = grid.with_notes(notes)
        return reorder_tracks(grid, rng) if self.settings.track_order == "random" else grid

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches 0, 1, 2, ... without end."""
        step = 0
        while True:
            yield self.batch(step)
            step += 1


class NextTokenBatches:
    """The source deck's examples: chunks of pieces between BOS and EOS, drawn with replacement.

    Args:
        prepared: the pieces.
        context_length: tokens that the model reads; rows have one more, the last target.
        batch_size: rows of a global batch.
        seed: together with the step it fixes a batch.
    """

    def __init__(
        self, prepared: Prepared, *, context_length: int, batch_size: int, seed: int
    ) -> None:
        self.prepared = prepared
        self.batch_size = batch_size
        self.seed = seed
        self.chunk = context_length - 1
        chunks = np.maximum(1, -(-prepared.lengths // self.chunk))
        self._ends = np.cumsum(chunks)

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """Return the rows of this process of global batch `step`."""
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.integers(0, self._ends[-1], self.batch_size)
        vocabulary = self.prepared.tokenizer.vocabulary
        rows = [self._row(int(number)) for number in chosen[rank::world_size]]
        padded = pad_rows(rows, vocabulary.first(TokenType.PAD))
        # Padding must not outgrow what a model with learned positions can read.
        readable = slice(self.chunk + 2)
        return Batch(padded.ids[:, readable], padded.times[:, readable], padded.kinds[:, readable])

    def _row(self, number: int) -> tuple[Stream, NDArray[np.int8]]:
        piece = int(np.searchsorted(self._ends, number, side="right"))
        chunk = number - (int(self._ends[piece - 1]) if piece else 0)
        tokens = self.prepared.piece(piece)[chunk * self.chunk : (chunk + 1) * self.chunk]
        vocabulary = self.prepared.tokenizer.vocabulary
        ends = (vocabulary.first(TokenType.BOS), vocabulary.first(TokenType.EOS))
        ids = np.concatenate([ends[:1], tokens, ends[1:]]).astype(np.int64)
        return Stream(ids, np.zeros_like(ids)), np.full(len(ids), CONTEXT, np.int8)


def pad_rows(rows: list[tuple[Stream, NDArray[np.int8]]], pad: int) -> Batch:
    """Stack rows of different lengths, filled up at the end."""
    longest = max(len(stream.ids) for stream, _ in rows)
    longest = -(-longest // _PAD_MULTIPLE) * _PAD_MULTIPLE
    ids = np.full((len(rows), longest), pad, np.int64)
    times = np.zeros((len(rows), longest), np.int64)
    kinds = np.full((len(rows), longest), PADDING, np.int8)
    for number, (stream, kind) in enumerate(rows):
        size = len(stream.ids)
        ids[number, :size], times[number, :size] = stream
        kinds[number, :size] = kind
    return Batch(ids, times, kinds)
