"""The grammar of token streams: which token may follow, shared by encoder, sampler and tests.

Two automata over the same table of token types:

- the *hole*: what an infilling model writes behind SEP. Exactly the bars asked for, onsets inside the
  span, the instruments asked for, within an onset strictly ascending (rank of the program, pitch);
- the *free* grammar: whole pieces as MidiTok's REMI writes them, tempos included.

Bounds are such that every state has a legal token (no dead ends), and such that every path reaches its
end: positions, programs and pitches only ascend, and bars are counted. Merged tokens (BPE) are legal
exactly where all their parts are, one after the other.
"""

from collections.abc import Iterable
from functools import cached_property

from segue.symbolic.grammar_merges import MergedTables
from segue.symbolic.grammar_states import FreeState, HolePlan, HoleSpec, HoleState, Limit, State
from segue.symbolic.grammar_tables import (
    FREE_FOLLOWERS,
    HOLE_FOLLOWERS,
    Mask,
    MergedVocabulary,
    TokenTables,
)

__all__ = [
    "FREE_FOLLOWERS",
    "HOLE_FOLLOWERS",
    "FreeState",
    "Grammar",
    "HoleSpec",
    "HoleState",
    "Limit",
    "Mask",
    "MergedVocabulary",
    "State",
]

_MAX_PROBLEMS = 20


class Grammar(TokenTables):
    """The grammar of one tokenizer; states are started from it.

    Args:
        vocabulary: the base tokens.
        merges: the merged tokens, where the tokenizer has any.

    Example:
        >>> state = grammar.start(HoleSpec((3,), 0, 48, (0,)))  # doctest: +SKIP
        >>> while not state.done:
        ...     state.advance(draw(state.mask()))
    """

    @cached_property
    def merged(self) -> MergedTables | None:
        """Tables of the merged tokens, None where there are none."""
        return MergedTables(self) if any(self.expansions) else None

    def start(self, spec: HoleSpec) -> HoleState:
        """Return the state behind SEP.

        Raises:
            SettingError: the hole asks for bars or instruments that the vocabulary has not.
        """
        return HoleState(HolePlan(self, spec, self.merged))

    def start_free(self, *, start_time: int = 0) -> FreeState:
        """Return the state before a whole piece, which may begin with BOS."""
        return FreeState(self, start_time, self.merged)

    def check(self, ids: Iterable[int], spec: HoleSpec | None = None) -> list[str]:
        """Return what is wrong with a stream, nothing where it is valid.

        Args:
            ids: a hole as written behind SEP, or a whole piece where `spec` is None.
            spec: what the hole should have been filled with.

        Tokens without parts (the mark that MidiTok's trained tokenizers put before a bar) say nothing.

        Returns:
            One sentence for each of the first twenty problems. A wrong token is passed over.
        """
        state: State = self.start(spec) if spec is not None else self.start_free()
        problems: list[str] = []
        for place, token in enumerate(map(int, ids)):
            if not 0 <= token < self.size:
                problems.append(f"token {place} is {token}, which the vocabulary has not")
            elif state.mask()[token] or not self.parts(token):
                state.advance(token)
                continue
            else:
                problems.append(f"token {place}, {self.name(token)}, may not follow {state}")
            if len(problems) == _MAX_PROBLEMS:
                return [*problems, "and more"]
        if not state.complete:
            problems.append(f"the stream breaks off at {state}")
        return problems
