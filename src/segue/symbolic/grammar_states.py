"""Places in a token stream: what was written last, and the few numbers that decide what may follow.

A state's mask is a row of the tables, narrowed by slices: no loop over the vocabulary.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np

from segue.errors import SettingError
from segue.symbolic.grammar_merges import HoleMerges, MergedTables
from segue.symbolic.grammar_tables import Mask, TokenTables
from segue.symbolic.vocabulary import TokenType, Vocabulary

_T = TokenType
_FAR = np.iinfo(np.int32).max


class Limit(NamedTuple):
    """What an instrument keeps to in a hole: its register and how many notes it begins at once.

    Attributes:
        lowest: lowest MIDI pitch.
        highest: highest MIDI pitch, included.
        voices: most notes at one onset.
    """

    lowest: int
    highest: int
    voices: int


@dataclass(frozen=True)
class HoleSpec:
    """What a hole must be filled with.

    Attributes:
        signatures: time-signature index of each bar of the hole.
        first_position: onsets of the first bar are at this grid position or later.
        last_position: onsets of the last bar are before this grid position.
        programs: instruments allowed, in rank order (-1 drums).
        start_time: start of the first bar in the vocabulary's time units.
        end: ``eos`` where the model writes EOS behind the last bar; ``bar`` where it goes on with the
            next bar, whose Bar token then ends the hole (models without an infilling objective).
        limits: for every instrument what it keeps to, or None; empty for no limits at all.

    Raises:
        SettingError: no bar, no instrument, an instrument twice, or an empty span.
    """

    signatures: tuple[int, ...]
    first_position: int
    last_position: int
    programs: tuple[int, ...]
    start_time: int = 0
    end: Literal["eos", "bar"] = "eos"
    limits: tuple[Limit | None, ...] = ()

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise SettingError(f"A hole {problem}: {self}.")

    def _problem(self) -> str | None:
        """Return what is wrong, in words."""
        one_bar = len(self.signatures) == 1
        problems = {
            "needs a bar at least": not self.signatures,
            "needs an instrument at least": not self.programs,
            "names an instrument twice": len(set(self.programs)) < len(self.programs),
            "has a negative position or time": min(
                self.first_position, self.last_position, self.start_time
            )
            < 0,
            "must end after it starts": one_bar and self.first_position >= self.last_position,
            "needs a limit, or None, for each instrument": bool(self.limits)
            and len(self.limits) != len(self.programs),
            "has a limit that no note can keep": any(
                limit and (limit.lowest > limit.highest or limit.voices < 1)
                for limit in self.limits
            ),
        }
        return next((problem for problem, found in problems.items() if found), None)


class State(ABC):
    """A place in a stream: what was written last and the few numbers that matter.

    Attributes:
        grammar: the tables.
        last: type of the last base token; PAD at the start, SEP is not stored.
        bar: index of the bar under way, -1 before the first.
        position: last grid position in this bar, -1 before the first.
        pitch: last pitch index of the instrument under way in this onset, -1 before the first.
        time: musical time of the token just taken, in time units; of a merged token's last part.
        num_notes: notes finished so far.
        done: whether the end token was taken.
    """

    __slots__ = (
        "bar",
        "bar_time",
        "done",
        "grammar",
        "last",
        "num_notes",
        "pitch",
        "position",
        "time",
    )

    def __init__(self, grammar: TokenTables, start_time: int) -> None:
        self.grammar = grammar
        self.last = _T.PAD
        self.bar = self.position = self.pitch = -1
        self.time = self.bar_time = start_time
        self.num_notes = 0
        self.done = False

    def __str__(self) -> str:
        what = "the start" if self.last is _T.PAD else self.last.name
        return f"{what} (bar {self.bar}, position {self.position}, pitch index {self.pitch})"

    @abstractmethod
    def copy(self) -> Self:
        """Return an independent state at the same place."""

    def mask(self, *, closing: bool = False) -> Mask:
        """Return which token may follow. Shape ``vocab``.

        Args:
            closing: allow only what ends the stream soonest (the note is finished, and every bar is
                still given). Merged tokens are left out then.
        """
        if self.done:
            return np.zeros(self.grammar.size, bool)
        base = self._base_mask(closing=closing)
        if len(base) == self.grammar.size:
            return base
        mask = np.zeros(self.grammar.size, bool)
        mask[: len(base)] = base
        if not closing:
            mask[len(base) :] = self._merged_mask(base)
        return mask

    @abstractmethod
    def _base_mask(self, *, closing: bool) -> Mask:
        """Return which base token may follow. Shape ``base``."""

    @abstractmethod
    def _merged_mask(self, base: Mask) -> Mask | Literal[False]:
        """Return which merged token may follow, given what base token may; False for none."""

    @property
    @abstractmethod
    def tokens_to_end(self) -> int:
        """Fewest base tokens that still end the stream: what `closing` takes."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the stream may stop here."""

    def advance(self, token: int) -> None:
        """Take a token. It must be one that `mask` allows; this is not checked again."""
        for part in self.grammar.parts(token):
            if not self.done:
                self.take(part)

    @abstractmethod
    def take(self, part: int) -> None:
        """Take one base token, without a check."""

    def _take_note_part(self, kind: TokenType, value: int) -> None:
        """Take what has no numbers of its own besides the pitch."""
        if kind is _T.PITCH or kind is _T.PITCH_DRUM:
            self.pitch = value
        elif kind is _T.DURATION:
            self.num_notes += 1

    def _limit_positions(self, mask: Mask, low: int, high: int) -> None:
        """Forbid positions below `low` and from `high` on."""
        span = self.grammar.spans[_T.POSITION]
        mask[span.start : span.start + max(low, self.position + 1)] = False
        mask[span.start + high : span.stop] = False

    def _limit_pitches(self, mask: Mask, kind: TokenType) -> None:
        """Allow the higher pitches of one kind only."""
        mask[:] = False
        span = self.grammar.spans[kind]
        mask[span.start + self.pitch + 1 : span.stop] = True


