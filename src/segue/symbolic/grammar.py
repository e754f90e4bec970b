"""The grammar of token streams: which token may follow, shared by encoder, sampler and tests.

Two automata over the same table of token types:

- the *hole*: what an infilling model writes behind SEP. Exactly the bars asked for, onsets inside the
  span, the instruments asked for, within an onset strictly ascending (rank of the program, pitch);
- the *free* grammar: whole pieces as MidiTok's REMI writes them, tempos included.

Bounds are such that every state has a legal token (no dead ends), and such that every path reaches its
end: positions, programs and pitches only ascend, and bars are counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import SettingError
from segue.symbolic.vocabulary import DRUM_PROGRAM, TokenType, Vocabulary

Mask = NDArray[np.bool_]

_T = TokenType
_EVENT_END = (_T.PROGRAM, _T.POSITION, _T.BAR, _T.EOS)

FREE_FOLLOWERS: Mapping[TokenType, tuple[TokenType, ...]] = {
    _T.PAD: (_T.BOS, _T.BAR),
    _T.BOS: (_T.BAR,),
    _T.BAR: (_T.TIME_SIG,),
    _T.TIME_SIG: (_T.POSITION, _T.BAR, _T.EOS),
    _T.POSITION: (_T.TEMPO, _T.PROGRAM),
    _T.TEMPO: _EVENT_END,
    _T.PROGRAM: (_T.PITCH, _T.PITCH_DRUM),
    _T.PITCH: (_T.VELOCITY,),
    _T.PITCH_DRUM: (_T.VELOCITY,),
    _T.VELOCITY: (_T.DURATION,),
    _T.DURATION: _EVENT_END,
    _T.EOS: (),
}
"""Which token types may follow in a whole piece; PAD stands for the start."""

HOLE_FOLLOWERS: Mapping[TokenType, tuple[TokenType, ...]] = {
    kind: tuple(follower for follower in followers if follower not in (_T.TEMPO, _T.BOS))
    for kind, followers in FREE_FOLLOWERS.items()
    if kind not in (_T.TEMPO, _T.BOS)
}
"""The same for the hole: the file's own tempo map is kept, so there are no tempos."""

