"""The source deck's model in the evaluation: next tokens from left to right, in its own vocabulary.

What a region costs it is read off one pass over the piece: the tokens of the region's notes, each given
all that stands before it. Where it fills a region it does so the deck's way, having read what stood
there; its results are variations, and tables must say so.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.core.region import Region as FileRegion
from segue.core.seeds import integer
from segue.errors import SettingError
from segue.symbolic.codec import encode_score
from segue.symbolic.evaluate.regions import Region, takes
from segue.symbolic.evaluate.scores import piece_of, score_of
from segue.symbolic.evaluate.systems import (
    Notes,
    PromptSettings,
    Surprise,
    cut,
    log_softmax_at,
    placed,
    surprise_of,
)
from segue.symbolic.grid import Grid
from segue.symbolic.loaded import MidiModel
from segue.symbolic.original import inpaint_original
from segue.symbolic.placement import ModelBars, grid_of
from segue.symbolic.prompt import Hole, Sight, view
from segue.symbolic.stream import render
from segue.symbolic.vocabulary import TokenType, Vocabulary

_WHOLE_BARS = ("four_bars",)


@dataclass(frozen=True, eq=False)
class DeckSystem:
    """A model of the recipe ``midigpt-original``.

    Attributes:
        name: in tables.
        model: the model.
        settings: of the other systems, for their vocabulary.
    """

    name: str
    model: MidiModel
    settings: PromptSettings

    def surprise(self, grid: Grid, region: Region, sight: Sight = "all") -> Surprise | None:
        """Return the cost of the region's notes, read from left to right with all instruments.

        A merged token's cost is shared equally by the tokens that it stands for. The position tokens of
        an onset belong to its first note. None for another `sight`, or where the music before the region
        does not fit into the model's context.
        """
        if sight != "all":
            return None
        here, vocabulary = self.settings.vocabulary, self.model.vocabulary
        own = encode_score(vocabulary, score_of(here, cut(grid, region)))
        end = min(region.span.end_bar, own.num_bars)
        inside = np.zeros(len(own.notes), bool)
        for hole in region.holes:
            inside |= takes(converted(hole, here, vocabulary), own.notes)
        first = self._first_bar(own, region.span.first_bar, end)
        if first is None or not inside.any():
            return None
        window = own.window(first, end)
        kept = inside[np.searchsorted(own.notes["bar"], first) :][: len(window.notes)]
        log_probs, base = self._log_probs(window)
        owner = note_of_token(vocabulary, base)
        counted = (owner >= 0) & (owner < len(kept))
        counted[counted] = kept[owner[counted]]
        return surprise_of(
            vocabulary,
            np.concatenate([[base[0]], [base[0]], base[counted]]),
            np.concatenate([[0.0], log_probs[counted]]),
            int(kept.sum()),
        )

    def _tokens(self, window: Grid) -> NDArray[np.int64]:
        stream = render(self.model.vocabulary, window)
        bos = np.array([self.model.vocabulary.first(TokenType.BOS)], np.int64)
        return np.concatenate([bos, self.model.tokenizer.encode_stream(stream).ids])

    def _first_bar(self, grid: Grid, start: int, end: int) -> int | None:
        """Return the first bar of the longest stretch up to `end` that fits, at most `start`."""
        room = self.model.decoder.context_length
        low, high = 0, start
        if len(self._tokens(grid.window(start, end))) > room:
            return None
        while low < high:
            middle = (low + high) // 2
            if len(self._tokens(grid.window(middle, end))) <= room:
                high = middle
            else:
                low = middle + 1
        return low

    def _log_probs(self, window: Grid) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return base tokens and the share of log-probability of each. Both of shape ``tokens``."""
        tokenizer = self.model.tokenizer
        ids = self._tokens(window)
        logits = self.model.decoder.logits(ids[None], np.zeros_like(ids)[None])[0, :-1]
        whole = log_softmax_at(logits, ids[1:])
        parts = [tokenizer.to_base(ids[at : at + 1]) for at in range(1, len(ids))]
        sizes = np.array([len(part) for part in parts])
        marks = np.flatnonzero(sizes == 0)  # stand before a bar line, which bears their cost
        whole[marks + 1] += whole[marks]
        return np.repeat(whole / np.maximum(sizes, 1), sizes), np.concatenate(parts)

    def fill(
        self, grid: Grid, region: Region, *, num_samples: int, seed: int
    ) -> list[Notes] | None:
        """Write variations of whole bars of all instruments; None for other tasks.

        Equal ones count once, so that there may be fewer than were asked for.
        """
        if region.task not in _WHOLE_BARS:
            return None
        here = self.settings.vocabulary
        hole = region.span
        first, end = max(0, hole.first_bar - 16), min(grid.num_bars, hole.end_bar + 16)
        piece = piece_of(here, view(grid, first, end))
        span = FileRegion.parse((hole.first_bar - first + 1, hole.end_bar - first), unit="bars")
        seed = integer(seed, "fill", region.name)
        settings = self.model.defaults.model_copy(update={"seed": seed})
        try:
            fillings = inpaint_original(
                piece, span, model=self.model, settings=settings, candidates=num_samples
            )
        except SettingError:
            return None  # the hole is longer than this model reads
        shifted_hole = hole.shifted(-first)
        samples = []
        for filling in sorted(fillings, key=lambda filling: filling.number):
            bars = ModelBars.of(here, filling.piece.bars, filling.piece.ticks_per_quarter)
            notes = grid_of(here, filling.piece, bars).notes
            samples.append(placed(notes[takes(shifted_hole, notes)], grid, first))
        return samples


def converted(hole: Hole, here: Vocabulary, there: Vocabulary) -> Hole:
    """Return a hole in the positions of another vocabulary."""
    ratio = there.positions_per_beat / here.positions_per_beat
    last = hole.last_position
    return Hole(
        hole.first_bar,
        hole.end_bar,
        hole.programs,
        round(hole.first_position * ratio),
        None if last is None else round(last * ratio),
    )


def note_of_token(vocabulary: Vocabulary, base: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the note that each base token belongs to, -1 for what states meters and tempos.

    Bar lines and positions belong to the note that follows; a position where only the tempo changes
    belongs to none. Shape ``tokens``.
    """
    types = vocabulary.types[base]
    begun = np.cumsum(types == TokenType.PROGRAM)
    owner = begun - 1
    ahead = np.isin(types, (TokenType.BAR, TokenType.POSITION))
    owner[ahead] = begun[ahead]
    owner[np.isin(types, (TokenType.TIME_SIG, TokenType.TEMPO, TokenType.BOS, TokenType.EOS))] = -1
    other = np.flatnonzero(types != TokenType.TEMPO)
    alone = np.append(types[other[1:]], TokenType.BAR) != TokenType.PROGRAM
    owner[other[alone & (types[other] == TokenType.POSITION)]] = -1
    return owner