class HolePlan:
    """What all states of one hole share.

    Args:
        grammar: the tables of the vocabulary.
        spec: what is asked for.
        merged: tables of the merged tokens, where there are any.

    Raises:
        SettingError: the hole asks for bars or instruments that the vocabulary has not.
    """

    def __init__(
        self, grammar: TokenTables, spec: HoleSpec, merged: MergedTables | None = None
    ) -> None:
        vocabulary = grammar.vocabulary
        unknown = [p for p in spec.programs if p not in vocabulary.program_index]
        if unknown:
            raise SettingError(
                f"The tokenizer has no instrument {', '.join(map(str, unknown))}. Ask for others, or "
                "use a bundle that was trained with them."
            )
        if not all(0 <= s < len(vocabulary.signatures) for s in spec.signatures):
            raise SettingError(
                f"The tokenizer has {len(vocabulary.signatures)} time signatures; the hole asks for "
                f"numbers {spec.signatures}."
            )
        self.spec = spec
        self.grammar = grammar
        self.num_bars = len(spec.signatures)
        self.ends_with_bar = spec.end == "bar"
        self.end_token = grammar.first[_T.BAR] if self.ends_with_bar else vocabulary.id("EOS_None")
        indices = [vocabulary.program_index[program] for program in spec.programs]
        self.ranks = {index: rank for rank, index in enumerate(indices)}
        self.pitch_kinds = [grammar.pitch_kinds[index] for index in indices]
        self.tops = [grammar.top[kind] for kind in self.pitch_kinds]
        self.bottoms = [0] * len(indices)
        self.voices = [_FAR] * len(indices)
        self._keep_to_limits(vocabulary)
        self.program_ids = np.array(indices) + grammar.first[_T.PROGRAM]
        self.program_row = np.zeros(grammar.num_base, bool)
        self.program_row[self.program_ids] = True
        self._count_time(vocabulary)
        self.rows = self._rows()
        self.merges = None if merged is None else self._merges(merged)

    def _keep_to_limits(self, vocabulary: Vocabulary) -> None:
        """Store lowest and highest pitch index and the number of voices of every instrument."""
        for rank, limit in enumerate(self.spec.limits):
            if limit is None:
                continue
            drums = self.pitch_kinds[rank] is _T.PITCH_DRUM
            first = (vocabulary.drum_pitch_range if drums else vocabulary.pitch_range)[0]
            top = min(self.tops[rank], limit.highest - first)
            bottom = max(0, limit.lowest - first)
            if bottom > top:
                raise SettingError(f"The tokenizer has no pitch within the limit {limit}.")
            self.bottoms[rank], self.tops[rank], self.voices[rank] = bottom, top, limit.voices

    def _merges(self, merged: MergedTables) -> HoleMerges:
        return HoleMerges(
            merged,
            signatures=self.spec.signatures,
            lows=self.lows,
            highs=self.highs,
            ranks=self.ranks,
            bottoms=self.bottoms,
            tops=self.tops,
            voices=self.voices,
            ends_with_bar=self.ends_with_bar,
        )

    def _count_time(self, vocabulary: Vocabulary) -> None:
        """Store positions, units and start of every bar; ``bar_times`` has the end as well."""
        signatures = np.array(self.spec.signatures)
        lengths = vocabulary.bar_positions[signatures]
        units = vocabulary.units_per_position[signatures]
        self.units: list[int] = units.tolist()
        self.bar_times: list[int] = (
            self.spec.start_time + np.concatenate([[0], np.cumsum(lengths * units)])
        ).tolist()
        self.lows = [0] * self.num_bars
        self.highs: list[int] = lengths.tolist()
        self.lows[0] = min(self.spec.first_position, self.highs[0])
        self.highs[-1] = min(self.spec.last_position, self.highs[-1])

    def _rows(self) -> dict[TokenType, Mask]:
        """Return the grammar's rows with the programs narrowed to those asked for."""
        rows = {kind: row.copy() for kind, row in self.grammar.hole_rows.items()}
        span = self.grammar.spans[_T.PROGRAM]
        for row in rows.values():
            row[span] &= self.program_row[span]
            if self.ends_with_bar and _T.EOS in self.grammar.first:
                row[self.grammar.first[_T.EOS]] = False
        return rows


