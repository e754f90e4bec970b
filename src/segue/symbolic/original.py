"""The source deck's way to fill a hole: the whole piece, then the prefix again.

The prompt is prefix, hole (with what stood there) and suffix, then the prefix once more; a model trained
on plain next-token prediction goes on from there, and the suffix is put behind what it writes. As the
model has read the hole's original content, the result is a variation of it rather than a completion.

Where we depart from the deck: prefix and suffix end on bar lines (128 tokens at most, as there), and the
answer has exactly the bars of the hole instead of exactly its number of tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.core.region import Region
from segue.errors import BundleError, SettingError
from segue.symbolic.generate import Event, Finished, generate_events
from segue.symbolic.grammar import HoleSpec
from segue.symbolic.grid import Grid
from segue.symbolic.inpaint import Filling, filling_of, new_notes, ranked
from segue.symbolic.loaded import MidiModel
from segue.symbolic.placement import ModelBars, grid_of
from segue.symbolic.prompt import view
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.stream import Stream, parse, render
from segue.symbolic.vocabulary import DRUM_PROGRAM

PREFIX_TOKENS = 128
"""Longest prefix."""
SUFFIX_TOKENS = 128
"""Longest suffix."""


@dataclass(frozen=True, eq=False)
class _Excerpt:
    """What the model reads: tokens of prefix, hole and suffix, and what the hole must be."""

    prompt: Stream
    spec: HoleSpec
    hole_tokens: int


def inpaint_original(
    piece: Piece,
    region: Region,
    *,
    model: MidiModel,
    settings: SamplingSettings | None = None,
    candidates: int = 1,
    on_event: Callable[[Event], None] | None = None,
) -> list[Filling]:
    """Vary the bars of a region the deck's way: all tracks, whole bars.

    Args:
        piece: the piece.
        region: bars; no tracks may be named.
        model: a bundle of the recipe ``midigpt-original``.
        settings: how tokens are drawn; the bundle's own by default (the deck's: temperature 1.2).
        candidates: how many to write.
        on_event: told of every bar, note and candidate as it comes.

    Returns:
        Distinct fillings, the likeliest per note first.

    Raises:
        BundleError: the bundle was trained for infilling instead.
        SettingError: tracks are named, the region is not whole bars, or it is too long for the model.
    """
    _check(region, model)
    resolved = piece.resolve(region)
    bars = ModelBars.of(model.vocabulary, piece.bars, piece.ticks_per_quarter)
    grid = grid_of(model.vocabulary, piece, bars)
    first = int(np.searchsorted(bars.start_ticks, resolved.start_ticks))
    end = int(np.searchsorted(bars.start_ticks, resolved.end_ticks))
    excerpt = _excerpt(model, grid, first, end)
    events = generate_events(
        model.decoder,
        model.grammar,
        excerpt.prompt,
        excerpt.spec,
        settings=settings or model.defaults,
        num_candidates=candidates,
        max_tokens=max(2 * excerpt.hole_tokens, 64 * (end - first)),
    )
    fillings = []
    for event in events:
        if on_event is not None:
            on_event(event)
        if isinstance(event, Finished):
            written = parse(model.vocabulary, event.candidate.ids).notes.copy()
            written["bar"] += first
            owners = _owners(piece, resolved, written)
            new, places = new_notes(piece, resolved, model.vocabulary, bars, written, owners)
            fillings.append(
                filling_of(
                    piece,
                    resolved,
                    new,
                    event.candidate.note_log_probs[places],
                    log_prob=event.candidate.log_prob,
                    number=event.candidate.number,
                )
            )
    return ranked(fillings)


def _check(region: Region, model: MidiModel) -> None:
    if model.objective != "next_token":
        raise BundleError(
            f"`--method original` needs a bundle of the recipe midigpt-original; {model.name} was "
            "trained for infilling. Leave the method out, or name another bundle with `--model`."
        )
    if region.tracks is not None or region.unit != "bars":
        raise SettingError(
            "`--method original` replaces whole bars of all tracks, as the method it reproduces "
            f"does; {region} of {region.tracks or 'all tracks'} was asked for. Give bars and no "
            "tracks, or use the default method."
        )


def _excerpt(model: MidiModel, grid: Grid, first: int, end: int) -> _Excerpt:
    """Build the prompt of bars `first` to `end` (exclusive)."""
    begin = _reach(model, grid, first, -1, PREFIX_TOKENS)
    stop = _reach(model, grid, end, 1, SUFFIX_TOKENS)
    prefix = _tokens(model, grid, begin, first)[-PREFIX_TOKENS:]
    hole = _tokens(model, grid, first, end)
    suffix = _tokens(model, grid, end, stop)[:SUFFIX_TOKENS]
    ids = np.concatenate([prefix, hole, suffix, prefix])
    length = len(ids) + len(hole)
    if length > model.decoder.context_length:
        raise SettingError(
            f"The hole has {len(hole)} tokens; with `--method original` the model must read and "
            f"write them within {model.decoder.context_length} tokens in all, and that would take "
            f"{length}. Choose fewer bars."
        )
    programs = [int(program) for program in dict.fromkeys(grid.notes["program"].tolist())]
    if not programs:
        raise SettingError(
            "`--method original` varies the notes of a piece, and this one has none that the model "
            "can read. Use the default method."
        )
    signatures = tuple(int(signature) for signature in grid.signatures[first:end])
    spec = HoleSpec(
        signatures=signatures,
        first_position=0,
        last_position=int(model.vocabulary.bar_positions[signatures[-1]]),
        programs=tuple(programs),
        end="bar",
    )
    return _Excerpt(Stream(ids, np.zeros_like(ids)), spec, len(hole))


def _tokens(model: MidiModel, grid: Grid, first: int, end: int) -> NDArray[np.int64]:
    if first >= end:
        return np.zeros(0, np.int64)
    window = view(grid, first, end) if first == 0 else grid.window(first, end)
    return model.tokenizer.encode_stream(render(model.vocabulary, window)).ids


def _reach(model: MidiModel, grid: Grid, bar: int, direction: int, limit: int) -> int:
    """Return how far bars next to the hole fit into a number of tokens; one bar always does."""
    used, reached = 0, bar
    while 0 <= (reached - 1 if direction < 0 else reached) < grid.num_bars:
        at = reached - 1 if direction < 0 else reached
        used += len(_tokens(model, grid, at, at + 1))
        if used > limit and reached != bar:
            break
        reached += direction
    return reached


def _owners(piece: Piece, region: ResolvedRegion, notes: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the track of every new note: the track of its program that plays nearest to the hole."""
    known = piece.notes
    programs = np.where(known["is_drum"], DRUM_PROGRAM, known["program"])
    distance = np.abs(known["onset_ticks"] - region.start_ticks)
    owners = {}
    for program in np.unique(notes["program"]).tolist():
        mine = np.flatnonzero(programs == program)
        owners[program] = int(known["track"][mine[np.argmin(distance[mine])]])
    return np.array([owners[program] for program in notes["program"].tolist()], np.int64)