_MAX_PROBLEMS = 20


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

    Raises:
        SettingError: no bar, no instrument, an instrument twice, or an empty span.
    """

    signatures: tuple[int, ...]
    first_position: int
    last_position: int
    programs: tuple[int, ...]
    start_time: int = 0
    end: Literal["eos", "bar"] = "eos"

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise SettingError(f"A hole {problem}: {self}.")

    def _problem(self) -> str | None:
        if not self.signatures:
            return "needs a bar at least"
        if not self.programs:
            return "needs an instrument at least"
        if len(set(self.programs)) < len(self.programs):
            return "names an instrument twice"
        if self.first_position < 0 or self.last_position < 0 or self.start_time < 0:
            return "has a negative position or time"
        if len(self.signatures) == 1 and self.first_position >= self.last_position:
            return "must end after it starts"
        return None


class Grammar:
    """The tables of a vocabulary, computed once; states are started from it.

    Args:
        vocabulary: gives the base tokens.

    Raises:
        SettingError: the vocabulary has an instrument without any pitch.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.num_base = vocabulary.size
        self.size = vocabulary.size
        self.kinds: list[TokenType] = [TokenType(int(kind)) for kind in vocabulary.types]
        self.values: list[int] = [int(value) for value in vocabulary.index]
        present = [kind for kind in TokenType if vocabulary.counts[kind]]
        self.first: dict[TokenType, int] = {kind: vocabulary.first(kind) for kind in present}
        self.spans: dict[TokenType, slice] = {
            kind: slice(first, first + vocabulary.counts[kind])
            for kind, first in self.first.items()
        }
        drum_kind = _T.PITCH_DRUM if vocabulary.has_drum_pitches else _T.PITCH
        self.pitch_kinds: list[TokenType] = [
            drum_kind if program == DRUM_PROGRAM else _T.PITCH for program in vocabulary.programs
        ]
        self.top: dict[TokenType, int] = {
            kind: vocabulary.counts[kind] - 1 for kind in (_T.PITCH, _T.PITCH_DRUM)
        }
        if any(self.top[kind] < 0 for kind in self.pitch_kinds):
            raise SettingError("The vocabulary has instruments but no pitch tokens for them.")
        self.hole_rows = self._rows(HOLE_FOLLOWERS)
        self.free_rows = self._rows(FREE_FOLLOWERS)
        self.note_costs: dict[TokenType, int] = self._note_costs()

    def start(self, spec: HoleSpec) -> "HoleState":
        """Return the state behind SEP.

        Raises:
            SettingError: the hole asks for bars or instruments that the vocabulary has not.
        """
        return HoleState(HolePlan(self, spec))

    def start_free(self, *, start_time: int = 0) -> "FreeState":
        """Return the state before a whole piece, which may begin with BOS."""
        return FreeState(self, start_time)

    def check(self, ids: Iterable[int], spec: HoleSpec | None = None) -> list[str]:
        """Return what is wrong with a stream, nothing where it is valid.

        Args:
            ids: a hole as written behind SEP, or a whole piece where `spec` is None.
            spec: what the hole should have been filled with.

        Returns:
            One sentence for each of the first twenty problems. A wrong token is passed over.
        """
        state: State = self.start(spec) if spec is not None else self.start_free()
        problems: list[str] = []
        for place, token in enumerate(map(int, ids)):
            if not 0 <= token < self.size:
                problems.append(f"token {place} is {token}, which the vocabulary has not")
            elif state.mask()[token]:
                state.advance(token)
                continue
            else:
                problems.append(f"token {place}, {self.name(token)}, may not follow {state}")
            if len(problems) == _MAX_PROBLEMS:
                return [*problems, "and more"]
        if not state.complete:
            problems.append(f"the stream breaks off at {state}")
        return problems

    def parts(self, token: int) -> Sequence[int]:
        """Return the base tokens that a token stands for: itself, or the parts of a merged one."""
        return (token,)

    def name(self, token: int) -> str:
        """Return a token's name for messages."""
        return "+".join(self.vocabulary.tokens[part] for part in self.parts(token))

    def _rows(
        self, followers: Mapping[TokenType, tuple[TokenType, ...]]
    ) -> dict[TokenType, NDArray[np.bool_]]:
        """Return one mask of base tokens per token type; without velocities pitch is followed by duration."""
        rows = {}
        for kind, allowed in followers.items():
            wanted = set(allowed)
            if _T.VELOCITY in wanted and not self.vocabulary.has_velocities:
                wanted = {_T.DURATION}
            row = np.zeros(self.num_base, bool)
            for follower in wanted & self.spans.keys():
                row[self.spans[follower]] = True
            rows[kind] = row
        return rows

    def _note_costs(self) -> dict[TokenType, int]:
        """Return how many tokens the note under way still needs behind each type."""
        velocity = int(self.vocabulary.has_velocities)
        costs = dict.fromkeys(TokenType, 0)
        costs |= {_T.POSITION: 3 + velocity, _T.PROGRAM: 2 + velocity, _T.VELOCITY: 1}
        return costs | {_T.PITCH: 1 + velocity, _T.PITCH_DRUM: 1 + velocity}