class HoleState(State):
    """A place in a hole.

    Attributes:
        plan: what is asked for.
        rank: rank of the instrument under way in this onset.
        count: notes that this instrument has begun at this onset.
    """

    __slots__ = ("count", "plan", "rank")

    def __init__(self, plan: HolePlan) -> None:
        super().__init__(plan.grammar, plan.spec.start_time)
        self.plan = plan
        self.rank = self.count = 0

    def copy(self) -> Self:
        """Return an independent state at the same place."""
        twin = type(self).__new__(type(self))
        for name in (*State.__slots__, *HoleState.__slots__):
            setattr(twin, name, getattr(self, name))
        return twin

    @property
    def tokens_to_end(self) -> int:
        """Fewest base tokens that still end the hole: what `closing` takes."""
        if self.done:
            return 0
        bars_left = self.plan.num_bars - 1 - self.bar
        unsigned = int(self.last is _T.BAR)
        return self.grammar.note_costs[self.last] + unsigned + 2 * bars_left + 1

    @property
    def complete(self) -> bool:
        """Whether the end token was taken."""
        return self.done

    def _base_mask(self, *, closing: bool) -> Mask:
        plan, last = self.plan, self.last
        mask: Mask = plan.rows[last].copy()
        if last is _T.DURATION or last is _T.TIME_SIG:
            self._limit_event(mask, closing=closing)
        elif last is _T.PROGRAM:
            kind = plan.pitch_kinds[self.rank]
            self._limit_pitches(mask, kind)
            start = self.grammar.spans[kind].start
            mask[start : start + plan.bottoms[self.rank]] = False
            mask[start + plan.tops[self.rank] + 1 : self.grammar.spans[kind].stop] = False
        elif last is _T.BAR:
            mask[:] = False
            mask[self.grammar.first[_T.TIME_SIG] + plan.spec.signatures[self.bar]] = True
        return mask

    def _merged_mask(self, base: Mask) -> Mask | Literal[False]:
        if self.plan.merges is None:
            return False
        most = self.plan.voices[self.rank]
        return self.plan.merges.mask(
            base,
            bar=self.bar,
            position=self.position,
            rank=self.rank,
            pitch=self.pitch,
            pitch_is_next=self.last is _T.PROGRAM,
            voices_left=None if most == _FAR else most - self.count,
        )

    def _limit_event(self, mask: Mask, *, closing: bool) -> None:
        """Narrow what may begin where no note is under way: program, position, bar or end."""
        plan = self.plan
        if closing:
            mask[:] = False
        else:
            full = self.count >= plan.voices[self.rank] or self.pitch >= plan.tops[self.rank]
            next_rank = self.rank + full
            mask[plan.program_ids[:next_rank]] = False
            self._limit_positions(mask, plan.lows[self.bar], plan.highs[self.bar])
        is_last = self.bar == plan.num_bars - 1
        mask[self.grammar.first[_T.BAR]] = plan.ends_with_bar or not is_last
        if not plan.ends_with_bar:
            mask[plan.end_token] = is_last

    def take(self, part: int) -> None:
        """Take one base token, without a check."""
        plan, kind, value = self.plan, self.grammar.kinds[part], self.grammar.values[part]
        self.last = kind
        if kind is _T.BAR or kind is _T.EOS:
            self.bar += 1
            self.done = self.bar == plan.num_bars
            self.time = self.bar_time = plan.bar_times[self.bar]
            self.position = -1
        elif kind is _T.POSITION:
            self.position = value
            self.time = self.bar_time + value * plan.units[self.bar]
            self.rank, self.pitch, self.count = 0, -1, 0
        elif kind is _T.PROGRAM:
            rank = plan.ranks[value]
            if rank != self.rank:
                self.rank, self.pitch, self.count = rank, -1, 0
        else:
            self.count += kind is _T.PITCH or kind is _T.PITCH_DRUM
            self._take_note_part(kind, value)


