"""Those who fill the holes besides the model: baselines, and a model that reads only what is before.

All of them get the same prompt, one seed and one try. Where no folder of fitted baselines is given, the
Markov chain of a piece is fitted on what of it lies outside the hole, and on the nine other pieces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from segue.core.region import Region
from segue.core.seeds import generator, integer
from segue.errors import DataError
from segue.runtime.bundle import Bundle
from segue.symbolic.baselines import MarkovChain, MarkovDecoder, load_baselines
from segue.symbolic.baselines.copying import repeated_fill
from segue.symbolic.baselines.players import Baseline, ChainBaseline
from segue.symbolic.baselines.storage import read_list
from segue.symbolic.generate import generate
from segue.symbolic.grammar import Grammar
from segue.symbolic.grid import Grid
from segue.symbolic.inpaint import new_notes, tracks_by_program
from segue.symbolic.loaded import MidiModel
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.placement import ModelBars, grid_of, hole_of
from segue.symbolic.prompt import Hole, Sight, answer_stream, hole_spec, in_sight, prompt_around
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.splice import notes_inside, replace_notes
from segue.symbolic.stream import Ids, Stream, parse
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType, Vocabulary
from segue.symbolic.voices import centres, share

ORDER: Final = 2
PROMPT_TOKENS: Final = 1024
WINDOWS: Final = (1, 2, 4, 8)
"""Lengths in bars of the holes that a chain is fitted on."""

Notes = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Work:
    """A piece with a hole, on the grid of a vocabulary.

    Attributes:
        piece: the whole piece.
        region: what is written anew.
        vocabulary: of the grid.
        bars: of the grid.
        grid: the piece on it.
        removed: which notes of the grid are taken out. Shape ``notes``.
        tracks_of: tracks of the region by program.
    """

    piece: Piece
    region: ResolvedRegion
    vocabulary: Vocabulary
    bars: ModelBars
    grid: Grid
    removed: NDArray[np.bool_]
    tracks_of: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, vocabulary: Vocabulary, piece: Piece, region: Region) -> Self:
        """Put a piece on the grid."""
        resolved = piece.resolve(region)
        bars = ModelBars.of(vocabulary, piece.bars, piece.ticks_per_quarter)
        inside = notes_inside(piece, resolved)
        grid = grid_of(vocabulary, piece, bars, inside)
        removed = inside[grid.notes["source"]]
        found = tracks_by_program(piece, resolved)
        return cls(piece, resolved, vocabulary, bars, grid, removed, found)

    @property
    def hole(self) -> Hole:
        """The hole, in bars of the grid."""
        span = self.region
        return hole_of(self.bars, span.start_ticks, span.end_ticks, tuple(self.tracks_of))

    def prompt(self, sight: Sight = "all") -> tuple[Stream, int]:
        """Return the prompt, and the bars of the piece before it."""
        hole = self.hole
        visible = in_sight(hole, self.grid.notes, ~self.removed, sight)
        return prompt_around(
            self.vocabulary, self.grid, hole, visible, budget=PROMPT_TOKENS, future=sight != "past"
        )

    def with_notes(self, notes: Notes) -> Piece:
        """Return the piece with grid notes, bars counted from its start, in the hole."""
        new, _ = new_notes(
            self.piece, self.region, self.vocabulary, self.bars, notes, self._owners(notes)
        )
        return replace_notes(self.piece, self.region, new)

    def _owners(self, notes: Notes) -> NDArray[np.int64]:
        """Return the track of each note; tracks of one program share what is written for it."""
        owners = np.zeros(len(notes), np.int64)
        stay = self.piece.notes[~notes_inside(self.piece, self.region)]
        for program, tracks in self.tracks_of.items():
            mine = notes["program"] == program
            registers = centres(
                stay["pitch"], stay["onset_ticks"], stay["track"], tracks, self.region.start_ticks
            )
            moments = self.bars.ticks(notes["bar"][mine], notes["position"][mine])
            owners[mine] = np.array(tracks)[share(moments, notes["pitch"][mine], registers)]
        return owners


def emptied(piece: Piece, region: Region) -> Piece:
    """Return a piece without the notes of a region."""
    return replace_notes(piece, piece.resolve(region), np.zeros(0, NEW_NOTE_FIELDS))


def repeated(work: Work) -> Piece:
    """Return the piece with the bars before the hole once more; none are there, it stays empty."""
    context, _ = work.prompt()
    notes = repeated_fill(work.vocabulary, context).copy()
    notes["bar"] += work.hole.first_bar
    return work.with_notes(notes)


@dataclass(frozen=True, eq=False)
class Chains:
    """Markov chains, fitted elsewhere or on the pieces of the page.

    Attributes:
        vocabulary: of their tokens.
        fitted: the one that a folder holds, or None.
        origin: what it was fitted on, in words.
    """

    vocabulary: Vocabulary
    fitted: Baseline | None
    origin: str

    @classmethod
    def open(cls, folder: Path | None, vocabulary: Vocabulary) -> Self:
        """Open a folder of `segue midi baselines`, or get ready to fit on the page's own pieces.

        Raises:
            DataError: the folder holds no such chain.
        """
        if folder is None:
            origin = (
                "fitted on this piece outside the hole and on the nine other pieces of this page"
            )
            return cls(vocabulary, None, origin)
        found = load_baselines(folder)
        name = f"Markov chain, order {ORDER}"
        if name not in found:
            raise DataError(f"{folder} holds no {name}. Fit the baselines again.")
        count = read_list(folder)["counts"]["examples"]
        own = Tokenizer.from_file(folder / "tokenizer.json").vocabulary
        origin = f"fitted on {count:,} holes of the training music (segue midi baselines)"
        return cls(own, found[name], origin)

    def fill(self, work: Work, others: Sequence[Piece], *, seed: int, name: str) -> Piece:
        """Return the piece with what the chain writes.

        Args:
            work: the piece with its hole.
            others: the other pieces of the page.
            seed: of the draws.
            name: of the piece.
        """
        baseline = self.fitted or _fitted(work, others)
        context, _ = work.prompt()
        rng = generator(seed, "gallery", name)
        # A chain always writes; only baselines without probabilities return None.
        notes = cast("Notes", baseline.fill(work.grid, work.hole, work.removed, context, rng=rng))
        return work.with_notes(notes)


def _fitted(work: Work, others: Sequence[Piece]) -> Baseline:
    """Fit a chain on what surrounds a hole, and on other pieces."""
    answers = list(_answers(work.vocabulary, work.grid, work.removed, work.hole))
    for piece in others:
        bars = ModelBars.of(work.vocabulary, piece.bars, piece.ticks_per_quarter)
        grid = grid_of(work.vocabulary, piece, bars)
        answers += _answers(work.vocabulary, grid, np.zeros(len(grid.notes), bool), None)
    chain = MarkovChain.fit(answers, order=ORDER, vocab_size=work.vocabulary.size)
    decoder = MarkovDecoder(work.vocabulary, chain)
    return ChainBaseline(
        f"Markov chain, order {ORDER}", decoder, Grammar(work.vocabulary), chain=chain
    )


def _answers(
    vocabulary: Vocabulary, grid: Grid, removed: NDArray[np.bool_], hole: Hole | None
) -> Iterator[Ids]:
    """Yield the music of every stretch of bars, of each instrument alone and of all, from SEP on."""
    kept = grid.with_notes(grid.notes[~removed])
    programs = tuple(dict.fromkeys(kept.notes["program"].tolist()))
    separator = np.array([vocabulary.first(TokenType.SEP)])
    for num_bars in WINDOWS:
        for first in range(0, kept.num_bars - num_bars + 1, num_bars):
            end = first + num_bars
            for asked in {*((p,) for p in programs), programs}:
                if hole and _meets(hole, first, end, asked):
                    continue
                place = Hole(first, end, asked)
                inside = place.contains(kept.notes) & np.isin(kept.notes["program"], asked)
                yield np.concatenate(
                    [separator, answer_stream(vocabulary, kept, place, inside).ids]
                )


def _meets(hole: Hole, first_bar: int, end_bar: int, programs: tuple[int, ...]) -> bool:
    """Return whether a stretch of bars of some instruments shares anything with a hole."""
    in_time = first_bar < hole.end_bar and end_bar > hole.first_bar
    return in_time and bool(set(programs) & set(hole.programs))


@dataclass(frozen=True, eq=False)
class Reader:
    """A model that was trained to see less than everything around a hole.

    Attributes:
        model: the model.
        sight: what it may see.
    """

    model: MidiModel
    sight: Sight

    @classmethod
    def open(cls, bundle: str) -> Self:
        """Open a bundle.

        Raises:
            BundleError: there is no such bundle, or it does not fill holes.
        """
        opened = Bundle.open(bundle).require(kind="midigpt", objective="infill")
        sight: Sight = opened.config.get("sight", "all")
        return cls(MidiModel.open(opened), sight)

    def fill(self, piece: Piece, region: Region, *, seed: int, name: str) -> tuple[Piece, int]:
        """Return the piece with what the model writes, and the number of its notes."""
        work = Work.of(self.model.vocabulary, piece, region)
        context, first = work.prompt(self.sight)
        seen = work.grid.window(first, work.grid.num_bars)
        spec = hole_spec(work.vocabulary, seen, work.hole.shifted(-first))
        settings = self.model.settings(seed=integer(seed, "gallery", name))
        (written,) = generate(
            self.model.decoder,
            self.model.grammar,
            self.model.tokenizer.encode_stream(context),
            spec,
            settings=settings,
            num_candidates=1,
        )
        notes = parse(work.vocabulary, written.ids).notes.copy()
        notes["bar"] += work.hole.first_bar
        return work.with_notes(notes), len(notes)
