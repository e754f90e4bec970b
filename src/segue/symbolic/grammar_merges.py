"""Where merged (BPE) tokens are legal, exactly and for all of them at once.

A merged token is legal where all its parts are, one after the other. Of this,

- what depends on the token alone (types that follow each other, ascending positions) is computed once
  per tokenizer;
- what depends on the hole (bars, signatures, instruments and their order) once per bar of the hole;
- what depends on the state is the token's first part, which the mask of base tokens answers, its first
  position, and its first notes as far as they belong to the onset under way: comparisons of one number
  per merged token, and one more where the instrument under way may begin so many notes only.

Parts before the first Position or Bar of a token are called its *head*. Tokens that hold EOS or
another special token but BOS, and tokens without parts (the mark that MidiTok's tokenizers put before a
bar), are never legal.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.grammar_tables import Mask, TokenTables
from segue.symbolic.vocabulary import TokenType

_T = TokenType
_FAR = np.iinfo(np.int32).max
_PITCHES = 256
_NEVER_MERGED = (_T.PAD, _T.EOS, _T.SEP, _T.HOLE, _T.OTHER)

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Programs:
    """The Program parts of all merged tokens, in order.

    Attributes:
        places: their places among all parts.
        programs: index of the instrument.
        pitches: pitch index of the note; the highest there is where the token ends with Program, since
            a higher pitch must be left.
        ends: whether the token ends with Program, the pitch being left.
        follows: whether the same onset of the same token has a Program part just before.
        turns: how many of the notes that its instrument begins in a row at this onset of this token it
            is, from 1 on.
        runs: how many there are in this row.
    """

    places: Ints
    programs: Ints
    pitches: Ints
    ends: Mask
    follows: Mask
    turns: Ints
    runs: Ints


class MergedTables:
    """What is known of merged tokens without a hole.

    Attributes:
        tables: tables of the base tokens.
        num_tokens: number of merged tokens.
        has_parts: whether each stands for anything. Shape ``merged``.
        first_parts: first base token of each. Shape ``merged``.
        leads: whether the first part is a pitch. Shape ``merged``.
        lead_pitch: its pitch index where the first part is a pitch, else 0. Shape ``merged``.
        first_position: first position before any bar, or a very large number. Shape ``merged``.
        starts: place of each token's first part. Shape ``merged``.
        token: which merged token each part belongs to. Shape ``parts``.
        parts: base token. Shape ``parts``.
        kinds: type of each part. Shape ``parts``.
        values: index of each part within its type. Shape ``parts``.
        bars: bars begun within the token up to each part, itself included. Shape ``parts``.
        onsets: positions and bars begun within the token up to each part. Shape ``parts``.
    """

    def __init__(self, tables: TokenTables) -> None:
        self.tables = tables
        lengths = np.array([len(parts) for parts in tables.expansions])
        self.num_tokens = len(lengths)
        self.token = np.repeat(np.arange(self.num_tokens), lengths)
        self.parts = np.array(list(chain.from_iterable(tables.expansions)))
        self.has_parts = lengths > 0
        self.starts = np.minimum(np.cumsum(lengths) - lengths, len(self.parts) - 1)
        self.kinds = tables.vocabulary.types[self.parts].astype(np.int64)
        self.values = tables.vocabulary.index[self.parts].astype(np.int64)
        self.bars = self._count(self.kinds == _T.BAR)
        self.onsets = self._count((self.kinds == _T.BAR) | (self.kinds == _T.POSITION))
        self.first_parts = self.parts[self.starts]
        first_kinds = self.kinds[self.starts]
        self.leads = (first_kinds == _T.PITCH) | (first_kinds == _T.PITCH_DRUM)
        self.lead_pitch = np.where(self.leads, self.values[self.starts], 0)
        self.first_position = self._first_of(
            np.flatnonzero((self.kinds == _T.POSITION) & (self.bars == 0)), self.values, _FAR
        )

    def _count(self, events: Mask) -> Ints:
        """Count events within each token, up to each part."""
        total = np.cumsum(events)
        before: Ints = (total - events)[self.starts]
        return total - before[self.token]

    def _first_of(self, places: Ints, values: Ints, default: int) -> Ints:
        """Return per merged token the value at its first place, or the default."""
        result = np.full(self.num_tokens, default, np.int64)
        result[self.token[places[::-1]]] = values[places[::-1]]
        return result

    @cached_property
    def programs(self) -> _Programs:
        """The Program parts."""
        places = np.flatnonzero(self.kinds == _T.PROGRAM)
        programs, ends = self.values[places], self._is_end[places]
        tops = np.array([self.tables.top[kind] for kind in self.tables.pitch_kinds])
        pitches = tops[programs]
        pitches[~ends] = self.values[places[~ends] + 1]
        follows = np.zeros(len(places), bool)
        follows[1:] = self._same(places[1:], places[:-1], self.onsets)
        goes_on = follows.copy()
        goes_on[1:] &= programs[1:] == programs[:-1]
        firsts = np.flatnonzero(~goes_on)
        run = np.cumsum(~goes_on) - 1
        turns = np.arange(1, len(places) + 1) - firsts[run]
        runs = np.bincount(run)[run] if len(run) else run
        return _Programs(places, programs, pitches, ends, follows, turns, runs)

    @cached_property
    def _is_end(self) -> Mask:
        """Which parts are the last of their token."""
        ends = np.ones(len(self.token), bool)
        ends[:-1] = self.token[1:] != self.token[:-1]
        return ends

    def _same(self, places: Ints, others: Ints, group: Ints) -> Mask:
        """Return whether parts belong to the same token and the same group within it."""
        same_token = self.token[places] == self.token[others]
        return same_token & (group[places] == group[others])

    def wrong_places(self, rows: dict[TokenType, Mask]) -> Ints:
        """Return the parts that may not stand where they stand, whatever the state.

        Args:
            rows: base tokens that may follow each type.
        """
        table = np.zeros((len(TokenType), self.tables.num_base), bool)
        for kind, row in rows.items():
            table[kind] = row
        wrong = np.isin(self.kinds, _NEVER_MERGED)
        wrong[1:] |= ~table[self.kinds[:-1], self.parts[1:]] & ~self._is_end[:-1]
        pitch_kinds = np.array([int(kind) for kind in self.tables.pitch_kinds])
        programs = self.programs.places
        sounding = programs[~self._is_end[programs]]
        wrong[sounding + 1] |= self.kinds[sounding + 1] != pitch_kinds[self.values[sounding]]
        positions = np.flatnonzero(self.kinds == _T.POSITION)
        later, earlier = positions[1:], positions[:-1]
        backwards = self._same(later, earlier, self.bars)
        wrong[later] |= backwards & (self.values[later] <= self.values[earlier])
        return np.flatnonzero(wrong)

    def legal_without(self, wrong: Ints) -> Mask:
        """Return which merged tokens have none of the given parts. Shape ``merged``."""
        legal = self.has_parts.copy()
        legal[self.token[wrong]] = False
        return legal

    def heads(self, values: Ints, default: int) -> Ints:
        """Return per merged token a value of the first note of its head, or the default.

        Args:
            values: one per Program part.
            default: for tokens whose head begins no note.
        """
        by_place = np.zeros(len(self.token), np.int64)
        by_place[self.programs.places] = values
        in_head = self.programs.places[self.onsets[self.programs.places] == 0]
        return self._first_of(in_head, by_place, default)

    @cached_property
    def free(self) -> "FreeMerges":
        """What whole pieces need to know."""
        return FreeMerges(self)


class HoleMerges:
    """Merged tokens in one hole.

    Args:
        merged: what is known without a hole.
        signatures: signature index of every bar.
        lows: lowest position of every bar.
        highs: end of the positions of every bar.
        ranks: rank of every instrument asked for, by its index.
        bottoms: lowest pitch index of every rank.
        tops: highest pitch index of every rank.
        voices: most notes at one onset of every rank.
        ends_with_bar: whether the Bar token behind the last bar ends the hole.
    """

    def __init__(
        self,
        merged: MergedTables,
        *,
        signatures: tuple[int, ...],
        lows: list[int],
        highs: list[int],
        ranks: dict[int, int],
        bottoms: list[int],
        tops: list[int],
        voices: list[int],
        ends_with_bar: bool,
    ) -> None:
        self._merged = merged
        self._signatures = np.array(signatures)
        self._lows, self._highs = np.array(lows), np.array(highs)
        self._ends_with_bar = ends_with_bar
        by_index = np.full(len(merged.tables.pitch_kinds), -1)
        by_index[list(ranks)] = list(ranks.values())
        programs = merged.programs
        ranked = by_index[programs.programs]
        lowest, highest = np.array(bottoms)[ranked], np.array(tops)[ranked]
        pitches = np.where(programs.ends, highest, programs.pitches)
        keys = ranked * _PITCHES + pitches
        wrong = (keys < 0) | (pitches < lowest) | (pitches > highest)
        wrong |= programs.turns > np.array(voices)[ranked]
        wrong[1:] |= programs.follows[1:] & (keys[1:] <= keys[:-1])
        self._first_key = merged.heads(keys, _FAR)
        self._first_key_behind_pitch = self._first_key - merged.lead_pitch
        self._first_rank = merged.heads(ranked, -1)
        self._wrong = np.concatenate(
            [merged.wrong_places(merged.tables.hole_rows), programs.places[wrong]]
        )
        self._by_bar: dict[int, Mask] = {}
        self._begun: dict[int, Ints] = {}

    def mask(
        self,
        base: Mask,
        *,
        bar: int,
        position: int,
        rank: int,
        pitch: int,
        pitch_is_next: bool,
        voices_left: int | None,
    ) -> Mask:
        """Return which merged tokens may follow. Shape ``merged``.

        Args:
            base: which base tokens may follow.
            bar: the bar under way.
            position: the position under way.
            rank: of the instrument under way.
            pitch: its last pitch index.
            pitch_is_next: whether Program was written last.
            voices_left: how many notes the instrument may still begin at this onset, the one whose
                pitch is next among them; None where this is not limited.
        """
        merged = self._merged
        mask: Mask = base[merged.first_parts] & self._legal_in(bar)
        mask &= merged.first_position > position
        if pitch_is_next:
            mask &= self._first_key_behind_pitch > rank * _PITCHES
        else:
            mask &= self._first_key > rank * _PITCHES + pitch
        if voices_left is not None:
            mask &= self._begun_by(rank) <= voices_left
        return mask

    def _begun_by(self, rank: int) -> Ints:
        """Return how many notes of the instrument under way each token begins. Shape ``merged``."""
        if rank not in self._begun:
            merged = self._merged
            runs = merged.heads(merged.programs.runs, 0)
            self._begun[rank] = merged.leads + np.where(self._first_rank == rank, runs, 0)
        return self._begun[rank]

    def _legal_in(self, bar: int) -> Mask:
        """Return which merged tokens agree with the bars of the hole. Shape ``merged``."""
        if bar not in self._by_bar:
            self._by_bar[bar] = self._compare(bar)
        return self._by_bar[bar]

    def _compare(self, bar: int) -> Mask:
        merged, num_bars = self._merged, len(self._signatures)
        bars = bar + merged.bars
        known = np.clip(bars, 0, num_bars - 1)
        values, kinds = merged.values, merged.kinds
        wrong = (kinds == _T.TIME_SIG) & (values != self._signatures[known])
        outside = (values < self._lows[known]) | (values >= self._highs[known])
        wrong |= (kinds == _T.POSITION) & outside
        wrong[self._wrong] = True
        if self._ends_with_bar:
            wrong &= (bars < num_bars) | ((bars == num_bars) & (kinds == _T.BAR))
        else:
            wrong |= bars >= num_bars
        return merged.legal_without(np.flatnonzero(wrong))


class FreeMerges:
    """Merged tokens in whole pieces.

    Args:
        merged: what is known without a state.
    """

    def __init__(self, merged: MergedTables) -> None:
        self._merged = merged
        programs = merged.programs
        wrong = [merged.wrong_places(merged.tables.free_rows), self._unordered()]
        own_length, stated = self._lengths()
        positions = np.flatnonzero(merged.kinds == _T.POSITION)
        values = merged.values[positions]
        wrong.append(positions[stated[positions] & (values >= own_length[positions])])
        self._legal = merged.legal_without(np.concatenate(wrong))
        unstated = positions[~stated[positions]]
        self._last_position = np.full(merged.num_tokens, -1)
        np.maximum.at(self._last_position, merged.token[unstated], merged.values[unstated])
        self._first_program = merged.heads(programs.programs, -1)
        self._first_pitch = merged.heads(programs.pitches, _FAR)
        in_head = merged.onsets[programs.places] == 0
        self._in_head = np.zeros((len(merged.tables.pitch_kinds), merged.num_tokens), bool)
        self._in_head[programs.programs[in_head], merged.token[programs.places[in_head]]] = True

    def _unordered(self) -> Ints:
        """Return Program parts that come back in their onset, or whose pitch does not ascend."""
        merged, programs = self._merged, self._merged.programs
        same = np.zeros(len(programs.places), bool)
        same[1:] = programs.follows[1:] & (programs.programs[1:] == programs.programs[:-1])
        falls = np.zeros(len(same), bool)
        falls[1:] = same[1:] & (programs.pitches[1:] <= programs.pitches[:-1])
        runs = np.flatnonzero(~same)
        places = programs.places[runs]
        labels = np.stack([merged.token[places], merged.onsets[places], programs.programs[runs]])
        _, firsts = np.unique(labels, axis=1, return_index=True)
        again = np.ones(len(runs), bool)
        again[firsts] = False
        return np.concatenate([programs.places[falls], places[again]])

    def _lengths(self) -> tuple[Ints, Mask]:
        """Return the length of each part's bar in positions, and whether the token states it."""
        merged = self._merged
        is_signature = merged.kinds == _T.TIME_SIG
        last = np.maximum.accumulate(np.where(is_signature, np.arange(len(is_signature)), -1))
        at = np.maximum(last, 0)
        stated = (last >= 0) & (merged.token[at] == merged.token)
        lengths = merged.tables.vocabulary.bar_positions
        return lengths[np.where(is_signature[at], merged.values[at], 0)], stated

    def mask(
        self, base: Mask, *, position: int, length: int, program: int, pitch: int, seen: list[int]
    ) -> Mask:
        """Return which merged tokens may follow. Shape ``merged``.

        Args:
            base: which base tokens may follow.
            position: the position under way.
            length: positions of the bar under way.
            program: the instrument under way, -1 where the onset has none yet.
            pitch: its last pitch index; -1 where the pitch comes next.
            seen: instruments of this onset, `program` included.
        """
        merged = self._merged
        mask: Mask = base[merged.first_parts] & self._legal
        mask &= merged.first_position > position
        mask &= self._last_position < length
        if program >= 0:
            goes_on = self._first_program == program
            lowest = np.maximum(merged.lead_pitch, pitch)
            mask &= ~goes_on | (self._first_pitch > lowest)
            mask &= goes_on | ~self._in_head[program]
            before = [other for other in seen if other != program]
            if before:
                mask &= ~self._in_head[before].any(axis=0)
        return mask
