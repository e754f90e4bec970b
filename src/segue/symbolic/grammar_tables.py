"""The tables behind the grammar: which type of token may follow which, and a vocabulary as lists.

The two tables of followers are the grammar; everything else is derived from them and from the numbers
that a state counts.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

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


class MergedVocabulary(Protocol):
    """Merged (BPE) tokens behind the base vocabulary, as `segue.symbolic.bpe.Merges` has them.

    Attributes:
        size: number of tokens, base tokens included.
    """

    @property
    def size(self) -> int:
        """Number of tokens, base tokens included."""

    def expand(self, token: int) -> Sequence[int] | NDArray[np.int64]:
        """Return the base ids that a token stands for."""


class TokenTables:
    """A vocabulary as plain lists and masks, computed once.

    Attributes:
        vocabulary: the base tokens.
        num_base: number of base tokens.
        size: number of tokens, merged ones included.
        kinds: type of every base token.
        values: index within its type of every base token.
        first: id of the first token of every type that exists.
        spans: ids of every type that exists.
        pitch_kinds: for every instrument, the type of its pitch tokens.
        top: index of the highest pitch of both pitch types, -1 where there is none.
        hole_rows: for every type, the base tokens that may follow in a hole, numbers not counted.
        free_rows: the same for whole pieces.
        note_costs: how many tokens the note under way still needs behind each type.
        expansions: base tokens of every merged token.

    Raises:
        SettingError: the vocabulary has instruments without pitches.
    """

    def __init__(self, vocabulary: Vocabulary, merges: MergedVocabulary | None = None) -> None:
        self.vocabulary = vocabulary
        self.num_base = vocabulary.size
        self.size = vocabulary.size if merges is None else merges.size
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
        self.note_costs = self._note_costs()
        self.expansions: list[tuple[int, ...]] = (
            []
            if merges is None
            else [
                tuple(int(part) for part in merges.expand(token))
                for token in range(self.num_base, self.size)
            ]
        )

    def parts(self, token: int) -> tuple[int, ...]:
        """Return the base tokens that a token stands for: itself, or the parts of a merged one."""
        return (token,) if token < self.num_base else self.expansions[token - self.num_base]

    def name(self, token: int) -> str:
        """Return a token's name for messages."""
        return "+".join(self.vocabulary.tokens[part] for part in self.parts(token))

    def pitch_of(self, token: int) -> int:
        """Return the MIDI pitch of a base pitch token."""
        vocabulary = self.vocabulary
        is_drum = self.kinds[token] is _T.PITCH_DRUM
        lowest = (vocabulary.drum_pitch_range if is_drum else vocabulary.pitch_range)[0]
        return lowest + self.values[token]

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