class FreeState(State):
    """A place in a whole piece.

    Attributes:
        program: index of the instrument under way in this onset, -1 before the first.
        seen: token ids of the instruments that this onset had, the one under way included.
        length: grid positions of the bar under way.
        units: time units of a grid position of the bar under way.
        merged: tables of the merged tokens, where there are any.
    """

    __slots__ = ("length", "merged", "program", "seen", "units")

    def __init__(
        self, grammar: TokenTables, start_time: int, merged: MergedTables | None = None
    ) -> None:
        super().__init__(grammar, start_time)
        self.merged = merged
        self.program = -1
        self.seen: list[int] = []
        self.length = self.units = 0

    def copy(self) -> Self:
        """Return an independent state at the same place."""
        twin = type(self).__new__(type(self))
        for name in (*State.__slots__, *FreeState.__slots__):
            setattr(twin, name, getattr(self, name))
        twin.seen = list(self.seen)
        return twin

    @property
    def tokens_to_end(self) -> int:
        """Fewest base tokens that still end the piece: what `closing` takes."""
        if self.done:
            return 0
        before = 2 if self.bar < 0 else int(self.last is _T.BAR)
        return self.grammar.note_costs[self.last] + before + 1

    @property
    def complete(self) -> bool:
        """Whether no note and no bar is left half written."""
        return self.last in (_T.TIME_SIG, _T.TEMPO, _T.DURATION, _T.EOS)

    def _base_mask(self, *, closing: bool) -> Mask:
        grammar, last = self.grammar, self.last
        mask: Mask = grammar.free_rows[last].copy()
        if closing and self.complete:
            return self._only_end(mask)
        if self.complete:
            self._limit_positions(mask, 0, self.length)
            if self.pitch >= 0:
                self._limit_programs(mask)
        elif last is _T.PROGRAM:
            self._limit_pitches(mask, grammar.pitch_kinds[self.program])
        elif last is _T.POSITION and closing:
            mask[grammar.spans.get(_T.TEMPO, slice(0))] = False
        return mask

    def _merged_mask(self, base: Mask) -> Mask | Literal[False]:
        if self.merged is None:
            return False
        first = self.grammar.first[_T.PROGRAM]
        return self.merged.free.mask(
            base,
            position=self.position,
            length=self.length if self.last is not _T.BAR else int(_FAR),
            program=self.program,
            pitch=-1 if self.last is _T.PROGRAM else self.pitch,
            seen=[token - first for token in self.seen],
        )

    def _only_end(self, mask: Mask) -> Mask:
        """Leave EOS; without such a token, what may follow stays as it is."""
        end = self.grammar.spans.get(_T.EOS)
        if end is not None:
            mask[:] = False
            mask[end] = True
        return mask

    def _limit_programs(self, mask: Mask) -> None:
        """Forbid the instruments that this onset had, but for the last one if it can go higher."""
        mask[self.seen] = False
        kind = self.grammar.pitch_kinds[self.program]
        mask[self.seen[-1]] = self.pitch < self.grammar.top[kind]

    def take(self, part: int) -> None:
        """Take one base token, without a check."""
        kind, value = self.grammar.kinds[part], self.grammar.values[part]
        self.last = kind
        if kind is _T.BAR:
            self.bar += 1
            self.bar_time += self.length * self.units
            self.time, self.position = self.bar_time, -1
        elif kind is _T.TIME_SIG:
            vocabulary = self.grammar.vocabulary
            self.length = int(vocabulary.bar_positions[value])
            self.units = int(vocabulary.units_per_position[value])
            self._clear_onset()
        elif kind is _T.POSITION:
            self.position = value
            self.time = self.bar_time + value * self.units
            self._clear_onset()
        elif kind is _T.PROGRAM:
            if value != self.program:
                self.program, self.pitch = value, -1
                self.seen.append(self.grammar.first[_T.PROGRAM] + value)
        elif kind is _T.EOS:
            self.done = True
            self.time = self.bar_time + self.length * self.units
        else:
            self._take_note_part(kind, value)

    def _clear_onset(self) -> None:
        self.program = self.pitch = -1
        self.seen = []
