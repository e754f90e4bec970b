"""Inpainting, outpainting and composing: a piece and a region in, pieces with new notes out.

Long or many-voiced holes are filled in passes, bar by bar from left to right. The model always sees the
whole rest of the hole marked, so that it never takes bars still to be written for silence. Tracks that
share an instrument are written together and their notes dealt out. Where several instruments are asked for and one of them comes out far
emptier than its surroundings, it is written once more, alone, with the others in view.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segue.core.region import Region
from segue.core.seeds import integer
from segue.errors import BundleError, SettingError
from segue.symbolic.generate import (
    BarStarted,
    Candidate,
    Event,
    Finished,
    NotesDropped,
    NoteWritten,
    generate_events,
)
from segue.symbolic.grammar import Limit
from segue.symbolic.grid import Grid
from segue.symbolic.loaded import MidiModel
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.placement import ModelBars, grid_of, hole_of, program_ranks
from segue.symbolic.prompt import (
    Hole,
    choose_window,
    context_stream,
    hole_spec,
    thin,
    tokens_per_bar,
    view,
)
from segue.symbolic.registers import REGISTERS
from segue.symbolic.sampling import Floats, SamplingSettings
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.splice import fit_notes_with_places, notes_inside, replace_notes
from segue.symbolic.stream import parse
from segue.symbolic.tracks import CHANNELS
from segue.symbolic.vocabulary import DRUM_PROGRAM, Vocabulary
from segue.symbolic.voices import centres, habits, share

MAX_BARS_SEEN = 16
"""Longest part of a hole that the model is shown at once; training holes are rarely longer."""
ANSWER_SHARE = 0.45
"""Part of the context length that one pass may write."""
_TOKENS_PER_NOTE = 5
_NOTES_PER_BAR = 8
_NEAR_BARS = 8
_FORGOTTEN_SHARE = 0.25

Report = Callable[[Event], None]


@dataclass(frozen=True, eq=False)
class Filling:
    """One way to fill the hole.

    Attributes:
        piece: the whole piece with the new notes; everything else as it was.
        before: the piece that was given.
        region: what was filled.
        num_notes: notes written.
        log_prob: log-likelihood of the free choices under the model.
        number: which candidate it was before ranking.
        written: the new notes as `segue.symbolic.splice.fit_notes` gives them.
        written_log_probs: log-likelihood of each of them, in nats. Shape ``written``.
    """

    piece: Piece
    before: Piece
    region: ResolvedRegion
    num_notes: int
    log_prob: float
    number: int
    written: NDArray[np.void]
    written_log_probs: Floats

    @property
    def log_prob_per_note(self) -> float:
        """Log-likelihood per note, what candidates are ranked by."""
        return self.log_prob / max(self.num_notes, 1)

    @cached_property
    def note_log_probs(self) -> tuple[NDArray[np.int64], Floats]:
        """Indices of the new notes in ``piece.notes``, rising, and the log-likelihood of each.

        A note's is the sum over the tokens that make it, in nats, before temperature. Notes that the
        model wrote and that found no room are in neither.
        """
        keys = _note_keys(self.piece, self.piece.notes)
        wanted = _note_keys(self.before, self.written)
        order = np.argsort(keys, kind="stable")
        places = order[np.searchsorted(keys[order], wanted)] if len(wanted) else order[:0]
        rising = np.argsort(places)
        return places[rising], self.written_log_probs[rising]

    def save(self, path: Path | str) -> None:
        """Write the piece as a MIDI file, whole or not at all."""
        self.piece.save(path)

    def save_picture(self, path: Path | str) -> None:
        """Draw the region and its surroundings as a piano roll, the new notes in colour (PNG).

        Raises:
            DataError: the file cannot be written.
        """
        from segue.symbolic.render import piano_roll_of, save_png

        figure = piano_roll_of(self.piece, region=self.region, compare_with=self.before)
        save_png(figure, path)

    def save_sound(self, path: Path | str, *, soundfont: Path | str | None = None) -> None:
        """Play the whole piece into a WAV or FLAC file.

        Args:
            path: the file.
            soundfont: a .sf2 or .sf3 file; the one that comes with the installation by default.

        Raises:
            DataError: no notes, a damaged SoundFont, or the file cannot be written.
        """
        from segue.symbolic.render import render_wav

        render_wav(self.piece, path, soundfont=soundfont)


@dataclass(eq=False)
class _Draft:
    """A candidate under way: the notes written so far."""

    number: int
    notes: list[NDArray[np.void]] = field(default_factory=list)
    owners: list[NDArray[np.int64]] = field(default_factory=list)
    note_log_probs: list[Floats] = field(default_factory=list)
    log_prob: float = 0.0

    @property
    def num_notes(self) -> int:
        return sum(len(notes) for notes in self.notes)

    def drop(self, program: int) -> None:
        """Take the notes of an instrument out again."""
        kept = [notes["program"] != program for notes in self.notes]
        dropped = zip(self.note_log_probs, kept, strict=True)
        self.log_prob -= sum(float(each[~keep].sum()) for each, keep in dropped)
        self.notes = [notes[keep] for notes, keep in zip(self.notes, kept, strict=True)]
        self.owners = [owners[keep] for owners, keep in zip(self.owners, kept, strict=True)]
        self.note_log_probs = [x[keep] for x, keep in zip(self.note_log_probs, kept, strict=True)]

    def on(self, context: Grid) -> Grid:
        """Return the context with the notes written so far."""
        notes = np.concatenate([context.notes, *self.notes])
        return Grid.build(context.signatures, notes, context.tempos)


@dataclass(frozen=True)
class _Pass:
    """One call of the model: which part of the hole is seen, how much of it is written."""

    hole: Hole
    num_bars: int
    has_future: bool


def inpaint(
    piece: Piece,
    region: Region | ResolvedRegion,
    *,
    model: MidiModel,
    settings: SamplingSettings | None = None,
    candidates: int = 1,
    on_event: Report | None = None,
) -> list[Filling]:
    """Fill a region of a piece; nothing outside changes.

    Args:
        piece: the piece.
        region: tracks and span.
        model: an infilling model.
        settings: how tokens are drawn; the bundle's own by default.
        candidates: how many fillings to write.
        on_event: told of every bar, note and candidate as it comes.

    Returns:
        Distinct fillings, the likeliest per note first.

    Raises:
        SettingError: the region does not lie in the piece, or no candidate is asked for.
        BundleError: the model was not trained for infilling.
    """
    if model.objective != "infill":
        raise BundleError(
            f"The bundle {model.name} was trained for next-token prediction and cannot see a hole. "
            "Use `--method original` with it, or a bundle with the infilling objective."
        )
    if candidates < 1:
        raise SettingError(f"At least one candidate is needed; {candidates} were asked for.")
    resolved = piece.resolve(region) if isinstance(region, Region) else region
    work = _Work.begin(piece, resolved, model, settings or model.defaults)
    drafts = [_Draft(number) for number in range(candidates)]
    report = on_event or (lambda _: None)
    for number, step in enumerate(work.passes(tuple(work.tracks_of))):
        work.run(("pass", number), step, drafts, report)
    for program in work.tracks_of if len(work.tracks_of) > 1 else ():
        forgotten = [draft for draft in drafts if work.has_forgotten(program, draft)]
        for draft in forgotten:
            draft.drop(program)
            report(NotesDropped(draft.number, program))
        for number, step in enumerate(work.passes((program,)) if forgotten else ()):
            work.run(("rewrite", program, number), step, forgotten, report)
    return ranked([work.finish(draft) for draft in drafts])


def ranked(fillings: Sequence[Filling]) -> list[Filling]:
    """Return distinct fillings, the likeliest first; empty ones first only where most are empty."""
    believed = 2 * sum(f.num_notes == 0 for f in fillings) > len(fillings)
    distinct = {f.piece.to_bytes(): f for f in reversed(fillings)}

    def key(filling: Filling) -> tuple[bool, float, int]:
        return (filling.num_notes == 0) != believed, -filling.log_prob_per_note, filling.number

    return sorted(distinct.values(), key=key)


@dataclass(frozen=True, eq=False)
class _Work:
    """What stays the same during one request."""

    piece: Piece
    region: ResolvedRegion
    model: MidiModel
    settings: SamplingSettings
    bars: ModelBars
    context: Grid
    original: Grid
    tracks_of: dict[int, tuple[int, ...]]

    @classmethod
    def begin(
        cls, piece: Piece, region: ResolvedRegion, model: MidiModel, settings: SamplingSettings
    ) -> "_Work":
        """Quantise the piece and take the region's notes out."""
        tracks_of = tracks_by_program(piece, region)
        _check_programs(model.vocabulary, tracks_of)
        bars = ModelBars.of(model.vocabulary, piece.bars, piece.ticks_per_quarter)
        inside = notes_inside(piece, region)
        grid = grid_of(model.vocabulary, piece, bars, inside)
        context = grid.with_notes(grid.notes[~inside[grid.notes["source"]]])
        return cls(piece, region, model, settings, bars, context, grid, tracks_of)

    def passes(self, programs: tuple[int, ...]) -> Iterator[_Pass]:
        """Yield the calls of the model that write for some instruments, in order."""
        whole = hole_of(self.bars, self.region.start_ticks, self.region.end_ticks, programs)
        fitting = int(
            ANSWER_SHARE * self.model.decoder.context_length / self._tokens_per_bar(programs)
        )
        first = whole.first_bar
        while first < whole.end_bar:
            end = min(whole.end_bar, first + MAX_BARS_SEEN)
            num_bars = max(1, min(end - first, fitting))
            last = whole.last_position if end == whole.end_bar else None
            start = whole.first_position if first == whole.first_bar else 0
            hole = Hole(first, end, programs, start, last)
            yield _Pass(hole, num_bars, has_future=end == whole.end_bar)
            first += num_bars

    def has_forgotten(self, program: int, draft: _Draft) -> bool:
        """Return whether an instrument plays far less than its surroundings lead one to expect.

        Expected is what its tracks play in the bars next to the region; a note in every other bar where
        they play nowhere in the piece.
        """
        hole = hole_of(self.bars, self.region.start_ticks, self.region.end_ticks, (program,))
        owners = self.piece.notes["track"][self.context.notes["source"]]
        bars = self.context.notes["bar"][np.isin(owners, self.tracks_of[program])]
        near = (bars >= hole.first_bar - _NEAR_BARS) & (bars < hole.end_bar + _NEAR_BARS)
        num_near = min(hole.first_bar, _NEAR_BARS) + min(
            self.context.num_bars - hole.end_bar, _NEAR_BARS
        )
        written = [notes["bar"][notes["program"] == program] for notes in draft.notes]
        if not len(bars):
            return len(np.unique(np.concatenate(written))) < hole.num_bars / 2
        per_bar = float(near.sum()) / max(num_near, 1)
        return sum(map(len, written)) < _FORGOTTEN_SHARE * per_bar * hole.num_bars

    def _tokens_per_bar(self, programs: tuple[int, ...]) -> float:
        """Return how many tokens a bar of these instruments is likely to take."""
        expected = 2.0
        for program in programs:
            mine = self.original.notes["bar"][self.original.notes["program"] == program]
            counts = np.unique(mine, return_counts=True)[1]
            expected += _TOKENS_PER_NOTE * (counts.mean() if len(counts) else _NOTES_PER_BAR)
        return expected

    def run(
        self, stream: tuple[str | int, ...], step: _Pass, drafts: list[_Draft], report: Report
    ) -> None:
        """Write one pass: all candidates as a batch while they share their context.

        Args:
            stream: name of the random stream, the same however many candidates there are.
            step: what is written.
            drafts: the candidates that it is written for.
            report: told of every bar and note.
        """
        shared = all(not draft.notes for draft in drafts)
        batches = [drafts] if shared else [[draft] for draft in drafts]
        for batch in batches:
            names = stream if shared else (*stream, batch[0].number)
            settings = self.settings.model_copy(
                update={"seed": integer(self.settings.seed, *names)}
            )
            for candidate in self._generate(step, batch, settings, report):
                self._take(step, batch[candidate.number], candidate)

    def _generate(
        self, step: _Pass, batch: list[_Draft], settings: SamplingSettings, report: Report
    ) -> Iterator[Candidate]:
        vocabulary, decoder = self.model.vocabulary, self.model.decoder
        grid = batch[0].on(self.context)
        hole, partial = step.hole, step.num_bars < step.hole.num_bars
        reserve = int(1.5 * self._tokens_per_bar(hole.programs) * step.num_bars) + 64
        reserve = min(reserve, int(0.6 * decoder.context_length))
        budget = decoder.context_length - reserve - len(hole.programs) - 8
        grid = _with_fewer_tempos(vocabulary, grid, hole, budget)
        visible = thin(vocabulary, grid, hole, np.ones(len(grid.notes), bool), budget)
        sizes = tokens_per_bar(vocabulary, grid, grid.notes[visible])
        first, end = choose_window(sizes, hole, budget, future=step.has_future)
        seen = view(grid.with_notes(grid.notes[visible]), first, end)
        here = hole.shifted(-first)
        context = context_stream(vocabulary, seen, here, np.zeros(len(seen.notes), bool))
        spec = hole_spec(vocabulary, seen, here)
        spec = replace(spec, limits=self._limits(hole.programs))
        if partial:
            limit = int(vocabulary.bar_positions[spec.signatures[step.num_bars - 1]])
            spec = replace(
                spec,
                signatures=spec.signatures[: step.num_bars],
                last_position=limit,
                end="bar",
            )
        events = generate_events(
            decoder,
            self.model.grammar,
            self.model.tokenizer.encode_stream(context),
            spec,
            settings=settings,
            num_candidates=len(batch),
        )
        done = (
            step.hole.first_bar
            - hole_of(
                self.bars, self.region.start_ticks, self.region.end_ticks, hole.programs
            ).first_bar
        )
        for event in events:
            report(_renumbered(event, batch, done))
            if isinstance(event, Finished):
                yield event.candidate

    def _limits(self, programs: tuple[int, ...]) -> tuple[Limit | None, ...]:
        """Return the register and the number of voices that each instrument's own tracks keep to.

        Tracks with hardly a note of their own keep to what their instrument usually plays.
        """
        stay = self.piece.notes[~notes_inside(self.piece, self.region)]
        limits: list[Limit | None] = []
        for program in programs:
            tracks, moment = self.tracks_of[program], self.region.start_ticks
            usual = REGISTERS[program] if program != DRUM_PROGRAM else None
            found = habits(stay["pitch"], stay["onset_ticks"], stay["track"], tracks, moment, usual)
            low, high = self._sayable_pitches(program)
            fits = found is not None and found[0] <= high and found[1] >= low
            limits.append(Limit(*found) if found is not None and fits else None)
        return tuple(limits)

    def _sayable_pitches(self, program: int) -> tuple[int, int]:
        vocabulary = self.model.vocabulary
        return vocabulary.drum_pitch_range if program == DRUM_PROGRAM else vocabulary.pitch_range

    def _take(self, step: _Pass, draft: _Draft, candidate: Candidate) -> None:
        """Add the notes of a finished candidate to its draft."""
        notes = parse(self.model.vocabulary, candidate.ids).notes.copy()
        notes["bar"] += step.hole.first_bar
        ranks = program_ranks(self.piece)
        programs = notes["program"].tolist()
        notes["track"] = [ranks.get(program, len(ranks)) for program in programs]
        draft.notes.append(notes)
        draft.owners.append(self._owners(notes))
        draft.note_log_probs.append(candidate.note_log_probs)
        draft.log_prob += candidate.log_prob

    def _owners(self, notes: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the track of each new note."""
        owners = np.zeros(len(notes), np.int64)
        stay = self.piece.notes[~notes_inside(self.piece, self.region)]
        for program, tracks in self.tracks_of.items():
            mine = notes["program"] == program
            if len(tracks) == 1 or not mine.any():
                owners[mine] = tracks[0]
                continue
            registers = centres(
                stay["pitch"], stay["onset_ticks"], stay["track"], tracks, self.region.start_ticks
            )
            moments = self.bars.ticks(notes["bar"][mine], notes["position"][mine])
            owners[mine] = np.array(tracks)[share(moments, notes["pitch"][mine], registers)]
        return owners

    def finish(self, draft: _Draft) -> Filling:
        """Write a draft into the piece."""
        notes, owners = np.concatenate(draft.notes), np.concatenate(draft.owners)
        vocabulary = self.model.vocabulary
        new, places = new_notes(self.piece, self.region, vocabulary, self.bars, notes, owners)
        log_probs = np.concatenate(draft.note_log_probs)[places]
        return filling_of(
            self.piece, self.region, new, log_probs, log_prob=draft.log_prob, number=draft.number
        )


def filling_of(
    piece: Piece,
    region: ResolvedRegion,
    new: NDArray[np.void],
    note_log_probs: Floats,
    *,
    log_prob: float,
    number: int,
) -> Filling:
    """Return the filling that new notes make of a piece; what finds no room is not counted."""
    written, places = fit_notes_with_places(piece, region, new)
    filled = replace_notes(piece, region, new)
    log_probs = note_log_probs[places]
    return Filling(filled, piece, region, len(written), log_prob, number, written, log_probs)


def _note_keys(piece: Piece, notes: NDArray[np.void]) -> NDArray[np.int64]:
    """Return what tells the new notes of a region apart: chunk, channel, pitch and onset."""
    lanes = np.array([track.chunk * CHANNELS + track.channel for track in piece.tracks], np.int64)
    pitches = notes["pitch"].astype(np.int64)
    return (notes["onset_ticks"] << 32) + (lanes[notes["track"]] << 7) + pitches


def _with_fewer_tempos(vocabulary: Vocabulary, grid: Grid, hole: Hole, budget: int) -> Grid:
    """Return the grid with one tempo per bar if those in the hole's bars fill half the budget."""
    bare = tokens_per_bar(vocabulary, grid, grid.notes[:0])[hole.first_bar : hole.end_bar]
    if 2 * int(bare.sum()) <= budget:
        return grid
    _, first = np.unique(grid.tempos["bar"], return_index=True)
    return Grid(grid.signatures, grid.notes, grid.tempos[first])


def new_notes(
    piece: Piece,
    region: ResolvedRegion,
    vocabulary: Vocabulary,
    bars: ModelBars,
    notes: NDArray[np.void],
    owners: NDArray[np.int64],
) -> tuple[NDArray[np.void], NDArray[np.intp]]:
    """Return grid notes as notes of the file: on its ticks, inside the region, in its dynamics.

    Args:
        piece: the piece they go into.
        region: they start inside and are cut at its end.
        vocabulary: of the grid.
        bars: of the grid.
        notes: on the grid, bars counted from the piece's start.
        owners: track of every note. Shape ``notes``.

    Returns:
        The notes that lie inside the region, and the place of each among the `notes`.
    """
    new = np.zeros(len(notes), NEW_NOTE_FIELDS)
    new["track"], new["pitch"] = owners, notes["pitch"]
    onsets = bars.ticks(notes["bar"], notes["position"])
    new["onset_ticks"] = np.maximum(onsets, region.start_ticks)
    lengths = vocabulary.duration_positions[notes["duration"]]
    ticks = np.rint(lengths * bars.ticks_per_position[notes["bar"]]).astype(np.int64)
    room = region.end_ticks - new["onset_ticks"]
    new["duration_ticks"] = np.clip(ticks, 1, np.maximum(room, 1))
    new["velocity"] = _velocities(piece, region, vocabulary, owners, notes["velocity"])
    inside = (room > 0) & (notes["position"] < bars.limits[notes["bar"]])
    return new[inside], np.flatnonzero(inside)


def _velocities(
    piece: Piece,
    region: ResolvedRegion,
    vocabulary: Vocabulary,
    owners: NDArray[np.int64],
    indices: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return velocities as the track itself uses them.

    A track whose other notes all have one velocity keeps it; else a velocity bin stands for the median
    of the track's own velocities in that bin, or its centre where there are none.
    """
    source = piece.notes
    kept = ~notes_inside(piece, region)
    bins = vocabulary.velocities
    result = bins[indices].copy()
    for track in np.unique(owners):
        own = source["velocity"][kept & (source["track"] == track)].astype(np.int64)
        if not len(own):
            continue
        nearest = np.abs(own[:, None] - bins).argmin(axis=1)
        medians = [np.median(own[nearest == n]) if n in nearest else b for n, b in enumerate(bins)]
        flat = len(np.unique(own)) == 1
        mine = owners == track
        result[mine] = own[0] if flat else np.rint(np.array(medians)[indices[mine]])
    return np.clip(result, 1, 127)


def tracks_by_program(piece: Piece, region: ResolvedRegion) -> dict[int, tuple[int, ...]]:
    """Return the tracks of a region by the program they play, programs in rank order."""
    found: dict[int, tuple[int, ...]] = {}
    for track in region.tracks:
        program = _program_of_region(piece, track, region)
        found[program] = (*found.get(program, ()), track)
    ranks = program_ranks(piece)
    return {program: found[program] for program in sorted(found, key=lambda p: ranks[p])}


def _check_programs(vocabulary: Vocabulary, tracks_of: dict[int, tuple[int, ...]]) -> None:
    """Raise SettingError for instruments that the tokenizer has not."""
    unknown = [program for program in tracks_of if program not in vocabulary.program_index]
    if unknown:
        raise SettingError(
            f"The model's tokenizer has no instrument {', '.join(map(str, unknown))} (-1 is drums). "
            "Name other tracks, or use a bundle that was trained with them."
        )


def _program_of_region(piece: Piece, track: int, region: ResolvedRegion) -> int:
    """Return the program of most notes of a track in a region, -1 for drums.

    Where it has no notes there, that of the last note before, else of the first one behind.
    """
    if piece.tracks[track].is_drum:
        return DRUM_PROGRAM
    mine = piece.notes[piece.notes["track"] == track]
    if not len(mine):
        return piece.tracks[track].program
    first, end = np.searchsorted(mine["onset_ticks"], (region.start_ticks, region.end_ticks))
    if first < end:
        return int(np.bincount(mine["program"][first:end]).argmax())
    return int(mine["program"][max(first - 1, 0)])


def _renumbered(event: Event, batch: list[_Draft], bars_done: int) -> Event:
    """Return an event with the candidate's own number and bars counted from the region's start."""
    if isinstance(event, Finished):
        number = batch[event.candidate.number].number
        return Finished(replace(event.candidate, number=number))
    number = batch[event.candidate].number
    if isinstance(event, BarStarted):
        return BarStarted(number, event.bar + bars_done)
    assert isinstance(event, NoteWritten)
    return replace(event, candidate=number, bar=event.bar + bars_done)