class State(ABC):
    """A place in a stream: what was written last and the few numbers that matter.

    Attributes:
        grammar: the tables.
        last: type of the last base token; PAD at the start, SEP is not stored.
        bar: index of the bar under way, -1 before the first.
        position: last grid position in this bar, -1 before the first.
        pitch: last pitch index of the instrument under way in this onset, -1 before the first.
        time: musical time of the token just taken, in time units; of a merged token's first part.
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

    def __init__(self, grammar: Grammar, start_time: int) -> None:
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

    @abstractmethod
    def mask(self, *, closing: bool = False) -> Mask:
        """Return which token may follow. Shape ``vocab``.

        Args:
            closing: allow only what ends the stream soonest (the note is finished, and every bar is
                still given). Merged tokens are left out then.
        """

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
                self._take(self.grammar.kinds[part], self.grammar.values[part])

    @abstractmethod
    def _take(self, kind: TokenType, value: int) -> None:
        """Take a base token."""

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

    Raises:
        SettingError: the hole asks for bars or instruments that the vocabulary has not.
    """

    def __init__(self, grammar: Grammar, spec: HoleSpec) -> None:
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
        self.program_ids = np.array(indices) + grammar.first[_T.PROGRAM]
        self.program_row = np.zeros(grammar.num_base, bool)
        self.program_row[self.program_ids] = True
        self._count_time(vocabulary)
        self.rows = self._rows()

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
    """

    __slots__ = ("plan", "rank")

    def __init__(self, plan: HolePlan) -> None:
        super().__init__(plan.grammar, plan.spec.start_time)
        self.plan = plan
        self.rank = 0

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

    def mask(self, *, closing: bool = False) -> Mask:
        """Return which token may follow. Shape ``vocab``."""
        if self.done:
            return np.zeros(self.grammar.size, bool)
        return self._base_mask(closing=closing)

    def _base_mask(self, *, closing: bool) -> Mask:
        plan, last = self.plan, self.last
        mask: Mask = plan.rows[last].copy()
        if last is _T.DURATION or last is _T.TIME_SIG:
            self._limit_event(mask, closing=closing)
        elif last is _T.PROGRAM:
            self._limit_pitches(mask, plan.pitch_kinds[self.rank])
        elif last is _T.BAR:
            mask[:] = False
            mask[self.grammar.first[_T.TIME_SIG] + plan.spec.signatures[self.bar]] = True
        return mask

    def _limit_event(self, mask: Mask, *, closing: bool) -> None:
        """Narrow what may begin where no note is under way: program, position, bar or end."""
        plan = self.plan
        if closing:
            mask[:] = False
        else:
            next_rank = self.rank + (self.pitch >= plan.tops[self.rank])
            mask[plan.program_ids[:next_rank]] = False
            self._limit_positions(mask, plan.lows[self.bar], plan.highs[self.bar])
        is_last = self.bar == plan.num_bars - 1
        mask[self.grammar.first[_T.BAR]] = plan.ends_with_bar or not is_last
        if not plan.ends_with_bar:
            mask[plan.end_token] = is_last

    def _take(self, kind: TokenType, value: int) -> None:
        plan = self.plan
        self.last = kind
        if kind is _T.BAR or kind is _T.EOS:
            self.bar += 1
            self.done = self.bar == plan.num_bars
            self.time = self.bar_time = plan.bar_times[self.bar]
            self.position = -1
        elif kind is _T.POSITION:
            self.position = value
            self.time = self.bar_time + value * plan.units[self.bar]
            self.rank, self.pitch = 0, -1
        elif kind is _T.PROGRAM:
            rank = plan.ranks[value]
            if rank != self.rank:
                self.rank, self.pitch = rank, -1
        else:
            self._take_note_part(kind, value)


class FreeState(State):
    """A place in a whole piece.

    Attributes:
        program: index of the instrument under way in this onset, -1 before the first.
        seen: token ids of the instruments that this onset had, the one under way included.
        length: grid positions of the bar under way.
        units: time units of a grid position of the bar under way.
    """

    __slots__ = ("length", "program", "seen", "units")

    def __init__(self, grammar: Grammar, start_time: int) -> None:
        super().__init__(grammar, start_time)
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

    def mask(self, *, closing: bool = False) -> Mask:
        """Return which token may follow. Shape ``vocab``."""
        if self.done:
            return np.zeros(self.grammar.size, bool)
        return self._base_mask(closing=closing)

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

    def _take(self, kind: TokenType, value: int) -> None:
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
